// What is signed by those who claim something: statements of issuers, decisions of tenants.

import { sha3_256 } from '@noble/hashes/sha3.js';

import { ascii, concat, isArray, isBytes, isHash, isInt, isLine, isText, isUint, orNull } from './bytes.mjs';
import { CborMap, decode } from './cbor.mjs';
import { require } from './rejected.mjs';

const isId = (item) => isBytes(item, 16);
const isHead = (item) => isArray(item, 2) && isUint(item[0]) && isHash(item[1]);
const oneOf = (words) => (item) => isText(item) && words.includes(item);

const STATEMENT = [
  ['version', isUint],
  ['issuer', isLine],
  ['issued_at', isUint],
  ['audience', isLine],
  ['nonce', orNull(isHash)],
  ['principal', orNull(isLine)],
  ['kind', isText],
  ['software_version', isLine],
  ['build_digest', orNull(isLine)],
  ['log_id', orNull(isHash)],
  ['previous_checkpoint', orNull(isHead)],
  ['claim', (item) => item instanceof CborMap],
];

const MATCH = [
  ['parameter_set', (item) => isUint(item, 16n)],
  ['gallery_id', isId],
  ['mask_epoch', (item) => isUint(item, 32n)],
  ['manifest_version', isUint],
  ['blocks_root', isHash],
  ['blocks_matched', isUint],
  ['blocks_total', isUint],
  ['ticket_id', orNull(isId)],
  ['request_digest', isHash],
  ['gallery_state_digest', isHash],
  ['records_digest', isHash],
  ['result_digest', isHash],
  ['reply_bits', (item) => isUint(item, 8n)],
];

const DIGEST_BYTES = { 'sha-256': 32, 'sha-384': 48, 'sha-512': 64, 'sha3-256': 32, 'sha3-384': 48, 'sha3-512': 64 };
const DOCUMENT = [
  ['algorithm', oneOf(Object.keys(DIGEST_BYTES))],
  ['digest', (item) => isBytes(item)],
  ['label', orNull(isLine)],
];

const GALLERY_CHANGE = [
  ['gallery_id', isId],
  ['manifest_version', isUint],
  ['items', isUint],
  ['request_digest', isHash],
  ['gallery_state_digest', isHash],
];

const KEY_CHANGE = [
  ['action', oneOf(['activate', 'retire', 'revoke'])],
  ['key_id', isHash],
  ['roots_version', orNull(isUint)],
];

const AUDIT_ANCHOR = [
  ['chain_id', isHash],
  ['records', isUint],
  ['head', isHash],
];

const CLAIMS = new Map([
  ['verify', MATCH],
  ['identify', MATCH],
  ['document', DOCUMENT],
  ...['create-gallery', 'delete-gallery', 'provision', 'enrol', 'remove'].map((kind) => [kind, GALLERY_CHANGE]),
  ['key-change', KEY_CHANGE],
  ['audit-anchor', AUDIT_ANCHOR],
]);
export const isMatch = (statement) => CLAIMS.get(statement.kind) === MATCH;

const DECISION = [
  ['version', isUint],
  ['tenant', isLine],
  ['audience', isLine],
  ['decided_at', isUint],
  ['subject', orNull(isId)],
  ['verdict', oneOf(['match', 'non-match'])],
  ['threshold', isInt],
  ['rests_on', isHash],
];

/** The entries 1, 2, 3, ... of a map that has no others. */
function readEntries(map, layout, part) {
  require(map.hasExactly(layout.map((_, i) => i + 1)), part, 'field', 'entries of the map');
  const entries = {};
  for (const [index, [name, holds]] of layout.entries()) {
    entries[name] = map.get(index + 1);
    require(holds(entries[name]), part, 'field', name);
  }
  return entries;
}

/** A map of a known version. */
function readVersioned(data, part, { version, check }) {
  const map = decode(data, part);
  require(map instanceof CborMap && map.beginsWith(1) && isUint(map.get(1)), part, 'field', 'version');
  require(map.get(1) === version, part, check, String(map.get(1)));
  return map;
}

export function readStatement(data) {
  const part = 'statement';
  const map = readVersioned(data, part, { version: 2n, check: 'statement-version' });
  const statement = readEntries(map, STATEMENT, part);
  const { log_id: logId, previous_checkpoint: previous, kind } = statement;
  require(logId !== null || previous === null, part, 'field', 'previous checkpoint of no log');
  require(CLAIMS.has(kind), part, 'field', 'kind');
  const claim = readEntries(statement.claim, CLAIMS.get(kind), part);
  if (isMatch(statement)) require(claim.blocks_matched <= claim.blocks_total, part, 'field', 'blocks matched');
  if (kind === 'document') {
    require(claim.digest.length === DIGEST_BYTES[claim.algorithm], part, 'field', 'length of the digest');
  }
  return { ...statement, claim };
}

export function readDecision(data) {
  const map = readVersioned(data, 'decision', { version: 1n, check: 'version' });
  const decision = readEntries(map, DECISION, 'decision');
  require(decision.verdict !== 'match' || decision.subject !== null, 'decision', 'field', 'a match of nobody');
  return decision;
}

const DOMAINS = {
  request_digest: 'tyto/v1/attest-request',
  gallery_state_digest: 'tyto/v1/attest-gallery-state',
  records_digest: 'tyto/v1/attest-records',
  result_digest: 'tyto/v1/attest-result',
};

export function saltedDigest(name, salt, content) {
  const domain = ascii(DOMAINS[name]);
  return sha3_256(concat(Uint8Array.of(domain.length), domain, salt, content));
}
