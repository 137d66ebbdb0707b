//! AES-256-GCM: vectors of the algorithm's specification, and everything that must not open.

use crate::bytes::{bit_flips, hex};
use tyto_pqc::gcm::{Key, NONCE_BYTES, TAG_BYTES};
use tyto_pqc::{Error, Secret32};

struct Vector {
    case: &'static str,
    key: &'static str,
    nonce: &'static str,
    aad: &'static str,
    plaintext: &'static str,
    result: &'static str,
}

const ZERO_KEY: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The specification that the algorithm was submitted to NIST with (2005), appendix B.
const SPECIFICATION: [Vector; 3] = [
    Vector {
        case: "13",
        key: ZERO_KEY,
        nonce: "000000000000000000000000",
        aad: "",
        plaintext: "",
        result: "530f8afbc74536b9a963b4f1c4cb738b",
    },
    Vector {
        case: "14",
        key: ZERO_KEY,
        nonce: "000000000000000000000000",
        aad: "",
        plaintext: "00000000000000000000000000000000",
        result: "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919",
    },
    Vector {
        case: "16",
        key: "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
        nonce: "cafebabefacedbaddecaf888",
        aad: "feedfacedeadbeeffeedfacedeadbeefabaddad2",
        plaintext: "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72
                    1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
        result: "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa
                 8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662
                 76fc6ece0f4e1768cddf8853bb2d551b",
    },
];

fn key(bytes: &[u8]) -> Key {
    Key::new(&Secret32::from_bytes(bytes.try_into().unwrap())).unwrap()
}

#[test]
fn the_vectors_of_the_specification_seal_and_open() {
    for vector in &SPECIFICATION {
        let key = key(&hex(vector.key));
        let nonce: [u8; NONCE_BYTES] = hex(vector.nonce).try_into().unwrap();
        let (aad, plaintext) = (hex(vector.aad), hex(vector.plaintext));
        let mut bytes = plaintext.clone();
        let tag = key.seal_in_place(nonce, &aad, &mut bytes).unwrap();
        bytes.extend_from_slice(&tag);
        assert_eq!(bytes, hex(vector.result), "case {}", vector.case);
        let length = key.open_in_place(nonce, &aad, &mut bytes).unwrap();
        assert_eq!(bytes[..length], plaintext, "case {}", vector.case);
    }
}

/// And nothing of the plaintext is left in what does not open.
#[test]
fn what_was_altered_does_not_open() {
    let key = key(&[7; 32]);
    let nonce = [9; NONCE_BYTES];
    let sealed = {
        let mut bytes = b"forty bytes of text, more than one block".to_vec();
        let tag = key.seal_in_place(nonce, b"about", &mut bytes).unwrap();
        [&bytes[..], &tag].concat()
    };
    let refused = |nonce, aad: &[u8], mut bytes: Vec<u8>| {
        assert_eq!(key.open_in_place(nonce, aad, &mut bytes), Err(Error::NotAuthentic));
        assert!(bytes.iter().all(|&byte| byte == 0), "something is left");
    };
    bit_flips(&sealed).for_each(|flipped| refused(nonce, b"about", flipped));
    bit_flips(&nonce).for_each(|flipped| refused(flipped.try_into().unwrap(), b"about", sealed.clone()));
    bit_flips(b"about").for_each(|flipped| refused(nonce, &flipped, sealed.clone()));
    (TAG_BYTES..sealed.len()).for_each(|length| refused(nonce, b"about", sealed[..length].to_vec()));
    for length in 0..TAG_BYTES {
        let expected = Error::SealedTooShort { actual_bytes: length, min_bytes: TAG_BYTES };
        assert_eq!(key.open_in_place(nonce, b"about", &mut sealed[..length].to_vec()), Err(expected));
    }
}

#[test]
fn debug_shows_no_content() {
    assert_eq!(format!("{:?}", key(&[7; 32])), "Key([redacted])");
}
