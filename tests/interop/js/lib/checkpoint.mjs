// Checkpoints, receipts of inclusion and of consistency, and co-signatures: their form.

import { ascii, equal, isArray, isBytes, isHash, isUint } from './bytes.mjs';
import { CborMap, decode, encode } from './cbor.mjs';
import { readHeader, readSign1, requireKnownAlgorithm, signedBytes } from './cose.mjs';
import { require } from './rejected.mjs';

export const MAX_BYTES = 262_144;
const MAX_LOG_ENTRIES = 1n << 62n;
const MAX_PROOF_HASHES = 128;
const MAX_COSIGNATURES = 16;

const [CHECKPOINT, RECEIPT, COSIGNATURE] = ['checkpoint', 'receipt', 'co-signature'];
export const CHECKPOINT_TYPE = 'application/vnd.tyto.checkpoint+cbor';
const COSIGNATURE_TYPE = 'application/vnd.tyto.cosignature+cbor';
const [COUNTERSIGNATURES, VDS, VDP] = [11, 395, 396];
const [TREE, TREE_HEAD, COSIGNED_AT] = [-70100n, -70101, -70102];
const HEAD_VERSION = 1n;

/** Labels of proofs in `vdp`. */
export const INCLUSION = -1;
export const CONSISTENCY = -2;

function readHead(item) {
  const part = CHECKPOINT;
  require(isArray(item) && isUint(item[0]), part, 'field', 'tree head');
  require(item[0] === HEAD_VERSION, part, 'version', String(item[0]));
  require(isArray(item, 5), part, 'field', 'items of the tree head');
  const [, logId, size, root, time] = item;
  require(isHash(logId), part, 'field', 'log id');
  require(isUint(size) && size <= MAX_LOG_ENTRIES, part, 'field', 'tree size');
  require(isHash(root), part, 'field', 'root');
  require(isUint(time), part, 'field', 'time');
  return { logId, size, root, time };
}

function readCosignature(item) {
  const part = COSIGNATURE;
  require(isArray(item, 3), part, 'field', 'not three items');
  const [protectedHeader, unprotected, signature] = item;
  require(isBytes(protectedHeader) && isBytes(signature), part, 'field');
  require(unprotected instanceof CborMap && unprotected.hasExactly([]), part, 'field', 'unprotected header');
  const header = readHeader(protectedHeader, part, {
    typ: COSIGNATURE_TYPE,
    critical: [COSIGNED_AT],
    others: [COSIGNED_AT],
  });
  const time = header.map.get(COSIGNED_AT);
  require(isUint(time), part, 'field', 'time');
  return { protectedHeader, signature, header, time };
}

/** `start`: the index of the leaf, or the size of the old tree. */
function readProof(item, kind) {
  const part = RECEIPT;
  require(item instanceof CborMap && item.hasExactly([kind]), part, 'field', 'proofs');
  const proofs = item.get(kind);
  require(isArray(proofs, 1) && isBytes(proofs[0]), part, 'field', 'proofs');
  const proof = decode(proofs[0], part);
  require(isArray(proof, 3) && isUint(proof[0]) && isUint(proof[1]), part, 'field', 'proof');
  const [first, second, path] = proof;
  const hashes = isArray(path) && path.length <= MAX_PROOF_HASHES && path.every(isHash);
  require(hashes, part, 'field', 'hashes of the proof');
  return kind === INCLUSION ? { size: first, start: second, path } : { start: first, size: second, path };
}

function readCosignatures(unprotected) {
  if (!unprotected.has(COUNTERSIGNATURES)) return [];
  const items = unprotected.get(COUNTERSIGNATURES);
  const possible = isArray(items) && items.length >= 1 && items.length <= MAX_COSIGNATURES;
  require(possible, CHECKPOINT, 'field', 'co-signatures');
  return items.map(readCosignature);
}

/** A bare checkpoint, or the receipt with a proof of the given kind. */
export function readCheckpoint(data, kind) {
  const bare = kind === undefined;
  const part = bare ? CHECKPOINT : RECEIPT;
  const envelope = readSign1(data, part, MAX_BYTES);
  const { unprotected, payload } = envelope;
  const labels = [...(unprotected.has(COUNTERSIGNATURES) ? [COUNTERSIGNATURES] : []), ...(bare ? [] : [VDP])];
  require(unprotected.hasExactly(labels), part, 'field', 'unprotected header');
  require((payload === null) !== bare, part, 'field', 'payload');
  const cosignatures = readCosignatures(unprotected);
  const proof = bare ? null : readProof(unprotected.get(VDP), kind);

  const form = { typ: CHECKPOINT_TYPE, critical: [TREE_HEAD], others: [VDS, TREE_HEAD] };
  const header = readHeader(envelope.protectedHeader, CHECKPOINT, form);
  requireKnownAlgorithm(header, CHECKPOINT);
  require(header.map.get(VDS) === TREE, CHECKPOINT, 'field', 'verifiable data structure');
  const head = readHead(header.map.get(TREE_HEAD));
  if (bare) require(equal(payload, head.root), CHECKPOINT, 'field', 'payload is not the root');
  if (!bare) require(proof.size === head.size, RECEIPT, 'tree-size');
  return { envelope, header, head, proof, cosignatures };
}

export const signedByLog = ({ envelope, head }) => signedBytes(envelope, head.root);

export function signedByWitness({ envelope, head }, cosignature) {
  const headers = [envelope.protectedHeader, cosignature.protectedHeader];
  return encode(['CounterSignatureV2', ...headers, ascii(''), head.root, [envelope.signature]]);
}
