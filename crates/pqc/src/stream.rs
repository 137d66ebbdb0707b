//! Pseudo-random streams: AES-256 in counter mode (FIPS 197, NIST SP 800-38A section 6.5) over zeros.
//!
//! One key makes one stream. The counter block begins at zero and counts big-endian, so block `n` of the stream is
//! the encryption of `n`.

use core::fmt;

use aws_lc_rs::cipher::{AES_256, EncryptionContext, StreamingEncryptingKey, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;

/// Bytes of one block: streams are read in whole blocks.
pub const BLOCK_BYTES: usize = 16;

/// What is encrypted: half a page stays in the first cache beside what is written.
static ZEROS: [u8; 2048] = [0; 2048];

/// The stream of one key.
///
/// # Security
/// As long as AES-256 is a pseudo-random permutation, `n` blocks differ from random ones only in that no two are
/// equal: an advantage of `n^2 / 2^129`. One stream has at most some thousand blocks. Every CPU gives the same bytes;
/// the library takes the AES instructions where there are some and constant-time code elsewhere.
///
/// The library keeps the key schedule on the heap and wipes it when the value is dropped; the copy of the key that
/// it is given is wiped too.
pub struct KeyStream(StreamingEncryptingKey);

impl KeyStream {
    /// The stream of a key. The key stays the caller's, who wipes it.
    ///
    /// # Panics
    /// If there is no memory for the key schedule.
    pub fn new(key: &[u8; 32]) -> Self {
        let start = EncryptionContext::Iv128(FixedLength::from([0; BLOCK_BYTES]));
        let key = UnboundCipherKey::new(&AES_256, key).expect("the key has 32 bytes");
        Self(StreamingEncryptingKey::less_safe_ctr(key, start).expect("memory for a key schedule"))
    }

    /// Fills `out` with the next bytes of the stream.
    ///
    /// # Panics
    /// If `out` is not whole blocks.
    pub fn read(&mut self, out: &mut [u8]) {
        assert!(out.len().is_multiple_of(BLOCK_BYTES), "a stream is read in whole blocks");
        for part in out.chunks_mut(ZEROS.len()) {
            let zeros = &ZEROS[..part.len()];
            self.0.less_safe_update(zeros, part).expect("counter mode takes any whole blocks");
        }
    }
}

impl fmt::Debug for KeyStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyStream([redacted])")
    }
}
