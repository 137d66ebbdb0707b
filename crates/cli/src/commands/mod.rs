//! One file per command.

pub mod admin;
pub mod attest;
pub mod audit;
pub mod bench;
pub mod enrol;
pub mod evaluate;
pub mod gallery;
pub mod identify;
pub mod keyring;
pub mod log;
pub mod replay;
pub mod root;
pub mod session;
pub mod verify;

use std::path::Path;

use serde::Serialize;
use tyto_client::tenant::Metric;
use tyto_client::{GalleryHandle, KeptAttestation, TemplateScore};

use crate::args::{Cli, Command, GalleryCommand};
use crate::{Error, Exit, connection, output};

/// Runs a command.
///
/// # Errors
/// Whatever stopped it.
pub async fn run(cli: &Cli) -> Result<Exit, Error> {
    let global = &cli.global;
    match &cli.command {
        Command::Keyring(command) => keyring::run(command, global),
        Command::Admin(command) => admin::run(command, global).await,
        Command::Attest(command) => attest::run(command, global).await,
        Command::Replay(command) => replay::run(command, global).await,
        Command::Log(command) => log::run(command),
        Command::Audit(command) => audit::run(command),
        Command::Root(command) => root::run(command),
        Command::Session(command) => session::run(command, global).await,
        Command::Bench(args) => bench::run(args).await,
        Command::Evaluate(args) => evaluate::run(args, global).await,
        Command::Gallery(command) => {
            let client = connection::connect(global).await?;
            match command {
                GalleryCommand::Create(args) => gallery::create(args, &client).await,
                GalleryCommand::List(args) => gallery::list(args, &client).await,
                GalleryCommand::Stat(args) => gallery::stat(args, &client).await,
                GalleryCommand::Enrol(args) => enrol::run(args, &client).await,
                GalleryCommand::Remove(args) => gallery::remove(args, &client).await,
                GalleryCommand::Subjects(args) => gallery::subjects(args, &client).await,
                GalleryCommand::Delete(args) => gallery::delete(args, &client).await,
            }
        }
        Command::Verify(args) => {
            let keep = args.replay_out.is_some();
            verify::run(args, &connection::connect_keeping(global, keep).await?).await
        }
        Command::Identify(args) => {
            let keep = args.replay_out.is_some();
            identify::run(args, &connection::connect_keeping(global, keep).await?).await
        }
    }
}

/// A gallery's name and id, in results about it.
#[derive(Clone, Debug, Serialize)]
pub struct GalleryName {
    /// The name.
    pub name: String,
    /// The id, 32 hexadecimal digits.
    pub id: String,
}

impl From<&GalleryHandle> for GalleryName {
    fn from(handle: &GalleryHandle) -> Self {
        Self { name: handle.gallery().name().to_owned(), id: handle.id().to_string() }
    }
}

impl std::fmt::Display for GalleryName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.name.escape_debug(), self.id)
    }
}

/// The score of one template, in results.
#[derive(Clone, Debug, Serialize)]
pub struct Score {
    /// The template's block.
    pub block: String,
    /// Its slot.
    pub slot: u16,
    /// The score in steps.
    pub score: i32,
    /// The score in the unit of the metric.
    pub value: f64,
}

impl From<&TemplateScore> for Score {
    fn from(template: &TemplateScore) -> Self {
        let TemplateScore { block, slot, score, value } = *template;
        Self { block: block.to_string(), slot, score, value }
    }
}

/// The name of a metric, as options and results spell it.
pub fn metric_name(metric: Metric) -> &'static str {
    match metric {
        Metric::Cosine => "cosine",
        Metric::InnerProduct { .. } => "inner-product",
    }
}

/// What became of the attestation of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AttestationState {
    /// There is none.
    None,
    /// There is one; no trusted keys were given to verify it with.
    Unverified,
    /// It holds, and is about this request and this answer.
    Verified,
}

impl AttestationState {
    fn of(attestation: Option<&KeptAttestation>) -> Self {
        match attestation {
            None => Self::None,
            Some(KeptAttestation { statement: None, .. }) => Self::Unverified,
            Some(_) => Self::Verified,
        }
    }
}

impl std::fmt::Display for AttestationState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Unverified => "there, not verified (no --trusted-keys)",
            Self::Verified => "verified",
        })
    }
}

/// Saves the attestation of an answer.
fn save_attestation(attestation: Option<&KeptAttestation>, path: &Path) -> Result<(), Error> {
    let kept = attestation.ok_or(Error::NoAttestation)?;
    output::write_file(path, &kept.file.encode()?)
}

/// Saves what a replay of an answer needs.
fn save_replay(attestation: Option<&KeptAttestation>, path: &Path) -> Result<(), Error> {
    let kept = attestation.ok_or(Error::NoAttestation)?;
    let basis = kept.basis.as_ref().ok_or(Error::NoAttestation)?;
    output::write_file(path, &replay::file(&kept.file, basis).encode()?)
}
