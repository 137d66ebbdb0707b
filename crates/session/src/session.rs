//! Sessions, and the RPCs that travel in them.

use core::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;

use crate::admission::{Admission, Refusal, Ticket};
use crate::draws::{Draws, Os};
use crate::error::Error;
use crate::limits::SessionLimits;
use crate::name::{Name, RpcId, SessionId};
use crate::record::{Context, Direction, FirstRequest, Lane, Opened, Opener, Sealer};
use crate::redacted;
use crate::schedule::{NODE_RANDOM_BYTES, TrafficSecrets};
use crate::suite::Suite;

/// The client's side of a session. Any number of RPCs can be under way at once.
pub struct ClientSession {
    suite: Suite,
    id: SessionId,
    secrets: Arc<TrafficSecrets>,
    server: Name,
    principal: Name,
    expires_at_ms: u64,
    rpcs_left: AtomicU32,
}

redacted!(ClientSession);

impl ClientSession {
    pub(crate) fn new(
        suite: Suite,
        id: SessionId,
        secrets: TrafficSecrets,
        server: Name,
        principal: Name,
        limits: SessionLimits,
        expires_at_ms: u64,
    ) -> Self {
        let rpcs_left = AtomicU32::new(limits.max_rpcs());
        Self { suite, id, secrets: Arc::new(secrets), server, principal, expires_at_ms, rpcs_left }
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
        &self.server
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
        if now_ms >= self.expires_at_ms {
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
        Ok((Sealer::new(lane, prelude), Opener::answers(Arc::clone(&self.secrets), rpc)))
    }
}

/// The server's side of a session. Any number of processes can have it at once.
pub struct ServerSession {
    pub(crate) suite: Suite,
    pub(crate) id: SessionId,
    pub(crate) secrets: Arc<TrafficSecrets>,
    pub(crate) principal: Name,
    pub(crate) max_rpcs: u32,
    pub(crate) expires_at_ms: u64,
}

redacted!(ServerSession);

impl ServerSession {
    pub(crate) fn new(
        suite: Suite,
        id: SessionId,
        secrets: TrafficSecrets,
        principal: Name,
        max_rpcs: u32,
        expires_at_ms: u64,
    ) -> Self {
        Self { suite, id, secrets: Arc::new(secrets), principal, max_rpcs, expires_at_ms }
    }

    /// The session's id.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// The suite it was made with.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// What the client was accepted as.
    pub fn principal(&self) -> &Name {
        &self.principal
    }

    /// How many RPCs it carries.
    pub fn max_rpcs(&self) -> u32 {
        self.max_rpcs
    }

    /// When it expires.
    pub fn expires_at_ms(&self) -> u64 {
        self.expires_at_ms
    }

    /// Opens the first record of an RPC of `method`. It is the client's, but perhaps not for the first time: its content
    /// is given out with the admission.
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
        if now_ms >= self.expires_at_ms {
            return Err(Error::SessionExpired);
        }
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
        let opened = Opened { kind: first.kind, plaintext };
        let requests = Opener::after_first(lane, first.kind);
        let secrets = Arc::clone(&self.secrets);
        Ok(PendingRpc { rpc, secrets, max_rpcs: self.max_rpcs, first_record, opened, requests })
    }
}

/// An RPC whose first record is authentic, and which may have been served before.
pub struct PendingRpc<B> {
    rpc: Context,
    secrets: Arc<TrafficSecrets>,
    max_rpcs: u32,
    first_record: B,
    opened: Opened,
    requests: Opener,
}

redacted!(PendingRpc<B>);

impl<B> PendingRpc<B> {
    /// What is to be admitted, once and for all processes that serve the session.
    pub fn ticket(&self) -> Ticket {
        Ticket {
            session: self.rpc.session,
            rpc: self.rpc.rpc,
            max_rpcs: self.max_rpcs,
            expires_at_ms: self.rpc.expires_at_ms,
        }
    }

    /// Has `admission` decide.
    ///
    /// # Errors
    /// [`Error::NotAdmitted`]; [`Error::Crypto`] without randomness or memory.
    pub fn admit(self, admission: &impl Admission, now_ms: u64) -> Result<AdmittedRpc<B>, Error> {
        let decision = admission.admit(&self.ticket(), now_ms);
        self.resolve(decision)
    }

    /// Goes on with a decision that was made elsewhere, about [`PendingRpc::ticket`]: by a store that takes its time.
    ///
    /// # Errors
    /// As for [`PendingRpc::admit`].
    pub fn resolve(self, decision: Result<(), Refusal>) -> Result<AdmittedRpc<B>, Error> {
        self.resolve_with(&mut Os, decision)
    }

    pub(crate) fn resolve_with(
        self,
        draws: &mut impl Draws,
        decision: Result<(), Refusal>,
    ) -> Result<AdmittedRpc<B>, Error> {
        decision.map_err(Error::NotAdmitted)?;
        let node: [u8; NODE_RANDOM_BYTES] = draws.bytes()?;
        let key = self.secrets.answer_key(&self.rpc.rpc, &node)?;
        let lane = Lane::new(key, &self.rpc, Direction::ServerToClient);
        Ok(AdmittedRpc {
            id: self.rpc.rpc,
            first_record: self.first_record,
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
