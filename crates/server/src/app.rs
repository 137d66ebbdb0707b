//! What all services share.

use crate::Error;
use crate::config::{Config, cores};
use crate::galleries::Galleries;
use crate::metrics::Metrics;
use crate::residence::Residence;
use crate::service::tickets::{TicketCache, TicketUses};
use crate::work::Work;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::{Semaphore, watch};
use tyto_pqc::mldsa::SigningKey;
use tyto_store::Store;

/// The state of a running server.
pub(crate) struct App {
    pub(crate) config: Config,
    pub(crate) store: Store,
    pub(crate) key: SigningKey,
    pub(crate) galleries: Galleries,
    pub(crate) residence: Residence,
    pub(crate) metrics: Metrics,
    /// Tickets that are ready for use.
    pub(crate) tickets: TicketCache,
    /// Tickets that are being used.
    pub(crate) uses: TicketUses,
    /// Bounds what takes all cores or much memory.
    pub(crate) identifications: Semaphore,
    pub(crate) provisions: Semaphore,
    /// Identifications that run or wait.
    pub(crate) identifications_taken: Arc<Semaphore>,
    pub(crate) ticket_uploads: Arc<Semaphore>,
    /// Verifications that are computed off the async threads: attested ones, and long ones. Never held by an
    /// identification, and never by each other.
    pub(crate) verifications: Semaphore,
    pub(crate) long_verifications: Semaphore,
    /// What goes on although its caller may be gone.
    pub(crate) work: Work,
    /// True once the server shuts down.
    pub(crate) draining: watch::Receiver<bool>,
}

impl App {
    pub(crate) fn new(
        config: Config,
        store: Store,
        key: SigningKey,
        draining: watch::Receiver<bool>,
    ) -> Self {
        Self {
            tickets: TicketCache::new(config.tickets.cache_bytes),
            uses: TicketUses::default(),
            identifications: Semaphore::new(config.identification.concurrent),
            provisions: Semaphore::new(config.limits.concurrent_provisions),
            identifications_taken: Arc::new(Semaphore::new(
                config.identification.concurrent + config.identification.queued,
            )),
            ticket_uploads: Arc::new(Semaphore::new(config.limits.concurrent_ticket_uploads)),
            verifications: Semaphore::new(cores().get()),
            long_verifications: Semaphore::new(cores().get()),
            galleries: Galleries::default(),
            residence: Residence::new(config.resident_bytes()),
            metrics: Metrics::default(),
            work: Work::new(),
            config,
            store,
            key,
            draining,
        }
    }

    /// Waits for shutdown to begin.
    pub(crate) async fn drained(&self) {
        // An error means that the server is gone, which is the end of it all the same.
        let _ = self.draining.clone().wait_for(|&draining| draining).await;
    }

    /// Takes a permit; the semaphores are never closed while the server runs.
    pub(crate) async fn permit<'a>(
        &self,
        semaphore: &'a Semaphore,
    ) -> Result<tokio::sync::SemaphorePermit<'a>, Error> {
        semaphore.acquire().await.map_err(|_| Error::Draining)
    }
}

/// Milliseconds since 1970.
pub(crate) fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_millis() as u64)
}
