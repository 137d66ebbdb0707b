//! How a client is set up.

use crate::Credential;
use std::path::PathBuf;
use std::time::Duration;
use tyto_attest::{TrustRoot, TrustedKeys};
use tyto_sealed::{ClientSessions, Keys};
use tyto_session::{Suites, TrustedServers};

/// How calls are sealed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SealedConfig {
    /// The servers whose handshakes are believed.
    pub servers: TrustedServers,
    /// What a handshake may agree on, the best first.
    pub suites: Suites,
}

impl SealedConfig {
    /// Sessions with these servers, by ML-KEM-768 or, if a server has nothing else, ML-KEM-1024.
    pub fn new(servers: TrustedServers) -> Self {
        Self { servers, suites: Suites::default() }
    }

    pub(crate) fn sessions(&self, credential: Option<&Credential>) -> ClientSessions {
        let client = tyto_session::Client::new(self.servers.clone(), self.suites.clone());
        ClientSessions::new(Keys { client, credential: credential.map(Credential::for_sessions) })
    }
}

/// Everything a [`crate::Client`] is told before it connects. Begin with [`Config::new`] and change fields.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Where the server listens, `http://host:port`. TLS is for a proxy beside the client.
    pub endpoint: String,
    /// What the client proves itself with, where the server requires it: it is sent with each call, or, where calls are
    /// sealed, proved at the beginning of the session and never sent.
    pub credential: Option<Credential>,
    /// Whether calls travel in sealed sessions, and with which servers.
    pub sealed: Option<SealedConfig>,
    /// Where high-water marks, enrolment journals and a cache of what was fetched are kept. Without it a rollback between two runs goes unseen,
    /// and every run that enrols starts new blocks.
    pub state_dir: Option<PathBuf>,
    /// The keys whose attestations are believed. If set, every answer must carry an attestation that holds.
    pub trusted_keys: Option<TrustedKeys>,
    /// Whose checkpoints and receipts are believed. Without it those that the server itself lists: it is then held to
    /// what it says, but could be anyone.
    pub trust_root: Option<TrustRoot>,
    /// Whom attestations are for, at most 256 bytes.
    pub audience: String,
    /// Whether attestations are asked for.
    pub attestations: bool,
    /// Whether what a replay needs is kept with each attestation: the blocks that were matched and the slots that were
    /// filled, and a ticket's polynomials. Prepared tickets are not used then.
    pub keep_replays: bool,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long a call may take that is answered with one message.
    pub call_timeout: Duration,
    /// How long a streamed answer may be silent; servers send something every 15 s.
    pub idle_timeout: Duration,
    /// How often a call that may be repeated is tried in all.
    pub max_attempts: u32,
    /// How many blocks of a gallery are kept ready to decrypt, about 64 KiB each.
    pub hot_blocks: usize,
}

impl Config {
    /// Attestations on, nobody trusted yet, no credential, nothing sealed, no state directory, timeouts of 10 s
    /// (connecting), 30 s (calls) and 45 s
    /// (silence), 6 attempts, 4,096 hot blocks.
    pub fn new(endpoint: impl Into<String>) -> Self {
        Self {
            endpoint: endpoint.into(),
            credential: None,
            sealed: None,
            state_dir: None,
            trusted_keys: None,
            trust_root: None,
            audience: String::new(),
            attestations: true,
            keep_replays: false,
            connect_timeout: Duration::from_secs(10),
            call_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(45),
            max_attempts: 6,
            hot_blocks: 4096,
        }
    }
}
