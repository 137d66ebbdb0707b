/**
 * The first check that failed, and the part of the evidence in which it lies. `withoutDecision` is set to what a
 * bundle proves if only its decision does not stand.
 */
export class Rejected extends Error {
  constructor(part, check, detail = '') {
    super(`${part}: ${check}${detail && ` (${detail})`}`);
    Object.assign(this, { part, check, detail });
  }
}

export function require(condition, part, check, detail) {
  if (!condition) throw new Rejected(part, check, detail);
}
