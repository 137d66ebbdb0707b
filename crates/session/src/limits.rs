//! How much a session may carry.

use crate::Error;

/// Longest lifetime of a session, in seconds.
pub const MAX_LIFETIME_S: u32 = 24 * 60 * 60;

/// Most RPCs of a session. Room for all of them is kept until the session expires.
pub const MAX_RPCS: u32 = 1 << 20;

/// Longest time from a `ClientHello` to the end of its handshake, in milliseconds.
pub const MAX_HANDSHAKE_MS: u64 = 60_000;

/// How long after its session's end an RPC that began in time may go on, in milliseconds.
pub const RPC_GRACE_MS: u64 = 5 * 60_000;

/// How long a key stores sessions that servers share, in milliseconds.
pub const MAX_STATE_KEY_AGE_MS: u64 = 24 * 60 * 60 * 1000;

/// How far the clock of one server that shares a session may be behind that of another, in milliseconds.
pub const MAX_CLOCK_SKEW_MS: u64 = 60_000;

/// Longest plaintext of a record, in bytes: with everything around it, it is no longer than 4 MiB.
pub const MAX_RECORD_BYTES: usize = (4 << 20) - 64;

/// Longest method path, in bytes.
pub const MAX_METHOD_BYTES: usize = 255;

/// AES blocks that one key protects at most, counting what is authenticated only.
pub const MAX_KEY_BLOCKS: u64 = 1 << 35;

/// How long a session lives and how many RPCs it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLimits {
    lifetime_s: u32,
    max_rpcs: u32,
}

impl SessionLimits {
    /// A session that expires `lifetime_s` seconds after its `ServerHello` or after `max_rpcs` RPCs, whichever is first.
    ///
    /// # Errors
    /// [`Error::Limits`] if one is zero, or above [`MAX_LIFETIME_S`] or [`MAX_RPCS`].
    pub fn new(lifetime_s: u32, max_rpcs: u32) -> Result<Self, Error> {
        if !(1..=MAX_LIFETIME_S).contains(&lifetime_s) || !(1..=MAX_RPCS).contains(&max_rpcs) {
            return Err(Error::Limits { lifetime_s, max_rpcs });
        }
        Ok(Self { lifetime_s, max_rpcs })
    }

    /// The lifetime in seconds.
    pub fn lifetime_s(self) -> u32 {
        self.lifetime_s
    }

    /// The number of RPCs.
    pub fn max_rpcs(self) -> u32 {
        self.max_rpcs
    }

    /// The same, over at `not_after_ms` at the latest: for a credential that expires sooner. Both times are of one clock,
    /// and the session begins at `from_ms`.
    pub(crate) fn ending_by(self, from_ms: u64, not_after_ms: u64) -> Result<Self, Error> {
        let left_s = not_after_ms.saturating_sub(from_ms) / 1000;
        let lifetime_s = u32::try_from(left_s).unwrap_or(u32::MAX).min(self.lifetime_s);
        Self::new(lifetime_s, self.max_rpcs).map_err(|_| Error::SessionExpired)
    }

    pub(crate) fn expiry_ms(self, from_ms: u64) -> u64 {
        from_ms.saturating_add(1000 * u64::from(self.lifetime_s))
    }
}
