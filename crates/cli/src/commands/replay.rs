//! `tyto replay`: an attested match, computed once more from its ciphertexts.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write as _};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use tempfile::NamedTempFile;
use tyto_client::attest::{self, AttestationFile, Object, Statement, verify_attestation};
use tyto_client::{GalleryHandle, ReplayBasis};
use tyto_replay::{
    CiphertextWriter, CoveredBlock, MAX_REPLAY_BYTES, ReplayFile, Report, ciphertexts_bytes, replay,
};

use super::bench::parse_bytes;
use crate::args::Global;
use crate::connection::{connect, read_limited, read_trusted_keys};
use crate::output::OutputArgs;
use crate::shown::{Fields, Value};
use crate::trust::TrustArgs;
use crate::{Error, Exit};

/// The commands of a replay.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write the ciphertexts that a match was computed from. They come from the keyring and the server, as long as no
    /// template that was compared has been removed.
    Export {
        /// The replay file that was saved with the answer (`--replay-out`).
        #[arg(value_name = "REPLAY")]
        file: PathBuf,
        /// The file of ciphertexts to write.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// The largest file that is written, such as 500M.
        #[arg(long, value_name = "BYTES", default_value = "4G", value_parser = parse_bytes)]
        max_bytes: u64,
        /// Output.
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Compute the match once more and compare every digest of its attestation. Needs no key and no network.
    Run {
        /// The replay file.
        #[arg(value_name = "REPLAY")]
        file: PathBuf,
        /// The ciphertexts.
        #[arg(value_name = "CIPHERTEXTS")]
        ciphertexts: PathBuf,
        /// By whose keys the attestation is verified.
        #[command(flatten)]
        trust: TrustArgs,
        /// Output.
        #[command(flatten)]
        output: OutputArgs,
    },
}

/// Runs one of the commands.
///
/// # Errors
/// [`Error::InFile`] around [`Error::Replay`], [`Error::ReplayDiffers`] or [`Error::Attestation`];
/// [`Error::CiphertextsTooLarge`], [`Error::Client`], [`Error::NoTrustedKeys`].
pub async fn run(command: &Command, global: &Global) -> Result<Exit, Error> {
    match command {
        Command::Export { file, out, max_bytes, output } => {
            let fields = export(file, out, *max_bytes, global).await?;
            output.print(&fields, Fields::text)?;
        }
        Command::Run { file, ciphertexts, trust, output } => {
            let found = run_again(file, ciphertexts, trust, global)?;
            let word = if found.report.holds() { "REPLAYED" } else { "DIFFERS" };
            output.print(&found.fields(), |fields| format!("{word}\n\n{}", fields.text()))?;
            if let Some(field) = found.report.first_differing() {
                let place = found.place().map(|place| format!(", first at {place}"));
                return Err(Error::in_file(file)(Error::ReplayDiffers { field, place }));
            }
        }
    }
    Ok(Exit::Success)
}

/// The replay file of an answer.
pub(super) fn file(attestation: &AttestationFile, basis: &ReplayBasis) -> ReplayFile {
    let covered = basis.covered.iter().cloned();
    let covered = covered.map(|tyto_client::CoveredBlock { position, record_digest, filled }| CoveredBlock {
        position,
        record_digest,
        filled,
    });
    ReplayFile {
        parameters: basis.parameters,
        manifest_version: basis.manifest_version,
        manifest_digest: basis.manifest_digest,
        blocks: basis.blocks.clone(),
        covered: covered.collect(),
        ticket: basis.ticket.as_ref().map(|ticket| ticket.to_vec()),
        attestation: attestation.clone(),
    }
}

fn read(path: &Path) -> Result<ReplayFile, Error> {
    let bytes = read_limited(path, MAX_REPLAY_BYTES as u64);
    bytes.and_then(|bytes| Ok(ReplayFile::parse(&bytes)?)).map_err(Error::in_file(path))
}

async fn export(path: &Path, out: &Path, max_bytes: u64, global: &Global) -> Result<Fields, Error> {
    let file = read(path)?;
    let bytes = ciphertexts_bytes(&file.parameters, file.covered.len());
    if bytes > max_bytes {
        return Err(Error::CiphertextsTooLarge { bytes });
    }
    let gallery = connect(global).await?.open_gallery(&file.parameters.gallery.to_string()).await?;
    gallery.sync().await?;
    write(&file, &gallery, out).await?;
    Ok(Fields::new()
        .with("ciphertexts", out.display().to_string())
        .with("gallery", file.parameters.gallery.to_string())
        .with("blocks", file.covered.len() as u64)
        .with("bytes", bytes))
}

/// Writes all blocks, or leaves nothing behind.
async fn write(file: &ReplayFile, gallery: &GalleryHandle, out: &Path) -> Result<(), Error> {
    let failed = |source| Error::Write { path: out.to_owned(), source };
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let temporary = NamedTempFile::new_in(folder).map_err(failed)?;
    let mut writer = CiphertextWriter::new(BufWriter::new(temporary), &file.parameters, file.covered.len())?;
    for covered in &file.covered {
        let (block, version) = file.block(covered);
        writer.block(block, version, &gallery.ciphertexts(block, &covered.filled).await?)?;
    }
    let mut temporary = writer.finish()?.into_inner().map_err(|error| failed(error.into_error()))?;
    temporary.flush().map_err(failed)?;
    temporary.persist(out).map_err(|error| failed(error.error))?;
    Ok(())
}

/// What was found.
struct Found {
    file: ReplayFile,
    statement: Statement,
    report: Report,
}

fn run_again(path: &Path, ciphertexts: &Path, trust: &TrustArgs, global: &Global) -> Result<Found, Error> {
    let file = read(path)?;
    let statement = verified(&file.attestation, trust, global).map_err(Error::in_file(path))?;
    let claim = statement.match_result().ok_or(Error::NoMatch).map_err(Error::in_file(path))?;
    let input = File::open(ciphertexts).map_err(Error::from).map_err(Error::in_file(ciphertexts))?;
    let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let report = replay(&file, claim, BufReader::new(input), threads);
    let report = report.map_err(Error::from).map_err(Error::in_file(ciphertexts))?;
    Ok(Found { file, statement, report })
}

/// The statement of the attestation, once it is seen to hold.
fn verified(file: &AttestationFile, trust: &TrustArgs, global: &Global) -> Result<Statement, Error> {
    if let Some(roots) = trust.open()? {
        attest::verify(&file.attestation, &roots, trust.at_unix_ms()).outcome?;
        let Object::Attestation(claimed) = attest::inspect(&file.attestation)? else {
            return Err(Error::NoMatch);
        };
        return Ok(claimed.content);
    }
    let keys = read_trusted_keys(global.trusted_keys.as_deref().ok_or(Error::NoTrustedKeys)?)?;
    Ok(verify_attestation(&file.attestation, &keys)?)
}

impl Found {
    /// Where the result differs first.
    fn place(&self) -> Option<String> {
        let (block, slot) = self.report.first_difference?;
        Some(match slot {
            Some(slot) => format!("block {block} slot {slot}"),
            None => format!("block {block}"),
        })
    }

    fn fields(&self) -> Fields {
        let comparison = |comparison: &tyto_replay::Comparison| {
            let found = if comparison.matches { "matches" } else { "differs" };
            Fields::new().with("field", comparison.field).with("found", found)
        };
        Fields::new()
            .with("replayed", self.report.holds())
            .with("operation", self.statement.claim.kind())
            .with("gallery", self.file.parameters.gallery.to_string())
            .with("manifest_version", self.file.manifest_version)
            .with("blocks", self.file.covered.len() as u64)
            .with("comparisons", self.report.comparisons.iter().map(comparison).collect::<Value>())
            .with("first_difference", self.place())
    }
}
