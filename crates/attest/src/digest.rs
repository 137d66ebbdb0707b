//! The digests that statements carry: salted digests of content, and the Merkle root over a gallery.

use core::fmt;

use tyto_pqc::digest::Hasher;

/// Length of every digest.
pub const DIGEST_BYTES: usize = 32;

/// Length of the salt of an attestation: 256 random bits.
pub const SALT_BYTES: usize = 32;

/// First byte of a hashed leaf of the attestation log.
pub const LOG_LEAF_PREFIX: u8 = 0x00;
/// First byte of a hashed node of the attestation log.
pub const LOG_NODE_PREFIX: u8 = 0x01;
/// First byte of a hashed leaf of a gallery's tree.
pub const GALLERY_LEAF_PREFIX: u8 = 0x02;
/// First byte of a hashed node of a gallery's tree.
pub const GALLERY_NODE_PREFIX: u8 = 0x03;

/// What a salted digest is about. Each kind has its own domain, so that one content has unrelated digests
/// under two kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DigestKind {
    /// The request as it was sent.
    Request,
    /// The state of the gallery that the operation ran on.
    GalleryState,
    /// The block records that went with the answer.
    Records,
    /// The result as it was sent.
    Result,
}

impl DigestKind {
    /// The domain string of the kind.
    pub fn domain(self) -> &'static str {
        match self {
            Self::Request => "tyto/v1/attest-request",
            Self::GalleryState => "tyto/v1/attest-gallery-state",
            Self::Records => "tyto/v1/attest-records",
            Self::Result => "tyto/v1/attest-result",
        }
    }
}

impl fmt::Display for DigestKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Request => "request",
            Self::GalleryState => "gallery state",
            Self::Records => "set of block records",
            Self::Result => "result",
        })
    }
}

/// A salted digest of content that arrives in pieces:
/// `SHA3-256(len(domain) as one byte || domain || salt || content)`.
///
/// # Security
/// Without the salt, whoever holds the tenant key could test guesses of a deleted template against the
/// digest of its delta. The salt is kept beside the attestation, never in it.
#[derive(Debug, Clone)]
pub struct SaltedDigest(Hasher);

impl SaltedDigest {
    /// Starts a digest of one kind under the attestation's salt.
    pub fn new(kind: DigestKind, salt: &[u8; SALT_BYTES]) -> Self {
        let domain = kind.domain().as_bytes();
        let mut hasher = Hasher::new();
        hasher.update(&[domain.len() as u8]);
        hasher.update(domain);
        hasher.update(salt);
        Self(hasher)
    }

    /// Appends content.
    pub fn update(&mut self, content: &[u8]) {
        self.0.update(content);
    }

    /// The digest of everything appended.
    pub fn finalize(self) -> [u8; DIGEST_BYTES] {
        self.0.finalize()
    }
}

/// The salted digest of content that is at hand as a whole.
pub fn salted(kind: DigestKind, salt: &[u8; SALT_BYTES], content: &[u8]) -> [u8; DIGEST_BYTES] {
    let mut digest = SaltedDigest::new(kind, salt);
    digest.update(content);
    digest.finalize()
}

/// The root of a gallery's Merkle tree over `leaves`, with the tree shape of RFC 9162 section 2.1.1.
///
/// A leaf hashes as `SHA3-256(0x02 || leaf)`, a node as `SHA3-256(0x03 || left || right)`. The root of no
/// leaves is `SHA3-256(0x03)`: the hash of the empty string within the domain of gallery nodes, where
/// nothing else has that length.
pub fn merkle_root<L: AsRef<[u8]>>(leaves: impl IntoIterator<Item = L>) -> [u8; DIGEST_BYTES] {
    // Roots of the perfect subtrees so far, largest first: one for each bit set in the number of leaves.
    let mut subtrees: Vec<[u8; DIGEST_BYTES]> = Vec::new();
    for (index, leaf) in leaves.into_iter().enumerate() {
        let mut hash = hash_parts(GALLERY_LEAF_PREFIX, &[leaf.as_ref()]);
        for _ in 0..index.trailing_ones() {
            let left = subtrees.pop().expect("each bit set in the index stands for one subtree");
            hash = hash_parts(GALLERY_NODE_PREFIX, &[&left, &hash]);
        }
        subtrees.push(hash);
    }
    subtrees
        .into_iter()
        .rev()
        .reduce(|right, left| hash_parts(GALLERY_NODE_PREFIX, &[&left, &right]))
        .unwrap_or_else(|| hash_parts(GALLERY_NODE_PREFIX, &[]))
}

/// The Merkle root over `(block id, version)` in the order of the manifest. A leaf is the 16 bytes of the
/// block id and the version as 8 bytes, big-endian.
pub fn blocks_root(blocks: &[([u8; 16], u64)]) -> [u8; DIGEST_BYTES] {
    merkle_root(blocks.iter().map(|(id, version)| {
        let mut leaf = [0; 24];
        leaf[..16].copy_from_slice(id);
        leaf[16..].copy_from_slice(&version.to_be_bytes());
        leaf
    }))
}

fn hash_parts(prefix: u8, parts: &[&[u8]]) -> [u8; DIGEST_BYTES] {
    let mut hasher = Hasher::new();
    hasher.update(&[prefix]);
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tyto_pqc::digest::sha3_256;

    /// RFC 9162 section 2.1.1, word for word.
    fn by_definition(leaves: &[Vec<u8>]) -> [u8; 32] {
        match leaves {
            [] => sha3_256(&[&[3]]),
            [leaf] => sha3_256(&[&[2], leaf]),
            _ => {
                let k = leaves.len().next_power_of_two() / 2;
                sha3_256(&[&[3], &by_definition(&leaves[..k]), &by_definition(&leaves[k..])])
            }
        }
    }

    #[test]
    fn the_tree_has_the_shape_of_rfc_9162() {
        let leaves: Vec<Vec<u8>> = (0..70_usize).map(|i| vec![i as u8; i % 5]).collect();
        for n in 0..=leaves.len() {
            assert_eq!(merkle_root(&leaves[..n]), by_definition(&leaves[..n]), "{n} leaves");
        }
    }

    #[test]
    fn the_root_of_blocks_binds_ids_versions_and_order() {
        let blocks = [([1; 16], 1), ([2; 16], 1), ([3; 16], 7)];
        let root = blocks_root(&blocks);
        let leaf = [&[1; 16][..], &[0, 0, 0, 0, 0, 0, 0, 1]].concat();
        assert_eq!(blocks_root(&blocks[..1]), sha3_256(&[&[2], &leaf]));

        let others = [
            blocks_root(&[blocks[1], blocks[0], blocks[2]]),
            blocks_root(&blocks[..2]),
            blocks_root(&[blocks[0], blocks[1], ([3; 16], 8)]),
            blocks_root(&[blocks[0], blocks[1], ([4; 16], 7)]),
        ];
        assert!(others.iter().all(|other| *other != root));
    }

    #[test]
    fn salted_digests_differ_by_kind_salt_and_content() {
        let mut framed = vec![22];
        framed.extend_from_slice(b"tyto/v1/attest-request");
        framed.extend_from_slice(&[9; 32]);
        let digest = salted(DigestKind::Request, &[9; 32], b"content");
        assert_eq!(digest, sha3_256(&[&framed, b"content"]));

        let others = [
            salted(DigestKind::Result, &[9; 32], b"content"),
            salted(DigestKind::GalleryState, &[9; 32], b"content"),
            salted(DigestKind::Records, &[9; 32], b"content"),
            salted(DigestKind::Request, &[8; 32], b"content"),
            salted(DigestKind::Request, &[9; 32], b"contents"),
        ];
        assert!(others.iter().all(|other| *other != digest));

        let mut pieces = SaltedDigest::new(DigestKind::Request, &[9; 32]);
        pieces.update(b"con");
        pieces.update(b"tent");
        assert_eq!(pieces.finalize(), digest);
    }
}
