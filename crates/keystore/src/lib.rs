//! The server's private keys at rest.
//!
//! A [`Keystore`] is one file of a data directory. Each private key in it is sealed with AES-256-GCM under a data key;
//! the data key is fresh with every change of the file, and wrapped by a key-encryption key ([`Kek`]) that is not on the
//! same disk: one that Argon2id makes of a passphrase, or one of AWS KMS (feature `aws-kms`). The format is
//! `docs/formats/keystore.md`.
//!
//! A key has a [`Purpose`] and a version. One version of each purpose is active and signs; older ones are retired until
//! somebody destroys them, and their public keys stay for ever. Changes replace the file whole: whoever is killed in
//! between leaves the old file or the new one, and what was replaced is overwritten.
//!
//! The crate does file I/O and, with `aws-kms`, talks to KMS; the clock is an argument. It holds key-encryption keys,
//! data keys and plain private keys no longer than a call takes, and wipes them.

mod error;
mod file;
mod format;
mod kek;
mod key;
mod keystore;
mod passphrase;
#[cfg(test)]
mod tests;

pub use error::Error;
pub use file::{FILE_NAME, MARK_FILE_NAME};
pub use format::{MAX_KEYS, MAX_KEYSTORE_BYTES};
pub use kek::{Kek, Provider};
pub use key::{KeyInfo, LOG_PARAMETER_SET, PrivateKey, Purpose, State};
pub use keystore::{Exportable, Keystore, Overview};
pub use passphrase::{Cost, MAX_LANES, MAX_MEMORY_KIB, MAX_PASSES, Passphrase, PassphraseSource};
