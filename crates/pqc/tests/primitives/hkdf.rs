//! HMAC and HKDF with SHA3-256: NIST's example, and the crate `hkdf` on many inputs.

use crate::bytes::{bit_flips, hex};
use hkdf::SimpleHkdf;
use sha3::Sha3_256;
use tyto_pqc::digest::sha3_256;
use tyto_pqc::{Secret32, hkdf as ours, hmac};

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

/// Salts up to a block, inputs and infos around the lengths at which the sponge takes another block.
#[test]
fn hkdf_agrees_with_the_crate_hkdf() {
    let bytes: Vec<u8> = (0_u8..20).flat_map(|i| sha3_256(&[&[i]])).collect();
    for salt_bytes in [0, 1, 31, 32, 33, 135, 136] {
        for input_bytes in [0, 1, 32, 135, 136, 137, 300] {
            let (salt, input) = (&bytes[..salt_bytes], &bytes[salt_bytes..][..input_bytes]);
            let key = ours::extract(salt, input);
            let (theirs, expander) = SimpleHkdf::<Sha3_256>::extract(Some(salt), input);
            assert_eq!(key.expose(), &theirs[..], "salt {salt_bytes}, input {input_bytes}");
            for info_bytes in [0, 1, 32, 134, 135, 136, 137, 500] {
                let (head, tail) = bytes[..info_bytes].split_at(info_bytes / 3);
                let mut expected = [0; 32];
                expander.expand(&bytes[..info_bytes], &mut expected).unwrap();
                assert_eq!(ours::expand(&key, &[head, tail]).expose(), &expected, "info {info_bytes}");
            }
        }
    }
}
