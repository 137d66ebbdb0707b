//! Trust-root files: each change makes the next version, and takes nothing back.

use crate::Error;
use crate::files::{Readers, lock, read_limited, write_atomic, write_new};
use std::fs::File;
use std::path::{Path, PathBuf};
use tyto_attest::{MAX_TRUST_ROOT_BYTES, TrustRoot};
use tyto_pqc::slhdsa::SigningKey;

/// Signs the first version of a list and writes it into a new file, which everyone may read.
///
/// # Errors
/// [`Error::FileExists`], [`Error::File`]; [`Error::Attestation`] if the list breaks a rule.
pub fn create(path: &Path, root: &TrustRoot, key: &SigningKey) -> Result<(), Error> {
    write_new(path, &root.sign(key, None)?, Readers::Everyone)
}

/// A trust-root file that no other process changes as long as this is held.
#[derive(Debug)]
pub struct TrustRootFile {
    path: PathBuf,
    current: TrustRoot,
    _turn: File,
}

impl TrustRootFile {
    /// Opens a file to change it: waits until nobody else does.
    ///
    /// # Errors
    /// [`Error::File`]; [`Error::Attestation`] as [`TrustRoot::open`], without a pinned key.
    pub fn open(path: &Path) -> Result<Self, Error> {
        // Before the lock's file is made beside one that is not there.
        File::open(path).map_err(Error::file(path))?;
        let turn = lock(path)?;
        let bytes = read_limited(path, MAX_TRUST_ROOT_BYTES as u64)?;
        Ok(Self { path: path.to_owned(), current: TrustRoot::open(&bytes, None)?, _turn: turn })
    }

    /// The list as it is.
    pub fn current(&self) -> &TrustRoot {
        &self.current
    }

    /// Signs the next version and puts it in the place of the present one: whole or not at all. `previous` is the root
    /// key that was replaced in it, if one was.
    ///
    /// # Errors
    /// [`Error::Attestation`] as [`TrustRoot::sign`] and [`TrustRoot::update`]: a version that is not newer, or takes
    /// something back, is not written; [`Error::File`].
    pub fn replace(
        self,
        next: &TrustRoot,
        key: &SigningKey,
        previous: Option<&SigningKey>,
    ) -> Result<(), Error> {
        let signed = next.sign(key, previous)?;
        self.current.update(&signed)?;
        write_atomic(&self.path, &signed, Readers::Everyone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tyto_attest::{KeyRecord, Purpose, Revocation, RevocationReason};
    use tyto_pqc::mldsa;
    use tyto_pqc::slhdsa::ParameterSet;

    fn root_key() -> SigningKey {
        SigningKey::generate(ParameterSet::Shake128f).unwrap()
    }

    #[test]
    fn versions_follow_each_other_and_take_nothing_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("roots");
        assert!(matches!(TrustRootFile::open(&path), Err(Error::File { .. })));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);

        let (key, other) = (root_key(), root_key());
        let first = TrustRoot::new("tyto".into(), 1000, key.verifying_key().clone());
        create(&path, &first, &key).unwrap();
        assert!(matches!(create(&path, &first, &key), Err(Error::FileExists { .. })));

        let signer = mldsa::SigningKey::generate().unwrap();
        let record = KeyRecord {
            key: signer.verifying_key().clone().into(),
            purpose: Purpose::Attestation,
            log_id: None,
            name: "server".into(),
            valid_from_unix_ms: 500,
            valid_until_unix_ms: None,
            revocation: Some(Revocation { revoked_at_unix_ms: 900, reason: RevocationReason::Unspecified }),
        };
        let change = |next: &dyn Fn(&mut TrustRoot), key: &SigningKey, previous: Option<&SigningKey>| {
            let file = TrustRootFile::open(&path).unwrap();
            let mut list = file.current().next_version(2000);
            next(&mut list);
            file.replace(&list, key, previous)
        };
        let version = || TrustRootFile::open(&path).unwrap().current().version;
        let insert = |record: &KeyRecord| {
            let record = record.clone();
            move |list: &mut TrustRoot| drop(list.insert(record.clone()))
        };
        change(&insert(&record), &key, None).unwrap();
        assert_eq!(version(), 2);
        let pardoned = KeyRecord { revocation: None, ..record.clone() };
        for (change, check) in [
            (change(&insert(&pardoned), &key, None), "root-regression"),
            (change(&|list| list.version -= 1, &key, None), "root-version"),
            (change(&|_| (), &other, None), "key-id"),
            (change(&|list| list.rotate(other.verifying_key().clone()), &other, None), "key-id"),
        ] {
            let Err(Error::Attestation(error)) = change else { panic!("{check}: {change:?}") };
            assert_eq!((error.check(), version()), (check, 2));
        }
        change(&|list| list.rotate(other.verifying_key().clone()), &other, Some(&key)).unwrap();
        change(&|_| (), &other, None).unwrap();
        let last = TrustRootFile::open(&path).unwrap();
        assert_eq!((last.current().version, last.current().root_key()), (4, other.verifying_key()));
        assert_eq!(last.current().get(&record.key_id()), Some(&record));
    }
}
