//! Entries on their way into the store: gathered from all calls, stored in batches.
//!
//! An attestation that was handed out does not wait for the disk; what was promised a receipt does. Both go through
//! here, so that one commit serves many and a ticket's mark waits for few of them.

use crate::Error;
use crate::metrics::Metrics;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tyto_api::limits::MAX_DOCUMENTS_PER_CALL;
use tyto_store::{LogAdded, LogEntry, Store};

/// Entries of one transaction: it holds the store's only writer for some milliseconds.
const BATCH_ENTRIES: usize = 256;
/// How long entries wait for others if nobody waits for them.
const GATHER: Duration = Duration::from_millis(50);
/// The pause after a failure of the store; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What is queued: an entry, somebody who waits until everything before is stored, or both.
struct Item {
    entry: Option<Entry>,
    stored: Option<oneshot::Sender<bool>>,
}

/// An entry that goes by its content is named when it is stored, with others at once: hashing it takes a tenth of what
/// the signature in it took, and nobody waits for that.
enum Entry {
    ByContent(Bytes),
    Named(LogEntry),
}

/// Where entries are put.
pub(crate) struct Queue {
    sender: mpsc::Sender<Item>,
}

/// A place in the queue, free again when it is dropped.
pub(crate) struct Place(mpsc::OwnedPermit<Item>);

impl Place {
    /// Queues an entry that is not waited for.
    pub(crate) fn submit(self, entry: Bytes) {
        self.0.send(Item { entry: Some(Entry::ByContent(entry)), stored: None });
    }

    /// The same for one with a name of its own.
    pub(crate) fn submit_as(self, entry: LogEntry) {
        self.0.send(Item { entry: Some(Entry::Named(entry)), stored: None });
    }

    /// Queues an entry; what it gives says when it is durable.
    pub(crate) fn submit_durably(self, entry: Bytes) -> Stored {
        let (stored, waits) = oneshot::channel();
        self.0.send(Item { entry: Some(Entry::ByContent(entry)), stored: Some(stored) });
        Stored(waits)
    }
}

/// Until when places are waited for that were given out, and failures of the store tried again, once the queue is
/// stopped. Nothing before that.
pub(super) type Stop = Option<Instant>;

/// Waits until an entry is stored.
pub(crate) struct Stored(oneshot::Receiver<bool>);

impl Stored {
    /// Waits for so long at most: while the store fails, what is queued behind a full batch is not looked at.
    ///
    /// # Errors
    /// [`Error::LogUnavailable`] if it is unknown whether it was stored.
    pub(crate) async fn wait(self, patience: Duration) -> Result<(), Error> {
        match timeout(patience, self.0).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false) | Err(_)) | Err(_) => Err(Error::LogUnavailable),
        }
    }
}

/// A queue for so many entries, and what empties it.
pub(super) fn new(
    max_entries: usize,
    store: Store,
    wake: Arc<Notify>,
    stopped: watch::Receiver<Stop>,
    metrics: Arc<Metrics>,
) -> (Queue, QueueWriter) {
    let (sender, receiver) = mpsc::channel(max_entries);
    (Queue { sender }, QueueWriter { receiver, store, wake, stopped, metrics, batch: Vec::new() })
}

impl Queue {
    pub(super) fn place(&self) -> Result<Place, Error> {
        self.sender.clone().try_reserve_owned().map(Place).map_err(|error| match error {
            TrySendError::Full(sender) => Error::LogQueueFull { max: sender.max_capacity() },
            TrySendError::Closed(_) => Error::Draining,
        })
    }

    /// A place that leaves a quarter to others, or less where a whole call of documents would not fit.
    pub(super) fn place_for_document(&self) -> Result<Place, Error> {
        let all = self.sender.max_capacity();
        let left = (all / 4).min(all.saturating_sub(MAX_DOCUMENTS_PER_CALL));
        // Two that look at the same time may take one more than that.
        if self.sender.capacity() <= left && !self.sender.is_closed() {
            return Err(Error::LogQueueFull { max: all - left });
        }
        self.place()
    }

    /// Entries that wait.
    pub(super) fn queued(&self) -> usize {
        self.sender.max_capacity() - self.sender.capacity()
    }

    /// Waits until everything that was queued before is stored.
    pub(super) async fn flush(&self) -> Result<(), Error> {
        let (stored, waits) = oneshot::channel();
        let flushed = self.sender.send(Item { entry: None, stored: Some(stored) }).await;
        flushed.map_err(|_| Error::Draining)?;
        waits.await.is_ok_and(|stored| stored).then_some(()).ok_or(Error::LogUnavailable)
    }
}

/// Empties the queue.
pub(super) struct QueueWriter {
    receiver: mpsc::Receiver<Item>,
    store: Store,
    wake: Arc<Notify>,
    stopped: watch::Receiver<Stop>,
    metrics: Arc<Metrics>,
    /// What is being stored.
    batch: Vec<Item>,
}

impl QueueWriter {
    /// Stores what comes, until it is stopped and everything is stored, or cannot be.
    pub(super) async fn run(mut self) {
        let mut pause = FIRST_PAUSE;
        while self.gather().await {
            match self.store().await {
                Ok(()) => pause = FIRST_PAUSE,
                Err(error) => {
                    self.failed(&error);
                    if self.end().is_some_and(|end| Instant::now() + FIRST_PAUSE >= end) {
                        let lost = self.batch.len() + self.receiver.len();
                        tracing::error!(lost, "attestations that were handed out are not in the log");
                        return;
                    }
                    if self.end().is_some() {
                        sleep(FIRST_PAUSE).await;
                    } else {
                        let _ = timeout(pause, self.stopped.wait_for(Option::is_some)).await;
                        pause = (pause * 2).min(LONGEST_PAUSE);
                    }
                }
            }
        }
    }

    /// Makes a batch: what is left from before, and what comes until it is urgent or the time is over. False at the
    /// end.
    async fn gather(&mut self) -> bool {
        if self.batch.is_empty() {
            let Some(first) = self.next().await else { return false };
            self.batch.push(first);
        }
        let until = Instant::now() + GATHER;
        while self.batch.len() < BATCH_ENTRIES {
            let item = if self.is_urgent() || self.end().is_some() {
                self.receiver.try_recv().ok()
            } else {
                timeout_at(until, self.next()).await.ok().flatten()
            };
            let Some(item) = item else { break };
            self.batch.push(item);
        }
        true
    }

    /// Whether the batch has something promised, or nothing to be stored. Who waits for what is stored anyway does not
    /// make the batches of all smaller.
    fn is_urgent(&self) -> bool {
        let promised = |item: &Item| item.entry.is_some() && item.stored.is_some();
        self.batch.iter().any(promised) || self.batch.iter().all(|item| item.entry.is_none())
    }

    /// The next item; after the stop what is left, and then none.
    async fn next(&mut self) -> Option<Item> {
        let stopped = async {
            // An error means that the log is gone, which is the end of it all the same.
            let _ = self.stopped.wait_for(Option::is_some).await;
        };
        tokio::select! {
            biased;
            item = self.receiver.recv() => return item,
            () = stopped => {}
        }
        self.receiver.close();
        let end = self.end().unwrap_or_else(Instant::now);
        // What is in the queue comes at once, whatever the time.
        timeout_at(end, self.receiver.recv()).await.ok().flatten()
    }

    /// When to give up, once it is stopped. Where nobody is left to stop it, at once.
    fn end(&self) -> Stop {
        let gone = self.stopped.has_changed().is_err();
        self.stopped.borrow().or_else(|| gone.then(Instant::now))
    }

    /// Stores the batch in one transaction.
    async fn store(&mut self) -> Result<(), tyto_store::Error> {
        let entries = self.entries();
        let mut added = Vec::new();
        if !entries.is_empty() {
            added = self.store.add_log_entries(&entries).await?;
            let new = added.iter().filter(|&&added| added == LogAdded::New).count();
            self.metrics.log_entries.add(new);
            self.wake.notify_one();
        }
        let mut added = added.into_iter();
        for item in self.batch.drain(..) {
            let added = item.entry.as_ref().and_then(|_| added.next());
            let kept = added != Some(LogAdded::IdUsed);
            // One with a name of its own, such as the activation of a key, says again what was said before.
            if !kept && matches!(item.entry, Some(Entry::ByContent(_))) {
                tracing::error!("an entry of the log was not added: its id belongs to another");
            }
            // Whoever waited may be gone.
            let _ = item.stored.map(|stored| stored.send(kept));
        }
        Ok(())
    }

    /// The entries of the batch, in its order.
    fn entries(&self) -> Vec<LogEntry> {
        let entries = || self.batch.iter().filter_map(|item| item.entry.as_ref());
        let by_content: Vec<_> = entries()
            .filter_map(|entry| match entry {
                Entry::ByContent(bytes) => Some(bytes.clone()),
                Entry::Named(_) => None,
            })
            .collect();
        let mut named_now = LogEntry::of_all(&by_content).into_iter();
        entries()
            .filter_map(|entry| match entry {
                Entry::ByContent(_) => named_now.next(),
                Entry::Named(entry) => Some(entry.clone()),
            })
            .collect()
    }

    /// Tells those who wait, and keeps what was handed out already for the next attempt.
    fn failed(&mut self, error: &tyto_store::Error) {
        self.metrics.log_failures.add(1);
        tracing::error!(error = %crate::status::chain(error), "entries of the log cannot be stored");
        for item in &mut self.batch {
            if let Some(stored) = item.stored.take() {
                let _ = stored.send(false);
                item.entry = None;
            }
        }
        self.batch.retain(|item| item.entry.is_some());
    }
}
