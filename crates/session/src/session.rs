//! Sessions, and the RPCs that travel in them.

use core::sync::atomic::{AtomicU32, Ordering};
use zeroize::Zeroize as _;

use crate::admission::{Admission, Ticket};
use crate::credential::CredentialId;
use crate::draws::{Draws, Os};
use crate::error::Error;
use crate::limits::{MAX_CLOCK_SKEW_MS, SessionLimits};
use crate::name::{KeyId, Name, RpcId, SessionId, StoreEpoch};
use crate::record::{Context, Direction, FirstRequest, Lane, Opened, Opener, Sealer};
use crate::redacted;
use crate::schedule::{AnswerSecret, NODE_RANDOM_BYTES, TrafficSecrets};
use crate::suite::Suite;

/// The client's side of a session. Any number of RPCs can be under way at once.
pub struct ClientSession {
    suite: Suite,
    id: SessionId,
    secrets: TrafficSecrets,
    server: (Name, KeyId),
    principal: Name,
    opened_at_ms: u64,
    expires_at_ms: u64,
    rpcs_left: AtomicU32,
}

redacted!(ClientSession);

impl ClientSession {
    pub(crate) fn new(
        suite: Suite,
        id: SessionId,
        secrets: TrafficSecrets,
        server: (Name, KeyId),
        principal: Name,
        limits: SessionLimits,
        opened_at_ms: u64,
    ) -> Self {
        let rpcs_left = AtomicU32::new(limits.max_rpcs());
        let expires_at_ms = limits.expiry_ms(opened_at_ms);
        Self { suite, id, secrets, server, principal, opened_at_ms, expires_at_ms, rpcs_left }
    }

    /// The session's id.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// The suite it was made with.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// Who signed the handshake.
    pub fn server(&self) -> &Name {
        &self.server.0
    }

    /// With which key.
    pub fn server_key_id(&self) -> KeyId {
        self.server.1
    }

    /// What the server takes the client for.
    pub fn principal(&self) -> &Name {
        &self.principal
    }

    /// When it expires, by the clock of its handshake.
    pub fn expires_at_ms(&self) -> u64 {
        self.expires_at_ms
    }

    /// How many more RPCs it carries.
    pub fn rpcs_left(&self) -> u32 {
        self.rpcs_left.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(crate) fn set_rpcs_left(&self, left: u32) {
        self.rpcs_left.store(left, Ordering::Relaxed);
    }

    /// Begins an RPC: what seals its requests and what opens its answers. An RPC is never sent twice: to try again, begin
    /// again.
    ///
    /// # Errors
    /// [`Error::Method`], [`Error::SessionExpired`], [`Error::SessionExhausted`]; [`Error::Crypto`] without randomness or
    /// memory.
    pub fn begin(&self, method: &str, now_ms: u64) -> Result<(Sealer, Opener), Error> {
        self.begin_with(&mut Os, method, now_ms)
    }

    pub(crate) fn begin_with(
        &self,
        draws: &mut impl Draws,
        method: &str,
        now_ms: u64,
    ) -> Result<(Sealer, Opener), Error> {
        Context::check_method(method)?;
        // With a clock that went back, nobody knows how old the session is.
        if !(self.opened_at_ms..self.expires_at_ms).contains(&now_ms) {
            return Err(Error::SessionExpired);
        }
        let take_one = |left: u32| left.checked_sub(1);
        self.rpcs_left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take_one)
            .map_err(|_| Error::SessionExhausted)?;
        let rpc = Context {
            suite: self.suite,
            session: self.id,
            rpc: RpcId::from_bytes(draws.bytes()?),
            method: method.into(),
            expires_at_ms: self.expires_at_ms,
        };
        let lane = Lane::new(self.secrets.request_key(&rpc.rpc)?, &rpc, Direction::ClientToServer);
        let prelude = [&rpc.session.as_bytes()[..], rpc.rpc.as_bytes()].concat();
        let answers = Opener::answers(self.secrets.answer_secret(&rpc.rpc), rpc);
        Ok((Sealer::new(lane, prelude), answers))
    }
}

/// The server's side of a session. Any number of processes can have it at once.
pub struct ServerSession {
    pub(crate) suite: Suite,
    pub(crate) id: SessionId,
    pub(crate) audience: Name,
    pub(crate) secrets: TrafficSecrets,
    pub(crate) credential: CredentialId,
    pub(crate) principal: Name,
    pub(crate) epoch: StoreEpoch,
    pub(crate) opened_at_ms: u64,
    pub(crate) expires_at_ms: u64,
}

redacted!(ServerSession);

impl ServerSession {
    /// The session's id.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// The suite it was made with.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// What the client proved its identity with. It may have been revoked since: whoever serves an RPC looks.
    pub fn credential(&self) -> &CredentialId {
        &self.credential
    }

    /// What the client was accepted as.
    pub fn principal(&self) -> &Name {
        &self.principal
    }

    /// When it expires.
    pub fn expires_at_ms(&self) -> u64 {
        self.expires_at_ms
    }

    /// Whether an RPC may begin: not before the session did, as far as servers agree about the time, and not after its end.
    pub(crate) fn check_time(&self, now_ms: u64) -> Result<(), Error> {
        let begins_ms = self.opened_at_ms.saturating_sub(MAX_CLOCK_SKEW_MS);
        if (begins_ms..self.expires_at_ms).contains(&now_ms) { Ok(()) } else { Err(Error::SessionExpired) }
    }

    /// Opens the first record of an RPC of `method`. It is the client's, but perhaps not for the first time: its content
    /// is given out with the admission, and wiped without.
    ///
    /// # Errors
    /// [`Error::Method`], [`Error::Malformed`], [`Error::Version`], [`Error::OtherSession`], [`Error::SessionExpired`],
    /// [`Error::RecordRefused`], [`Error::RecordTooLong`]; [`Error::Crypto`] without memory.
    pub fn receive<B: AsMut<[u8]>>(
        &self,
        method: &str,
        mut first_record: B,
        now_ms: u64,
    ) -> Result<PendingRpc<B>, Error> {
        Context::check_method(method)?;
        self.check_time(now_ms)?;
        let record = first_record.as_mut();
        let first = FirstRequest::read(record)?;
        if first.session != self.id {
            return Err(Error::OtherSession);
        }
        let rpc = Context {
            suite: self.suite,
            session: self.id,
            rpc: first.rpc,
            method: method.into(),
            expires_at_ms: self.expires_at_ms,
        };
        let mut lane = Lane::new(self.secrets.request_key(&rpc.rpc)?, &rpc, Direction::ClientToServer);
        let plaintext = lane.open(first.kind, FirstRequest::HEAD_BYTES, record, now_ms)?;
        Ok(PendingRpc {
            ticket: Ticket { session: self.id, rpc: rpc.rpc, epoch: self.epoch },
            answer_secret: self.secrets.answer_secret(&rpc.rpc),
            rpc,
            opened: Opened { kind: first.kind, plaintext },
            first_record: Held(Some(first_record)),
            requests: Opener::after_first(lane, first.kind),
        })
    }
}

/// Opened content that nobody may have yet.
struct Held<B: AsMut<[u8]>>(Option<B>);

impl<B: AsMut<[u8]>> Drop for Held<B> {
    fn drop(&mut self) {
        if let Some(bytes) = &mut self.0 {
            bytes.as_mut().zeroize();
        }
    }
}

/// An RPC whose first record is authentic, and which may have been served before. The record is wiped if this is dropped.
pub struct PendingRpc<B: AsMut<[u8]>> {
    ticket: Ticket,
    answer_secret: AnswerSecret,
    rpc: Context,
    opened: Opened,
    first_record: Held<B>,
    requests: Opener,
}

redacted!(PendingRpc<B: AsMut<[u8]>>);

impl<B: AsMut<[u8]>> PendingRpc<B> {
    /// Has `admission` decide, once and for all processes that serve the session.
    ///
    /// # Errors
    /// [`Error::NotAdmitted`]; [`Error::Crypto`] without randomness or memory.
    pub fn admit(self, admission: &impl Admission, now_ms: u64) -> Result<AdmittedRpc<B>, Error> {
        self.admit_with(&mut Os, admission, now_ms)
    }

    pub(crate) fn admit_with(
        mut self,
        draws: &mut impl Draws,
        admission: &impl Admission,
        now_ms: u64,
    ) -> Result<AdmittedRpc<B>, Error> {
        let node: [u8; NODE_RANDOM_BYTES] = draws.bytes()?;
        let key = self.answer_secret.key(&node)?;
        let lane = Lane::new(key, &self.rpc, Direction::ServerToClient);
        admission.admit(&self.ticket, now_ms).map_err(Error::NotAdmitted)?;
        // It was put there when this was made, and nothing else takes it.
        let first_record = self.first_record.0.take().ok_or(Error::StreamOver)?;
        Ok(AdmittedRpc {
            id: self.rpc.rpc,
            first_record,
            opened: self.opened,
            requests: self.requests,
            answers: Sealer::new(lane, node.to_vec()),
        })
    }
}

/// An RPC that this process serves, and no other.
pub struct AdmittedRpc<B> {
    /// The RPC's id.
    pub id: RpcId,
    /// The first record, opened in place.
    pub first_record: B,
    /// What it carries, and where.
    pub opened: Opened,
    /// Opens what follows it.
    pub requests: Opener,
    /// Seals the answers.
    pub answers: Sealer,
}

redacted!(AdmittedRpc<B>);
