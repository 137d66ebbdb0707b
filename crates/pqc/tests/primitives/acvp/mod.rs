//! ML-KEM and ML-DSA against NIST's ACVP vectors, read in place.
//!
//! What this crate's interfaces express runs on them. The rest (key generation and encapsulation from given randomness,
//! deterministic signing, contexts, ML-KEM-512) runs on the crates `ml-kem` and `ml-dsa`, which are compared with this
//! crate in both directions under the keys of the same cases: they are oracles only as far as they agree with it.

mod data;
mod mldsa;
mod mlkem;

use std::collections::BTreeMap;

pub(crate) use data::{cases, field, groups, parameter_set};

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
