//! Trust roots that must not be signed, and what a list says about keys at a time.

use tyto_attest::{
    Error, FieldProblem, KeyRecord, Part, Purpose, Revocation, RevocationReason, Signer, TrustRoot,
};

use crate::sample;
use crate::world::{self, ISSUED_AT, decision_key, log_key, new_root_key, record, root_key, unknown_log_key};

fn refused(change: impl FnOnce(&mut KeyRecord)) -> Option<(&'static str, FieldProblem)> {
    let mut roots = world::roots();
    let mut log = record(log_key(), Purpose::Log);
    change(&mut log);
    roots.insert(log);
    match roots.sign(root_key(), None) {
        Err(Error::Field { part: Part::TrustRoot, field, problem }) => Some((field, problem)),
        Err(error) => panic!("{error}"),
        Ok(_) => None,
    }
}

#[test]
fn a_record_that_breaks_a_rule_is_not_signed() {
    assert_eq!(refused(|_| {}), None);
    assert_eq!(refused(|r| r.log_id = None), Some(("log_id", FieldProblem::Missing)));
    let other = |r: &mut KeyRecord| *r = KeyRecord { purpose: Purpose::Witness, ..r.clone() };
    assert_eq!(refused(other), Some(("log_id", FieldProblem::NotNull)));
    assert_eq!(
        refused(|r| r.purpose = Purpose::Attestation),
        Some(("purpose", FieldProblem::UnknownValue)),
        "attestations are signed with ML-DSA-65"
    );
    assert_eq!(
        refused(|r| r.valid_until_unix_ms = Some(r.valid_from_unix_ms)),
        Some(("valid_until_unix_ms", FieldProblem::Unordered))
    );
    assert_eq!(refused(|r| r.name = "a\nb".into()), Some(("name", FieldProblem::ControlCharacter)));
}

#[test]
fn only_the_keys_that_a_list_names_sign_it() {
    let of = |key: &tyto_pqc::slhdsa::SigningKey| key.verifying_key().key_id();
    let roots = world::roots();
    let part = Part::TrustRoot;
    assert_eq!(roots.sign(new_root_key(), None), Err(Error::UnknownKey { part, key_id: of(new_root_key()) }));
    let superfluous = roots.sign(root_key(), Some(new_root_key()));
    assert_eq!(superfluous, Err(Error::UnknownKey { part, key_id: of(new_root_key()) }));
    let mut rotated = roots.next_version(ISSUED_AT);
    rotated.rotate(world::verifying(new_root_key()));
    let missing = rotated.sign(new_root_key(), None);
    assert_eq!(missing, Err(Error::UnknownKey { part, key_id: of(root_key()) }));
}

#[test]
fn a_list_is_signed_read_and_updated_through_a_rotation() {
    let first = world::roots();
    let signed = first.sign(root_key(), None).unwrap();
    let opened = TrustRoot::open(&signed, Some(&root_key().verifying_key().key_id())).unwrap();
    assert_eq!(opened, first);

    let mut second = opened.next_version(ISSUED_AT);
    second.rotate(world::verifying(new_root_key()));
    let second_signed = second.sign(new_root_key(), Some(root_key())).unwrap();
    let updated = opened.update(&second_signed).unwrap();
    assert_eq!(updated, second);

    // From then on the new key signs alone, and the old one cannot any more.
    let third = updated.next_version(ISSUED_AT + 1);
    let third_signed = third.sign(new_root_key(), None).unwrap();
    assert_eq!(updated.update(&third_signed), Ok(third));
    let key_id = new_root_key().verifying_key().key_id();
    assert_eq!(opened.update(&third_signed), Err(Error::UnknownKey { part: Part::TrustRoot, key_id }));
    assert_eq!(updated.update(&second_signed), Err(Error::RootNotNewer { known: 2, offered: 2 }));
}

/// What an update from `old` says about a list that was made from its next version.
fn updated(old: &TrustRoot, change: impl FnOnce(&mut TrustRoot)) -> Result<TrustRoot, Error> {
    let mut newer = old.next_version(old.issued_at_unix_ms);
    change(&mut newer);
    old.update(&newer.sign(root_key(), None)?)
}

#[test]
fn an_update_takes_nothing_back_not_even_what_lies_at_the_end_of_time() {
    let end = Revocation { revoked_at_unix_ms: u64::MAX, reason: RevocationReason::Unspecified };
    let old = world::roots_with(log_key(), |record| {
        record.revocation = Some(end);
        record.valid_until_unix_ms = Some(u64::MAX);
    });
    let key_id = log_key().verifying_key().key_id();
    let change = |change: &dyn Fn(&mut KeyRecord)| {
        updated(&old, |list| {
            let mut record = list.get(&key_id).unwrap().clone();
            change(&mut record);
            list.insert(record);
        })
        .map(drop)
    };
    assert_eq!(change(&|_| {}), Ok(()));
    assert_eq!(change(&|record| record.revocation = None), Err(Error::RootRegression { key_id }));
    assert_eq!(change(&|record| record.valid_until_unix_ms = None), Err(Error::RootRegression { key_id }));
    assert_eq!(change(&|record| record.valid_until_unix_ms = Some(u64::MAX - 1)), Ok(()));
}

#[test]
fn an_update_keeps_the_name_and_does_not_go_back_in_time() {
    let old = world::roots();
    let renamed = updated(&old, |list| list.name = "another".into());
    assert_eq!(renamed, Err(Error::RootChanged { field: "name" }));
    let earlier = updated(&old, |list| list.issued_at_unix_ms -= 1);
    assert_eq!(earlier, Err(Error::RootChanged { field: "issued_at_unix_ms" }));
    let newer = old.next_version(old.issued_at_unix_ms - 1);
    assert_eq!(newer.issued_at_unix_ms, old.issued_at_unix_ms, "a clock that was set back");
}

#[test]
fn versions_begin_with_one_and_end_with_the_last() {
    let version = |version| {
        let mut roots = world::roots();
        roots.version = version;
        roots
    };
    let none = version(0).sign(root_key(), None);
    let problem = FieldProblem::UnknownValue;
    assert_eq!(none, Err(Error::Field { part: Part::TrustRoot, field: "version", problem }));
    let last = version(u64::MAX);
    let beyond = last.update(&last.next_version(ISSUED_AT).sign(root_key(), None).unwrap());
    assert_eq!(beyond, Err(Error::RootNotNewer { known: u64::MAX, offered: u64::MAX }));
}

#[test]
fn a_root_key_that_is_replaced_twice_in_a_version_is_still_followed() {
    let old = world::roots();
    let mut newer = old.next_version(ISSUED_AT);
    newer.rotate(world::verifying(unknown_log_key()));
    newer.rotate(world::verifying(new_root_key()));
    let signed = newer.sign(new_root_key(), Some(root_key())).unwrap();
    assert_eq!(old.update(&signed), Ok(newer.clone()));
    newer.rotate(world::verifying(root_key()));
    assert_eq!((newer.root_key(), newer.previous_root_key()), (old.root_key(), None));
}

#[test]
fn live_answers_are_believed_from_valid_keys_only() {
    let signer = sample::signing_key();
    let key_id = signer.public_key().key_id();
    let believed = |roots: &TrustRoot, at| roots.attestation_keys(at).get(&key_id).is_some();
    let roots = world::roots();
    assert_eq!(roots.attestation_keys(ISSUED_AT).len(), 1, "keys of other purposes are left out");
    let record = roots.get(&key_id).unwrap().clone();
    let (from, until) = (record.valid_from_unix_ms, record.valid_until_unix_ms.unwrap());
    let expected = [(from - 1, false), (from, true), (until - 1, true), (until, false)];
    expected.into_iter().for_each(|(at, is)| assert_eq!(believed(&roots, at), is, "{at}"));
    let revoked = world::roots_with(&signer, |record| {
        let reason = RevocationReason::Superseded;
        record.revocation = Some(Revocation { revoked_at_unix_ms: ISSUED_AT, reason });
    });
    assert!(believed(&revoked, ISSUED_AT - 1) && !believed(&revoked, ISSUED_AT));
    assert!(roots.get(&decision_key().public_key().key_id()).is_some());
}
