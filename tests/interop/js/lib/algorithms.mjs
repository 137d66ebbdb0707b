// Algorithms, key ids and signatures. The cryptography is that of @noble/post-quantum and @noble/hashes.

import { sha3_256 } from '@noble/hashes/sha3.js';
import { ml_dsa65 } from '@noble/post-quantum/ml-dsa.js';
import * as slhDsa from '@noble/post-quantum/slh-dsa.js';

import { ascii, concat, hex } from './bytes.mjs';

export const ML_DSA_65 = -49n;
export const PURPOSES = { attestation: 1n, log: 2n, witness: 3n, decision: 4n };
const FAMILIES = new Map([[1n, ['ml-dsa']], [2n, ['slh-dsa']], [3n, ['ml-dsa', 'slh-dsa']], [4n, ['ml-dsa']]]);

// FIPS 205 table 2: bytes of the public key and of the signature.
const SLH_DSA_SIZES = {
  '128s': [32, 7856], '128f': [32, 17088], '192s': [48, 16224], '192f': [48, 35664], '256s': [64, 29792],
  '256f': [64, 49856],
};

export const ALGORITHMS = new Map([
  [ML_DSA_65, { name: 'ml-dsa-65', family: 'ml-dsa', scheme: ml_dsa65, publicKeyBytes: 1952, signatureBytes: 3309 }],
]);
for (const hashing of ['sha2', 'shake']) {
  for (const [size, [publicKeyBytes, signatureBytes]] of Object.entries(SLH_DSA_SIZES)) {
    ALGORITHMS.set(-70019n - BigInt(ALGORITHMS.size), {
      name: `slh-dsa-${hashing}-${size}`,
      family: 'slh-dsa',
      scheme: slhDsa[`slh_dsa_${hashing}_${size}`],
      publicKeyBytes,
      signatureBytes,
    });
  }
}

export const isPurpose = (purpose) => FAMILIES.has(purpose);
export const permits = (purpose, algorithm) => FAMILIES.get(purpose).includes(ALGORITHMS.get(algorithm).family);

export function keyId(algorithm, publicKey) {
  return sha3_256(concat(ascii(`tyto/v1/${ALGORITHMS.get(algorithm).name}-key`), publicKey));
}

const verified = new Map();

/** Pure signing with the empty context. What was verified once in a run is not verified again. */
export function verifies(algorithm, publicKey, message, signature) {
  const { name, scheme, publicKeyBytes, signatureBytes } = ALGORITHMS.get(algorithm);
  if (publicKey.length !== publicKeyBytes || signature.length !== signatureBytes) return false;
  // The first three have lengths that the name fixes.
  const question = hex(sha3_256(concat(ascii(`${name}\0`), publicKey, signature, message)));
  if (!verified.has(question)) verified.set(question, scheme.verify(signature, message, publicKey));
  return verified.get(question);
}
