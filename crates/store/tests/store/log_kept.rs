//! Which checkpoints are still there when many newer ones were published.

use crate::log::{entry, writer};
use tyto_attest::Checkpoint;
use tyto_store::{KEPT_CHECKPOINTS, LogTree, Store};

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
/// How many checkpoints are put out of the newest ones.
const THINNED: u64 = 80;

/// The head of a CBOR item.
fn head(major: u8, value: u64) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let (info, length) = match value {
        0..24 => return vec![major << 5 | value as u8],
        24..0x100 => (24, 1),
        0x100..0x1_0000 => (25, 2),
        0x1_0000..0x1_0000_0000 => (26, 4),
        _ => (27, 8),
    };
    [&[major << 5 | info][..], &bytes[8 - length..]].concat()
}

fn bstr(bytes: &[u8]) -> Vec<u8> {
    [head(2, bytes.len() as u64), bytes.to_vec()].concat()
}

/// A checkpoint with a signature of a few bytes, under the log key of this number: the store verifies no signature, and
/// a thousand real ones take long.
fn unsigned(tree: LogTree, time_unix_ms: u64, key: u8) -> Checkpoint {
    const TYPE: &str = "application/vnd.tyto.checkpoint+cbor";
    let negative = |value: u64| head(1, value - 1);
    let tree_head =
        [head(4, 5), head(0, 1), bstr(&[7; 32]), head(0, tree.size), bstr(&tree.root), head(0, time_unix_ms)];
    let header = [
        head(5, 6),
        [head(0, 1), negative(70_026)].concat(),
        [head(0, 2), head(4, 1), negative(70_101)].concat(),
        [head(0, 4), bstr(&[key; 32])].concat(),
        [head(0, 16), head(3, TYPE.len() as u64), TYPE.into()].concat(),
        [head(0, 395), negative(70_100)].concat(),
        [negative(70_101), tree_head.concat()].concat(),
    ];
    let items =
        [head(6, 18), head(4, 4), bstr(&header.concat()), head(5, 0), bstr(&tree.root), bstr(b"signature")];
    Checkpoint::parse(&items.concat()).expect("a checkpoint")
}

#[tokio::test]
async fn old_checkpoints_are_thinned_and_those_that_prove_a_time_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let mut log = writer(&store, 1, 0).await;
    // One a minute from a full hour on; checkpoint `n` covers entries 0 to `n`. The log key changes with checkpoint 30,
    // and another key ends between those of 10 and 11.
    let published = u64::from(KEPT_CHECKPOINTS) + THINNED;
    let start = 500_000 * HOUR_MS;
    store.keep_checkpoint_before(start + 11 * MINUTE_MS).await.unwrap();
    for number in 0..published {
        store.add_log_entries(&[entry(number)]).await.unwrap();
        log.append(1).await.unwrap();
        let checkpoint = unsigned(log.tree(), start + number * MINUTE_MS, u8::from(number >= 30));
        log.publish(&checkpoint).await.unwrap();
    }
    let mut kept = Vec::new();
    let mut leaf = 0;
    while let Some(covering) = store.checkpoint_covering(leaf).await.unwrap() {
        kept.push(covering.size() - 1);
        leaf = covering.size();
    }
    let newest = THINNED..published;
    assert_eq!(kept, [10, 29, 59].into_iter().chain(newest).collect::<Vec<_>>());
}
