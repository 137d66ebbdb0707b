//! The server in a process of its own, to be killed, measured and searched.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// `tytod` in a process of its own. It is killed, not asked, when this is dropped.
#[derive(Debug)]
pub struct ServerProcess {
    child: Child,
    /// Where it listens.
    pub endpoint: String,
    /// Where it serves its metrics, if it was asked to.
    pub metrics: Option<String>,
    /// What it logs.
    pub log: PathBuf,
}

impl ServerProcess {
    /// Starts `binary` with its data below `directory`, on `address` (port 0 for any).
    ///
    /// # Panics
    /// If it does not start.
    pub fn start(binary: &str, directory: &Path, address: &str) -> Self {
        Self::start_with(binary, directory, &["--listen", address, "--log", "trace,h2=info,hyper=info"])
    }

    /// The same on any port, with metrics, and with little in the log, to be measured.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start_with_metrics(binary: &str, directory: &Path) -> Self {
        let any = "127.0.0.1:0";
        Self::start_with(binary, directory, &["--listen", any, "--admin-listen", any, "--log", "warn"])
    }

    /// The same on any port with a configuration file of this content.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start_configured(binary: &str, directory: &Path, config: &str) -> Self {
        let path = directory.join("tytod.toml");
        fs::write(&path, config).expect("a configuration file");
        let path = path.to_str().expect("a path in UTF-8");
        Self::start_with(binary, directory, &["--listen", "127.0.0.1:0", "--log", "warn", "--config", path])
    }

    fn start_with(binary: &str, directory: &Path, options: &[&str]) -> Self {
        let log = directory.join("server.log");
        let append = File::options().create(true).append(true).open(&log).expect("a log file");
        let mut child = Command::new(binary)
            .arg("serve")
            .args(options)
            .arg("--data-dir")
            .arg(directory.join("server"))
            .stdout(Stdio::piped())
            .stderr(append)
            .spawn()
            .expect("the server starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let mut metrics = None;
        let endpoint = loop {
            let line = lines.next().expect("the server says where it listens").expect("readable output");
            match (line.strip_prefix("tytod serves metrics on "), line.strip_prefix("tytod listens on ")) {
                (Some(address), _) => metrics = Some(address.to_owned()),
                (_, Some(address)) => break format!("http://{address}"),
                _ => {}
            }
        };
        Self { child, endpoint, metrics, log }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The address it listens on, without scheme.
    pub fn address(&self) -> &str {
        self.endpoint.trim_start_matches("http://")
    }

    /// Kills it at once (SIGKILL) and waits for its end.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Resident memory now and at its peak, in bytes.
    ///
    /// # Panics
    /// If it does not run.
    pub fn memory(&self) -> (u64, u64) {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).expect("a running process");
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).expect("the field");
            let kib: u64 = line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number");
            kib * 1024
        };
        (field("VmRSS:"), field("VmHWM:"))
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        self.kill();
    }
}
