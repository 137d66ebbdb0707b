// What times say: validity, expiry and revocation of keys, and the order of events. Undefined: not known.

import { require } from './rejected.mjs';

const MAX_CLOCK_DIFFERENCE_MS = 300_000n;

export function earliest(...times) {
  return times.filter((time) => time !== undefined).reduce((a, b) => (a === undefined || b < a ? b : a), undefined);
}

/** `outlivesKey`: a signature made in time stands for ever (checkpoints and co-signatures). */
export function checkKeyTimes(part, key, { made, seen, outlivesKey = false }) {
  const { validFrom, validUntil, revokedAt } = key;
  require(made >= validFrom, part, 'not-yet-valid');
  if (validUntil !== null) {
    const when = outlivesKey || seen === undefined ? [made] : [made, seen];
    require(when.every((time) => time < validUntil), part, 'expired');
  }
  if (revokedAt !== null) {
    require(seen !== undefined && made < revokedAt && seen < revokedAt, part, 'revoked');
  }
}

export const inOrder = (made, seen) => seen === undefined || made <= seen + MAX_CLOCK_DIFFERENCE_MS;

export function checkOrder(part, made, seen) {
  require(inOrder(made, seen), part, 'time-order');
}
