//! Every wrong thing has its own error.

use super::{NOW, World};
use crate::format::{self, Contents, Entry};
use crate::{
    Error, Exportable, FILE_NAME, Kek, Keystore, MAX_LANES, MAX_MEMORY_KIB, MAX_PASSES, Provider, Purpose,
    State,
};
use std::fs;
use tyto_pqc::Secret32;
use tyto_pqc::digest::sha3_256;

/// Where the provider's parameters begin.
const PARAMETERS: usize = 8 + 16 + 8 + 1 + 2;

fn world_with_keys() -> (World, Kek, Vec<u8>) {
    let world = World::new();
    let kek = world.kek("correct horse");
    let mut keystore = Keystore::open_or_create(&world.data(), kek.clone(), NOW).unwrap();
    keystore.rotate(Purpose::Attestation, Exportable::No, NOW).unwrap();
    keystore.rotate(Purpose::Session, Exportable::No, NOW).unwrap();
    keystore.rotate(Purpose::Attestation, Exportable::No, NOW).unwrap();
    drop(keystore);
    let file = fs::read(world.data().join(FILE_NAME)).unwrap();
    (world, kek, file)
}

/// Opens these bytes in the place of the keystore.
fn open(world: &World, kek: &Kek, file: &[u8]) -> Result<(), Error> {
    fs::write(world.data().join(FILE_NAME), file).unwrap();
    Keystore::open(&world.data(), kek.clone()).map(drop)
}

/// What somebody alters who has no key: the digest fits afterwards.
fn altered(file: &[u8], alter: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut file = file[..file.len() - 32].to_vec();
    alter(&mut file);
    let digest = sha3_256(&[&file]);
    file.extend_from_slice(&digest);
    file
}

/// Decodes, lets entries be changed, and encodes under the right data key: what only a holder of the key can do.
fn remade(kek: &Kek, file: &[u8], alter: impl FnOnce(&mut Contents, &Secret32)) -> Vec<u8> {
    let mut contents = Contents::decode(file).unwrap();
    let data_key = kek.unwrap(&contents.store_id, &contents.envelope).unwrap();
    alter(&mut contents, &data_key);
    contents.encode(&data_key)
}

#[test]
fn damage_is_told_from_a_wrong_passphrase() {
    let (world, kek, file) = world_with_keys();
    for at in (0..file.len()).step_by(61).chain([file.len() - 1]) {
        let mut damaged = file.clone();
        damaged[at] ^= 4;
        match open(&world, &kek, &damaged) {
            Err(Error::UnknownFormat) if at < 8 => {}
            Err(Error::Damaged { .. }) if at >= 8 => {}
            other => panic!("byte {at}: {other:?}"),
        }
    }
    for length in [8, 20, 39, 40, 100, file.len() - 33, file.len() - 1] {
        let opened = open(&world, &kek, &file[..length]);
        assert!(matches!(opened, Err(Error::Damaged { .. })), "{length} bytes: {opened:?}");
    }
    assert!(matches!(open(&world, &kek, b""), Err(Error::UnknownFormat)));
    assert!(matches!(open(&world, &kek, &vec![0; (1 << 20) + 1]), Err(Error::TooLarge { .. })));
    assert!(matches!(open(&world, &world.kek("another horse"), &file), Err(Error::WrongPassphrase)));
    open(&world, &kek, &file).unwrap();
}

#[test]
fn whoever_has_no_key_can_alter_nothing() {
    let (world, kek, file) = world_with_keys();
    let body = file.len() - 32;
    for at in (8..body).step_by(7) {
        // Argon2id's cost stays what it is: larger ones take their time.
        if (PARAMETERS..PARAMETERS + 12).contains(&at) {
            continue;
        }
        let opened = open(&world, &kek, &altered(&file, |file| file[at] ^= 1));
        assert!(opened.is_err(), "byte {at}");
    }
    // A key's state is under the tag alone.
    let state = Contents::decode(&file).unwrap();
    let wrapped = state.envelope.wrapped.len();
    let at = PARAMETERS + state.envelope.parameters.len() + 2 + wrapped + 2 + 3 + 4;
    let opened = open(&world, &kek, &altered(&file, |file| file[at] ^= 1));
    assert!(matches!(opened, Err(Error::Altered)), "{opened:?}");
}

#[test]
fn a_file_cannot_ask_for_more_than_the_limits() {
    let (world, kek, file) = world_with_keys();
    for (at, limit) in [(0, MAX_MEMORY_KIB), (4, MAX_PASSES), (8, MAX_LANES)] {
        let place = PARAMETERS + at..PARAMETERS + at + 4;
        for greedy in [limit + 1, u32::MAX] {
            let greedy = altered(&file, |file| file[place.clone()].copy_from_slice(&greedy.to_le_bytes()));
            let opened = open(&world, &kek, &greedy);
            assert!(matches!(opened, Err(Error::Cost { max, .. }) if max == limit), "{opened:?}");
        }
        let none = altered(&file, |file| file[place].fill(0));
        assert!(matches!(open(&world, &kek, &none), Err(Error::CostInvalid)));
    }
}

#[test]
fn keys_are_bound_to_purpose_version_and_id() {
    let (world, kek, file) = world_with_keys();
    let moved = |alter: fn(&mut Vec<Entry>)| {
        let file = remade(&kek, &file, |contents, _| alter(&mut contents.entries));
        open(&world, &kek, &file)
    };
    // Attestation 1, session 1, attestation 2.
    let opened = moved(|entries| {
        entries[1].info.purpose = Purpose::Attestation;
        entries[1].info.version = 3;
        entries[2].info.purpose = Purpose::Session;
        entries[2].info.version = 1;
        entries[1].info.state = State::Retired;
        entries.swap(1, 2);
        entries.swap(0, 1);
    });
    assert!(matches!(opened, Err(Error::Damaged { .. })), "versions have no gaps: {opened:?}");
    let opened = moved(|entries| {
        entries.remove(2);
        entries.remove(0);
        entries[0].info.purpose = Purpose::Attestation;
    });
    let is_purpose = |opened: &Result<(), Error>| {
        matches!(opened, Err(Error::WrongPurpose { sealed: Purpose::Session, .. }))
    };
    assert!(is_purpose(&opened), "{opened:?}");
    let opened = moved(|entries| {
        let sealed = entries[0].sealed.clone();
        entries[2].sealed = sealed;
    });
    assert!(matches!(opened, Err(Error::KeyNotAuthentic { version: 2, .. })), "{opened:?}");
    let opened = moved(|entries| entries[0].info.exportable = true);
    assert!(matches!(opened, Err(Error::KeyNotAuthentic { version: 1, .. })), "{opened:?}");
    let opened = moved(|entries| {
        let public_key = entries[2].info.public_key.clone();
        entries[0].info.public_key = public_key;
    });
    assert!(matches!(opened, Err(Error::KeyNotAuthentic { version: 1, .. })), "{opened:?}");
}

#[test]
fn a_private_key_under_another_public_key_is_refused() {
    let (world, kek, file) = world_with_keys();
    let file = remade(&kek, &file, |contents, data_key| {
        let (store_id, last) = (contents.store_id, contents.entries.len() - 1);
        let Entry { info, sealed } = &mut contents.entries[last];
        let other = crate::PrivateKey::generate(info.purpose).unwrap().to_pkcs8().unwrap();
        let aad = format::associated_data(&store_id, info, info.purpose).unwrap();
        *sealed = format::seal(&format::sealing_key(data_key).unwrap(), &aad, &other).unwrap();
    });
    let opened = open(&world, &kek, &file);
    assert!(matches!(opened, Err(Error::KeyNotAuthentic { version: 2, .. })), "{opened:?}");
}

#[test]
fn a_keystore_of_another_provider_says_so() {
    let (world, kek, file) = world_with_keys();
    let file = remade(&kek, &file, |contents, _| contents.envelope.provider = Provider::AwsKms);
    let opened = open(&world, &kek, &file);
    let expected = (Provider::AwsKms, Provider::Passphrase);
    assert!(
        matches!(opened, Err(Error::OtherProvider { found, configured }) if (found, configured) == expected),
        "{opened:?}"
    );
    let unknown = altered(&file, |file| file[PARAMETERS - 3] = 9);
    assert!(matches!(open(&world, &kek, &unknown), Err(Error::UnknownFormat)));
}
