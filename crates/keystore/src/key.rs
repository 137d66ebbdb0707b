//! What a keystore holds.

use crate::Error;
use std::fmt;
use tyto_pqc::{mldsa, slhdsa};
use zeroize::Zeroizing;

/// The set that checkpoints are signed with.
pub const LOG_PARAMETER_SET: slhdsa::ParameterSet = slhdsa::ParameterSet::Shake128s;

/// What a key is used for, and with which algorithm. A key serves one purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Purpose {
    /// Signs attestations: ML-DSA-65.
    Attestation,
    /// Signs checkpoints of the transparency log: SLH-DSA-SHAKE-128s.
    Log,
    /// Signs the transcripts of sealed sessions: ML-DSA-65.
    Session,
}

impl Purpose {
    /// All purposes.
    pub const ALL: [Self; 3] = [Self::Attestation, Self::Log, Self::Session];

    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Attestation => "attestation",
            Self::Log => "log",
            Self::Session => "session",
        }
    }

    /// The file of a data directory in which such a key lies plain, in PKCS#8, where keys are not wrapped.
    pub fn plain_file_name(self) -> &'static str {
        match self {
            Self::Attestation => "signing-key.p8",
            Self::Log => "log-key.p8",
            Self::Session => "session-key.p8",
        }
    }

    /// Its number in the file.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Attestation => 1,
            Self::Log => 2,
            Self::Session => 3,
        }
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.code() == code)
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What may be done with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// It signs.
    Active,
    /// A newer one signs; what it signed still verifies. The private key is kept until it is destroyed.
    Retired,
    /// The private key is gone; what it signed still verifies.
    Destroyed,
}

impl State {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Active => 1,
            Self::Retired => 2,
            Self::Destroyed => 3,
        }
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        [Self::Active, Self::Retired, Self::Destroyed].into_iter().find(|state| state.code() == code)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Active => "active",
            Self::Retired => "retired",
            Self::Destroyed => "destroyed",
        })
    }
}

/// What is known of a key without opening it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyInfo {
    /// What it is used for.
    pub purpose: Purpose,
    /// Counts the keys of a purpose, from 1.
    pub version: u32,
    /// What may be done with it.
    pub state: State,
    /// Whether it was made as one that may leave the keystore.
    pub exportable: bool,
    /// When it came into the keystore, in milliseconds since 1970.
    pub created_unix_ms: u64,
    /// When its state changed last, in milliseconds since 1970.
    pub changed_unix_ms: u64,
    /// The public key, as its standard encodes it (FIPS 204 algorithm 22, FIPS 205 figure 16).
    pub public_key: Vec<u8>,
}

impl KeyInfo {
    /// The name of the public key, as attestations use it.
    ///
    /// # Errors
    /// [`Error::Crypto`] if the public key is not one of its algorithm.
    pub fn key_id(&self) -> Result<[u8; 32], Error> {
        Ok(match self.purpose {
            Purpose::Log => slhdsa::VerifyingKey::from_bytes(LOG_PARAMETER_SET, &self.public_key)?.key_id(),
            Purpose::Attestation | Purpose::Session => {
                mldsa::VerifyingKey::from_bytes(&self.public_key)?.key_id()
            }
        })
    }
}

/// A private key that may be used. Wiped on drop by what holds it.
#[non_exhaustive]
pub enum PrivateKey {
    /// Of attestations or sessions.
    MlDsa(mldsa::SigningKey),
    /// Of the log.
    SlhDsa(slhdsa::SigningKey),
}

impl PrivateKey {
    /// A fresh key for a purpose.
    ///
    /// # Errors
    /// [`Error::Crypto`] without randomness.
    pub fn generate(purpose: Purpose) -> Result<Self, Error> {
        Ok(match purpose {
            Purpose::Log => Self::SlhDsa(slhdsa::SigningKey::generate(LOG_PARAMETER_SET)?),
            Purpose::Attestation | Purpose::Session => Self::MlDsa(mldsa::SigningKey::generate()?),
        })
    }

    /// Reads the PKCS#8 of a key of this purpose.
    ///
    /// # Errors
    /// [`Error::Crypto`] if it is none, such as one of another algorithm.
    pub fn from_pkcs8(purpose: Purpose, der: &[u8]) -> Result<Self, Error> {
        Ok(match purpose {
            Purpose::Log => Self::SlhDsa(slhdsa::SigningKey::from_pkcs8(LOG_PARAMETER_SET, der)?),
            Purpose::Attestation | Purpose::Session => Self::MlDsa(mldsa::SigningKey::from_pkcs8(der)?),
        })
    }

    /// The key in PKCS#8.
    ///
    /// # Errors
    /// [`Error::Crypto`] if the library has no memory.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        Ok(match self {
            Self::MlDsa(key) => key.to_pkcs8()?,
            Self::SlhDsa(key) => key.to_pkcs8()?,
        })
    }

    /// The public key, as its standard encodes it.
    pub fn public_key(&self) -> Vec<u8> {
        match self {
            Self::MlDsa(key) => key.verifying_key().as_bytes().to_vec(),
            Self::SlhDsa(key) => key.verifying_key().as_bytes().to_vec(),
        }
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey([redacted])")
    }
}
