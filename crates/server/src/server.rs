//! Start, serve, drain, stop.

use crate::access::layer::AuthenticateLayer;
use crate::admin;
use crate::app::{App, Keys, unix_ms};
use crate::arrival::ArrivalLayer;
use crate::audit::{AuditLayer, anchors};
use crate::config::Config;
use crate::connection::Connection;
use crate::error::Error;
use crate::grpc::{AdminHandler, AttestHandler, GalleryHandler, MatchingHandler, SessionHandler};
use crate::load::load_all;
use crate::process;
use crate::service::attest;
use crate::sessions;
use futures_util::StreamExt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::transport::server::{Router, TcpIncoming};
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tower_layer::{Identity, Stack};
use tyto_api::attest::{Attest, Attested};
use tyto_api::limits::MAX_MESSAGE_BYTES;
use tyto_api::proto::FILE_DESCRIPTOR_SET;
use tyto_api::proto::admin::v1::admin_service_server::AdminServiceServer;
use tyto_api::proto::attest::v1::attest_service_server::AttestServiceServer;
use tyto_api::proto::gallery::v1::gallery_service_server::GalleryServiceServer;
use tyto_api::proto::matching::v1::matching_service_server::MatchingServiceServer;
use tyto_api::proto::session::v1::session_service_server::SessionServiceServer;
use tyto_attest::TrustedKeys;
use tyto_sealed::SealedLayer;
use tyto_session::{CLIENT_FINISH_BYTES, TrustedServers};
use tyto_store::Store;

/// A message of the largest size fits into a stream's window, so that an upload need not wait for the client to be
/// told that it may go on.
const STREAM_WINDOW_BYTES: u32 = 4 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 32 << 20;
const MAX_FRAME_BYTES: u32 = 256 << 10;
/// A connection whose peer is gone is found out after these two together.
const KEEPALIVE: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// What anybody may send: names of services and files.
const MAX_OPEN_MESSAGE_BYTES: usize = 4 << 10;
/// How long connections may take to notice that they were cut.
const CUT_OFF: Duration = Duration::from_secs(2);
/// How long what served them may take to be gone.
const LET_GO: Duration = Duration::from_secs(10);
/// How old the stored time of a key's last use may be.
const USES_INTERVAL: Duration = Duration::from_mins(1);
const TIDY_INTERVAL: Duration = Duration::from_mins(10);
/// The longest message of a client in a handshake, with what protobuf adds.
const MAX_HANDSHAKE_MESSAGE_BYTES: usize = CLIENT_FINISH_BYTES + 64;
const HEALTH_SERVICES: [&str; 6] = [
    "",
    "tyto.admin.v1.AdminService",
    "tyto.attest.v1.AttestService",
    "tyto.gallery.v1.GalleryService",
    "tyto.matching.v1.MatchingService",
    "tyto.session.v1.SessionService",
];
/// How long the audit log may take to write what is left at shutdown.
const AUDIT_FINISH: Duration = Duration::from_secs(5);
/// How long the log may take to store, append and sign what is left at shutdown.
const LOG_FINISH: Duration = Duration::from_secs(10);

/// Starts servers.
pub struct Server;

/// A server that answers calls, until it is shut down.
pub struct RunningServer {
    local_addr: SocketAddr,
    admin_addr: Option<SocketAddr>,
    trusted_keys: TrustedKeys,
    session_keys: TrustedServers,
    app: Arc<App>,
    health: HealthReporter,
    stop: watch::Sender<bool>,
    cut: watch::Sender<bool>,
    transport: JoinHandle<Result<(), tonic::transport::Error>>,
    helpers: Vec<JoinHandle<()>>,
}

impl Server {
    /// Opens the data directory, brings all galleries into memory, and serves.
    ///
    /// # Errors
    /// Whatever is wrong with configuration, data directory or addresses; nothing is served then.
    pub async fn start(config: Config) -> Result<RunningServer, Error> {
        config.check()?;
        config.check_exposure()?;
        let options = tyto_store::Options { ticket_bytes: config.tickets.stored_bytes };
        let store = Store::open_with(&config.data_dir, options).await?;
        let keys = load_keys(config.clone()).await?;
        let trusted_keys = keys.trusted();
        let session_keys = sessions::trusted(&config, keys.session.verifying_key().clone())?;
        let (stop, draining) = watch::channel(false);
        let app = Arc::new(App::start(config, store, keys, draining).await?);
        app.residence.check_stored(&app.store).await?;
        load_all(&app.store, &app.galleries).await?;

        attest::log_keys(&app).await?;

        let (listener, local_addr) = listen(app.config.listen).await?;
        let mut helpers = vec![
            tokio::spawn(tidy(app.store.clone())),
            tokio::spawn(note_uses(app.clone())),
            tokio::spawn(anchors::run(app.clone())),
        ];
        let mut admin_addr = None;
        if let Some(address) = app.config.admin_listen {
            let (listener, address) = listen(address).await?;
            admin_addr = Some(address);
            helpers.push(tokio::spawn(admin::serve(listener, app.clone())));
        }
        let (router, health) = router(&app).await?;
        let mut stopped = stop.subscribe();
        let until = async move {
            // An error means that the handle is gone, which ends the server as well.
            let _ = stopped.wait_for(|&stopped| stopped).await;
        };
        let (cut, is_cut) = watch::channel(false);
        let incoming = TcpIncoming::from(listener)
            .with_nodelay(Some(true))
            .map(move |stream| stream.map(|stream| Connection::new(stream, is_cut.clone())));
        let transport = tokio::spawn(router.serve_with_incoming_shutdown(incoming, until));
        let backend = tyto_engine::detect();
        if std::env::var_os("TYTO_BACKEND").is_some() {
            tracing::warn!(%backend, "TYTO_BACKEND forces the backend; it is for tests and benches");
        }
        if !app.config.access.required {
            tracing::warn!(
                "access.required is false: whoever can open a connection to this server may do everything"
            );
        }
        tracing::info!(address = %local_addr, galleries = app.galleries.len(), %backend, "serving");
        Ok(RunningServer {
            local_addr,
            admin_addr,
            trusted_keys,
            session_keys,
            app,
            health,
            stop,
            cut,
            transport,
            helpers,
        })
    }
}

impl RunningServer {
    /// Where gRPC is served.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Where metrics are served.
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin_addr
    }

    /// The key that signs attestations, in the form that clients keep.
    pub fn trusted_keys(&self) -> &TrustedKeys {
        &self.trusted_keys
    }

    /// The key that signs handshakes of sealed sessions, in the form that clients keep.
    pub fn session_keys(&self) -> &TrustedServers {
        &self.session_keys
    }

    /// Attests documents as the service does, without its transport: for whoever runs the server in the own process.
    ///
    /// # Errors
    /// What a caller of the service would be told.
    pub async fn attest(&self, request: Attest) -> Result<Attested, Error> {
        attest::attest(&self.app, None, request).await
    }

    /// Drains and stops: health says `NOT_SERVING`, no new connection or call is taken, calls in flight have the
    /// configured time to finish, then the data directory is free.
    ///
    /// # Errors
    /// [`Error::Transport`] if serving had failed before.
    pub async fn shutdown(mut self) -> Result<(), Error> {
        for service in HEALTH_SERVICES {
            self.health.set_service_status(service, ServingStatus::NotServing).await;
        }
        tracing::info!("draining");
        self.stop.send_replace(true);
        let deadline = Duration::from_secs(self.app.config.drain_deadline_s);
        let drained = async {
            let served = (&mut self.transport).await;
            self.app.work.idle().await;
            served
        };
        let served = tokio::time::timeout(deadline, drained).await;
        for helper in self.helpers {
            helper.abort();
            // Until it is gone, what it holds keeps the data directory from being free.
            let _ = helper.await;
        }
        let result = match served {
            Ok(Ok(served)) => served.map_err(Error::from),
            Ok(Err(task)) => Err(task.into()),
            Err(_) => {
                tracing::warn!(deadline_s = deadline.as_secs(), "the drain deadline cuts off calls");
                self.cut.send_replace(true);
                if tokio::time::timeout(CUT_OFF, &mut self.transport).await.is_err() {
                    self.transport.abort();
                }
                Ok(())
            }
        };
        // The last anchor is among what the log stores and signs at its end.
        let anchored = match self.app.audit.stop(AUDIT_FINISH).await {
            Some(anchor) => anchors::submit(&self.app, anchor).await.map(Some),
            None => Ok(None),
        };
        self.app.log.stop(LOG_FINISH).await;
        let anchored = match anchored {
            Ok(Some(entry)) => anchors::keep(&self.app, entry, Duration::ZERO).await,
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = anchored {
            tracing::error!(error = %crate::status::chain(&error), "the end of the audit log is not anchored");
        }
        store_uses(&self.app).await;
        self.app.store.close().await;
        let freed = self.app.store.freed();
        drop(self.app);
        // Tasks of connections that have ended let go of what they share a little later.
        if tokio::time::timeout(LET_GO, freed).await.is_err() {
            tracing::error!("something still holds the data directory");
        }
        tracing::info!("stopped");
        result
    }
}

/// Reads the keys where it does no harm that Argon2id takes its time.
async fn load_keys(config: Config) -> Result<Keys, Error> {
    let load = move || process::with_locked_memory(&config.process, || Keys::load_or_create(&config));
    let keys = tokio::task::spawn_blocking(load).await??;
    if !keys.wrapped {
        tracing::warn!(
            "the private keys are not wrapped: whoever reads the data directory can sign (see [keys])"
        );
    }
    Ok(keys)
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Error> {
    let failed = |source| Error::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// What a call passes, from the last to the first.
type Layers = Stack<AuthenticateLayer, Stack<AuditLayer, Stack<SealedLayer, Stack<ArrivalLayer, Identity>>>>;

/// All services, their limits, and the switch of their health.
async fn router(app: &Arc<App>) -> Result<(Router<Layers>, HealthReporter), Error> {
    let (health, health_service) = tonic_health::server::health_reporter();
    let health_service = health_service.max_decoding_message_size(MAX_OPEN_MESSAGE_BYTES);
    for service in HEALTH_SERVICES {
        health.set_service_status(service, ServingStatus::Serving).await;
    }
    let reflection = if app.config.reflection {
        let service = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .build_v1()?;
        Some(service.max_decoding_message_size(MAX_OPEN_MESSAGE_BYTES))
    } else {
        None
    };
    let gallery = GalleryServiceServer::new(GalleryHandler(app.clone()))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let matching = MatchingServiceServer::new(MatchingHandler(app.clone()))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let admin = AdminServiceServer::new(AdminHandler(app.clone()))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let attest = AttestServiceServer::new(AttestHandler(app.clone()))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let session = SessionServiceServer::new(SessionHandler(app.clone()))
        .max_decoding_message_size(MAX_HANDSHAKE_MESSAGE_BYTES);
    let router = tonic::transport::Server::builder()
        .layer(ArrivalLayer)
        .layer(SealedLayer(app.sessions.clone()))
        // Beneath the seal, where status and caller of a sealed call are seen.
        .layer(AuditLayer(app.audit.clone()))
        .layer(AuthenticateLayer(app.clone()))
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(MAX_FRAME_BYTES)
        .max_concurrent_streams(app.config.limits.streams_per_connection)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .add_service(health_service)
        .add_optional_service(reflection)
        .add_service(admin)
        .add_service(attest)
        .add_service(gallery)
        .add_service(matching)
        .add_service(session);
    Ok((router, health))
}

/// Stores from time to time when keys were used last.
async fn note_uses(app: Arc<App>) {
    let mut interval = tokio::time::interval(USES_INTERVAL);
    loop {
        interval.tick().await;
        store_uses(&app).await;
    }
}

async fn store_uses(app: &App) {
    if let Err(error) = app.access.store_uses(&app.store).await {
        tracing::error!(error = %crate::status::chain(&error), "the last uses of keys cannot be stored");
    }
}

/// Forgets tickets that nobody used in time, and uploads that nobody continues.
async fn tidy(store: Store) {
    let mut interval = tokio::time::interval(TIDY_INTERVAL);
    loop {
        interval.tick().await;
        match store.expire_tickets(unix_ms()).await {
            Ok(0) => {}
            Ok(expired) => tracing::info!(expired, "tickets expired"),
            Err(error) => tracing::error!(error = %crate::status::chain(&error), "tickets cannot be expired"),
        }
        match store.abandon_idle_uploads(unix_ms()).await {
            Ok(0) => {}
            Ok(abandoned) => tracing::info!(abandoned, "idle uploads given up"),
            Err(error) => {
                tracing::error!(error = %crate::status::chain(&error), "uploads cannot be given up");
            }
        }
    }
}
