//! Each RPC is admitted once.
//!
//! A record that was captured opens as often as it is sent: what keeps it from being served twice is a set of the ids that
//! were admitted, shared by all processes that serve the session.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use crate::limits::MAX_RPCS;
use crate::name::{RpcId, SessionId};

/// What an admission decides on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The session.
    pub session: SessionId,
    /// The RPC.
    pub rpc: RpcId,
    /// How many RPCs the session carries.
    pub max_rpcs: u32,
    /// When the session expires, in Unix milliseconds.
    pub expires_at_ms: u64,
}

/// Why an RPC is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It was admitted before (peer, or someone between).
    #[error("the RPC was admitted before")]
    Repeated,
    /// Nothing is known of the session: it has expired, was closed, or its state was lost.
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
pub trait Admission {
    /// Makes a session known, once: before its first RPC.
    ///
    /// # Errors
    /// [`Refusal::Repeated`] if it is known; [`Refusal::Full`] or [`Refusal::Undecided`] for what their names say.
    fn open(&self, session: SessionId, expires_at_ms: u64, now_ms: u64) -> Result<(), Refusal>;

    /// Admits an RPC, once.
    ///
    /// # Errors
    /// Any [`Refusal`]: the RPC is not served.
    fn admit(&self, ticket: &Ticket, now_ms: u64) -> Result<(), Refusal>;

    /// Forgets a session, which then carries no more.
    fn close(&self, session: SessionId);
}

/// The admissions of one process.
pub struct MemoryAdmission {
    max_sessions: usize,
    max_rpcs: usize,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    sessions: HashMap<SessionId, Seen>,
    /// Of all sessions.
    rpcs: usize,
}

struct Seen {
    expires_at_ms: u64,
    rpcs: HashSet<RpcId>,
}

impl MemoryAdmission {
    /// Room for so many sessions, and so many RPCs of all of them together (16 to 40 bytes each). One session can take as
    /// much of it as its own limit allows.
    pub fn new(max_sessions: usize, max_rpcs: usize) -> Self {
        Self { max_sessions, max_rpcs, known: Mutex::default() }
    }

    fn with_known<T>(&self, act: impl FnOnce(&mut Known) -> T) -> T {
        // No step below panics half-way.
        act(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Known {
    fn forget_expired(&mut self, now_ms: u64) {
        self.sessions.retain(|_, seen| seen.expires_at_ms > now_ms);
        self.rpcs = self.sessions.values().map(|seen| seen.rpcs.len()).sum();
    }
}

impl Admission for MemoryAdmission {
    fn open(&self, session: SessionId, expires_at_ms: u64, now_ms: u64) -> Result<(), Refusal> {
        self.with_known(|known| {
            if known.sessions.contains_key(&session) {
                return Err(Refusal::Repeated);
            }
            if known.sessions.len() >= self.max_sessions {
                known.forget_expired(now_ms);
            }
            if known.sessions.len() >= self.max_sessions {
                return Err(Refusal::Full);
            }
            known.sessions.insert(session, Seen { expires_at_ms, rpcs: HashSet::new() });
            Ok(())
        })
    }

    fn admit(&self, ticket: &Ticket, now_ms: u64) -> Result<(), Refusal> {
        self.with_known(|known| {
            if known.rpcs >= self.max_rpcs {
                known.forget_expired(now_ms);
            }
            let seen = known.sessions.get_mut(&ticket.session).ok_or(Refusal::UnknownSession)?;
            if now_ms >= seen.expires_at_ms.min(ticket.expires_at_ms) {
                return Err(Refusal::UnknownSession);
            }
            if seen.rpcs.contains(&ticket.rpc) {
                return Err(Refusal::Repeated);
            }
            if seen.rpcs.len() >= ticket.max_rpcs.min(MAX_RPCS) as usize {
                return Err(Refusal::Exhausted);
            }
            if known.rpcs >= self.max_rpcs {
                return Err(Refusal::Full);
            }
            seen.rpcs.insert(ticket.rpc);
            known.rpcs += 1;
            Ok(())
        })
    }

    fn close(&self, session: SessionId) {
        self.with_known(|known| {
            if let Some(seen) = known.sessions.remove(&session) {
                known.rpcs -= seen.rpcs.len();
            }
        });
    }
}

impl core::fmt::Debug for MemoryAdmission {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let counts = self.with_known(|known| (known.sessions.len(), known.rpcs));
        write!(f, "MemoryAdmission({} sessions, {} RPCs)", counts.0, counts.1)
    }
}
