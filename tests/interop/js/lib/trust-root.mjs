// Trust roots: whose word is taken, and how one list follows another.

import { ALGORITHMS, PURPOSES, isPurpose, keyId, permits, verifies } from './algorithms.mjs';
import { ascii, equal, hex, isArray, isBytes, isHash, isInt, isLine, isText, isUint } from './bytes.mjs';
import { CborMap, Tag, decode, encode } from './cbor.mjs';
import { ALG, KID, TYP } from './cose.mjs';
import { require } from './rejected.mjs';

const PART = 'trust root';
const SIGN_TAG = 98n;
const MAX_BYTES = 4 * 1024 * 1024;
const MAX_KEYS = 1024;
const FORMAT = 1n;
const TYPE = 'application/vnd.tyto.trust-root+cbor';
const REASONS = ['unspecified', 'key-compromise', 'superseded', 'cessation-of-operation'];

const check = (condition, detail) => require(condition, PART, 'field', detail);
const values = (map, count) => Array.from({ length: count }, (_, i) => map.get(i + 1));
const hasLabels = (map, count) => map.hasExactly(Array.from({ length: count }, (_, i) => i + 1));

function checkPublicKey(algorithm, publicKey, purpose) {
  check(isInt(algorithm), 'algorithm');
  require(ALGORITHMS.has(algorithm), PART, 'algorithm', String(algorithm));
  check(permits(purpose, algorithm), 'algorithm for another purpose');
  check(isBytes(publicKey, ALGORITHMS.get(algorithm).publicKeyBytes), 'public key');
}

function readRootKey(item) {
  check(isArray(item, 2), 'root key');
  const [algorithm, publicKey] = item;
  // What signs lists is what signs logs: SLH-DSA.
  checkPublicKey(algorithm, publicKey, PURPOSES.log);
  return { algorithm, publicKey, id: keyId(algorithm, publicKey) };
}

function readKey(item) {
  check(item instanceof CborMap && hasLabels(item, 8), 'key');
  const [algorithm, publicKey, purpose, logId, name, validFrom, validUntil, revocation] = values(item, 8);
  check(isPurpose(purpose), 'purpose');
  checkPublicKey(algorithm, publicKey, purpose);
  check(purpose === PURPOSES.log ? isHash(logId) : logId === null, 'log id');
  check(isLine(name), 'name');
  check(isUint(validFrom), 'valid_from');
  check(validUntil === null || (isUint(validUntil) && validUntil > validFrom), 'valid_until');
  if (revocation !== null) {
    check(isArray(revocation, 2) && isUint(revocation[0]), 'revocation');
    check(isText(revocation[1]) && REASONS.includes(revocation[1]), 'reason');
  }
  const revokedAt = revocation === null ? null : revocation[0];
  const id = keyId(algorithm, publicKey);
  return { id, algorithm, publicKey, purpose, logId, name, validFrom, validUntil, revokedAt };
}

function readList(data) {
  const map = decode(data, PART);
  check(map instanceof CborMap && map.beginsWith(1) && isUint(map.get(1)), 'format');
  require(map.get(1) === FORMAT, PART, 'version', String(map.get(1)));
  check(hasLabels(map, 7), 'entries of the list');
  const [, version, issuedAt, name, rootKey, replaced, items] = values(map, 7);
  check(isUint(version) && version >= 1n, 'version');
  check(isUint(issuedAt), 'issued_at');
  check(isLine(name), 'name');
  const signers = [readRootKey(rootKey), ...(replaced === null ? [] : [readRootKey(replaced)])];
  check(isArray(items) && items.length <= MAX_KEYS, 'keys');
  const list = items.map(readKey);
  for (let i = 1; i < list.length; i++) check(Buffer.compare(list[i - 1].id, list[i].id) < 0, 'order of the keys');
  const keys = new Map(list.map((key) => [hex(key.id), key]));
  return { version, issuedAt, name, signers, keys };
}

function checkSignature([signatureHeader, , signature], protectedHeader, payload, signer) {
  const header = decode(signatureHeader, PART);
  check(header instanceof CborMap && header.hasExactly([ALG, KID]), 'header of a signature');
  const [alg, kid] = [header.get(ALG), header.get(KID)];
  check(isInt(alg), 'alg');
  check(isHash(kid), 'kid');
  require(ALGORITHMS.has(alg), PART, 'algorithm', String(alg));
  require(equal(kid, signer.id), PART, 'key-id', 'signed by a key that the list does not name');
  require(alg === signer.algorithm, PART, 'algorithm-of-key');
  const signed = encode(['Signature', protectedHeader, signatureHeader, ascii(''), payload]);
  require(verifies(signer.algorithm, signer.publicKey, signed, signature), PART, 'signature');
}

/** `pinned`: the id of a root key that must be among those that signed; undefined if the file itself is trusted. */
export function openTrustRoot(data, pinned) {
  require(data.length <= MAX_BYTES, PART, 'size');
  const item = decode(data, PART);
  check(item instanceof Tag && item.number === SIGN_TAG, 'not tagged as COSE_Sign');
  check(isArray(item.content, 4), 'not four items');
  const [protectedHeader, unprotected, payload, signatures] = item.content;
  check(isBytes(protectedHeader) && isBytes(payload), 'header or payload');
  check(unprotected instanceof CborMap && unprotected.hasExactly([]), 'unprotected header');
  const header = decode(protectedHeader, PART);
  check(header instanceof CborMap && header.hasExactly([TYP]) && header.get(TYP) === TYPE, 'protected header');
  check(isArray(signatures, 1) || isArray(signatures, 2), 'signatures');
  for (const each of signatures) {
    check(isArray(each, 3) && isBytes(each[0]) && isBytes(each[2]), 'signature');
    check(each[1] instanceof CborMap && each[1].hasExactly([]), 'unprotected header');
  }

  const root = readList(payload);
  check(signatures.length === root.signers.length, 'number of signatures');
  signatures.forEach((each, i) => checkSignature(each, protectedHeader, payload, root.signers[i]));
  const known = pinned === undefined || root.signers.some((signer) => equal(signer.id, pinned));
  require(known, PART, 'key-id', 'not the pinned root key');
  return root;
}

/** Null is never. */
const notLater = (after, before) => before === null || (after !== null && after <= before);

export function updateTrustRoot(older, data) {
  const newer = openTrustRoot(data, older.signers[0].id);
  require(newer.version > older.version, PART, 'root-version');
  const kept = (condition, detail) => require(condition, PART, 'root-regression', detail);
  kept(newer.name === older.name && newer.issuedAt >= older.issuedAt, 'name or issued_at');
  for (const [id, before] of older.keys) {
    const after = newer.keys.get(id);
    kept(after !== undefined, 'a key is missing');
    kept(after.purpose === before.purpose && after.validFrom === before.validFrom, 'purpose or valid_from');
    kept(before.logId === null || equal(after.logId, before.logId), 'log');
    kept(before.purpose !== PURPOSES.decision || after.name === before.name, 'tenant');
    kept(notLater(after.validUntil, before.validUntil), 'valid_until');
    kept(notLater(after.revokedAt, before.revokedAt), 'revocation');
  }
  return newer;
}
