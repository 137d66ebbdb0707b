//! `tytod keys`: the keystore of a data directory that no server has open.

use crate::Error;
use crate::app::unix_ms;
use crate::config::Config;
use crate::process::with_locked_memory;
use clap::{Args, Subcommand, ValueEnum};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use tyto_keystore::{
    Exportable, Kek, KeyInfo, Keystore, Overview, Passphrase, PassphraseSource, Purpose, State,
};

#[derive(Subcommand)]
pub(super) enum KeysCommand {
    /// Show the keys. Without a passphrase configured, what the file says of itself.
    Status {
        #[command(flatten)]
        options: super::Options,
    },
    /// Wrap the keys under another passphrase; from then on they open with it alone.
    Rewrap {
        #[command(flatten)]
        new: NewPassphrase,
        #[command(flatten)]
        options: super::Options,
    },
    /// Make a new key, which signs from the next start; the one before is retired.
    Rotate {
        /// What the key is for.
        purpose: PurposeArgument,
        /// Make it one that `export` gives out.
        #[arg(long)]
        exportable: bool,
        #[command(flatten)]
        options: super::Options,
    },
    /// Destroy a retired private key for good; what it signed still verifies.
    Destroy {
        /// What the key is for.
        purpose: PurposeArgument,
        /// Its version.
        version: u32,
        #[command(flatten)]
        options: super::Options,
    },
    /// Write a private key that was made exportable to a new file, in PKCS#8 and not wrapped.
    Export {
        /// What the key is for.
        purpose: PurposeArgument,
        /// Its version.
        version: u32,
        /// The file.
        #[arg(long)]
        to: PathBuf,
        #[command(flatten)]
        options: super::Options,
    },
}

/// Where the new passphrase is.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub(super) struct NewPassphrase {
    /// The new passphrase is in this file.
    #[arg(long)]
    new_passphrase_file: Option<PathBuf>,
    /// The new passphrase is in this variable of the environment.
    #[arg(long)]
    new_passphrase_env: Option<String>,
}

impl NewPassphrase {
    fn kek(self) -> Option<Kek> {
        let file = self.new_passphrase_file.map(PassphraseSource::File);
        let source = file.or(self.new_passphrase_env.map(PassphraseSource::Environment));
        source.map(|source| Kek::Passphrase(Passphrase::new(source)))
    }
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum PurposeArgument {
    Attestation,
    Log,
    Session,
}

impl From<PurposeArgument> for Purpose {
    fn from(argument: PurposeArgument) -> Self {
        match argument {
            PurposeArgument::Attestation => Self::Attestation,
            PurposeArgument::Log => Self::Log,
            PurposeArgument::Session => Self::Session,
        }
    }
}

pub(super) fn run(command: KeysCommand) -> Result<(), Error> {
    match command {
        KeysCommand::Status { options } => status(&options.config()?),
        KeysCommand::Rewrap { new, options } => change(options, |keystore| {
            let kek = new.kek().ok_or(Error::KeysPlain)?;
            keystore.rewrap(kek)?;
            println!("The keys open with the new passphrase alone: set it in [keys] before the next start.");
            Ok(())
        }),
        KeysCommand::Rotate { purpose, exportable, options } => change(options, |keystore| {
            let exportable = if exportable { Exportable::Yes } else { Exportable::No };
            let version = keystore.rotate(purpose.into(), exportable, unix_ms())?;
            println!("The {} key of version {version} signs from the next start.", Purpose::from(purpose));
            Ok(())
        }),
        KeysCommand::Destroy { purpose, version, options } => change(options, |keystore| {
            keystore.destroy(purpose.into(), version, unix_ms())?;
            println!(
                "The {} key of version {version} is gone here. Backups of the data directory still have it.",
                Purpose::from(purpose)
            );
            Ok(())
        }),
        KeysCommand::Export { purpose, version, to, options } => change(options, |keystore| {
            let der = keystore.export(purpose.into(), version)?;
            write_private(&to, &der)?;
            println!("Whoever reads {} can sign.", to.display());
            Ok(())
        }),
    }
}

fn status(config: &Config) -> Result<(), Error> {
    let dir = &config.data_dir;
    if !Keystore::exists(dir) {
        println!("The private keys in {} are not wrapped, or there are none yet.", dir.display());
        return Ok(());
    }
    if let Some(kek) = config.keys.kek() {
        print_overview(&Keystore::open(dir, kek)?.overview());
        println!("The passphrase opens them, and everything is authentic.");
    } else {
        print_overview(&Keystore::inspect(dir)?);
        println!("Nothing of this was verified: no passphrase is configured.");
    }
    Ok(())
}

fn print_overview(overview: &Overview) {
    println!("generation {}, wrapped by {}", overview.generation, overview.provider);
    for info in &overview.keys {
        let KeyInfo { purpose, version, state, exportable, .. } = info;
        let exportable = if *exportable && *state != State::Destroyed { ", exportable" } else { "" };
        println!("{purpose} {version}: {state}{exportable}, key id {}", key_id(info));
    }
}

fn key_id(info: &KeyInfo) -> String {
    info.key_id().map_or_else(|_| "unknown".into(), |id| crate::error::hex(&id))
}

/// Opens the keystore of a data directory that is not in use, and changes it.
fn change(
    options: super::Options,
    change: impl FnOnce(&mut Keystore) -> Result<(), Error>,
) -> Result<(), Error> {
    let config = options.config()?;
    let _lock = tyto_store::lock(&config.data_dir)?;
    let kek = config.keys.kek().ok_or(Error::KeysPlain)?;
    with_locked_memory(&config.process, || change(&mut Keystore::open(&config.data_dir, kek)?))
}

fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|source| Error::WriteFile { path: path.to_owned(), source })
}
