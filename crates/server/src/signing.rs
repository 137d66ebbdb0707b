//! Private files of the data directory: keys that are not wrapped, and what else is the owner's alone.

use crate::Error;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use tyto_keystore::{PrivateKey, Purpose};
use zeroize::Zeroizing;

/// A private file of the data directory.
#[derive(Clone, Copy)]
pub(crate) struct Named {
    pub(crate) name: &'static str,
    /// More than what belongs there takes.
    pub(crate) max_bytes: u64,
}

/// Reads the plain key of a data directory, or makes one at the first start.
///
/// The file is PKCS#8 DER, readable by its owner alone. It is not wrapped: whoever reads the disk can sign.
pub(crate) fn load_or_create(data_dir: &Path, purpose: Purpose) -> Result<PrivateKey, Error> {
    let file = Named { name: purpose.plain_file_name(), max_bytes: 1024 };
    let make = || Ok(PrivateKey::generate(purpose)?.to_pkcs8()?);
    load_or_create_file(data_dir, file, make, |der| Ok(PrivateKey::from_pkcs8(purpose, der)?))
}

/// Reads a private file, or makes one that is its owner's alone.
pub(crate) fn load_or_create_file<T>(
    data_dir: &Path,
    file: Named,
    make: impl FnOnce() -> Result<Zeroizing<Vec<u8>>, Error>,
    parse: impl FnOnce(&[u8]) -> Result<T, Error>,
) -> Result<T, Error> {
    let path = data_dir.join(file.name);
    let bytes = match read(&path, file.max_bytes) {
        Err(Error::PrivateFile { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            create(data_dir, &path, &make()?)?;
            read(&path, file.max_bytes)?
        }
        other => other?,
    };
    parse(&bytes)
}

fn failed(action: &'static str, path: &Path) -> impl Fn(io::Error) -> Error {
    move |source| Error::PrivateFile { action, path: path.to_owned(), source }
}

fn read(path: &Path, max_bytes: u64) -> Result<Zeroizing<Vec<u8>>, Error> {
    let failed = failed("read", path);
    let size = fs::metadata(path).map_err(&failed)?.len();
    if size > max_bytes {
        return Err(failed(io::Error::new(
            io::ErrorKind::InvalidData,
            "it is too large to be what belongs there",
        )));
    }
    Ok(Zeroizing::new(fs::read(path).map_err(&failed)?))
}

/// Writes a new file under another name, synced, and links it into place: two processes that start at the same time
/// end up with one, and a crash leaves none or a whole one.
fn create(data_dir: &Path, path: &Path, bytes: &[u8]) -> Result<(), Error> {
    DirBuilder::new().recursive(true).mode(0o700).create(data_dir).map_err(failed("create", data_dir))?;
    let temporary = unique(path);
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        match fs::hard_link(&temporary, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            other => other,
        }?;
        File::open(data_dir)?.sync_all()
    };
    let written = write().map_err(failed("write", path));
    // Left behind only if this fails too, and then it is as well protected as the file itself.
    let _ = fs::remove_file(&temporary);
    written
}

fn unique(path: &Path) -> PathBuf {
    path.with_extension(format!("new-{}", std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const FILE: &str = "signing-key.p8";

    #[test]
    fn the_key_is_made_once_and_is_its_owners_alone() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let first = load_or_create(&data, Purpose::Attestation).unwrap();
        let again = load_or_create(&data, Purpose::Attestation).unwrap();
        assert_eq!(first.public_key(), again.public_key());
        let mode = fs::metadata(data.join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(&data).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn a_damaged_key_is_refused_and_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), b"not a key").unwrap();
        assert!(load_or_create(dir.path(), Purpose::Attestation).is_err());
        assert_eq!(fs::read(dir.path().join(FILE)).unwrap(), b"not a key");
    }
}
