//! The trust roots of the cases.

use tyto_attest::{KeyRecord, Purpose, Revocation, RevocationReason, Signer, TrustRoot};

use crate::sample;
use crate::world::{
    self, CHECKPOINT_AT, COSIGNED_AT, ISSUED_AT, decision_key, log_key, new_root_key, root_key, witness_key,
};

/// A trust root and the variations of it that the cases need.
pub(crate) const ROOTS: [&str; 19] = [
    "main",
    "signer-revoked-after-checkpoint",
    "signer-revoked-before-checkpoint",
    "signer-revoked-at-the-end",
    "signer-expired",
    "signer-expired-before-checkpoint",
    "signer-not-yet-valid",
    "signer-unknown",
    "signer-for-decisions",
    "log-revoked",
    "log-expired-after-checkpoint",
    "log-expired-before-checkpoint",
    "log-not-yet-valid",
    "log-unknown",
    "log-with-other-id",
    "witness-revoked",
    "decision-revoked",
    "decision-expired",
    "rotated",
];

/// When keys are revoked that are revoked.
pub(crate) const REVOKED_AT: u64 = ISSUED_AT + 100_000;

fn revoke(revoked_at_unix_ms: u64) -> impl Fn(&mut KeyRecord) {
    let reason = RevocationReason::KeyCompromise;
    move |record| record.revocation = Some(Revocation { revoked_at_unix_ms, reason })
}

fn expire(until: u64) -> impl Fn(&mut KeyRecord) {
    move |record| record.valid_until_unix_ms = Some(until)
}

fn begin(from: u64) -> impl Fn(&mut KeyRecord) {
    move |record| record.valid_from_unix_ms = from
}

/// The trust root of this name, but for its signature.
pub(crate) fn trust_root(name: &str) -> TrustRoot {
    let signer = sample::signing_key();
    let without = |key: &dyn Signer| {
        let whole = world::roots();
        let mut roots = TrustRoot::new(whole.name.clone(), whole.issued_at_unix_ms, whole.root_key().clone());
        let others = whole.keys().filter(|record| record.key != key.public_key());
        others.for_each(|record| drop(roots.insert(record.clone())));
        roots
    };
    let change = |f: &dyn Fn(&mut KeyRecord)| world::roots_with(&signer, f);
    let change_log = |f: &dyn Fn(&mut KeyRecord)| world::roots_with(log_key(), f);
    match name {
        "main" => world::roots(),
        "signer-revoked-after-checkpoint" => change(&revoke(REVOKED_AT)),
        "signer-revoked-before-checkpoint" => change(&revoke(ISSUED_AT + 500)),
        "signer-revoked-at-the-end" => change(&revoke(u64::MAX)),
        "signer-expired" => change(&expire(ISSUED_AT)),
        "signer-expired-before-checkpoint" => change(&expire(ISSUED_AT + 500)),
        "signer-not-yet-valid" => change(&begin(ISSUED_AT + 1)),
        "signer-unknown" => without(&signer),
        "signer-for-decisions" => change(&|record| record.purpose = Purpose::Decision),
        "log-revoked" => change_log(&revoke(REVOKED_AT)),
        "log-expired-after-checkpoint" => change_log(&expire(REVOKED_AT)),
        "log-expired-before-checkpoint" => change_log(&expire(CHECKPOINT_AT)),
        "log-not-yet-valid" => change_log(&begin(CHECKPOINT_AT + 1)),
        "log-unknown" => without(log_key()),
        "log-with-other-id" => change_log(&|record| record.log_id = Some([0x99; 32])),
        "witness-revoked" => {
            let mut roots = world::roots_with(witness_key(), revoke(COSIGNED_AT));
            let mut record = roots.get(&log_key().verifying_key().key_id()).unwrap().clone();
            revoke(REVOKED_AT)(&mut record);
            roots.insert(record);
            roots
        }
        "decision-revoked" => world::roots_with(&decision_key(), revoke(REVOKED_AT)),
        "decision-expired" => world::roots_with(&decision_key(), expire(REVOKED_AT)),
        "rotated" => {
            let mut roots = world::roots().next_version(ISSUED_AT);
            roots.rotate(world::verifying(new_root_key()));
            roots
        }
        _ => panic!("no trust root {name}"),
    }
}

/// The trust root of this name as a file.
pub(crate) fn signed_trust_root(name: &str) -> Vec<u8> {
    match name {
        "rotated" => trust_root(name).sign(new_root_key(), Some(root_key())),
        _ => trust_root(name).sign(root_key(), None),
    }
    .unwrap()
}
