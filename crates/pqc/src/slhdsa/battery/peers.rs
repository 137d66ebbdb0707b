//! Against the crates `slh-dsa` and `fips205`: the same keys and the same signatures from the same seeds, and each
//! accepts what the others made.

use fips205::traits::{KeyGen, SerDes, Signer as _, Verifier as _};
use fips205::{CryptoRng, RngCore, RngError};

use super::{FAST, bytes, efforts, key, seeds};
use crate::slhdsa::{Effort, ParameterSet, VerifyingKey, internal, prefix};

const MESSAGE: &[u8] = b"a message of more than one block of SHAKE256: it takes more than one hundred and \
    thirty-six bytes, so that the digest of the message absorbs several times";
const CONTEXT: &[u8] = b"context";

/// Randomness that is given: `fips205` takes it from a generator.
struct Given<'a>(&'a [u8]);

impl RngCore for Given<'_> {
    fn next_u32(&mut self) -> u32 {
        let mut word = [0; 4];
        self.fill_bytes(&mut word);
        u32::from_le_bytes(word)
    }

    fn next_u64(&mut self) -> u64 {
        let mut word = [0; 8];
        self.fill_bytes(&mut word);
        u64::from_le_bytes(word)
    }

    fn fill_bytes(&mut self, out: &mut [u8]) {
        let (now, later) = self.0.split_at(out.len());
        out.copy_from_slice(now);
        self.0 = later;
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), RngError> {
        self.fill_bytes(out);
        Ok(())
    }
}

impl CryptoRng for Given<'_> {}

/// What a peer makes from the seeds and the randomness of a set.
struct Made {
    private_key: Vec<u8>,
    public_key: Vec<u8>,
    signature: Vec<u8>,
}

fn slh_dsa<P: slh_dsa::ParameterSet>(set: ParameterSet, opt_rand: &[u8]) -> Made {
    let seeds = seeds(set);
    let [sk_seed, sk_prf, pk_seed]: [&[u8]; 3] =
        seeds.chunks(seeds.len() / 3).collect::<Vec<_>>().try_into().unwrap();
    let key = slh_dsa::SigningKey::<P>::slh_keygen_internal(sk_seed, sk_prf, pk_seed);
    let signature = key.try_sign_with_context(MESSAGE, CONTEXT, Some(opt_rand)).unwrap();
    let public: &slh_dsa::VerifyingKey<P> = key.as_ref();
    Made {
        private_key: key.to_bytes().to_vec(),
        public_key: public.to_bytes().to_vec(),
        signature: signature.to_bytes().to_vec(),
    }
}

fn slh_dsa_accepts<P: slh_dsa::ParameterSet>(public_key: &[u8], signature: &[u8]) -> bool {
    let key = slh_dsa::VerifyingKey::<P>::try_from(public_key).unwrap();
    key.try_verify_with_context(MESSAGE, CONTEXT, &slh_dsa::Signature::try_from(signature).unwrap()).is_ok()
}

/// Whether a signature of the message verifies under a public key.
type Verify = fn(&[u8], &[u8]) -> bool;

/// A set, what makes the peers' results for it, and what they make of a signature.
macro_rules! peers {
    ($set:ident, $slh_dsa:ident, $fips205:ident) => {{
        use fips205::$fips205::{KG, PublicKey};
        let set = ParameterSet::$set;
        let opt_rand = bytes(set, 1, set.parameters().n);
        let fips205 = move |opt_rand: &[u8]| {
            let (public, private) = KG::try_keygen_with_rng(&mut Given(&seeds(set))).unwrap();
            let signature = private.try_sign_with_rng(&mut Given(opt_rand), MESSAGE, CONTEXT, true).unwrap();
            Made {
                private_key: private.into_bytes().to_vec(),
                public_key: public.into_bytes().to_vec(),
                signature: signature.to_vec(),
            }
        };
        let fips205_accepts = |public_key: &[u8], signature: &[u8]| {
            let key = PublicKey::try_from_bytes(public_key.try_into().unwrap()).unwrap();
            key.verify(MESSAGE, signature.try_into().unwrap(), CONTEXT)
        };
        let make = move || [slh_dsa::<slh_dsa::$slh_dsa>(set, &opt_rand), fips205(&opt_rand)];
        let accept: [Verify; 2] = [slh_dsa_accepts::<slh_dsa::$slh_dsa>, fips205_accepts];
        (set, make, accept)
    }};
}

/// A verdict that is not always yes.
fn is_accepted(accepts: impl Fn(&[u8], &[u8]) -> bool, public_key: &[u8], signature: &[u8]) -> bool {
    let mut changed = signature.to_vec();
    *changed.last_mut().unwrap() ^= 1;
    assert!(!accepts(public_key, &changed), "a changed signature is accepted");
    accepts(public_key, signature)
}

type Peers = (ParameterSet, [Made; 2], [Verify; 2]);

/// What every set must do.
fn verifies_what_peers_sign((set, made, _): &Peers) {
    for made in made {
        let verify = |public_key: &[u8], signature: &[u8]| {
            VerifyingKey::from_bytes(*set, public_key).unwrap().verify(MESSAGE, CONTEXT, signature).is_ok()
        };
        assert!(is_accepted(verify, &made.public_key, &made.signature), "{set}");
    }
}

/// What the SHAKE sets must do besides.
fn makes_what_peers_make((set, made, accept): &Peers) {
    let prefix = prefix(CONTEXT).unwrap();
    let parts = [&prefix, MESSAGE];
    for effort in efforts() {
        let key = key(*set, effort);
        let signature = key.sign_internal(parts, &bytes(*set, 1, set.parameters().n)).unwrap();
        for made in made {
            assert_eq!(*key.to_bytes(), made.private_key, "{set}, {effort:?}");
            assert_eq!(key.verifying_key().as_bytes(), made.public_key, "{set}, {effort:?}");
            assert!(signature == made.signature, "{set}, {effort:?}");
            let Effort { backend, .. } = effort;
            let verify = |public_key: &[u8], signature: &[u8]| {
                internal::verify(*set, backend, public_key, parts, signature)
            };
            assert!(is_accepted(verify, &made.public_key, &made.signature), "{set}, {backend}");
        }
    }
    let signature = signs_what_peers_accept(*set, accept);
    for made in made {
        assert!(signature != made.signature, "{set}: the randomness was given");
    }
}

/// Hedged, through the public interface, in the other direction.
fn signs_what_peers_accept(set: ParameterSet, accept: &[Verify; 2]) -> Vec<u8> {
    let key = key(set, Effort::default());
    let signature = key.sign(MESSAGE, CONTEXT).unwrap();
    for accepts in accept {
        assert!(is_accepted(accepts, key.verifying_key().as_bytes(), &signature), "{set}");
    }
    signature
}

/// Whether the peers sign, and every backend does: with the slow sets that takes a minute, so that it is for
/// `TYTO_SOAK=1`, and otherwise the peers only verify.
fn is_thorough(set: ParameterSet) -> bool {
    FAST.contains(&set) || std::env::var_os("TYTO_SOAK").is_some()
}

macro_rules! sets {
    (sha2: $($test:ident: $set:ident, $fips205:ident;)*) => {
        $(#[test]
        fn $test() {
            let (set, make, accept) = peers!($set, $set, $fips205);
            verifies_what_peers_sign(&(set, make(), accept));
        })*
    };
    (shake: $($test:ident: $set:ident, $fips205:ident;)*) => {
        $(#[test]
        fn $test() {
            let (set, make, accept) = peers!($set, $set, $fips205);
            if !is_thorough(set) {
                signs_what_peers_accept(set, &accept);
                return;
            }
            let peers = (set, make(), accept);
            verifies_what_peers_sign(&peers);
            makes_what_peers_make(&peers);
        })*
    };
}

sets! { sha2:
    sha2_128s: Sha2_128s, slh_dsa_sha2_128s;
    sha2_128f: Sha2_128f, slh_dsa_sha2_128f;
    sha2_192s: Sha2_192s, slh_dsa_sha2_192s;
    sha2_192f: Sha2_192f, slh_dsa_sha2_192f;
    sha2_256s: Sha2_256s, slh_dsa_sha2_256s;
    sha2_256f: Sha2_256f, slh_dsa_sha2_256f;
}

sets! { shake:
    shake_128s: Shake128s, slh_dsa_shake_128s;
    shake_128f: Shake128f, slh_dsa_shake_128f;
    shake_192s: Shake192s, slh_dsa_shake_192s;
    shake_192f: Shake192f, slh_dsa_shake_192f;
    shake_256s: Shake256s, slh_dsa_shake_256s;
    shake_256f: Shake256f, slh_dsa_shake_256f;
}
