//! The durable side of the transparency log.

use crate::support::{
    GALLERY, block_id, change, committed, gallery_of_two_blocks, mutation, new_gallery, noise, reopen,
};
use bytes::Bytes;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;
use tempfile::TempDir;
use tyto_attest::log::{
    LogError, Sequencer, TileId, edge_tiles, leaf_hash, verify_consistency, verify_inclusion,
};
use tyto_attest::{Checkpoint, TreeHead};
use tyto_pqc::slhdsa::{ParameterSet, SigningKey};
use tyto_store::{
    Error, LogAdded, LogEntry, LogEntryId, LogPlace, LogToken, LogTree, LogWriter, Object, Outcome, Store,
};

const LEASE_MS: u64 = 10_000;

/// The fast set: what is tested here is storage.
static KEY: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::generate(ParameterSet::Shake128f).expect("a key"));

/// Entry `number`: its id begins with the number.
pub(crate) fn entry(number: u64) -> LogEntry {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.to_be_bytes());
    let bytes = noise(0x1060_0000 ^ number, 40 + (number * 37 % 400) as usize);
    LogEntry { id: LogEntryId(id), bytes: bytes.into() }
}

pub(crate) fn sign(tree: LogTree, time_unix_ms: u64) -> Checkpoint {
    let head = TreeHead { log_id: [7; 32], size: tree.size, root: tree.root, time_unix_ms };
    Checkpoint::sign(head, &KEY).expect("signs")
}

/// Acquires the lease as holder `holder` and goes on with the log.
pub(crate) async fn writer(store: &Store, holder: u8, now_ms: u64) -> LogWriter {
    let token = store.acquire_log([holder; 16], now_ms, LEASE_MS).await.expect("the lease is free");
    store.resume_log(token).await.expect("resumes")
}

async fn empty_log() -> (TempDir, Store) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = Store::open(dir.path()).await.expect("opens");
    (dir, store)
}

async fn add(store: &Store, numbers: std::ops::Range<u64>) {
    for number in numbers {
        store.add_log_entries(&[entry(number)]).await.expect("adds");
    }
}

/// The root of entries 0 to before `size`, computed from nothing.
fn expected(size: u64) -> LogTree {
    let mut log = Sequencer::new();
    let entries: Vec<Bytes> = (0..size).map(|number| entry(number).bytes).collect();
    let root = log.append(&entries).expect("appends").root;
    LogTree { size, root }
}

fn partial_objects(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![dir.join("objects/log/tile")];
    while let Some(folder) = folders.pop() {
        for item in fs::read_dir(folder).expect("a folder of the log") {
            let path = item.expect("an item").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().contains(".p/") {
                found.push(path.strip_prefix(dir.join("objects/log")).expect("below").display().to_string());
            }
        }
    }
    found.sort();
    found
}

fn edge_objects(sizes: &[u64]) -> Vec<String> {
    let edges = sizes.iter().flat_map(|&size| edge_tiles(size).expect("a size"));
    let paths = |id: TileId| [Some(id.path()), (id.level == 0).then(|| id.entries_path())];
    let mut paths: Vec<String> = edges.flat_map(paths).flatten().collect();
    paths.sort();
    paths.dedup();
    paths
}

#[tokio::test]
async fn entries_become_leaves_in_the_order_of_their_commits() {
    let (dir, store) = empty_log().await;
    let mut log = writer(&store, 1, 0).await;
    assert_eq!(log.append(100).await.unwrap(), 0..0);
    add(&store, 0..700).await;
    assert_eq!(store.log_place(entry(5).id).await.unwrap(), Some(LogPlace::Waiting));
    let mut size = 0;
    for batch in [1, 2, 250, 3, 300, 4096] {
        let leaves = log.append(batch).await.unwrap();
        assert_eq!(leaves, size..700.min(size + u64::from(batch)));
        size = leaves.end;
        assert_eq!(store.log_tree().await.unwrap(), expected(size));
    }
    assert_eq!(store.log_waiting().await.unwrap(), 0);
    for number in [0, 1, 255, 256, 511, 699] {
        assert_eq!(store.log_place(entry(number).id).await.unwrap(), Some(LogPlace::Leaf(number)));
        assert_eq!(store.log_entry(number).await.unwrap(), entry(number).bytes);
    }
    assert_eq!(store.log_place(entry(700).id).await.unwrap(), None);
    assert!(matches!(store.log_entry(700).await, Err(Error::UnknownTile { level: 0, index: 2, width: 189 })));
    assert_eq!(partial_objects(dir.path()), edge_objects(&[700]), "narrower tiles were replaced");
}

#[tokio::test]
async fn proofs_come_from_the_stored_tiles() {
    let (_dir, store) = empty_log().await;
    let mut log = writer(&store, 1, 0).await;
    add(&store, 0..600).await;
    log.append(300).await.unwrap();
    log.append(300).await.unwrap();
    for (index, size) in [(0, 1), (17, 300), (299, 300), (299, 600), (256, 257), (599, 600), (3, 511)] {
        let proof = store.log_inclusion_proof(index, size).await.unwrap();
        let leaf = leaf_hash(&entry(index).bytes);
        verify_inclusion(&leaf, index, size, &proof, &expected(size).root).unwrap();
        let proof = store.log_consistency_proof(size, 600).await.unwrap();
        verify_consistency(size, &expected(size).root, 600, &expected(600).root, &proof).unwrap();
    }
    let beyond = store.log_inclusion_proof(600, 601).await;
    assert!(matches!(beyond, Err(Error::Log(LogError::SizesReversed { .. }))), "{beyond:?}");
    assert!(matches!(store.log_inclusion_proof(5, 5).await, Err(Error::Log(_))));
}

#[tokio::test]
async fn a_mutation_and_its_entry_commit_together_or_not_at_all() {
    let (_dir, store) = gallery_of_two_blocks().await;
    let first = mutation(3, vec![change(block_id(0), 1, 0, &[1], &[])]);
    assert_eq!(store.apply(first.clone(), Some(&entry(0))).await.unwrap(), committed(3));
    // Repeated, in conflict, refused: nothing is added.
    let again = store.apply(first.clone(), Some(&entry(1))).await.unwrap();
    assert_eq!(again, Outcome::Repeated { manifest_version: 3 });
    let late = mutation(9, vec![change(block_id(1), 1, 0, &[1], &[])]);
    assert_eq!(store.apply(late, Some(&entry(1))).await.unwrap(), Outcome::Conflict { current: 3 });
    let wrong = mutation(4, vec![change(block_id(0), 2, 1, &[1], &[])]);
    assert!(matches!(store.apply(wrong, Some(&entry(1))).await, Err(Error::SlotUsed { .. })));
    // And an entry that is refused keeps the mutation from being committed.
    let other = LogEntry { id: entry(0).id, bytes: entry(1).bytes };
    let second = mutation(4, vec![change(block_id(0), 2, 1, &[2], &[])]);
    let refused = store.apply(second.clone(), Some(&other)).await;
    assert!(matches!(refused, Err(Error::EntryIdUsed(id)) if id == entry(0).id));
    assert_eq!(store.apply(second, Some(&entry(1))).await.unwrap(), committed(4));
    store.delete_gallery(GALLERY, Some(&entry(2))).await.unwrap();
    assert!(store.create_gallery(new_gallery(GALLERY), Some(&entry(3))).await.is_err());
    let mut new = new_gallery(GALLERY);
    new.parameters = crate::support::parameters(tyto_scheme::GalleryId([9; 16]));
    store.create_gallery(new, Some(&entry(3))).await.unwrap();
    let mut log = writer(&store, 1, 0).await;
    assert_eq!(log.append(100).await.unwrap(), 0..4);
    assert_eq!(log.tree(), expected(4));
}

#[tokio::test]
async fn an_entry_is_added_once_under_its_id() {
    let (_dir, store) = empty_log().await;
    let mut log = writer(&store, 1, 0).await;
    add(&store, 0..1).await;
    add(&store, 0..1).await;
    log.append(10).await.unwrap();
    add(&store, 0..1).await;
    assert_eq!(log.append(10).await.unwrap(), 1..1);
    let other = LogEntry { id: entry(0).id, bytes: entry(1).bytes };
    assert_eq!(store.add_log_entries(&[other]).await.unwrap(), [LogAdded::IdUsed]);
    let long = LogEntry { id: entry(1).id, bytes: vec![0; 65_536].into() };
    assert!(matches!(store.add_log_entries(&[long]).await, Err(Error::Limit { max: 65_535, .. })));
    let empty = LogEntry { id: entry(1).id, bytes: Bytes::new() };
    assert!(matches!(store.add_log_entries(&[empty]).await, Err(Error::Empty(_))));
}

#[tokio::test]
async fn checkpoints_are_never_contradicted() {
    let (dir, store) = empty_log().await;
    let mut log = writer(&store, 1, 0).await;
    assert_eq!(log.tree_to_sign(), None, "an empty log has no checkpoint");
    add(&store, 0..30).await;
    log.append(10).await.unwrap();
    let ten = log.tree_to_sign().unwrap();
    log.append(10).await.unwrap();
    assert_eq!(partial_objects(dir.path()), edge_objects(&[10, 20]));
    let first = sign(ten, 1);
    let stored = log.publish(&first).await.unwrap();
    assert_eq!(store.latest_checkpoint().await.unwrap(), Some(stored.clone()));
    assert_eq!(log.publish(&first).await.unwrap(), stored, "a repetition");
    assert_eq!(fs::read(dir.path().join("objects/log/checkpoint")).unwrap(), first.encode());

    let twenty = log.tree_to_sign().unwrap();
    let second = sign(twenty, 2);
    log.publish(&second).await.unwrap();
    // Another signature of the same tree takes the place of nothing: the first one stands.
    assert_eq!(log.publish(&sign(twenty, 3)).await.unwrap().signed, second.encode());
    assert_eq!(store.latest_checkpoint().await.unwrap().unwrap().signed, second.encode());
    let contradicts = |result| matches!(result, Err(Error::CheckpointContradicts { newest: 20, .. }));
    let other_root = LogTree { root: [1; 32], ..twenty };
    assert!(contradicts(log.publish(&sign(other_root, 3)).await), "another one of the same size");
    assert!(contradicts(log.publish(&sign(LogTree { size: 9, ..ten }, 3)).await), "a smaller one");
    assert_eq!(log.publish(&first).await.unwrap(), stored, "an earlier one again");
    assert_eq!(fs::read(dir.path().join("objects/log/checkpoint")).unwrap(), second.encode());
    log.append(10).await.unwrap();
    let wrong_root = LogTree { size: 30, root: [1; 32] };
    assert!(matches!(log.publish(&sign(wrong_root, 3)).await, Err(Error::CheckpointTree { size: 30 })));
    assert!(matches!(log.publish(&sign(expected(25), 3)).await, Err(Error::CheckpointTree { size: 25 })));
    let head = TreeHead { log_id: [8; 32], ..*sign(expected(30), 3).head() };
    let foreign = Checkpoint::sign(head, &KEY).unwrap();
    assert!(matches!(log.publish(&foreign).await, Err(Error::CheckpointLog)));
    assert_eq!(partial_objects(dir.path()), edge_objects(&[20, 30]));

    let size = |checkpoint: Option<tyto_store::StoredCheckpoint>| checkpoint.map(|found| found.size());
    for (leaf, covering) in [(0, Some(10)), (9, Some(10)), (10, Some(20)), (19, Some(20)), (20, None)] {
        assert_eq!(size(store.checkpoint_covering(leaf).await.unwrap()), covering, "leaf {leaf}");
    }
}

/// Puts a folder that is not empty in the way of the checkpoint's object.
fn obstructed_checkpoint(dir: &Path) -> PathBuf {
    let object = dir.join("objects/log/checkpoint");
    fs::create_dir_all(object.join("in-the-way")).unwrap();
    object
}

#[tokio::test]
async fn a_checkpoint_whose_object_could_not_be_put_is_published_by_the_next_step() {
    let (dir, store) = empty_log().await;
    let mut log = writer(&store, 1, 0).await;
    add(&store, 0..10).await;
    log.append(10).await.unwrap();
    let object = obstructed_checkpoint(dir.path());
    let ten = sign(log.tree_to_sign().unwrap(), 1);
    let failed = log.publish(&ten).await;
    assert!(matches!(failed, Err(Error::Blob(_))), "{failed:?}");
    assert_eq!(store.latest_checkpoint().await.unwrap(), None, "nobody sees it before its object is there");
    assert_eq!(store.checkpoint_covering(3).await.unwrap(), None);
    assert_eq!(log.tree_to_sign(), None, "its tree is signed");
    fs::remove_dir_all(&object).unwrap();
    assert_eq!(log.append(10).await.unwrap(), 10..10);
    assert_eq!(store.latest_checkpoint().await.unwrap().unwrap().signed, ten.encode());
    assert_eq!(fs::read(&object).unwrap(), ten.encode());
}

#[tokio::test]
async fn a_checkpoint_gains_co_signatures_and_stays_the_same() {
    let (dir, store) = empty_log().await;
    let object = || fs::read(dir.path().join("objects/log/checkpoint")).unwrap();
    let mut log = writer(&store, 1, 0).await;
    add(&store, 0..3).await;
    log.append(1).await.unwrap();
    let one = sign(log.tree(), 1);
    log.publish(&one).await.unwrap();
    let cosigned = |checkpoint: &Checkpoint, times: &[u64]| {
        let mut cosigned = checkpoint.clone();
        for &time in times {
            let witness = SigningKey::generate(ParameterSet::Shake128f).unwrap();
            cosigned.add_cosignature(checkpoint.cosign(time, &witness).unwrap()).unwrap();
        }
        cosigned
    };
    let times = |stored: tyto_store::StoredCheckpoint| {
        let cosignatures = stored.checkpoint.cosignatures().iter();
        cosignatures.map(tyto_attest::Cosignature::time_unix_ms).collect::<Vec<_>>()
    };
    log.publish(&cosigned(&one, &[11])).await.unwrap();
    assert_eq!(times(log.publish(&cosigned(&one, &[12])).await.unwrap()), [11, 12]);
    let newest = store.latest_checkpoint().await.unwrap().unwrap();
    assert_eq!((object(), times(newest.clone())), (newest.signed.to_vec(), vec![11, 12]));
    // Of another signature of the tree nothing is taken, and an older checkpoint gains them as well.
    assert_eq!(times(log.publish(&cosigned(&sign(log.tree(), 1), &[13])).await.unwrap()), [11, 12]);
    log.append(1).await.unwrap();
    let two = log.publish(&sign(log.tree(), 2)).await.unwrap();
    log.publish(&cosigned(&one, &[14])).await.unwrap();
    assert_eq!(times(store.checkpoint_covering(0).await.unwrap().unwrap()), [11, 12, 14]);
    assert_eq!(
        (object(), store.latest_checkpoint().await.unwrap()),
        (two.signed.to_vec(), Some(two.clone()))
    );
    // What no receipt could hold is refused: a log with it could not be read again.
    let eleven = cosigned(&two.checkpoint, &[15; 11]);
    log.publish(&eleven).await.unwrap();
    let full = log.publish(&cosigned(&two.checkpoint, &[16; 6])).await.unwrap_err();
    assert!(matches!(full, Error::Limit { .. }), "{full:?}");
    assert_eq!(store.latest_checkpoint().await.unwrap().unwrap().signed, eleven.encode());
    store.resume_log(log.token()).await.unwrap();
}

#[tokio::test]
async fn the_time_of_checkpoints_does_not_go_back() {
    let (_dir, store) = empty_log().await;
    let mut log = writer(&store, 1, 0).await;
    assert_eq!(log.earliest_time_unix_ms(), 0);
    add(&store, 0..3).await;
    log.append(1).await.unwrap();
    log.publish(&sign(log.tree(), 5000)).await.unwrap();
    log.append(1).await.unwrap();
    let early = log.publish(&sign(log.tree(), 4999)).await.unwrap_err();
    assert!(matches!(early, Error::CheckpointTime { time_unix_ms: 4999, newest_unix_ms: 5000 }), "{early:?}");
    assert_eq!(store.resume_log(log.token()).await.unwrap().earliest_time_unix_ms(), 5000);
    assert_eq!(log.earliest_time_unix_ms(), 5000);
    log.publish(&sign(log.tree(), 5000)).await.unwrap();
    assert_eq!(store.latest_checkpoint().await.unwrap().unwrap().size(), 2);
}

#[tokio::test]
async fn a_superseded_writer_changes_nothing() {
    let (_dir, store) = empty_log().await;
    let mut stale = writer(&store, 1, 0).await;
    add(&store, 0..20).await;
    stale.append(5).await.unwrap();
    let signed = sign(stale.tree_to_sign().unwrap(), 1);
    // Held until the lease runs out, which renewals put off.
    let early = store.acquire_log([2; 16], LEASE_MS - 1, LEASE_MS).await;
    assert!(matches!(early, Err(Error::LogHeld { until_ms: LEASE_MS })));
    store.renew_log(&stale.token(), 5, LEASE_MS).await.unwrap();
    assert!(store.acquire_log([2; 16], LEASE_MS, LEASE_MS).await.is_err());
    let mut current = writer(&store, 2, LEASE_MS + 5).await;
    assert!(current.token().epoch() > stale.token().epoch());

    let fenced = |error: Error| matches!(error, Error::LogFenced { epoch: 1, current: 2 });
    assert!(fenced(stale.append(5).await.unwrap_err()));
    assert!(fenced(stale.publish(&signed).await.unwrap_err()));
    assert!(fenced(store.renew_log(&stale.token(), 0, LEASE_MS).await.unwrap_err()));
    assert!(fenced(store.resume_log(stale.token()).await.unwrap_err()));
    assert_eq!(store.log_tree().await.unwrap(), expected(5));
    assert_eq!(store.latest_checkpoint().await.unwrap(), None);
    assert_eq!(current.append(100).await.unwrap(), 5..20);
    assert_eq!(store.log_tree().await.unwrap(), expected(20));
    // Given back, the lease is free at once.
    store.renew_log(&current.token(), 0, 0).await.unwrap();
    writer(&store, 3, 1).await;
}

#[tokio::test]
async fn of_two_writers_at_once_one_commits() {
    let (_dir, store) = empty_log().await;
    let mut holder = 0;
    for round in 0..20 {
        add(&store, round * 10..round * 10 + 10).await;
        // The second acquires the lease while the first one is anywhere in its append.
        let mut first = writer(&store, holder + 1, round * 2 * LEASE_MS).await;
        let rival = async {
            tokio::time::sleep(Duration::from_micros(round * 500)).await;
            let mut second = writer(&store, holder + 2, (round * 2 + 1) * LEASE_MS).await;
            second.append(7).await
        };
        let (one, two) = tokio::join!(first.append(4), rival);
        let taken = one.as_ref().map_or(0, |leaves| leaves.end - leaves.start);
        assert!(matches!(one, Ok(_) | Err(Error::LogFenced { .. } | Error::LogOutOfStep { .. })), "{one:?}");
        // Between the rival's resuming and its append nobody can commit: its token voids the first one's.
        assert_eq!(two.unwrap(), round * 10 + taken..round * 10 + 10.min(taken + 7));
        holder += 2;
        let mut last = writer(&store, holder, (round * 2 + 1) * LEASE_MS).await;
        last.append(100).await.unwrap();
        assert_eq!(store.log_tree().await.unwrap(), expected(round * 10 + 10));
        store.renew_log(&last.token(), 0, 0).await.unwrap();
    }
}

/// A log of 300 entries with a checkpoint of 290, closed.
async fn closed_log() -> (TempDir, LogToken) {
    let (dir, store) = empty_log().await;
    let mut log = writer(&store, 1, 0).await;
    add(&store, 0..300).await;
    log.append(290).await.unwrap();
    log.publish(&sign(log.tree(), 1)).await.unwrap();
    log.append(10).await.unwrap();
    let token = log.token();
    drop(log);
    store.close().await;
    (dir, token)
}

#[tokio::test]
async fn a_restart_goes_on_where_the_log_stood() {
    let (dir, token) = closed_log().await;
    let store = Store::open(dir.path()).await.unwrap();
    add(&store, 300..520).await;
    let mut log = store.resume_log(token).await.unwrap();
    assert_eq!(log.tree(), expected(300));
    assert_eq!(log.append(1000).await.unwrap(), 300..520);
    assert_eq!(log.tree(), expected(520));
    drop(log);
    let store = reopen(&dir, store).await;
    assert_eq!(store.resume_log(token).await.unwrap().tree(), expected(520));
}

/// Resumes a closed log after something happened to the object of its newest checkpoint.
async fn resume_with_object(dir: &TempDir, object: Option<Vec<u8>>) -> Result<LogWriter, Error> {
    let path = dir.path().join("objects/log/checkpoint");
    match object {
        Some(bytes) => fs::write(path, bytes).unwrap(),
        None => fs::remove_file(path).unwrap(),
    }
    let store = Store::open(dir.path()).await.unwrap();
    let token = store.acquire_log([1; 16], 0, LEASE_MS).await.unwrap();
    let resumed = store.resume_log(token).await;
    store.close().await;
    resumed
}

#[tokio::test]
async fn an_older_object_of_a_checkpoint_is_put_again_if_the_log_extends_it() {
    let (dir, _) = closed_log().await;
    let path = dir.path().join("objects/log/checkpoint");
    let newest = fs::read(&path).unwrap();
    // Of 290 entries is the newest one; a checkpoint of 200 may have been put late.
    for object in [sign(expected(200), 0), sign(expected(290), 5)] {
        resume_with_object(&dir, Some(object.encode())).await.expect("the log extends it");
        assert_eq!(fs::read(&path).unwrap(), newest);
    }
    let foreign = TreeHead { log_id: [8; 32], ..*sign(expected(200), 0).head() };
    for contradiction in [
        sign(LogTree { size: 200, root: [1; 32] }, 0),
        sign(LogTree { size: 290, root: [1; 32] }, 0),
        Checkpoint::sign(foreign, &KEY).unwrap(),
    ] {
        let published_size = contradiction.head().size;
        let refused = resume_with_object(&dir, Some(contradiction.encode())).await.unwrap_err();
        assert!(
            matches!(refused, Error::LogRolledBack { database_size: 290, published_size: size } if size == published_size),
            "{refused:?}"
        );
        assert_eq!(fs::read(&path).unwrap(), contradiction.encode(), "it is still there to be looked at");
    }
}

#[tokio::test]
async fn a_published_checkpoint_whose_object_is_gone_stops_the_log() {
    // The database may be an older copy of what was published.
    let (dir, _) = closed_log().await;
    let refused = resume_with_object(&dir, None).await.unwrap_err();
    assert!(matches!(refused, Error::Corrupt(Object::Checkpoint)), "{refused:?}");
}

#[tokio::test]
async fn a_first_checkpoint_whose_object_was_never_put_is_put_by_a_restart() {
    let (dir, store) = empty_log().await;
    let mut log = writer(&store, 1, 0).await;
    add(&store, 0..10).await;
    log.append(10).await.unwrap();
    let object = obstructed_checkpoint(dir.path());
    let ten = sign(log.tree(), 1);
    log.publish(&ten).await.unwrap_err();
    fs::remove_dir_all(&object).unwrap();
    let log = store.resume_log(log.token()).await.unwrap();
    assert_eq!(log.tree(), expected(10));
    assert_eq!(fs::read(&object).unwrap(), ten.encode());
    assert_eq!(store.latest_checkpoint().await.unwrap().unwrap().signed, ten.encode());
}

#[tokio::test]
async fn a_restart_on_damaged_tiles_is_refused() {
    type Damage = fn(&mut Vec<u8>);
    let damage: [(&str, Damage, &str); 5] = [
        ("tile/1/000.p/1", |bytes| bytes[3] ^= 1, "root"),
        ("tile/0/001.p/44", |bytes| bytes[3] ^= 1, "corrupt"),
        ("tile/0/001.p/44", |bytes| bytes.truncate(64), "corrupt"),
        ("tile/entries/001.p/44", |bytes| bytes[30] ^= 1, "corrupt"),
        ("checkpoint", |bytes| bytes.truncate(64), "corrupt"),
    ];
    for (path, change, expected) in damage {
        let (dir, token) = closed_log().await;
        let object = dir.path().join("objects/log").join(path);
        let mut bytes = fs::read(&object).unwrap();
        change(&mut bytes);
        fs::write(&object, bytes).unwrap();
        let store = Store::open(dir.path()).await.unwrap();
        let found = match store.resume_log(token).await.unwrap_err() {
            Error::LogRoot { size: 300 } => "root",
            Error::Corrupt(_) => "corrupt",
            other => panic!("{path}: {other}"),
        };
        assert_eq!(found, expected, "{path}");
    }
}

#[tokio::test]
async fn a_database_older_than_what_was_published_is_refused() {
    let (dir, _) = closed_log().await;
    let (database, copy) = (dir.path().join("tyto.sqlite"), dir.path().join("copy"));
    fs::copy(&database, &copy).unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let mut log = writer(&store, 1, 0).await;
    log.publish(&sign(log.tree(), 2)).await.unwrap();
    let token = log.token();
    drop(log);
    store.close().await;
    drop(store);
    fs::rename(&copy, &database).unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let stale = store.resume_log(token).await;
    assert!(matches!(stale, Err(Error::LogFenced { .. })), "{stale:?}");
    let token = store.acquire_log([1; 16], 0, LEASE_MS).await.unwrap();
    let refused = store.resume_log(token).await.unwrap_err();
    assert!(
        matches!(refused, Error::LogRolledBack { database_size: 290, published_size: 300 }),
        "{refused:?}"
    );
}

#[tokio::test]
async fn many_entries_are_added_at_once_and_none_keeps_the_others_out() {
    let (_dir, store) = empty_log().await;
    let entries: Vec<_> = (0..300).map(entry).collect();
    assert_eq!(store.add_log_entries(&[]).await.unwrap(), []);
    assert_eq!(store.add_log_entries(&entries[..200]).await.unwrap(), vec![LogAdded::New; 200]);
    let mut log = writer(&store, 1, 0).await;
    log.append(100).await.unwrap();
    // In the tree, in the outbox, another under a used id, new, and twice in one call.
    let other = LogEntry { id: entries[5].id, bytes: entries[6].bytes.clone() };
    let mixed = [entries[7].clone(), entries[150].clone(), other, entries[200].clone(), entries[200].clone()];
    let added = [LogAdded::There, LogAdded::There, LogAdded::IdUsed, LogAdded::New, LogAdded::There];
    assert_eq!(store.add_log_entries(&mixed).await.unwrap(), added);
    store.add_log_entries(&entries[201..]).await.unwrap();
    while !log.append(100).await.unwrap().is_empty() {}
    assert_eq!(store.log_tree().await.unwrap(), expected(300));
    let empty = LogEntry { id: LogEntryId([9; 16]), bytes: Bytes::new() };
    assert!(matches!(store.add_log_entries(&[entry(301), empty]).await, Err(Error::Empty("log entry"))));
    assert_eq!(store.log_place(entry(301).id).await.unwrap(), None);
}

#[tokio::test]
async fn an_entry_that_goes_by_its_content_is_found_by_its_leaf_hash() {
    let (_dir, store) = empty_log().await;
    let named = LogEntry::of(Bytes::from_static(b"an attestation"));
    store.add_log_entries(std::slice::from_ref(&named)).await.unwrap();
    let mut leaf = leaf_hash(&named.bytes);
    assert_eq!(store.log_place_of(&leaf).await.unwrap(), Some(LogPlace::Waiting));
    writer(&store, 1, 0).await.append(1).await.unwrap();
    assert_eq!(store.log_place_of(&leaf).await.unwrap(), Some(LogPlace::Leaf(0)));
    leaf[31] ^= 1;
    assert_eq!(store.log_place_of(&leaf).await.unwrap(), None, "the whole hash counts");
}
