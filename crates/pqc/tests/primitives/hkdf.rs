//! HMAC and HKDF with SHA3-256: NIST's example, and the definitions on many inputs.

use crate::bytes::{bit_flips, hex};
use tyto_pqc::digest::sha3_256;
use tyto_pqc::{Secret32, hkdf, hmac};

fn counting() -> Secret32 {
    Secret32::from_bytes(std::array::from_fn(|i| i as u8))
}

/// NIST example values "HMAC with SHA3-256", keylen < blocklen.
const SAMPLE: &[u8] = b"Sample message for keylen<blocklen";
const SAMPLE_TAG: &str = "4fe8e202c4f058e8dddc23d8c34e467343e23555e24fc2f025d598f558f67205";

#[test]
fn hmac_gives_the_example_of_nist_however_the_message_is_cut() {
    assert_eq!(hmac::tag(&counting(), &[SAMPLE]).to_vec(), hex(SAMPLE_TAG));
    let (head, tail) = SAMPLE.split_at(7);
    assert_eq!(hmac::tag(&counting(), &[head, b"", tail]).to_vec(), hex(SAMPLE_TAG));
}

#[test]
fn only_the_tag_itself_verifies() {
    let tag = hex(SAMPLE_TAG);
    assert!(hmac::verify(&counting(), &[SAMPLE], &tag));
    for other in bit_flips(&tag) {
        assert!(!hmac::verify(&counting(), &[SAMPLE], &other));
    }
    for length in (0..tag.len()).chain([tag.len() + 1]) {
        let mut other = tag.clone();
        other.resize(length, 0);
        assert!(!hmac::verify(&counting(), &[SAMPLE], &other), "{length} bytes");
    }
    assert!(!hmac::verify(&counting(), &[SAMPLE, b"x"], &tag));
    assert!(!hmac::verify(&Secret32::from_bytes([0; 32]), &[SAMPLE], &tag));
}

/// HMAC from its definition (RFC 2104 section 2), for keys of up to a block.
fn by_definition(key: &[u8], message: &[&[u8]]) -> [u8; 32] {
    let padded = |pad: u8| -> Vec<u8> { (0..136).map(|i| key.get(i).unwrap_or(&0) ^ pad).collect() };
    let inner = sha3_256(&[&padded(0x36), &message.concat()]);
    sha3_256(&[&padded(0x5c), &inner])
}

/// Salts up to a block, inputs and infos around the lengths at which the sponge takes another block.
#[test]
fn hmac_and_hkdf_are_what_their_definitions_say() {
    let bytes: Vec<u8> = (0_u8..20).flat_map(|i| sha3_256(&[&[i]])).collect();
    for salt_bytes in [0, 1, 31, 32, 33, 135, 136] {
        for input_bytes in [0, 1, 32, 135, 136, 137, 300] {
            let (salt, input) = (&bytes[..salt_bytes], &bytes[salt_bytes..][..input_bytes]);
            let key = hkdf::extract(salt, input);
            let expected = by_definition(salt, &[input]);
            assert_eq!(key.expose(), &expected, "salt {salt_bytes}, input {input_bytes}");
            for info_bytes in [0, 1, 32, 134, 135, 136, 137, 500] {
                let (head, tail) = bytes[..info_bytes].split_at(info_bytes / 3);
                let expected = by_definition(key.expose(), &[head, tail, &[1]]);
                assert_eq!(hkdf::expand(&key, &[head, tail]).expose(), &expected, "info {info_bytes}");
                assert_eq!(hmac::tag(&key, &[head, tail, &[1]]), expected, "message {info_bytes} and one");
            }
        }
    }
}
