//! ML-KEM: both sides get one secret, every change gives another, and malformed input is refused.

use crate::bytes::hex;
use tyto_pqc::Error;
use tyto_pqc::digest::sha3_256;
use tyto_pqc::mlkem::{Ciphertext, DecapsulationKey, EncapsulationKey, ParameterSet};

fn malformed(set: ParameterSet, what: &'static str, actual_bytes: usize) -> Error {
    Error::MalformedKey { algorithm: set.name(), what, actual_bytes }
}

#[test]
fn both_sides_get_one_secret() {
    for set in ParameterSet::ALL {
        let key = DecapsulationKey::generate(set).unwrap();
        let public = EncapsulationKey::from_bytes(set, key.encapsulation_key().as_bytes()).unwrap();
        assert_eq!((&public, public.parameter_set()), (key.encapsulation_key(), set));
        let restored = DecapsulationKey::from_bytes(set, &key.to_bytes().unwrap()).unwrap();
        assert_eq!(restored.encapsulation_key(), &public);
        let (ciphertext, secret) = public.encapsulate().unwrap();
        let received = Ciphertext::from_bytes(set, ciphertext.as_bytes()).unwrap();
        assert!(key.decapsulate(&received).unwrap() == secret);
        assert!(restored.decapsulate(&received).unwrap() == secret);
        let (other_ciphertext, other_secret) = public.encapsulate().unwrap();
        assert!(other_ciphertext != ciphertext && other_secret != secret, "encapsulation is deterministic");
        assert_ne!(DecapsulationKey::generate(set).unwrap().encapsulation_key(), &public);
    }
}

#[test]
fn changed_ciphertexts_give_other_secrets() {
    for set in ParameterSet::ALL {
        let key = DecapsulationKey::generate(set).unwrap();
        let (ciphertext, secret) = key.encapsulation_key().encapsulate().unwrap();
        let mut rejected = std::collections::BTreeSet::new();
        for i in 0..set.ciphertext_bytes() {
            let mut flipped = ciphertext.as_bytes().to_vec();
            flipped[i] ^= 1 << (i % 8);
            let found = key.decapsulate(&Ciphertext::from_bytes(set, &flipped).unwrap()).unwrap();
            assert!(found != secret, "{set}: byte {i}");
            rejected.insert(*found.expose());
        }
        assert_eq!(rejected.len(), set.ciphertext_bytes(), "secrets of implicit rejection repeat");
        let stranger = DecapsulationKey::generate(set).unwrap();
        assert!(stranger.decapsulate(&ciphertext).unwrap() != secret);
    }
}

#[test]
fn ciphertexts_of_a_wrong_length_are_refused() {
    for (set, other) in
        [(ParameterSet::MlKem768, ParameterSet::MlKem1024), (ParameterSet::MlKem1024, ParameterSet::MlKem768)]
    {
        let expected_bytes = set.ciphertext_bytes();
        let error =
            |actual_bytes| Error::MalformedCiphertext { algorithm: set.name(), expected_bytes, actual_bytes };
        for length in [0, expected_bytes - 1, expected_bytes + 1, other.ciphertext_bytes()] {
            assert_eq!(Ciphertext::from_bytes(set, &vec![1; length]), Err(error(length)));
        }
        let foreign = Ciphertext::from_bytes(other, &vec![1; other.ciphertext_bytes()]).unwrap();
        let key = DecapsulationKey::generate(set).unwrap();
        assert_eq!(key.decapsulate(&foreign).err(), Some(error(other.ciphertext_bytes())));
    }
}

/// FIPS 203 section 7.2: the length, and each coefficient below `q`.
#[test]
fn encapsulation_keys_are_checked() {
    const Q: usize = 3329;
    for set in ParameterSet::ALL {
        let key = DecapsulationKey::generate(set).unwrap();
        let bytes = key.encapsulation_key().as_bytes();
        for length in [0, 1, bytes.len() - 1, bytes.len() + 1] {
            let error = malformed(set, "encapsulation key", length);
            assert_eq!(EncapsulationKey::from_bytes(set, &vec![0; length]), Err(error));
        }
        let coefficients = (bytes.len() - 32) / 3 * 2;
        for i in 0..coefficients {
            let with = |value: usize| {
                let mut changed = bytes.to_vec();
                let (at, shift) = (i / 2 * 3 + i % 2, 4 * (i % 2));
                let pair = u16::from_le_bytes([changed[at], changed[at + 1]]);
                let kept = pair & !(0xfff << shift);
                changed[at..at + 2].copy_from_slice(&(kept | (value as u16) << shift).to_le_bytes());
                EncapsulationKey::from_bytes(set, &changed)
            };
            assert!(with(Q - 1).is_ok(), "{set}: coefficient {i}");
            for value in [Q, 4095] {
                let error = malformed(set, "encapsulation key (modulus check)", bytes.len());
                assert_eq!(with(value), Err(error), "{set}: coefficient {i}");
            }
        }
        // The seed of the matrix is not a list of coefficients.
        let seed_of_ones = [&bytes[..bytes.len() - 32], &[0xff; 32]].concat();
        assert!(EncapsulationKey::from_bytes(set, &seed_of_ones).is_ok());
    }
}

/// FIPS 203 section 7.3: the length and the hash of the encapsulation key.
#[test]
fn decapsulation_keys_are_checked() {
    for set in ParameterSet::ALL {
        let bytes = DecapsulationKey::generate(set).unwrap().to_bytes().unwrap();
        for length in [0, 1, bytes.len() - 1] {
            let error = malformed(set, "decapsulation key", length);
            assert_eq!(DecapsulationKey::from_bytes(set, &bytes[..length]).err(), Some(error));
        }
        let longer = [&bytes[..], &[0]].concat();
        let error = malformed(set, "decapsulation key", longer.len());
        assert_eq!(DecapsulationKey::from_bytes(set, &longer).err(), Some(error));
        let hashed = bytes.len() - 64 - set.encapsulation_key_bytes()..bytes.len() - 32;
        for i in hashed.step_by(7) {
            let mut changed = bytes.to_vec();
            changed[i] ^= 1;
            let error = malformed(set, "decapsulation key (hash check)", bytes.len());
            assert_eq!(DecapsulationKey::from_bytes(set, &changed).err(), Some(error), "{set}: byte {i}");
        }
    }
}

#[test]
fn the_key_id_names_set_and_key() {
    let key = DecapsulationKey::generate(ParameterSet::MlKem768).unwrap();
    let public = key.encapsulation_key();
    assert_eq!(public.key_id(), sha3_256(&[b"tyto/v1/ml-kem-768-key", public.as_bytes()]));
    let shown = format!("{public:?}");
    let shown = shown.strip_prefix("EncapsulationKey(ML-KEM-768 ").unwrap();
    assert_eq!(hex(shown.strip_suffix(")").unwrap()), public.key_id()[..8]);
}
