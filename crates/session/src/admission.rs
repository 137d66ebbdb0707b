//! Each RPC is admitted once.
//!
//! A record that was captured opens as often as it is sent: what keeps it from being served twice is a set of the ids that
//! were admitted, shared by all processes that serve the session.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use tyto_pqc::random;

use crate::error::Error;
use crate::limits::MAX_RPCS;
use crate::name::{Name, RpcId, SessionId, StoreEpoch};

/// A session that begins: what an admission is asked to make known. Only a handshake makes one, so that no session is made
/// known twice.
#[derive(Debug)]
pub struct Opening {
    pub(crate) session: SessionId,
    pub(crate) principal: Name,
    pub(crate) max_rpcs: u32,
    pub(crate) expires_at_ms: u64,
}

impl Opening {
    /// The session.
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// Whose room it takes.
    pub fn principal(&self) -> &Name {
        &self.principal
    }

    /// How many RPCs it carries: room for all of them is kept for it.
    pub fn max_rpcs(&self) -> u32 {
        self.max_rpcs
    }

    /// When it expires, in Unix milliseconds.
    pub fn expires_at_ms(&self) -> u64 {
        self.expires_at_ms
    }
}

/// What an admission made of an [`Opening`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenedSession {
    /// The store that knows the session.
    pub epoch: StoreEpoch,
    /// The principal's oldest session, which was forgotten to make room for this one.
    pub displaced: Option<SessionId>,
}

/// What an admission decides on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    pub(crate) session: SessionId,
    pub(crate) rpc: RpcId,
    pub(crate) epoch: StoreEpoch,
}

impl Ticket {
    /// The session.
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// The RPC.
    pub fn rpc(&self) -> RpcId {
        self.rpc
    }

    /// The store that knew the session when it began.
    pub fn epoch(&self) -> StoreEpoch {
        self.epoch
    }
}

/// Why an RPC or a session is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It was admitted before (peer, or someone between).
    #[error("the RPC was admitted before")]
    Repeated,
    /// Nothing is known of the session: it has expired, was closed or displaced, or its state was lost.
    #[error("nothing is known of the session")]
    UnknownSession,
    /// The session has carried as many RPCs as it may (peer).
    #[error("the session has carried as many RPCs as it may")]
    Exhausted,
    /// It cannot be decided now (environment).
    #[error("whether the RPC was admitted before cannot be decided")]
    Undecided,
    /// There is no room to remember more (environment).
    #[error("there is no room to remember more RPCs")]
    Full,
}

/// Decides which RPCs are served.
///
/// An implementation decides atomically: of any number of calls with one session and RPC, by any processes, at most one is
/// admitted. Where it cannot know, it refuses. It forgets an id only together with its session, and a session that it
/// has forgotten stays unknown.
///
/// **After a loss.** A store that may have lost anything that it acknowledged (a replica that took over without the last
/// writes, a backup that was loaded) draws a new epoch before it answers again. No session of another epoch is known: an
/// RPC whose admission was lost is thus not served a second time, and clients start over.
pub trait Admission {
    /// Makes a session known, and keeps room for all of its RPCs.
    ///
    /// # Errors
    /// [`Refusal::Full`] or [`Refusal::Undecided`] for what their names say; [`Refusal::Repeated`] if it is known.
    fn open(&self, opening: Opening, now_ms: u64) -> Result<OpenedSession, Refusal>;

    /// Admits an RPC, once.
    ///
    /// # Errors
    /// Any [`Refusal`]: the RPC is not served.
    fn admit(&self, ticket: &Ticket, now_ms: u64) -> Result<(), Refusal>;

    /// Forgets a session, which then carries no more.
    fn close(&self, session: SessionId);
}

/// How much a [`MemoryAdmission`] remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// RPCs of all sessions together. A session takes as many as it may carry, 16 to 40 bytes each, when it opens.
    pub rpcs: usize,
    /// Sessions of one principal. One more displaces its oldest.
    pub sessions_per_principal: usize,
}

/// The admissions of one process.
pub struct MemoryAdmission {
    room: Room,
    epoch: StoreEpoch,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    sessions: HashMap<SessionId, Seen>,
    by_end: BTreeSet<(u64, SessionId)>,
    /// The sessions of each principal, the oldest first.
    by_principal: HashMap<Name, BTreeMap<u64, SessionId>>,
    /// Kept for the sessions that are known.
    reserved_rpcs: usize,
    opened: u64,
    /// The latest time heard of: a clock that goes back does not bring back what has expired.
    latest_ms: u64,
}

struct Seen {
    principal: Name,
    number: u64,
    expires_at_ms: u64,
    max_rpcs: usize,
    rpcs: HashSet<RpcId>,
}

impl MemoryAdmission {
    /// Nothing known yet.
    ///
    /// # Errors
    /// [`Error::Crypto`] without randomness.
    pub fn new(room: Room) -> Result<Self, Error> {
        Ok(Self { room, epoch: StoreEpoch::from_bytes(random::bytes()?), known: Mutex::default() })
    }

    fn with_known<T>(&self, now_ms: u64, act: impl FnOnce(&mut Known) -> T) -> T {
        // No step below panics half-way.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.forget_expired(now_ms);
        act(&mut known)
    }
}

impl Known {
    fn forget_expired(&mut self, now_ms: u64) {
        self.latest_ms = self.latest_ms.max(now_ms);
        while let Some(&(end, session)) = self.by_end.first() {
            if end > self.latest_ms {
                break;
            }
            self.forget(session);
        }
    }

    fn forget(&mut self, session: SessionId) {
        let Some(seen) = self.sessions.remove(&session) else { return };
        self.reserved_rpcs -= seen.max_rpcs;
        self.by_end.remove(&(seen.expires_at_ms, session));
        if let Some(of_principal) = self.by_principal.get_mut(&seen.principal) {
            of_principal.remove(&seen.number);
            if of_principal.is_empty() {
                self.by_principal.remove(&seen.principal);
            }
        }
    }

    fn remember(&mut self, opening: Opening) {
        let Opening { session, principal, max_rpcs, expires_at_ms } = opening;
        let (number, max_rpcs) = (self.opened, max_rpcs as usize);
        self.opened += 1;
        self.reserved_rpcs += max_rpcs;
        self.by_end.insert((expires_at_ms, session));
        self.by_principal.entry(principal.clone()).or_default().insert(number, session);
        let seen = Seen { principal, number, expires_at_ms, max_rpcs, rpcs: HashSet::new() };
        self.sessions.insert(session, seen);
    }
}

impl Admission for MemoryAdmission {
    fn open(&self, opening: Opening, now_ms: u64) -> Result<OpenedSession, Refusal> {
        self.with_known(now_ms, |known| {
            if known.sessions.contains_key(&opening.session) {
                return Err(Refusal::Repeated);
            }
            let of_principal = known.by_principal.get(&opening.principal);
            let is_crowded =
                of_principal.is_some_and(|sessions| sessions.len() >= self.room.sessions_per_principal);
            let displaced = of_principal
                .filter(|_| is_crowded)
                .and_then(|sessions| sessions.first_key_value())
                .map(|(_, session)| *session);
            let given_back =
                displaced.and_then(|session| known.sessions.get(&session)).map_or(0, |seen| seen.max_rpcs);
            let wanted = opening.max_rpcs.min(MAX_RPCS) as usize;
            if known.reserved_rpcs - given_back + wanted > self.room.rpcs {
                return Err(Refusal::Full);
            }
            displaced.iter().for_each(|session| known.forget(*session));
            known.remember(opening);
            Ok(OpenedSession { epoch: self.epoch, displaced })
        })
    }

    fn admit(&self, ticket: &Ticket, now_ms: u64) -> Result<(), Refusal> {
        self.with_known(now_ms, |known| {
            if ticket.epoch != self.epoch {
                return Err(Refusal::UnknownSession);
            }
            let seen = known.sessions.get_mut(&ticket.session).ok_or(Refusal::UnknownSession)?;
            if seen.rpcs.contains(&ticket.rpc) {
                return Err(Refusal::Repeated);
            }
            if seen.rpcs.len() >= seen.max_rpcs {
                return Err(Refusal::Exhausted);
            }
            seen.rpcs.insert(ticket.rpc);
            Ok(())
        })
    }

    fn close(&self, session: SessionId) {
        self.with_known(0, |known| known.forget(session));
    }
}

impl core::fmt::Debug for MemoryAdmission {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let counts = self.with_known(0, |known| (known.sessions.len(), known.reserved_rpcs));
        write!(f, "MemoryAdmission({} sessions with room for {} RPCs)", counts.0, counts.1)
    }
}
