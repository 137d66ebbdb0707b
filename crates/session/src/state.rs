//! The server's side of a session as stored bytes, for processes that share it.

use std::sync::Arc;

use tyto_pqc::{Secret32, aead};
use zeroize::Zeroizing;

use crate::error::{Error, Part};
use crate::limits::MAX_RPCS;
use crate::name::{MAX_NAME_BYTES, SessionId};
use crate::redacted;
use crate::schedule::TrafficSecrets;
use crate::session::ServerSession;
use crate::wire::{Reader, message, write_name};

const STATE: u8 = 5;

const AAD_PREFIX: &[u8] = b"tyto/v1/session-state";

/// Longest stored state.
pub const MAX_STATE_BYTES: usize = 2 + 2 + 2 * Secret32::BYTES + 8 + 4 + 1 + MAX_NAME_BYTES + aead::OVERHEAD;

/// What processes wrap the sessions with that they share.
///
/// # Security
/// With this key, a stored state and the recorded records, a session can be read: the states are kept no longer than their
/// sessions live, and the key is replaced often.
pub struct StateKey(aead::SealingKey);

redacted!(StateKey);

impl StateKey {
    /// The key with these bytes.
    ///
    /// # Errors
    /// [`Error::Crypto`] without memory.
    pub fn new(key: &Secret32) -> Result<Self, Error> {
        Ok(Self(aead::SealingKey::new(key)?))
    }
}

fn aad(id: &SessionId) -> Vec<u8> {
    [AAD_PREFIX, id.as_bytes()].concat()
}

impl ServerSession {
    /// The session, sealed for whoever has the key.
    ///
    /// # Errors
    /// [`Error::Crypto`] without randomness.
    pub fn export(&self, key: &StateKey) -> Result<Vec<u8>, Error> {
        let mut plain = Zeroizing::new(message(STATE, MAX_STATE_BYTES));
        plain.extend_from_slice(&self.suite.id().to_le_bytes());
        plain.extend_from_slice(self.secrets.requests.expose());
        plain.extend_from_slice(self.secrets.answers.expose());
        plain.extend_from_slice(&self.expires_at_ms.to_le_bytes());
        plain.extend_from_slice(&self.max_rpcs.to_le_bytes());
        write_name(&mut plain, &self.principal);
        Ok(key.0.seal(&aad(&self.id), &plain)?)
    }

    /// The session `id` that [`ServerSession::export`] sealed, in this or another process.
    ///
    /// # Errors
    /// [`Error::State`] if the bytes are not the state of that session under that key; [`Error::SessionExpired`].
    pub fn import(key: &StateKey, id: SessionId, sealed: &[u8], now_ms: u64) -> Result<Self, Error> {
        let plain = key.0.open(&aad(&id), sealed).map_err(|_| Error::State)?;
        let mut reader = Reader::new(Part::State, &plain, STATE)?;
        let suite = reader.suite("suite")?;
        let mut secret = |field| -> Result<Secret32, Error> {
            let bytes = reader.bytes(Secret32::BYTES, field)?;
            Ok(Secret32::from_fn(|out| out.copy_from_slice(bytes)))
        };
        let secrets = TrafficSecrets { requests: secret("secret")?, answers: secret("secret")? };
        let expires_at_ms = reader.u64("expiry")?;
        let max_rpcs = reader.u32("number of RPCs")?;
        let principal = reader.name("principal")?;
        if max_rpcs > MAX_RPCS {
            return Err(reader.malformed("number of RPCs"));
        }
        reader.finish()?;
        if now_ms >= expires_at_ms {
            return Err(Error::SessionExpired);
        }
        Ok(Self { suite, id, secrets: Arc::new(secrets), principal, max_rpcs, expires_at_ms })
    }
}
