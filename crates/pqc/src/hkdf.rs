//! HKDF (RFC 5869) with SHA3-256.

use ::hkdf::SimpleHkdf;
use sha3::Sha3_256;

use crate::Secret32;
use crate::stack::with_stack_wiped;

/// HKDF-Extract (RFC 5869 section 2.2): a pseudo-random key from secret input that need not be uniform. An empty salt is
/// a salt of zeros.
pub fn extract(salt: &[u8], input: &[u8]) -> Secret32 {
    with_stack_wiped(|| {
        let (key, _) = SimpleHkdf::<Sha3_256>::extract(Some(salt), input);
        Secret32::from_fn(|out| out.copy_from_slice(&key))
    })
}

/// HKDF-Expand (RFC 5869 section 2.3) with `L = 32`, one output of the hash. The info is the parts, one after the other.
///
/// # Security
/// Nothing marks where one part ends; the caller frames parts of variable length.
pub fn expand(key: &Secret32, info: &[&[u8]]) -> Secret32 {
    with_stack_wiped(|| {
        let hkdf = SimpleHkdf::<Sha3_256>::from_prk(key.expose()).expect("the key has the hash's length");
        Secret32::from_fn(|out| hkdf.expand_multi_info(info, out).expect("one output of the hash is allowed"))
    })
}
