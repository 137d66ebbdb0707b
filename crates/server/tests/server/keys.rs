//! Private keys at rest: wrapped, rotated, destroyed, rolled back, killed; and what the process shows of its memory.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tyto_api::attest::{Attest, AttestMode};
use tyto_attest::{Document, DocumentDigest, TrustedKeys};
use tyto_server::{Config, RunningServer, Server};

/// Nobody's account on every Linux.
const NOBODY: u32 = 65_534;

struct Site {
    root: TempDir,
}

impl Site {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    fn data(&self) -> PathBuf {
        self.root.path().join("data")
    }

    fn passphrase(&self, text: &str) -> PathBuf {
        let path = self.root.path().join(text.replace(' ', "-"));
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    fn tytod(&self, passphrase: Option<&Path>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tytod"));
        command.env_clear().env("TYTO_DATA_DIR", self.data());
        if let Some(path) = passphrase {
            command.env("TYTO_KEYS_PASSPHRASE_FILE", path);
        }
        command
    }

    /// Runs `tytod` with these words.
    fn run(&self, passphrase: Option<&Path>, words: &str) -> Output {
        self.tytod(passphrase).args(words.split(' ')).output().unwrap()
    }

    /// What `tytod` prints, once it has succeeded.
    fn done(&self, passphrase: Option<&Path>, words: &str) -> String {
        let output = self.run(passphrase, words);
        assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What `tytod` complains of.
    fn refused(&self, passphrase: Option<&Path>, words: &str) -> String {
        let output = self.run(passphrase, words);
        assert!(!output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8(output.stderr).unwrap()
    }

    fn config(&self, passphrase: Option<&Path>) -> Config {
        let mut config = Config::local(self.data());
        config.keys.passphrase_file = passphrase.map(Path::to_owned);
        config
    }

    async fn start(&self, passphrase: Option<&Path>) -> RunningServer {
        Server::start(self.config(passphrase)).await.unwrap()
    }

    fn has(&self, name: &str) -> bool {
        self.data().join(name).exists()
    }
}

async fn attested(server: &RunningServer) -> Vec<u8> {
    let document = Document { digest: DocumentDigest::Sha256([7; 32]), label: None };
    let request = Attest {
        mode: AttestMode::Immediate,
        audience: String::new(),
        nonce: [1; 32],
        documents: vec![document],
    };
    server.attest(request).await.unwrap().entries[0].to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_keys_are_wrapped_at_the_first_start_with_a_passphrase_and_stay_wrapped() {
    let site = Site::new();
    let server = site.start(None).await;
    let (keys, signed) = (server.trusted_keys().clone(), attested(&server).await);
    server.shutdown().await.unwrap();
    assert!(site.has("signing-key.p8") && site.has("log-key.p8"));
    let mut demanding = site.config(None);
    demanding.keys.wrapped = true;
    let refused = Server::start(demanding).await.err().unwrap().to_string();
    assert!(refused.contains("keys.wrapped"), "{refused}");

    let passphrase = site.passphrase("correct horse");
    let seed = fs::read(site.data().join("signing-key.p8")).unwrap();
    let server = site.start(Some(&passphrase)).await;
    assert_eq!(server.trusted_keys(), &keys);
    tyto_attest::verify_attestation(&signed, server.trusted_keys()).unwrap();
    server.shutdown().await.unwrap();
    assert!(!site.has("signing-key.p8") && !site.has("log-key.p8"));
    let seed = &seed[seed.len() - 32..];
    for entry in fs::read_dir(site.data()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = fs::read(&path).unwrap();
            assert!(!bytes.windows(32).any(|window| window == seed), "{} has the key", path.display());
        }
    }

    let without = Server::start(site.config(None)).await.err().unwrap().to_string();
    assert!(without.contains("are wrapped"), "{without}");
    let wrong =
        Server::start(site.config(Some(&site.passphrase("wrong horse")))).await.err().unwrap().to_string();
    assert_eq!(wrong, "the passphrase is wrong");
    assert!(!site.has("signing-key.p8"), "no other key is made");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_rotation_the_new_key_signs_and_the_old_one_verifies_also_when_it_is_destroyed() {
    let site = Site::new();
    let passphrase = site.passphrase("correct horse");
    let server = site.start(Some(&passphrase)).await;
    let (first, signed) = (server.trusted_keys().clone(), attested(&server).await);
    let busy = site.refused(Some(&passphrase), "keys rotate attestation");
    assert!(busy.contains("in use"), "{busy}");
    server.shutdown().await.unwrap();
    let saved = ["keystore", "keystore.mark"].map(|name| (name, fs::read(site.data().join(name)).unwrap()));

    let active = site.refused(Some(&passphrase), "keys destroy attestation 1");
    assert!(active.contains("is active"), "{active}");
    site.done(Some(&passphrase), "keys rotate attestation");
    let server = site.start(Some(&passphrase)).await;
    let both = server.trusted_keys().clone();
    assert_eq!(both.len(), 2);
    tyto_attest::verify_attestation(&signed, &both).unwrap();
    let newer = attested(&server).await;
    tyto_attest::verify_attestation(&newer, &both).unwrap();
    assert!(tyto_attest::verify_attestation(&newer, &first).is_err(), "the old key signs no more");
    server.shutdown().await.unwrap();

    site.done(Some(&passphrase), "keys destroy attestation 1");
    let status = site.done(Some(&passphrase), "keys status");
    assert!(
        status.contains("attestation 1: destroyed") && status.contains("attestation 2: active"),
        "{status}"
    );
    assert_eq!(TrustedKeys::parse(&site.done(Some(&passphrase), "key")).unwrap(), both);
    let secret = site.refused(Some(&passphrase), "keys export attestation 2 --to exported.p8");
    assert!(secret.contains("not made to be exported"), "{secret}");

    // Whoever puts back all files of the keystore, its mark included, is found out by the log.
    for (name, bytes) in saved {
        fs::write(site.data().join(name), bytes).unwrap();
    }
    let rolled_back = Server::start(site.config(Some(&passphrase))).await.err().unwrap().to_string();
    assert!(rolled_back.contains("rolled back"), "{rolled_back}");
}

#[test]
fn keys_leave_only_when_they_were_made_to() {
    let site = Site::new();
    let passphrase = site.passphrase("correct horse");
    site.done(Some(&passphrase), "key");
    site.done(Some(&passphrase), "keys rotate session --exportable");
    let to = site.root.path().join("exported.p8");
    let export = format!("keys export session 2 --to {}", to.display());
    site.done(Some(&passphrase), &export);
    assert_eq!(fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o600);
    let der = fs::read(&to).unwrap();
    let id = tyto_pqc::mldsa::SigningKey::from_pkcs8(&der).unwrap().verifying_key().key_id();
    let id = id.iter().fold(String::new(), |digits, byte| digits + &format!("{byte:02x}"));
    let status = site.done(None, "keys status");
    assert!(status.contains(&format!("session 2: active, exportable, key id {id}")), "{status}");
    assert!(status.contains("Nothing of this was verified"), "{status}");
    let again = site.refused(Some(&passphrase), &export);
    assert!(again.contains("cannot write"), "an existing file is not overwritten: {again}");
}

#[test]
fn passphrases_come_from_the_environment_and_from_systemd_too() {
    let site = Site::new();
    let passphrase = site.passphrase("correct horse");
    site.done(Some(&passphrase), "key");
    let file = site.root.path().join("tytod.toml");
    let status = |setting: &str, variable: (&str, &str)| {
        fs::write(&file, format!("[keys]\n{setting}\n")).unwrap();
        let mut command = site.tytod(None);
        let output = command
            .env(variable.0, variable.1)
            .args(["keys", "status", "--config"])
            .arg(&file)
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    };
    let (opened, text) = status("passphrase_env = 'SECRET'", ("SECRET", "correct horse"));
    assert!(opened && text.contains("everything is authentic"), "{text}");
    let credentials = site.root.path().join("credentials");
    fs::create_dir(&credentials).unwrap();
    symlink(&passphrase, credentials.join("tyto-keys")).unwrap();
    let (opened, text) = status(
        "passphrase_credential = 'tyto-keys'",
        ("CREDENTIALS_DIRECTORY", credentials.to_str().unwrap()),
    );
    assert!(opened && text.contains("everything is authentic"), "{text}");
    let (opened, text) = status("passphrase_env = 'SECRET'", ("SECRET", "planted words"));
    assert!(!opened && text.contains("the passphrase is wrong") && !text.contains("planted"), "{text}");
    let (opened, text) = status("passphrase_env = 'SECRET'", ("OTHER", "correct horse"));
    assert!(!opened && text.contains("SECRET: it is not set"), "{text}");
}

#[test]
fn a_rewrap_that_is_killed_at_any_time_leaves_the_keys_under_one_of_both_passphrases() {
    let site = Site::new();
    let passphrases = [site.passphrase("the first one"), site.passphrase("the second one")];
    let keys = site.done(Some(&passphrases[0]), "key");
    let (mut current, mut changes, rounds) = (0, 0, 12);
    for round in 0..rounds {
        let mut command = site.tytod(Some(&passphrases[current]));
        command.args(["keys", "rewrap", "--new-passphrase-file"]).arg(&passphrases[1 - current]);
        let mut child = command.stdout(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(60 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        let opened = [0, 1].map(|i| site.run(Some(&passphrases[i]), "keys status").status.success());
        assert!(opened[0] != opened[1], "round {round}: {opened:?}");
        let now = usize::from(opened[1]);
        changes += usize::from(now != current);
        current = now;
        assert_eq!(site.done(Some(&passphrases[current]), "key"), keys, "round {round}");
    }
    println!("{changes} of {rounds} rewraps came through before they were killed");
}

/// `tytod serve` of an account that is not root's, so that the kernel does not let everything pass.
struct Served {
    child: Child,
    dir: TempDir,
}

impl Served {
    fn start(core_dumps: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let binary = dir.path().join("tytod");
        fs::copy(env!("CARGO_BIN_EXE_tytod"), &binary).unwrap();
        let (config, data) = (dir.path().join("tytod.toml"), dir.path().join("data"));
        fs::write(&config, format!("listen = '127.0.0.1:0'\n[process]\ncore_dumps = {core_dumps}\n"))
            .unwrap();
        fs::create_dir(&data).unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = Command::new(&binary);
        command.args(["serve", "--config"]).arg(&config).arg("--data-dir").arg(&data).current_dir(&data);
        as_nobody(&mut command, &data);
        let mut child = command.env_clear().stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("listens on"), "{line}");
        Self { child, dir }
    }

    /// Whether another process of the same account may open this file of the process.
    fn readable(&self, name: &str) -> bool {
        let mut command = Command::new("head");
        command.args(["-c", "0"]).arg(format!("/proc/{}/{name}", self.child.id()));
        as_nobody(&mut command, self.dir.path());
        command.stderr(Stdio::null()).status().unwrap().success()
    }

    fn core_limit(&self) -> String {
        let limits = fs::read_to_string(format!("/proc/{}/limits", self.child.id())).unwrap();
        limits.lines().find(|line| line.starts_with("Max core file size")).unwrap().to_owned()
    }

    /// Whether the kernel made a core file of it when it was aborted.
    fn dumps_core(mut self) -> bool {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-ABRT", &id]).status().unwrap().success());
        let status = self.child.wait().unwrap();
        assert_eq!(status.signal(), Some(6));
        status.core_dumped()
    }
}

/// Lets a command run as nobody, if this process is root, and a directory belong to nobody.
fn as_nobody(command: &mut Command, directory: &Path) {
    if fs::metadata("/proc/self").is_ok_and(|metadata| std::os::unix::fs::MetadataExt::uid(&metadata) == 0) {
        command.uid(NOBODY).gid(NOBODY);
        std::os::unix::fs::chown(directory, Some(NOBODY), Some(NOBODY)).unwrap();
    }
}

#[test]
fn a_crash_leaves_no_core_file_and_nobody_reads_the_memory() {
    let guarded = Served::start(false);
    let limit = guarded.core_limit();
    assert_eq!(limit.split_whitespace().filter(|word| *word == "0").count(), 2, "{limit}");
    for name in ["mem", "maps", "environ"] {
        assert!(!guarded.readable(name), "/proc/<pid>/{name} can be read");
    }
    assert!(!guarded.dumps_core());

    // The same without the guard shows that the test can see what it looks for.
    let open = Served::start(true);
    for name in ["maps", "environ"] {
        assert!(open.readable(name), "/proc/<pid>/{name} cannot be read although core_dumps is set");
    }
    // Of a system that allows no core files at all, the limit above has to do.
    let may_dump = !open.core_limit().contains(" 0 ");
    println!("core files are possible here: {may_dump}");
    assert_eq!(open.dumps_core(), may_dump);
}

#[test]
fn the_memory_of_keys_is_locked_or_the_log_says_that_it_is_not() {
    let site = Site::new();
    let log = site.root.path().join("log");
    let mut child = site
        .tytod(None)
        .args(["serve", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let locked = status.lines().find_map(|line| line.strip_prefix("VmLck:")).unwrap();
    let locked_kib: u64 = locked.trim().trim_end_matches(" kB").parse().unwrap();
    let log = fs::read_to_string(&log).unwrap();
    println!("locked: {locked_kib} KiB");
    assert_eq!(locked_kib > 0, log.contains("the memory that holds keys is locked"), "{log}");
    assert_eq!(locked_kib == 0, log.contains("cannot be locked"), "{log}");
    assert!(log.contains("the private keys are not wrapped"), "{log}");
}
