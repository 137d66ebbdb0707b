//! A server process and the command line beside it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use tyto_client::keyring_file;
use tyto_client::tenant::passphrase::Cost;
use tyto_tests::Rng;
use tyto_tests::process::ServerProcess;

/// Coordinates of the embeddings in these tests.
pub(crate) const DIMENSION: usize = 16;
/// A cost that opens keyrings quickly; those that the command line makes have the recommended one.
const CHEAP: Cost = Cost { memory_kib: 64, passes: 1, lanes: 1 };

/// A server, a keyring, and a home directory for the command line.
pub(crate) struct Tyto {
    pub(crate) home: Home,
    pub(crate) server: ServerProcess,
}

/// A home directory.
pub(crate) struct Home {
    pub(crate) directory: TempDir,
    endpoint: String,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Done {
    /// The output as JSON, of a command that must have ended with `code`.
    pub(crate) fn json(&self, code: i32) -> Value {
        assert_eq!(self.code, code, "{self:?}");
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Checks the end of a command that failed: its code, a word of its message, and an empty output.
    pub(crate) fn refused(&self, code: i32, words: &str) {
        assert_eq!(self.code, code, "{self:?}");
        assert!(self.err.starts_with("error: ") && self.err.contains(words), "`{words}` in {self:?}");
        assert_eq!(self.out, "", "{self:?}");
    }
}

impl Home {
    /// Without any keyring, for a server at `endpoint`.
    pub(crate) fn new(endpoint: &str) -> Self {
        Self { directory: TempDir::new().unwrap(), endpoint: endpoint.to_owned() }
    }

    /// Makes the keyring of this home.
    pub(crate) fn with_keyring(self) -> Self {
        std::fs::create_dir(self.path(".tyto")).unwrap();
        keyring_file::create(&self.path(".tyto/keyring"), b"correct horse", CHEAP).unwrap();
        self
    }

    /// A path in the home.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// A command that is not started yet, with a clean environment and nothing to read.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tyto-under-test"));
        command.args(arguments).env_clear().env("HOME", self.directory.path()).stdin(Stdio::null());
        command.env("TYTO_ENDPOINT", &self.endpoint).env("TYTO_PASSPHRASE", "correct horse");
        command.current_dir(self.directory.path());
        command
    }

    /// Runs a command line; words are separated by single spaces.
    pub(crate) fn run(&self, line: &str) -> Done {
        finish(&mut self.command(line.split(' ')))
    }
}

/// Runs a command to its end.
pub(crate) fn finish(command: &mut Command) -> Done {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Done { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

impl Tyto {
    /// Starts a server and makes a keyring.
    pub(crate) fn start() -> Self {
        let home = Home::new("");
        let binary = env!("CARGO_BIN_EXE_tytod-under-test");
        let server = ServerProcess::start(binary, home.directory.path(), "127.0.0.1:0");
        let home = Home { endpoint: server.endpoint.clone(), ..home }.with_keyring();
        Self { home, server }
    }

    /// Another home of the same server.
    pub(crate) fn other_home(&self) -> Home {
        Home::new(&self.server.endpoint).with_keyring()
    }

    /// Runs a command line.
    pub(crate) fn run(&self, line: &str) -> Done {
        self.home.run(line)
    }

    /// Writes the server's signing key where clients find it.
    pub(crate) fn trusted_keys(&self) -> PathBuf {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tytod-under-test"));
        command.args(["key", "--data-dir"]).arg(self.home.path("server"));
        let done = finish(&mut command);
        assert_eq!(done.code, 0, "{done:?}");
        self.home.file("trusted-keys.txt", done.out)
    }
}

/// Rows of two images of each subject: a direction, and the same with some noise.
pub(crate) fn people(subjects: usize, seed: u64) -> Vec<Vec<f32>> {
    let mut rng = Rng(seed);
    let mut rows = Vec::new();
    for _ in 0..subjects {
        let first = rng.vector(DIMENSION);
        let noise = rng.vector(DIMENSION);
        rows.push(first.clone());
        rows.push(first.iter().zip(noise).map(|(value, noise)| value + 0.1 * noise).collect());
    }
    rows
}

/// An `.npy` file of little-endian `f32`, version 1.0.
pub(crate) fn npy(rows: &[Vec<f32>]) -> Vec<u8> {
    let shape = format!("({}, {})", rows.len(), rows[0].len());
    npy_of_shape(&shape, rows)
}

/// The same with another shape in its header.
pub(crate) fn npy_of_shape(shape: &str, rows: &[Vec<f32>]) -> Vec<u8> {
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend_from_slice(&(header.len() as u16).to_le_bytes());
    bytes.extend_from_slice(header.as_bytes());
    rows.iter().flatten().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()));
    bytes
}

/// A label file for [`people`].
pub(crate) fn labels(subjects: usize) -> String {
    let rows = (0..2 * subjects).map(|row| format!("{row},person {}\n", row / 2));
    "row,subject_id\n".to_owned() + &rows.collect::<String>()
}

/// Whether nothing at all is below a path.
pub(crate) fn is_absent(path: &Path) -> bool {
    !path.try_exists().unwrap()
}
