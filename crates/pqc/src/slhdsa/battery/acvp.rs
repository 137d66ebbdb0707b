//! NIST's ACVP vectors, read in place: `SLH-DSA-keyGen-FIPS205` and `SLH-DSA-sigVer-FIPS205`, the latter of the internal
//! interface (algorithms 19 and 20: no prefix before the message).

#[path = "../../../tests/primitives/acvp/data.rs"]
mod data;

use serde_json::Value;

use crate::slhdsa::{Effort, ParameterSet, SigningKey, internal};
use data::{field, groups};

/// Every case with its parameter set.
fn cases(groups: &[Value]) -> impl Iterator<Item = (ParameterSet, &Value)> {
    groups.iter().flat_map(|group| {
        let set = ParameterSet::from_name(data::parameter_set(group)).unwrap();
        data::cases(group).iter().map(move |case| (set, case))
    })
}

/// Cases that were run; fails below the least number that the data set is known to hold.
fn finish(name: &str, run: usize, least: usize) {
    println!("ACVP {name}: {run} cases run, at least {least} expected, 0 failures");
    assert!(run >= least, "{name}: {run} cases, {least} expected");
}

fn peer_key<P: slh_dsa::ParameterSet>(seeds: [&[u8]; 3]) -> Vec<u8> {
    let [sk_seed, sk_prf, pk_seed] = seeds;
    slh_dsa::SigningKey::<P>::slh_keygen_internal(sk_seed, sk_prf, pk_seed).to_bytes().to_vec()
}

/// Algorithm 18: ours for the SHAKE sets; for the SHA2 sets that of the crate that verifies them.
#[test]
fn key_generation() {
    let Some(groups) = groups("SLH-DSA-keyGen-FIPS205/internalProjection.json.gz") else { return };
    let (mut ours, mut library) = (0, 0);
    for (set, case) in cases(&groups) {
        let [sk_seed, sk_prf, pk_seed] = ["skSeed", "skPrf", "pkSeed"].map(|name| field(case, name));
        let seeds = [&sk_seed[..], &sk_prf, &pk_seed];
        let generate = match set {
            ParameterSet::Sha2_128s => peer_key::<slh_dsa::Sha2_128s>,
            ParameterSet::Sha2_128f => peer_key::<slh_dsa::Sha2_128f>,
            ParameterSet::Sha2_192s => peer_key::<slh_dsa::Sha2_192s>,
            ParameterSet::Sha2_192f => peer_key::<slh_dsa::Sha2_192f>,
            ParameterSet::Sha2_256s => peer_key::<slh_dsa::Sha2_256s>,
            ParameterSet::Sha2_256f => peer_key::<slh_dsa::Sha2_256f>,
            _ => {
                let key = SigningKey::from_seeds(set, &seeds.concat(), Effort::default()).unwrap();
                assert_eq!(key.verifying_key().to_bytes(), field(case, "pk"), "{set} tcId {}", case["tcId"]);
                assert_eq!(*key.to_bytes(), field(case, "sk"), "{set} tcId {}", case["tcId"]);
                ours += 1;
                continue;
            }
        };
        assert_eq!(generate(seeds), field(case, "sk"), "{set} tcId {}", case["tcId"]);
        library += 1;
    }
    finish("SLH-DSA keyGen, SHAKE sets", ours, 60);
    finish("SLH-DSA keyGen, SHA2 sets in the library", library, 60);
}

fn peer_verifies<P: slh_dsa::ParameterSet>(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let key = slh_dsa::VerifyingKey::<P>::try_from(key).unwrap();
    slh_dsa::Signature::try_from(signature)
        .is_ok_and(|signature| key.slh_verify_internal(&[message], &signature).is_ok())
}

/// Algorithm 20. Where a signature is valid, it is also what algorithm 19 makes with the given randomness.
#[test]
fn verification_and_signing() {
    let Some(groups) = groups("SLH-DSA-sigVer-FIPS205/internalProjection.json.gz") else { return };
    let (mut ours, mut library, mut signed) = (0, 0, 0);
    for (set, case) in cases(&groups) {
        let [key, message, signature] = ["pk", "message", "signature"].map(|name| field(case, name));
        let effort = Effort::default();
        let verified = match set {
            ParameterSet::Sha2_192s => peer_verifies::<slh_dsa::Sha2_192s>(&key, &message, &signature),
            ParameterSet::Sha2_256f => peer_verifies::<slh_dsa::Sha2_256f>(&key, &message, &signature),
            _ => {
                ours += 1;
                internal::verify(set, effort.backend, &key, [b"", &message], &signature)
            }
        };
        library += usize::from(!set.is_shake());
        assert_eq!(Some(verified), case["testPassed"].as_bool(), "{set} tcId {}", case["tcId"]);
        if verified && set.is_shake() {
            let (private, random) = (field(case, "sk"), field(case, "additionalRandomness"));
            let made = internal::sign(set, effort, &private, [b"", &message], &random);
            assert!(made == Some(signature), "{set} tcId {}", case["tcId"]);
            signed += 1;
        }
    }
    finish("SLH-DSA sigVer, SHAKE sets", ours, 27);
    finish("SLH-DSA sigVer, SHA2 sets in the library", library, 18);
    finish("SLH-DSA signatures made again, SHAKE sets", signed, 9);
}
