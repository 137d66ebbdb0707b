//! `tyto attest`: evidence, offline but for what the server has to make.

mod decision;
mod evidence;
mod file;
mod online;
pub(crate) mod shape;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use clap::Subcommand;

use crate::args::Global;
use crate::connection::{read_limited, read_trusted_keys};
use crate::output::OutputArgs;
use crate::shown::Fields;
use crate::trust::TrustArgs;
use crate::{Error, Exit};

/// The attestation commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Verify a bundle, an attestation, a decision or a checkpoint by a trust root, or an attestation file by a trust
    /// root or by trusted keys. Needs no network.
    Verify {
        /// The evidence.
        #[arg(value_name = "EVIDENCE")]
        file: PathBuf,
        /// By whose keys, and as of when.
        #[command(flatten)]
        trust: TrustArgs,
        /// Output.
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Show all fields of evidence, without believing them.
    Inspect {
        /// The evidence.
        #[arg(value_name = "EVIDENCE")]
        file: PathBuf,
        /// Output.
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Have the digest of a document attested by the server.
    Document(online::DocumentArgs),
    /// Fetch the receipt of an attestation from the server's log, and make a bundle of both.
    Receipt(online::ReceiptArgs),
    /// Sign what was decided on the strength of an attestation.
    #[command(subcommand)]
    Decision(decision::Command),
}

/// Runs an attestation command.
///
/// # Errors
/// [`Error::InFile`] around [`Error::Attestation`] or [`Error::OtherAudience`]; [`Error::NoTrustRoot`],
/// [`Error::NoTrustedKeys`], [`Error::TrustRoot`].
pub async fn run(command: &Command, global: &Global) -> Result<Exit, Error> {
    match command {
        Command::Verify { file, trust, output } => verify(file, trust, global, output)?,
        Command::Document(args) => online::document(args, global).await?,
        Command::Receipt(args) => online::receipt(args, global).await?,
        Command::Decision(command) => decision::run(command, global).await?,
        Command::Inspect { file, output } => {
            let bytes = read(file)?;
            let inspected = if file::is_file(&bytes) {
                file::inspect(&bytes)
            } else {
                evidence::inspect(&bytes).map_err(Error::from)
            };
            output.print(&inspected.map_err(Error::in_file(file))?, |fields| {
                format!("NOT VERIFIED: only what the file claims\n\n{}", fields.text())
            })?;
        }
    }
    Ok(Exit::Success)
}

fn verify(path: &Path, trust: &TrustArgs, global: &Global, output: &OutputArgs) -> Result<(), Error> {
    let audience = global.audience.as_deref();
    if let Some(roots) = trust.open()? {
        let judged = evidence::judge(&read(path)?, &roots, trust.at_unix_ms(), audience);
        let word = if judged.rejection.is_some() { "REJECTED" } else { "VERIFIED" };
        output.print(&judged.fields, |fields| verdict(word, fields))?;
        return judged.rejection.map_or(Ok(()), |error| Err(Error::in_file(path)(error)));
    }
    let bytes = read(path)?;
    if !file::is_file(&bytes) {
        return Err(Error::NoTrustRoot);
    }
    let keys = read_trusted_keys(global.trusted_keys.as_deref().ok_or(Error::NoTrustedKeys)?)?;
    let verified = file::verify(&bytes, &keys, audience).map_err(Error::in_file(path))?;
    output.print(&verified, |fields| verdict("VERIFIED", fields))
}

fn verdict(word: &str, fields: &Fields) -> String {
    format!("{word}\n\n{}", fields.text())
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    read_limited(path, file::MAX_FILE_BYTES).map_err(Error::in_file(path))
}
