//! HMAC (RFC 2104) with SHA3-256.

use ::hmac::{KeyInit, Mac, SimpleHmac};
use sha3::Sha3_256;

use crate::Secret32;
use crate::digest::DIGEST_BYTES;
use crate::stack::with_stack_wiped;

/// Length of a tag.
pub const TAG_BYTES: usize = DIGEST_BYTES;

/// The tag of the parts, one after the other.
///
/// # Security
/// Nothing marks where one part ends; the caller frames parts of variable length.
pub fn tag(key: &Secret32, parts: &[&[u8]]) -> [u8; TAG_BYTES] {
    with_stack_wiped(|| keyed(key, parts).finalize().into_bytes().into())
}

/// Whether `tag` is the [`tag`] of the parts, in time that does not depend on where the two differ. A tag of any
/// length but [`TAG_BYTES`] is wrong.
pub fn verify(key: &Secret32, parts: &[&[u8]], tag: &[u8]) -> bool {
    with_stack_wiped(|| keyed(key, parts).verify_slice(tag).is_ok())
}

fn keyed(key: &Secret32, parts: &[&[u8]]) -> SimpleHmac<Sha3_256> {
    let mut mac = SimpleHmac::new_from_slice(key.expose()).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac
}
