//! KMAC256 (NIST SP 800-185 section 4).
//!
//! `KMAC256(K, X, L, S) = cSHAKE256(bytepad(encode_string(K), 136) || X || right_encode(L), L, "KMAC", S)`. All lengths here are whole bytes.

use core::fmt;

use cshake::CShake256;
use cshake::digest::{ExtendableOutput, Update, XofReader as _};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// Rate of Keccak\[512\], the `w` of `bytepad` for KMAC256.
const RATE_BYTES: usize = 136;

/// Length of the tag of [`mac16`].
pub const TAG_BYTES: usize = 16;

/// A KMAC256 computation. The state is wiped on drop.
pub struct Kmac256(CShake256);

impl Kmac256 {
    /// Starts with key `K` and customization string `S`.
    pub fn new(key: &[u8], customization: &[u8]) -> Self {
        let mut sponge = CShake256::new_with_function_name(b"KMAC", customization);
        absorb_padded_key(&mut sponge, key);
        Self(sponge)
    }

    /// Appends `bytes` to the input `X`. Calls are not framed.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The output, with `L = 8 * out.len()`.
    ///
    /// The length is part of the function: a shorter output is not a prefix of a longer one.
    pub fn finalize(mut self, out: &mut [u8]) {
        let (bytes, start) = minimal_be(8 * out.len() as u64);
        self.0.update(&bytes[start..]);
        self.0.update(&[(bytes.len() - start) as u8]);
        self.0.finalize_xof().read(out);
    }
}

impl fmt::Debug for Kmac256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kmac256([redacted])")
    }
}

/// A 16-byte tag: KMAC256 of the parts, one after the other, with `L = 128`.
///
/// # Security
/// Nothing marks where one part ends; the caller frames parts of variable length.
pub fn mac16(key: &[u8], customization: &[u8], parts: &[&[u8]]) -> [u8; TAG_BYTES] {
    let mut mac = Kmac256::new(key, customization);
    for part in parts {
        mac.update(part);
    }
    let mut tag = [0; TAG_BYTES];
    mac.finalize(&mut tag);
    tag
}

/// Whether `tag` is the tag of [`mac16`], in time that does not depend on where the two differ. A tag of
/// any length but 16 bytes is wrong.
pub fn verify16(key: &[u8], customization: &[u8], parts: &[&[u8]], tag: &[u8]) -> bool {
    let mut expected = mac16(key, customization, parts);
    let equal = expected.ct_eq(tag).into();
    expected.zeroize();
    equal
}

/// `bytepad(encode_string(key), 136)` (SP 800-185 sections 2.3.2 and 2.3.3).
fn absorb_padded_key(sponge: &mut CShake256, key: &[u8]) {
    let mut absorbed = absorb_left_encode(sponge, RATE_BYTES as u64);
    absorbed += absorb_left_encode(sponge, 8 * key.len() as u64);
    sponge.update(key);
    absorbed += key.len();
    sponge.update(&[0; RATE_BYTES][..absorbed.next_multiple_of(RATE_BYTES) - absorbed]);
}

/// `left_encode` (SP 800-185 section 2.3.1). Returns how many bytes it took.
fn absorb_left_encode(sponge: &mut CShake256, value: u64) -> usize {
    let (bytes, start) = minimal_be(value);
    let significant = &bytes[start..];
    sponge.update(&[significant.len() as u8]);
    sponge.update(significant);
    1 + significant.len()
}

/// The value in big-endian bytes and where its significant bytes begin; zero has one significant byte.
fn minimal_be(value: u64) -> ([u8; 8], usize) {
    (value.to_be_bytes(), (value.leading_zeros() as usize / 8).min(7))
}
