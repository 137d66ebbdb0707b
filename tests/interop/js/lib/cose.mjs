// COSE_Sign1 envelopes and their protected headers.

import { ALGORITHMS } from './algorithms.mjs';
import { ascii, isArray, isBytes, isHash, isInt, isText } from './bytes.mjs';
import { CborMap, Reader, Tag, decode, encode } from './cbor.mjs';
import { Rejected, require } from './rejected.mjs';

const SIGN1_TAG = 18n;
export const ALG = 1;
const CRIT = 2;
export const KID = 4;
export const TYP = 16;
const NOTHING = ascii('');

export function readSign1(data, part, maxBytes) {
  require(data.length <= maxBytes, part, 'size');
  const item = decode(data, part);
  require(item instanceof Tag && item.number === SIGN1_TAG, part, 'field', 'not tagged as COSE_Sign1');
  require(isArray(item.content, 4), part, 'field', 'not four items');
  const [protectedHeader, unprotected, payload, signature] = item.content;
  require(isBytes(protectedHeader), part, 'field', 'protected header');
  require(unprotected instanceof CborMap, part, 'field', 'unprotected header');
  require(payload === null || isBytes(payload), part, 'field', 'payload');
  require(isBytes(signature), part, 'field', 'signature');
  return { protectedHeader, unprotected, payload, signature };
}

/** An envelope with a payload and nothing in its unprotected header. */
export function readPlainSign1(data, part, maxBytes) {
  const envelope = readSign1(data, part, maxBytes);
  require(envelope.unprotected.hasExactly([]), part, 'field', 'unprotected header');
  require(envelope.payload !== null, part, 'field', 'no payload');
  return envelope;
}

/** The header whose `crit` is exactly `critical`, with the entries `others` besides those that each has. */
export function readHeader(protectedHeader, part, { typ, critical = [], others = [] }) {
  const map = decode(protectedHeader, part);
  require(map instanceof CborMap, part, 'field', 'header is not a map');
  const alg = map.get(ALG);
  require(isInt(alg), part, 'field', 'alg');
  const crit = map.get(CRIT);
  for (const label of isArray(crit) ? crit : []) {
    require(isInt(label) || isText(label), part, 'field', 'label in crit');
    require(critical.some((known) => BigInt(known) === label), part, 'critical-header', String(label));
  }
  if (critical.length > 0) {
    const asGiven = isArray(crit, critical.length) && crit.every((label, i) => label === BigInt(critical[i]));
    require(asGiven, part, 'field', 'crit');
  }
  const labels = [ALG, KID, TYP, ...others, ...(critical.length > 0 ? [CRIT] : [])];
  require(map.hasExactly(labels), part, 'field', 'header entries');
  const kid = map.get(KID);
  require(isHash(kid), part, 'field', 'kid');
  require(map.get(TYP) === typ, part, 'field', 'typ');
  return { alg, kid, map };
}

export function requireKnownAlgorithm(header, part) {
  require(ALGORITHMS.has(header.alg), part, 'algorithm', String(header.alg));
}

export function signedBytes(envelope, payload) {
  return encode(['Signature1', envelope.protectedHeader, NOTHING, payload]);
}

export const beginsAsSign1 = (data) => data[0] === 0xd2;

/** The `typ` of something that begins as COSE_Sign1 does, or undefined. Nothing behind it is looked at. */
export function typOf(data) {
  try {
    const envelope = new Reader(data, '');
    const heads = [envelope.head(), envelope.head(), envelope.head()];
    if (heads.map(([major]) => major).join() !== '6,4,2' || heads[0][1] !== SIGN1_TAG) return undefined;
    const header = new Reader(envelope.take(heads[2][1]), '');
    const [major, entries] = header.head();
    for (let left = major === 5 ? entries : 0n; left > 0n; left--) {
      const [key, value] = [header.item(), header.item()];
      if (key === BigInt(TYP)) return value;
    }
  } catch (error) {
    if (!(error instanceof Rejected)) throw error;
  }
  return undefined;
}
