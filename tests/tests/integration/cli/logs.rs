//! `tyto log verify` on directories of logs.

use serde_json::Value;
use tyto_client::attest::log::{EntryBundle, Hash, Sequencer, leaf_hash};
use tyto_client::attest::{
    Checkpoint, Claim, Document, DocumentDigest, KeyRecord, LogState, PreviousCheckpoint, Purpose, Receipt,
    Statement, TreeHead, TrustRoot,
};
use tyto_client::pqc::slhdsa::{ParameterSet, SigningKey};

use tyto_store::{LogEntry, LogEntryId, Store};

use super::tyto::{Home, Tyto, finish};

const LOG_ID: [u8; 32] = [9; 32];
const BEGIN_UNIX_MS: u64 = 1_790_000_000_000;

fn entry(index: u64, previous: Option<PreviousCheckpoint>) -> Vec<u8> {
    let digest = DocumentDigest::Sha3_256([index as u8; 32]);
    Statement {
        issuer: "server".into(),
        issued_at_unix_ms: BEGIN_UNIX_MS + index,
        audience: String::new(),
        nonce: Some([3; 32]),
        principal: None,
        software_version: "1".into(),
        build_digest: None,
        log: Some(LogState { log_id: LOG_ID, previous_checkpoint: previous }),
        claim: Claim::Document(Document { digest, label: None }),
    }
    .encode()
    .unwrap()
}

/// A log of two checkpoints in the folder `log`, the older one in `old`, a receipt in `receipt`, and who may have signed
/// them in `roots`. Entry `odd` names a checkpoint that is larger than its place.
fn log(home: &Home, odd: Option<u64>) {
    let key = SigningKey::generate(ParameterSet::Shake128f).unwrap();
    let mut sequencer = Sequencer::new();
    let write = |name: &str, bytes: &[u8]| {
        let path = home.path("log").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    for size in [300_u64, 600] {
        let odd_checkpoint = PreviousCheckpoint { size: 299, root: [0; 32] };
        let entry = |index| entry(index, (odd == Some(index)).then_some(odd_checkpoint));
        let entries: Vec<_> = (sequencer.size()..size).map(entry).collect();
        let appended = sequencer.append(&entries).unwrap();
        for tile in &appended.tiles {
            write(&tile.id().path(), &tile.to_bytes());
            if tile.id().level == 0 {
                let first = tile.id().index * 256;
                let mut bundle = Vec::new();
                for index in first..first + u64::from(tile.id().width) {
                    EntryBundle::append(&mut bundle, &entry(index)).unwrap();
                }
                write(&tile.id().entries_path(), &bundle);
            }
        }
        let root: Hash = appended.root;
        let head = TreeHead { log_id: LOG_ID, size, root, time_unix_ms: BEGIN_UNIX_MS + 1000 * size };
        let checkpoint = Checkpoint::sign(head, &key).unwrap();
        write("checkpoint", &checkpoint.encode());
        if size == 300 {
            home.file("old", checkpoint.encode());
            home.file("receipt", Receipt::new(checkpoint, 0, vec![leaf_hash(b"never looked at")]).encode());
        }
    }
    let root_key = SigningKey::generate(ParameterSet::Shake128f).unwrap();
    let mut roots = TrustRoot::new("log".into(), BEGIN_UNIX_MS, root_key.verifying_key().clone());
    home.file("nobody", roots.sign(&root_key, None).unwrap());
    roots.insert(KeyRecord {
        key: key.verifying_key().clone().into(),
        purpose: Purpose::Log,
        log_id: Some(LOG_ID),
        name: String::new(),
        valid_from_unix_ms: 0,
        valid_until_unix_ms: None,
        revocation: None,
    });
    home.file("roots", roots.sign(&root_key, None).unwrap());
}

/// The rejection of a log.
fn rejection(home: &Home, arguments: &str) -> (Value, Value, Value) {
    let done = home.run(format!("log verify log --json {arguments}").trim_end());
    let shown = done.json(3);
    assert_eq!(shown["verified"], false);
    let message = shown["rejection"]["message"].as_str().unwrap();
    assert!(done.err.contains(message), "{done:?}");
    let field = |name: &str| shown["rejection"][name].clone();
    (field("part"), field("entry"), field("check"))
}

#[test]
fn a_log_is_verified_from_its_directory_alone() {
    let home = Home::new("http://127.0.0.1:1");
    log(&home, None);
    let plain = home.run("log verify log --json").json(0);
    assert_eq!((&plain["verified"], &plain["checkpoint"]["signature"]), (&true.into(), &"unchecked".into()));
    let all = "--roots roots --checkpoint old --checkpoint receipt --entries";
    let shown = home.run(&format!("log verify log --json {all}")).json(0);
    assert_eq!((&shown["entries"], &shown["entries_beyond"]), (&600.into(), &0.into()));
    assert_eq!(
        (&shown["checkpoint"]["signature"], &shown["checkpoint"]["size"]),
        (&"verified".into(), &600.into())
    );
    assert_eq!(shown["extends"][1]["size"], 300);

    let bundle = home.path("log/tile/entries/001");
    let whole = std::fs::read(&bundle).unwrap();
    let mut altered = whole.clone();
    altered[100] ^= 1;
    std::fs::write(&bundle, altered).unwrap();
    assert_eq!(rejection(&home, all), ("log".into(), 256.into(), "entry".into()));
    std::fs::remove_file(&bundle).unwrap();
    assert_eq!(rejection(&home, ""), ("log".into(), 256.into(), "missing".into()));
    std::fs::write(&bundle, whole).unwrap();

    // Who signed, and whether the log went back.
    assert_eq!(rejection(&home, "--roots nobody"), ("checkpoint".into(), Value::Null, "key-id".into()));
    let newest = std::fs::read(home.path("log/checkpoint")).unwrap();
    let mut altered = newest.clone();
    *altered.last_mut().unwrap() ^= 1;
    std::fs::write(home.path("log/checkpoint"), &altered).unwrap();
    assert_eq!(rejection(&home, "--roots roots"), ("checkpoint".into(), Value::Null, "signature".into()));
    home.file("newest", newest);
    std::fs::copy(home.path("old"), home.path("log/checkpoint")).unwrap();
    let beyond = home.run("log verify log --json --roots roots").json(0);
    assert_eq!((&beyond["entries"], &beyond["entries_beyond"]), (&300.into(), &300.into()));
    let gone_back = rejection(&home, "--roots roots --checkpoint newest");
    assert_eq!(gone_back, ("log".into(), 300.into(), "size".into()));
    std::fs::remove_file(home.path("log/checkpoint")).unwrap();
    assert_eq!(rejection(&home, ""), ("checkpoint".into(), Value::Null, "missing".into()));

    home.run("log verify absent").refused(2, "absent");
    home.run("log verify log --roots absent").refused(2, "absent");
}

#[test]
fn an_entry_that_does_not_belong_into_a_log_is_seen_if_entries_are_looked_at() {
    let home = Home::new("http://127.0.0.1:1");
    log(&home, Some(17));
    assert_eq!(home.run("log verify log --roots roots").code, 0);
    let found = rejection(&home, "--roots roots --entries");
    assert_eq!(found, ("entry".into(), 17.into(), "previous-checkpoint".into()));
}

/// A store's own directory, with the partial tiles that it leaves and the ones that it deletes.
#[tokio::test]
async fn the_directory_of_a_store_is_verified_as_it_lies() {
    const HOUR_MS: u64 = 3_600_000;
    let home = Home::new("http://127.0.0.1:1");
    log(&home, None);
    let store = Store::open(&home.path("data")).await.unwrap();
    let token = store.acquire_log([1; 16], 0, HOUR_MS).await.unwrap();
    let mut writer = store.resume_log(token).await.unwrap();
    let key = SigningKey::generate(ParameterSet::Shake128f).unwrap();
    let mut number = 0_u64;
    for size in [1, 7, 260, 300] {
        while number < size {
            let mut id = [0; 16];
            id[..8].copy_from_slice(&number.to_be_bytes());
            let entry = LogEntry { id: LogEntryId(id), bytes: entry(number, None).into() };
            store.add_log_entries(&[entry]).await.unwrap();
            number += 1;
        }
        writer.append(1000).await.unwrap();
        let tree = writer.tree_to_sign().unwrap();
        let time_unix_ms = BEGIN_UNIX_MS + 1000 * size;
        let head = TreeHead { log_id: LOG_ID, size: tree.size, root: tree.root, time_unix_ms };
        if size < 300 {
            let checkpoint = Checkpoint::sign(head, &key).unwrap();
            writer.publish(&checkpoint).await.unwrap();
            home.file(&format!("at-{size}"), checkpoint.encode());
        }
    }
    let line = "log verify data/objects/log --entries --checkpoint at-1 --checkpoint at-7 --json";
    let shown = home.run(line).json(0);
    assert_eq!((&shown["entries"], &shown["entries_beyond"]), (&260.into(), &40.into()));
    // A log of the same entries under another key has the same trees and is another log.
    let other = home.run("log verify data/objects/log --json --checkpoint old").json(3);
    assert_eq!(other["rejection"]["check"], "size");
}

#[test]
fn the_log_of_a_server_is_verified_with_the_keys_that_its_bundle_brought() {
    let mut tyto = Tyto::start();
    tyto.home.file("contract", "to whom it may concern");
    assert_eq!(tyto.run("attest document contract --out contract.bundle").code, 0);
    let root = |line: &str| {
        let mut command = tyto.home.command(line.split(' '));
        finish(command.env("TYTO_ROOT_PASSPHRASE", "battery"))
    };
    assert_eq!(root("root init roots --name acme").code, 0);
    for purpose in ["attestation", "log"] {
        let add = format!("root add roots contract.bundle --purpose {purpose} --valid-from 2020-01-01");
        assert_eq!(root(&add).code, 0, "{purpose}");
    }
    let bundle = tyto.run("attest verify contract.bundle --roots roots --json").json(0);
    assert_eq!(tyto.run("gallery create staff --dimension 16").code, 0);
    assert_eq!(tyto.run("attest document contract --receipt-only --out again.bundle").code, 0);
    tyto.server.kill();

    let all = "--roots roots --checkpoint contract.bundle --checkpoint again.bundle --entries --json";
    let verify = format!("log verify server/objects/log {all}");
    let shown = tyto.run(&verify).json(0);
    assert_eq!(shown["checkpoint"]["log_id"], bundle["log"]["log_id"]);
    assert!(shown["entries"].as_u64() > bundle["log"]["index"].as_u64(), "{shown}");
    let entries = tyto.home.path("server/objects/log/tile/entries/000.p");
    let width = shown["entries"].as_u64().unwrap();
    let path = entries.join(width.to_string());
    let mut bytes = std::fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let rejected = tyto.run(&verify).json(3);
    assert_eq!(
        (&rejected["rejection"]["entry"], &rejected["rejection"]["check"]),
        (&(width - 1).into(), &"entry".into())
    );
}
