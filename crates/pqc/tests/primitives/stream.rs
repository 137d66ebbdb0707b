//! AES-256 in counter mode from zero, against published ciphertexts of AES-256.

use crate::bytes::hex;
use tyto_pqc::stream::{BLOCK_BYTES, KeyStream};

fn stream(key: [u8; 32]) -> KeyStream {
    KeyStream::new(&key)
}

/// The hash key of test case 13 of the GCM specification is the encryption of 0, its tag that of 1, and the
/// ciphertext of test case 14 that of 2 (appendix B).
#[test]
fn the_stream_of_the_zero_key_is_that_of_the_gcm_specification() {
    let expected =
        "dc95c078a2408989ad48a21492842087530f8afbc74536b9a963b4f1c4cb738bcea7403d4d606b6e074ec5d3baf39d18";
    let mut out = [0xaa; 3 * BLOCK_BYTES];
    stream([0; 32]).read(&mut out);
    assert_eq!(out.as_slice(), hex(expected));
}

/// The first case of `ECBKeySbox256.rsp` of the AES known-answer tests (NIST CAVP): the encryption of 0.
#[test]
fn the_first_block_is_the_encryption_of_zero() {
    let key = hex("c47b0294dbbbee0fec4757f22ffeee3587ca4730c3d33b691df38bab076bc558");
    let mut out = [0; BLOCK_BYTES];
    stream(key.try_into().unwrap()).read(&mut out);
    assert_eq!(out.as_slice(), hex("46f2fb342d6f0ab477476fc501242c5f"));
}

#[test]
fn a_stream_goes_on_where_it_was_left() {
    let mut whole = vec![0; 20_000];
    stream([7; 32]).read(&mut whole);
    let mut parts = vec![0; 20_000];
    let mut reader = stream([7; 32]);
    let mut rest = parts.as_mut_slice();
    for blocks in [0, 1, 127, 128, 129, 300, 565] {
        let (part, after) = rest.split_at_mut(blocks * BLOCK_BYTES);
        reader.read(part);
        rest = after;
    }
    assert!(rest.is_empty() && parts == whole);
    let mut other = vec![0; 20_000];
    stream([8; 32]).read(&mut other);
    assert_ne!(whole, other);
    assert_eq!(format!("{reader:?}"), "KeyStream([redacted])");
}

#[test]
#[should_panic(expected = "whole blocks")]
fn parts_of_blocks_are_refused() {
    stream([0; 32]).read(&mut [0; 15]);
}
