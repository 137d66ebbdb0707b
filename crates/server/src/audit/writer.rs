//! The thread that writes records: one batch after the other, each whole or not at all.

use super::files::Files;
use crate::app::unix_ms;
use crate::metrics::Metrics;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tyto_audit::{AuditAnchor, Chain, Event};

/// Records of one batch: 1 MB or so.
const BATCH_RECORDS: usize = 4096;
/// How long records wait for others if nobody waits for them.
const GATHER: Duration = Duration::from_millis(20);
/// How long what was written may not be synced yet if nobody waits for it.
const UNSYNCED: Duration = Duration::from_secs(1);
/// The pause after a failure.
const PAUSE: Duration = Duration::from_millis(100);

/// What is handed over.
pub(super) struct Item {
    pub(super) time_unix_ms: u64,
    pub(super) event: Option<Event>,
    pub(super) wanted: Wanted,
    pub(super) _place: Option<OwnedSemaphorePermit>,
}

/// What is wanted beside the record.
pub(super) enum Wanted {
    Nothing,
    /// To be told when it is durable.
    Durable(oneshot::Sender<()>),
    /// How far the chain has come, durably.
    Anchor(oneshot::Sender<AuditAnchor>),
    /// The same, and the end.
    Stop(oneshot::Sender<AuditAnchor>),
}

/// What the thread and the others both look at.
#[derive(Default)]
pub(super) struct Shared {
    /// Records that were lost and are not in the log yet as lost.
    pub(super) dropped: AtomicU64,
    pub(super) written: AtomicU64,
    /// The last attempt to write failed.
    pub(super) is_failing: AtomicBool,
    /// What cannot be written now need not be written any more.
    pub(super) is_abandoned: AtomicBool,
}

/// A batch that is being written.
struct Batch {
    bytes: Vec<u8>,
    /// Where the chain is after it.
    chain: Chain,
    records: u64,
}

pub(super) struct Writer {
    receiver: Receiver<Item>,
    files: Files,
    shared: Arc<Shared>,
    metrics: Arc<Metrics>,
    fail_closed: bool,
    items: Vec<Item>,
    synced: Instant,
    is_dirty: bool,
}

impl Writer {
    pub(super) fn new(
        receiver: Receiver<Item>,
        files: Files,
        shared: Arc<Shared>,
        metrics: Arc<Metrics>,
        fail_closed: bool,
    ) -> Self {
        let (items, synced) = (Vec::new(), Instant::now());
        Self { receiver, files, shared, metrics, fail_closed, items, synced, is_dirty: false }
    }

    /// Writes what comes, until it is stopped or nobody is left.
    pub(super) fn run(mut self) {
        while self.gather() {
            let Some(batch) = self.persist(Writer::encode) else { return };
            let sync = self.is_urgent() || self.synced.elapsed() >= UNSYNCED;
            if self.persist(|writer| writer.store(&batch, sync)).is_none() {
                return;
            }
            if self.acknowledge(&batch, sync) {
                return;
            }
        }
    }

    /// Takes what has come, and what else comes soon. False at the end.
    fn gather(&mut self) -> bool {
        let first = if self.is_dirty {
            self.receiver.recv_timeout(UNSYNCED.saturating_sub(self.synced.elapsed()))
        } else {
            self.receiver.recv().map_err(RecvTimeoutError::from)
        };
        match first {
            Ok(first) => self.items.push(first),
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
        self.take_all();
        if !self.is_urgent() {
            std::thread::sleep(GATHER);
            self.take_all();
        }
        true
    }

    fn take_all(&mut self) {
        let room = BATCH_RECORDS.saturating_sub(self.items.len());
        self.items.extend(self.receiver.try_iter().take(room));
    }

    /// Whether somebody waits for the disk.
    fn is_urgent(&self) -> bool {
        self.fail_closed || self.items.iter().any(|item| !matches!(item.wanted, Wanted::Nothing))
    }

    /// Does something until it succeeds, or nothing more is wanted.
    fn persist<T>(&mut self, mut attempt: impl FnMut(&mut Self) -> std::io::Result<T>) -> Option<T> {
        loop {
            match attempt(self) {
                Ok(done) => {
                    if self.shared.is_failing.swap(false, Ordering::Relaxed) {
                        tracing::info!("audit records are written again");
                    }
                    return Some(done);
                }
                Err(error) => {
                    self.metrics.audit_failures.add(1);
                    if !self.shared.is_failing.swap(true, Ordering::Relaxed) {
                        let error = crate::status::chain(&error);
                        tracing::error!(error, "audit records cannot be written");
                    }
                    if self.shared.is_abandoned.load(Ordering::Relaxed) {
                        let lost = self.items.iter().filter(|item| item.event.is_some()).count();
                        tracing::error!(lost, "audit records are lost");
                        return None;
                    }
                    std::thread::sleep(PAUSE);
                }
            }
        }
    }

    /// Begins another segment if it is time, and makes records of what has come.
    fn encode(&mut self) -> std::io::Result<Batch> {
        self.files.rotate_if_due(unix_ms())?;
        let kept_from = self.files.plan_retirement(unix_ms());
        let mut batch = Batch { bytes: Vec::new(), chain: self.files.chain().clone(), records: 0 };
        let dropped = self.shared.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            tracing::warn!(dropped, "audit records were lost");
            batch.add(unix_ms(), &Event::Dropped { records: dropped });
        }
        if let Some(kept_from) = kept_from {
            batch.add(unix_ms(), &Event::Retention { kept_from });
        }
        for item in &mut self.items {
            if let Some(event) = &item.event
                && !batch.add(item.time_unix_ms, event)
            {
                // Whoever waits for it learns that it is not there.
                item.wanted = Wanted::Nothing;
                self.shared.dropped.fetch_add(1, Ordering::Relaxed);
                self.metrics.audit_dropped.add(1);
            }
        }
        Ok(batch)
    }

    fn store(&mut self, batch: &Batch, sync: bool) -> std::io::Result<()> {
        self.files.append(&batch.bytes, &batch.chain, sync)
    }

    /// Tells those who wait. True if that was the end.
    fn acknowledge(&mut self, batch: &Batch, synced: bool) -> bool {
        if synced {
            (self.synced, self.is_dirty) = (Instant::now(), false);
            self.files.retire();
        } else {
            self.is_dirty |= !batch.bytes.is_empty();
        }
        self.shared.written.fetch_add(batch.records, Ordering::Relaxed);
        self.metrics.audit_records.add(batch.records as usize);
        let mut is_end = false;
        for item in self.items.drain(..) {
            // Whoever does not wait any more need not be told.
            match item.wanted {
                Wanted::Nothing => {}
                Wanted::Durable(durable) => {
                    let _ = durable.send(());
                }
                Wanted::Anchor(anchor) => {
                    let _ = anchor.send(batch.chain.anchor());
                }
                Wanted::Stop(anchor) => {
                    let _ = anchor.send(batch.chain.anchor());
                    is_end = true;
                }
            }
        }
        is_end
    }
}

impl Batch {
    /// Adds a record; false if it cannot be one.
    fn add(&mut self, time_unix_ms: u64, event: &Event) -> bool {
        match self.chain.append(time_unix_ms, event, &mut self.bytes) {
            Ok(_) => {
                self.records += 1;
                true
            }
            Err(error) => {
                tracing::error!(%error, "an audit record cannot be made");
                false
            }
        }
    }
}
