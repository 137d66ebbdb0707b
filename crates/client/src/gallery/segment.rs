//! Provisioning: segments of new blocks are made and uploaded ahead, and committed when it is their turn.

use super::change::SentChange;
use super::commit::{Answer, MAX_CONFLICTS, Tally, next_manifest, next_view};
use super::view::{BlockUpdate, View};
use super::{GalleryHandle, Inner, compute};
use crate::Error;
use crate::channel::{Rpc, chunks, pause, size};
use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tyto_api::content;
use tyto_api::gallery::{Chunk, Outcome, ProvisionCommit, ProvisionHeader, SealedRecord, UploadStatus};
use tyto_api::proto::gallery::v1::{GetUploadRequest, ProvisionRequest, ProvisionResponse};
use tyto_attest::GalleryOperation;
use tyto_pqc::digest::sha3_256;
use tyto_pqc::random;
use tyto_scheme::segment::{blocks_per_segment, segment_bytes, write_header, write_packed_block};
use tyto_scheme::{BlockId, GalleryParameters, UploadId};
use tyto_tenant::Gallery;
use tyto_tenant::block::OpenBlock;
use tyto_tenant::manifest::ManifestEntry;

const CALL: &str = "Provision";
/// About how many bytes a segment has at most; a single block may be larger.
const SEGMENT_BYTES: usize = 6 << 20;
/// Most blocks of a segment: their records must fit into one message beside a manifest.
const MAX_BLOCKS: usize = 128;

/// A segment as it is uploaded.
pub(crate) struct Draft {
    header: ProvisionHeader,
    bytes: Bytes,
    blocks: Vec<DraftBlock>,
}

struct DraftBlock {
    block: BlockId,
    sealed_record: Bytes,
    entry: ManifestEntry,
}

/// How many blocks the next segment has if `wanted` are needed.
pub(crate) fn segment_blocks(parameters: &GalleryParameters, wanted: usize) -> usize {
    wanted.clamp(1, blocks_per_segment(parameters, SEGMENT_BYTES).min(MAX_BLOCKS))
}

impl Draft {
    /// Provisions blocks: at d = 128 about a millisecond each.
    pub(crate) fn provision(gallery: &Gallery, count: usize) -> Result<(Self, Vec<OpenBlock>), Error> {
        let parameters = gallery.parameters();
        let mut bytes = Vec::with_capacity(segment_bytes(parameters, count));
        write_header(parameters, count as u16, &mut bytes);
        let (mut blocks, mut open) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for (block, provisioned) in OpenBlock::provision_many(gallery, count)? {
            write_packed_block(block.block(), &provisioned.polynomials, &mut bytes);
            let entry = provisioned.manifest_entry();
            let sealed_record = provisioned.sealed_record.into();
            blocks.push(DraftBlock { block: block.block(), sealed_record, entry });
            open.push(block);
        }
        let header = ProvisionHeader {
            gallery: parameters.gallery,
            upload: UploadId(random::bytes().map_err(tyto_tenant::Error::from)?),
            total_bytes: bytes.len() as u64,
            digest: sha3_256(&[&bytes]),
        };
        Ok((Self { header, bytes: bytes.into(), blocks }, open))
    }

    fn is_in(&self, view: &View) -> bool {
        self.blocks.iter().all(|block| view.block(block.block).is_some())
    }

    fn updates(&self) -> Vec<BlockUpdate> {
        let update = |draft: &DraftBlock| BlockUpdate {
            block: draft.block,
            version: 1,
            sealed_record: draft.sealed_record.clone(),
            first_entry: 0,
            entries: Vec::new(),
        };
        self.blocks.iter().map(update).collect()
    }

    fn records(&self) -> Vec<SealedRecord> {
        let record = |draft: &DraftBlock| SealedRecord {
            block: draft.block,
            version: 1,
            sealed: draft.sealed_record.clone(),
        };
        self.blocks.iter().map(record).collect()
    }
}

/// A segment on its way: its chunks flow while other work goes on.
pub(crate) struct Upload {
    draft: Arc<Draft>,
    stream: UploadStream,
}

struct UploadStream {
    /// Gives the stream back when all chunks are on their way; none if the call is over already.
    feeder: JoinHandle<Result<Option<mpsc::Sender<ProvisionRequest>>, Error>>,
    call: JoinHandle<Result<ProvisionResponse, Error>>,
}

impl UploadStream {
    fn start(rpc: &Rpc, draft: &Arc<Draft>, offset: u64) -> Self {
        let (sender, parts) = mpsc::channel::<ProvisionRequest>(2);
        let (feeding, draft) = (rpc.clone(), Arc::clone(draft));
        let feeder = tokio::spawn(async move {
            let chunks = chunks(&draft.bytes, offset).map(|(offset, data)| Chunk { offset, data }.into());
            for part in std::iter::once(draft.header.into()).chain(chunks) {
                if !feeding.feed(CALL, &sender, part).await? {
                    return Ok(None);
                }
            }
            Ok(Some(sender))
        });
        let calling = rpc.clone();
        // Bounded by the idle time-outs of feeding and, after the commit, by that of the call.
        let call = tokio::spawn(async move { calling.provision(CALL, ReceiverStream::new(parts)).await });
        Self { feeder, call }
    }

    async fn commit(self, rpc: &Rpc, commit: ProvisionRequest) -> Result<Answer, Error> {
        let abort = self.call.abort_handle();
        if let Some(sender) = self.feeder.await?? {
            rpc.feed(CALL, &sender, commit).await?;
        }
        let answered = rpc.within_call(CALL, self.call).await;
        abort.abort();
        let mut answer = answered???;
        let logged = answer.logged.take().map(TryInto::try_into).transpose()?;
        Ok((answer.try_into()?, logged))
    }
}

impl GalleryHandle {
    /// Begins to upload a segment.
    pub(crate) fn upload(&self, draft: Draft) -> Upload {
        let draft = Arc::new(draft);
        Upload { stream: UploadStream::start(&self.0.shared.rpc, &draft, 0), draft }
    }

    /// Makes an uploaded segment part of the gallery, durably. Returns how many blocks that are. The caller holds the
    /// turn for mutations.
    pub(crate) async fn commit_segment(&self, upload: Upload, tally: &mut Tally) -> Result<u64, Error> {
        let Upload { draft, stream } = upload;
        tally.bytes_sent += draft.bytes.len() as u64;
        let blocks = draft.blocks.len() as u64;
        let rpc = &self.0.shared.rpc;
        let mut stream = Some(stream);
        let (mut attempts, mut conflicts) = (1, 1);
        loop {
            let view = self.0.view();
            if draft.is_in(&view) {
                return Ok(blocks);
            }
            let prepared = prepare(&self.0, &draft, &view).await?;
            let current = match stream.take() {
                Some(stream) => stream,
                None => self.resume(&draft).await?,
            };
            tally.requests += 1;
            let message = ProvisionRequest::from(prepared.commit.clone());
            tally.bytes_sent += size(&message);
            match current.commit(rpc, message).await {
                Ok((Outcome::Committed { manifest_version }, logged)) => {
                    let change = SentChange {
                        call: CALL,
                        operation: GalleryOperation::Provision,
                        gallery: draft.header.gallery,
                        items: blocks,
                        state: Some(self.adopt(CALL, prepared.successor, manifest_version)?),
                        repeated: attempts > 1,
                    };
                    let (header, commit) = (draft.header, prepared.commit);
                    let request = move |out: &mut _| content::change::provision(&header, &commit, out);
                    self.0.settle_change(change, logged, request).await?;
                    return Ok(blocks);
                }
                Ok((Outcome::Conflict { .. }, _)) if conflicts < MAX_CONFLICTS => {
                    tally.conflicts += 1;
                    pause(conflicts.min(4)).await;
                    conflicts += 1;
                }
                Ok((Outcome::Conflict { .. }, _)) => return Err(Error::Contention { attempts: conflicts }),
                Err(error) if error.is_transient() && attempts < rpc.max_attempts() => {
                    pause(attempts).await;
                    attempts += 1;
                }
                Err(error) => return Err(error),
            }
            // Shows what others did, and whether a lost commit of ours arrived.
            self.synchronise().await?;
        }
    }

    /// Goes on with an upload where the server has it.
    async fn resume(&self, draft: &Arc<Draft>) -> Result<UploadStream, Error> {
        let rpc = &self.0.shared.rpc;
        let request = GetUploadRequest {
            gallery_id: Bytes::copy_from_slice(&draft.header.gallery.0),
            upload_id: Bytes::copy_from_slice(&draft.header.upload.0),
        };
        let ask = |rpc: Rpc| {
            let request = request.clone();
            async move { { rpc.gallery }.get_upload(request).await }
        };
        let received = match rpc.repeat("GetUpload", ask).await {
            Ok(status) => UploadStatus::from(status).received_bytes,
            Err(error) if error.is_not_found() => 0,
            Err(error) => return Err(error),
        };
        Ok(UploadStream::start(rpc, draft, received))
    }
}

struct Prepared {
    commit: ProvisionCommit,
    successor: super::commit::Successor,
}

async fn prepare(inner: &Arc<Inner>, draft: &Arc<Draft>, view: &Arc<View>) -> Result<Prepared, Error> {
    let (inner, draft, view) = (Arc::clone(inner), Arc::clone(draft), Arc::clone(view));
    compute(move || {
        let entries: Vec<_> = draft.blocks.iter().map(|block| block.entry).collect();
        let (known, manifest) = next_manifest(&inner, &view, &entries)?;
        let commit = ProvisionCommit { records: draft.records(), manifest };
        Ok(Prepared { commit, successor: next_view(&inner, &view, known, draft.updates())? })
    })
    .await
}
