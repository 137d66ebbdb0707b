pub(crate) mod crash;
mod format;
mod golden;
mod keys;

use crate::{Cost, Kek, Passphrase, PassphraseSource};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const CHEAP: Cost = Cost { memory_kib: 64, passes: 1, lanes: 1 };
const NOW: u64 = 1_790_000_000_000;

/// A data directory, and beside it files with passphrases.
struct World {
    root: TempDir,
}

impl World {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("data")).unwrap();
        Self { root }
    }

    fn data(&self) -> PathBuf {
        self.root.path().join("data")
    }

    fn kek(&self, passphrase: &str) -> Kek {
        let path = self.root.path().join(passphrase.replace(' ', "-"));
        fs::write(&path, passphrase).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        Kek::Passphrase(Passphrase { source: PassphraseSource::File(path), cost: CHEAP })
    }
}

/// What lies in a directory, sorted.
fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
