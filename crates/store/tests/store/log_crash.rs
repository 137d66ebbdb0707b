//! A process that is killed while it appends to the log and publishes checkpoints.
//!
//! `TYTO_SOAK=1 cargo test -p tyto-store log_crash` kills it 200 times.

use crate::log::{entry, sign, writer};
use crate::support::{CRASH_DIR, crash_child, noise};
use std::collections::BTreeMap;
use std::io::BufRead as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tyto_attest::Checkpoint;
use tyto_attest::log::{Frontier, Sequencer, TileId, leaf_hash};
use tyto_store::{LogPlace, LogTree, Store};

const TEST: &str = "log_crash::a_killed_log_extends_every_checkpoint_that_was_handed_out";
/// Kills in the normal run, and with `TYTO_SOAK=1`.
const KILLS: u64 = 12;
const SOAK_KILLS: u64 = 200;
/// Longest time from a child's first line to its end.
const MAX_LIFE_MS: u64 = 400;

/// What a child said before it died, over all children.
#[derive(Default)]
struct Told {
    /// Entries that were acknowledged: all before this one.
    entries: u64,
    /// Checkpoints that were handed out, by their sizes.
    checkpoints: BTreeMap<u64, Vec<u8>>,
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| b"0123456789abcdef"[usize::from(digit)] as char)
        .collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("a byte");
    (0..text.len()).step_by(2).map(digit).collect()
}

/// The first entry that the store does not know.
async fn next_entry(store: &Store) -> u64 {
    store.log_tree().await.unwrap().size + store.log_waiting().await.unwrap()
}

/// The child: adds entries, appends them in batches, and signs now and then; says what others may rely on. Entry `n`
/// is always leaf `n`.
async fn work(dir: &Path) {
    let store = Store::open(dir).await.unwrap();
    let mut log = writer(&store, 1, 0).await;
    let mut next = next_entry(&store).await;
    println!("told started");
    for round in next.. {
        for _ in 0..=round % 7 * (round % 3) {
            store.add_log_entries(&[entry(next)]).await.unwrap();
            next += 1;
            println!("told entry {next}");
        }
        log.append(1 + (round % 5) as u32 * 8).await.unwrap();
        if round % 3 == 0
            && let Some(tree) = log.tree_to_sign()
        {
            let checkpoint = sign(tree, log.earliest_time_unix_ms() + 1);
            log.append(3).await.unwrap();
            let stored = log.publish(&checkpoint).await.unwrap();
            println!("told checkpoint {}", hex(&stored.signed));
        }
    }
}

/// Kills a child after some time, while its output is read.
fn kill_after(child: u32, life: Duration) {
    std::thread::spawn(move || {
        std::thread::sleep(life);
        Command::new("kill").args(["-KILL", &child.to_string()]).status().expect("kill runs")
    });
}

/// Starts a child and kills it some time after its first line.
fn run_and_kill(dir: &Path, life: Duration, told: &mut Told) {
    let (mut child, mut output) = crash_child(TEST, dir);
    let mut line = Vec::new();
    let mut started = false;
    // A line that the kill cut off was not told.
    while output.read_until(b'\n', &mut line).unwrap() > 0 && line.pop() == Some(b'\n') {
        let text = String::from_utf8(std::mem::take(&mut line)).unwrap();
        let Some((_, what)) = text.split_once("told ") else { continue };
        match what.split_once(' ') {
            None => {
                started = true;
                kill_after(child.id(), life);
            }
            Some(("entry", count)) => told.entries = count.parse().unwrap(),
            Some((_, signed)) => {
                let signed = unhex(signed);
                let size = Checkpoint::parse(&signed).unwrap().head().size;
                let before = told.checkpoints.insert(size, signed);
                assert_eq!(before, None, "two checkpoints of {size} entries were handed out");
            }
        }
    }
    assert!(started && !child.wait().unwrap().success(), "the child worked until it was killed");
}

/// Reads the whole log from its objects and computes it anew.
async fn verify(store: &Store, told: &Told) -> LogTree {
    let tree = store.log_tree().await.unwrap();
    let mut frontier = Frontier::new();
    let mut leaves = Vec::new();
    for index in 0..tree.size {
        let stored = store.log_entry(index).await.unwrap();
        assert_eq!(stored, entry(index).bytes, "entry {index}");
        assert_eq!(store.log_place(entry(index).id).await.unwrap(), Some(LogPlace::Leaf(index)));
        leaves.push(leaf_hash(&stored));
        frontier.append(leaf_hash(&stored)).unwrap();
        if let Some(signed) = told.checkpoints.get(&frontier.size()) {
            let head = *Checkpoint::parse(signed).unwrap().head();
            assert_eq!(head.root, frontier.root(), "the checkpoint of {} entries is contradicted", head.size);
        }
    }
    assert_eq!(tree, LogTree { size: frontier.size(), root: frontier.root() });
    // Every tile is the one of that tree.
    for tile in Sequencer::new().append_hashes(&leaves).unwrap().tiles {
        assert_eq!(store.log_tile(tile.id()).await.unwrap(), tile);
        assert!(TileId::in_tree(tile.id().level, tile.id().index, tree.size) == Some(tile.id()));
    }
    if let Some((size, signed)) = told.checkpoints.last_key_value() {
        let newest = store.latest_checkpoint().await.unwrap().expect("one was handed out");
        assert!(newest.size() > *size || newest.signed == signed, "the newest one was lost");
        assert!(tree.size >= newest.size());
        for size in told.checkpoints.keys() {
            store.log_consistency_proof(*size, newest.size()).await.unwrap();
        }
    }
    let known = next_entry(store).await;
    assert!(known >= told.entries, "{} entries were acknowledged, {known} are there", told.entries);
    tree
}

#[tokio::test]
async fn a_killed_log_extends_every_checkpoint_that_was_handed_out() {
    if let Some(dir) = std::env::var_os(CRASH_DIR) {
        work(Path::new(&dir)).await;
    }
    let kills = if std::env::var_os("TYTO_SOAK").is_some() { SOAK_KILLS } else { KILLS };
    let dir = tempfile::tempdir().unwrap();
    let mut told = Told::default();
    let mut size = 0;
    for kill in 0..kills {
        let random = u64::from_le_bytes(*noise(0x6b11 + kill, 8).first_chunk().unwrap());
        run_and_kill(dir.path(), Duration::from_millis(random % MAX_LIFE_MS), &mut told);
        let store = Store::open(dir.path()).await.unwrap();
        let tree = verify(&store, &told).await;
        assert!(tree.size >= size, "the log shrank");
        size = tree.size;
        store.close().await;
    }
    println!(
        "{kills} kills: {} entries, {} checkpoints, a tree of {size}",
        told.entries,
        told.checkpoints.len()
    );
    assert!(told.checkpoints.len() as u64 > kills / 2 && size > 256, "the children came to something");
}
