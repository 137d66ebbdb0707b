//! `tyto attest document` and `tyto attest receipt`: what the server attests and logs.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tyto_client::attest::{AttestationFile, Bundle, Content, Document, Object, Receipt, inspect};
use tyto_client::{AttestMode, Client, document_digest};

use super::{file, read, shape};
use crate::args::Global;
use crate::output::{OutputArgs, write_file};
use crate::shown::Fields;
use crate::trust::TrustArgs;
use crate::{Error, connection};

/// How long a receipt is waited for. Checkpoints come every second.
const PATIENCE: Duration = Duration::from_secs(30);

/// `tyto attest document`.
#[derive(Debug, clap::Args)]
pub struct DocumentArgs {
    /// The document. Only its SHA3-256 leaves this machine, and its file name.
    #[arg(value_name = "FILE")]
    document: PathBuf,
    /// Have no signature made: the receipt of the log alone attests the document.
    #[arg(long)]
    receipt_only: bool,
    /// Wait for the receipt and write the bundle here.
    #[arg(long, value_name = "BUNDLE", required_unless_present = "entry_out")]
    out: Option<PathBuf>,
    /// Where the attestation, or without one the statement, is written as soon as it comes; else it lies beside BUNDLE
    /// until that is written.
    #[arg(long, value_name = "ENTRY")]
    entry_out: Option<PathBuf>,
    /// Whose checkpoints are believed; else those of the keys that the server lists.
    #[command(flatten)]
    trust: TrustArgs,
    /// Output.
    #[command(flatten)]
    output: OutputArgs,
}

/// `tyto attest receipt`.
#[derive(Debug, clap::Args)]
pub struct ReceiptArgs {
    /// The attestation, the file that a client kept of an answer, or a bare statement.
    #[arg(value_name = "ATTESTATION")]
    attestation: PathBuf,
    /// Where the bundle is written.
    #[arg(long, value_name = "BUNDLE")]
    out: PathBuf,
    /// Whose checkpoints are believed; else those of the keys that the server lists.
    #[command(flatten)]
    trust: TrustArgs,
    /// Output.
    #[command(flatten)]
    output: OutputArgs,
}

/// Has a document attested.
///
/// # Errors
/// [`Error::InFile`], [`Error::Client`]; [`Error::ReceiptPending`] once the entry is saved.
pub(super) async fn document(args: &DocumentArgs, global: &Global) -> Result<(), Error> {
    let path = &args.document;
    let digest = File::open(path).and_then(document_digest);
    let digest = digest.map_err(|error| Error::in_file(path)(error.into()))?;
    let label = path.file_name().map(|name| name.to_string_lossy().into_owned());
    let client = connection::connect_without_keyring(global, args.trust.open()?).await?;
    let mode = if args.receipt_only { AttestMode::ReceiptOnly } else { AttestMode::Immediate };
    let mut attested = client.attest(mode, vec![Document { digest, label }]).await?;
    let attested = attested.pop().ok_or(Error::NoAttestation)?;
    // Nobody else has these bytes, and only with them can the receipt be asked for.
    let out = args.out.as_deref();
    let entry = args.entry_out.clone().or_else(|| out.map(waiting)).ok_or(Error::NoAttestation)?;
    write_file(&entry, attested.content.as_bytes())?;
    let mut fields = Fields::new()
        .with("mode", if args.receipt_only { "receipt-only" } else { "immediate" })
        .bytes("leaf_hash", &attested.content.leaf_hash())
        .with("statement", shape::statement(&attested.statement));
    if args.entry_out.is_some() {
        fields = fields.with("entry", entry.display().to_string());
    }
    if let Some(out) = out {
        let saved = save_bundle(&client, &attested.content, out).await;
        fields = fields.and(saved.map_err(Error::receipt_pending(&entry))?);
        if args.entry_out.is_none() {
            // The bundle has it, and nobody misses one that stays.
            let _ = std::fs::remove_file(&entry);
        }
    }
    args.output.print(&fields, Fields::text)
}

/// Fetches the receipt of an entry.
///
/// # Errors
/// [`Error::InFile`], [`Error::NotCovered`], [`Error::Client`].
pub(super) async fn receipt(args: &ReceiptArgs, global: &Global) -> Result<(), Error> {
    let content = entry(&args.attestation)?;
    let client = connection::connect_without_keyring(global, args.trust.open()?).await?;
    let fields = Fields::new().bytes("leaf_hash", &content.leaf_hash());
    let fields = fields.and(save_bundle(&client, &content, &args.out).await?);
    args.output.print(&fields, Fields::text)
}

/// Where an entry lies until its bundle is written.
fn waiting(bundle: &Path) -> PathBuf {
    let mut name = bundle.as_os_str().to_owned();
    name.push(".entry");
    name.into()
}

/// The entry of the log in a file.
fn entry(path: &Path) -> Result<Content, Error> {
    let bytes = read(path)?;
    if file::is_file(&bytes) {
        let file = AttestationFile::parse(&bytes).map_err(|error| Error::in_file(path)(error.into()))?;
        return Ok(Content::Attestation(file.attestation));
    }
    match inspect(&bytes).map_err(|error| Error::in_file(path)(error.into()))? {
        Object::Attestation(_) => Ok(Content::Attestation(bytes)),
        Object::Statement(_) => Ok(Content::Statement(bytes)),
        Object::Bundle(Bundle { content, .. }) => Ok(content),
        _ => Err(Error::in_file(path)(Error::NoEntry)),
    }
}

async fn save_bundle(client: &Client, content: &Content, out: &Path) -> Result<Fields, Error> {
    let covered = client.bundle(content, PATIENCE).await?;
    let (bundle, receipt) = covered.ok_or(Error::NotCovered { seconds: PATIENCE.as_secs() })?;
    let bytes = bundle.encode()?;
    write_file(out, &bytes)?;
    Ok(saved(&receipt, out, bytes.len()))
}

fn saved(receipt: &Receipt, out: &Path, bytes: usize) -> Fields {
    Fields::new()
        .with("index", receipt.index())
        .with("checkpoint", shape::tree_head(receipt.checkpoint().head()))
        .with("bundle", out.display().to_string())
        .with("bundle_bytes", bytes as u64)
}
