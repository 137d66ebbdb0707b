//! Server, client and their folders.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;
use tempfile::TempDir;
use tyto_cli::connection::{keyring_error, make_private_dir, read_limited, read_trusted_keys};
use tyto_cli::output::{bytes, count, write_file};
use tyto_cli::progress::Progress;
use tyto_client::attest::{AttestationFile, verify_file};
use tyto_client::scheme::{Layout, ParameterSet};
use tyto_client::tenant::Metric;
use tyto_client::tenant::passphrase::Cost;
use tyto_client::{Client, EnrolReport, GalleryHandle, keyring_file};
use tyto_server::{RunningServer, Server};

use crate::matching::Tested;
use crate::options::Options;
use crate::population::Population;
use crate::show::{fact, heading};

/// The passphrase if `TYTO_PASSPHRASE` is not set. It guards a key that nobody needs tomorrow.
const PASSPHRASE: &str = "quickstart";
/// Largest attestation file that is read back.
const MAX_FILE_BYTES: u64 = 256 << 20;

/// A server and a client that runs beside it.
pub(crate) struct Site {
    folders: Folders,
    server: RunningServer,
    pub(crate) client: Client,
    key: String,
}

/// Where everything lies.
pub(crate) struct Folders {
    root: PathBuf,
    /// The server's data directory.
    pub(crate) server: PathBuf,
    keyring: PathBuf,
    trusted_keys: PathBuf,
    attestation: PathBuf,
    /// Deletes the root when it is dropped.
    temporary: Option<TempDir>,
}

/// Two galleries of the same people.
pub(crate) struct Galleries {
    pub(crate) identification: GalleryHandle,
    pub(crate) verification: GalleryHandle,
    pub(crate) identification_enrolment: EnrolReport,
    pub(crate) verification_enrolment: EnrolReport,
}

impl Folders {
    fn new(options: &Options) -> anyhow::Result<Self> {
        let temporary = match &options.data_dir {
            Some(_) => None,
            None => Some(tempfile::Builder::new().prefix("tyto-").tempdir()?),
        };
        let root = match (&temporary, &options.data_dir) {
            (Some(folder), _) => folder.path().to_owned(),
            (None, path) => new_folder(path.as_deref().unwrap_or(Path::new(".")))?,
        };
        Ok(Self {
            server: root.join("server"),
            keyring: root.join("client").join("keyring"),
            trusted_keys: root.join("trusted-keys.txt"),
            attestation: root.join("identification.attestation"),
            root,
            temporary,
        })
    }

    /// Deletes what is temporary, or says how to go on.
    pub(crate) fn finish(self, options: &Options) {
        if !options.keep && self.temporary.is_some() {
            return;
        }
        let server = self.server.display();
        heading("how to go on");
        println!("  cargo run -p tyto-server --bin tytod -- serve --data-dir {server}\n");
        println!("  export TYTO_KEYRING={}", self.keyring.display());
        println!("  export TYTO_TRUSTED_KEYS={}", self.trusted_keys.display());
        if std::env::var_os("TYTO_PASSPHRASE").is_none() {
            println!("  export TYTO_PASSPHRASE={PASSPHRASE}");
        }
        println!("  cargo run -p tyto-cli --bin tyto -- gallery list");
        println!("  cargo run -p tyto-cli --bin tyto -- attest verify {}", self.attestation.display());
        if let Some(folder) = self.temporary {
            println!("\n  Everything lies in {}; delete it when you are done.", folder.keep().display());
        }
    }
}

impl Site {
    pub(crate) async fn open(options: &Options) -> anyhow::Result<Self> {
        let folders = Folders::new(options)?;
        let server = Server::start(tyto_server::Config::local(&folders.server)).await.context("server")?;
        write_file(&folders.trusted_keys, server.trusted_keys().to_text().as_bytes())?;

        make_private_dir(folders.keyring.parent().unwrap_or(&folders.root))?;
        let passphrase = std::env::var("TYTO_PASSPHRASE").unwrap_or_else(|_| PASSPHRASE.to_owned());
        let made = keyring_file::create(&folders.keyring, passphrase.as_bytes(), Cost::RECOMMENDED);
        let keyring = made.map_err(keyring_error(&folders.keyring))?;
        let key = keyring.current()?.id().to_string();

        let mut config = tyto_client::Config::new(format!("http://{}", server.local_addr()));
        let state = folders.keyring.with_file_name("state");
        make_private_dir(&state)?;
        config.state_dir = Some(state);
        config.trusted_keys = Some(read_trusted_keys(&folders.trusted_keys)?);
        "quickstart".clone_into(&mut config.audience);
        let client = Client::connect(config, keyring).await.map_err(tyto_cli::Error::from)?;
        Ok(Self { folders, server, client, key })
    }

    pub(crate) fn describe(&self) {
        heading("server and key");
        fact(
            "server",
            &format!("http://{}, data in {}", self.server.local_addr(), self.folders.root.display()),
        );
        fact("tenant key", &format!("{} (id; the key never leaves the client)", self.key));
    }

    pub(crate) async fn enrol(&self, population: &Population) -> anyhow::Result<Galleries> {
        heading("enrolment");
        let (set, dimension) = (ParameterSet::Exact41, population.data.embeddings().dimension() as u32);
        let layout = Layout::identification(set, dimension)?;
        let (identification, identification_enrolment) =
            self.enrol_one("quickstart 1:N", layout, population).await?;
        let layout = Layout::verification(set, dimension)?;
        let (verification, verification_enrolment) =
            self.enrol_one("quickstart 1:1", layout, population).await?;
        Ok(Galleries { identification, verification, identification_enrolment, verification_enrolment })
    }

    async fn enrol_one(
        &self,
        name: &str,
        layout: Layout,
        population: &Population,
    ) -> anyhow::Result<(GalleryHandle, EnrolReport)> {
        let begun = Instant::now();
        let gallery = self.client.create_gallery(name, layout, Metric::Cosine).await?;
        let people = &population.people;
        let items: Vec<_> = people
            .iter()
            .map(|person| (person.id.clone(), population.templates[person.reference].clone()))
            .collect();
        let bar = Progress::new(false).bar(people.len() as u64, "enrolling");
        let report = gallery.enrol(items, &|done| bar.set_position(done)).await?;
        bar.finish_and_clear();
        fact(
            name,
            &format!(
                "{}, stride {}: {} of {}, {} sent, {:.2} s",
                count(report.enrolled, "template"),
                layout.stride(),
                count(report.blocks_provisioned, "block"),
                layout.slots(),
                bytes(report.bytes_sent),
                begun.elapsed().as_secs_f64(),
            ),
        );
        Ok((gallery, report))
    }

    /// Saves an attestation, reads it back, and verifies it with nothing but the list of trusted keys; then does the
    /// same with one bit of the attested answer flipped, which must fail.
    pub(crate) fn check_attestation(&self, tested: &Tested) -> anyhow::Result<bool> {
        heading("attestation");
        let kept = tested.attestation.as_ref().context("the answer carries no attestation")?;
        let path = &self.folders.attestation;
        write_file(path, &kept.encode()?)?;

        let file = AttestationFile::parse(&read_limited(path, MAX_FILE_BYTES)?)?;
        let keys = read_trusted_keys(&self.folders.trusted_keys)?;
        let verified = verify_file(&file, &keys);
        match &verified {
            Ok(verified) => {
                let statement = &verified.statement;
                let result = statement.match_result().context("a statement about a match")?;
                fact("file", &format!("{}, {}", file_name(path), bytes(std::fs::metadata(path)?.len())));
                fact("offline", "verified: ML-DSA-65 signature, request and result as attested");
                fact(
                    "statement",
                    &format!(
                        "{}, {} of {} blocks, manifest version {}, for `{}`",
                        result.operation,
                        result.blocks_matched,
                        result.blocks_total,
                        result.manifest_version,
                        statement.audience,
                    ),
                );
            }
            Err(error) => fact("offline", &format!("FAILED: {error}")),
        }
        let mut altered = file;
        let bit =
            altered.result.as_mut().and_then(|result| result.last_mut()).context("an attested result")?;
        *bit ^= 1;
        let refused = verify_file(&altered, &keys);
        match &refused {
            Err(error) => fact("one bit flipped", &format!("refused: {error}")),
            Ok(_) => fact("one bit flipped", "ACCEPTED"),
        }
        Ok(verified.is_ok() && refused.is_err())
    }

    /// Stops the server, so that its files are at rest.
    pub(crate) async fn shut_down(self) -> anyhow::Result<Folders> {
        drop(self.client);
        self.server.shutdown().await.context("shutdown")?;
        Ok(self.folders)
    }
}

/// An empty folder, made if it is not there.
fn new_folder(path: &Path) -> anyhow::Result<PathBuf> {
    make_private_dir(path)?;
    anyhow::ensure!(std::fs::read_dir(path)?.next().is_none(), "{} is not empty", path.display());
    Ok(path.canonicalize()?)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
