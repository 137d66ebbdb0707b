//! The server in a process of its own: what it serves with is measured, and none of it is linked here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::Error;

/// How long the server may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// What the server says before its address.
const ANNOUNCEMENT: &str = "tytod listens on ";
/// Longest last word of a server that is repeated.
const MAX_SAID_CHARS: usize = 300;

/// A running server with an empty temporary directory. It ends with this value, whatever happens.
pub(super) struct Tytod {
    child: Child,
    /// Where it listens.
    pub(super) endpoint: String,
    /// Kept open, so that it can write.
    _stdout: BufReader<ChildStdout>,
    _directory: TempDir,
}

impl Tytod {
    /// The binary that was named, or the one beside this program. Else why there is none.
    pub(super) fn find(named: Option<&Path>) -> Result<PathBuf, String> {
        if let Some(path) = named {
            return Ok(path.to_owned());
        }
        let name = format!("tytod{}", std::env::consts::EXE_SUFFIX);
        let this = std::env::current_exe()
            .map_err(|error| format!("this program does not know where it lies: {error}"))?;
        let beside = this.with_file_name(name);
        if beside.is_file() {
            Ok(beside)
        } else {
            Err(format!("there is no {}; name one with --tytod PATH", beside.display()))
        }
    }

    /// Starts it on a free loopback port.
    ///
    /// # Errors
    /// [`Error::Tytod`], [`Error::Write`].
    pub(super) async fn start(path: &Path) -> Result<Self, Error> {
        let directory = tempfile::tempdir();
        let directory = directory.map_err(|source| Error::Write { path: std::env::temp_dir(), source })?;
        let log = directory.path().join("log");
        let failed = |source| Error::Tytod { path: path.to_owned(), said: None, source: Some(source) };
        let mut command = Command::new(path);
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--log", "warn", "--data-dir"])
            .arg(directory.path().join("data"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&log).map_err(failed)?)
            .kill_on_drop(true);
        // Settings for another server, and its configuration file, are not for this one.
        for variable in ["CONFIG", "DATA_DIR", "LISTEN", "ADMIN_LISTEN", "ISSUER", "LOG"] {
            command.env_remove(format!("TYTO_{variable}"));
        }
        let mut child = command.spawn().map_err(failed)?;
        let stdout = child.stdout.take().expect("the standard output is piped");
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        let announced = timeout(START_TIMEOUT, stdout.read_line(&mut line)).await;
        let address = line.trim().strip_prefix(ANNOUNCEMENT).filter(|_| matches!(announced, Ok(Ok(_))));
        match address.map(|address| format!("http://{address}")) {
            Some(endpoint) => Ok(Self { child, endpoint, _stdout: stdout, _directory: directory }),
            None => Err(Error::Tytod { path: path.to_owned(), said: last_line(&log), source: None }),
        }
    }

    /// Ends it and waits for its end.
    pub(super) async fn stop(mut self) {
        let _ = self.child.kill().await;
    }
}

fn last_line(log: &Path) -> Option<String> {
    let log = fs::read(log).ok()?;
    let log = String::from_utf8_lossy(&log);
    let last = log.lines().rfind(|line| !line.trim().is_empty())?;
    Some(last.chars().filter(|c| !c.is_control()).take(MAX_SAID_CHARS).collect())
}
