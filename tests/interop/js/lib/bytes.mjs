// Byte strings, and the small types of the format description's CDDL. Integers are BigInt throughout.

const encoder = new TextEncoder();

export const hex = (bytes) => Buffer.from(bytes).toString('hex');
export const unhex = (text) => new Uint8Array(Buffer.from(text, 'hex'));
export const ascii = (text) => encoder.encode(text);
export const equal = (a, b) => Buffer.compare(a, b) === 0;

export function concat(...parts) {
  return new Uint8Array(Buffer.concat(parts));
}

const MAX_LINE_BYTES = 256;

export const isUint = (item, bits = 64n) => typeof item === 'bigint' && item >= 0n && item < 1n << bits;
export const isInt = (item) => typeof item === 'bigint' && item >= -(1n << 63n) && item < 1n << 63n;
export const isText = (item) => typeof item === 'string';
export const isArray = (item, length) => Array.isArray(item) && (length === undefined || item.length === length);
export const isHash = (item) => isBytes(item, 32);
export const orNull = (check) => (item) => item === null || check(item);

export function isBytes(item, length) {
  return item instanceof Uint8Array && (length === undefined || item.length === length);
}

export function isLine(item) {
  return isText(item) && encoder.encode(item).length <= MAX_LINE_BYTES && !/\p{Cc}/u.test(item);
}
