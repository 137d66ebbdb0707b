// Attestation files of clients, and the list of keys that clients trust.

import { ML_DSA_65, keyId, verifies } from './algorithms.mjs';
import { equal, hex, isArray, isBytes, isUint, unhex } from './bytes.mjs';
import { decode } from './cbor.mjs';
import { isMatch, readStatement, saltedDigest } from './claims.mjs';
import { signedBytes } from './cose.mjs';
import { MAX_ENTRY_BYTES, readAttestation } from './evidence.mjs';
import { require } from './rejected.mjs';

const VERSION = 1n;
const MAX_CONTENT_BYTES = 67_108_864;
const MAX_TRUSTED_KEYS = 256;
const MAX_BYTES = 134_224_896;

/** Public keys by the hexadecimal digits of their ids. */
export function readTrustedKeys(data) {
  const part = 'trusted keys';
  const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(data);
  const [first, ...lines] = text.split(/\r?\n/);
  require(first === 'tyto-trusted-keys v1', part, 'trusted-keys', 'first line');
  const keys = new Map();
  for (const line of lines.filter((each) => each !== '' && !each.startsWith('#'))) {
    const found = /^ml-dsa-65 ([0-9a-f]{64}) ([0-9a-f]{3904})$/.exec(line);
    require(found !== null, part, 'trusted-keys', 'line');
    const [, kid, publicKey] = found;
    require(hex(keyId(ML_DSA_65, unhex(publicKey))) === kid, part, 'trusted-keys', 'key id');
    require(!keys.has(kid), part, 'trusted-keys', 'twice');
    keys.set(kid, unhex(publicKey));
  }
  require(keys.size <= MAX_TRUSTED_KEYS, part, 'trusted-keys', 'too many keys');
  return keys;
}

export function verifyAttestation(data, keys) {
  const { envelope, header } = readAttestation(data);
  const key = keys.get(hex(header.kid));
  require(key !== undefined, 'envelope', 'key-id', 'not a trusted key');
  require(header.alg === ML_DSA_65, 'envelope', 'algorithm-of-key');
  const holds = verifies(ML_DSA_65, key, signedBytes(envelope, envelope.payload), envelope.signature);
  require(holds, 'envelope', 'signature');
  return { statement: readStatement(envelope.payload), key_id: header.kid };
}

export function verifyFile(data, keys) {
  const part = 'attestation file';
  require(data.length <= MAX_BYTES, part, 'size');
  const items = decode(data, part);
  require(isArray(items) && items[0] === 'tyto-attestation', part, 'field', 'magic');
  require(isUint(items[1]), part, 'field', 'version');
  require(items[1] === VERSION, part, 'file-version', String(items[1]));
  require(isArray(items, 6), part, 'field', 'number of items');
  const [, , attestation, salt, request, result] = items;
  require(isBytes(attestation) && attestation.length <= MAX_ENTRY_BYTES, part, 'field', 'attestation');
  require(isBytes(salt, 32), part, 'field', 'salt');
  for (const content of [request, result]) {
    const possible = content === null || (isBytes(content) && content.length <= MAX_CONTENT_BYTES);
    require(possible, part, 'field', 'content');
  }
  const facts = verifyAttestation(attestation, keys);
  require(isMatch(facts.statement), 'statement', 'field', 'not about a match');
  for (const [name, content] of Object.entries({ request_digest: request, result_digest: result })) {
    const checked = content !== null;
    if (checked) require(equal(saltedDigest(name, salt, content), facts.statement.claim[name]), part, 'digest', name);
    facts[`${name}_checked`] = checked;
  }
  return { ...facts, salt };
}
