//! `ML-DSA-keyGen-FIPS204`, `ML-DSA-sigGen-FIPS204` and `ML-DSA-sigVer-FIPS204`, but for the pre-hash variant, which
//! neither this crate nor a format of this project has.
#![expect(
    deprecated,
    reason = "the vectors give private keys in the expanded form, which the oracle would drop"
)]

use ml_dsa::common::array::{Array, sizes::U64};
use ml_dsa::{B32, EncodedSignature, ExpandedSigningKey, MlDsaParams, Signature};
use ml_dsa::{MlDsa44, MlDsa65, MlDsa87};
use serde_json::Value;
use tyto_pqc::mldsa::{ParameterSet, SigningKey, VerifyingKey};

use super::{Tally, cases, field, groups, parameter_set};
use crate::bytes::hex;

/// How the message of a case is given.
enum Interface {
    /// `ML-DSA.Sign` and `ML-DSA.Verify` (FIPS 204 section 5.2).
    Pure { message: Vec<u8>, context: Vec<u8> },
    /// `ML-DSA.Sign_internal` and `ML-DSA.Verify_internal` (section 6).
    Internal { message: Vec<u8> },
    /// The same from the message representative.
    Mu(Array<u8, U64>),
}

impl Interface {
    fn of(group: &Value, case: &Value) -> Option<Self> {
        if group["signatureInterface"] == "external" {
            let pure = || Self::Pure { message: field(case, "message"), context: field(case, "context") };
            (group["preHash"] == "pure").then(pure)
        } else if group["externalMu"] == true {
            Some(Self::Mu(Array::try_from(&field(case, "mu")[..]).unwrap()))
        } else {
            Some(Self::Internal { message: field(case, "message") })
        }
    }

    /// What to count a case as.
    fn name(&self) -> &'static str {
        match self {
            Self::Pure { context, .. } if context.is_empty() => "oracle, external, empty context",
            Self::Pure { .. } => "oracle, external, context",
            Self::Internal { .. } => "oracle, internal",
            Self::Mu(_) => "oracle, internal, external mu",
        }
    }

    /// What the internal functions take of the external interface (algorithm 2, line 10).
    fn prefix(context: &[u8]) -> [u8; 2] {
        [0, u8::try_from(context.len()).unwrap()]
    }
}

fn oracle_key<P: MlDsaParams>(public: &[u8]) -> ml_dsa::VerifyingKey<P> {
    ml_dsa::VerifyingKey::decode(&public.try_into().unwrap())
}

fn oracle_verifies<P: MlDsaParams>(public: &[u8], interface: &Interface, signature: &[u8]) -> bool {
    let Some(signature) = EncodedSignature::<P>::try_from(signature).ok().and_then(|s| Signature::decode(&s))
    else {
        return false;
    };
    let key = oracle_key::<P>(public);
    match interface {
        Interface::Pure { message, context } => key.verify_with_context(message, context, &signature),
        Interface::Internal { message } => key.verify_internal(message, &signature),
        Interface::Mu(mu) => key.verify_mu(mu, &signature),
    }
}

/// The signature with this randomness, zeros for the deterministic variant, and the public key. From the message
/// representative the oracle signs deterministically only.
fn oracle_signs<P: MlDsaParams>(private: &[u8], interface: &Interface, rnd: &B32) -> Option<[Vec<u8>; 2]> {
    let key = ExpandedSigningKey::<P>::from_expanded(&private.try_into().unwrap());
    let signature = match interface {
        Interface::Pure { message, context } => {
            key.sign_internal(&[&Interface::prefix(context), context, message], rnd)
        }
        Interface::Internal { message } => key.sign_internal(&[message], rnd),
        Interface::Mu(mu) if *rnd == B32::default() => key.sign_mu_deterministic(mu),
        Interface::Mu(_) => return None,
    };
    Some([signature.encode().to_vec(), key.verifying_key().encode().to_vec()])
}

fn oracle_generates<P: MlDsaParams>(seed: &[u8]) -> [Vec<u8>; 2] {
    let key = ExpandedSigningKey::<P>::from_seed(&seed.try_into().unwrap());
    [key.verifying_key().encode().to_vec(), key.to_expanded().to_vec()]
}

/// A generic function for the parameter set of a group.
macro_rules! for_set {
    ($group:expr, $function:ident) => {
        match parameter_set($group) {
            "ML-DSA-44" => $function::<MlDsa44>,
            "ML-DSA-65" => $function::<MlDsa65>,
            "ML-DSA-87" => $function::<MlDsa87>,
            other => panic!("{other}"),
        }
    };
}

fn set(group: &Value) -> ParameterSet {
    ParameterSet::from_name(parameter_set(group)).unwrap()
}

/// The private key with this seed, through PKCS#8 (RFC 9881), which is how this crate takes one.
fn key_of_seed(set: ParameterSet, seed: &[u8]) -> SigningKey {
    let last = 17 + set as u8;
    let header = [hex("3034020100300b0609608648016503040 3"), vec![last], hex("0422 8020")].concat();
    SigningKey::from_pkcs8_for(set, &[&header, seed].concat()).unwrap()
}

#[test]
fn key_generation() {
    let Some(groups) = groups("ML-DSA-keyGen-FIPS204/internalProjection.json.gz") else { return };
    let mut tally = Tally::default();
    for group in &groups {
        for case in cases(group) {
            let (seed, public, private) = (field(case, "seed"), field(case, "pk"), field(case, "sk"));
            let key = key_of_seed(set(group), &seed);
            assert_eq!(key.verifying_key().as_bytes(), public, "tcId {}", case["tcId"]);
            tally.count("this crate");
            let expected = [public.clone(), private.clone()];
            assert_eq!(for_set!(group, oracle_generates)(&seed), expected, "tcId {}", case["tcId"]);
            tally.count("oracle");
            let interface = Interface::Pure { message: seed, context: Vec::new() };
            let Interface::Pure { message, .. } = &interface else { unreachable!() };
            let signature = key.sign(message).unwrap();
            assert!(for_set!(group, oracle_verifies)(&public, &interface, &signature));
            tally.count("signed by this crate, verified by oracle");
            let [signature, _] =
                for_set!(group, oracle_signs)(&private, &interface, &B32::default()).unwrap();
            assert_eq!(key.verifying_key().verify(message, &signature), Ok(()));
            tally.count("signed by oracle, verified by this crate");
        }
    }
    tally.finish(
        "ML-DSA keyGen",
        &[
            ("this crate", 75),
            ("oracle", 75),
            ("signed by this crate, verified by oracle", 75),
            ("signed by oracle, verified by this crate", 75),
        ],
    );
}

#[test]
fn signature_verification() {
    let Some(groups) = groups("ML-DSA-sigVer-FIPS204/internalProjection.json.gz") else { return };
    let mut tally = Tally::default();
    for group in &groups {
        for case in cases(group) {
            let Some(interface) = Interface::of(group, case) else {
                tally.skip("pre-hash variant");
                continue;
            };
            let expected = case["testPassed"].as_bool().unwrap();
            let (public, signature) = (field(case, "pk"), field(case, "signature"));
            let found = for_set!(group, oracle_verifies)(&public, &interface, &signature);
            assert_eq!(found, expected, "oracle: tcId {}", case["tcId"]);
            tally.count(interface.name());
            let Interface::Pure { message, context } = &interface else { continue };
            let key = VerifyingKey::from_bytes_for(set(group), &public).unwrap();
            // Under the empty context, a signature of another context is one more that must not verify.
            let verified = key.verify(message, &signature).is_ok();
            assert_eq!(verified, expected && context.is_empty(), "tcId {}", case["tcId"]);
            tally.count(if context.is_empty() {
                "this crate"
            } else {
                "this crate, refused for the context"
            });
        }
    }
    tally.finish(
        "ML-DSA sigVer",
        &[
            ("this crate", 3),
            ("this crate, refused for the context", 42),
            ("oracle, external, empty context", 3),
            ("oracle, external, context", 42),
            ("oracle, internal", 45),
            ("oracle, internal, external mu", 45),
        ],
    );
}

/// Each expected signature is made by the oracle; of those without a context this crate confirms that they verify.
#[test]
fn signature_generation() {
    let Some(prompts) = groups("ML-DSA-sigGen-FIPS204/prompt.json.gz") else { return };
    let Some(results) = groups("ML-DSA-sigGen-FIPS204/expectedResults.json.gz") else { return };
    let mut tally = Tally::default();
    for group in &prompts {
        let expected = results.iter().find(|r| r["tgId"] == group["tgId"]).unwrap();
        for case in cases(group) {
            let Some(interface) = Interface::of(group, case) else {
                tally.skip("pre-hash variant");
                continue;
            };
            let expected = cases(expected).iter().find(|r| r["tcId"] == case["tcId"]).unwrap();
            let expected = field(expected, "signature");
            let rnd = if group["deterministic"] == true { vec![0; 32] } else { field(case, "rnd") };
            let rnd = B32::try_from(&rnd[..]).unwrap();
            let found = for_set!(group, oracle_signs)(&field(case, "sk"), &interface, &rnd);
            let Some([signature, public]) = found else {
                tally.skip("randomised from mu");
                continue;
            };
            assert_eq!(signature, expected, "tcId {}", case["tcId"]);
            tally.count(interface.name());
            let Interface::Pure { message, context } = &interface else { continue };
            let key = VerifyingKey::from_bytes_for(set(group), &public).unwrap();
            let verified = key.verify(message, &signature).is_ok();
            assert_eq!(verified, context.is_empty(), "tcId {}", case["tcId"]);
            tally.count(if context.is_empty() {
                "verified by this crate"
            } else {
                "refused by this crate for the context"
            });
        }
    }
    tally.finish(
        "ML-DSA sigGen",
        &[
            ("verified by this crate", 8),
            ("refused by this crate for the context", 82),
            ("oracle, external, empty context", 8),
            ("oracle, external, context", 82),
            ("oracle, internal", 90),
            ("oracle, internal, external mu", 45),
        ],
    );
}
