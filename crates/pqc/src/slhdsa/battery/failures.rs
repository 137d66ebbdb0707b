//! What must not verify.

use super::{FAST, bytes, key};
use crate::Error;
use crate::slhdsa::{Effort, MAX_CONTEXT_BYTES, ParameterSet, SigningKey, VerifyingKey};

fn invalid(set: ParameterSet) -> Result<(), Error> {
    Err(Error::InvalidSignature { algorithm: set.name() })
}

fn signed(set: ParameterSet) -> (SigningKey, Vec<u8>) {
    let key = key(set, Effort::default());
    let signature = key.sign(b"message", b"context").unwrap();
    assert_eq!(key.verifying_key().verify(b"message", b"context", &signature), Ok(()));
    (key, signature)
}

/// One bit of every value in it: the randomiser, each secret value and each node of FORS, each end of a chain and each
/// node of the authentication paths.
#[test]
fn no_value_of_a_signature_can_be_changed() {
    for set in [ParameterSet::Shake128f, ParameterSet::Shake128s] {
        let (key, signature) = signed(set);
        let n = set.parameters().n;
        for (i, place) in (0..signature.len()).step_by(n).enumerate() {
            let mut changed = signature.clone();
            changed[place + i % n] ^= 1 << (i % 8);
            assert_eq!(
                key.verifying_key().verify(b"message", b"context", &changed),
                invalid(set),
                "value {i}"
            );
        }
    }
}

/// The first and the last bit of each component, for the sets that the exhaustive test leaves out.
#[test]
fn no_component_of_a_signature_can_be_changed() {
    for set in &FAST[1..] {
        let (key, signature) = signed(*set);
        let parameters = set.parameters();
        let n = parameters.n;
        let lengths = std::iter::once(1)
            .chain((0..parameters.k).flat_map(|_| [1, parameters.a]))
            .chain((0..parameters.d).flat_map(|_| [parameters.len(), parameters.h_prime]));
        let mut place = 0;
        for length in lengths.map(|nodes| nodes * n) {
            for (byte, bit) in [(place, 0x80), (place + length - 1, 0x01)] {
                let mut changed = signature.clone();
                changed[byte] ^= bit;
                let verdict = key.verifying_key().verify(b"message", b"context", &changed);
                assert_eq!(verdict, invalid(*set), "byte {byte}");
            }
            place += length;
        }
        assert_eq!(place, signature.len());
    }
}

#[test]
fn nothing_else_is_signed() {
    for set in FAST {
        let (key, signature) = signed(set);
        let verifying = key.verifying_key();
        for (message, context) in [
            (&b"messagf"[..], &b"context"[..]),
            (b"messag", b"context"),
            (b"message\0", b"context"),
            (b"", b"context"),
            (b"message", b""),
            (b"message", b"Context"),
            // The same bytes in a row, cut elsewhere.
            (b"tmessage", b"contex"),
            (b"essage", b"contextm"),
        ] {
            assert_eq!(verifying.verify(message, context, &signature), invalid(set));
        }
        // Without the prefix of the pure interface, and with that of the pre-hash one.
        for prefix in [&b""[..], b"\x01\x07context"] {
            let other = key.sign_internal([prefix, b"message"], &bytes(set, 2, 32)[..set.parameters().n]);
            assert_eq!(verifying.verify(b"message", b"context", &other.unwrap()), invalid(set));
        }
        let too_long = Error::ContextTooLong { actual_bytes: 256, max_bytes: MAX_CONTEXT_BYTES };
        assert_eq!(verifying.verify(b"message", &[0; 256], &signature), Err(too_long));
    }
}

#[test]
fn other_keys_and_sets_do_not_verify() {
    let (key, signature) = signed(ParameterSet::Shake128f);
    let public = key.verifying_key().to_bytes();
    for bit in 0..8 * public.len() {
        let mut changed = public.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let other = VerifyingKey::from_bytes(ParameterSet::Shake128f, &changed).unwrap();
        assert_eq!(other.verify(b"message", b"context", &signature), invalid(ParameterSet::Shake128f));
    }
    for set in ParameterSet::ALL.into_iter().filter(|set| *set != ParameterSet::Shake128f) {
        // Sets of one length of keys differ in the length of signatures or in the hash function.
        let Ok(other) = VerifyingKey::from_bytes(set, &public) else { continue };
        assert_eq!(other.verify(b"message", b"context", &signature), invalid(set));
    }
}

#[test]
fn every_other_length_of_a_signature_is_refused() {
    for set in ParameterSet::ALL {
        let key = VerifyingKey::from_bytes(set, &bytes(set, 3, set.public_key_bytes())).unwrap();
        let length = set.signature_bytes();
        for length in [0, 1, length - 1, length + 1, length - set.parameters().n, 2 * length] {
            assert_eq!(key.verify(b"message", b"", &vec![0; length]), invalid(set));
        }
        for other in ParameterSet::ALL {
            assert_eq!(key.verify(b"message", b"", &vec![0; other.signature_bytes()]), invalid(set));
        }
    }
    let (key, signature) = signed(ParameterSet::Shake128f);
    for changed in [[&signature[..], &[0]].concat(), signature[1..].to_vec()] {
        let verdict = key.verifying_key().verify(b"message", b"context", &changed);
        assert_eq!(verdict, invalid(ParameterSet::Shake128f));
    }
}

/// A fault in the highest tree, or in the key at rest, gives no signature. Faults in the trees below it are not
/// noticed: their roots are signed as they come.
#[test]
fn a_root_that_is_not_the_keys_gives_no_signature() {
    let mut key = key(ParameterSet::Shake128f, Effort::default());
    *key.bytes.last_mut().unwrap() ^= 1;
    assert_eq!(key.sign(b"message", b""), Err(Error::Backend { operation: "SLH-DSA signing" }));
}
