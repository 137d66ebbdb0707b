//! Keyring files: created, opened and saved whole or not at all, readable by their owner alone.

use crate::Error;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use tyto_tenant::TenantKey;
use tyto_tenant::keyring::{Cost, Keyring};

/// Most bytes of a keyring file: a full keyring has 41 KB.
pub const MAX_KEYRING_BYTES: u64 = 64 << 10;

/// Makes a keyring with one fresh key in a new file.
///
/// # Errors
/// [`Error::FileExists`]: an existing file is never overwritten, a lost key is lost data.
pub fn create(path: &Path, passphrase: &[u8], cost: Cost) -> Result<Keyring, Error> {
    let keyring = Keyring::new(TenantKey::generate()?, unix_seconds());
    write_new(path, &keyring.seal(passphrase, cost)?)?;
    Ok(keyring)
}

/// Opens a keyring file. Takes as long as its Argon2id cost says.
///
/// # Errors
/// [`Error::File`]; as [`Keyring::open`].
pub fn open(path: &Path, passphrase: &[u8]) -> Result<Keyring, Error> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(Error::file(path))?;
    file.take(MAX_KEYRING_BYTES + 1).read_to_end(&mut bytes).map_err(Error::file(path))?;
    if bytes.len() as u64 > MAX_KEYRING_BYTES {
        return Err(Error::StateFile { path: path.to_owned() });
    }
    Ok(Keyring::open(&bytes, passphrase)?)
}

/// Replaces a keyring file, or makes it.
///
/// # Errors
/// [`Error::File`]; the old file is then as it was.
pub fn save(path: &Path, keyring: &Keyring, passphrase: &[u8], cost: Cost) -> Result<(), Error> {
    write_atomic(path, &keyring.seal(passphrase, cost)?)
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
    write_new(to, &open(path, passphrase)?.seal(to_passphrase, cost)?)
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

/// Waits until nobody else changes the keyring file; held until it is dropped. A key that another process added in
/// between would otherwise be lost. The lock has a file of its own beside it, since the keyring's is replaced.
fn lock(path: &Path) -> Result<File, Error> {
    let mut name = path.file_name().map(OsString::from).unwrap_or_default();
    name.push(".lock");
    let path = path.with_file_name(name);
    let mut options = OpenOptions::new();
    let options = options.create(true).truncate(false).write(true).mode(0o600);
    let file = options.open(&path).map_err(Error::file(&path))?;
    file.lock().map_err(Error::file(&path))?;
    Ok(file)
}

fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let temporary = write_temporary(path, bytes, true)?;
    // A link, unlike a rename, never replaces what is there.
    let linked = fs::hard_link(&temporary, path);
    let removed = fs::remove_file(&temporary);
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(Error::FileExists { path: path.to_owned() })
        }
        linked => linked.and(removed).and_then(|()| sync_directory(path)).map_err(Error::file(path)),
    }
}

/// Writes beside the file, syncs, renames, syncs the directory: after a crash there is the old file or the new one.
pub(crate) fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let temporary = write_temporary(path, bytes, true)?;
    fs::rename(&temporary, path).and_then(|()| sync_directory(path)).map_err(|error| {
        // Best effort: what remains is a sealed file under a temporary name.
        let _ = fs::remove_file(&temporary);
        Error::file(path)(error)
    })
}

/// Writes a file beside another, readable by its owner alone.
pub(crate) fn write_temporary(path: &Path, bytes: &[u8], durable: bool) -> Result<PathBuf, Error> {
    let suffix = u64::from_le_bytes(tyto_pqc::random::bytes().map_err(tyto_tenant::Error::from)?);
    let mut name = path.file_name().map(OsString::from).unwrap_or_default();
    name.push(format!(".{suffix:016x}.tmp"));
    let temporary = path.with_file_name(name);
    // A file or a link that somebody else left under this name is neither written to nor removed.
    let mut options = OpenOptions::new();
    let options = options.write(true).mode(0o600).create_new(true);
    let mut file = options.open(&temporary).map_err(Error::file(&temporary))?;
    let written = (|| {
        file.write_all(bytes)?;
        if durable { file.sync_all() } else { Ok(()) }
    })();
    match written {
        Ok(()) => Ok(temporary),
        Err(error) => {
            let _ = fs::remove_file(&temporary);
            Err(Error::file(temporary)(error))
        }
    }
}

/// Makes a rename or a creation in the file's directory durable.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.map_or_else(|| PathBuf::from("."), Path::to_owned))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
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
