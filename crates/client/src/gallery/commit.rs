//! Mutations: built on the newest view, sent until their outcome is known, built anew if somebody else was first.

use super::change::{LoggedState, SentChange};
use super::directory::Enrolled;
use super::view::{BlockState, BlockUpdate, KnownManifest, View};
use super::{GalleryHandle, Inner, compute};
use crate::Error;
use crate::channel::{Rpc, pause, size};
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Streaming};
use tyto_api::content;
use tyto_api::gallery::{BlockChange, LoggedChange, ManifestUpdate, Mutation, Outcome, SlotWrite};
use tyto_api::limits::MAX_MANIFEST_BYTES;
use tyto_api::proto::gallery::v1::{EnrolRequest, EnrolResponse, RemoveRequest};
use tyto_attest::GalleryOperation;
use tyto_scheme::{BlockId, Delta};
use tyto_tenant::block::{self, Fill, Removal};
use tyto_tenant::manifest::ManifestEntry;

/// How often a mutation is built anew before this process gives up against the others.
pub(crate) const MAX_CONFLICTS: u32 = 16;
/// Bytes of a block in a manifest, and of what surrounds them.
const MANIFEST_ENTRY_BYTES: usize = 16 + 8 + 16;
const MANIFEST_OVERHEAD_BYTES: usize = 64;

/// What is to be done to one block.
pub(crate) enum BlockWork {
    /// Templates to be written, and the next free slot after them.
    Fill {
        /// The block.
        block: BlockId,
        /// All of this block.
        fills: Vec<Fill>,
        /// What the journal must say before they are sent.
        next_slot: u16,
    },
    /// Templates to be removed.
    Empty {
        /// The block.
        block: BlockId,
        /// Slots with their deltas and tags as the server stores them.
        stored: Vec<(u16, Delta, [u8; 16])>,
    },
}

/// How often and how much.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) requests: u64,
    pub(crate) conflicts: u64,
    pub(crate) bytes_sent: u64,
}

/// A mutation that did not come to its end.
pub(crate) struct Failure {
    pub(crate) error: Error,
    /// It was sent, and may have arrived.
    pub(crate) uncertain: bool,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, uncertain: false }
    }
}

impl BlockWork {
    pub(crate) fn block(&self) -> BlockId {
        match self {
            Self::Fill { block, .. } | Self::Empty { block, .. } => *block,
        }
    }

    /// Whether a view shows that this was done. Only this process fills the block, one batch after the other: a
    /// record that counts a slot as used counts it because this batch arrived.
    fn is_done(&self, view: &View) -> bool {
        match self {
            Self::Fill { block, fills, .. } => {
                let state = view.block(*block);
                state.is_some_and(|state| fills.iter().all(|fill| fill.slot() < state.used))
            }
            Self::Empty { block, stored } => {
                stored.iter().all(|(slot, ..)| view.subject(*block, *slot).is_none())
            }
        }
    }

    /// The change that does it on top of a view, if anything is left to do.
    fn change(&self, inner: &Inner, view: &View) -> Result<Option<Change>, Error> {
        let block = self.block();
        let state = view.block(block).ok_or(Error::MissingBlock(block))?;
        let base = state.record(&inner.gallery, block)?;
        let (change, writes) = match self {
            Self::Fill { fills, .. } => {
                let write = |fill: &Fill| SlotWrite {
                    slot: fill.slot(),
                    subject: fill.pseudonym(),
                    delta: fill.delta().to_bytes().into(),
                    tag: *fill.tag(),
                };
                let change = block::BlockChange::new(&inner.gallery, &base, fills, &[])?;
                (change, fills.iter().map(write).collect())
            }
            Self::Empty { stored, .. } => {
                let mut stored = stored.clone();
                stored.retain(|(slot, ..)| base.is_filled(*slot));
                if stored.is_empty() {
                    return Ok(None);
                }
                let removals = Removal::from_stored(&inner.gallery, &base, &stored)?;
                (block::BlockChange::new(&inner.gallery, &base, &[], &removals)?, Vec::new())
            }
        };
        let entry = change.manifest_entry();
        let entries: Vec<Bytes> = change.entries.into_iter().map(Bytes::from).collect();
        let sealed_record = Bytes::from(change.sealed_record);
        let update = BlockUpdate {
            block,
            version: entry.version,
            sealed_record: sealed_record.clone(),
            first_entry: change.first_entry,
            entries: entries.clone(),
        };
        let message = BlockChange {
            block,
            base_version: change.base_version,
            writes,
            removals: change.removals,
            first_entry: change.first_entry,
            entries,
            sealed_record,
        };
        Ok(Some(Change { entry, message, update }))
    }
}

struct Change {
    entry: ManifestEntry,
    message: BlockChange,
    update: BlockUpdate,
}

/// The manifest after some blocks change, and its sealed form.
///
/// # Errors
/// [`Error::GalleryFull`].
pub(crate) fn next_manifest(
    inner: &Inner,
    view: &View,
    changed: &[ManifestEntry],
) -> Result<(KnownManifest, ManifestUpdate), Error> {
    let manifest = view.manifest().next(changed);
    let blocks = (MAX_MANIFEST_BYTES - MANIFEST_OVERHEAD_BYTES) / MANIFEST_ENTRY_BYTES;
    if manifest.entries().len() > blocks {
        return Err(Error::GalleryFull { blocks });
    }
    let sealed = manifest.seal(&inner.gallery)?;
    let update = ManifestUpdate { version: manifest.version(), sealed: Bytes::copy_from_slice(&sealed) };
    Ok((KnownManifest::new(manifest, &sealed), update))
}

/// Bytes of the manifest of `blocks` blocks, sealed.
pub(crate) fn manifest_bytes(blocks: usize) -> usize {
    MANIFEST_OVERHEAD_BYTES + blocks * MANIFEST_ENTRY_BYTES
}

/// The view after block updates that were made here.
pub(crate) fn next_view(
    inner: &Inner,
    base: &View,
    known: KnownManifest,
    updates: Vec<BlockUpdate>,
) -> Result<Successor, Error> {
    let mut changed = HashMap::with_capacity(updates.len());
    let mut enrolled = Vec::with_capacity(updates.len());
    for update in updates {
        let block = update.block;
        let before = base.block(block).map(|state| &**state);
        let (state, slots) = BlockState::open(&inner.gallery, &inner.hasher, before, update)?;
        changed.insert(block, Arc::new(state));
        enrolled.push((block, slots));
    }
    let state = LoggedState::new(known.mark.version, &known.sealed_digest, &known.blocks_root());
    Ok(Successor { view: View::assemble(known, Some(base), &mut changed)?, enrolled, state })
}

/// A view that becomes the current one once the server has acknowledged it.
pub(crate) struct Successor {
    view: View,
    enrolled: Vec<(BlockId, Enrolled)>,
    /// What the log says of it.
    pub(crate) state: LoggedState,
}

impl GalleryHandle {
    /// Takes over a mutation that the server acknowledged; gives what the log has to say of it.
    pub(crate) fn adopt(
        &self,
        call: &'static str,
        successor: Successor,
        found: u64,
    ) -> Result<LoggedState, Error> {
        let mark = successor.view.known.mark;
        if found != mark.version {
            return Err(Error::Acknowledgement { call, found, expected: mark.version });
        }
        self.0.marks.observe(None, mark)?;
        if let Some(cache) = &self.0.cache {
            cache.freeze();
        }
        self.0.install(successor.view, &successor.enrolled);
        Ok(successor.state)
    }

    /// Does some work on blocks, in one transaction, durably. The caller holds the turn for mutations.
    ///
    /// A lost answer is followed by the identical request: the server acknowledges a repetition of its latest
    /// mutation. If others went on in between, the records say whether ours arrived; if not, the same deltas go on
    /// top of the newer record.
    pub(crate) async fn mutate(
        &self,
        work: &Arc<Vec<BlockWork>>,
        channel: &mut MutationChannel,
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        let mut uncertain = false;
        let settled = self.mutate_until_settled(work, channel, tally, &mut uncertain).await;
        settled.map_err(|error| Failure { error, uncertain })
    }

    /// `uncertain` rises before a mutation is sent, and falls only when the server or its records say what became of it.
    async fn mutate_until_settled(
        &self,
        work: &Arc<Vec<BlockWork>>,
        channel: &mut MutationChannel,
        tally: &mut Tally,
        uncertain: &mut bool,
    ) -> Result<(), Error> {
        for conflicts in 1..=MAX_CONFLICTS {
            let view = self.0.view();
            if work.iter().all(|work| work.is_done(&view)) {
                return Ok(());
            }
            let (mutation, known, updates) = self.build(work, &view).await?;
            let mutation = Arc::new(mutation);
            let inner = Arc::clone(&self.0);
            let base = Arc::clone(&view);
            // The next view is made while the server works.
            let successor = tokio::task::spawn_blocking(move || next_view(&inner, &base, known, updates));
            *uncertain = true;
            let sent = self.send(&mutation, channel, tally).await?;
            match sent.outcome {
                Outcome::Committed { manifest_version } => {
                    let successor = successor.await??;
                    let change =
                        channel.change(&mutation, self.adopt(channel.call(), successor, manifest_version)?);
                    let change = SentChange { repeated: sent.repeated, ..change };
                    let request = move |out: &mut _| content::change::mutation(&mutation, out);
                    return self.0.settle_change(change, sent.logged, request).await;
                }
                Outcome::Conflict { .. } => {
                    tally.conflicts += 1;
                    self.synchronise().await?;
                    if work.iter().all(|work| work.is_done(&self.0.view())) {
                        return Ok(());
                    }
                    // What the newest records do not show did not happen.
                    *uncertain = false;
                    pause(conflicts.min(4)).await;
                }
            }
        }
        Err(Error::Contention { attempts: MAX_CONFLICTS })
    }

    async fn build(
        &self,
        work: &Arc<Vec<BlockWork>>,
        view: &Arc<View>,
    ) -> Result<(Mutation, KnownManifest, Vec<BlockUpdate>), Error> {
        let mut jobs = JoinSet::new();
        for index in 0..work.len() {
            let (inner, work, view) = (Arc::clone(&self.0), Arc::clone(work), Arc::clone(view));
            jobs.spawn_blocking(move || Ok::<_, Error>((index, work[index].change(&inner, &view)?)));
        }
        let mut changes = Vec::with_capacity(work.len());
        while let Some(done) = jobs.join_next().await {
            let (index, change) = done??;
            changes.extend(change.map(|change| (index, change)));
        }
        changes.sort_unstable_by_key(|(index, _)| *index);
        let (inner, view) = (Arc::clone(&self.0), Arc::clone(view));
        compute(move || {
            let entries: Vec<_> = changes.iter().map(|(_, change)| change.entry).collect();
            let (known, manifest) = next_manifest(&inner, &view, &entries)?;
            let changes = changes.into_iter().map(|(_, change)| (change.message, change.update));
            let (changes, updates) = changes.unzip();
            Ok((Mutation { gallery: inner.id(), changes, manifest }, known, updates))
        })
        .await
    }

    /// Sends one mutation until it is answered.
    async fn send(
        &self,
        mutation: &Mutation,
        channel: &mut MutationChannel,
        tally: &mut Tally,
    ) -> Result<Sent, Error> {
        let request = EnrolRequest::from(mutation.clone());
        let max_attempts = self.0.shared.rpc.max_attempts();
        let mut attempts = 1;
        loop {
            tally.requests += 1;
            tally.bytes_sent += size(&request);
            match channel.exchange(&self.0.shared.rpc, request.clone()).await {
                Err(error) if error.is_transient() && attempts < max_attempts => {
                    pause(attempts).await;
                    attempts += 1;
                }
                done => {
                    let (outcome, logged) = done?;
                    return Ok(Sent { outcome, logged, repeated: attempts > 1 });
                }
            }
        }
    }
}

/// The answer to a mutation.
struct Sent {
    outcome: Outcome,
    logged: Option<LoggedChange>,
    repeated: bool,
}

/// How a change ended, and what the log says of it.
pub(crate) type Answer = (Outcome, Option<LoggedChange>);

/// How mutations go to the server.
pub(crate) enum MutationChannel {
    /// Over one stream as long as it lasts.
    Enrol(Option<Box<EnrolStream>>),
    /// One by one.
    Remove,
}

/// Requests go in, answers come out, in the same order.
pub(crate) struct EnrolStream {
    sender: mpsc::Sender<EnrolRequest>,
    answers: Streaming<EnrolResponse>,
}

impl EnrolStream {
    /// Opens a stream with its first request.
    async fn open(rpc: &Rpc, first: EnrolRequest) -> Result<Box<Self>, Error> {
        let (sender, requests) = mpsc::channel(1);
        rpc.feed("Enrol", &sender, first).await?;
        let mut gallery = rpc.gallery.clone();
        let answers = rpc.answer("Enrol", gallery.enrol(ReceiverStream::new(requests))).await?;
        Ok(Box::new(Self { sender, answers }))
    }
}

impl MutationChannel {
    fn call(&self) -> &'static str {
        match self {
            Self::Enrol(_) => "Enrol",
            Self::Remove => "Remove",
        }
    }

    /// A mutation over this channel.
    fn change(&self, mutation: &Mutation, state: LoggedState) -> SentChange {
        let items = mutation.changes.iter().map(|change| change.writes.len() + change.removals.len());
        let operation = match self {
            Self::Enrol(_) => GalleryOperation::Enrol,
            Self::Remove => GalleryOperation::Remove,
        };
        let (items, state) = (items.sum::<usize>() as u64, Some(state));
        SentChange { call: self.call(), operation, gallery: mutation.gallery, items, state, repeated: false }
    }

    async fn exchange(&mut self, rpc: &Rpc, request: EnrolRequest) -> Result<Answer, Error> {
        let call = self.call();
        let Self::Enrol(kept) = self else {
            let EnrolRequest { gallery_id, changes, manifest } = request;
            let request = RemoveRequest { gallery_id, changes, manifest };
            let mut answer = rpc.answer(call, rpc.gallery.clone().remove(request)).await?;
            let logged = answer.logged.take().map(TryInto::try_into).transpose()?;
            return Ok((answer.try_into()?, logged));
        };
        // Taken out, so that a stream with an error or a pending answer is never used again.
        let mut stream = match kept.take() {
            Some(stream) => {
                rpc.feed(call, &stream.sender, request).await?;
                stream
            }
            None => EnrolStream::open(rpc, request).await?,
        };
        let Some(mut answer) = rpc.next(call, &mut stream.answers).await? else {
            let message = "the stream ended".to_owned();
            return Err(Error::Rpc { call, code: Code::Unavailable, message });
        };
        *kept = Some(stream);
        let logged = answer.logged.take().map(TryInto::try_into).transpose()?;
        Ok((answer.try_into()?, logged))
    }
}
