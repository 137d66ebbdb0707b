//! Enrolment. One half makes blocks, uploads them and binds templates to slots; the other commits, one transaction
//! after the other. They work side by side, so that the server is busy while the client computes.

use super::commit::{BlockWork, Failure, MutationChannel, Tally, manifest_bytes};
use super::segment::{Draft, Upload, segment_blocks};
use super::writer::Writer;
use super::{GalleryHandle, compute};
use crate::state::Journal;
use crate::{EnrolReport, Error};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tyto_api::limits::{MAX_CHANGES_PER_CALL, MAX_MESSAGE_BYTES, MAX_SLOTS_PER_CALL};
use tyto_scheme::BlockId;
use tyto_tenant::block::OpenBlock;
use tyto_tenant::slotmap::SEALED_ENTRY_BYTES;
use tyto_tenant::{Gallery, SubjectId, Template};

/// Templates to be enrolled, in their order.
type Items<'a> = dyn Iterator<Item = (SubjectId, Template)> + Send + 'a;

/// Room in a message for half-full blocks and for what surrounds fields.
const RESERVE_BYTES: usize = 256 << 10;
/// How old the saved high-water mark may become during a long enrolment.
const SAVE_INTERVAL: Duration = Duration::from_secs(1);
/// Blocks that may be added to the manifest while a batch waits.
const RESERVE_BLOCKS: usize = 1024;

/// A segment that is being made.
type Drafting = JoinHandle<Result<(Draft, Vec<OpenBlock>), Error>>;

/// Templates bound to their slots, and the segments that must be there first.
struct Batch {
    segments: Vec<Upload>,
    work: Arc<Vec<BlockWork>>,
    templates: u64,
}

/// What the committing half did.
struct Committed {
    report: EnrolReport,
    tally: Tally,
    failure: Option<Failure>,
    /// Templates of the batch that failed.
    failed: u64,
}

impl GalleryHandle {
    pub(crate) async fn enrol_all(
        &self,
        items: &mut Items<'_>,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<EnrolReport, Error> {
        let started = Instant::now();
        let mut kept = self.0.writer.lock().await;
        // Should this future be dropped, a new writer is made from the journal.
        let mut writer = std::mem::take(&mut *kept);
        if writer.is_new() && self.0.shared.state.is_some() {
            // Somebody else may have gone on with a journalled block since this handle last looked.
            self.synchronise().await?;
        }
        let (inner, view) = (Arc::clone(&self.0), self.0.view());
        writer = compute(move || writer.prepare(&inner, &view).map(|()| writer)).await?;
        let Writer { open, journal, .. } = &mut writer;
        let journalled = journal.is_some();
        let (batches, waiting) = mpsc::channel(1);
        let (produced, committed) =
            tokio::join!(self.produce(items, open, batches), self.commit_all(waiting, journal, progress));
        let journal_failed = journalled && writer.journal.is_none();
        if !journal_failed {
            *kept = writer;
        }
        drop(kept);
        self.save_marks().await?;
        let Committed { mut report, tally, failure, failed } = committed;
        let failure = failure.or_else(|| produced.err().map(Failure::from));
        if let Some(Failure { error, uncertain }) = failure {
            return Err(Error::Enrolment {
                acknowledged: report.enrolled,
                uncertain: if uncertain { failed } else { 0 },
                source: Box::new(error),
            });
        }
        report.requests = tally.requests;
        report.conflicts = tally.conflicts;
        report.bytes_sent = tally.bytes_sent;
        report.journalled = journalled;
        report.elapsed = started.elapsed();
        Ok(report)
    }

    /// Makes batches until there are no more items, or nobody takes them.
    async fn produce(
        &self,
        items: &mut Items<'_>,
        open: &mut Vec<OpenBlock>,
        batches: mpsc::Sender<Batch>,
    ) -> Result<(), Error> {
        let mut ahead = None;
        loop {
            let (chunk, refused) = self.pull(items);
            if chunk.is_empty() {
                return refused.map_or(Ok(()), Err);
            }
            let templates = chunk.len() as u64;
            let segments = self.make_room(chunk.len(), items.size_hint().0, open, &mut ahead).await?;
            let (gallery, mut blocks) = (Arc::clone(&self.0.gallery), std::mem::take(open));
            let (blocks, work) = compute(move || {
                let work = fill(&gallery, &mut blocks, chunk)?;
                blocks.retain(|block| block.free_slots() > 0);
                Ok((blocks, work))
            })
            .await?;
            *open = blocks;
            let batch = Batch { segments, work: Arc::new(work), templates };
            if batches.send(batch).await.is_err() {
                // The other half failed, and says why.
                return Ok(());
            }
            if let Some(refused) = refused {
                return Err(refused);
            }
        }
    }

    /// Takes as many items as fit into one transaction, up to the first that cannot be enrolled.
    fn pull(&self, items: &mut Items<'_>) -> (Vec<(SubjectId, Template)>, Option<Error>) {
        let expected = self.gallery().layout().dimension();
        let limit = batch_limit(self.gallery(), self.0.view().blocks().len());
        let mut chunk = Vec::with_capacity(items.size_hint().0.min(limit));
        while chunk.len() < limit {
            let Some((subject, template)) = items.next() else { break };
            let found = template.values().len();
            if found != expected {
                return (chunk, Some(tyto_tenant::Error::Dimension { found, expected }.into()));
            }
            chunk.push((subject, template));
        }
        (chunk, None)
    }

    /// Provisions until `needed` slots are free, and begins with the next segment if `later` items need one.
    async fn make_room(
        &self,
        needed: usize,
        later: usize,
        open: &mut Vec<OpenBlock>,
        ahead: &mut Option<Drafting>,
    ) -> Result<Vec<Upload>, Error> {
        let parameters = *self.gallery().parameters();
        let slots = parameters.layout.slots();
        let provision = |wanted: usize| {
            let count = segment_blocks(&parameters, wanted.div_ceil(slots));
            let gallery = Arc::clone(&self.0.gallery);
            tokio::task::spawn_blocking(move || Draft::provision(&gallery, count))
        };
        let mut segments = Vec::new();
        loop {
            let free = free_slots(open);
            if free >= needed {
                let wanted = (needed + later).saturating_sub(free);
                if wanted > 0 && ahead.is_none() {
                    *ahead = Some(provision(wanted));
                }
                return Ok(segments);
            }
            let drafting = ahead.take().unwrap_or_else(|| provision(needed + later - free));
            let (draft, blocks) = drafting.await??;
            segments.push(self.upload(draft));
            open.extend(blocks);
        }
    }

    async fn commit_all(
        &self,
        mut batches: mpsc::Receiver<Batch>,
        journal: &mut Option<Journal>,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Committed {
        let mut channel = MutationChannel::Enrol(None);
        let (report, tally) = (EnrolReport::default(), Tally::default());
        let mut committed = Committed { report, tally, failure: None, failed: 0 };
        let mut saved = Instant::now();
        while let Some(batch) = batches.recv().await {
            let templates = batch.templates;
            if let Err(failure) = self.commit_batch(batch, journal, &mut channel, &mut committed).await {
                committed.failure = Some(failure);
                committed.failed = templates;
                break;
            }
            committed.report.enrolled += templates;
            progress(committed.report.enrolled);
            if saved.elapsed() > SAVE_INTERVAL {
                if let Err(error) = self.save_marks().await {
                    committed.failure = Some(error.into());
                    break;
                }
                saved = Instant::now();
            }
        }
        committed
    }

    async fn commit_batch(
        &self,
        batch: Batch,
        journal: &mut Option<Journal>,
        channel: &mut MutationChannel,
        committed: &mut Committed,
    ) -> Result<(), Failure> {
        let _turn = self.0.mutation_turn.lock().await;
        for segment in batch.segments {
            let blocks = self.commit_segment(segment, &mut committed.tally).await?;
            committed.report.blocks_provisioned += blocks;
        }
        if let Some(mut open) = journal.take() {
            let next_slots = next_slots(&batch.work);
            // Not put back if it fails: then these blocks are never filled again by this process.
            *journal = Some(compute(move || open.append(&next_slots).map(|()| open)).await?);
        }
        self.mutate(&batch.work, channel, &mut committed.tally).await
    }
}

fn free_slots(open: &[OpenBlock]) -> usize {
    open.iter().map(|block| usize::from(block.free_slots())).sum()
}

/// Binds templates to the next free slots. There is room for all of them.
fn fill(
    gallery: &Gallery,
    open: &mut [OpenBlock],
    templates: Vec<(SubjectId, Template)>,
) -> Result<Vec<BlockWork>, Error> {
    let mut templates = templates.into_iter();
    let mut work = Vec::new();
    for block in open {
        let room = usize::from(block.free_slots());
        let bind = |(subject, template): (SubjectId, Template)| block.fill(gallery, subject, &template);
        let fills = templates.by_ref().take(room).map(bind).collect::<Result<Vec<_>, _>>()?;
        if !fills.is_empty() {
            work.push(BlockWork::Fill { block: block.block(), fills, next_slot: block.next_slot() });
        }
    }
    Ok(work)
}

/// What the journal must say before a batch is sent.
fn next_slots(work: &[BlockWork]) -> Vec<(BlockId, u16)> {
    let next = |work: &BlockWork| match work {
        BlockWork::Fill { block, next_slot, .. } => Some((*block, *next_slot)),
        BlockWork::Empty { .. } => None,
    };
    work.iter().filter_map(next).collect()
}

/// How many templates fit into one transaction of a gallery with so many blocks.
fn batch_limit(gallery: &Gallery, blocks: usize) -> usize {
    /// Tags, pseudonyms and framing of one template.
    const WRITE_BYTES: usize = 64;
    /// What a record has beside its hint and its check vector, and framing.
    const RECORD_BYTES: usize = 512;
    let layout = gallery.layout();
    let per_template = layout.delta_bytes() + SEALED_ENTRY_BYTES + WRITE_BYTES;
    let per_block = layout.polynomials_bytes() / layout.chunks() + 8 * layout.dimension() + RECORD_BYTES;
    let room = MAX_MESSAGE_BYTES
        - RESERVE_BYTES
        - manifest_bytes(blocks + RESERVE_BLOCKS).min(MAX_MESSAGE_BYTES / 2);
    let by_bytes = room * layout.slots() / (per_template * layout.slots() + per_block);
    let by_blocks = (MAX_CHANGES_PER_CALL - 8) * layout.slots();
    by_bytes.min(by_blocks).clamp(1, MAX_SLOTS_PER_CALL)
}
