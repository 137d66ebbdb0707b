// Deterministic CBOR (RFC 8949 section 4.2.1), as narrow as the format description makes it. Items become
// BigInt, Uint8Array, string, boolean, null, Array, `CborMap` and `Tag`.

import { ascii, concat, hex } from './bytes.mjs';
import { Rejected, require } from './rejected.mjs';

const MAX_DEPTH = 8;
const SIMPLE = new Map([[20, false], [21, true], [22, null]]);
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export class Tag {
  constructor(number, content) {
    Object.assign(this, { number, content });
  }
}

/** Entries by the hexadecimal digits of their encoded keys: no key can be taken for another. */
export class CborMap {
  entries = new Map();

  get(label) {
    return this.entries.get(hex(encode(label)));
  }

  has(label) {
    return this.entries.has(hex(encode(label)));
  }

  hasExactly(labels) {
    return this.entries.size === labels.length && labels.every((label) => this.has(label));
  }

  beginsWith(label) {
    return this.entries.keys().next().value === hex(encode(label));
  }
}

/** Reads items from the front; what is not deterministic is the check `cbor` of the given part. */
export class Reader {
  constructor(data, part) {
    Object.assign(this, { data, part, position: 0 });
  }

  fail(detail) {
    throw new Rejected(this.part, 'cbor', detail);
  }

  take(length) {
    if (length > BigInt(this.data.length - this.position)) this.fail('cut off');
    const start = this.position;
    this.position += Number(length);
    return this.data.slice(start, this.position);
  }

  /** Major type and argument of the next item. */
  head() {
    const first = this.take(1n)[0];
    const [major, info] = [first >> 5, first & 31];
    if (major === 7) {
      // Everything else of this type is floating point, undefined, a break or another simple value.
      return SIMPLE.has(info) ? [major, info] : this.fail('simple value or floating point');
    }
    if (info < 24) return [major, BigInt(info)];
    if (info > 27) this.fail('indefinite or reserved length');
    const argument = BigInt(`0x${hex(this.take(1n << BigInt(info - 24)))}`);
    const least = [24n, 1n << 8n, 1n << 16n, 1n << 32n][info - 24];
    return argument < least ? this.fail('not the shortest form') : [major, argument];
  }

  item(depth = 1) {
    const [major, argument] = this.head();
    if (major === 7) return SIMPLE.get(argument);
    if (major >= 4 && depth > MAX_DEPTH) this.fail('nested too deep');
    switch (major) {
      case 0: return argument;
      case 1: return -1n - argument;
      case 2: return this.take(argument);
      case 3: return this.text(argument);
      case 4: return this.array(argument, depth);
      case 5: return this.map(argument, depth);
      default: return new Tag(argument, this.item(depth + 1));
    }
  }

  text(length) {
    const bytes = this.take(length);
    try {
      return utf8.decode(bytes);
    } catch {
      return this.fail('text is not UTF-8');
    }
  }

  array(length, depth) {
    const items = [];
    for (let left = length; left > 0n; left--) items.push(this.item(depth + 1));
    return items;
  }

  map(length, depth) {
    const map = new CborMap();
    let last = null;
    for (let left = length; left > 0n; left--) {
      const start = this.position;
      this.item(depth + 1);
      const key = this.data.slice(start, this.position);
      if (last !== null && Buffer.compare(last, key) >= 0) this.fail('map keys do not ascend');
      last = key;
      map.entries.set(hex(key), this.item(depth + 1));
    }
    return map;
  }
}

/** The one item that `data` is. */
export function decode(data, part) {
  const reader = new Reader(data, part);
  const item = reader.item();
  require(reader.position === data.length, part, 'trailing-bytes');
  return item;
}

function encodeHead(major, argument) {
  if (argument < 24n) return Uint8Array.of((major << 5) | Number(argument));
  const info = [8n, 16n, 32n, 64n].findIndex((bits) => argument < 1n << bits);
  const digits = argument.toString(16).padStart(2 << info, '0');
  return concat(Uint8Array.of((major << 5) | (24 + info)), Buffer.from(digits, 'hex'));
}

/** What signatures are made over: arrays of text and byte strings; and integers, for labels. */
export function encode(item) {
  if (typeof item === 'number') return encode(BigInt(item));
  if (typeof item === 'bigint') return item >= 0n ? encodeHead(0, item) : encodeHead(1, -1n - item);
  if (item instanceof Uint8Array) return concat(encodeHead(2, BigInt(item.length)), item);
  if (Array.isArray(item)) return concat(encodeHead(4, BigInt(item.length)), ...item.map(encode));
  const text = ascii(item);
  return concat(encodeHead(3, BigInt(text.length)), text);
}
