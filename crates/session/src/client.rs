//! The client's side of a handshake: [`Client`], [`HelloSent`], [`FinishSent`], [`ClientSession`].
//!
//! Each step consumes the state before it.

use std::sync::Arc;

use tyto_pqc::gcm;
use tyto_pqc::mlkem::DecapsulationKey;

use crate::credential::Credential;
use crate::draws::{Draws, Os};
use crate::error::{Error, Part};
use crate::finish::{Accepted, ClientFinish};
use crate::hello::{ClientHello, ProvenHello, ServerHello};
use crate::limits::MAX_HANDSHAKE_MS;
use crate::name::{KeyId, Name, SessionId};
use crate::redacted;
use crate::schedule::{HandshakeSecrets, TrafficSecrets};
use crate::session::ClientSession;
use crate::suite::{Suite, Suites};
use crate::transcript::{SERVER_SIGNATURE, Transcript, signed_message};
use crate::trusted::TrustedServers;

/// What a client wants of its sessions with one service.
#[derive(Clone, Debug)]
pub struct Client {
    trusted: Arc<TrustedServers>,
    suites: Suites,
}

impl Client {
    /// A client of the service that `trusted` are servers of, which accepts any of `suites` and no other.
    pub fn new(trusted: TrustedServers, suites: Suites) -> Self {
        Self { trusted: Arc::new(trusted), suites }
    }

    /// The suites it accepts.
    pub fn suites(&self) -> &Suites {
        &self.suites
    }

    /// Begins a handshake with a key for the suite that the client likes best: the state and the `ClientHello`.
    ///
    /// # Errors
    /// [`Error::Crypto`] without randomness or memory.
    pub fn start(&self, now_ms: u64) -> Result<(HelloSent, Vec<u8>), Error> {
        self.start_with(&mut Os, self.suites.first(), now_ms)
    }

    /// Begins a handshake with a key for `suite`, because a server is said to know no better one. Whether that is true
    /// is checked when the server has signed it.
    ///
    /// # Errors
    /// [`Error::NoCommonSuite`] if it is none of the client's; [`Error::Crypto`] without randomness or memory.
    pub fn start_again(&self, suite: Suite, now_ms: u64) -> Result<(HelloSent, Vec<u8>), Error> {
        if !self.suites.contains(suite) {
            return Err(Error::NoCommonSuite);
        }
        self.start_with(&mut Os, suite, now_ms)
    }

    pub(crate) fn start_with(
        &self,
        draws: &mut impl Draws,
        suite: Suite,
        now_ms: u64,
    ) -> Result<(HelloSent, Vec<u8>), Error> {
        let key = draws.decapsulation_key(suite.kem())?;
        let hello = ClientHello {
            offer: self.suites.offer(),
            share: suite,
            nonce: draws.bytes()?,
            audience: self.trusted.audience.clone(),
        };
        let message = hello.write(key.encapsulation_key());
        let mut transcript = Transcript::new();
        transcript.add(&message);
        let Self { trusted, suites } = self.clone();
        let state = HelloSent { trusted, suites, suite, key, transcript, started_ms: now_ms };
        Ok((state, message))
    }
}

/// A client that has sent its `ClientHello`. What it does next, it does once:
///
/// ```compile_fail,E0382
/// # use tyto_session::*;
/// fn twice(state: HelloSent, server_hello: &[u8]) {
///     _ = state.receive(server_hello, &Credential::None, 0);
///     _ = state.receive(server_hello, &Credential::None, 0);
/// }
/// ```
pub struct HelloSent {
    trusted: Arc<TrustedServers>,
    suites: Suites,
    suite: Suite,
    key: DecapsulationKey,
    transcript: Transcript,
    started_ms: u64,
}

redacted!(HelloSent);

impl HelloSent {
    /// Checks the `ServerHello` and proves the client's identity: the next state and the `ClientFinish`. The ephemeral key
    /// is gone after this.
    ///
    /// `now_ms` is of the same clock as at the start.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::Version`], [`Error::UntrustedServer`], [`Error::ServerSignature`],
    /// [`Error::Downgrade`], [`Error::Finished`] and [`Error::HandshakeExpired`] for what their names say;
    /// [`Error::KeyKind`] if the client signs with another algorithm than ML-DSA-65; [`Error::Crypto`] without randomness
    /// or memory.
    pub fn receive(
        self,
        server_hello: &[u8],
        credential: &Credential<'_>,
        now_ms: u64,
    ) -> Result<(FinishSent, Vec<u8>), Error> {
        self.receive_with(&mut Os, server_hello, credential, now_ms)
    }

    pub(crate) fn receive_with(
        mut self,
        draws: &mut impl Draws,
        server_hello: &[u8],
        credential: &Credential<'_>,
        now_ms: u64,
    ) -> Result<(FinishSent, Vec<u8>), Error> {
        check_time(self.started_ms, now_ms)?;
        let proven = ServerHello::read(server_hello)?;
        let hash = self.transcript.add(proven.core);
        self.check_server(&proven, &signed_message(SERVER_SIGNATURE, &hash))?;
        let hello = proven.hello;

        let shared = self.key.decapsulate(&hello.ciphertext)?;
        drop(self.key);
        let secrets = HandshakeSecrets::new(shared, &hash);
        let mut transcript = self.transcript;
        let hash = transcript.add(proven.signature);
        if !secrets.verify_server_finished(&hash, proven.finished) {
            return Err(Error::Finished { part: Part::ServerHello });
        }
        let hash = transcript.add(proven.finished);
        let finish_key = secrets.client_finish_key(&hash)?;

        let id = credential.id()?;
        let hash = transcript.add(&id.write());
        let proof = credential.prove(draws, &hash)?;
        let hash = transcript.add(&proof);
        let finished = secrets.client_finished(&hash);
        let message =
            ClientFinish { credential: id, proof, finished }.seal(&hello.session_id, &finish_key)?;
        let (accepted_key, traffic) = secrets.into_session(&transcript.add(&finished))?;
        let state = FinishSent {
            suite: self.suite,
            session_id: hello.session_id,
            server: (hello.identity, hello.key_id),
            accepted_key,
            traffic,
            started_ms: self.started_ms,
        };
        Ok((state, message))
    }

    fn check_server(&self, proven: &ProvenHello<'_>, signed: &[u8]) -> Result<(), Error> {
        let hello = &proven.hello;
        if hello.suite != self.suite {
            return Err(Error::Malformed { part: Part::ServerHello, field: "suite" });
        }
        let key_id = hello.key_id;
        let key = self.trusted.find(&hello.identity, &key_id).ok_or(Error::UntrustedServer { key_id })?;
        key.verify(signed, proven.signature).map_err(|_| Error::ServerSignature)?;
        // Only now it is the server that says what it supports.
        let best = self.suites.best_of(&hello.supported);
        match best.ok_or(Error::Malformed { part: Part::ServerHello, field: "supported suites" })? {
            best if best == self.suite => Ok(()),
            best => Err(Error::Downgrade { chosen: self.suite, best }),
        }
    }
}

/// A client that has sent its `ClientFinish`.
pub struct FinishSent {
    suite: Suite,
    session_id: SessionId,
    server: (Name, KeyId),
    accepted_key: gcm::Key,
    traffic: TrafficSecrets,
    started_ms: u64,
}

redacted!(FinishSent);

impl FinishSent {
    /// The session that is being made.
    pub fn session_id(&self) -> SessionId {
        self.session_id
    }

    /// Opens the server's word that it knows who the client is.
    ///
    /// `now_ms` is of the same clock as at the start; the session expires by that clock.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::Version`], [`Error::NotAuthentic`], [`Error::HandshakeExpired`].
    pub fn receive(self, accepted: &[u8], now_ms: u64) -> Result<ClientSession, Error> {
        check_time(self.started_ms, now_ms)?;
        let accepted = Accepted::open(accepted, &self.session_id, &self.accepted_key)?;
        Ok(ClientSession::new(
            self.suite,
            self.session_id,
            self.traffic,
            self.server,
            accepted.principal,
            accepted.limits,
            self.started_ms,
        ))
    }
}

/// Whether a handshake that began at `started_ms` may still go on. With a clock that went back, nobody knows.
pub(crate) fn check_time(started_ms: u64, now_ms: u64) -> Result<(), Error> {
    let elapsed_ms = now_ms.checked_sub(started_ms);
    match elapsed_ms {
        Some(0..=MAX_HANDSHAKE_MS) => Ok(()),
        _ => Err(Error::HandshakeExpired),
    }
}
