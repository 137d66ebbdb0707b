//! AES-256-GCM-SIV: RFC 8452 vectors, and everything that must not open.

use crate::bytes::{bit_flips, hex};
use tyto_pqc::Error;
use tyto_pqc::Secret32;
use tyto_pqc::aead::{OVERHEAD, SealingKey};

fn key(bytes: &[u8]) -> SealingKey {
    SealingKey::new(&Secret32::from_bytes(bytes.try_into().unwrap())).unwrap()
}

struct Vector {
    source: &'static str,
    key: &'static str,
    nonce: &'static str,
    aad: &'static str,
    plaintext: &'static str,
    result: &'static str,
}

const KEY_01: &str = "0100000000000000000000000000000000000000000000000000000000000000";
const KEY_00: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// RFC 8452 appendix C.2 (by position) and C.3.
const RFC_8452: [Vector; 7] = [
    Vector {
        source: "C.2, 0 bytes",
        key: KEY_01,
        nonce: "030000000000000000000000",
        aad: "",
        plaintext: "",
        result: "07f5f4169bbf55a8400cd47ea6fd400f",
    },
    Vector {
        source: "C.2, 8 bytes",
        key: KEY_01,
        nonce: "030000000000000000000000",
        aad: "",
        plaintext: "0100000000000000",
        result: "c2ef328e5c71c83b843122130f7364b761e0b97427e3df28",
    },
    Vector {
        source: "C.2, 48 bytes",
        key: KEY_01,
        nonce: "030000000000000000000000",
        aad: "",
        plaintext: "010000000000000000000000000000000200000000000000000000000000000003000000000000000000000000000000",
        result: "c00d121893a9fa603f48ccc1ca3c57ce7499245ea0046db16c53c7c66fe717e3
                 9cf6c748837b61f6ee3adcee17534ed5790bc96880a99ba804bd12c0e6a22cc4",
    },
    Vector {
        source: "C.2, 8 bytes, AAD 1 byte",
        key: KEY_01,
        nonce: "030000000000000000000000",
        aad: "01",
        plaintext: "0200000000000000",
        result: "1de22967237a813291213f267e3b452f02d01ae33e4ec854",
    },
    Vector {
        source: "C.2, 21 bytes, AAD 35 bytes (last)",
        key: "3c535de192eaed3822a2fbbe2ca9dfc88255e14a661b8aa82cc54236093bbc23",
        nonce: "688089e55540db1872504e1c",
        aad: "734320ccc9d9bbbb19cb81b2af4ecbc3e72834321f7aa0f70b7282b4f33df23f167541",
        plaintext: "ced532ce4159b035277d4dfbb7db62968b13cd4eec",
        result: "626660c26ea6612fb17ad91e8e767639edd6c9faee9d6c7029675b89eaf4ba1ded1a286594",
    },
    Vector {
        source: "C.3, counter wraps (1)",
        key: KEY_00,
        nonce: "000000000000000000000000",
        aad: "",
        plaintext: "000000000000000000000000000000004db923dc793ee6497c76dcc03a98e108",
        result: "f3f80f2cf0cb2dd9c5984fcda908456cc537703b5ba70324a6793a7bf218d3ea
                 ffffffff000000000000000000000000",
    },
    Vector {
        source: "C.3, counter wraps (2)",
        key: KEY_00,
        nonce: "000000000000000000000000",
        aad: "",
        plaintext: "eb3640277c7ffd1303c7a542d02d3e4c0000000000000000",
        result: "18ce4f0b8cb4d0cac65fea8f79257b20888e53e72299e56dffffffff000000000000000000000000",
    },
];

#[test]
fn rfc_8452_vectors_open() {
    for vector in &RFC_8452 {
        let sealed = [hex(vector.nonce), hex(vector.result)].concat();
        let opened = key(&hex(vector.key)).open(&hex(vector.aad), &sealed);
        assert_eq!(opened.as_deref(), Ok(&hex(vector.plaintext)), "{}", vector.source);
    }
}

#[test]
fn sealed_bytes_open_and_never_repeat() {
    let key = key(&[7; 32]);
    for length in [0, 1, 15, 16, 17, 100, 4096] {
        let plaintext: Vec<u8> = (0..length).map(|i| i as u8).collect();
        let sealed = key.seal(b"aad", &plaintext).unwrap();
        assert_eq!(sealed.len(), plaintext.len() + OVERHEAD);
        assert_eq!(*key.open(b"aad", &sealed).unwrap(), plaintext);
        let again = key.seal(b"aad", &plaintext).unwrap();
        assert_ne!(again[..12], sealed[..12], "the nonce repeats");
    }
}

#[test]
fn no_change_opens() {
    let bytes = [7; 32];
    let sealed = key(&bytes).seal(b"associated", b"forty bytes of plaintext, give or take a few").unwrap();

    for flipped in bit_flips(&sealed) {
        assert_eq!(key(&bytes).open(b"associated", &flipped), Err(Error::NotAuthentic));
    }
    for flipped in bit_flips(b"associated") {
        assert_eq!(key(&bytes).open(&flipped, &sealed), Err(Error::NotAuthentic));
    }
    for flipped in bit_flips(&bytes) {
        assert_eq!(key(&flipped).open(b"associated", &sealed), Err(Error::NotAuthentic));
    }
    assert_eq!(key(&bytes).open(b"", &sealed), Err(Error::NotAuthentic));
    for length in 0..sealed.len() {
        let expected = if length < OVERHEAD {
            Error::SealedTooShort { actual_bytes: length, min_bytes: OVERHEAD }
        } else {
            Error::NotAuthentic
        };
        assert_eq!(key(&bytes).open(b"associated", &sealed[..length]), Err(expected));
    }
    let longer = [&sealed[..], &[0]].concat();
    assert_eq!(key(&bytes).open(b"associated", &longer), Err(Error::NotAuthentic));
}

#[test]
fn debug_shows_no_key() {
    assert_eq!(format!("{:?}", key(&[7; 32])), "SealingKey([redacted])");
}
