//! HMAC (RFC 2104) with SHA3-256: `HMAC(K, m) = H((K ^ opad) || H((K ^ ipad) || m))`.
//!
//! Keys here have 32 bytes, less than the block of 136 bytes, and are padded with zeros.

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::Secret32;
use crate::digest::{DIGEST_BYTES, Hasher};

/// Length of a tag.
pub const TAG_BYTES: usize = DIGEST_BYTES;

/// Block of SHA3-256: the rate of its sponge (FIPS 202 table 3).
const BLOCK_BYTES: usize = 136;

const IPAD: u8 = 0x36;
const OPAD: u8 = 0x5c;

/// The tag of the parts, one after the other.
///
/// # Security
/// Nothing marks where one part ends; the caller frames parts of variable length.
pub fn tag(key: &Secret32, parts: &[&[u8]]) -> [u8; TAG_BYTES] {
    let mut tag = [0; TAG_BYTES];
    tag_into(key.expose(), parts, &mut tag);
    tag
}

/// Whether `tag` is the [`tag`] of the parts, in time that does not depend on where the two differ. A tag of any
/// length but [`TAG_BYTES`] is wrong.
pub fn verify(key: &Secret32, parts: &[&[u8]], tag: &[u8]) -> bool {
    let mut expected = Zeroizing::new([0; TAG_BYTES]);
    tag_into(key.expose(), parts, &mut expected);
    expected.as_slice().ct_eq(tag).into()
}

/// Writes the tag in place: where it is a secret itself, no copy stays behind.
///
/// # Panics
/// If the key is longer than a block, which no caller's is.
pub(crate) fn tag_into(key: &[u8], parts: &[&[u8]], out: &mut [u8; TAG_BYTES]) {
    let mut block = Zeroizing::new([0; BLOCK_BYTES]);
    block[..key.len()].copy_from_slice(key);
    let mut hasher = keyed(&mut block, IPAD);
    parts.iter().for_each(|part| hasher.update(part));
    let mut inner = Zeroizing::new([0; DIGEST_BYTES]);
    hasher.finalize_into(&mut inner);
    // What is there is the key with the inner pad.
    let mut hasher = keyed(&mut block, IPAD ^ OPAD);
    hasher.update(&*inner);
    hasher.finalize_into(out);
}

fn keyed(block: &mut [u8; BLOCK_BYTES], pad: u8) -> Hasher {
    block.iter_mut().for_each(|byte| *byte ^= pad);
    let mut hasher = Hasher::new();
    hasher.update(block);
    hasher
}
