//! Key-encryption keys that Argon2id (RFC 9106) makes of a passphrase, and where the passphrase comes from.

use crate::Error;
use argon2::{Algorithm, Argon2, Params, Version};
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use tyto_pqc::Secret32;
use zeroize::Zeroizing;

/// Most memory that opening a keystore may take, in KiB: a file from elsewhere cannot ask for more.
pub const MAX_MEMORY_KIB: u32 = 1 << 20;
/// Most passes that opening a keystore may take.
pub const MAX_PASSES: u32 = 64;
/// Most lanes that a keystore may ask for.
pub const MAX_LANES: u32 = 64;
/// Most bytes of a passphrase.
const MAX_PASSPHRASE_BYTES: usize = 1024;
/// Least bytes of a passphrase: NIST SP 800-63B section 3.1.1.2 wants 8 characters of what a person has chosen.
const MIN_PASSPHRASE_BYTES: usize = 8;
pub(crate) const SALT_BYTES: usize = 16;
/// Where systemd puts the credentials of a unit.
const CREDENTIALS_DIRECTORY: &str = "CREDENTIALS_DIRECTORY";

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

    /// Checks the limits, before any memory is taken.
    pub(crate) fn check(self) -> Result<(), Error> {
        let limits = [
            ("memory (KiB)", self.memory_kib, MAX_MEMORY_KIB),
            ("passes", self.passes, MAX_PASSES),
            ("lanes", self.lanes, MAX_LANES),
        ];
        for (field, found, max) in limits {
            if found > max {
                return Err(Error::Cost { field, found, max });
            }
        }
        Ok(())
    }
}

/// Where a passphrase is read from, each time it is needed. Never the command line, which every user of a machine sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PassphraseSource {
    /// A file; a line end at its end does not count. Nobody but its owner and group may read it.
    File(PathBuf),
    /// A variable of the environment.
    Environment(String),
    /// A credential that systemd hands to the unit (`LoadCredential=`, `LoadCredentialEncrypted=`).
    Credential(String),
}

impl PassphraseSource {
    /// Reads it.
    ///
    /// # Errors
    /// [`Error::Passphrase`] names the source and what is wrong, [`Error::File`].
    pub(crate) fn read(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        let mut bytes = match self {
            Self::File(path) => self.read_file(path)?,
            Self::Environment(name) => {
                let value = std::env::var_os(name).ok_or_else(|| self.problem("it is not set"))?;
                Zeroizing::new(std::os::unix::ffi::OsStringExt::into_vec(value))
            }
            Self::Credential(name) => {
                if name.is_empty() || name.contains('/') || name.starts_with('.') {
                    return Err(self.problem("this is not the name of a credential"));
                }
                let directory = std::env::var_os(CREDENTIALS_DIRECTORY)
                    .ok_or_else(|| self.problem("systemd set no CREDENTIALS_DIRECTORY"))?;
                self.read_file(&Path::new(&directory).join(name))?
            }
        };
        if bytes.ends_with(b"\n") {
            bytes.pop();
            if bytes.ends_with(b"\r") {
                bytes.pop();
            }
        }
        match bytes.len() {
            ..MIN_PASSPHRASE_BYTES => Err(self.problem("it has less than 8 bytes")),
            MIN_PASSPHRASE_BYTES..=MAX_PASSPHRASE_BYTES => Ok(bytes),
            _ => Err(self.problem("it has more than 1024 bytes")),
        }
    }

    fn read_file(&self, path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
        let failed =
            |source| Error::File { action: "read the passphrase file", path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_file() && metadata.mode() & 0o007 != 0 {
            return Err(self.problem("everybody may read or write this file: chmod o= it"));
        }
        // At its final size from the start: growing would leave copies behind. Two more bytes for the end of the line.
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_PASSPHRASE_BYTES + 3));
        file.take(MAX_PASSPHRASE_BYTES as u64 + 3).read_to_end(&mut bytes).map_err(failed)?;
        Ok(bytes)
    }

    fn problem(&self, problem: &'static str) -> Error {
        let source_name = match self {
            Self::File(path) => format!("the file {}", path.display()),
            Self::Environment(name) => format!("the environment variable {name}"),
            Self::Credential(name) => format!("the systemd credential {name}"),
        };
        Error::Passphrase { source_name, problem }
    }
}

/// A passphrase, and what guessing it is to cost in files that are written with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passphrase {
    /// Where it comes from.
    pub source: PassphraseSource,
    /// The cost of new files; existing ones bring their own.
    pub cost: Cost,
}

impl Passphrase {
    /// A passphrase at the recommended cost.
    pub fn new(source: PassphraseSource) -> Self {
        Self { source, cost: Cost::RECOMMENDED }
    }

    /// The key that it gives with this salt. Takes as long as the cost says.
    pub(crate) fn key(&self, salt: &[u8; SALT_BYTES], cost: Cost) -> Result<Secret32, Error> {
        cost.check()?;
        let invalid = |_| Error::CostInvalid;
        let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32)).map_err(invalid)?;
        let passphrase = self.source.read()?;
        let mut derived = Ok(());
        let key = Secret32::from_fn(|out| {
            derived = Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_into(
                &passphrase,
                salt,
                out,
            );
        });
        derived.map_err(invalid)?;
        Ok(key)
    }
}
