//! The server's side of a handshake: [`Server`], [`HelloAnswered`], [`Claim`], [`Authenticated`],
//! [`Acceptance`].
//!
//! Each step consumes the state before it.

use tyto_pqc::mldsa::{ParameterSet, SigningKey};

use crate::admission::{Admission, Opening};
use crate::client::check_time;
use crate::credential::{CredentialId, Verifier, prepare_decoys};
use crate::draws::{Draws, Os};
use crate::error::{Error, Part};
use crate::finish::{Accepted, ClientFinish};
use crate::hello::{ClientHello, ServerHello};
use crate::limits::SessionLimits;
use crate::name::{KeyId, Name, SessionId};
use crate::redacted;
use crate::schedule::HandshakeSecrets;
use crate::session::ServerSession;
use crate::suite::{Suite, Suites};
use crate::transcript::{SERVER_SIGNATURE, Transcript, TranscriptHash, signed_message};

/// A server that begins sessions. Its clocks are Unix time in milliseconds.
#[derive(Debug)]
pub struct Server {
    audience: Name,
    identity: Name,
    key: SigningKey,
    key_id: KeyId,
    suites: Suites,
}

impl Server {
    /// The server `identity` of the service `audience`. Of the suites that it supports, the client's preference decides.
    ///
    /// # Errors
    /// [`Error::KeyKind`] if the key is not of ML-DSA-65.
    ///
    /// # Security
    /// The key signs this server's handshakes and nothing else, and clients trust it for nothing else.
    pub fn new(audience: Name, identity: Name, key: SigningKey, suites: Suites) -> Result<Self, Error> {
        if key.parameter_set() != ParameterSet::MlDsa65 {
            return Err(Error::KeyKind);
        }
        let key_id = KeyId::from_bytes(key.verifying_key().key_id());
        prepare_decoys();
        Ok(Self { audience, identity, key, key_id, suites })
    }

    /// The id of the key that it signs with.
    pub fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// Answers a `ClientHello`: the state and the `ServerHello`.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::Version`], [`Error::NoCommonSuite`], [`Error::OtherSuite`], [`Error::Audience`];
    /// [`Error::Crypto`] without randomness or memory.
    pub fn answer(&self, client_hello: &[u8], now_ms: u64) -> Result<(HelloAnswered, Vec<u8>), Error> {
        self.answer_with(&mut Os, client_hello, now_ms)
    }

    pub(crate) fn answer_with(
        &self,
        draws: &mut impl Draws,
        client_hello: &[u8],
        now_ms: u64,
    ) -> Result<(HelloAnswered, Vec<u8>), Error> {
        let (theirs, encapsulation_key) = ClientHello::read(client_hello, &self.suites)?;
        if theirs.audience != self.audience {
            return Err(Error::Audience);
        }
        let (ciphertext, shared) = draws.encapsulate(&encapsulation_key)?;
        let hello = ServerHello {
            suite: theirs.share,
            nonce: draws.bytes()?,
            session_id: SessionId::from_bytes(draws.bytes()?),
            supported: self.suites.offer(),
            identity: self.identity.clone(),
            key_id: self.key_id,
            ciphertext,
        };
        let mut message = hello.write();
        let mut transcript = Transcript::new();
        transcript.add(client_hello);
        let hash = transcript.add(&message);
        let secrets = HandshakeSecrets::new(shared, &hash);
        let signature = draws.sign(&self.key, &signed_message(SERVER_SIGNATURE, &hash))?;
        let finished = secrets.server_finished(&transcript.add(&signature));
        let hash = transcript.add(&finished);
        message.extend_from_slice(&signature);
        message.extend_from_slice(&finished);
        let state = HelloAnswered {
            suite: hello.suite,
            session_id: hello.session_id,
            audience: self.audience.clone(),
            transcript,
            hash,
            secrets,
            started_ms: now_ms,
        };
        Ok((state, message))
    }
}

/// A server that has answered a `ClientHello`.
pub struct HelloAnswered {
    suite: Suite,
    pub(crate) session_id: SessionId,
    audience: Name,
    transcript: Transcript,
    hash: TranscriptHash,
    secrets: HandshakeSecrets,
    started_ms: u64,
}

redacted!(HelloAnswered);

impl HelloAnswered {
    /// The session that is being made.
    pub fn session_id(&self) -> SessionId {
        self.session_id
    }

    /// Opens the `ClientFinish`, whose sender took part in this handshake from the start. Who that is, is only claimed.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::Version`], [`Error::NotAuthentic`], [`Error::Finished`],
    /// [`Error::HandshakeExpired`].
    pub fn receive(mut self, client_finish: &[u8], now_ms: u64) -> Result<Claim, Error> {
        check_time(self.started_ms, now_ms)?;
        let key = self.secrets.client_finish_key(&self.hash)?;
        let finish = ClientFinish::open(client_finish, &self.session_id, &key)?;
        let claimed = self.transcript.add(&finish.credential.write());
        let proven = self.transcript.add(&finish.proof);
        if !self.secrets.verify_client_finished(&proven, &finish.finished) {
            return Err(Error::Finished { part: Part::ClientFinish });
        }
        let hash = self.transcript.add(&finish.finished);
        Ok(Claim {
            suite: self.suite,
            session_id: self.session_id,
            audience: self.audience,
            credential: finish.credential,
            proof: finish.proof,
            claimed,
            hash,
            secrets: self.secrets,
            started_ms: self.started_ms,
        })
    }
}

/// A client that claims a credential.
pub struct Claim {
    suite: Suite,
    session_id: SessionId,
    audience: Name,
    credential: CredentialId,
    proof: Vec<u8>,
    claimed: TranscriptHash,
    hash: TranscriptHash,
    secrets: HandshakeSecrets,
    started_ms: u64,
}

redacted!(Claim);

impl Claim {
    /// The credential that is claimed: what to look up.
    pub fn credential(&self) -> &CredentialId {
        &self.credential
    }

    /// Checks the proof against what is known of the credential.
    ///
    /// # Errors
    /// [`Error::ClientProof`] if it does not hold, if there is none, or if `verifier` is for another kind of credential;
    /// [`Error::HandshakeExpired`].
    pub fn verify(self, verifier: &Verifier<'_>, now_ms: u64) -> Result<Authenticated, Error> {
        check_time(self.started_ms, now_ms)?;
        if !verifier.verify(&self.credential, &self.claimed, &self.proof) {
            return Err(Error::ClientProof);
        }
        Ok(Authenticated(self))
    }

    /// Accepts a client that claims no credential, as `principal`: nobody knows who it is. As
    /// [`Authenticated::accept`] otherwise.
    ///
    /// # Errors
    /// [`Error::ClientProof`] if it claims one, proven or not; as [`Authenticated::accept`].
    pub fn accept_anonymous(
        self,
        principal: Name,
        limits: SessionLimits,
        admission: &impl Admission,
        now_ms: u64,
    ) -> Result<Acceptance, Error> {
        if self.credential != CredentialId::None {
            return Err(Error::ClientProof);
        }
        self.accept(principal, limits, admission, now_ms)
    }

    fn accept(
        self,
        principal: Name,
        limits: SessionLimits,
        admission: &impl Admission,
        now_ms: u64,
    ) -> Result<Acceptance, Error> {
        check_time(self.started_ms, now_ms)?;
        let (key, traffic) = self.secrets.into_session(&self.hash)?;
        let message = Accepted { limits, principal: principal.clone() }.seal(&self.session_id, &key)?;
        let expires_at_ms = limits.expiry_ms(self.started_ms);
        if expires_at_ms < now_ms.saturating_add(1000) {
            return Err(Error::SessionExpired);
        }
        let opening = Opening {
            session: self.session_id,
            principal: principal.clone(),
            is_anonymous: self.credential == CredentialId::None,
            max_rpcs: limits.max_rpcs(),
            expires_at_ms,
        };
        let opened = admission.open(opening, now_ms).map_err(Error::NotAdmitted)?;
        let session = ServerSession {
            suite: self.suite,
            id: self.session_id,
            audience: self.audience,
            secrets: traffic,
            credential: self.credential,
            principal,
            epoch: opened.epoch,
            opened_at_ms: self.started_ms,
            expires_at_ms,
        };
        Ok(Acceptance { session, message, displaced: opened.displaced })
    }

    #[cfg(test)]
    pub(crate) fn into_session_for_test(self) -> (tyto_pqc::gcm::Key, crate::schedule::TrafficSecrets) {
        self.secrets.into_session(&self.hash).unwrap()
    }
}

/// A client whose credential is proven.
pub struct Authenticated(Claim);

redacted!(Authenticated);

impl Authenticated {
    /// Accepts the client as `principal`, and has `admission` know the session. The session ends with its limits or at
    /// `not_after_ms`, whichever is first: when the credential expires, say.
    ///
    /// # Errors
    /// [`Error::SessionExpired`] if less than a second would be left of it; [`Error::NotAdmitted`];
    /// [`Error::HandshakeExpired`]; [`Error::Crypto`] without memory.
    pub fn accept(
        self,
        principal: Name,
        limits: SessionLimits,
        not_after_ms: Option<u64>,
        admission: &impl Admission,
        now_ms: u64,
    ) -> Result<Acceptance, Error> {
        let limits = limits.ending_by(self.0.started_ms, not_after_ms.unwrap_or(u64::MAX))?;
        self.0.accept(principal, limits, admission, now_ms)
    }
}

/// A session that has begun.
#[derive(Debug)]
pub struct Acceptance {
    /// The session.
    pub session: ServerSession,
    /// What tells the client.
    pub message: Vec<u8>,
    /// Older sessions of the principal, which were forgotten to make room.
    pub displaced: Vec<SessionId>,
}
