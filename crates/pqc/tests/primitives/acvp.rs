//! ML-DSA-65 against NIST's ACVP vectors, read in place.
//!
//! The data set is not part of the repository. `TYTO_TEST_DATA_DIR` names its directory; otherwise a folder
//! `shared/data` beside one of the parent directories is used. Without it the tests say "absent" and pass,
//! except under `CI=true`.

use std::io::Read as _;
use std::path::PathBuf;

use crate::bytes::hex;
use aws_lc_rs::signature::{KeyPair as _, ML_DSA_65_SIGNING, PqdsaKeyPair};
use serde_json::Value;
use tyto_pqc::mldsa::{SigningKey, VerifyingKey};

/// The test groups for ML-DSA-65 in one file of the data set.
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
    let all = document["testGroups"].as_array().unwrap();
    Some(
        all.iter().filter(|g| g["parameterSet"].as_str().is_none_or(|p| p == "ML-DSA-65")).cloned().collect(),
    )
}

fn cases(group: &Value) -> &[Value] {
    group["tests"].as_array().unwrap()
}

fn field(case: &Value, name: &str) -> Vec<u8> {
    hex(case[name].as_str().unwrap())
}

/// Why this crate's interface (external, pure, empty context) cannot express a case, if it cannot.
fn not_expressible(group: &Value, case: &Value) -> Option<&'static str> {
    if group["signatureInterface"] != "external" {
        Some("internal interface")
    } else if group["preHash"] != "pure" {
        Some("pre-hash variant")
    } else if case["context"] != "" {
        Some("non-empty context")
    } else {
        None
    }
}

#[derive(Default)]
struct Tally {
    run: usize,
    skipped: std::collections::BTreeMap<&'static str, usize>,
}

impl Tally {
    fn skip(&mut self, reason: &'static str) {
        *self.skipped.entry(reason).or_default() += 1;
    }

    fn finish(&self, name: &str) {
        println!("{name}, ML-DSA-65: {} cases run, not expressible: {:?}", self.run, self.skipped);
        assert!(self.run > 0, "{name}: the data set is present, but no case was run");
    }
}

#[test]
fn acvp_signature_verification() {
    let Some(groups) = groups("ML-DSA-sigVer-FIPS204/internalProjection.json.gz") else { return };
    let mut tally = Tally::default();
    for group in &groups {
        for case in cases(group) {
            if let Some(reason) = not_expressible(group, case) {
                tally.skip(reason);
                continue;
            }
            let key = VerifyingKey::from_bytes(&field(case, "pk")).unwrap();
            let verified = key.verify(&field(case, "message"), &field(case, "signature")).is_ok();
            assert_eq!(Some(verified), case["testPassed"].as_bool(), "tcId {}", case["tcId"]);
            tally.run += 1;
        }
    }
    tally.finish("ACVP sigVer");
}

/// Expected signatures of the signing vectors are valid signatures: with the key pair of the vector, they
/// add the positive cases that the verification vectors lack for an empty context.
#[test]
fn acvp_expected_signatures_verify() {
    let Some(prompts) = groups("ML-DSA-sigGen-FIPS204/prompt.json.gz") else { return };
    let Some(results) = groups("ML-DSA-sigGen-FIPS204/expectedResults.json.gz") else { return };
    let mut tally = Tally::default();
    for group in &prompts {
        let expected = results.iter().find(|r| r["tgId"] == group["tgId"]).unwrap();
        for case in cases(group) {
            if let Some(reason) = not_expressible(group, case) {
                tally.skip(reason);
                continue;
            }
            let expected = cases(expected).iter().find(|r| r["tcId"] == case["tcId"]).unwrap();
            // The vectors give the expanded private key, which this crate does not read.
            let pair = PqdsaKeyPair::from_raw_private_key(&ML_DSA_65_SIGNING, &field(case, "sk")).unwrap();
            let key = VerifyingKey::from_bytes(pair.public_key().as_ref()).unwrap();
            let signature = field(expected, "signature");
            let mut message = field(case, "message");
            assert_eq!(key.verify(&message, &signature), Ok(()), "tcId {}", case["tcId"]);
            message[0] ^= 1;
            assert!(key.verify(&message, &signature).is_err(), "tcId {}", case["tcId"]);
            tally.run += 1;
        }
    }
    tally.finish("ACVP sigGen");
}

#[test]
fn acvp_key_generation() {
    // PKCS#8 of RFC 9881 with the seed alternative, up to the 32 bytes of the seed.
    let header = hex("3034020100300b06096086480165030403120422 8020");
    let Some(groups) = groups("ML-DSA-keyGen-FIPS204/internalProjection.json.gz") else { return };
    let mut tally = Tally::default();
    for case in groups.iter().flat_map(cases) {
        let key = SigningKey::from_pkcs8(&[header.clone(), field(case, "seed")].concat()).unwrap();
        assert_eq!(key.verifying_key().as_bytes().to_vec(), field(case, "pk"), "tcId {}", case["tcId"]);
        tally.run += 1;
    }
    tally.finish("ACVP keyGen");
}
