//! Signing keys that people keep in a file under a passphrase: the offline key of a trust root, and the key of a
//! tenant's decisions.
//!
//! A [sealed file](tyto_tenant::passphrase) whose plaintext is the key in PKCS#8.

use crate::Error;
use crate::files::{Readers, read_limited, write_new};
use std::path::Path;
use tyto_pqc::slhdsa::ParameterSet;
use tyto_pqc::{mldsa, slhdsa};
use tyto_tenant::passphrase::{self, Cost, Sealed};

/// Most bytes of such a file: every key has less than 300.
pub const MAX_SIGNING_KEY_BYTES: u64 = 4 << 10;

/// Makes the offline key of a trust root in a new file.
///
/// # Errors
/// [`Error::FileExists`]: an existing file is never overwritten; [`Error::Tenant`] for a set that cannot sign.
pub fn create_root_key(
    path: &Path,
    key: &slhdsa::SigningKey,
    passphrase: &[u8],
    cost: Cost,
) -> Result<(), Error> {
    let plain = key.to_pkcs8().map_err(tyto_tenant::Error::from)?;
    write_new(path, &passphrase::seal(Sealed::RootKey, &plain, passphrase, cost)?, Readers::Owner)
}

/// Opens the offline key of a trust root. Takes as long as its Argon2id cost says.
///
/// # Errors
/// [`Error::File`]; [`Error::Tenant`] if the passphrase is wrong or the file is none of this kind.
pub fn open_root_key(path: &Path, passphrase: &[u8]) -> Result<slhdsa::SigningKey, Error> {
    let plain = passphrase::open(Sealed::RootKey, &read_limited(path, MAX_SIGNING_KEY_BYTES)?, passphrase)?;
    let read = |set| slhdsa::SigningKey::from_pkcs8(set, &plain).ok();
    let problem = "the key in it is of an unknown algorithm";
    let unknown = tyto_tenant::Error::SealedFile { content: Sealed::RootKey, problem };
    Ok(ParameterSet::ALL.into_iter().find_map(read).ok_or(unknown)?)
}

/// Makes a key for decisions in a new file.
///
/// # Errors
/// [`Error::FileExists`]: an existing file is never overwritten.
pub fn create_decision_key(path: &Path, passphrase: &[u8], cost: Cost) -> Result<mldsa::SigningKey, Error> {
    let key = mldsa::SigningKey::generate().map_err(tyto_tenant::Error::from)?;
    let plain = key.to_pkcs8().map_err(tyto_tenant::Error::from)?;
    write_new(path, &passphrase::seal(Sealed::DecisionKey, &plain, passphrase, cost)?, Readers::Owner)?;
    Ok(key)
}

/// Opens a key for decisions. Takes as long as its Argon2id cost says.
///
/// # Errors
/// As [`open_root_key`].
pub fn open_decision_key(path: &Path, passphrase: &[u8]) -> Result<mldsa::SigningKey, Error> {
    let sealed = read_limited(path, MAX_SIGNING_KEY_BYTES)?;
    let plain = passphrase::open(Sealed::DecisionKey, &sealed, passphrase)?;
    Ok(mldsa::SigningKey::from_pkcs8(&plain).map_err(tyto_tenant::Error::from)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    const CHEAP: Cost = Cost { memory_kib: 64, passes: 1, lanes: 1 };

    #[test]
    fn keys_come_back_as_what_they_are() {
        let directory = tempfile::tempdir().unwrap();
        let [root, decision] = ["root", "decision"].map(|name| directory.path().join(name));
        for set in [ParameterSet::Shake128f, ParameterSet::Shake192f] {
            let path = root.with_extension(set.name());
            let key = slhdsa::SigningKey::generate(set).unwrap();
            create_root_key(&path, &key, b"one", CHEAP).unwrap();
            let opened = open_root_key(&path, b"one").unwrap();
            assert_eq!(opened.verifying_key(), key.verifying_key());
            assert!(matches!(create_root_key(&path, &key, b"one", CHEAP), Err(Error::FileExists { .. })));
            assert!(matches!(open_decision_key(&path, b"one"), Err(Error::Tenant(_))));
        }
        let key = create_decision_key(&decision, b"two", CHEAP).unwrap();
        assert_eq!(open_decision_key(&decision, b"two").unwrap().verifying_key(), key.verifying_key());
        assert_eq!(decision.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let wrong = open_decision_key(&decision, b"one");
        assert!(matches!(wrong, Err(Error::Tenant(tyto_tenant::Error::Passphrase))));
    }
}
