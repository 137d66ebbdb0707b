//! SHA3-256 (FIPS 202).

use sha3::Sha3_256;
use sha3::digest::{FixedOutput, Update};

/// Length of a SHA3-256 digest.
pub const DIGEST_BYTES: usize = 32;

/// SHA3-256 of the parts, one after the other.
///
/// # Security
/// Nothing marks where one part ends: `["ab", "c"]` and `["a", "bc"]` have one digest. The caller frames
/// parts of variable length.
pub fn sha3_256(parts: &[&[u8]]) -> [u8; DIGEST_BYTES] {
    let mut hasher = Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize()
}

/// SHA3-256 of each input, which is its parts one after the other: what [`sha3_256`] gives for each, up to eight at a
/// time with the CPU's vector instructions.
///
/// ```
/// use tyto_pqc::digest::{sha3_256, sha3_256_many};
/// let nodes = sha3_256_many([[&b"leaf "[..], b"one"], [b"leaf ", b"two"]]);
/// let roots = sha3_256_many(nodes.as_chunks::<2>().0.iter().map(|[a, b]| [&b"node "[..], a, b]));
/// assert_eq!(roots, [sha3_256(&[b"node ", &sha3_256(&[b"leaf one"]), &sha3_256(&[b"leaf two"])])]);
/// ```
///
/// # Security
/// As for [`sha3_256`]; besides, copies of the inputs are not wiped. Inputs that follow each other are fastest if they
/// are of about the same length.
pub fn sha3_256_many<'a, const P: usize>(
    inputs: impl IntoIterator<Item = [&'a [u8]; P]>,
) -> Vec<[u8; DIGEST_BYTES]> {
    tyto_kernels::keccak::sha3_256_many(tyto_kernels::detect(), inputs)
}

/// SHA3-256 of bytes that arrive in pieces. The state is wiped on drop.
#[derive(Clone, Default)]
pub struct Hasher(Sha3_256);

impl Hasher {
    /// A hasher of the empty string.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends `bytes` to what is hashed.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of everything appended.
    pub fn finalize(self) -> [u8; DIGEST_BYTES] {
        self.0.finalize_fixed().into()
    }
}

/// Takes everything, so that a reader is hashed by [`std::io::copy`].
impl std::io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl core::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Hasher(SHA3-256)")
    }
}
