//! `tyto audit export`.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use tyto_audit::Verifier;

use super::ocsf::Exporter;
use super::{Rejection, Stopped, directory};
use crate::{Error, Exit};

/// `tyto audit export`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The directory with the segments: `audit` in the server's data, or a copy.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// How records are written.
    #[arg(long, value_name = "FORM", default_value = "jsonl")]
    format: Format,
    /// The first record that is written.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    from: u64,
    /// Where to; else to the standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// How records are written.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// One JSON object a line, with the field names of OCSF.
    Jsonl,
}

pub(super) fn run(args: &Args) -> Result<Exit, Error> {
    let Format::Jsonl = args.format;
    let name = args.out.as_deref().unwrap_or(Path::new("standard output"));
    let failed = |source| Error::Write { path: name.to_owned(), source };
    let out: Box<dyn Write> = match &args.out {
        Some(path) => Box::new(File::create(path).map_err(failed)?),
        None => Box::new(io::stdout().lock()),
    };
    let mut out = BufWriter::new(out);
    let outcome = export(args, &mut out);
    let written = outcome.and_then(|written| {
        match written.and_then(|()| out.flush()) {
            // A reader that went away has what it wanted.
            Err(source) if source.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written.map_err(|source| Stopped::Failed(failed(source))),
        }
    });
    match written {
        Ok(()) => Ok(Exit::Success),
        Err(Stopped::Failed(error)) => Err(error),
        Err(Stopped::Rejected(rejection)) => {
            Err(Error::in_file(&args.directory)(Error::AuditRejected(rejection)))
        }
    }
}

/// Writes records as far as they hold; the inner error is about writing.
fn export(args: &Args, out: &mut impl Write) -> Result<io::Result<()>, Stopped> {
    let segments = directory::segments(&args.directory)?;
    let mut exporter = Exporter::new(directory::chain_id(&segments)?.unwrap_or_default());
    let mut written = Ok(());
    let mut verifier = Verifier::new(&[]);
    let outcome = directory::go_through(&mut verifier, &segments, |record| {
        let event = exporter.event(record);
        if record.sequence >= args.from && written.is_ok() {
            written = writeln!(out, "{event}");
        }
    });
    let outcome = outcome.and_then(|()| {
        let at_end = |fault| Rejection::Records { segment: None, fault };
        Ok(verifier.finish().map(drop).map_err(at_end)?)
    });
    // What holds is written also if something further on does not.
    written = written.and_then(|()| out.flush());
    outcome.map(|()| written)
}
