//! Where the server's private keys are: in a keystore, wrapped, or plain in files of their owner's.

use crate::Error;
use crate::app::unix_ms;
use crate::config::Config;
use crate::signing;
use std::path::PathBuf;
use tyto_attest::{KeyEntry, PublicKey};
use tyto_keystore::{Exportable, KeyInfo, Keystore, LOG_PARAMETER_SET, PrivateKey, Purpose, State};
use tyto_pqc::{mldsa, slhdsa};

/// The private keys of a data directory that nobody else has open.
pub(crate) enum Vault {
    /// Each in a file of mode 0600.
    Plain(PathBuf),
    /// Wrapped by a key-encryption key.
    Wrapped(Box<Keystore>),
}

impl Vault {
    /// Opens what the configuration says. The first start with a key-encryption key wraps plain keys. Takes as long as
    /// Argon2id does.
    ///
    /// # Errors
    /// [`Error::KeysPlain`], [`Error::KeysWrapped`], [`Error::Keystore`].
    pub(crate) fn open(config: &Config) -> Result<Self, Error> {
        let dir = &config.data_dir;
        let Some(kek) = config.keys.kek() else {
            if config.keys.wrapped {
                return Err(Error::KeysPlain);
            }
            if Keystore::exists(dir) {
                return Err(Error::KeysWrapped);
            }
            return Ok(Self::Plain(dir.clone()));
        };
        let keystore = Keystore::open_or_create(dir, kek, unix_ms())?;
        Ok(Self::Wrapped(Box::new(keystore)))
    }

    /// The key that signs attestations, or transcripts of sessions; makes it if there is none.
    pub(crate) fn ml_dsa(&mut self, purpose: Purpose) -> Result<mldsa::SigningKey, Error> {
        match self.key(purpose)? {
            PrivateKey::MlDsa(key) => Ok(key),
            _ => Err(Error::KeyPurpose(purpose)),
        }
    }

    /// The key that signs checkpoints; makes it if there is none.
    pub(crate) fn slh_dsa(&mut self, purpose: Purpose) -> Result<slhdsa::SigningKey, Error> {
        match self.key(purpose)? {
            PrivateKey::SlhDsa(key) => Ok(key),
            _ => Err(Error::KeyPurpose(purpose)),
        }
    }

    fn key(&mut self, purpose: Purpose) -> Result<PrivateKey, Error> {
        match self {
            Self::Plain(dir) => signing::load_or_create(dir, purpose),
            Self::Wrapped(keystore) => {
                if keystore.active(purpose).is_none() {
                    keystore.rotate(purpose, Exportable::No, unix_ms())?;
                }
                Ok(keystore.signing_key(purpose)?)
            }
        }
    }

    /// The keys that signed attestations and checkpoints before the present ones. What they signed still verifies.
    pub(crate) fn earlier(&self) -> Result<Vec<KeyEntry>, Error> {
        let Self::Wrapped(keystore) = self else { return Ok(Vec::new()) };
        let earlier = keystore.keys().filter(|info| info.state != State::Active);
        Ok(earlier.map(entry).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }
}

/// A key as the log lists it; none for keys that sign nothing in it.
fn entry(info: &KeyInfo) -> Result<Option<KeyEntry>, Error> {
    let (purpose, key) = match info.purpose {
        Purpose::Attestation => {
            let key = mldsa::VerifyingKey::from_bytes(&info.public_key)?;
            (tyto_attest::Purpose::Attestation, PublicKey::MlDsa65(key))
        }
        Purpose::Log => {
            let key = slhdsa::VerifyingKey::from_bytes(LOG_PARAMETER_SET, &info.public_key)?;
            (tyto_attest::Purpose::Log, PublicKey::SlhDsa(key))
        }
        _ => return Ok(None),
    };
    Ok(Some(KeyEntry { purpose, key }))
}
