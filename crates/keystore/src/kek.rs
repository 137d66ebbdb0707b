//! Key-encryption keys: what wraps the data key of a keystore.

use crate::Error;
use crate::passphrase::{Cost, Passphrase, SALT_BYTES};
use std::fmt;
use tyto_pqc::{Secret32, gcm, random};

const DATA_KEY_DOMAIN: &[u8] = b"tyto/v1/keystore-data-key";
const PASSPHRASE_PARAMETERS_BYTES: usize = 3 * 4 + SALT_BYTES;
/// A data key under AES-256-GCM: nonce, key, tag.
const WRAPPED_BYTES: usize = gcm::NONCE_BYTES + Secret32::BYTES + gcm::TAG_BYTES;

/// What kind of key-encryption key a keystore is wrapped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Provider {
    /// Argon2id of a passphrase.
    Passphrase,
    /// A key of AWS KMS.
    AwsKms,
}

impl Provider {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Passphrase => 1,
            Self::AwsKms => 2,
        }
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        [Self::Passphrase, Self::AwsKms].into_iter().find(|provider| provider.code() == code)
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passphrase => "a passphrase",
            Self::AwsKms => "AWS KMS",
        })
    }
}

/// Where the key-encryption key is. It holds no secret itself: a passphrase is read when it is needed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Kek {
    /// Made of a passphrase.
    Passphrase(Passphrase),
}

/// A wrapped data key, with what unwrapping it takes beside the key-encryption key.
pub(crate) struct Envelope {
    pub(crate) provider: Provider,
    /// Argon2id's memory (KiB), passes and lanes as u32 little-endian, and its salt; or the name of a KMS key.
    pub(crate) parameters: Vec<u8>,
    pub(crate) wrapped: Vec<u8>,
}

impl Kek {
    /// What kind it is.
    pub fn provider(&self) -> Provider {
        match self {
            Self::Passphrase(_) => Provider::Passphrase,
        }
    }

    /// Wraps the data key of a keystore.
    pub(crate) fn wrap(&self, store_id: &[u8; 16], data_key: &Secret32) -> Result<Envelope, Error> {
        match self {
            Self::Passphrase(passphrase) => wrap_by_passphrase(passphrase, store_id, data_key),
        }
    }

    /// Unwraps it.
    ///
    /// # Errors
    /// [`Error::OtherProvider`]; [`Error::WrongPassphrase`] or [`Error::WrongKmsKey`] if the file is what was written.
    pub(crate) fn unwrap(&self, store_id: &[u8; 16], envelope: &Envelope) -> Result<Secret32, Error> {
        match (self, envelope.provider) {
            (Self::Passphrase(passphrase), Provider::Passphrase) => {
                unwrap_by_passphrase(passphrase, store_id, envelope)
            }
            (_, found) => Err(Error::OtherProvider { found, configured: self.provider() }),
        }
    }
}

fn wrap_by_passphrase(
    passphrase: &Passphrase,
    store_id: &[u8; 16],
    data_key: &Secret32,
) -> Result<Envelope, Error> {
    let Cost { memory_kib, passes, lanes } = passphrase.cost;
    let salt = random::bytes::<SALT_BYTES>()?;
    let mut parameters = Vec::with_capacity(PASSPHRASE_PARAMETERS_BYTES);
    for field in [memory_kib, passes, lanes] {
        parameters.extend_from_slice(&field.to_le_bytes());
    }
    parameters.extend_from_slice(&salt);
    let aad = associated_data(store_id, Provider::Passphrase, &parameters);
    let key = gcm::Key::new(&passphrase.key(&salt, passphrase.cost)?)?;
    let wrapped = crate::format::seal(&key, &aad, data_key.expose())?;
    Ok(Envelope { provider: Provider::Passphrase, parameters, wrapped })
}

fn unwrap_by_passphrase(
    passphrase: &Passphrase,
    store_id: &[u8; 16],
    envelope: &Envelope,
) -> Result<Secret32, Error> {
    let parameters: &[u8; PASSPHRASE_PARAMETERS_BYTES] =
        envelope.parameters[..].try_into().map_err(|_| Error::Damaged { what: "its Argon2id parameters" })?;
    if envelope.wrapped.len() != WRAPPED_BYTES {
        return Err(Error::Damaged { what: "its wrapped data key" });
    }
    let field = |at: usize| u32::from_le_bytes(parameters[at..at + 4].try_into().expect("four bytes"));
    let cost = Cost { memory_kib: field(0), passes: field(4), lanes: field(8) };
    let salt = parameters[12..].try_into().expect("the rest");
    let aad = associated_data(store_id, Provider::Passphrase, parameters);
    let key = gcm::Key::new(&passphrase.key(salt, cost)?)?;
    let plain = crate::format::open(&key, &aad, &envelope.wrapped)?.ok_or(Error::WrongPassphrase)?;
    Ok(Secret32::from_fn(|out| out.copy_from_slice(&plain)))
}

/// What a wrapped data key is bound to: its keystore, and how it is wrapped.
fn associated_data(store_id: &[u8; 16], provider: Provider, parameters: &[u8]) -> Vec<u8> {
    [DATA_KEY_DOMAIN, store_id, &[provider.code()], parameters].concat()
}
