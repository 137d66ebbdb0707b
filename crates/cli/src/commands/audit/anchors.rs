//! Anchors: what the transparency log has of an audit log.

use std::path::{Path, PathBuf};

use tyto_audit::AuditAnchor;
use tyto_client::attest::{
    self, Bundle, Checkpoint, Claim, Content, MAX_BUNDLE_BYTES, Object, Statement, TrustRoot,
};
use tyto_client::log_directory::LogDirectory;

use super::{Rejection, Stopped};
use crate::Error;
use crate::commands::log;
use crate::connection::read_limited;

/// The anchor in a bundle, once it is seen to be in the log, if there is a trust root.
pub(super) fn in_bundle(
    path: &Path,
    roots: Option<&TrustRoot>,
    at_unix_ms: Option<u64>,
) -> Result<AuditAnchor, Stopped> {
    let bytes = read_limited(path, MAX_BUNDLE_BYTES as u64).map_err(Error::in_file(path))?;
    let rejected = |source| Rejection::Anchor { bundle: path.to_owned(), source };
    let bundle = Bundle::parse(&bytes).map_err(rejected)?;
    if let Some(roots) = roots {
        attest::verify(&bytes, roots, at_unix_ms).outcome.map_err(rejected)?;
    }
    let no_anchor = || Rejection::NoAnchor { bundle: path.to_owned() };
    let Content::Statement(entry) = &bundle.content else { return Err(no_anchor().into()) };
    let statement = Statement::decode(entry).map_err(rejected)?;
    Ok(anchor(&statement).ok_or_else(no_anchor)?)
}

fn anchor(statement: &Statement) -> Option<AuditAnchor> {
    match statement.claim {
        Claim::Audit(anchor) => Some(anchor),
        _ => None,
    }
}

/// The anchors of a chain in the directory of a log, up to its checkpoint, after the whole log was seen to hold. If the
/// newest one is of another chain, it is among them.
pub(super) fn in_log(
    directory: &PathBuf,
    chain_id: Option<[u8; 32]>,
    roots: Option<&TrustRoot>,
    at_unix_ms: Option<u64>,
) -> Result<Vec<AuditAnchor>, Stopped> {
    let rejected = |rejection| Stopped::from(Rejection::Log(rejection));
    let log = LogDirectory::new(directory);
    if !directory.is_dir() {
        let source = std::io::Error::from(std::io::ErrorKind::NotADirectory);
        return Err(Error::in_file(directory)(source.into()).into());
    }
    let signed =
        log.checkpoint().map_err(Error::from)?.ok_or(log::Rejection::NoCheckpoint).map_err(rejected)?;
    let what = PathBuf::from("checkpoint");
    let of_checkpoint = |source| rejected(log::Rejection::Checkpoint { what: what.clone(), source });
    let head = *Checkpoint::parse(&signed).map_err(of_checkpoint)?.head();
    if let Some(roots) = roots {
        attest::verify(&signed, roots, at_unix_ms).outcome.map_err(of_checkpoint)?;
    }
    let mut all = Vec::new();
    let look = |_, entries: &[&[u8]]| {
        let anchors = entries.iter().filter_map(|entry| match attest::inspect(entry) {
            Ok(Object::Statement(statement)) => anchor(&statement),
            _ => None,
        });
        all.extend(anchors);
        Ok::<_, tyto_client::Error>(())
    };
    let (_, outcome) = log.audit(head.size, head.root, &[], look).map_err(Error::from)?;
    outcome.map_err(|fault| rejected(log::Rejection::Fault(fault)))?;
    let newest = all.last().copied();
    let is_ours = |anchor: &AuditAnchor| Some(anchor.chain_id) == chain_id;
    Ok(all.into_iter().filter(|anchor| is_ours(anchor) || Some(*anchor) == newest).collect())
}
