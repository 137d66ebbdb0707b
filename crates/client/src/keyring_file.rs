//! Keyring files: created, opened and saved whole or not at all, readable by their owner alone.

use crate::Error;
use crate::files::{Readers, lock, read_limited, write_atomic, write_new};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use tyto_tenant::TenantKey;
use tyto_tenant::keyring::Keyring;
use tyto_tenant::passphrase::Cost;

/// Most bytes of a keyring file: a full keyring has 41 KB.
pub const MAX_KEYRING_BYTES: u64 = 64 << 10;

/// Makes a keyring with one fresh key in a new file.
///
/// # Errors
/// [`Error::FileExists`]: an existing file is never overwritten, a lost key is lost data.
pub fn create(path: &Path, passphrase: &[u8], cost: Cost) -> Result<Keyring, Error> {
    let keyring = Keyring::new(TenantKey::generate()?, unix_seconds());
    write_new(path, &keyring.seal(passphrase, cost)?, Readers::Owner)?;
    Ok(keyring)
}

/// Opens a keyring file. Takes as long as its Argon2id cost says.
///
/// # Errors
/// [`Error::File`]; as [`Keyring::open`].
pub fn open(path: &Path, passphrase: &[u8]) -> Result<Keyring, Error> {
    Ok(Keyring::open(&read_limited(path, MAX_KEYRING_BYTES)?, passphrase)?)
}

/// Replaces a keyring file, or makes it.
///
/// # Errors
/// [`Error::File`]; the old file is then as it was.
pub fn save(path: &Path, keyring: &Keyring, passphrase: &[u8], cost: Cost) -> Result<(), Error> {
    write_atomic(path, &keyring.seal(passphrase, cost)?, Readers::Owner)
}

/// Adds a fresh key, which new galleries are made under from then on.
///
/// # Errors
/// As [`open`] and [`save`].
pub fn add_key(path: &Path, passphrase: &[u8], cost: Cost) -> Result<Keyring, Error> {
    let _turn = lock(path)?;
    let mut keyring = open(path, passphrase)?;
    keyring.add(TenantKey::generate()?, unix_seconds())?;
    save(path, &keyring, passphrase, cost)?;
    Ok(keyring)
}

/// Seals the file's keys under another passphrase.
///
/// # Errors
/// As [`open`] and [`save`].
pub fn change_passphrase(path: &Path, old: &[u8], new: &[u8], cost: Cost) -> Result<(), Error> {
    let _turn = lock(path)?;
    save(path, &open(path, old)?, new, cost)
}

/// Copies all keys into a new file under a passphrase of its own, to be carried elsewhere.
///
/// # Errors
/// As [`open`] and [`create`].
pub fn export(
    path: &Path,
    passphrase: &[u8],
    to: &Path,
    to_passphrase: &[u8],
    cost: Cost,
) -> Result<(), Error> {
    write_new(to, &open(path, passphrase)?.seal(to_passphrase, cost)?, Readers::Owner)
}

/// Adds the keys of an exported file that are not here yet. Returns how many; makes the keyring file if there is none.
///
/// # Errors
/// As [`open`] and [`save`].
pub fn import(
    path: &Path,
    passphrase: &[u8],
    from: &Path,
    from_passphrase: &[u8],
    cost: Cost,
) -> Result<usize, Error> {
    let exported = open(from, from_passphrase)?;
    let _turn = lock(path)?;
    let exists = path.try_exists().map_err(Error::file(path))?;
    let mut keyring = if exists { open(path, passphrase)? } else { Keyring::default() };
    let added = keyring.merge(exported)?;
    if added > 0 {
        save(path, &keyring, passphrase, cost)?;
    }
    Ok(added)
}

pub(crate) fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    const CHEAP: Cost = Cost { memory_kib: 64, passes: 1, lanes: 1 };

    #[test]
    fn keyrings_are_made_once_private_and_travel_by_export() {
        let directory = tempfile::tempdir().unwrap();
        let [here, there, box_] = ["here", "there", "box"].map(|name| directory.path().join(name));
        let id = create(&here, b"one", CHEAP).unwrap().current().unwrap().id();
        assert!(matches!(create(&here, b"one", CHEAP), Err(Error::FileExists { .. })));
        assert_eq!(fs::metadata(&here).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(open(&here, b"two"), Err(Error::Tenant(tyto_tenant::Error::Passphrase))));

        let newer = add_key(&here, b"one", CHEAP).unwrap().current().unwrap().id();
        assert_ne!(newer, id);
        export(&here, b"one", &box_, b"box", CHEAP).unwrap();
        assert!(matches!(export(&here, b"one", &box_, b"box", CHEAP), Err(Error::FileExists { .. })));
        assert_eq!(import(&there, b"two", &box_, b"box", CHEAP).unwrap(), 2);
        assert_eq!(import(&there, b"two", &box_, b"box", CHEAP).unwrap(), 0);
        let imported = open(&there, b"two").unwrap();
        assert!(imported.find(id).is_some() && imported.current().unwrap().id() == newer);

        change_passphrase(&here, b"one", b"three", CHEAP).unwrap();
        assert!(open(&here, b"one").is_err());
        assert!(open(&here, b"three").unwrap().find(id).is_some());
        let left: Vec<_> = fs::read_dir(directory.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert!(
            !left.iter().any(|name| name.to_string_lossy().ends_with(".tmp")),
            "no temporary file stays behind: {left:?}"
        );
    }

    #[test]
    fn keys_that_are_added_side_by_side_all_stay() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys");
        create(&path, b"one", CHEAP).unwrap();
        let add = || add_key(&path, b"one", CHEAP).unwrap().current().unwrap().id();
        let added: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(add)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let keyring = open(&path, b"one").unwrap();
        assert!(added.into_iter().all(|id| keyring.find(id).is_some()));
    }

    #[test]
    fn what_is_no_keyring_is_refused_before_it_is_read_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("large");
        fs::write(&path, vec![0; MAX_KEYRING_BYTES as usize + 1]).unwrap();
        assert!(matches!(open(&path, b""), Err(Error::StateFile { .. })));
        assert!(matches!(open(&directory.path().join("absent"), b""), Err(Error::File { .. })));
    }
}
