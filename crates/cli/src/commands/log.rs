//! `tyto log`: a whole log, offline.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Subcommand;
use tyto_client::attest::log::{AuditFault, Hash};
use tyto_client::attest::{
    self, Bundle, Checkpoint, Error as AttestError, MAX_BUNDLE_BYTES, Object, Receipt, Statement, TreeHead,
    TrustRoot,
};
use tyto_client::log_directory::{Audited, LogDirectory};
use tyto_client::tenant::{in_parallel, split};

use super::attest::shape::tree_head;
use crate::connection::read_limited;
use crate::output::{OutputArgs, milliseconds};
use crate::shown::{Fields, Value};
use crate::trust::{TrustArgs, trust_root};
use crate::{Error, Exit};

/// Least entries that are worth a thread of their own.
const LEAST_ENTRIES: usize = 16;

/// The commands of a log.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Go through a whole log: every entry, every tile, and the trees that were signed. Names the first bad entry. Needs
    /// no network.
    Verify(VerifyArgs),
}

/// `tyto log verify`.
#[derive(Debug, clap::Args)]
pub struct VerifyArgs {
    /// The directory with `checkpoint` and `tile/`: `objects/log` in the server's data, or a copy.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// By whose keys, and as of when.
    #[command(flatten)]
    trust: TrustArgs,
    /// An earlier checkpoint, or a receipt or a bundle with one, that the log must extend; may be repeated.
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
    /// Verify each entry too: its form and, with a trust root, the signatures of attestations, as of the checkpoint's
    /// time.
    #[arg(long)]
    entries: bool,
    /// Output.
    #[command(flatten)]
    output: OutputArgs,
}

/// Runs a command of the log.
///
/// # Errors
/// [`Error::InFile`] around [`Error::LogRejected`]; [`Error::TrustRoot`], [`Error::Client`].
pub fn run(command: &Command) -> Result<Exit, Error> {
    let Command::Verify(args) = command;
    let roots = args.trust.open()?;
    let begun = Instant::now();
    let mut audit = Audit { args, roots, fields: Fields::new(), audited: Audited::default() };
    let outcome = audit.run();
    let rejection = match outcome {
        Ok(()) => None,
        Err(Stopped::Rejected(rejection)) => Some(*rejection),
        Err(Stopped::Failed(error)) => return Err(error),
    };
    let fields = Fields::new()
        .with("verified", rejection.is_none())
        .with("trust_root", audit.roots.as_ref().map(trust_root))
        .and(audit.fields)
        .with("entries", audit.audited.entries)
        .with("entry_bytes", audit.audited.entry_bytes)
        .with("objects", audit.audited.objects)
        .with("elapsed_ms", milliseconds(begun.elapsed()).round() as u64)
        .with("rejection", rejection.as_ref().map(Rejection::shown));
    let word = if rejection.is_some() { "REJECTED" } else { "VERIFIED" };
    args.output.print(&fields, |fields| format!("{word}\n\n{}", fields.text()))?;
    match rejection {
        None => Ok(Exit::Success),
        Some(rejection) => Err(Error::in_file(&args.directory)(Error::LogRejected(rejection.into()))),
    }
}

/// Why a log is rejected.
#[derive(Debug, thiserror::Error)]
pub enum Rejection {
    /// There is no checkpoint.
    #[error("there is no checkpoint")]
    NoCheckpoint,
    /// The checkpoint, or an earlier one, does not hold.
    #[error("{}: check `{}` failed: {source}", .what.display(), .source.check())]
    Checkpoint {
        /// Which.
        what: PathBuf,
        /// Why.
        source: AttestError,
    },
    /// An entry or a tile is not what was logged.
    #[error("{0}")]
    Fault(AuditFault),
    /// An entry was logged like this, and is not what belongs into a log.
    #[error("entry {index}: check `{}` failed: {source}", .source.check())]
    Entry {
        /// Its index.
        index: u64,
        /// Why.
        source: AttestError,
    },
}

impl Rejection {
    /// The short name of the check that failed.
    pub fn check(&self) -> &'static str {
        match self {
            Self::NoCheckpoint => "missing",
            Self::Checkpoint { source, .. } | Self::Entry { source, .. } => source.check(),
            Self::Fault(fault) => fault.problem.check(),
        }
    }

    fn shown(&self) -> Fields {
        let (part, index) = match self {
            Self::NoCheckpoint | Self::Checkpoint { .. } => ("checkpoint", None),
            Self::Fault(fault) => ("log", Some(fault.index)),
            Self::Entry { index, .. } => ("entry", Some(*index)),
        };
        Fields::new()
            .with("part", part)
            .with("entry", index)
            .with("check", self.check())
            .with("message", self.to_string())
    }
}

/// Why an audit ended early.
enum Stopped {
    /// The log is not what it ought to be.
    Rejected(Box<Rejection>),
    /// It could not be read.
    Failed(Error),
}

impl From<Rejection> for Stopped {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(Box::new(rejection))
    }
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<tyto_client::Error> for Stopped {
    fn from(error: tyto_client::Error) -> Self {
        Self::Failed(error.into())
    }
}

struct Audit<'a> {
    args: &'a VerifyArgs,
    roots: Option<TrustRoot>,
    fields: Fields,
    audited: Audited,
}

impl Audit<'_> {
    fn run(&mut self) -> Result<(), Stopped> {
        let directory = LogDirectory::new(&self.args.directory);
        if !self.args.directory.is_dir() {
            let source = std::io::Error::from(std::io::ErrorKind::NotADirectory);
            return Err(Error::in_file(&self.args.directory)(source.into()).into());
        }
        let bytes = directory.checkpoint()?.ok_or(Rejection::NoCheckpoint)?;
        let head = self.checkpoint(Path::new("checkpoint"), &bytes)?;
        let signature = if self.roots.is_some() { "verified" } else { "unchecked" };
        self.note(Fields::new().with("checkpoint", tree_head(&head).with("signature", signature)));
        let earlier = self.earlier(&head)?;
        self.note(Fields::new().with("entries_beyond", directory.entries_beyond(head.size)?));
        let (roots, look) = (self.roots.as_ref(), self.args.entries);
        let look = |first, entries: &[&[u8]]| {
            if look { look_at(first, entries, roots, &head).map_err(Stopped::from) } else { Ok(()) }
        };
        let (audited, found) = directory.audit(head.size, head.root, &earlier, look)?;
        self.audited = audited;
        Ok(found.map_err(Rejection::Fault)?)
    }

    fn note(&mut self, fields: Fields) {
        self.fields = std::mem::take(&mut self.fields).and(fields);
    }

    /// What a checkpoint says, once it is seen to be signed, if there is a trust root.
    fn checkpoint(&self, name: &Path, bytes: &[u8]) -> Result<TreeHead, Rejection> {
        let rejected = |source| Rejection::Checkpoint { what: name.to_owned(), source };
        let checkpoint = Checkpoint::parse(bytes).map_err(rejected)?;
        if let Some(roots) = &self.roots {
            attest::verify(bytes, roots, self.args.trust.at_unix_ms()).outcome.map_err(rejected)?;
        }
        Ok(*checkpoint.head())
    }

    /// The trees of the earlier checkpoints: of this log, and signed like the newest.
    fn earlier(&mut self, newest: &TreeHead) -> Result<Vec<(u64, Hash)>, Stopped> {
        let mut heads = Vec::new();
        for path in &self.args.checkpoint {
            let bytes = read_limited(path, MAX_BUNDLE_BYTES as u64).map_err(Error::in_file(path))?;
            let rejected = |source| Rejection::Checkpoint { what: path.clone(), source };
            let checkpoint = checkpoint_in(&bytes).map_err(rejected)?;
            let head = self.checkpoint(path, &checkpoint)?;
            if head.log_id != newest.log_id {
                let (expected, actual) = (newest.log_id, head.log_id);
                let part = attest::Part::Checkpoint;
                return Err(rejected(AttestError::OtherLog { part, expected, actual }).into());
            }
            heads.push(head);
        }
        self.note(Fields::new().with("extends", heads.iter().map(tree_head).collect::<Value>()));
        Ok(heads.iter().map(|head| (head.size, head.root)).collect())
    }
}

/// The checkpoint of a receipt or a bundle, or the one that the bytes are.
fn checkpoint_in(bytes: &[u8]) -> Result<Vec<u8>, AttestError> {
    let receipt = |bytes: &[u8]| Receipt::parse(bytes).map(|receipt| receipt.checkpoint().encode());
    Ok(match attest::inspect(bytes)? {
        Object::Receipt(inner) => inner.checkpoint().encode(),
        Object::Consistency(inner) => inner.checkpoint().encode(),
        Object::Bundle(Bundle { receipt: Some(inner), .. }) => receipt(&inner)?,
        // Whatever else it is, it is no checkpoint, and refused as one.
        _ => bytes.to_vec(),
    })
}

/// Verifies what the entries of a bundle are, on all threads.
fn look_at(
    first: u64,
    entries: &[&[u8]],
    roots: Option<&TrustRoot>,
    head: &TreeHead,
) -> Result<(), Rejection> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let found = in_parallel(split(threads, entries.len(), LEAST_ENTRIES), |range| {
        range.into_iter().find_map(|at| {
            let index = first + at as u64;
            look_at_entry(index, entries[at], roots, head)
                .err()
                .map(|source| Rejection::Entry { index, source })
        })
    });
    found.into_iter().flatten().next().map_or(Ok(()), Err)
}

fn look_at_entry(
    index: u64,
    entry: &[u8],
    roots: Option<&TrustRoot>,
    head: &TreeHead,
) -> Result<(), AttestError> {
    let statement: Statement = match attest::inspect(entry)? {
        Object::Statement(statement) => statement,
        Object::Attestation(claimed) => {
            if let Some(roots) = roots {
                attest::verify(entry, roots, Some(head.time_unix_ms)).outcome?;
            }
            claimed.content
        }
        _ => {
            let problem = attest::FieldProblem::UnknownValue;
            return Err(AttestError::Field { part: attest::Part::Envelope, field: "typ", problem });
        }
    };
    let Some(log) = statement.log else { return Ok(()) };
    if log.log_id != head.log_id {
        let part = attest::Part::Statement;
        return Err(AttestError::OtherLog { part, expected: log.log_id, actual: head.log_id });
    }
    let previous_size = log.previous_checkpoint.map_or(0, |previous| previous.size);
    if previous_size > index {
        return Err(AttestError::PreviousCheckpoint { previous_size, index });
    }
    Ok(())
}
