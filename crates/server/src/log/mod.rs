//! The transparency log of this server: what it signs and what it changes goes in, checkpoints come out.
//!
//! Attestations are queued in memory and stored in batches ([`queue`]); changes of galleries store their entries in their
//! own transactions. One [`sequencer`] at a time moves what is stored into the tree and signs checkpoints.

mod issuer;
pub(crate) mod key;
pub(crate) mod queue;
mod sequencer;
#[cfg(test)]
mod tests;

pub(crate) use issuer::Issuer;
pub(crate) use queue::Place;

use crate::Error;
use crate::config::TransparencyConfig;
use crate::metrics::Metrics;
use bytes::Bytes;
use key::LogKeys;
use queue::Queue;
use sequencer::Sequencer;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, SemaphorePermit, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tyto_attest::log::Hash;
use tyto_attest::{LogState, PreviousCheckpoint, PublicKey, Receipt, Signer};
use tyto_store::{LogPlace, Store, StoredCheckpoint};

/// Proofs that are made at the same time, each with one of the store's four readers, which tickets need as well.
const MAX_PROVING: usize = 2;
/// Calls that wait for receipts at the same time; others are told to come again.
const MAX_WAITING: usize = 4096;
/// How long an entry that is not found is looked for in the queue at least.
const FLUSH_PATIENCE: Duration = Duration::from_secs(1);

/// The newest checkpoint, none before the first.
type Newest = Option<Arc<StoredCheckpoint>>;

/// The log, as the services see it.
pub(crate) struct Log {
    id: [u8; 32],
    public_key: PublicKey,
    store: Store,
    queue: Queue,
    newest: watch::Receiver<Newest>,
    wake: Arc<Notify>,
    /// Nothing is appended until an operator does something.
    stands_still: Arc<AtomicBool>,
    /// Bounds what reads the store for proofs.
    proving: Semaphore,
    /// Bounds what waits for receipts.
    waiting: Semaphore,
    tasks: Mutex<Option<Tasks>>,
}

struct Tasks {
    stop_queue: watch::Sender<queue::Stop>,
    queue: JoinHandle<()>,
    stop_sequencer: watch::Sender<bool>,
    sequencer: JoinHandle<()>,
}

/// What became of the wish for a receipt.
pub(crate) enum Waited {
    /// The receipt.
    Receipt(Bytes),
    /// Not in time.
    NotCovered,
}

impl Log {
    /// Goes on with the log of a store, or begins it. Signing and other long work runs on threads that give way.
    pub(crate) async fn start(
        config: &TransparencyConfig,
        origin: &str,
        store: &Store,
        keys: LogKeys,
        background: Handle,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, Error> {
        let public_key = keys.signing.public_key();
        let known = store.latest_checkpoint().await?;
        // The log keeps its id when its keys or the issuer's name change, also before the first checkpoint: what waits to
        // be appended names it.
        let id = store.name_log(tyto_attest::log_id(origin, &public_key.key_id())?).await?;
        let (newest_sender, newest) = watch::channel(known.map(Arc::new));
        let (wake, stands_still) = (Arc::new(Notify::new()), Arc::new(AtomicBool::new(false)));
        let (stop_queue, queue_stopped) = watch::channel(None);
        let (stop_sequencer, sequencer_stopped) = watch::channel(false);
        let sequencer = Sequencer {
            store: store.clone(),
            key: Arc::new(keys.signing),
            log_id: id,
            holder: keys.node,
            interval: Duration::from_millis(config.checkpoint_interval_ms),
            batch_entries: config.batch_entries,
            newest: newest_sender,
            wake: wake.clone(),
            stopped: sequencer_stopped,
            background,
            metrics: metrics.clone(),
            stands_still: stands_still.clone(),
        };
        let (queue, writer) =
            queue::new(config.queued_entries, store.clone(), wake.clone(), queue_stopped, metrics.clone());
        let tasks = Tasks {
            stop_queue,
            queue: tokio::spawn(writer.run()),
            stop_sequencer,
            sequencer: tokio::spawn(sequencer.run()),
        };
        let tasks = Mutex::new(Some(tasks));
        let (proving, waiting) = (Semaphore::new(MAX_PROVING), Semaphore::new(MAX_WAITING));
        Ok(Self {
            id,
            public_key,
            store: store.clone(),
            queue,
            newest,
            wake,
            stands_still,
            proving,
            waiting,
            tasks,
        })
    }

    /// The log's id.
    pub(crate) fn id(&self) -> [u8; 32] {
        self.id
    }

    /// The key that signs checkpoints.
    pub(crate) fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// The log as a statement names it that is made now.
    pub(crate) fn state(&self) -> LogState {
        let previous = self.newest.borrow().as_ref().map(|newest| *newest.checkpoint.head());
        let previous_checkpoint =
            previous.map(|head| PreviousCheckpoint { size: head.size, root: head.root });
        LogState { log_id: self.id, previous_checkpoint }
    }

    /// The newest checkpoint.
    pub(crate) fn newest(&self) -> Newest {
        self.newest.borrow().clone()
    }

    /// A place in the queue for an entry. Taken before the work whose result is to be logged.
    ///
    /// # Errors
    /// [`Error::LogQueueFull`], [`Error::Draining`].
    pub(crate) fn place(&self) -> Result<Place, Error> {
        self.queue.place()
    }

    /// The same for a document. Documents leave some places to matches.
    ///
    /// # Errors
    /// As [`Log::place`].
    pub(crate) fn place_for_document(&self) -> Result<Place, Error> {
        self.queue.place_for_document()
    }

    /// Whether receipts may be promised: not while nothing is appended for a reason that does not pass by itself.
    ///
    /// # Errors
    /// [`Error::LogUnavailable`].
    pub(crate) fn may_promise(&self) -> Result<(), Error> {
        if self.stands_still.load(Ordering::Relaxed) { Err(Error::LogUnavailable) } else { Ok(()) }
    }

    /// Entries in the queue.
    pub(crate) fn queued(&self) -> usize {
        self.queue.queued()
    }

    /// Says that entries were stored by others than the queue.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// The receipt of an entry, waited for if need be, but not after `broken_off`. What is covered already is found
    /// however short the patience is.
    ///
    /// # Errors
    /// [`Error::UnknownEntry`].
    pub(crate) async fn receipt(
        &self,
        leaf: &Hash,
        patience: Duration,
        broken_off: impl Future<Output = ()>,
    ) -> Result<Waited, Error> {
        let Ok(_waiting) = self.waiting.try_acquire() else { return Ok(Waited::NotCovered) };
        let (until, flushed_until) = {
            let now = Instant::now();
            (now + patience, now + patience.max(FLUSH_PATIENCE))
        };
        let (mut broken_off, mut newest) = (pin!(broken_off), self.newest.clone());
        let (mut place, mut flushed) = (None, false);
        loop {
            let size = newest.borrow_and_update().as_ref().map_or(0, |newest| newest.size());
            if !matches!(place, Some(LogPlace::Leaf(_))) {
                let _proving = self.prove().await?;
                place = self.store.log_place_of(leaf).await?;
            }
            let known = match place {
                Some(LogPlace::Leaf(index)) if index < size => return self.receipt_of(index).await,
                Some(_) => true,
                None if flushed => return Err(Error::UnknownEntry),
                None => false,
            };
            let wait = async {
                if known {
                    return newest.changed().await.map_err(|_| Error::Draining);
                }
                // It may be on its way.
                flushed = true;
                self.queue.flush().await
            };
            let until = if known { until } else { flushed_until };
            tokio::select! {
                biased;
                waited = timeout_at(until, wait) => match waited {
                    Ok(waited) => waited?,
                    Err(_) => return Ok(Waited::NotCovered),
                },
                () = &mut broken_off => return Ok(Waited::NotCovered),
            }
        }
    }

    async fn receipt_of(&self, index: u64) -> Result<Waited, Error> {
        let _proving = self.prove().await?;
        let stored = self.store.checkpoint_covering(index).await?.ok_or(Error::NoCheckpoint)?;
        let path = self.store.log_inclusion_proof(index, stored.size()).await?;
        Ok(Waited::Receipt(Receipt::new(stored.checkpoint, index, path).encode().into()))
    }

    /// Waits for leave to read what proofs are made of, which leaves some of the store's readers to others.
    pub(crate) async fn prove(&self) -> Result<SemaphorePermit<'_>, Error> {
        self.proving.acquire().await.map_err(|_| Error::Draining)
    }

    /// Stores what is queued, appends it, signs the last checkpoint and gives the log back. What cannot be done in
    /// time is left to the next start, except for what was only queued. Half of the time is for storing: places that
    /// are not used until then are not waited for, so that what is stored is signed all the same.
    pub(crate) async fn stop(&self, patience: Duration) {
        let tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Tasks { stop_queue, queue, stop_sequencer, sequencer }) = tasks else { return };
        let started = Instant::now();
        stop_queue.send_replace(Some(started + patience / 2));
        self.end(queue, started + patience * 3 / 4).await;
        stop_sequencer.send_replace(true);
        self.end(sequencer, started + patience).await;
    }

    async fn end(&self, mut task: JoinHandle<()>, deadline: Instant) {
        if timeout_at(deadline, &mut task).await.is_err() {
            tracing::error!(queued = self.queued(), "the log could not be finished in time");
            task.abort();
            // What it holds keeps the data directory from being free.
            let _ = task.await;
        }
    }
}
