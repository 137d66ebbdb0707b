//! Anchors: how far the chain has come, as statements in the transparency log, and the bundles that prove it.

use super::files;
use crate::Error;
use crate::app::App;
use bytes::Bytes;
use std::future::pending;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tyto_attest::log::leaf_hash;
use tyto_attest::{AuditAnchor, Bundle, Claim, Content, KeyEntry, Purpose, Statement};

/// Where bundles lie beside the segments, and what their names end in.
const DIRECTORY: &str = "anchors";
const BUNDLE: &str = "bundle";
/// Bundles that are kept, of 8 KB each. The newest one vouches for all that is older.
const MAX_BUNDLES: usize = 1024;
/// How long the disk may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a checkpoint may take that covers an anchor.
const COVERED: Duration = Duration::from_mins(1);

/// An anchor on its way into the transparency log.
pub(crate) struct Entry {
    anchor: AuditAnchor,
    statement: Bytes,
}

/// Makes an anchor whenever the time is over and there are new records; until it is dropped.
pub(crate) async fn run(app: Arc<App>) {
    let interval = Duration::from_secs(app.config.audit.anchor_interval_s);
    let mut anchored = 0;
    loop {
        tokio::time::sleep(interval).await;
        let written = app.audit.written();
        if written == anchored {
            continue;
        }
        let Some(anchor) = app.audit.flush(PATIENCE).await else { continue };
        let outcome = match submit(&app, anchor).await {
            Ok(entry) => keep(&app, entry, COVERED).await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(()) => anchored = written,
            Err(error) => {
                tracing::warn!(error = %crate::status::chain(&error), "the audit log could not be anchored");
            }
        }
    }
}

/// Hands an anchor to the transparency log, which has it durably then.
pub(crate) async fn submit(app: &App, anchor: AuditAnchor) -> Result<Entry, Error> {
    let claim = Claim::Audit(anchor);
    let statement = app.issuer.statement(None, String::new(), None, app.log.state(), claim).encode()?;
    let statement = Bytes::from(statement);
    app.log.place()?.submit_durably(statement.clone()).wait(PATIENCE).await?;
    Ok(Entry { anchor, statement })
}

/// Keeps the proof that an anchor is in the log, once a checkpoint covers it.
pub(crate) async fn keep(app: &App, entry: Entry, patience: Duration) -> Result<(), Error> {
    let Entry { anchor, statement } = entry;
    let waited = app.log.receipt(&leaf_hash(&statement), patience, pending()).await?;
    let crate::log::Waited::Receipt(receipt) = waited else { return Err(Error::LogUnavailable) };
    let bundle = Bundle {
        content: Content::Statement(statement.to_vec()),
        receipt: Some(receipt.to_vec()),
        keys: vec![KeyEntry { purpose: Purpose::Log, key: app.log.public_key().clone() }],
        decision: None,
    };
    let (audit, bytes) = (app.config.data_dir.join(files::DIRECTORY), bundle.encode()?);
    let directory = audit.join(DIRECTORY);
    let path = directory.join(format!("{:020}.{BUNDLE}", anchor.records));
    let write = move || {
        std::fs::create_dir_all(&directory)?;
        files::write_whole(&path, &bytes)?;
        prune(&audit, 0);
        Ok(())
    };
    let failed = |source| Error::AuditFile { action: "write", path: PathBuf::from(DIRECTORY), source };
    tokio::task::spawn_blocking(write).await?.map_err(failed)
}

/// Bundles by how many records they cover, fewest first.
fn list(directory: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let entries = match std::fs::read_dir(directory.join(DIRECTORY)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut bundles = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let is_bundle = path.extension().is_some_and(|extension| extension == BUNDLE);
        let number = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
        bundles.extend(number.filter(|_| is_bundle).map(|number| (number, path)));
    }
    bundles.sort_unstable();
    Ok(bundles)
}

/// How many records of a chain the newest bundle covers, if there is one. Whether it holds is for whoever verifies it.
pub(super) fn newest(directory: &Path, chain_id: &[u8; 32]) -> Result<Option<u64>, Error> {
    let failed = |source| Error::AuditFile { action: "read", path: directory.join(DIRECTORY), source };
    let bundles = list(directory).map_err(failed)?;
    let Some((_, path)) = bundles.last() else { return Ok(None) };
    let bytes = std::fs::read(path).map_err(failed)?;
    let statement = Bundle::parse(&bytes).and_then(|bundle| Statement::decode(bundle.content.as_bytes()));
    Ok(match statement.map(|statement| statement.claim) {
        Ok(Claim::Audit(anchor)) if anchor.chain_id == *chain_id => Some(anchor.records),
        _ => None,
    })
}

/// Deletes bundles that vouch for nothing that is kept, and the oldest ones of too many.
pub(super) fn prune(directory: &Path, first: u64) {
    let Ok(bundles) = list(directory) else { return };
    let too_many = bundles.len().saturating_sub(MAX_BUNDLES);
    for (at, (records, path)) in bundles.iter().enumerate() {
        if *records < first || at < too_many {
            // One that stays harms nobody.
            let _ = std::fs::remove_file(path);
        }
    }
}
