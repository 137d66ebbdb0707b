//! Hashing of the log's leaves and nodes, in one place so that it can be done many at a time.

use tyto_pqc::digest::{sha3_256, sha3_256_many};

use crate::digest::{LOG_LEAF_PREFIX, LOG_NODE_PREFIX};

/// Length of a hash of the log.
pub const HASH_BYTES: usize = 32;

/// A hash of a leaf or of a node.
pub type Hash = [u8; HASH_BYTES];

/// `SHA3-256(0x00 || entry)`: the hash of an entry as it stands in the log.
pub fn leaf_hash(entry: &[u8]) -> Hash {
    sha3_256(&[&[LOG_LEAF_PREFIX], entry])
}

/// The hashes of many entries.
pub fn leaf_hashes<E: AsRef<[u8]>>(entries: &[E]) -> Vec<Hash> {
    sha3_256_many(entries.iter().map(|entry| [&[LOG_LEAF_PREFIX][..], entry.as_ref()]))
}

/// `SHA3-256(0x01 || left || right)`.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    sha3_256(&[&[LOG_NODE_PREFIX], left, right])
}

/// The parents of neighbouring pairs. A last one without a neighbour is left out.
pub(super) fn parents(children: &[Hash]) -> Vec<Hash> {
    sha3_256_many(children.as_chunks().0.iter().map(|[left, right]| [&[LOG_NODE_PREFIX][..], left, right]))
}

/// `SHA3-256(0x01)`: the root of a log without entries. No other input in the domain of nodes is so short.
pub fn empty_root() -> Hash {
    sha3_256(&[&[LOG_NODE_PREFIX]])
}
