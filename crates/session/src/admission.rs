//! Each RPC is admitted once.
//!
//! A record that was captured opens as often as it is sent: what keeps it from being served twice is a set of the ids that
//! were admitted, shared by all processes that serve the session.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use tyto_pqc::random;

use crate::error::Error;
use crate::name::{Name, RpcId, SessionId, StoreEpoch};

/// A session that begins: what an admission is asked to make known. Only a handshake makes one, so that no session is made
/// known twice.
#[derive(Debug)]
pub struct Opening {
    pub(crate) session: SessionId,
    pub(crate) principal: Name,
    pub(crate) is_anonymous: bool,
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

    /// Whether nobody knows who the client is. Clients without a credential never share room with a principal, whatever
    /// they are called.
    pub fn is_anonymous(&self) -> bool {
        self.is_anonymous
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedSession {
    /// The store that knows the session.
    pub epoch: StoreEpoch,
    /// The principal's oldest sessions, which were forgotten to make room for this one.
    pub displaced: Vec<SessionId>,
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
    /// RPCs of the sessions of one principal, or of all clients without a credential. For more, its oldest sessions are
    /// displaced.
    pub rpcs_per_principal: usize,
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
    by_principal: HashMap<Owner, Share>,
    /// Kept for the sessions that are known.
    reserved_rpcs: usize,
    opened: u64,
}

/// Whether it is nobody in particular, and the name.
type Owner = (bool, Name);

#[derive(Default)]
struct Share {
    sessions: BTreeMap<u64, SessionId>,
    rpcs: usize,
}

struct Seen {
    owner: Owner,
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
    /// What has expired once stays unknown, whatever the clock says later.
    fn forget_expired(&mut self, now_ms: u64) {
        while let Some(&(end, session)) = self.by_end.first() {
            if end > now_ms {
                break;
            }
            self.forget(session);
        }
    }

    fn forget(&mut self, session: SessionId) {
        let Some(seen) = self.sessions.remove(&session) else { return };
        self.reserved_rpcs -= seen.max_rpcs;
        self.by_end.remove(&(seen.expires_at_ms, session));
        if let Some(share) = self.by_principal.get_mut(&seen.owner) {
            share.sessions.remove(&seen.number);
            share.rpcs -= seen.max_rpcs;
            if share.sessions.is_empty() {
                self.by_principal.remove(&seen.owner);
            }
        }
    }

    /// The principal's oldest sessions, until its room is enough for one more, and the RPCs that were kept for them.
    fn to_displace(&self, opening: &Opening, room: Room) -> (Vec<SessionId>, usize) {
        let (mut displaced, mut given_back) = (Vec::new(), 0);
        let Some(share) = self.by_principal.get(&(opening.is_anonymous, opening.principal.clone())) else {
            return (displaced, given_back);
        };
        for session in share.sessions.values() {
            let is_crowded = share.sessions.len() - displaced.len() >= room.sessions_per_principal
                || share.rpcs - given_back + opening.max_rpcs as usize > room.rpcs_per_principal;
            if !is_crowded {
                break;
            }
            given_back += self.sessions.get(session).map_or(0, |seen| seen.max_rpcs);
            displaced.push(*session);
        }
        (displaced, given_back)
    }

    fn remember(&mut self, opening: Opening) {
        let Opening { session, principal, is_anonymous, max_rpcs, expires_at_ms } = opening;
        let owner = (is_anonymous, principal);
        let (number, max_rpcs) = (self.opened, max_rpcs as usize);
        self.opened += 1;
        self.reserved_rpcs += max_rpcs;
        self.by_end.insert((expires_at_ms, session));
        let share = self.by_principal.entry(owner.clone()).or_default();
        share.sessions.insert(number, session);
        share.rpcs += max_rpcs;
        let seen = Seen { owner, number, expires_at_ms, max_rpcs, rpcs: HashSet::new() };
        self.sessions.insert(session, seen);
    }
}

impl Admission for MemoryAdmission {
    fn open(&self, opening: Opening, now_ms: u64) -> Result<OpenedSession, Refusal> {
        self.with_known(now_ms, |known| {
            if known.sessions.contains_key(&opening.session) {
                return Err(Refusal::Repeated);
            }
            let wanted = opening.max_rpcs as usize;
            if wanted > self.room.rpcs_per_principal {
                return Err(Refusal::Full);
            }
            let (displaced, given_back) = known.to_displace(&opening, self.room);
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
