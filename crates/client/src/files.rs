//! Files that are written whole or not at all.

use crate::Error;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Who may read a file that is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readers {
    /// Its owner alone.
    Owner,
    /// Whoever the process lets (its umask).
    Everyone,
}

impl Readers {
    fn mode(self) -> u32 {
        match self {
            Self::Owner => 0o600,
            Self::Everyone => 0o644,
        }
    }
}

/// Reads a file of at most `max_bytes`.
///
/// # Errors
/// [`Error::File`]; [`Error::StateFile`] if it is larger.
pub(crate) fn read_limited(path: &Path, max_bytes: u64) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(Error::file(path))?;
    file.take(max_bytes + 1).read_to_end(&mut bytes).map_err(Error::file(path))?;
    if bytes.len() as u64 > max_bytes {
        return Err(Error::StateFile { path: path.to_owned() });
    }
    Ok(bytes)
}

/// Reads a file, or nothing if there is none.
pub(crate) fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some).map_err(Error::file(path)),
    }
}

/// Waits until nobody else changes a file; held until it is dropped. What another process added in between would
/// otherwise be lost. The lock has a file of its own beside it, since the file itself is replaced.
pub(crate) fn lock(path: &Path) -> Result<File, Error> {
    let mut name = path.file_name().map(OsString::from).unwrap_or_default();
    name.push(".lock");
    lock_by(&path.with_file_name(name))
}

/// The same by a lock file of any name.
pub(crate) fn lock_by(path: &Path) -> Result<File, Error> {
    let file = open_lock(path)?;
    file.lock().map_err(Error::file(path))?;
    Ok(file)
}

/// Opens a lock file, or makes it.
pub(crate) fn open_lock(path: &Path) -> Result<File, Error> {
    let mut options = OpenOptions::new();
    let options = options.create(true).truncate(false).write(true).mode(0o600);
    options.open(path).map_err(Error::file(path))
}

/// Writes a file that is not there yet: whole or not at all.
///
/// # Errors
/// [`Error::FileExists`], [`Error::File`].
pub(crate) fn write_new(path: &Path, bytes: &[u8], readers: Readers) -> Result<(), Error> {
    let temporary = write_temporary(path, bytes, readers, true)?;
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
pub(crate) fn write_atomic(path: &Path, bytes: &[u8], readers: Readers) -> Result<(), Error> {
    let temporary = write_temporary(path, bytes, readers, true)?;
    fs::rename(&temporary, path).and_then(|()| sync_directory(path)).map_err(|error| {
        // Best effort: what remains is readable by nobody whom the file is not for.
        let _ = fs::remove_file(&temporary);
        Error::file(path)(error)
    })
}

/// Writes a file beside another.
pub(crate) fn write_temporary(
    path: &Path,
    bytes: &[u8],
    readers: Readers,
    durable: bool,
) -> Result<PathBuf, Error> {
    let suffix = u64::from_le_bytes(tyto_pqc::random::bytes().map_err(tyto_tenant::Error::from)?);
    let mut name = path.file_name().map(OsString::from).unwrap_or_default();
    name.push(format!(".{suffix:016x}.tmp"));
    let temporary = path.with_file_name(name);
    // A file or a link that somebody else left under this name is neither written to nor removed.
    let mut options = OpenOptions::new();
    let options = options.write(true).mode(readers.mode()).create_new(true);
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
fn sync_directory(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.map_or_else(|| PathBuf::from("."), Path::to_owned))?.sync_all()
}
