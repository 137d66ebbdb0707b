//! The server's signing key, and how it and other private files are kept in the data directory.

use crate::Error;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use tyto_attest::TrustedKeys;
use tyto_pqc::mldsa::SigningKey;
use zeroize::Zeroizing;

/// A private file of the data directory.
#[derive(Clone, Copy)]
pub(crate) struct Named {
    pub(crate) name: &'static str,
    /// More than what belongs there takes.
    pub(crate) max_bytes: u64,
}

/// An ML-DSA-65 key in PKCS#8 seed form.
const FILE: Named = Named { name: "signing-key.p8", max_bytes: 1024 };

/// Reads the key of a data directory, or makes one at the first start.
///
/// The file is PKCS#8 DER, readable by its owner alone. It is not wrapped: whoever reads the disk can sign. Keys
/// wrapped by a key-management service are future work.
pub(crate) fn load_or_create(data_dir: &Path) -> Result<SigningKey, Error> {
    let make = || SigningKey::generate()?.to_pkcs8();
    load_or_create_file(data_dir, FILE, make, |der| Ok(SigningKey::from_pkcs8(der)?))
}

/// Reads a private file, or makes one that is its owner's alone.
pub(crate) fn load_or_create_file<T>(
    data_dir: &Path,
    file: Named,
    make: impl FnOnce() -> Result<Zeroizing<Vec<u8>>, tyto_pqc::Error>,
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

/// The keys file that clients are given.
pub(crate) fn trusted_keys(key: &SigningKey) -> TrustedKeys {
    TrustedKeys::from_iter([key.verifying_key().clone()])
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

    #[test]
    fn the_key_is_made_once_and_is_its_owners_alone() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let first = load_or_create(&data).unwrap();
        let again = load_or_create(&data).unwrap();
        assert_eq!(first.verifying_key(), again.verifying_key());
        let mode = fs::metadata(data.join(FILE.name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(&data).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn a_damaged_key_is_refused_and_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE.name), b"not a key").unwrap();
        assert!(load_or_create(dir.path()).is_err());
        assert_eq!(fs::read(dir.path().join(FILE.name)).unwrap(), b"not a key");
    }
}
