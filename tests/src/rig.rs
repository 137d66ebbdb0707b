//! A real server in this process, on a free loopback port, in a temporary directory.

use tempfile::TempDir;
use tyto_client::tenant::keyring::Keyring;
use tyto_client::tenant::{Metric, SubjectId, Template, TenantKey};
use tyto_client::{Client, Config, GalleryHandle};
use tyto_scheme::{Layout, ParameterSet};
use tyto_server::{RunningServer, Server};

/// A server and where it keeps its data.
pub struct Rig {
    /// The server.
    pub server: RunningServer,
    /// Its data, and the state directories of clients.
    pub directory: TempDir,
}

impl std::fmt::Debug for Rig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rig({})", self.endpoint())
    }
}

impl Rig {
    /// Starts a server with default settings.
    pub async fn start() -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let config = tyto_server::Config::local(directory.path().join("server"));
        let server = Server::start(config).await.expect("the server starts");
        Self { server, directory }
    }

    /// Where the server listens.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.server.local_addr())
    }

    /// A client of this server with a key of its own.
    pub async fn client(&self) -> Client {
        connect(&self.endpoint()).await
    }
}

/// A client with a fresh key and no state directory, which asks for no attestations.
pub async fn connect(endpoint: &str) -> Client {
    let mut config = Config::new(endpoint);
    config.attestations = false;
    Client::connect(config, keyring()).await.expect("the client connects")
}

/// A keyring with a fresh key.
pub fn keyring() -> Keyring {
    Keyring::new(TenantKey::generate().expect("OS randomness"), 1_800_000_000)
}

/// A layout of the parameter set.
pub fn layout(dimension: u32, stride: u32) -> Layout {
    Layout::new(ParameterSet::Exact41, dimension, stride).expect("a layout that is safe")
}

/// A cosine gallery.
pub async fn gallery(client: &Client, name: &str, dimension: u32, stride: u32) -> GalleryHandle {
    client
        .create_gallery(name, layout(dimension, stride), Metric::Cosine)
        .await
        .expect("the gallery is created")
}

/// Subject number `number`.
pub fn subject(number: usize) -> SubjectId {
    SubjectId::new(format!("subject {number}")).expect("a short id")
}

/// A random template of a gallery.
pub fn template(gallery: &GalleryHandle, rng: &mut crate::Rng) -> Template {
    let gallery = gallery.gallery();
    gallery.quantiser().quantise(&rng.vector(gallery.layout().dimension())).expect("a vector in range")
}
