//! `tyto audit verify`.

use std::path::PathBuf;
use std::time::Instant;

use tyto_audit::{AuditAnchor, Summary, Verifier};
use tyto_client::attest::TrustRoot;

use super::{Rejection, Stopped, anchors, directory};
use crate::output::{OutputArgs, milliseconds};
use crate::shown::Fields;
use crate::trust::{TrustArgs, trust_root};
use crate::{Error, Exit};

/// `tyto audit verify`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The directory with the segments: `audit` in the server's data, or a copy.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// By whose keys, and as of when, anchors are judged.
    #[command(flatten)]
    trust: TrustArgs,
    /// A bundle with an anchor, kept elsewhere; may be repeated. Those in DIR/anchors are taken anyway.
    #[arg(long, value_name = "FILE")]
    bundle: Vec<PathBuf>,
    /// The directory of the server's transparency log, whose anchors are taken all: `objects/log` in the server's data,
    /// or a copy.
    #[arg(long, value_name = "DIR")]
    log: Option<PathBuf>,
    /// Output.
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn run(args: &Args) -> Result<Exit, Error> {
    let roots = args.trust.open()?;
    let begun = Instant::now();
    let mut found = Summary::default();
    let outcome = match verify(args, roots.as_ref(), &mut found) {
        Ok(()) => None,
        Err(Stopped::Failed(error)) => return Err(error),
        Err(Stopped::Rejected(rejection)) => Some(*rejection),
    };
    let unconfirmed = found.records - found.confirmed.unwrap_or(found.first).max(found.first);
    let signature = if roots.is_some() { "verified" } else { "unchecked" };
    let anchors = Fields::new()
        .with("signature", signature)
        .with("matched", found.anchors)
        .with("before_first", found.anchors_before)
        .with("confirmed", found.confirmed)
        .with("unconfirmed", unconfirmed);
    let fields = Fields::new()
        .with("verified", outcome.is_none())
        .with("trust_root", roots.as_ref().map(trust_root))
        .bytes("chain", &found.chain_id)
        .with("first", found.first)
        .with("records", found.records)
        .bytes("head", &found.head)
        .with("first_time_unix_ms", found.first_time_unix_ms)
        .with("last_time_unix_ms", found.last_time_unix_ms)
        .with("anchors", anchors)
        .with("starts", found.starts)
        .with("denied", found.denied)
        .with("dropped", found.dropped)
        .with("elapsed_ms", milliseconds(begun.elapsed()).round() as u64)
        .with("rejection", outcome.as_ref().map(Rejection::shown));
    let word = if outcome.is_some() { "REJECTED" } else { "VERIFIED" };
    args.output.print(&fields, |fields| format!("{word}\n\n{}", fields.text()))?;
    match outcome {
        None => Ok(Exit::Success),
        Some(rejection) => Err(Error::in_file(&args.directory)(Error::AuditRejected(rejection.into()))),
    }
}

/// Goes through everything; `found` is how far it came.
fn verify(args: &Args, roots: Option<&TrustRoot>, found: &mut Summary) -> Result<(), Stopped> {
    let segments = directory::segments(&args.directory)?;
    let anchors = all_anchors(args, roots, &segments)?;
    let mut verifier = Verifier::new(&anchors);
    let outcome = directory::go_through(&mut verifier, &segments, |_| {});
    *found = verifier.summary().clone();
    outcome?;
    let at_end = |fault| Rejection::Records { segment: None, fault };
    verifier.finish().map_err(at_end)?;
    Ok(())
}

fn all_anchors(
    args: &Args,
    roots: Option<&TrustRoot>,
    segments: &[PathBuf],
) -> Result<Vec<AuditAnchor>, Stopped> {
    let at_unix_ms = args.trust.at_unix_ms();
    let mut all = Vec::new();
    for path in directory::bundles(&args.directory)?.iter().chain(&args.bundle) {
        all.push(anchors::in_bundle(path, roots, at_unix_ms)?);
    }
    if let Some(log) = &args.log {
        all.extend(anchors::in_log(log, directory::chain_id(segments)?, roots, at_unix_ms)?);
    }
    Ok(all)
}
