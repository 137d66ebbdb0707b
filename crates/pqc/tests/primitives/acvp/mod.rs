//! ML-KEM and ML-DSA against NIST's ACVP vectors, read in place.
//!
//! What this crate's interfaces express runs on them. The rest (key generation and encapsulation from given randomness,
//! deterministic signing, contexts, ML-KEM-512) runs on the crates `ml-kem` and `ml-dsa`, which are compared with this
//! crate in both directions under the keys of the same cases: they are oracles only as far as they agree with it.
//!
//! The data set is not part of the repository. `TYTO_TEST_DATA_DIR` names its directory; otherwise a folder
//! `shared/data` beside one of the parent directories is used. Without it the tests say "absent" and pass,
//! except under `CI=true`.

mod mldsa;
mod mlkem;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::PathBuf;

use crate::bytes::hex;
use serde_json::Value;

/// The test groups of one file of the data set.
pub(crate) fn groups(file: &str) -> Option<Vec<Value>> {
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

pub(crate) fn cases(group: &Value) -> &[Value] {
    group["tests"].as_array().unwrap()
}

pub(crate) fn parameter_set(group: &Value) -> &str {
    group["parameterSet"].as_str().unwrap()
}

pub(crate) fn field(case: &Value, name: &str) -> Vec<u8> {
    hex(case[name].as_str().unwrap())
}

/// Cases run, by what they ran on, and those that were not, by the reason.
#[derive(Default)]
struct Tally {
    run: BTreeMap<&'static str, usize>,
    skipped: BTreeMap<&'static str, usize>,
}

impl Tally {
    fn count(&mut self, what: &'static str) {
        *self.run.entry(what).or_default() += 1;
    }

    fn skip(&mut self, reason: &'static str) {
        *self.skipped.entry(reason).or_default() += 1;
    }

    /// Fails if a count is not at least the number of cases that the data set is known to hold, or if something was
    /// counted of which no least number is stated.
    fn finish(&self, name: &str, least: &[(&'static str, usize)]) {
        for (what, least) in least {
            let found = self.run.get(what).copied().unwrap_or(0);
            println!("ACVP {name}: {what}: {found} cases, at least {least} expected, 0 failures");
            assert!(found >= *least, "{name}: {what}: {found} cases, {least} expected");
        }
        for (reason, cases) in &self.skipped {
            println!("ACVP {name}: not run: {reason}: {cases} cases");
        }
        assert_eq!(self.run.len(), least.len(), "{name}: {:?}", self.run);
    }
}
