//! A store in a temporary directory, small makers of input, and a dump of everything that is stored.

use bytes::Bytes;
use sha3::{Digest as _, Sha3_256};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _};
use std::fs;
use std::io::BufReader;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use tempfile::TempDir;
use tyto_scheme::{BlockId, GalleryId, GalleryParameters, KeyId, Pseudonym, UploadId};
use tyto_store::{
    BlockMutation, CommitSegment, Created, Error, Mutation, NewGallery, Outcome, SealedManifest, Store, Write,
};

pub(crate) const GALLERY: GalleryId = GalleryId([0xa1; 16]);
pub(crate) const KEY: KeyId = KeyId([0xb2; 16]);

/// Bytes that follow from a seed and look random.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let block =
        |counter: u64| Sha3_256::new().chain_update(seed.to_le_bytes()).chain_update(counter.to_le_bytes());
    let mut out: Vec<u8> =
        (0..length.div_ceil(32) as u64).flat_map(|counter| block(counter).finalize().to_vec()).collect();
    out.truncate(length);
    out
}

pub(crate) fn id(seed: u64) -> [u8; 16] {
    noise(seed ^ 0x1d00_0000_0000, 16).try_into().expect("16 bytes")
}

pub(crate) fn block_id(number: u64) -> BlockId {
    BlockId(id(0xb10c_0000 + number))
}

pub(crate) fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha3_256::digest(bytes).into()
}

/// Dimension 128, stride 1: 2,048 slots, deltas of 256 bytes.
pub(crate) fn parameters(gallery: GalleryId) -> GalleryParameters {
    GalleryParameters::new(gallery, 1, 128, 1, 0, KEY).expect("valid parameters")
}

pub(crate) fn new_gallery(gallery: GalleryId) -> NewGallery {
    NewGallery {
        parameters: parameters(gallery),
        sealed_descriptor: noise(1, 100).into(),
        sealed_manifest: manifest(1).sealed,
        created_ms: 1_700_000_000_000,
    }
}

pub(crate) fn manifest(version: u64) -> SealedManifest {
    SealedManifest { version, sealed: noise(0x3a00_0000 ^ version, 300).into() }
}

pub(crate) fn record(block: BlockId, version: u64) -> Bytes {
    noise(u64::from(block.0[0]) << 32 | version, 1200).into()
}

pub(crate) fn write(block: BlockId, slot: u16) -> Write {
    let seed = u64::from_le_bytes(*block.0.first_chunk().expect("16 bytes")) ^ u64::from(slot);
    Write {
        slot,
        subject: Pseudonym(id(seed ^ 1 << 20)),
        delta: noise(seed, 256).into(),
        tag: id(seed ^ 0x7a9),
    }
}

/// A change that writes and removes slots, with one slot-map entry for each.
pub(crate) fn change(
    block: BlockId,
    base_version: u64,
    first_entry: u32,
    writes: &[u16],
    removals: &[u16],
) -> BlockMutation {
    let entries = first_entry..first_entry + (writes.len() + removals.len()) as u32;
    BlockMutation {
        block,
        base_version,
        writes: writes.iter().map(|&slot| write(block, slot)).collect(),
        removals: removals.to_vec(),
        first_entry,
        entries: entries.map(|index| noise(0xe000_0000 + u64::from(index), 96).into()).collect(),
        sealed_record: record(block, base_version + 1),
    }
}

pub(crate) fn mutation(version: u64, changes: Vec<BlockMutation>) -> Mutation {
    Mutation { gallery: GALLERY, changes, manifest: manifest(version) }
}

pub(crate) fn mutation_of(gallery: GalleryId, version: u64, changes: Vec<BlockMutation>) -> Mutation {
    Mutation { gallery, ..mutation(version, changes) }
}

pub(crate) fn committed(manifest_version: u64) -> Outcome {
    Outcome::Committed { manifest_version }
}

pub(crate) async fn provision(
    store: &Store,
    number: u64,
    blocks: &[BlockId],
    version: u64,
) -> Result<Outcome, Error> {
    provision_in(store, GALLERY, number, blocks, version).await
}

/// Uploads and commits a segment of blocks; resumes the upload if a part of it is there.
pub(crate) async fn provision_in(
    store: &Store,
    gallery: GalleryId,
    number: u64,
    blocks: &[BlockId],
    version: u64,
) -> Result<Outcome, Error> {
    let upload = UploadId(id(0x5e60_0000 + number));
    let bytes = Bytes::from(noise(0x5e60_0000 + number, 5000));
    let status = store.begin_upload(gallery, upload, 5000, digest(&bytes)).await?;
    let mut received = status.received_bytes;
    while received < 5000 && !status.committed {
        let end = 5000.min(received as usize + 2000);
        received = store.append_upload(upload, received, bytes.slice(received as usize..end)).await?;
    }
    let upload = store.read_upload(gallery, upload).await?;
    let blocks = blocks.iter().map(|&block| (block, record(block, 1))).collect();
    store.commit_segment(CommitSegment { upload, blocks, manifest: manifest(version) }, None).await
}

/// A directory with a gallery of two blocks, at manifest version 2.
pub(crate) async fn gallery_of_two_blocks() -> (TempDir, Store) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = Store::open(dir.path()).await.expect("opens");
    assert_eq!(store.create_gallery(new_gallery(GALLERY), None).await.expect("creates"), Created::New);
    let outcome = provision(&store, 0, &[block_id(0), block_id(1)], 2).await.expect("provisions");
    assert_eq!(outcome, committed(2));
    (dir, store)
}

pub(crate) async fn reopen(dir: &TempDir, store: Store) -> Store {
    store.close().await;
    drop(store);
    Store::open(dir.path()).await.expect("opens again")
}

/// Names the directory to a child of [`crash_child`].
pub(crate) const CRASH_DIR: &str = "TYTO_STORE_CRASH_TEST_DIR";

/// Starts a test of this binary again, in a process to be killed that works in `dir`; and what it prints.
pub(crate) fn crash_child(test: &str, dir: &Path) -> (Child, BufReader<ChildStdout>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(CRASH_DIR, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    (child, output)
}

/// Every row of every table and every file below `uploads` and `objects`, as text.
pub(crate) async fn dump(dir: &Path) -> Vec<String> {
    let mut connection =
        SqliteConnectOptions::new().filename(dir.join("tyto.sqlite")).connect().await.expect("connects");
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_sqlx%' ESCAPE '\\' ORDER BY name",
    )
    .fetch_all(&mut connection)
    .await
    .expect("lists tables");
    assert!(tables.len() >= 7, "{tables:?}");
    let mut lines = Vec::new();
    for table in tables {
        let columns: Vec<String> = sqlx::query_scalar("SELECT name FROM pragma_table_info(?)")
            .bind(&table)
            .fetch_all(&mut connection)
            .await
            .expect("lists columns");
        let row = columns.iter().map(|column| format!("quote({column})")).collect::<Vec<_>>().join("||','||");
        let sql = format!("SELECT '{table}:' || {row} AS line FROM {table} ORDER BY line");
        let rows: Vec<String> =
            sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&mut connection).await.expect("dumps");
        lines.extend(rows);
    }
    lines.extend(files(dir));
    lines
}

/// Names and digests of the files below `uploads` and `objects`.
pub(crate) fn files(dir: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    for folder in ["uploads", "objects/segments", "objects/tickets", "objects/answers"] {
        for entry in fs::read_dir(dir.join(folder)).expect("a folder of the store") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            lines.push(format!("{folder}/{name}: {:02x?}", digest(&fs::read(&path).expect("reads"))));
        }
    }
    lines.sort();
    lines
}
