//! ML-DSA-65: what signs verifies, nothing else does, and keys survive their encodings.

use crate::bytes::{bit_flips, hex};
use tyto_pqc::Error;
use tyto_pqc::digest::sha3_256;
use tyto_pqc::mldsa::{ParameterSet, SIGNATURE_BYTES, SigningKey, VERIFYING_KEY_BYTES, VerifyingKey};

const INVALID: Result<(), Error> = Err(Error::InvalidSignature { algorithm: "ML-DSA-65" });

#[test]
fn signatures_verify_and_are_hedged() {
    let key = SigningKey::generate().unwrap();
    let first = key.sign(b"message").unwrap();
    let second = key.sign(b"message").unwrap();
    assert_eq!(first.len(), SIGNATURE_BYTES);
    assert_ne!(first, second, "signing is deterministic");
    for signature in [first, second] {
        assert_eq!(key.verifying_key().verify(b"message", &signature), Ok(()));
    }
    let empty = key.sign(b"").unwrap();
    assert_eq!(key.verifying_key().verify(b"", &empty), Ok(()));
}

#[test]
fn every_set_signs_for_itself_alone() {
    let keys = ParameterSet::ALL.map(|set| SigningKey::generate_for(set).unwrap());
    for (key, set) in keys.iter().zip(ParameterSet::ALL) {
        assert_eq!((key.parameter_set(), key.verifying_key().parameter_set()), (set, set));
        let public = key.verifying_key().as_bytes();
        let signature = key.sign(b"message").unwrap();
        assert_eq!((public.len(), signature.len()), (set.public_key_bytes(), set.signature_bytes()));
        for other in ParameterSet::ALL {
            let read = VerifyingKey::from_bytes_for(other, public);
            if other == set {
                assert_eq!(read.unwrap().verify(b"message", &signature), Ok(()));
            } else {
                let actual_bytes = public.len();
                let error = Error::MalformedKey { algorithm: other.name(), what: "public key", actual_bytes };
                assert_eq!(read, Err(error));
            }
        }
        for (other, its_set) in keys.iter().zip(ParameterSet::ALL).filter(|(_, its_set)| *its_set != set) {
            let error = Error::InvalidSignature { algorithm: its_set.name() };
            assert_eq!(other.verifying_key().verify(b"message", &signature), Err(error));
        }
        for flipped in bit_flips(&signature).step_by(97) {
            assert!(key.verifying_key().verify(b"message", &flipped).is_err(), "{set}");
        }
        assert_eq!(ParameterSet::from_name(set.name()), Some(set));
    }
    assert_eq!(SigningKey::generate().unwrap().parameter_set(), ParameterSet::MlDsa65);
}

#[test]
fn no_change_verifies() {
    let key = SigningKey::generate().unwrap();
    let verifying = key.verifying_key();
    let signature = key.sign(b"message").unwrap();

    for flipped in bit_flips(&signature) {
        assert_eq!(verifying.verify(b"message", &flipped), INVALID);
    }
    for flipped in bit_flips(b"message") {
        assert_eq!(verifying.verify(&flipped, &signature), INVALID);
    }
    for (i, flipped) in bit_flips(verifying.as_bytes()).enumerate() {
        // Each costs a key expansion: one bit of every byte.
        if i % 8 == i / 8 % 8 {
            let other = VerifyingKey::from_bytes(&flipped).unwrap();
            assert_eq!(other.verify(b"message", &signature), INVALID);
        }
    }
    for length in [0, 1, SIGNATURE_BYTES - 1] {
        assert_eq!(verifying.verify(b"message", &signature[..length]), INVALID);
    }
    assert_eq!(verifying.verify(b"message", &[&signature[..], &[0]].concat()), INVALID);
    let stranger = SigningKey::generate().unwrap();
    assert_eq!(stranger.verifying_key().verify(b"message", &signature), INVALID);
}

#[test]
fn keys_survive_their_encodings() {
    let key = SigningKey::generate().unwrap();
    let restored = SigningKey::from_pkcs8(&key.to_pkcs8().unwrap()).unwrap();
    assert_eq!(restored.verifying_key(), key.verifying_key());
    let signature = restored.sign(b"message").unwrap();
    let public = VerifyingKey::from_bytes(key.verifying_key().as_bytes()).unwrap();
    assert_eq!(&public, key.verifying_key());
    assert_eq!(public.verify(b"message", &signature), Ok(()));
    assert_ne!(SigningKey::generate().unwrap().verifying_key(), key.verifying_key());
}

#[test]
fn malformed_keys_are_refused() {
    for length in [0, 1, VERIFYING_KEY_BYTES - 1, VERIFYING_KEY_BYTES + 1, 1312, 2592] {
        assert_eq!(
            VerifyingKey::from_bytes(&vec![1; length]),
            Err(Error::MalformedKey { algorithm: "ML-DSA-65", what: "public key", actual_bytes: length })
        );
    }
    let der = SigningKey::generate().unwrap().to_pkcs8().unwrap();
    let seed_at = der.len() - 32;
    for bit in 0..8 * seed_at {
        let mut flipped = der.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(SigningKey::from_pkcs8(&flipped).is_err(), "bit {bit} of the DER header");
    }
    for length in 0..der.len() {
        assert!(SigningKey::from_pkcs8(&der[..length]).is_err());
    }
    assert!(SigningKey::from_pkcs8(&[&der[..], &[0]].concat()).is_err(), "trailing byte");
}

#[test]
fn the_key_id_is_the_domain_separated_digest() {
    let key = SigningKey::generate().unwrap();
    let bytes = key.verifying_key().as_bytes();
    assert_eq!(key.verifying_key().key_id(), sha3_256(&[b"tyto/v1/ml-dsa-65-key", bytes]));
    assert_ne!(key.verifying_key().key_id(), sha3_256(&[bytes]));
}

#[test]
fn debug_shows_the_key_id_and_no_more() {
    let key = SigningKey::generate().unwrap();
    let shown = format!("{key:?}");
    let rest = shown.strip_prefix("SigningKey(ML-DSA-65 [redacted], VerifyingKey(ML-DSA-65 ").unwrap();
    assert_eq!(hex(rest.strip_suffix("))").unwrap()), key.verifying_key().key_id()[..8]);
}
