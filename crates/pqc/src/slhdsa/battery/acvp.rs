//! NIST's ACVP vectors, read in place: `SLH-DSA-keyGen-FIPS205` and `SLH-DSA-sigVer-FIPS205`, the latter of the internal
//! interface (algorithms 19 and 20: no prefix before the message).
//!
//! The data set is not part of the repository. `TYTO_TEST_DATA_DIR` names its directory; otherwise a folder
//! `shared/data` beside one of the parent directories is used. Without it the tests say "absent" and pass,
//! except under `CI=true`.

use std::io::Read as _;
use std::path::PathBuf;

use serde_json::Value;

use crate::slhdsa::{Effort, ParameterSet, SigningKey, internal};

/// The test groups of one file of the data set.
fn groups(file: &str) -> Option<Vec<Value>> {
    let directory = std::env::var_os("TYTO_TEST_DATA_DIR").map(PathBuf::from).or_else(|| {
        let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        here.ancestors().map(|a| a.join("shared/data")).find(|d| d.is_dir())
    });
    let path = directory.map(|d| d.join("acvp").join(file)).filter(|p| p.is_file());
    let Some(path) = path else {
        println!("absent: acvp/{file}");
        assert!(std::env::var("CI").as_deref() != Ok("true"), "absent: acvp/{file}");
        return None;
    };
    let mut json = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut json).unwrap();
    let document: Value = serde_json::from_str(&json).unwrap();
    Some(document["testGroups"].as_array().unwrap().clone())
}

/// Every case with its parameter set.
fn cases(groups: &[Value]) -> impl Iterator<Item = (ParameterSet, &Value)> {
    groups.iter().flat_map(|group| {
        let set = ParameterSet::from_name(group["parameterSet"].as_str().unwrap()).unwrap();
        group["tests"].as_array().unwrap().iter().map(move |case| (set, case))
    })
}

fn field(case: &Value, name: &str) -> Vec<u8> {
    let digits = case[name].as_str().unwrap().as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap() as u8;
    digits.as_chunks::<2>().0.iter().map(|[high, low]| digit(*high) << 4 | digit(*low)).collect()
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
