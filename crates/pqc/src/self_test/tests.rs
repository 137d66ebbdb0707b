#![expect(deprecated, reason = "the library reads ML-KEM private keys in the expanded form only")]

use super::*;
use ml_kem::array::Array;
use ml_kem::{Decapsulate as _, ExpandedKeyEncoding as _};
use pkcs8::EncodePrivateKey as _;

#[test]
fn the_self_test_passes() {
    assert_eq!(self_test(), Ok(()));
}

/// Every bit of a known answer counts: with another the check fails.
#[test]
fn other_answers_fail() {
    for check in &CHECKS {
        assert!((check.holds)(check.known), "{}", check.primitive);
        let step = check.known.len().div_ceil(100);
        for i in (0..check.known.len()).step_by(step) {
            let mut other = check.known.to_vec();
            other[i] ^= 1 << (i % 8);
            assert!(!(check.holds)(&other), "{}: byte {i}", check.primitive);
        }
    }
}

/// `N` bytes that count up from `first`.
fn bytes<const N: usize>(first: u8) -> [u8; N] {
    std::array::from_fn(|i| first + i as u8)
}

macro_rules! ml_kem_answer {
    ($private:ty) => {{
        let key = <$private>::from_seed(Array(bytes(0)));
        let (mut ciphertext, secret) = key.encapsulation_key().encapsulate_deterministic(&Array(bytes(64)));
        let mut answer = [&key.to_expanded_bytes()[..], &ciphertext, &secret].concat();
        ciphertext[0] ^= 1;
        answer.extend_from_slice(&key.decapsulate(&ciphertext));
        answer
    }};
}

fn slh_dsa_answer<P: slh_dsa::ParameterSet>() -> Vec<u8> {
    let seeds: [[u8; 16]; 3] = [bytes(0), bytes(16), bytes(32)];
    let key = slh_dsa::SigningKey::<P>::slh_keygen_internal(&seeds[0], &seeds[1], &seeds[2]);
    let signature = key.try_sign_with_context(MESSAGE, b"", None).unwrap();
    [&key.as_ref().to_bytes()[..], &signature.to_bytes()].concat()
}

fn ml_dsa_answer() -> Vec<u8> {
    let key = ml_dsa::SigningKey::<ml_dsa::MlDsa65>::from_seed(&bytes(0).into());
    let signature = key.expanded_key().sign_deterministic(MESSAGE, b"").unwrap();
    let public = key.expanded_key().verifying_key().encode();
    [key.to_pkcs8_der().unwrap().as_bytes(), &public, &signature.encode()].concat()
}

#[test]
fn known_answers_are_those_of_other_implementations() {
    let answers = [
        ("ML-KEM-768", ml_kem_answer!(ml_kem::DecapsulationKey768)),
        ("ML-KEM-1024", ml_kem_answer!(ml_kem::DecapsulationKey1024)),
        ("ML-DSA-65", ml_dsa_answer()),
        ("SLH-DSA-SHAKE-128f", slh_dsa_answer::<slh_dsa::Shake128f>()),
        ("SLH-DSA-SHA2-128f", slh_dsa_answer::<slh_dsa::Sha2_128f>()),
    ];
    for (primitive, answer) in answers {
        let check = CHECKS.iter().find(|check| check.primitive == primitive).unwrap();
        assert!(check.known == answer, "{primitive}");
    }
}
