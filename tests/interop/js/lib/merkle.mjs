// Merkle trees of the shape of RFC 9162 section 2.1, with SHA3-256 and prefixes of their own. Proofs are
// followed down from the shape of the tree, not by the bit operations of sections 2.1.3.2 and 2.1.4.2.

import { sha3_256 } from '@noble/hashes/sha3.js';

import { concat, equal } from './bytes.mjs';
import { require } from './rejected.mjs';

const PART = 'receipt';
const LOG = { leaf: Uint8Array.of(0), node: Uint8Array.of(1) };
const GALLERY = { leaf: Uint8Array.of(2), node: Uint8Array.of(3) };

export const leafHash = (entry) => sha3_256(concat(LOG.leaf, entry));
const nodeHash = (left, right) => sha3_256(concat(LOG.node, left, right));

/** The largest power of two below `size`, which is at least 2. */
function split(size) {
  return 1n << BigInt((size - 1n).toString(2).length - 1);
}

function treeRoot(contents, prefixes) {
  if (contents.length === 0) return sha3_256(prefixes.node);
  if (contents.length === 1) return sha3_256(concat(prefixes.leaf, contents[0]));
  const k = Number(split(BigInt(contents.length)));
  return sha3_256(
    concat(prefixes.node, treeRoot(contents.slice(0, k), prefixes), treeRoot(contents.slice(k), prefixes)),
  );
}

/** `blocks`: pairs of block id and version. */
export function blocksRoot(blocks) {
  const contents = blocks.map(([id, version]) => {
    const last = Buffer.alloc(8);
    last.writeBigUInt64BE(version);
    return concat(id, last);
  });
  return treeRoot(contents, GALLERY);
}

/** Takes the hashes of a proof from its end, which belongs to the top of the tree. */
function proofReader(path) {
  let left = path.length;
  return {
    take() {
      require(left > 0, PART, 'proof-length', 'too short');
      left -= 1;
      return path[left];
    },
    end() {
      require(left === 0, PART, 'proof-length', 'too long');
    },
  };
}

/** The root to which the inclusion proof (RFC 9162 section 2.1.3.1) of a leaf leads. */
export function rootOfInclusion(leaf, index, size, path) {
  require(index < size, PART, 'leaf-index');
  const proof = proofReader(path);
  const root = (m, n) => {
    if (n === 1n) {
      proof.end();
      return leaf;
    }
    const k = split(n);
    const sibling = proof.take();
    return m < k ? nodeHash(root(m, k), sibling) : nodeHash(sibling, root(m - k, n - k));
  };
  return root(index, size);
}

/** Checks the consistency proof (RFC 9162 section 2.1.4.1) from an old tree that is not empty. */
export function checkConsistency(oldSize, oldRoot, size, root, path) {
  require(oldSize > 0n && oldSize <= size, PART, 'leaf-index', 'not an earlier tree');
  const proof = proofReader(path);
  // SUBPROOF(m, D[n], whole): the roots of the old and of the new tree. `whole`: the old tree is one of its nodes.
  const roots = (m, n, whole) => {
    if (m === n) {
      const common = whole ? oldRoot : proof.take();
      proof.end();
      return [common, common];
    }
    const k = split(n);
    const sibling = proof.take();
    if (m <= k) {
      const [before, after] = roots(m, k, whole);
      return [before, nodeHash(after, sibling)];
    }
    const [before, after] = roots(m - k, n - k, false);
    return [nodeHash(sibling, before), nodeHash(sibling, after)];
  };
  const [before, after] = roots(oldSize, size, true);
  require(equal(before, oldRoot), PART, 'old-root');
  require(equal(after, root), PART, 'root');
}
