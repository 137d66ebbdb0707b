//! What all services share.

use crate::Error;
use crate::access::{self, Access};
use crate::audit::Audit;
use crate::background::{Background, LowPriority};
use crate::config::{Config, cores};
use crate::galleries::Galleries;
use crate::log::key::LogKeys;
use crate::log::{self, Issuer, Log};
use crate::metrics::Metrics;
use crate::passes::{Passes, Settings};
use crate::places::{Lane, Places};
use crate::residence::Residence;
use crate::service::tickets::{TicketCache, TicketUses};
use crate::sessions;
use crate::vault::Vault;
use crate::work::Work;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{Semaphore, watch};
use tyto_attest::{KeyEntry, PublicKey, TrustedKeys};
use tyto_engine::MAX_PROBES;
use tyto_keystore::Purpose;
use tyto_pqc::Secret32;
use tyto_pqc::mldsa::SigningKey;
use tyto_store::Store;

/// The server's own keys.
pub(crate) struct Keys {
    pub(crate) attestation: SigningKey,
    pub(crate) log: LogKeys,
    /// For credentials.
    pub(crate) access: Secret32,
    /// Those that were in use before.
    pub(crate) earlier: Vec<KeyEntry>,
    /// Whether they are wrapped.
    pub(crate) wrapped: bool,
    /// Signs handshakes of sealed sessions, and nothing else.
    pub(crate) session: SigningKey,
}

impl Keys {
    /// Those of a data directory; makes them at the first start. Takes as long as Argon2id does.
    pub(crate) fn load_or_create(config: &Config) -> Result<Self, Error> {
        let mut vault = Vault::open(config)?;
        Ok(Self {
            session: vault.ml_dsa(Purpose::Session)?,
            attestation: vault.ml_dsa(Purpose::Attestation)?,
            log: log::key::load_or_create(&config.data_dir, &mut vault)?,
            access: access::load_or_create_key(&config.data_dir)?,
            earlier: vault.earlier()?,
            wrapped: matches!(vault, Vault::Wrapped(_)),
        })
    }

    /// The keys file that clients are given: what was signed before still verifies.
    pub(crate) fn trusted(&self) -> TrustedKeys {
        let earlier = self.earlier.iter().filter_map(|entry| match &entry.key {
            PublicKey::MlDsa65(key) => Some(key.clone()),
            _ => None,
        });
        earlier.chain([self.attestation.verifying_key().clone()]).collect()
    }
}

/// The state of a running server.
pub(crate) struct App {
    pub(crate) config: Config,
    pub(crate) store: Store,
    /// Who may do what.
    pub(crate) access: Arc<Access>,
    /// Signs attestations.
    pub(crate) key: Arc<SigningKey>,
    /// The keys that signed before.
    pub(crate) earlier_keys: Vec<KeyEntry>,
    pub(crate) issuer: Issuer,
    pub(crate) log: Log,
    /// Records of all calls.
    pub(crate) audit: Arc<Audit>,
    pub(crate) galleries: Arc<Galleries>,
    pub(crate) residence: Residence,
    pub(crate) metrics: Arc<Metrics>,
    /// Tickets that are ready for use.
    pub(crate) tickets: TicketCache,
    /// Tickets that are being used.
    pub(crate) uses: TicketUses,
    /// Where identifications are matched.
    pub(crate) passes: Passes,
    /// Bounds the segments in memory.
    pub(crate) provisions: Semaphore,
    /// Identifications that wait, are matched, or are being read by their callers.
    pub(crate) identifications: Arc<Places>,
    pub(crate) ticket_uploads: Arc<Semaphore>,
    /// Verifications that are computed off the async threads: attested ones, and long ones. Never held by an
    /// identification, and never by each other.
    pub(crate) attested_verifications: Lane,
    pub(crate) long_verifications: Lane,
    /// Calls that attest documents, while they compute.
    pub(crate) attesting: Arc<Semaphore>,
    /// Sealed sessions.
    pub(crate) sessions: Arc<tyto_sealed::Sessions>,
    /// Handshakes that are under way.
    pub(crate) handshakes: Arc<Semaphore>,
    /// What goes on although its caller may be gone.
    pub(crate) work: Work,
    /// The threads of everything that gives way to verifications.
    _background: Background,
    /// True once the server shuts down.
    pub(crate) draining: watch::Receiver<bool>,
}

impl App {
    /// Starts what runs on its own: passes, and the log.
    pub(crate) async fn start(
        config: Config,
        store: Store,
        keys: Keys,
        draining: watch::Receiver<bool>,
    ) -> Result<Self, Error> {
        let priority = LowPriority::below_this_thread();
        let (metrics, background) = (Arc::<Metrics>::default(), Background::start(priority)?);
        let (transparency, origin) = (&config.transparency, &config.issuer);
        let log = Log::start(transparency, origin, &store, keys.log, background.handle(), &metrics).await?;
        let issuer = Issuer::new(&config.issuer);
        let audit = Arc::new(Audit::start(&config.audit, &config.data_dir, &metrics)?);
        let access = Arc::new(Access::open(&config.access, &keys.access, &store).await?);
        let settings = Settings {
            threads: config.threads(),
            concurrent: config.identification.concurrent,
            gather: Duration::from_micros(config.identification.gather_us),
            answer_bytes: config.identification.answer_bytes,
            priority,
        };
        Ok(Self {
            tickets: TicketCache::new(config.tickets.cache_bytes),
            uses: TicketUses::default(),
            passes: Passes::start(settings, metrics.clone())?,
            provisions: Semaphore::new(config.limits.concurrent_provisions),
            identifications: Arc::new(Places::new(
                config.identification.concurrent * MAX_PROBES + config.identification.queued,
            )),
            ticket_uploads: Arc::new(Semaphore::new(config.limits.concurrent_ticket_uploads)),
            attested_verifications: Lane::new(config.limits.queued_verifications),
            long_verifications: Lane::new(config.limits.queued_verifications),
            attesting: Arc::new(Semaphore::new(cores().get())),
            galleries: Arc::default(),
            sessions: Arc::new(sessions::make(&config, keys.session, access.clone())?),
            handshakes: Arc::new(Semaphore::new(config.session.concurrent_handshakes)),
            residence: Residence::new(config.resident_bytes()),
            metrics,
            work: Work::new(background.handle()),
            _background: background,
            config,
            store,
            access,
            key: Arc::new(keys.attestation),
            earlier_keys: keys.earlier,
            issuer,
            log,
            audit,
            draining,
        })
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
