//! Changes that are broken off at every point, as if the process had been killed there: nothing is cleaned up.

use super::{NOW, World, names};
use crate::{Error, Exportable, FILE_NAME, Keystore, MARK_FILE_NAME, Purpose, State};
use std::cell::Cell;
use std::{fs, io};
use tyto_pqc::{mldsa, slhdsa};

/// The points at which a change can be broken off.
const POINTS: std::ops::RangeInclusive<u8> = 1..=7;

thread_local! {
    static BREAK_OFF_AT: Cell<Option<u8>> = const { Cell::new(None) };
}

pub(crate) fn crash_point(point: u8) -> Result<(), Error> {
    if BREAK_OFF_AT.get() == Some(point) {
        let (path, source) = ("here".into(), io::Error::other("killed"));
        return Err(Error::File { action: "go on", path, source });
    }
    Ok(())
}

/// Runs a change that is broken off at a point; false if it never came there.
fn broken_off<T>(point: u8, change: impl FnOnce() -> Result<T, Error>) -> bool {
    BREAK_OFF_AT.set(Some(point));
    let result = change().map(|_| ());
    BREAK_OFF_AT.set(None);
    match result {
        Ok(()) => false,
        Err(Error::File { action: "go on", .. }) => true,
        Err(error) => panic!("point {point}: {error}"),
    }
}

#[test]
fn a_rewrap_that_is_killed_leaves_keys_that_open_under_one_of_both() {
    let mut reached = Vec::new();
    for point in POINTS {
        let world = World::new();
        let (old, new) = (world.kek("the old one"), world.kek("the new one"));
        let mut keystore = Keystore::open_or_create(&world.data(), old.clone(), NOW).unwrap();
        keystore.rotate(Purpose::Attestation, Exportable::No, NOW).unwrap();
        let public = keystore.active(Purpose::Attestation).unwrap().public_key.clone();
        if broken_off(point, || keystore.rewrap(new.clone())) {
            reached.push(point);
        }
        drop(keystore);
        let opened = [&old, &new].map(|kek| Keystore::open(&world.data(), kek.clone()).map(drop));
        let [by_old, by_new] = &opened;
        assert!(by_old.is_ok() != by_new.is_ok(), "point {point}: {opened:?}");
        assert!(matches!(by_old.as_ref().or(by_new.as_ref()), Ok(())));
        let wrong = by_old.as_ref().err().or(by_new.as_ref().err());
        assert!(matches!(wrong, Some(Error::WrongPassphrase)), "point {point}: {wrong:?}");
        let kek = if by_old.is_ok() { old } else { new };
        let keystore = Keystore::open(&world.data(), kek).unwrap();
        assert_eq!(keystore.signing_key(Purpose::Attestation).unwrap().public_key(), public);
        let left = names(&world.data());
        assert!(
            left.iter().all(|name| [FILE_NAME, MARK_FILE_NAME, "keystore.lock"].contains(&&**name)
                || name == "keystore.mark.new"),
            "point {point}: {left:?}"
        );
    }
    assert_eq!(reached, [1, 2, 3, 4, 5]);
}

#[test]
fn a_migration_that_is_killed_goes_on_with_the_same_keys_and_leaves_no_plain_one() {
    let mut reached = Vec::new();
    for point in POINTS {
        let world = World::new();
        let attestation = mldsa::SigningKey::generate().unwrap();
        let log = slhdsa::SigningKey::generate(slhdsa::ParameterSet::Shake128s).unwrap();
        fs::write(world.data().join("signing-key.p8"), attestation.to_pkcs8().unwrap()).unwrap();
        fs::write(world.data().join("log-key.p8"), log.to_pkcs8().unwrap()).unwrap();
        let kek = world.kek("correct horse");
        if broken_off(point, || Keystore::open_or_create(&world.data(), kek.clone(), NOW)) {
            reached.push(point);
        }
        let keystore = Keystore::open_or_create(&world.data(), kek, NOW).unwrap();
        let public = |purpose| keystore.signing_key(purpose).unwrap().public_key();
        assert_eq!(public(Purpose::Attestation), attestation.verifying_key().as_bytes(), "point {point}");
        assert_eq!(public(Purpose::Log), log.verifying_key().as_bytes(), "point {point}");
        let left = names(&world.data());
        assert!(!left.iter().any(|name| name.contains("p8")), "point {point}: {left:?}");
    }
    assert_eq!(reached, [1, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn a_destruction_that_is_killed_is_done_or_not() {
    let mut outcomes = Vec::new();
    for point in 1..=5 {
        let world = World::new();
        let kek = world.kek("correct horse");
        let mut keystore = Keystore::open_or_create(&world.data(), kek.clone(), NOW).unwrap();
        for _ in 0..2 {
            keystore.rotate(Purpose::Session, Exportable::No, NOW).unwrap();
        }
        assert!(broken_off(point, || keystore.destroy(Purpose::Session, 1, NOW)));
        drop(keystore);
        let mut keystore = Keystore::open(&world.data(), kek).unwrap();
        let state = keystore.keys().find(|info| info.version == 1).unwrap().state;
        outcomes.push(state == State::Destroyed);
        assert!(!world.data().join("keystore.replaced").exists());
        // And it can go on.
        keystore.rotate(Purpose::Session, Exportable::No, NOW).unwrap();
    }
    assert_eq!(outcomes, [false, false, true, true, true]);
}
