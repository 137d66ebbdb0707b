//! What a client knows of a gallery at one manifest version. Everything in it was authenticated.

use super::directory::{Enrolled, SubjectHasher};
use crate::Error;
use crate::state::{Cache, CachedBlock, Mark};
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use tyto_attest::digest::blocks_root;
use tyto_pqc::digest::{Hasher, sha3_256};
use tyto_scheme::BlockId;
use tyto_tenant::decrypt::BlockView;
use tyto_tenant::manifest::{Manifest, ManifestEntry};
use tyto_tenant::record::Record;
use tyto_tenant::slotmap::{Event, SlotMap};
use tyto_tenant::{Gallery, SubjectId, in_parallel, split};

/// One block at one version.
pub(crate) struct BlockState {
    pub(crate) version: u64,
    pub(crate) record_digest: [u8; 32],
    /// Slots that hold a template.
    pub(crate) filled: u32,
    /// Slots below this were written at some time, or given up. It only rises.
    pub(crate) used: u16,
    sealed_record: Box<[u8]>,
    map: SlotMap,
    hot: OnceLock<Arc<BlockView>>,
}

/// A block's record and entries as they came from the server or were made here.
#[derive(Clone)]
pub(crate) struct BlockUpdate {
    pub(crate) block: BlockId,
    pub(crate) version: u64,
    pub(crate) sealed_record: Bytes,
    pub(crate) first_entry: u32,
    pub(crate) entries: Vec<Bytes>,
}

impl BlockState {
    /// Opens a record and the entries that follow those of `before`, and checks that they belong together. Whether
    /// the record is the current one is for [`View::next`] to check.
    pub(crate) fn open(
        gallery: &Gallery,
        hasher: &SubjectHasher,
        before: Option<&Self>,
        update: BlockUpdate,
    ) -> Result<(Self, Enrolled), Error> {
        let BlockUpdate { block, version, sealed_record, first_entry, entries } = update;
        let record = Record::open(gallery, block, version, &sealed_record)?;
        let mut map = before.map_or_else(|| SlotMap::new(gallery, block), |before| before.map.clone());
        if first_entry != map.entries() {
            return Err(Error::EntryGap { block, found: first_entry, known: map.entries() });
        }
        let mut enrolled = Enrolled::default();
        for entry in &entries {
            if let (slot, Event::Enrolled(subject)) = map.append(gallery, entry)? {
                enrolled.slots.push((hasher.hash(&subject), slot));
            }
        }
        map.check(&record)?;
        let record_digest = sha3_256(&[&sealed_record]);
        let (filled, used) = (record.filled_count(), record.used());
        let hot = OnceLock::new();
        if let Some(view) = before.and_then(|before| before.hot.get()) {
            let _ = hot.set(Arc::new(view.at(record)));
        }
        // A copy: what came is part of a message with all the entries, which would stay with it.
        let sealed_record = sealed_record[..].into();
        Ok((Self { version, record_digest, filled, used, sealed_record, map, hot }, enrolled))
    }

    /// Whether this is the block as a manifest lists it.
    pub(crate) fn is(&self, entry: &ManifestEntry) -> bool {
        self.version == entry.version && self.record_digest[..16] == entry.record_digest
    }

    /// The record.
    pub(crate) fn record(&self, gallery: &Gallery, block: BlockId) -> Result<Record, Error> {
        match self.hot.get() {
            Some(view) => Ok(view.record().clone()),
            None => Ok(Record::open(gallery, block, self.version, &self.sealed_record)?),
        }
    }

    /// What decrypts replies; kept if the block is `hot`.
    pub(crate) fn view(&self, gallery: &Gallery, block: BlockId, hot: bool) -> Result<Arc<BlockView>, Error> {
        if let Some(view) = self.hot.get() {
            return Ok(Arc::clone(view));
        }
        let view = Arc::new(BlockView::new(gallery, self.record(gallery, block)?));
        if hot {
            let _ = self.hot.set(Arc::clone(&view));
        }
        Ok(view)
    }

    /// The subject whose template is in a slot.
    pub(crate) fn subject(&self, slot: u16) -> Option<&Arc<SubjectId>> {
        self.map.subject(slot)
    }

    pub(crate) fn entries(&self) -> u32 {
        self.map.entries()
    }

    pub(crate) fn filled_slots(&self) -> impl Iterator<Item = (u16, &Arc<SubjectId>)> {
        self.map.filled()
    }
}

/// A manifest with the digests that marks and attestations know it by.
pub(crate) struct KnownManifest {
    pub(crate) manifest: Manifest,
    pub(crate) sealed: Box<[u8]>,
    /// Of the sealed bytes.
    pub(crate) sealed_digest: [u8; 32],
    /// Version and digest of the content.
    pub(crate) mark: Mark,
    root: OnceLock<[u8; 32]>,
}

impl KnownManifest {
    pub(crate) fn open(gallery: &Gallery, version: u64, sealed: &[u8]) -> Result<Self, Error> {
        Ok(Self::new(Manifest::open(gallery, version, sealed)?, sealed))
    }

    /// The manifest that a cache holds; none if this key did not make it for this gallery.
    pub(crate) fn cached(gallery: &Gallery, cache: &Cache) -> Option<Self> {
        let (version, sealed) = cache.manifest()?;
        Self::open(gallery, version, &sealed).ok()
    }

    pub(crate) fn new(manifest: Manifest, sealed: &[u8]) -> Self {
        let mut content = Hasher::new();
        content.update(b"tyto/v1/manifest-mark");
        for entry in manifest.entries() {
            content.update(&entry.block.0);
            content.update(&entry.version.to_le_bytes());
            content.update(&entry.record_digest);
        }
        let mark = Mark { version: manifest.version(), digest: content.finalize() };
        Self {
            manifest,
            sealed: sealed.into(),
            sealed_digest: sha3_256(&[sealed]),
            mark,
            root: OnceLock::new(),
        }
    }

    /// The Merkle root over all blocks, as attestations have it.
    pub(crate) fn blocks_root(&self) -> [u8; 32] {
        *self.root.get_or_init(|| {
            let entries = self.manifest.entries().iter();
            blocks_root(&entries.map(|entry| (entry.block.0, entry.version)).collect::<Vec<_>>())
        })
    }
}

/// A view, and whose templates are in which blocks.
pub(crate) type Opened = (View, Vec<(BlockId, Enrolled)>);

/// All blocks of a gallery at one manifest version. Immutable; shared by whoever is working with it.
pub(crate) struct View {
    pub(crate) known: KnownManifest,
    blocks: Vec<Arc<BlockState>>,
    positions: Arc<HashMap<BlockId, usize>>,
}

impl View {
    /// The view of a gallery without blocks.
    pub(crate) fn empty(known: KnownManifest) -> Result<Self, Error> {
        Self::assemble(known, None, &mut HashMap::new())
    }

    /// The view that a cache holds at its manifest, with the subjects in it; none if it does not fit together.
    pub(crate) fn cached(
        gallery: &Gallery,
        hasher: &SubjectHasher,
        cache: &Cache,
        known: KnownManifest,
    ) -> Option<Opened> {
        let open = |entry: &ManifestEntry| {
            let CachedBlock { version, sealed_record, entries } = cache.block(entry.block)?;
            let update = BlockUpdate {
                block: entry.block,
                version,
                sealed_record: sealed_record.into(),
                first_entry: 0,
                entries: entries.into_iter().map(Bytes::from).collect(),
            };
            let (state, enrolled) = BlockState::open(gallery, hasher, None, update).ok()?;
            state.is(entry).then(|| (entry.block, Arc::new(state), enrolled))
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let entries = known.manifest.entries();
        let parts = in_parallel(split(threads, entries.len(), 1), |range| {
            entries[range].iter().map(open).collect::<Option<Vec<_>>>()
        });
        let (mut states, mut all_enrolled) = (HashMap::new(), Vec::new());
        for (block, state, enrolled) in parts.into_iter().collect::<Option<Vec<_>>>()?.into_iter().flatten() {
            states.insert(block, state);
            all_enrolled.push((block, enrolled));
        }
        Some((Self::assemble(known, None, &mut states).ok()?, all_enrolled))
    }

    /// The view at another manifest, made of the blocks that did not change and those that did.
    ///
    /// # Errors
    /// [`Error::MissingBlock`] if a block of the manifest is neither known nor came, [`Error::StaleBlock`] or
    /// [`Error::OtherRecord`] if it came otherwise than the manifest lists it.
    pub(crate) fn assemble(
        known: KnownManifest,
        before: Option<&Self>,
        changed: &mut HashMap<BlockId, Arc<BlockState>>,
    ) -> Result<Self, Error> {
        let entries = known.manifest.entries();
        let mut blocks = Vec::with_capacity(entries.len());
        for entry in entries {
            let state = match changed.remove(&entry.block) {
                Some(state) if state.is(entry) => state,
                Some(state) if state.version != entry.version => {
                    let (found, listed) = (state.version, entry.version);
                    return Err(Error::StaleBlock { block: entry.block, found, listed });
                }
                Some(_) => return Err(Error::OtherRecord(entry.block)),
                None => match before.and_then(|before| before.block(entry.block)) {
                    Some(state) if state.is(entry) => Arc::clone(state),
                    _ => return Err(Error::MissingBlock(entry.block)),
                },
            };
            blocks.push(state);
        }
        if let Some(&block) = changed.keys().next() {
            return Err(Error::UnknownBlock(block));
        }
        if let Some(before) = before {
            let listed: HashMap<_, _> = entries.iter().map(|entry| (entry.block, entry)).collect();
            before.check_successor(|block| listed.get(&block).copied())?;
        }
        let same = |before: &&Self| {
            let ids = before.known.manifest.entries().iter().map(|entry| entry.block);
            ids.eq(entries.iter().map(|entry| entry.block))
        };
        let positions = match before.filter(same) {
            Some(before) => Arc::clone(&before.positions),
            None => Arc::new(entries.iter().enumerate().map(|(at, entry)| (entry.block, at)).collect()),
        };
        Ok(Self { known, blocks, positions })
    }

    /// Refuses a later manifest that takes back what this view knows. Blocks never leave a gallery, and versions never
    /// fall, so that only a server that rolled back and was then written to by a mistaken client has such a manifest.
    ///
    /// # Errors
    /// [`Error::MissingBlock`], [`Error::StaleBlock`], [`Error::OtherRecord`].
    pub(crate) fn check_successor<'a>(
        &self,
        listed: impl Fn(BlockId) -> Option<&'a ManifestEntry>,
    ) -> Result<(), Error> {
        for known in self.manifest().entries() {
            let block = known.block;
            let entry = listed(block).ok_or(Error::MissingBlock(block))?;
            if entry.version < known.version {
                return Err(Error::StaleBlock { block, found: entry.version, listed: known.version });
            }
            if entry.version == known.version && entry.record_digest != known.record_digest {
                return Err(Error::OtherRecord(block));
            }
        }
        Ok(())
    }

    pub(crate) fn version(&self) -> u64 {
        self.known.mark.version
    }

    pub(crate) fn manifest(&self) -> &Manifest {
        &self.known.manifest
    }

    /// A block's place in the manifest.
    pub(crate) fn position(&self, block: BlockId) -> Option<usize> {
        self.positions.get(&block).copied()
    }

    pub(crate) fn block(&self, block: BlockId) -> Option<&Arc<BlockState>> {
        Some(&self.blocks[self.position(block)?])
    }

    /// The blocks in the order of the manifest.
    pub(crate) fn blocks(&self) -> impl ExactSizeIterator<Item = (BlockId, &Arc<BlockState>)> {
        self.manifest().entries().iter().map(|entry| entry.block).zip(&self.blocks)
    }

    /// Of some slots, those that hold a template of a subject.
    pub(crate) fn confirm(&self, subject: &SubjectId, places: Vec<(BlockId, u16)>) -> Vec<(BlockId, u16)> {
        let mut places = places;
        places.retain(|&(block, slot)| self.subject(block, slot).is_some_and(|found| **found == *subject));
        places
    }

    /// The subject whose template is in a slot.
    pub(crate) fn subject(&self, block: BlockId, slot: u16) -> Option<&Arc<SubjectId>> {
        self.block(block)?.subject(slot)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use tyto_scheme::{Layout, ParameterSet};
    use tyto_tenant::block::{BlockChange, OpenBlock};
    use tyto_tenant::{Metric, Template, TenantKey};

    /// A gallery with one block, and the view of it.
    pub(crate) struct Made {
        pub(crate) gallery: Gallery,
        hasher: SubjectHasher,
        open: OpenBlock,
        record: Record,
        pub(crate) view: View,
    }

    fn update(block: BlockId, version: u64, sealed: &[u8], first: u32, entries: &[Vec<u8>]) -> BlockUpdate {
        let entries = entries.iter().map(|entry| Bytes::copy_from_slice(entry)).collect();
        let sealed_record = Bytes::copy_from_slice(sealed);
        BlockUpdate { block, version, sealed_record, first_entry: first, entries }
    }

    fn known(gallery: &Gallery, manifest: &Manifest) -> KnownManifest {
        let sealed = manifest.seal(gallery).unwrap();
        KnownManifest::open(gallery, manifest.version(), &sealed).unwrap()
    }

    pub(crate) fn made() -> Made {
        let key = TenantKey::generate().unwrap();
        let layout = Layout::new(ParameterSet::Exact41, 8, 8).unwrap();
        let (gallery, new) = Gallery::create(&key, "view", layout, Metric::Cosine).unwrap();
        let hasher = SubjectHasher::default();
        let empty = View::empty(KnownManifest::open(&gallery, 1, &new.sealed_manifest).unwrap()).unwrap();
        let (open, provisioned) = OpenBlock::provision(&gallery).unwrap();
        let (state, _) = BlockState::open(
            &gallery,
            &hasher,
            None,
            update(open.block(), 1, &provisioned.sealed_record, 0, &[]),
        )
        .unwrap();
        let manifest = empty.manifest().next(&[provisioned.manifest_entry()]);
        let mut changed = HashMap::from([(open.block(), Arc::new(state))]);
        let view = View::assemble(known(&gallery, &manifest), Some(&empty), &mut changed).unwrap();
        Made { gallery, hasher, open, record: provisioned.record, view }
    }

    fn fill(made: &mut Made, name: &str) -> BlockChange {
        let template = Template::from_integers(&[1, 2, 3, 4, 5, 6, 7, 8]).unwrap();
        let subject = SubjectId::new(name).unwrap();
        let fill = made.open.fill(&made.gallery, subject, &template).unwrap();
        BlockChange::new(&made.gallery, &made.record, &[fill], &[]).unwrap()
    }

    fn opened(made: &Made, change: &BlockChange) -> Result<(BlockState, Enrolled), Error> {
        let block = change.record.block();
        let update = update(
            block,
            change.record.version(),
            &change.sealed_record,
            change.first_entry,
            &change.entries,
        );
        BlockState::open(&made.gallery, &made.hasher, made.view.block(block).map(|state| &**state), update)
    }

    fn next(made: &Made, change: &BlockChange, state: BlockState) -> View {
        let manifest = made.view.manifest().next(&[change.manifest_entry()]);
        let mut changed = HashMap::from([(change.record.block(), Arc::new(state))]);
        View::assemble(known(&made.gallery, &manifest), Some(&made.view), &mut changed).unwrap()
    }

    /// The gallery's block, and the view when its first slot is filled.
    pub(crate) fn filled(made: &mut Made) -> (BlockId, View) {
        let change = fill(made, "ada");
        let (state, _) = opened(made, &change).unwrap();
        (change.record.block(), next(made, &change, state))
    }

    #[test]
    fn a_view_moves_on_with_its_manifest_and_keeps_the_old_one_whole() {
        let mut made = made();
        let block = made.open.block();
        let change = fill(&mut made, "ada");
        let (state, enrolled) = opened(&made, &change).unwrap();
        assert_eq!(enrolled.slots.len(), 1);
        assert_eq!((state.used, state.filled), (1, 1));
        let next = next(&made, &change, state);
        let ada = SubjectId::new("ada").unwrap();
        assert_eq!(next.confirm(&ada, vec![(block, 0), (block, 1)]), [(block, 0)]);
        assert_eq!(made.view.confirm(&ada, vec![(block, 0)]), []);
        assert_ne!(next.known.mark.digest, made.view.known.mark.digest);
    }

    #[test]
    fn views_refuse_what_the_manifest_does_not_list() {
        let mut made = made();
        let block = made.open.block();
        let change = fill(&mut made, "ada");
        let state = Arc::new(opened(&made, &change).unwrap().0);
        let assemble = |manifest: &Manifest, changed: Vec<(BlockId, Arc<BlockState>)>| {
            let mut changed = changed.into_iter().collect();
            View::assemble(known(&made.gallery, manifest), Some(&made.view), &mut changed).err()
        };
        let listed = made.view.manifest().next(&[change.manifest_entry()]);
        assert!(matches!(assemble(&listed, vec![]), Some(Error::MissingBlock(found)) if found == block));
        let unchanged = made.view.manifest().next(&[]);
        let stale = assemble(&unchanged, vec![(block, Arc::clone(&state))]);
        assert!(matches!(stale, Some(Error::StaleBlock { found: 2, listed: 1, .. })));
        let foreign =
            assemble(&listed, vec![(block, Arc::clone(&state)), (BlockId([7; 16]), Arc::clone(&state))]);
        assert!(matches!(foreign, Some(Error::UnknownBlock(BlockId([7, ..])))));
        // The same version made twice, as in two histories.
        let mut entry = change.manifest_entry();
        entry.record_digest[0] ^= 1;
        let forked = assemble(&made.view.manifest().next(&[entry]), vec![(block, state)]);
        assert!(matches!(forked, Some(Error::OtherRecord(found)) if found == block));
    }

    #[test]
    fn a_later_manifest_that_takes_a_block_back_is_refused() {
        let mut made = made();
        let (block, view) = filled(&mut made);
        let entry = view.manifest().entries()[0];
        let check = |entries: Vec<ManifestEntry>| {
            view.check_successor(|block| entries.iter().find(|entry| entry.block == block)).err()
        };
        assert!(check(vec![entry]).is_none());
        assert!(
            check(vec![ManifestEntry { version: entry.version + 1, record_digest: [0; 16], block }])
                .is_none()
        );
        assert!(matches!(check(vec![]), Some(Error::MissingBlock(found)) if found == block));
        let older = ManifestEntry { version: entry.version - 1, ..entry };
        assert!(matches!(check(vec![older]), Some(Error::StaleBlock { found: 1, listed: 2, .. })));
        let other = ManifestEntry { record_digest: [7; 16], ..entry };
        assert!(matches!(check(vec![other]), Some(Error::OtherRecord(_))));
        // The same where views are made: everything that the older manifest lists is at hand, and it is refused.
        let older = made.view.manifest().next(&[]).next(&[]);
        let state = Arc::clone(made.view.block(block).unwrap());
        let refused =
            View::assemble(known(&made.gallery, &older), Some(&view), &mut HashMap::from([(block, state)]));
        assert!(matches!(refused.err(), Some(Error::StaleBlock { found: 1, listed: 2, .. })));
    }

    #[test]
    fn entries_that_do_not_continue_are_refused() {
        let mut made = made();
        let mut change = fill(&mut made, "ada");
        change.first_entry = 1;
        assert!(matches!(opened(&made, &change), Err(Error::EntryGap { found: 1, known: 0, .. })));
        change.first_entry = 0;
        let entry = change.entries.pop().unwrap();
        let refused = opened(&made, &change).err().expect("an entry is missing");
        assert!(matches!(refused, Error::Tenant(tyto_tenant::Error::SlotMap { .. })) && refused.is_refusal());
        change.entries.push(entry);
        assert!(opened(&made, &change).is_ok());
    }
}
