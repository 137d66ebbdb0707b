//! HKDF (RFC 5869) with SHA3-256.
//!
//! Every key that is derived has 32 bytes, one output of the hash: [`expand`] has one round.

use crate::{Secret32, hmac};

/// HKDF-Extract (RFC 5869 section 2.2): a pseudo-random key from secret input that need not be uniform. An empty salt is
/// a salt of zeros.
///
/// # Panics
/// If the salt has more than 136 bytes.
pub fn extract(salt: &[u8], input: &[u8]) -> Secret32 {
    Secret32::from_fn(|out| hmac::tag_into(salt, &[input], out))
}

/// HKDF-Expand (RFC 5869 section 2.3) with `L = 32`. The info is the parts, one after the other.
///
/// # Security
/// Nothing marks where one part ends; the caller frames parts of variable length.
pub fn expand(key: &Secret32, info: &[&[u8]]) -> Secret32 {
    let mut message: Vec<&[u8]> = info.to_vec();
    message.push(&[1]);
    Secret32::from_fn(|out| hmac::tag_into(key.expose(), &message, out))
}
