//! The keyring: tenant keys in a file that a passphrase seals.
//!
//! `"TYTOKEY1" || memory KiB u32 || passes u32 || lanes u32 || salt 16 || nonce 12 || sealed || tag 16`, little-endian.
//! The wrapping key is Argon2id (RFC 9106) of the passphrase; the seal is AES-256-GCM-SIV (RFC 8452) with everything
//! before the nonce as associated data. The plaintext is `count u32 || (created unix seconds u64 || key 32)*`.
//! An exported keyring is the same file under its own passphrase.

use crate::Error;
use crate::key::TenantKey;
use argon2::{Algorithm, Argon2, Params, Version};
use tyto_pqc::aead::SealingKey;
use tyto_pqc::{Secret32, random};
use tyto_scheme::KeyId;
use zeroize::Zeroizing;

const MAGIC: &[u8; 8] = b"TYTOKEY1";
const SALT_BYTES: usize = 16;
const HEADER_BYTES: usize = 8 + 3 * 4 + SALT_BYTES;
const ENTRY_BYTES: usize = 8 + 32;
/// Most keys in a keyring.
pub const MAX_KEYS: usize = 1024;
/// Most memory that opening a keyring may take, in KiB: a file from elsewhere cannot ask for more.
pub const MAX_MEMORY_KIB: u32 = 1 << 20;
/// Most passes that opening a keyring may take.
pub const MAX_PASSES: u32 = 64;

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

/// A key in the keyring.
#[derive(Debug)]
pub struct KeyEntry {
    /// The key.
    pub key: TenantKey,
    /// When it was made, in seconds since 1970.
    pub created_unix_s: u64,
}

/// Tenant keys; the last is the one that new galleries are made under.
#[derive(Debug, Default)]
pub struct Keyring {
    entries: Vec<KeyEntry>,
}

impl Keyring {
    /// A keyring with one key.
    pub fn new(key: TenantKey, created_unix_s: u64) -> Self {
        Self { entries: vec![KeyEntry { key, created_unix_s }] }
    }

    /// The keys, oldest first.
    pub fn entries(&self) -> &[KeyEntry] {
        &self.entries
    }

    /// The key that new galleries are made under.
    ///
    /// # Errors
    /// [`Error::KeyringEntry`] if the keyring is empty.
    pub fn current(&self) -> Result<&TenantKey, Error> {
        Ok(&self.entries.last().ok_or(Error::KeyringEntry("it holds no key"))?.key)
    }

    /// The key of an id.
    pub fn find(&self, id: KeyId) -> Option<&TenantKey> {
        self.entries.iter().map(|entry| &entry.key).find(|key| key.id() == id)
    }

    /// Adds a key.
    ///
    /// # Errors
    /// [`Error::KeyringEntry`] if it is there already or the keyring is full.
    pub fn add(&mut self, key: TenantKey, created_unix_s: u64) -> Result<(), Error> {
        if self.find(key.id()).is_some() {
            return Err(Error::KeyringEntry("the key is in it already"));
        }
        if self.entries.len() == MAX_KEYS {
            return Err(Error::KeyringEntry("it is full"));
        }
        self.entries.push(KeyEntry { key, created_unix_s });
        Ok(())
    }

    /// Adds the keys of another keyring that are not here yet. Returns how many.
    pub fn merge(&mut self, other: Self) -> Result<usize, Error> {
        let mut added = 0;
        for entry in other.entries {
            if self.find(entry.key.id()).is_none() {
                self.add(entry.key, entry.created_unix_s)?;
                added += 1;
            }
        }
        Ok(added)
    }

    /// Seals the keyring under a passphrase.
    ///
    /// # Errors
    /// [`Error::KeyDerivation`] for a cost that Argon2 does not allow, or no OS randomness.
    pub fn seal(&self, passphrase: &[u8], cost: Cost) -> Result<Vec<u8>, Error> {
        let mut plain = Zeroizing::new(Vec::with_capacity(4 + self.entries.len() * ENTRY_BYTES));
        plain.extend_from_slice(&(self.entries.len() as u32).to_le_bytes());
        for entry in &self.entries {
            plain.extend_from_slice(&entry.created_unix_s.to_le_bytes());
            plain.extend_from_slice(entry.key.secret().expose());
        }
        let mut file = MAGIC.to_vec();
        for field in [cost.memory_kib, cost.passes, cost.lanes] {
            file.extend_from_slice(&field.to_le_bytes());
        }
        let salt = random::bytes::<SALT_BYTES>()?;
        file.extend_from_slice(&salt);
        let sealed = wrapping_key(passphrase, &salt, cost)?.seal(&file, &plain)?;
        file.extend_from_slice(&sealed);
        Ok(file)
    }

    /// Opens a sealed keyring.
    ///
    /// # Errors
    /// [`Error::Keyring`] if it is not one; [`Error::Passphrase`] if the passphrase is wrong or the file altered.
    pub fn open(file: &[u8], passphrase: &[u8]) -> Result<Self, Error> {
        let (header, sealed) =
            file.split_at_checked(HEADER_BYTES).ok_or(Error::Keyring("it is too short"))?;
        if &header[..8] != MAGIC {
            return Err(Error::Keyring("it does not begin with TYTOKEY1"));
        }
        let field = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("four bytes"));
        let cost = Cost { memory_kib: field(8), passes: field(12), lanes: field(16) };
        if cost.memory_kib > MAX_MEMORY_KIB || cost.passes > MAX_PASSES || cost.lanes > 64 {
            return Err(Error::Keyring("its Argon2id cost is over the limit"));
        }
        let key = wrapping_key(passphrase, &header[20..], cost)?;
        let plain = key.open(header, sealed).map_err(|_| Error::Passphrase)?;
        let (count, entries) = plain.split_first_chunk().ok_or(Error::Keyring("it is too short"))?;
        let count = u32::from_le_bytes(*count) as usize;
        if count > MAX_KEYS || entries.len() != count * ENTRY_BYTES {
            return Err(Error::Keyring("its length is wrong"));
        }
        let entry = |bytes: &[u8]| {
            let (created, key) = bytes.split_first_chunk().expect("an entry has its length");
            KeyEntry {
                key: TenantKey::from_secret(Secret32::from_fn(|out| out.copy_from_slice(key))),
                created_unix_s: u64::from_le_bytes(*created),
            }
        };
        Ok(Self { entries: entries.chunks_exact(ENTRY_BYTES).map(entry).collect() })
    }
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
    fn a_keyring_opens_with_its_passphrase_alone() {
        let key = TenantKey::generate().unwrap();
        let id = key.id();
        let mut keyring = Keyring::new(key, 1_700_000_000);
        keyring.add(TenantKey::generate().unwrap(), 1_800_000_000).unwrap();
        let file = keyring.seal(b"correct horse", CHEAP).unwrap();
        let opened = Keyring::open(&file, b"correct horse").unwrap();
        assert_eq!(opened.entries().len(), 2);
        assert_eq!(opened.entries()[0].created_unix_s, 1_700_000_000);
        assert!(opened.find(id).is_some() && opened.current().unwrap().id() != id);
        assert!(matches!(Keyring::open(&file, b"correct horsf"), Err(Error::Passphrase)));
        for at in 0..file.len() {
            let mut altered = file.clone();
            altered[at] ^= 1;
            assert!(Keyring::open(&altered, b"correct horse").is_err(), "byte {at}");
        }
        assert!(matches!(Keyring::open(&file[..30], b""), Err(Error::Keyring(_))));
    }

    #[test]
    fn a_file_cannot_ask_for_more_memory_than_the_limit() {
        let mut file = Keyring::default().seal(b"", CHEAP).unwrap();
        file[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(matches!(Keyring::open(&file, b""), Err(Error::Keyring(_))));
    }

    #[test]
    fn keys_are_added_once_and_merged() {
        let key = TenantKey::generate().unwrap();
        let mut keyring = Keyring::new(key.duplicate(), 1);
        assert!(matches!(keyring.add(key.duplicate(), 2), Err(Error::KeyringEntry(_))));
        let mut other = Keyring::new(TenantKey::generate().unwrap(), 3);
        other.add(key, 4).unwrap();
        assert_eq!(keyring.merge(other).unwrap(), 1);
        assert_eq!(keyring.entries().len(), 2);
        assert!(Keyring::default().current().is_err());
    }

    #[test]
    fn debug_shows_no_key() {
        let keyring = Keyring::new(TenantKey::from_secret(Secret32::from_bytes([0xab; 32])), 7);
        assert!(!format!("{keyring:?}").contains("171") && format!("{keyring:?}").contains("redacted"));
    }
}
