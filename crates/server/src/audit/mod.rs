//! The audit log: a record of every call and every denial.
//!
//! A [`layer`] around all services opens a record for each call; what it is about is noted on the way ([`Notes`]), and
//! written before the answer leaves. One thread of its own appends records to files ([`writer`], [`files`]): whatever waits
//! is written and synced at once, so that a busy server pays for one sync what an idle one pays.
//!
//! In fail-closed mode a call is answered only once its record is durable; it waits for so long and no longer. Otherwise
//! calls do not wait, and records that find no room are counted.

pub(crate) mod anchors;
mod files;
pub(crate) mod layer;
mod notes;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use layer::{AuditLayer, Open, begin};
pub(crate) use notes::Notes;

use crate::Error;
use crate::app::unix_ms;
use crate::config::{AuditConfig, AuditMode};
use crate::metrics::Metrics;
use files::Files;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};
use tyto_audit::{AuditAnchor, Event};
use writer::{Item, Shared, Wanted, Writer};

/// What runs, as the first record of each start says.
const SOFTWARE: &str = concat!("tytod ", env!("CARGO_PKG_VERSION"));

/// Where records are put.
pub(crate) struct Audit {
    mode: AuditMode,
    /// How long a call waits for its record in fail-closed mode.
    patience: Duration,
    sender: mpsc::Sender<Item>,
    /// Room for records in memory. An item holds its place until it is durable.
    places: Arc<Semaphore>,
    shared: Arc<Shared>,
    metrics: Arc<Metrics>,
    streams: AtomicU64,
    stopped: AtomicBool,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Room for one record; without it the record is counted as lost.
pub(crate) struct Place(Option<OwnedSemaphorePermit>);

impl Audit {
    /// Goes on with the audit log of a data directory, or begins it.
    ///
    /// # Errors
    /// [`Error::AuditFile`], [`Error::AuditSegment`]; [`Error::AuditCutOff`] if records are gone that were anchored.
    pub(crate) fn start(
        config: &AuditConfig,
        data_dir: &Path,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, Error> {
        let (sender, receiver) = mpsc::channel();
        let shared = Arc::<Shared>::default();
        let audit = Self {
            mode: config.mode,
            patience: Duration::from_millis(config.wait_ms),
            sender,
            places: Arc::new(Semaphore::new(config.queued_records)),
            shared: shared.clone(),
            metrics: metrics.clone(),
            streams: AtomicU64::new(0),
            stopped: AtomicBool::new(config.mode == AuditMode::Off),
            thread: Mutex::new(None),
        };
        if config.mode == AuditMode::Off {
            return Ok(audit);
        }
        let (files, cut_bytes) = Files::open(&data_dir.join(files::DIRECTORY), config)?;
        if let Some(anchored) = anchors::newest(&data_dir.join(files::DIRECTORY), files.chain().id())?
            && anchored > files.chain().records()
        {
            return Err(Error::AuditCutOff { records: files.chain().records(), anchored });
        }
        let fail_closed = config.mode == AuditMode::FailClosed;
        let writer = Writer::new(receiver, files, shared, metrics.clone(), fail_closed);
        let thread = std::thread::Builder::new().name("audit".to_owned()).spawn(move || writer.run());
        let failed = |source| Error::Runtime { action: "start a thread", source };
        *audit.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread.map_err(failed)?);
        audit.submit(Place(None), Event::Start { software: SOFTWARE.to_owned(), fail_closed, cut_bytes });
        Ok(audit)
    }

    /// Whether records are written at all.
    pub(crate) fn is_on(&self) -> bool {
        self.mode != AuditMode::Off
    }

    /// Records that were written since the start.
    pub(crate) fn written(&self) -> u64 {
        self.shared.written.load(Ordering::Relaxed)
    }

    /// The number of a new stream.
    fn stream(&self) -> u64 {
        self.streams.fetch_add(1, Ordering::Relaxed)
    }

    /// Room for a record, taken before the work that it will be about.
    ///
    /// # Errors
    /// In fail-closed mode [`Error::AuditUnavailable`], if records cannot be written at the moment.
    async fn place(&self) -> Result<Place, Error> {
        if self.mode != AuditMode::FailClosed {
            return Ok(Place(self.places.clone().try_acquire_owned().ok()));
        }
        if self.shared.is_failing.load(Ordering::Relaxed) || self.stopped.load(Ordering::Relaxed) {
            return Err(self.unavailable());
        }
        let place = timeout_at(Instant::now() + self.patience, self.places.clone().acquire_owned()).await;
        place.ok().and_then(Result::ok).map(|place| Place(Some(place))).ok_or_else(|| self.unavailable())
    }

    fn unavailable(&self) -> Error {
        self.metrics.audit_unavailable.add(1);
        Error::AuditUnavailable
    }

    /// Writes a record, and waits until it is durable in fail-closed mode.
    ///
    /// # Errors
    /// [`Error::AuditUnavailable`] if it is not durable in time. It may be later.
    async fn write(&self, place: Place, event: Event) -> Result<(), Error> {
        if self.mode != AuditMode::FailClosed {
            self.submit(place, event);
            return Ok(());
        }
        let (durable, waits) = oneshot::channel();
        self.send(place, Some(event), Wanted::Durable(durable));
        match timeout_at(Instant::now() + self.patience, waits).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(self.unavailable()),
        }
    }

    /// Writes a record that nobody waits for.
    fn submit(&self, place: Place, event: Event) {
        let may_be_lost = !matches!(event, Event::Start { .. });
        if place.0.is_none() && may_be_lost {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
            self.metrics.audit_dropped.add(1);
            return;
        }
        self.send(place, Some(event), Wanted::Nothing);
    }

    fn send(&self, place: Place, event: Option<Event>, wanted: Wanted) {
        // Without the thread there is nobody to tell: those who wait find out.
        let _ = self.sender.send(Item { time_unix_ms: unix_ms(), event, wanted, _place: place.0 });
    }

    /// Syncs all that was written before, and says how far the chain has come; nothing if that fails.
    pub(crate) async fn flush(&self, patience: Duration) -> Option<AuditAnchor> {
        let (flushed, waits) = oneshot::channel();
        self.send(Place(None), None, Wanted::Anchor(flushed));
        timeout_at(Instant::now() + patience, waits).await.ok()?.ok()
    }

    /// Writes what waits, and the last record. Gives the anchor of all, if that was done in time. What could not be
    /// written until then is lost.
    pub(crate) async fn stop(&self, patience: Duration) -> Option<AuditAnchor> {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        self.stopped.store(true, Ordering::Relaxed);
        let (stopped, waits) = oneshot::channel();
        self.send(Place(None), Some(Event::Stop), Wanted::Stop(stopped));
        let anchor = timeout_at(Instant::now() + patience, waits).await.ok().and_then(Result::ok);
        self.shared.is_abandoned.store(true, Ordering::Relaxed);
        // It ends at its next look, at the latest after one pause.
        let joined = tokio::task::spawn_blocking(move || thread.join()).await;
        if anchor.is_none() || !matches!(joined, Ok(Ok(()))) {
            tracing::error!("the audit log could not be finished");
        }
        anchor
    }
}
