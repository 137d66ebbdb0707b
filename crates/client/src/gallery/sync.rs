//! Synchronisation: from one view to the newest, over what changed in between.

use super::compute;
use super::directory::{Enrolled, SubjectHasher};
use super::view::{BlockState, BlockUpdate, KnownManifest, View};
use crate::Error;
use crate::channel::{Rpc, pause, size};
use crate::state::{Cache, HighWater, Staged};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use tokio::task::JoinSet;
use tyto_api::gallery::{FetchRecords, RecordPart};
use tyto_scheme::BlockId;
use tyto_tenant::Gallery;

const CALL: &str = "FetchRecords";
/// Blocks that are opened side by side; the network is slower than that.
const MAX_OPENING: usize = 4;

/// What a synchronisation brought.
pub(crate) struct Fetched {
    pub(crate) view: View,
    pub(crate) enrolled: Vec<(BlockId, Enrolled)>,
    pub(crate) changed_blocks: u64,
    pub(crate) new_entries: u64,
    pub(crate) bytes_received: u64,
}

/// Who fetches, and for which gallery.
pub(crate) struct Fetcher<'a> {
    pub(crate) rpc: &'a Rpc,
    pub(crate) gallery: &'a Arc<Gallery>,
    pub(crate) hasher: &'a SubjectHasher,
    pub(crate) marks: &'a Arc<HighWater>,
    pub(crate) cache: Option<&'a Arc<Cache>>,
}

impl Fetcher<'_> {
    /// Fetches the newest view on top of `base`, again if the connection breaks.
    pub(crate) async fn fetch(&self, base: Option<&Arc<View>>) -> Result<Fetched, Error> {
        let mut attempts = 1;
        loop {
            match self.attempt(base).await {
                Err(error) if error.is_transient() && attempts < self.rpc.max_attempts() => {
                    pause(attempts).await;
                    attempts += 1;
                }
                done => return done,
            }
        }
    }

    async fn attempt(&self, base: Option<&Arc<View>>) -> Result<Fetched, Error> {
        let floor = self.marks.current();
        let mut rpc = self.rpc.gallery.clone();
        let request: tyto_api::proto::gallery::v1::FetchRecordsRequest = self.request(base).into();
        let mut stream = self.rpc.answer(CALL, rpc.fetch_records(request)).await?;
        let mut bytes_received = 0;
        let Some(first) = self.rpc.next(CALL, &mut stream).await? else {
            return Err(Error::OutOfOrder { call: CALL });
        };
        bytes_received += size(&first);
        let RecordPart::Manifest { version, sealed, changed_blocks } = first.try_into()? else {
            return Err(Error::OutOfOrder { call: CALL });
        };
        let known = KnownManifest::open(self.gallery, version, &sealed)?;
        self.marks.observe(floor, known.mark)?;
        // Before anything else comes: an authentic manifest was seen, whatever becomes of the rest of the answer.
        save_marks(self.marks).await?;
        let gallery = self.gallery.parameters().gallery;
        if base.is_some_and(|base| base.version() == version && base.known.mark != known.mark) {
            return Err(Error::Forked { gallery, version });
        }
        let cache = self.cache.filter(|cache| cache.has_room(known.manifest.entries().len()));
        let mut opening = Opening { cache, ..Opening::default() };
        let mut received = 0;
        while let Some(message) = self.rpc.next(CALL, &mut stream).await? {
            bytes_received += size(&message);
            received += 1;
            let RecordPart::Block { record, first_entry, entries } = message.try_into()? else {
                return Err(Error::OutOfOrder { call: CALL });
            };
            let block = record.block;
            let update = BlockUpdate {
                block,
                version: record.version,
                sealed_record: record.sealed,
                first_entry,
                entries,
            };
            opening.push(self, base, update).await?;
        }
        if received != changed_blocks {
            return Err(Error::OutOfOrder { call: CALL });
        }
        opening.finish().await?;
        let Opening { mut changed, enrolled, entries: new_entries, staged, .. } = opening;
        let view = View::assemble(known, base.map(|base| &**base), &mut changed)?;
        if let Some(cache) = cache.filter(|_| base.is_none() || changed_blocks > 0).map(Arc::clone) {
            let (version, sealed) = (view.version(), view.known.sealed.clone());
            compute(move || {
                cache.commit(&staged, version, &sealed);
                Ok(())
            })
            .await?;
        }
        Ok(Fetched { view, enrolled, changed_blocks, new_entries, bytes_received })
    }

    fn request(&self, base: Option<&Arc<View>>) -> FetchRecords {
        let known_entries = base.map(|base| {
            let known = base.blocks().filter(|(_, state)| state.entries() > 0);
            known.map(|(block, state)| (block, state.entries())).collect()
        });
        FetchRecords {
            gallery: self.gallery.parameters().gallery,
            known_manifest_version: base.map_or(0, |base| base.version()),
            known_entries: known_entries.unwrap_or_default(),
        }
    }
}

/// Saves a mark if it rose.
pub(crate) async fn save_marks(marks: &Arc<HighWater>) -> Result<(), Error> {
    if !marks.is_unsaved() {
        return Ok(());
    }
    let marks = Arc::clone(marks);
    compute(move || marks.save()).await
}

type Opened = Result<(BlockId, BlockState, Enrolled, Option<Staged>), Error>;

/// Blocks that are being opened on other threads.
#[derive(Default)]
struct Opening<'a> {
    cache: Option<&'a Arc<Cache>>,
    jobs: JoinSet<Opened>,
    changed: HashMap<BlockId, Arc<BlockState>>,
    enrolled: Vec<(BlockId, Enrolled)>,
    entries: u64,
    /// For the cache, if the manifest turns out to list all that came.
    staged: Vec<Staged>,
}

impl Opening<'_> {
    async fn push(
        &mut self,
        fetcher: &Fetcher<'_>,
        base: Option<&Arc<View>>,
        update: BlockUpdate,
    ) -> Result<(), Error> {
        while self.jobs.len() >= MAX_OPENING {
            self.take_one().await?;
        }
        self.entries += update.entries.len() as u64;
        let gallery = Arc::clone(fetcher.gallery);
        let hasher = fetcher.hasher.clone();
        let before = base.and_then(|base| base.block(update.block)).cloned();
        let cache = self.cache.map(Arc::clone);
        self.jobs.spawn_blocking(move || {
            let (block, kept) = (update.block, update.clone());
            let (state, enrolled) = BlockState::open(&gallery, &hasher, before.as_deref(), update)?;
            let staged = cache.and_then(|cache| {
                cache.stage(block, kept.version, &kept.sealed_record, kept.first_entry, &kept.entries)
            });
            Ok((block, state, enrolled, staged))
        });
        Ok(())
    }

    async fn take_one(&mut self) -> Result<bool, Error> {
        let Some(joined) = self.jobs.join_next().await else { return Ok(false) };
        let (block, state, enrolled, staged) = joined??;
        match self.changed.entry(block) {
            Entry::Vacant(entry) => entry.insert(Arc::new(state)),
            Entry::Occupied(_) => return Err(Error::AnsweredTwice(block)),
        };
        self.enrolled.push((block, enrolled));
        self.staged.extend(staged);
        Ok(true)
    }

    async fn finish(&mut self) -> Result<(), Error> {
        while self.take_one().await? {}
        Ok(())
    }
}
