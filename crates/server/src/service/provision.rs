//! Provisioning: an upload of a segment in pieces, then the commit that makes blocks of it.

use crate::Error;
use crate::service::change::{Change, State};
use crate::service::mutation::{Applied, follows, settle, unclear};
use crate::site::Site;
use crate::work::compute;
use std::sync::Arc;
use tyto_api::content;
use tyto_api::gallery::{Chunk, Outcome, ProvisionCommit, ProvisionHeader, UploadStatus};
use tyto_attest::GalleryOperation;
use tyto_engine::{Block, BlockState};
use tyto_pqc::digest::sha3_256;
use tyto_scheme::segment::Segment;
use tyto_scheme::{GalleryId, GalleryParameters, UploadId};
use tyto_store::{CommitSegment, LogEntry, SealedManifest, VerifiedUpload};

/// An upload that a stream continues.
pub(crate) struct Upload {
    app: Arc<Site>,
    header: ProvisionHeader,
    committed: bool,
}

impl Upload {
    pub(crate) async fn begin(app: Arc<Site>, header: ProvisionHeader) -> Result<Self, Error> {
        let ProvisionHeader { gallery, upload, total_bytes, digest } = header;
        app.galleries.get(gallery)?;
        let status = app.store.begin_upload(gallery, upload, total_bytes, digest).await?;
        Ok(Self { app, header, committed: status.committed })
    }

    pub(crate) async fn append(&self, chunk: Chunk) -> Result<(), Error> {
        self.app.store.append_upload(self.header.upload, chunk.offset, chunk.data).await?;
        Ok(())
    }

    /// Commits, whether or not the caller waits for the end.
    pub(crate) async fn commit(self, commit: ProvisionCommit) -> Result<Applied, Error> {
        let work = self.app.work.clone();
        work.in_background(self.commit_to_the_end(commit)).await
    }

    async fn commit_to_the_end(self, commit: ProvisionCommit) -> Result<Applied, Error> {
        let Self { app, header, committed } = self;
        let (id, upload) = (header.gallery, header.upload);
        let _permit = app.permit(&app.provisions).await?;
        let entry = app.galleries.get(id)?;
        // A segment that is there already takes no more memory.
        let room = if committed {
            None
        } else {
            Some(app.residence.reserve(&app.galleries.all, entry.resident().parameters(), &commit)?)
        };
        let verified = app.store.read_upload(id, upload).await?;
        let sealed = Arc::from(&commit.manifest.sealed[..]);
        let version = commit.manifest.version;
        // A segment that is there already is not packed again: the store says whether this is a repetition.
        let blocks = if committed {
            Vec::new()
        } else {
            let (parameters, verified, commit) =
                (*entry.resident().parameters(), verified.clone(), commit.clone());
            compute(move || pack(&parameters, &verified, &commit)).await?
        };
        let _writer = entry.writer.lock().await;
        let following = if committed { None } else { follows(&app, id, &entry, version).await? };
        let Some(gallery) = following else {
            let outcome = store(&app, stored(verified, commit), None).await??;
            return Ok((settle(&app, id, &entry, outcome).await?, None));
        };
        let change = tyto_engine::Change {
            manifest_version: version,
            sealed_manifest: sealed,
            provisioned: blocks,
            updates: Vec::new(),
        };
        let prepared = gallery.prepare(change)?;
        let count = commit.records.len();
        let (next, logging) = (prepared.next().clone(), app.clone());
        let (logged, commit) = compute(move || {
            let request = |out: &mut _| content::change::provision(&header, &commit, out);
            let (operation, state) = (GalleryOperation::Provision, State::of(&next));
            Ok((Change::new(&logging, id, operation, count as u64, state, request)?, commit))
        })
        .await?;
        let outcome = match store(&app, stored(verified, commit), Some(logged.entry.clone())).await? {
            Ok(outcome) => outcome,
            Err(error) => return Err(unclear(&app, id, &entry, error).await),
        };
        if !matches!(outcome, tyto_store::Outcome::Committed { .. }) {
            return Ok((settle(&app, id, &entry, outcome).await?, None));
        }
        app.work.free(gallery.install(prepared)?);
        drop(room);
        tracing::info!(gallery = %id, %upload, blocks = count, manifest_version = version, "segment committed");
        Ok((Outcome::Committed { manifest_version: version }, Some(logged.committed(&app))))
    }
}

/// Stores a segment, on threads that do not give way: it holds the only writer.
async fn store(
    app: &Site,
    commit: CommitSegment,
    logged: Option<LogEntry>,
) -> Result<Result<tyto_store::Outcome, tyto_store::Error>, Error> {
    let store = app.store.clone();
    app.work.in_foreground(async move { store.commit_segment(commit, logged.as_ref()).await }).await
}

/// How far an upload is.
pub(crate) async fn status(app: &Site, gallery: GalleryId, upload: UploadId) -> Result<UploadStatus, Error> {
    app.galleries.get(gallery)?;
    let status = app.store.upload_status(gallery, upload).await?;
    Ok(UploadStatus { received_bytes: status.received_bytes, committed: status.committed })
}

/// Checks every coefficient of a segment and brings its blocks into the form that is matched.
fn pack(
    parameters: &GalleryParameters,
    upload: &VerifiedUpload,
    commit: &ProvisionCommit,
) -> Result<Vec<Block>, Error> {
    let segment_error = |source| Error::Field { field: "segment", source };
    let segment = Segment::parse(parameters, upload.bytes()).map_err(segment_error)?;
    let ids = segment.block_ids();
    if ids.len() != commit.records.len() {
        return Err(Error::Records("there is not one record per block of the segment"));
    }
    let mut blocks = Vec::with_capacity(ids.len());
    for (index, (id, record)) in ids.into_iter().zip(&commit.records).enumerate() {
        if record.block != id {
            return Err(Error::Records("the records are not in the order of the segment's blocks"));
        }
        if record.version != 1 {
            return Err(Error::Records("a provisioned block has version 1"));
        }
        let state = BlockState {
            id,
            version: 1,
            changed_at: commit.manifest.version,
            record: Arc::from(&record.sealed[..]),
            record_digest: sha3_256(&[&record.sealed]),
            entries: 0,
        };
        let polynomials = segment.polynomials(index).map_err(segment_error)?;
        blocks.push(Block::from_polynomials(&parameters.layout, state, polynomials, &[], &[]));
    }
    Ok(blocks)
}

fn stored(upload: VerifiedUpload, commit: ProvisionCommit) -> CommitSegment {
    CommitSegment {
        upload,
        blocks: commit.records.into_iter().map(|record| (record.block, record.sealed)).collect(),
        manifest: SealedManifest { version: commit.manifest.version, sealed: commit.manifest.sealed },
    }
}
