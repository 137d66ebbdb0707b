//! Calls in sealed sessions, through the layers of both sides: what works, what nobody between can read, and what nobody
//! between can do.

mod between;
mod kinds;
mod refusals;
mod sessions;

use between::Between;
use std::sync::Arc;
use tonic::transport::{Channel, Endpoint};
use tyto_api::proto::attest::v1::attest_service_client::AttestServiceClient;
use tyto_api::proto::gallery::v1::gallery_service_client::GalleryServiceClient;
use tyto_client::{Client, Config, SealedConfig};
use tyto_sealed::{ClientSessions, Keys, Sealed};
use tyto_server::{RunningServer, Server};
use tyto_session::{Suite, Suites, TrustedServers};
use tyto_tests::rig::{Rig, keyring};

/// A server that takes sealed calls only, with other settings besides.
async fn rig(settings: impl FnOnce(&mut tyto_server::Config)) -> Rig {
    let directory = tempfile::TempDir::new().unwrap();
    let server = start(&directory, settings).await;
    Rig { server, directory }
}

async fn start(
    directory: &tempfile::TempDir,
    settings: impl FnOnce(&mut tyto_server::Config),
) -> RunningServer {
    let mut config = tyto_server::Config::local(directory.path().join("server"));
    config.session.required = true;
    settings(&mut config);
    Server::start(config).await.unwrap()
}

/// A client's settings whose calls are sealed.
fn config(rig: &Rig, endpoint: String) -> Config {
    let mut config = Config::new(endpoint);
    config.sealed = Some(SealedConfig::new(rig.server.session_keys().clone()));
    config.trusted_keys = Some(rig.server.trusted_keys().clone());
    config.max_attempts = 1;
    config
}

async fn client(rig: &Rig) -> Client {
    Client::connect(config(rig, rig.endpoint()), keyring()).await.unwrap()
}

/// The sessions of a client that trusts these servers.
fn sessions(trusted: &TrustedServers, suites: &[Suite]) -> Arc<ClientSessions> {
    let client = tyto_session::Client::new(trusted.clone(), Suites::new(suites).unwrap());
    Arc::new(ClientSessions::new(Keys { client, credential: None }))
}

async fn channel(rig: &Rig) -> Channel {
    Endpoint::from_shared(rig.endpoint()).unwrap().connect().await.unwrap()
}

/// The way to a server that somebody stands on, and clients that go it in one session.
struct Way {
    between: Between,
    channel: Sealed<between::Altered<Channel>>,
    sessions: Arc<ClientSessions>,
}

impl Way {
    async fn to(rig: &Rig) -> Self {
        Self::with(rig, sessions(rig.server.session_keys(), &Suite::ALL)).await
    }

    async fn with(rig: &Rig, sessions: Arc<ClientSessions>) -> Self {
        let between = Between::default();
        let channel = Sealed::new(between.stand(channel(rig).await), Some(sessions.clone()));
        Self { between, channel, sessions }
    }

    fn attest(&self) -> AttestServiceClient<Sealed<between::Altered<Channel>>> {
        AttestServiceClient::new(self.channel.clone())
    }

    fn gallery(&self) -> GalleryServiceClient<Sealed<between::Altered<Channel>>> {
        GalleryServiceClient::new(self.channel.clone())
    }
}
