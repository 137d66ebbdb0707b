//! The keyring: tenant keys in a file that a passphrase seals.
//!
//! A [sealed file](crate::passphrase) whose plaintext is `count u32 || (created unix seconds u64 || key 32)*`,
//! little-endian. An exported keyring is the same file under its own passphrase.

use crate::Error;
use crate::key::TenantKey;
use crate::passphrase::{self, Cost, Sealed};
use tyto_pqc::Secret32;
use tyto_scheme::KeyId;
use zeroize::Zeroizing;

const ENTRY_BYTES: usize = 8 + 32;
/// Most keys in a keyring.
pub const MAX_KEYS: usize = 1024;

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
        passphrase::seal(Sealed::Keyring, &plain, passphrase, cost)
    }

    /// Opens a sealed keyring.
    ///
    /// # Errors
    /// [`Error::SealedFile`] if it is not one; [`Error::Passphrase`] if the passphrase is wrong or the file altered.
    pub fn open(file: &[u8], passphrase: &[u8]) -> Result<Self, Error> {
        let malformed = |problem| Error::SealedFile { content: Sealed::Keyring, problem };
        let plain = passphrase::open(Sealed::Keyring, file, passphrase)?;
        let (count, entries) = plain.split_first_chunk().ok_or(malformed("it is too short"))?;
        let count = u32::from_le_bytes(*count) as usize;
        if count > MAX_KEYS || entries.len() != count * ENTRY_BYTES {
            return Err(malformed("its length is wrong"));
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
        assert!(matches!(Keyring::open(&file[..30], b""), Err(Error::SealedFile { .. })));
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
