//! The server's side of a handshake: [`Server`], [`HelloAnswered`], [`Claim`], [`Authenticated`],
//! [`ServerSession`].
//!
//! Each step consumes the state before it.

use tyto_pqc::mldsa::{ParameterSet, SigningKey};

use crate::client::check_time;
use crate::credential::{CredentialId, Verifier};
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
    limits: SessionLimits,
}

impl Server {
    /// The server `identity` of the service `audience`. Of the suites that it supports, the client's preference decides.
    ///
    /// # Errors
    /// [`Error::KeyKind`] if the key is not of ML-DSA-65.
    ///
    /// # Security
    /// The key signs this server's handshakes and nothing else, and clients trust it for nothing else.
    pub fn new(
        audience: Name,
        identity: Name,
        key: SigningKey,
        suites: Suites,
        limits: SessionLimits,
    ) -> Result<Self, Error> {
        if key.parameter_set() != ParameterSet::MlDsa65 {
            return Err(Error::KeyKind);
        }
        let key_id = KeyId::from_bytes(key.verifying_key().key_id());
        Ok(Self { audience, identity, key, key_id, suites, limits })
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
            limits: self.limits,
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
            limits: self.limits,
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
    session_id: SessionId,
    limits: SessionLimits,
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
            limits: self.limits,
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
    limits: SessionLimits,
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
    /// [`Error::ClientProof`] if it does not hold, or `verifier` is for another kind of credential;
    /// [`Error::HandshakeExpired`].
    ///
    /// # Security
    /// For an id that is not known, a random [`crate::MacKey`] makes the refusal take as long as that of a wrong proof.
    pub fn verify(self, verifier: &Verifier<'_>, now_ms: u64) -> Result<Authenticated, Error> {
        check_time(self.started_ms, now_ms)?;
        if !verifier.verify(&self.credential, &self.claimed, &self.proof) {
            return Err(Error::ClientProof);
        }
        Ok(Authenticated(self))
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
    /// Accepts the client as `principal`: the session and the message that tells the client. The session ends with its
    /// limits or at `not_after_ms`, whichever is first: when the credential expires, say.
    ///
    /// The session carries nothing before an [`crate::Admission`] knows it.
    ///
    /// # Errors
    /// [`Error::SessionExpired`] if less than a second would be left of it; [`Error::Crypto`] without memory.
    pub fn accept(
        self,
        principal: Name,
        not_after_ms: Option<u64>,
    ) -> Result<(ServerSession, Vec<u8>), Error> {
        let claim = self.0;
        let not_after_ms = not_after_ms.unwrap_or(u64::MAX).min(claim.limits.expiry_ms(claim.started_ms));
        let lifetime_s = (not_after_ms.saturating_sub(claim.started_ms) / 1000) as u32;
        let limits = SessionLimits::new(lifetime_s, claim.limits.max_rpcs());
        let limits = limits.map_err(|_| Error::SessionExpired)?;
        let (key, traffic) = claim.secrets.into_session(&claim.hash)?;
        let message = Accepted { lifetime_s, principal: principal.clone() }.seal(&claim.session_id, &key)?;
        let session = ServerSession::new(
            claim.suite,
            claim.session_id,
            traffic,
            principal,
            limits.max_rpcs(),
            limits.expiry_ms(claim.started_ms),
        );
        Ok((session, message))
    }
}
