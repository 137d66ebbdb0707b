use super::*;
use crate::background::{Background, LowPriority};
use std::future::{pending, ready};
use tempfile::TempDir;
use tyto_attest::log::{leaf_hash, verify_consistency};
use tyto_pqc::slhdsa::{ParameterSet, SigningKey};

const PATIENCE: Duration = Duration::from_mins(1);

/// A store for several servers' logs.
struct World {
    _dir: TempDir,
    store: Store,
    background: Background,
    key: zeroize::Zeroizing<Vec<u8>>,
}

struct Led {
    log: Log,
    metrics: Arc<Metrics>,
}

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).await.unwrap();
        let background = Background::start(LowPriority::below_this_thread()).unwrap();
        // The fast set: what is tested here is not the signature.
        let key = SigningKey::generate(ParameterSet::Shake128f).unwrap().to_bytes();
        Self { _dir: dir, store, background, key }
    }

    async fn start(&self, node: u8, adjust: impl FnOnce(&mut TransparencyConfig)) -> Led {
        self.start_as("tests", node, adjust).await
    }

    async fn start_as(&self, origin: &str, node: u8, adjust: impl FnOnce(&mut TransparencyConfig)) -> Led {
        let mut config = TransparencyConfig { checkpoint_interval_ms: 20, ..TransparencyConfig::default() };
        adjust(&mut config);
        let signing = SigningKey::from_bytes(ParameterSet::Shake128f, &self.key).unwrap();
        let keys = LogKeys { signing, node: [node; 16] };
        let metrics = Arc::<Metrics>::default();
        let background = self.background.handle();
        let log = Log::start(&config, origin, &self.store, keys, background, &metrics).await.unwrap();
        Led { log, metrics }
    }
}

impl Led {
    async fn promise(&self, entry: &'static [u8]) {
        let place = self.log.place().unwrap();
        place.submit_durably(Bytes::from_static(entry)).wait(PATIENCE).await.unwrap();
    }

    async fn receipt(&self, entry: &[u8]) -> Receipt {
        match self.log.receipt(&leaf_hash(entry), PATIENCE, pending()).await.unwrap() {
            Waited::Receipt(receipt) => Receipt::parse(&receipt).unwrap(),
            Waited::NotCovered => panic!("no checkpoint within {PATIENCE:?}"),
        }
    }
}

impl World {
    /// Appends an entry and signs a checkpoint of this time, as a server would whose clock is there.
    async fn sign_at(&self, log_id: [u8; 32], time_unix_ms: u64) {
        let entry = tyto_store::LogEntry::of(Bytes::from(time_unix_ms.to_le_bytes().to_vec()));
        self.store.add_log_entries(&[entry]).await.unwrap();
        let token = self.store.acquire_log([9; 16], crate::app::unix_ms(), 60_000).await.unwrap();
        let mut writer = self.store.resume_log(token).await.unwrap();
        writer.append(1).await.unwrap();
        let tyto_store::LogTree { size, root } = writer.tree_to_sign().unwrap();
        let head = tyto_attest::TreeHead { log_id, size, root, time_unix_ms };
        let key = SigningKey::from_bytes(ParameterSet::Shake128f, &self.key).unwrap();
        writer.publish(&tyto_attest::Checkpoint::sign(head, &key).unwrap()).await.unwrap();
        self.store.renew_log(&token, 0, 0).await.unwrap();
    }
}

async fn wait_until(what: impl Fn() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    waited.await.expect("it happens");
}

#[tokio::test]
async fn what_was_promised_and_what_was_handed_out_gets_receipts() {
    let world = World::new().await;
    let led = world.start(1, |_| ()).await;
    assert!(led.log.newest().is_none(), "nothing is signed while there is nothing");
    led.promise(b"promised").await;
    led.log.place().unwrap().submit(Bytes::from_static(b"handed out"));
    // Found although it may still be on its way into the store.
    let second = led.receipt(b"handed out").await;
    let first = led.receipt(b"promised").await;
    assert_eq!((first.index(), second.index()), (0, 1));
    let head = led.log.state().previous_checkpoint.unwrap();
    assert_eq!(head.size, 2);
    assert!(matches!(led.log.receipt(&[7; 32], PATIENCE, pending()).await, Err(Error::UnknownEntry)));
    led.log.stop(PATIENCE).await;
}

#[tokio::test]
async fn a_second_server_stands_by_until_the_first_is_gone() {
    let world = World::new().await;
    let first = world.start(1, |_| ()).await;
    first.promise(b"one").await;
    first.receipt(b"one").await;
    let second = world.start(2, |_| ()).await;
    // The second one stores, the first one appends and signs.
    second.promise(b"two").await;
    assert_eq!(second.receipt(b"two").await.index(), 1);
    assert_eq!((first.metrics.log_leads.get(), second.metrics.log_leads.get()), (1, 0));
    let before = *first.log.newest().unwrap().checkpoint.head();
    first.log.stop(PATIENCE).await;
    wait_until(|| second.metrics.log_leads.get() == 1).await;
    second.promise(b"three").await;
    assert_eq!(second.receipt(b"three").await.index(), 2);
    let after = *second.log.newest().unwrap().checkpoint.head();
    assert_eq!(before.log_id, after.log_id);
    let proof = world.store.log_consistency_proof(before.size, after.size).await.unwrap();
    assert_eq!(verify_consistency(before.size, &before.root, after.size, &after.root, &proof), Ok(()));
    second.log.stop(PATIENCE).await;
}

#[tokio::test]
async fn one_that_is_superseded_stops_and_comes_back_when_the_lease_is_free() {
    let world = World::new().await;
    let led = world.start(1, |_| ()).await;
    led.promise(b"one").await;
    led.receipt(b"one").await;
    // As if this server had been suspended for longer than its lease.
    let later_ms = crate::app::unix_ms() + 3_600_000;
    let token = world.store.acquire_log([9; 16], later_ms, 1_000).await.unwrap();
    led.promise(b"two").await;
    wait_until(|| led.metrics.log_leads.get() == 0).await;
    assert_eq!(world.store.log_tree().await.unwrap().size, 1, "the superseded one appends nothing");
    world.store.renew_log(&token, 0, 0).await.unwrap();
    assert_eq!(led.receipt(b"two").await.index(), 1);
    led.log.stop(PATIENCE).await;
}

#[tokio::test]
async fn a_full_queue_refuses_and_a_stop_loses_nothing() {
    let world = World::new().await;
    let led = world.start(1, |config| config.queued_entries = 3).await;
    let places: Vec<_> = (0..3).map(|_| led.log.place().unwrap()).collect();
    assert!(matches!(led.log.place(), Err(Error::LogQueueFull { max: 3 })));
    assert_eq!(led.log.queued(), 3);
    let entries: [&[u8]; 3] = [b"a", b"b", b"c"];
    places.into_iter().zip(entries).for_each(|(place, entry)| place.submit(Bytes::from_static(entry)));
    led.log.stop(PATIENCE).await;
    let newest = world.store.latest_checkpoint().await.unwrap().unwrap();
    assert_eq!(newest.size(), 3, "stored, appended and signed");
    assert!(matches!(led.log.place(), Err(Error::Draining)));
}

#[tokio::test]
async fn a_store_that_fails_is_reported_and_promises_nothing() {
    let world = World::new().await;
    let led = world.start(1, |_| ()).await;
    led.promise(b"one").await;
    world.store.close().await;
    let place = led.log.place().unwrap();
    let refused = place.submit_durably(Bytes::from_static(b"two")).wait(PATIENCE).await;
    assert!(matches!(refused, Err(Error::LogUnavailable)));
    assert!(led.metrics.log_failures.get() >= 1);
}

#[tokio::test]
async fn a_promise_behind_what_cannot_be_stored_is_not_kept_waiting() {
    let world = World::new().await;
    let led = world.start(1, |_| ()).await;
    led.promise(b"one").await;
    world.store.close().await;
    let handed_out = |i: u16| led.log.place().unwrap().submit(Bytes::copy_from_slice(&i.to_le_bytes()));
    (0..256).for_each(handed_out);
    wait_until(|| led.metrics.log_failures.get() >= 2).await;
    let promise = led.log.place().unwrap().submit_durably(Bytes::from_static(b"two"));
    let refused = promise.wait(Duration::from_millis(50)).await;
    assert!(matches!(refused, Err(Error::LogUnavailable)));
}

#[tokio::test]
async fn a_place_that_is_not_used_keeps_no_stop_from_signing() {
    let world = World::new().await;
    let led = world.start(1, |_| ()).await;
    let _unused = led.log.place().unwrap();
    led.log.place().unwrap().submit(Bytes::from_static(b"handed out"));
    led.log.stop(Duration::from_secs(4)).await;
    assert_eq!(world.store.latest_checkpoint().await.unwrap().unwrap().size(), 1);
    world.store.acquire_log([2; 16], crate::app::unix_ms(), 1).await.expect("the lease was given back");
}

#[tokio::test]
async fn a_log_that_nobody_stops_ends_with_its_owner() {
    let world = World::new().await;
    let led = world.start(1, |_| ()).await;
    led.log.place().unwrap().submit(Bytes::from_static(b"handed out"));
    let mut tasks = led.log.tasks.lock().unwrap().take().unwrap();
    drop((tasks.stop_queue, tasks.stop_sequencer));
    tokio::time::timeout(PATIENCE, &mut tasks.queue).await.expect("the queue ends").unwrap();
    tokio::time::timeout(PATIENCE, &mut tasks.sequencer).await.expect("the sequencer ends").unwrap();
    assert!(world.store.log_place_of(&leaf_hash(b"handed out")).await.unwrap().is_some());
    world.store.acquire_log([2; 16], crate::app::unix_ms(), 1).await.expect("the lease was given back");
}

#[tokio::test]
async fn a_receipt_that_exists_is_given_without_patience_and_at_the_end() {
    let world = World::new().await;
    let led = world.start(1, |_| ()).await;
    led.promise(b"one").await;
    led.receipt(b"one").await;
    // The store's readers are busy for a while.
    let every = led.log.proving.acquire_many(MAX_PROVING as u32).await.unwrap();
    let leaf = leaf_hash(b"one");
    let asked = led.log.receipt(&leaf, Duration::ZERO, ready(()));
    let busy = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        drop(every);
    };
    let (waited, ()) = tokio::join!(asked, busy);
    assert!(matches!(waited, Ok(Waited::Receipt(_))));
    led.log.stop(PATIENCE).await;
}

#[tokio::test]
async fn a_full_queue_keeps_nobody_waiting_for_a_receipt() {
    let world = World::new().await;
    let led = world.start(1, |config| config.queued_entries = 1).await;
    let _unused = led.log.place().unwrap();
    let waited = led.log.receipt(&[7; 32], Duration::ZERO, pending()).await;
    assert!(matches!(waited, Ok(Waited::NotCovered)));
    let broken_off = led.log.receipt(&[7; 32], PATIENCE, ready(())).await;
    assert!(matches!(broken_off, Ok(Waited::NotCovered)));
}

#[tokio::test]
async fn looking_for_an_unknown_entry_does_not_cut_batches_short() {
    let world = World::new().await;
    let led = world.start(1, |_| ()).await;
    let (mut entry, mut answered) = (0_u8, 0);
    // A batch gathers for some 50 ms: of so many looks, all but a few must find one that is being gathered.
    let until = Instant::now() + Duration::from_millis(200);
    while Instant::now() < until {
        led.log.place().unwrap().submit(Bytes::from(vec![entry; 5]));
        entry = entry.wrapping_add(1);
        let waited = led.log.receipt(&[7; 32], Duration::ZERO, pending()).await;
        assert!(matches!(waited, Err(Error::UnknownEntry)));
        answered += 1;
    }
    assert!(answered <= 5, "{answered} batches in the time of four");
}

#[tokio::test]
async fn the_log_keeps_its_name_from_the_first_start() {
    let world = World::new().await;
    let led = world.start(1, |_| ()).await;
    let id = led.log.id();
    led.log.stop(PATIENCE).await;
    assert!(world.store.latest_checkpoint().await.unwrap().is_none());
    let renamed = world.start_as("another issuer", 1, |_| ()).await;
    assert_eq!(renamed.log.id(), id);
    renamed.promise(b"one").await;
    renamed.receipt(b"one").await;
    assert_eq!(renamed.log.newest().unwrap().checkpoint.head().log_id, id);
    renamed.log.stop(PATIENCE).await;
}

#[tokio::test]
async fn a_clock_that_was_a_little_ahead_does_not_stop_the_log_and_one_far_ahead_does() {
    let world = World::new().await;
    let led = world.start(1, |_| ()).await;
    let id = led.log.id();
    led.log.stop(PATIENCE).await;
    let ahead = crate::app::unix_ms() + 120_000;
    world.sign_at(id, ahead).await;
    let led = world.start(1, |_| ()).await;
    led.promise(b"one").await;
    led.receipt(b"one").await;
    assert_eq!(led.log.newest().unwrap().checkpoint.head().time_unix_ms, ahead);
    led.log.may_promise().unwrap();
    led.log.stop(PATIENCE).await;
    world.sign_at(id, ahead + 3_600_000).await;
    let led = world.start(1, |_| ()).await;
    led.promise(b"two").await;
    wait_until(|| led.metrics.log_failures.get() >= 1).await;
    assert_eq!(led.log.newest().unwrap().size(), 3, "nothing of a time that nobody would believe");
    assert!(matches!(led.log.may_promise(), Err(Error::LogUnavailable)), "no more promises");
}

#[tokio::test]
async fn a_promise_whose_id_belongs_to_another_entry_is_none() {
    let world = World::new().await;
    let led = world.start(1, |_| ()).await;
    let id = tyto_store::LogEntryId::of_leaf(&leaf_hash(b"two"));
    led.log.place().unwrap().submit_as(tyto_store::LogEntry { id, bytes: Bytes::from_static(b"one") });
    let promise = led.log.place().unwrap().submit_durably(Bytes::from_static(b"two"));
    assert!(matches!(promise.wait(PATIENCE).await, Err(Error::LogUnavailable)));
    led.promise(b"three").await;

    // Whose entry was not added is told, and nobody else in its batch.
    let promise = led.log.place().unwrap().submit_durably(Bytes::from_static(b"four"));
    led.log.place().unwrap().submit_as(tyto_store::LogEntry { id, bytes: Bytes::from_static(b"five") });
    promise.wait(PATIENCE).await.unwrap();
    led.log.stop(PATIENCE).await;
}
