//! The one that leads the log: it moves stored entries into the tree and signs checkpoints.
//!
//! It holds the store's lease. Without it, because another server on the same database has it, it waits. Whatever
//! fails, it goes on from what is stored: a checkpoint counts only once it is.

use super::Newest;
use crate::Error;
use crate::app::unix_ms;
use crate::metrics::Metrics;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tyto_attest::{Checkpoint, MAX_CLOCK_SKEW_MS, TreeHead};
use tyto_pqc::slhdsa::SigningKey;
use tyto_store::{LogToken, LogTree, LogWriter, Store};

/// How long a lease lasts: a server that died is replaced by another after it.
const LEASE_MS: u64 = 15_000;
/// How often it is prolonged.
const RENEWAL: Duration = Duration::from_secs(5);
/// How long entries may be overlooked that another server stored.
const POLL: Duration = Duration::from_secs(1);
/// The pause after a failure; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

pub(super) struct Sequencer {
    pub(super) store: Store,
    pub(super) key: Arc<SigningKey>,
    pub(super) log_id: [u8; 32],
    /// Who this is among those who may lead.
    pub(super) holder: [u8; 16],
    /// From one checkpoint to the next.
    pub(super) interval: Duration,
    pub(super) batch_entries: u32,
    /// Told of each checkpoint after it was stored.
    pub(super) newest: watch::Sender<Newest>,
    /// Told when entries were stored.
    pub(super) wake: Arc<Notify>,
    pub(super) stopped: watch::Receiver<bool>,
    /// Threads that give way.
    pub(super) background: Handle,
    pub(super) metrics: Arc<Metrics>,
    /// Set while leading fails for a reason that does not pass by itself.
    pub(super) stands_still: Arc<AtomicBool>,
}

/// Why leading ended.
enum Ended {
    /// Everything is signed, and the lease is given back.
    Stopped,
    /// Someone else leads.
    Held,
}

impl Sequencer {
    pub(super) async fn run(mut self) {
        let (mut pause, mut stands_by) = (FIRST_PAUSE, false);
        let mut stopped = self.stopped.clone();
        loop {
            // What is done at the stop is tried once.
            let last = self.is_stopped();
            let led = self.lead(&mut pause).await;
            self.metrics.log_leads.set(0);
            let held = matches!(led, Ok(Ended::Held));
            let wait = match led {
                Ok(Ended::Stopped) => return,
                Ok(Ended::Held) => {
                    self.stands_still.store(false, Ordering::Relaxed);
                    if !stands_by {
                        tracing::info!("another server leads the log; standing by");
                    }
                    POLL
                }
                Err(error) => {
                    self.stands_still.store(is_lasting(&error), Ordering::Relaxed);
                    self.metrics.log_failures.add(1);
                    let (error, pause_ms) = (crate::status::chain(&error), pause.as_millis() as u64);
                    tracing::error!(error, pause_ms, "the log stands still");
                    let longer = (pause * 2).min(LONGEST_PAUSE);
                    std::mem::replace(&mut pause, longer)
                }
            };
            stands_by = held;
            if last {
                return;
            }
            let _ = timeout(wait, stopped.wait_for(|&stopped| stopped)).await;
        }
    }

    /// Leads the log until it is stopped or fails.
    async fn lead(&mut self, pause: &mut Duration) -> Result<Ended, Error> {
        let token = match self.store.acquire_log(self.holder, unix_ms(), LEASE_MS).await {
            Err(tyto_store::Error::LogHeld { .. }) => {
                // Readers follow what the one who leads publishes.
                self.read_newest().await?;
                return Ok(Ended::Held);
            }
            acquired => acquired?,
        };
        let mut writer = self.store.resume_log(token).await?;
        self.read_newest().await?;
        self.metrics.log_leads.set(1);
        tracing::info!(epoch = token.epoch(), entries = writer.tree().size, "leading the log");
        let mut lease = Lease::new(self.store.clone(), token, RENEWAL);
        loop {
            let stopping = self.is_stopped();
            let started = Instant::now();
            let more = lease.during(self.append(&mut writer)).await??;
            if let Some(tree) = writer.tree_to_sign() {
                lease.during(self.checkpoint(&mut writer, tree)).await??;
            }
            *pause = FIRST_PAUSE;
            self.stands_still.store(false, Ordering::Relaxed);
            if more {
                lease.during(sleep_until(started + self.interval)).await?;
                continue;
            }
            if stopping {
                self.store.renew_log(&token, unix_ms(), 0).await?;
                return Ok(Ended::Stopped);
            }
            lease.during(self.rest(started)).await?;
        }
    }

    /// Also if nobody is left to stop it.
    fn is_stopped(&self) -> bool {
        *self.stopped.borrow() || self.stopped.has_changed().is_err()
    }

    async fn read_newest(&self) -> Result<(), Error> {
        let newest = self.store.latest_checkpoint().await?.map(Arc::new);
        self.newest.send_if_modified(|known| {
            let differs = *known != newest;
            *known = newest;
            differs
        });
        Ok(())
    }

    /// Waits for the time of the next checkpoint, and for entries.
    async fn rest(&self, started: Instant) {
        let mut stopped = self.stopped.clone();
        let next = async {
            sleep_until(started + self.interval).await;
            let _ = timeout(POLL, self.wake.notified()).await;
        };
        tokio::select! {
            () = next => {}
            _ = stopped.wait_for(|&stopped| stopped) => {}
        }
    }

    /// Appends what waits, for half of the time until the next checkpoint at most: true if that was not enough.
    async fn append(&self, writer: &mut LogWriter) -> Result<bool, Error> {
        let until = Instant::now() + self.interval / 2;
        loop {
            let started = Instant::now();
            let appended = writer.append(self.batch_entries).await?;
            if appended.is_empty() {
                return Ok(false);
            }
            self.metrics.log_append.observe(started.elapsed());
            self.metrics.log_appended.add((appended.end - appended.start) as usize);
            if Instant::now() >= until {
                return Ok(true);
            }
        }
    }

    /// Signs a tree, stores the checkpoint, and only then shows it.
    async fn checkpoint(&self, writer: &mut LogWriter, tree: LogTree) -> Result<(), Error> {
        // A clock that was set back does not make the log go back. If it was far ahead before, a time that goes on from
        // there would be refused by every verifier, and nobody here would notice.
        let (now, earliest) = (unix_ms(), writer.earliest_time_unix_ms());
        if earliest > now.saturating_add(MAX_CLOCK_SKEW_MS) {
            return Err(Error::LogClock { ahead_ms: earliest - now });
        }
        let time_unix_ms = now.max(earliest);
        let head = TreeHead { log_id: self.log_id, size: tree.size, root: tree.root, time_unix_ms };
        let (key, started) = (self.key.clone(), Instant::now());
        let signed = self.background.spawn_blocking(move || Checkpoint::sign(head, &key));
        let checkpoint = signed.await??;
        self.metrics.log_signing.observe(started.elapsed());
        let stored = writer.publish(&checkpoint).await?;
        self.metrics.log_checkpoints.add(1);
        tracing::debug!(entries = stored.size(), "checkpoint");
        self.newest.send_replace(Some(Arc::new(stored)));
        Ok(())
    }
}

/// Whether an error stays until an operator does something: what is stored does not agree, or the clock.
fn is_lasting(error: &Error) -> bool {
    use tyto_store::Error as E;
    match error {
        Error::LogClock { .. } => true,
        Error::Store(error) => matches!(
            error,
            E::LogRolledBack { .. } | E::LogRoot { .. } | E::Corrupt(_) | E::CheckpointLog | E::Log(_)
        ),
        _ => false,
    }
}

/// The lease, prolonged while something is under way.
struct Lease {
    store: Store,
    token: LogToken,
    every: Duration,
    /// When it is prolonged next; in the past if that was begun and not finished.
    due: Instant,
}

impl Lease {
    fn new(store: Store, token: LogToken, every: Duration) -> Self {
        Self { store, token, every, due: Instant::now() + every }
    }

    /// Does work and prolongs the lease meanwhile. Both wait for the store's only writer, and either may stand before
    /// the other: neither waits unless both go on.
    async fn during<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Error> {
        tokio::select! {
            // What is due is begun first, also if the work never waits.
            biased;
            error = self.prolong() => Err(error),
            done = work => Ok(done),
        }
    }

    /// Prolongs the lease each time that it is due; ends with an error only.
    async fn prolong(&mut self) -> Error {
        loop {
            sleep_until(self.due).await;
            if let Err(error) = self.store.renew_log(&self.token, unix_ms(), LEASE_MS).await {
                return error.into();
            }
            self.due = Instant::now() + self.every;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use tyto_store::LogEntry;

    #[tokio::test]
    async fn the_lease_is_prolonged_while_its_holder_writes() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).await.unwrap();
        let entries: Vec<_> = (0..32_u8).map(|i| LogEntry::of(Bytes::from(vec![i; 9]))).collect();
        store.add_log_entries(&entries).await.unwrap();
        let token = store.acquire_log([1; 16], unix_ms(), 1).await.unwrap();
        let mut writer = store.resume_log(token).await.unwrap();
        // It is due all the time, and so waits for the same writer as what goes on meanwhile.
        let mut lease = Lease::new(store.clone(), token, Duration::from_millis(1));
        for _ in 0..32 {
            lease.during(writer.append(1)).await.unwrap().unwrap();
        }
        assert_eq!(writer.tree().size, 32);
        lease.during(sleep_until(lease.due + Duration::from_millis(20))).await.unwrap();
        let held = store.acquire_log([2; 16], unix_ms(), 1).await;
        assert!(matches!(held, Err(tyto_store::Error::LogHeld { .. })), "{held:?}");
    }
}
