//! `vectors/keystore`: written once with `TYTO_REGENERATE_VECTORS=1`, opened in every run, and by an independent script.

use super::{CHEAP, NOW};
use crate::{
    Error, Exportable, FILE_NAME, Kek, KeyInfo, Keystore, Passphrase, PassphraseSource, Purpose, State,
};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use tyto_pqc::digest::sha3_256;

const PASSPHRASE: &str = "everyone knows this one";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors/keystore")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |digits, byte| digits + &format!("{byte:02x}"))
}

fn unhex(text: &str) -> Vec<u8> {
    let text = text.trim();
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn kek(root: &Path) -> Kek {
    let path = root.join("passphrase");
    fs::write(&path, PASSPHRASE).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    Kek::Passphrase(Passphrase { source: PassphraseSource::File(path), cost: CHEAP })
}

/// The digest is made to fit again: what somebody does who has no key.
fn altered(file: &[u8], at: usize) -> Vec<u8> {
    let mut file = file[..file.len() - 32].to_vec();
    file[at] ^= 1;
    let digest = sha3_256(&[&file]);
    file.extend_from_slice(&digest);
    file
}

fn described(keystore: &Keystore) -> Value {
    let overview = keystore.overview();
    let describe = |info: &KeyInfo| {
        let secret = keystore.export(info.purpose, info.version).ok();
        json!({
            "purpose": info.purpose.name(),
            "version": info.version,
            "state": info.state.to_string(),
            "exportable": info.exportable,
            "created_unix_ms": info.created_unix_ms,
            "changed_unix_ms": info.changed_unix_ms,
            "key_id": hex(&info.key_id().unwrap()),
            "public_key": hex(&info.public_key),
            "pkcs8": secret.map(|der| hex(&der)),
        })
    };
    let keys: Vec<_> = overview.keys.iter().map(describe).collect();
    json!({ "store_id": hex(&overview.store_id), "generation": overview.generation, "keys": keys })
}

/// Keys of every purpose and in every state; all but one may be exported, so that their content can be pinned.
fn make(data: &Path, kek: Kek) -> Keystore {
    let mut keystore = Keystore::open_or_create(data, kek, NOW).unwrap();
    keystore.rotate(Purpose::Attestation, Exportable::Yes, NOW + 1).unwrap();
    keystore.rotate(Purpose::Log, Exportable::Yes, NOW + 2).unwrap();
    keystore.rotate(Purpose::Session, Exportable::No, NOW + 3).unwrap();
    keystore.rotate(Purpose::Attestation, Exportable::Yes, NOW + 4).unwrap();
    keystore.rotate(Purpose::Attestation, Exportable::Yes, NOW + 5).unwrap();
    keystore.destroy(Purpose::Attestation, 1, NOW + 6).unwrap();
    keystore
}

fn regenerate() {
    let root = tempfile::tempdir().unwrap();
    let keystore = make(root.path(), kek(root.path()));
    let file = fs::read(root.path().join(FILE_NAME)).unwrap();
    let state = 8 + 16 + 8 + 1 + 2 + 28 + 2 + 60 + 2 + 1;
    let rejected = [
        ("unknown", "unknown-format", {
            let mut file = file.clone();
            file[7] = b'9';
            file
        }),
        ("cut-off", "damaged", file[..file.len() - 1].to_vec()),
        ("flipped", "damaged", {
            let mut file = file.clone();
            file[200] ^= 1;
            file
        }),
        ("greedy", "cost", altered(&file, 8 + 16 + 8 + 1 + 2 + 3)),
        ("wrapped-key", "passphrase", altered(&file, state - 4)),
        ("state", "damaged", altered(&file, state)),
        ("generation", "altered", altered(&file, 8 + 16)),
        ("sealed-key", "key", altered(&file, file.len() - 32 - 32 - 1)),
    ];
    fs::create_dir_all(folder()).unwrap();
    fs::write(folder().join("keys.hex"), hex(&file) + "\n").unwrap();
    let mut index = json!({ "passphrase": PASSPHRASE, "keys": described(&keystore), "rejected": {} });
    for (name, error, file) in rejected {
        fs::write(folder().join(format!("rejected-{name}.hex")), hex(&file) + "\n").unwrap();
        index["rejected"][name] = error.into();
    }
    fs::write(folder().join("index.json"), serde_json::to_string_pretty(&index).unwrap() + "\n").unwrap();
}

/// The names of errors in the index.
fn name(error: &Error) -> &'static str {
    match error {
        Error::UnknownFormat => "unknown-format",
        Error::Damaged { .. } => "damaged",
        Error::Cost { .. } => "cost",
        Error::WrongPassphrase => "passphrase",
        Error::KeyNotAuthentic { .. } => "key",
        Error::Altered => "altered",
        other => panic!("{other}"),
    }
}

#[test]
fn golden_files_open_to_what_they_were_made_of() {
    if std::env::var_os("TYTO_REGENERATE_VECTORS").is_some() {
        regenerate();
    }
    let index: Value =
        serde_json::from_str(&fs::read_to_string(folder().join("index.json")).unwrap()).unwrap();
    let open = |name: &str| {
        let root = tempfile::tempdir().unwrap();
        let file = unhex(&fs::read_to_string(folder().join(name)).unwrap());
        fs::write(root.path().join(FILE_NAME), file).unwrap();
        Keystore::open(root.path(), kek(root.path())).map(|keystore| {
            let states: Vec<_> = keystore.keys().map(|info| info.state).collect();
            assert!([State::Active, State::Retired, State::Destroyed].iter().all(|s| states.contains(s)));
            described(&keystore)
        })
    };
    assert_eq!(index["passphrase"], PASSPHRASE);
    assert_eq!(open("keys.hex").unwrap(), index["keys"]);
    let rejected = index["rejected"].as_object().unwrap();
    assert!(rejected.len() >= 8);
    for (file, expected) in rejected {
        let error = open(&format!("rejected-{file}.hex")).unwrap_err();
        assert_eq!(name(&error), expected, "{file}: {error}");
    }
}
