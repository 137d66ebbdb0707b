//! A process that is killed in the middle of its work.

use crate::support::{
    CRASH_DIR, GALLERY, block_id, change, committed, crash_child, dump, mutation, new_gallery, provision,
};
use std::collections::HashMap;
use std::io::BufRead as _;
use std::path::Path;
use tyto_store::Store;

const TEST: &str = "crash::what_was_acknowledged_survives_a_kill_and_nothing_else_does";

/// A script of mutations, of which step `n` leads to manifest version `n`: now and then two new blocks, otherwise
/// writes to two blocks, every third time with a removal.
#[derive(Default)]
struct Script {
    blocks: u64,
    /// Version, entries and next slot of the blocks that changed.
    changed: HashMap<u64, (u64, u32, u16)>,
}

impl Script {
    /// Does step `version`, or (without a store) only notes it.
    async fn step(&mut self, store: Option<&Store>, version: u64) {
        if version % 10 == 2 {
            let blocks = [block_id(self.blocks), block_id(self.blocks + 1)];
            self.blocks += 2;
            if let Some(store) = store {
                assert_eq!(provision(store, version, &blocks, version).await.unwrap(), committed(version));
            }
            return;
        }
        let (mut changes, mut one) = (Vec::new(), version % self.blocks);
        for _ in 0..2 {
            let (base, entries, slot) = self.changed.get(&one).copied().unwrap_or((1, 0, 0));
            let writes: Vec<u16> = (slot..slot + 3).collect();
            let removals: Vec<u16> =
                (slot > 0 && version.is_multiple_of(3)).then(|| slot - 2).into_iter().collect();
            self.changed.insert(one, (base + 1, entries + 3 + removals.len() as u32, slot + 3));
            changes.push(change(block_id(one), base, entries, &writes, &removals));
            one = (one + 1) % self.blocks;
        }
        if let Some(store) = store {
            assert_eq!(store.apply(mutation(version, changes), None).await.unwrap(), committed(version));
        }
    }

    async fn up_to(version: u64, store: Option<&Store>) -> Self {
        let mut script = Self::default();
        for step in 2..=version {
            script.step(store, step).await;
        }
        script
    }
}

/// The child: goes on with the script where the store stands, and names each version that was acknowledged.
async fn work(dir: &Path) {
    let store = Store::open(dir).await.unwrap();
    store.create_gallery(new_gallery(GALLERY), None).await.unwrap();
    let mut version = store.gallery(GALLERY).await.unwrap().manifest.version;
    let mut script = Script::up_to(version, None).await;
    loop {
        version += 1;
        script.step(Some(&store), version).await;
        println!("acknowledged {version}");
    }
}

/// Starts the child and kills it after some acknowledgements; returns the last one.
fn run_and_kill(dir: &Path, acknowledgements: usize) -> u64 {
    let (mut child, output) = crash_child(TEST, dir);
    let mut last = 0;
    let mut seen = 0;
    for line in output.lines().map_while(Result::ok) {
        // The test harness prints its own beginning of the first line.
        let Some((_, version)) = line.split_once("acknowledged ") else { continue };
        last = version.parse().unwrap();
        seen += 1;
        if seen == acknowledgements {
            child.kill().unwrap();
        }
    }
    assert!(!child.wait().unwrap().success() && seen >= acknowledgements);
    last
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill_and_nothing_else_does() {
    if let Some(dir) = std::env::var_os(CRASH_DIR) {
        work(Path::new(&dir)).await;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut version = 1;
    for acknowledgements in [1, 9, 14, 30, 22] {
        let acknowledged = run_and_kill(dir.path(), acknowledgements);
        assert!(acknowledged >= version + acknowledgements as u64);
        let store = Store::open(dir.path()).await.unwrap();
        version = store.gallery(GALLERY).await.unwrap().manifest.version;
        // The one in flight may have been committed without an acknowledgement.
        assert!([acknowledged, acknowledged + 1].contains(&version), "{version} after {acknowledged}");
        for block in store.load_blocks(GALLERY).await.unwrap() {
            store.read_segment(block.segment).await.unwrap();
        }
        store.close().await;
    }
    // Everything is as if the same steps had been done without a crash, except for an upload in flight.
    let undisturbed = tempfile::tempdir().unwrap();
    let store = Store::open(undisturbed.path()).await.unwrap();
    store.create_gallery(new_gallery(GALLERY), None).await.unwrap();
    Script::up_to(version, Some(&store)).await;
    let without_uploads = |lines: Vec<String>| -> Vec<String> {
        lines.into_iter().filter(|line| !line.starts_with("uploads")).collect()
    };
    let (crashed, expected) = (dump(dir.path()).await, dump(undisturbed.path()).await);
    assert!(without_uploads(crashed) == without_uploads(expected), "states differ at version {version}");
}
