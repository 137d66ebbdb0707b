//! What a client keeps on disk: high-water marks, enrolment journals, and a cache of what it fetched.

mod cache;
mod changes;
mod journal;
mod log_memory;
mod marks;
mod server_log;

pub use changes::MAX_CHANGES_BYTES;

pub(crate) use cache::{Cache, CachedBlock, Staged};
pub(crate) use journal::Journal;
pub(crate) use log_memory::LogMemory;
pub(crate) use marks::{HighWater, Mark};

use crate::Error;
use std::fmt::Write as _;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use tyto_pqc::digest::sha3_256;
use tyto_scheme::GalleryId;

/// The state directory, readable by its owner alone.
#[derive(Clone, Debug)]
pub(crate) struct StateDir(PathBuf);

impl StateDir {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(Error::file(path))?;
        Ok(Self(path.to_owned()))
    }

    fn file(&self, gallery: GalleryId, extension: &str) -> PathBuf {
        self.0.join(format!("{gallery}.{extension}"))
    }

    /// Where the newest checkpoint of a log is.
    fn log_file(&self, log_id: &[u8; 32]) -> PathBuf {
        self.0.join(format!("log-{}.checkpoint", hex(log_id)))
    }

    /// Where it stands which log the server at an endpoint keeps.
    pub(crate) fn server_log_file(&self, endpoint: &str) -> PathBuf {
        self.0.join(format!("server-{}.log", hex(&sha3_256(&[endpoint.as_bytes()]))))
    }
}

/// Hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut digits, byte| {
        write!(digits, "{byte:02x}").expect("a string takes everything");
        digits
    })
}
