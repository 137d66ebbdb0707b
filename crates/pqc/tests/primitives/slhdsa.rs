//! SLH-DSA: what signs verifies, nothing else does, and keys survive their encodings.

use std::num::NonZeroUsize;

use tyto_pqc::Error;
use tyto_pqc::digest::sha3_256;
use tyto_pqc::slhdsa::{MAX_CONTEXT_BYTES, ParameterSet, SigningKey, VerifyingKey};

const SET: ParameterSet = ParameterSet::Shake128f;
const INVALID: Result<(), Error> = Err(Error::InvalidSignature { algorithm: "SLH-DSA-SHAKE-128f" });

#[test]
fn signatures_verify_and_are_hedged() {
    let key = SigningKey::generate(SET).unwrap();
    let [first, second] = [(); 2].map(|()| key.sign(b"message", b"context").unwrap());
    assert_eq!(first.len(), SET.signature_bytes());
    assert_ne!(first, second, "signing is deterministic");
    for signature in [&first, &second] {
        assert_eq!(key.verifying_key().verify(b"message", b"context", signature), Ok(()));
    }
    let longest = [7; MAX_CONTEXT_BYTES];
    let empty = key.sign(b"", &longest).unwrap();
    assert_eq!(key.verifying_key().verify(b"", &longest, &empty), Ok(()));
}

#[test]
fn any_number_of_threads_signs() {
    for set in [SET, ParameterSet::Shake128s, ParameterSet::Shake256f] {
        let mut key = SigningKey::generate(set).unwrap();
        for threads in [1, 2, 5, 1000] {
            key = key.with_threads(NonZeroUsize::new(threads).unwrap());
            let signature = key.sign(b"message", b"").unwrap();
            assert_eq!(key.verifying_key().verify(b"message", b"", &signature), Ok(()), "{set}, {threads}");
        }
    }
}

#[test]
fn contexts_are_bound_and_limited() {
    let key = SigningKey::generate(SET).unwrap();
    let verifying = key.verifying_key();
    let signature = key.sign(b"message", b"context").unwrap();
    for (context, message) in [
        (&b""[..], &b"message"[..]),
        (b"contex", b"message"),
        (b"contex", b"tmessage"),
        (b"contextm", b"essage"),
    ] {
        assert_eq!(verifying.verify(message, context, &signature), INVALID);
    }
    let too_long = Error::ContextTooLong { actual_bytes: 256, max_bytes: 255 };
    assert_eq!(key.sign(b"message", &[0; 256]).unwrap_err(), too_long);
    assert_eq!(verifying.verify(b"message", &[0; 256], &signature), Err(too_long));
}

#[test]
fn keys_survive_their_encodings() {
    let key = SigningKey::generate(SET).unwrap();
    let bytes = key.to_bytes();
    let restored = SigningKey::from_bytes(SET, &bytes).unwrap();
    assert_eq!(restored.verifying_key(), key.verifying_key());
    assert_eq!(restored.to_bytes(), bytes);
    let signature = restored.sign(b"message", b"").unwrap();
    let public = VerifyingKey::from_bytes(SET, &key.verifying_key().to_bytes()).unwrap();
    assert_eq!(&public, key.verifying_key());
    assert_eq!(public.verify(b"message", b"", &signature), Ok(()));
    assert_ne!(SigningKey::generate(SET).unwrap().verifying_key(), key.verifying_key());
}

#[test]
fn malformed_keys_are_refused() {
    for set in ParameterSet::ALL {
        for length in [0, 1, set.public_key_bytes() - 1, set.public_key_bytes() + 1] {
            let error =
                Error::MalformedKey { algorithm: set.name(), what: "public key", actual_bytes: length };
            assert_eq!(VerifyingKey::from_bytes(set, &vec![1; length]), Err(error));
        }
        if !set.is_shake() {
            let error = Error::CannotSign { algorithm: set.name() };
            assert_eq!(SigningKey::generate(set).err(), Some(error.clone()));
            assert_eq!(SigningKey::from_bytes(set, &vec![1; set.private_key_bytes()]).err(), Some(error));
        }
    }
    let bytes = SigningKey::generate(SET).unwrap().to_bytes();
    let mut inputs: Vec<_> = [0, 1, 63].map(|length| bytes[..length].to_vec()).into();
    inputs.push([&bytes[..], &[0]].concat());
    // One bit of the seeds, of the public seed, of the root; the seed of the PRF is not part of the public key.
    for i in [0, 15, 32, 47, 48, 63] {
        let mut flipped = bytes.to_vec();
        flipped[i] ^= 1;
        inputs.push(flipped);
    }
    for input in inputs {
        let error =
            Error::MalformedKey { algorithm: SET.name(), what: "private key", actual_bytes: input.len() };
        assert_eq!(SigningKey::from_bytes(SET, &input).err(), Some(error));
    }
}

#[test]
fn the_key_id_names_set_and_key() {
    let (one, other) = (ParameterSet::Shake128s, ParameterSet::Sha2_128s);
    let key = VerifyingKey::from_bytes(one, &[1; 32]).unwrap();
    assert_eq!(key.key_id(), sha3_256(&[b"tyto/v1/slh-dsa-shake-128s-key", &[1; 32]]));
    assert_ne!(key.key_id(), VerifyingKey::from_bytes(other, &[1; 32]).unwrap().key_id());
    assert!(format!("{key:?}").starts_with("VerifyingKey(SLH-DSA-SHAKE-128s "));
}
