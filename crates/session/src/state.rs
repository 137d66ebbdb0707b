//! The server's side of a session as stored bytes, for processes that share it.

use tyto_pqc::{Secret32, aead};
use zeroize::Zeroizing;

use crate::credential::CredentialId;
use crate::error::{Error, Part};
use crate::limits::{MAX_CLOCK_SKEW_MS, MAX_LIFETIME_S, MAX_STATE_KEY_AGE_MS};
use crate::name::{MAX_NAME_BYTES, Name, SessionId, StoreEpoch};
use crate::redacted;
use crate::schedule::TrafficSecrets;
use crate::session::ServerSession;
use crate::wire::{Reader, message, write_name};

const STATE: u8 = 5;

const AAD_PREFIX: &[u8] = b"tyto/v1/session-state";

const NAME_BYTES: usize = 1 + MAX_NAME_BYTES;

/// Longest stored state.
pub const MAX_STATE_BYTES: usize =
    2 + 2 + 2 * Secret32::BYTES + 8 + 8 + StoreEpoch::BYTES + (1 + NAME_BYTES) + NAME_BYTES + aead::OVERHEAD;

/// What processes wrap the sessions with that they share.
///
/// # Security
/// With this key, a stored state and the recorded records, a session can be read: sessions that are shared have forward
/// secrecy only once their states or this key are gone. So states are kept no longer than their sessions live, the key
/// stores sessions for [`MAX_STATE_KEY_AGE_MS`] and loads them for [`MAX_LIFETIME_S`] longer, and is destroyed then.
pub struct StateKey {
    key: aead::SealingKey,
    made_at_ms: u64,
}

redacted!(StateKey);

impl StateKey {
    /// The key with these bytes, which were drawn at `made_at_ms`, in Unix milliseconds.
    ///
    /// # Errors
    /// [`Error::Crypto`] without memory.
    pub fn new(key: &Secret32, made_at_ms: u64) -> Result<Self, Error> {
        Ok(Self { key: aead::SealingKey::new(key)?, made_at_ms })
    }

    fn check_age(&self, now_ms: u64, max_ms: u64) -> Result<(), Error> {
        // A key from the future would never be too old.
        let is_young = now_ms < self.made_at_ms.saturating_add(max_ms);
        let is_made = self.made_at_ms <= now_ms.saturating_add(MAX_CLOCK_SKEW_MS);
        if is_young && is_made { Ok(()) } else { Err(Error::StateKeyExpired) }
    }
}

fn aad(audience: &Name, id: &SessionId) -> Vec<u8> {
    let mut aad = [AAD_PREFIX, id.as_bytes()].concat();
    write_name(&mut aad, audience);
    aad
}

impl ServerSession {
    /// The session, sealed for the servers of its audience that have the key.
    ///
    /// # Errors
    /// [`Error::StateKeyExpired`]; [`Error::Crypto`] without randomness.
    pub fn export(&self, key: &StateKey, now_ms: u64) -> Result<Vec<u8>, Error> {
        key.check_age(now_ms, MAX_STATE_KEY_AGE_MS)?;
        let mut plain = Zeroizing::new(message(STATE, MAX_STATE_BYTES));
        plain.extend_from_slice(&self.suite.id().to_le_bytes());
        plain.extend_from_slice(self.secrets.requests.expose());
        plain.extend_from_slice(self.secrets.answers.expose());
        plain.extend_from_slice(&self.opened_at_ms.to_le_bytes());
        plain.extend_from_slice(&self.expires_at_ms.to_le_bytes());
        plain.extend_from_slice(self.epoch.as_bytes());
        plain.extend_from_slice(&self.credential.write());
        write_name(&mut plain, &self.principal);
        Ok(key.key.seal(&aad(&self.audience, &self.id), &plain)?)
    }

    /// The session `id` that a server of `audience` sealed with [`ServerSession::export`], in this or another process. It
    /// is known to the admission that knew it when it began, and to no other.
    ///
    /// # Errors
    /// [`Error::State`] if the bytes are not the state of that session under that key; [`Error::SessionExpired`],
    /// [`Error::StateKeyExpired`].
    pub fn import(
        key: &StateKey,
        audience: &Name,
        id: SessionId,
        sealed: &[u8],
        now_ms: u64,
    ) -> Result<Self, Error> {
        key.check_age(now_ms, MAX_STATE_KEY_AGE_MS + 1000 * u64::from(MAX_LIFETIME_S))?;
        if sealed.len() > MAX_STATE_BYTES {
            return Err(Error::State);
        }
        let plain = key.key.open(&aad(audience, &id), sealed).map_err(|_| Error::State)?;
        let mut reader = Reader::new(Part::State, &plain, STATE)?;
        let suite = reader.suite("suite")?;
        let mut secret = |field| -> Result<Secret32, Error> {
            let bytes = reader.bytes(Secret32::BYTES, field)?;
            Ok(Secret32::from_fn(|out| out.copy_from_slice(bytes)))
        };
        let secrets = TrafficSecrets { requests: secret("secret")?, answers: secret("secret")? };
        let (opened_at_ms, expires_at_ms) = (reader.u64("beginning")?, reader.u64("expiry")?);
        let epoch = StoreEpoch::from_bytes(reader.array("epoch")?);
        let credential = CredentialId::read(&mut reader)?;
        let principal = reader.name("principal")?;
        reader.finish()?;
        let audience = audience.clone();
        let session =
            Self { suite, id, audience, secrets, credential, principal, epoch, opened_at_ms, expires_at_ms };
        session.check_time(now_ms)?;
        Ok(session)
    }
}
