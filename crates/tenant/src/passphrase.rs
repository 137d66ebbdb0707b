//! Files that a passphrase seals: the keyring, and signing keys that people keep.
//!
//! `magic 8 || memory KiB u32 || passes u32 || lanes u32 || salt 16 || nonce 12 || sealed || tag 16`, little-endian. The
//! wrapping key is Argon2id (RFC 9106) of the passphrase; the seal is AES-256-GCM-SIV (RFC 8452) with everything before
//! the nonce as associated data. The magic says what is in the file, so that one kind never opens as another.

use core::fmt;

use crate::Error;
use argon2::{Algorithm, Argon2, Params, Version};
use tyto_pqc::aead::SealingKey;
use tyto_pqc::{Secret32, random};
use zeroize::Zeroizing;

const MAGIC_BYTES: usize = 8;
const SALT_BYTES: usize = 16;
const HEADER_BYTES: usize = MAGIC_BYTES + 3 * 4 + SALT_BYTES;
/// Most memory that opening a file may take, in KiB: a file from elsewhere cannot ask for more.
pub const MAX_MEMORY_KIB: u32 = 1 << 20;
/// Most passes that opening a file may take.
pub const MAX_PASSES: u32 = 64;
/// Most lanes that a file may ask for.
pub const MAX_LANES: u32 = 64;

/// What a sealed file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sealed {
    /// Tenant keys.
    Keyring,
    /// The offline key that signs a trust root.
    RootKey,
    /// The key that signs a tenant's decisions.
    DecisionKey,
}

impl Sealed {
    /// The first bytes of such a file.
    pub fn magic(self) -> &'static [u8; MAGIC_BYTES] {
        match self {
            Self::Keyring => b"TYTOKEY1",
            Self::RootKey => b"TYTOROT1",
            Self::DecisionKey => b"TYTODEC1",
        }
    }

    fn malformed(self, problem: &'static str) -> Error {
        Error::SealedFile { content: self, problem }
    }
}

impl fmt::Display for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Keyring => "keyring",
            Self::RootKey => "root key",
            Self::DecisionKey => "decision key",
        })
    }
}

/// The cost of guessing a passphrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Cost {
    /// RFC 9106 section 4, second recommended option: 64 MiB, 3 passes, 4 lanes.
    pub const RECOMMENDED: Self = Self { memory_kib: 64 * 1024, passes: 3, lanes: 4 };
}

/// Seals a secret under a passphrase.
///
/// # Errors
/// [`Error::KeyDerivation`] for a cost that Argon2 does not allow, or no OS randomness.
pub fn seal(content: Sealed, plain: &[u8], passphrase: &[u8], cost: Cost) -> Result<Vec<u8>, Error> {
    let mut file = content.magic().to_vec();
    for field in [cost.memory_kib, cost.passes, cost.lanes] {
        file.extend_from_slice(&field.to_le_bytes());
    }
    let salt = random::bytes::<SALT_BYTES>()?;
    file.extend_from_slice(&salt);
    let sealed = wrapping_key(passphrase, &salt, cost)?.seal(&file, plain)?;
    file.extend_from_slice(&sealed);
    Ok(file)
}

/// Opens a sealed file. Takes as long as its cost says.
///
/// # Errors
/// [`Error::SealedFile`] if it is not such a file; [`Error::Passphrase`] if the passphrase is wrong or the file altered.
pub fn open(content: Sealed, file: &[u8], passphrase: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    if !file.starts_with(content.magic()) {
        return Err(content.malformed("it begins with other bytes"));
    }
    let (header, sealed) = file.split_at_checked(HEADER_BYTES).ok_or(content.malformed("it is too short"))?;
    let field = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("four bytes"));
    let cost = Cost { memory_kib: field(8), passes: field(12), lanes: field(16) };
    if cost.memory_kib > MAX_MEMORY_KIB || cost.passes > MAX_PASSES || cost.lanes > MAX_LANES {
        return Err(content.malformed("its Argon2id cost is over the limit"));
    }
    let key = wrapping_key(passphrase, &header[HEADER_BYTES - SALT_BYTES..], cost)?;
    key.open(header, sealed).map_err(|_| Error::Passphrase)
}

fn wrapping_key(passphrase: &[u8], salt: &[u8], cost: Cost) -> Result<SealingKey, Error> {
    let params =
        Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32)).map_err(|_| Error::KeyDerivation)?;
    let mut derived = Ok(());
    let key = Secret32::from_fn(|out| {
        derived = Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase, salt, out);
    });
    derived.map_err(|_| Error::KeyDerivation)?;
    Ok(SealingKey::new(&key)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: Cost = Cost { memory_kib: 64, passes: 1, lanes: 1 };

    #[test]
    fn a_file_opens_with_its_passphrase_and_as_what_it_is() {
        let file = seal(Sealed::RootKey, b"secret", b"correct horse", CHEAP).unwrap();
        assert_eq!(**open(Sealed::RootKey, &file, b"correct horse").unwrap(), *b"secret");
        assert!(matches!(open(Sealed::RootKey, &file, b"correct horsf"), Err(Error::Passphrase)));
        let other = open(Sealed::DecisionKey, &file, b"correct horse");
        assert!(matches!(other, Err(Error::SealedFile { content: Sealed::DecisionKey, .. })));
        let mut renamed = file.clone();
        renamed[..8].copy_from_slice(Sealed::DecisionKey.magic());
        assert!(matches!(open(Sealed::DecisionKey, &renamed, b"correct horse"), Err(Error::Passphrase)));
        for at in 0..file.len() {
            let mut altered = file.clone();
            altered[at] ^= 1;
            assert!(open(Sealed::RootKey, &altered, b"correct horse").is_err(), "byte {at}");
        }
        for length in [0, 8, HEADER_BYTES - 1, HEADER_BYTES, file.len() - 1] {
            assert!(open(Sealed::RootKey, &file[..length], b"correct horse").is_err(), "{length} bytes");
        }
    }

    #[test]
    fn a_file_cannot_ask_for_more_than_the_limits() {
        let file = seal(Sealed::Keyring, b"", b"", CHEAP).unwrap();
        for (at, limit) in [(8, MAX_MEMORY_KIB), (12, MAX_PASSES), (16, MAX_LANES)] {
            let mut greedy = file.clone();
            greedy[at..at + 4].copy_from_slice(&(limit + 1).to_le_bytes());
            assert!(matches!(open(Sealed::Keyring, &greedy, b""), Err(Error::SealedFile { .. })));
        }
    }
}
