use super::{CHEAP, NOW, World, names};
use crate::{
    Error, Exportable, FILE_NAME, Kek, Keystore, MARK_FILE_NAME, MAX_KEYS, Passphrase, PassphraseSource,
    PrivateKey, Purpose, State,
};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use tyto_pqc::mldsa;

#[test]
fn a_new_version_signs_and_the_old_one_verifies_until_the_end() {
    let world = World::new();
    let kek = world.kek("correct horse");
    let mut keystore = Keystore::open_or_create(&world.data(), kek.clone(), NOW).unwrap();
    assert!(matches!(keystore.signing_key(Purpose::Log), Err(Error::NoActiveKey { purpose: Purpose::Log })));
    assert_eq!(keystore.rotate(Purpose::Attestation, Exportable::No, NOW).unwrap(), 1);
    let PrivateKey::MlDsa(first) = keystore.signing_key(Purpose::Attestation).unwrap() else { panic!() };
    let signature = first.sign(b"message").unwrap();
    assert_eq!(keystore.rotate(Purpose::Attestation, Exportable::No, NOW + 1).unwrap(), 2);
    keystore.rotate(Purpose::Log, Exportable::No, NOW + 2).unwrap();

    let state = |keystore: &Keystore| -> Vec<_> {
        keystore.keys().map(|info| (info.purpose, info.version, info.state, info.changed_unix_ms)).collect()
    };
    let expected = vec![
        (Purpose::Attestation, 1, State::Retired, NOW + 1),
        (Purpose::Attestation, 2, State::Active, NOW + 1),
        (Purpose::Log, 1, State::Active, NOW + 2),
    ];
    assert_eq!(state(&keystore), expected);
    drop(keystore);

    let mut keystore = Keystore::open(&world.data(), kek.clone()).unwrap();
    assert_eq!(state(&keystore), expected);
    assert_eq!(keystore.overview(), Keystore::inspect(&world.data()).unwrap());
    let PrivateKey::MlDsa(second) = keystore.signing_key(Purpose::Attestation).unwrap() else { panic!() };
    assert!(second.verifying_key().verify(b"message", &signature).is_err());
    let old = keystore.keys().next().unwrap();
    let public = mldsa::VerifyingKey::from_bytes(&old.public_key).unwrap();
    public.verify(b"message", &signature).unwrap();
    assert_eq!(old.key_id().unwrap(), first.verifying_key().key_id());

    keystore.destroy(Purpose::Attestation, 1, NOW + 3).unwrap();
    drop(keystore);
    let keystore = Keystore::open(&world.data(), kek).unwrap();
    let old = keystore.keys().next().unwrap();
    assert_eq!((old.state, &old.public_key[..]), (State::Destroyed, public.as_bytes()));
}

#[test]
fn the_key_that_signs_is_not_destroyed_and_no_key_twice() {
    let world = World::new();
    let mut keystore = Keystore::open_or_create(&world.data(), world.kek("correct horse"), NOW).unwrap();
    keystore.rotate(Purpose::Session, Exportable::No, NOW).unwrap();
    let active = keystore.destroy(Purpose::Session, 1, NOW);
    assert!(matches!(active, Err(Error::WrongState { state: State::Active, version: 1, .. })), "{active:?}");
    keystore.rotate(Purpose::Session, Exportable::Yes, NOW).unwrap();
    keystore.destroy(Purpose::Session, 1, NOW).unwrap();
    let again = keystore.destroy(Purpose::Session, 1, NOW);
    assert!(matches!(again, Err(Error::WrongState { state: State::Destroyed, .. })), "{again:?}");
    let unknown = keystore.destroy(Purpose::Session, 3, NOW);
    assert!(matches!(unknown, Err(Error::UnknownKey { version: 3, .. })), "{unknown:?}");
}

#[test]
fn only_what_was_made_to_be_exported_leaves() {
    let world = World::new();
    let mut keystore = Keystore::open_or_create(&world.data(), world.kek("correct horse"), NOW).unwrap();
    keystore.rotate(Purpose::Session, Exportable::No, NOW).unwrap();
    keystore.rotate(Purpose::Session, Exportable::Yes, NOW).unwrap();
    let refused = keystore.export(Purpose::Session, 1).map(|_| ());
    assert!(matches!(refused, Err(Error::NotExportable { version: 1, .. })), "{refused:?}");
    let exported = keystore.export(Purpose::Session, 2).unwrap();
    let public = mldsa::SigningKey::from_pkcs8(&exported).unwrap();
    assert_eq!(public.verifying_key().as_bytes(), keystore.active(Purpose::Session).unwrap().public_key);
    keystore.rotate(Purpose::Session, Exportable::No, NOW).unwrap();
    keystore.destroy(Purpose::Session, 2, NOW).unwrap();
    let gone = keystore.export(Purpose::Session, 2).map(|_| ());
    assert!(matches!(gone, Err(Error::WrongState { state: State::Destroyed, .. })), "{gone:?}");
}

#[test]
fn files_are_the_owners_alone_and_show_no_secret() {
    let world = World::new();
    let mut keystore = Keystore::open_or_create(&world.data(), world.kek("correct horse"), NOW).unwrap();
    keystore.rotate(Purpose::Attestation, Exportable::Yes, NOW).unwrap();
    let pkcs8 = keystore.export(Purpose::Attestation, 1).unwrap();
    let seed = &pkcs8[pkcs8.len() - 32..];
    for name in names(&world.data()) {
        let path = world.data().join(&name);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
        let bytes = fs::read(&path).unwrap();
        assert!(!bytes.windows(32).any(|window| window == seed), "{name} has the seed in plain");
    }
    let key = keystore.signing_key(Purpose::Attestation).unwrap();
    let digits = seed.iter().fold(String::new(), |digits, byte| digits + &format!("{byte:02x}"));
    let list = format!("{seed:?}");
    for shown in [format!("{keystore:?}"), format!("{key:?}"), format!("{:?}", world.kek("correct horse"))] {
        assert!(!shown.contains("correct horse"), "{shown}");
        assert!(!shown.contains(&digits) && !shown.contains(list.trim_matches(['[', ']'])), "{shown}");
    }
}

#[test]
fn what_was_replaced_is_overwritten() {
    let world = World::new();
    let mut keystore = Keystore::open_or_create(&world.data(), world.kek("correct horse"), NOW).unwrap();
    keystore.rotate(Purpose::Attestation, Exportable::No, NOW).unwrap();
    keystore.rotate(Purpose::Attestation, Exportable::No, NOW).unwrap();
    // Another name of the old file shows what became of its bytes.
    let kept = world.data().join("kept");
    fs::hard_link(world.data().join(FILE_NAME), &kept).unwrap();
    let before = fs::read(&kept).unwrap();
    keystore.destroy(Purpose::Attestation, 1, NOW).unwrap();
    let after = fs::read(&kept).unwrap();
    assert_eq!(after.len(), before.len());
    assert!(!before.windows(16).any(|window| after.windows(16).any(|other| other == window)));
}

#[test]
fn an_older_file_and_another_keystore_are_refused() {
    let world = World::new();
    let kek = world.kek("correct horse");
    let mut keystore = Keystore::open_or_create(&world.data(), kek.clone(), NOW).unwrap();
    keystore.rotate(Purpose::Session, Exportable::No, NOW).unwrap();
    let old = fs::read(world.data().join(FILE_NAME)).unwrap();
    keystore.rotate(Purpose::Session, Exportable::No, NOW).unwrap();
    drop(keystore);
    fs::write(world.data().join(FILE_NAME), &old).unwrap();
    let opened = Keystore::open(&world.data(), kek.clone()).map(drop);
    assert!(matches!(opened, Err(Error::RolledBack { found: 2, seen: 3, .. })), "{opened:?}");
    // What the error says to do after a deliberate restore.
    fs::remove_file(world.data().join(MARK_FILE_NAME)).unwrap();
    drop(Keystore::open(&world.data(), kek.clone()).unwrap());

    let other = World::new();
    drop(Keystore::open_or_create(&other.data(), kek.clone(), NOW).unwrap());
    fs::copy(other.data().join(FILE_NAME), world.data().join(FILE_NAME)).unwrap();
    let opened = Keystore::open(&world.data(), kek.clone()).map(drop);
    assert!(matches!(opened, Err(Error::OtherStore { .. })), "{opened:?}");

    fs::remove_file(world.data().join(FILE_NAME)).unwrap();
    assert!(Keystore::exists(&world.data()));
    let made = Keystore::open_or_create(&world.data(), kek, NOW).map(drop);
    assert!(matches!(made, Err(Error::Absent { .. })), "a lost keystore is not made anew: {made:?}");
}

#[test]
fn a_plain_key_that_is_not_in_the_keystore_is_neither_used_nor_removed() {
    let world = World::new();
    let kek = world.kek("correct horse");
    let mut keystore = Keystore::open_or_create(&world.data(), kek.clone(), NOW).unwrap();
    keystore.rotate(Purpose::Attestation, Exportable::No, NOW).unwrap();
    drop(keystore);
    let stray = world.data().join("signing-key.p8");
    for content in [mldsa::SigningKey::generate().unwrap().to_pkcs8().unwrap().to_vec(), b"no key".to_vec()] {
        fs::write(&stray, &content).unwrap();
        let opened = Keystore::open_or_create(&world.data(), kek.clone(), NOW).map(drop);
        assert!(matches!(opened, Err(Error::StrayPlainKey { .. })), "{opened:?}");
        assert_eq!(fs::read(&stray).unwrap(), content);
    }
    // At a first start it is named, too, and stays.
    let fresh = World::new();
    fs::write(fresh.data().join("log-key.p8"), b"no key").unwrap();
    let opened = Keystore::open_or_create(&fresh.data(), kek, NOW).map(drop);
    assert!(
        matches!(&opened, Err(Error::PlainKey { path, .. }) if path.ends_with("log-key.p8")),
        "{opened:?}"
    );
    assert!(fresh.data().join("log-key.p8").exists() && !fresh.data().join(FILE_NAME).exists());
}

#[test]
fn changes_take_the_passphrase_that_opened() {
    let world = World::new();
    let kek = world.kek("correct horse");
    let mut keystore = Keystore::open_or_create(&world.data(), kek.clone(), NOW).unwrap();
    let Kek::Passphrase(Passphrase { source: PassphraseSource::File(path), .. }) = &kek else { panic!() };
    fs::write(path, "another horse").unwrap();
    let rotated = keystore.rotate(Purpose::Log, Exportable::No, NOW);
    assert!(matches!(rotated, Err(Error::WrongPassphrase)), "{rotated:?}");
    fs::write(path, "correct horse\r\n").unwrap();
    keystore.rotate(Purpose::Session, Exportable::No, NOW).unwrap();
}

#[test]
fn passphrases_come_from_files_that_are_not_everybodys() {
    let world = World::new();
    let path = world.root.path().join("passphrase");
    let kek = Kek::Passphrase(Passphrase { source: PassphraseSource::File(path.clone()), cost: CHEAP });
    let opened = || Keystore::open_or_create(&world.data(), kek.clone(), NOW).map(drop);
    assert!(matches!(opened(), Err(Error::File { .. })));
    fs::write(&path, "correct horse").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o604)).unwrap();
    assert!(matches!(opened(), Err(Error::Passphrase { .. })));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o440)).unwrap();
    opened().unwrap();
    for wrong in ["seven77\n".to_owned(), "x".repeat(1025)] {
        let _ = fs::remove_file(&path);
        fs::write(&path, wrong).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(opened(), Err(Error::Passphrase { .. })));
    }
    for source in [
        PassphraseSource::Environment("TYTO_NO_SUCH_VARIABLE".into()),
        PassphraseSource::Credential("../etc/passwd".into()),
        PassphraseSource::Credential("tyto".into()),
    ] {
        let kek = Kek::Passphrase(Passphrase { source, cost: CHEAP });
        let opened = Keystore::open(&world.data(), kek).map(drop);
        assert!(matches!(opened, Err(Error::Passphrase { .. })), "{opened:?}");
    }
}

#[test]
fn there_is_a_limit_to_the_keys() {
    let world = World::new();
    let mut keystore = Keystore::open_or_create(&world.data(), world.kek("correct horse"), NOW).unwrap();
    for version in 1..=MAX_KEYS as u32 {
        assert_eq!(keystore.rotate(Purpose::Session, Exportable::No, NOW).unwrap(), version);
    }
    let more = keystore.rotate(Purpose::Session, Exportable::No, NOW);
    assert!(matches!(more, Err(Error::TooManyKeys { max: MAX_KEYS })), "{more:?}");
    assert!(fs::metadata(world.data().join(FILE_NAME)).unwrap().len() < crate::MAX_KEYSTORE_BYTES);
}
