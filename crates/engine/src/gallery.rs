use crate::Error;
use crate::block::{Block, BlockState, SlotChanges};
use crate::index::SubjectIndex;
use crate::slots::SlotSet;
use crate::snapshot::{Located, Snapshot};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tyto_scheme::{BlockId, Delta, GalleryParameters, Layout, Pseudonym};

/// Most bytes of blocks that one change may copy, unless it touches a single block.
pub const MAX_REWRITTEN_BYTES: usize = 64 << 20;

/// Subjects that are entered into the index before readers have their turn: some microseconds' worth.
const INDEX_STEP: usize = 16;

/// A template to write.
pub struct Write {
    /// The slot, not checked yet.
    pub slot: u32,
    /// Whose template it is.
    pub subject: Pseudonym,
    /// What turns the pad into the template.
    pub delta: Delta,
}

/// A template to remove.
pub struct Removal {
    /// The slot, not checked yet.
    pub slot: u32,
    /// The delta that was written there.
    pub delta: Delta,
}

/// Everything that changes in one block.
pub struct BlockUpdate {
    /// The block.
    pub block: BlockId,
    /// The version that the change was made on.
    pub base_version: u64,
    /// Templates to write.
    pub writes: Vec<Write>,
    /// Templates to remove.
    pub removals: Vec<Removal>,
    /// Index of the first appended slot-map entry.
    pub first_entry: u32,
    /// How many entries are appended.
    pub added_entries: u32,
    /// The sealed record of the next version.
    pub record: Arc<[u8]>,
    /// Its SHA3-256.
    pub record_digest: [u8; 32],
}

/// One mutation of a gallery, from a manifest version to the next.
pub struct Change {
    /// The new version; one more than the gallery's.
    pub manifest_version: u64,
    /// The new manifest, sealed by the tenant.
    pub sealed_manifest: Arc<[u8]>,
    /// Blocks to append.
    pub provisioned: Vec<Block>,
    /// Blocks to change.
    pub updates: Vec<BlockUpdate>,
}

/// A change that was checked and computed, and that nobody sees yet.
pub struct Prepared {
    base: Arc<Snapshot>,
    next: Arc<Snapshot>,
    /// Subjects that a block got, and subjects that left it altogether.
    gained: Vec<(Pseudonym, u32)>,
    lost: Vec<(Pseudonym, u32)>,
    /// Where each block will be, if there are new ones.
    ordinals: Option<Arc<Ordinals>>,
}

impl Prepared {
    /// The gallery as it will be.
    pub fn next(&self) -> &Arc<Snapshot> {
        &self.next
    }
}

/// A resident gallery. Matching takes a snapshot; one writer at a time prepares and installs changes.
pub struct Gallery {
    parameters: GalleryParameters,
    current: RwLock<Current>,
}

/// Places of blocks in a snapshot.
type Ordinals = HashMap<BlockId, u32>;

struct Current {
    snapshot: Arc<Snapshot>,
    /// Replaced whole, as the snapshot is.
    ordinals: Arc<Ordinals>,
    subjects: SubjectIndex,
}

impl Gallery {
    /// A gallery of blocks that are in memory already, in the order in which they were provisioned.
    ///
    /// # Errors
    /// [`Error::DuplicateBlock`].
    pub fn new(
        parameters: GalleryParameters,
        manifest_version: u64,
        sealed_manifest: Arc<[u8]>,
        blocks: Vec<Block>,
    ) -> Result<Self, Error> {
        let blocks: Vec<_> = blocks.into_iter().map(Arc::new).collect();
        let mut ordinals = HashMap::new();
        for (block, ordinal) in blocks.iter().zip(0..) {
            if ordinals.insert(block.id(), ordinal).is_some() {
                return Err(Error::DuplicateBlock(block.id()));
            }
        }
        let subjects = blocks.iter().zip(0..).flat_map(|(block, ordinal)| entries(block, ordinal)).collect();
        let ordinals = Arc::new(ordinals);
        let snapshot = Arc::new(Snapshot::new(parameters.layout, manifest_version, sealed_manifest, blocks));
        Ok(Self { parameters, current: RwLock::new(Current { snapshot, ordinals, subjects }) })
    }

    /// What is public about the gallery.
    pub fn parameters(&self) -> &GalleryParameters {
        &self.parameters
    }

    /// The gallery as it is now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.read().snapshot.clone()
    }

    /// Replaces the content of `located` by the templates of a subject, by block and slot, and gives the snapshot in
    /// which they lie.
    pub fn locate(&self, subject: Pseudonym, located: &mut Vec<Located>) -> Arc<Snapshot> {
        located.clear();
        let snapshot = {
            let current = self.read();
            let in_block = |ordinal| Located { ordinal: ordinal as usize, slot: 0 };
            located.extend(current.subjects.blocks_of(subject).map(in_block));
            current.snapshot.clone()
        };
        snapshot.locate(subject, located);
        snapshot
    }

    /// Whether a subject has at most `max` templates. Looks at no more of them than that, nor at more blocks: while a
    /// change is installed, the answer may be no for a subject that has fewer in more blocks than that.
    pub fn has_at_most(&self, subject: Pseudonym, max: usize) -> bool {
        let current = self.read();
        let mut templates = 0;
        for (seen, ordinal) in current.subjects.blocks_of(subject).enumerate() {
            let block = current.snapshot.blocks().get(ordinal as usize);
            templates += block.map_or(0, |block| block.slots_of(subject).take(max + 1 - templates).count());
            if seen >= max || templates > max {
                return false;
            }
        }
        true
    }

    /// A block by its id.
    pub fn block(&self, id: BlockId) -> Option<Arc<Block>> {
        let (snapshot, ordinals) = self.blocks();
        ordinals.get(&id).map(|&ordinal| snapshot.blocks()[ordinal as usize].clone())
    }

    /// Bytes of memory that the current version takes, its manifest included.
    pub fn resident_bytes(&self) -> usize {
        let (snapshot, index) = {
            let current = self.read();
            (current.snapshot.clone(), current.subjects.resident_bytes())
        };
        let blocks: usize = snapshot.blocks().iter().map(|block| block.resident_bytes()).sum();
        blocks + index + snapshot.sealed_manifest().len()
    }

    /// Checks a change and computes the blocks that it makes. Takes CPU time; nothing is visible afterwards.
    ///
    /// # Errors
    /// [`Error::Stale`] if the gallery or one of the blocks is at another version than the change was made on;
    /// the other variants name what is wrong with the change.
    pub fn prepare(&self, change: Change) -> Result<Prepared, Error> {
        let (base, ordinals) = self.blocks();
        let places = places(&base, &ordinals, &change)?;
        self.check_size(&change)?;
        let layout = self.parameters.layout;
        let mut blocks = base.blocks().to_vec();
        let (mut gained, mut lost) = (Vec::new(), Vec::new());
        for (update, &ordinal) in change.updates.iter().zip(&places) {
            let block = &base.blocks()[ordinal as usize];
            let slots = check_slots(block, update, layout)?;
            let state = BlockState {
                id: block.id(),
                version: update.base_version + 1,
                changed_at: change.manifest_version,
                record: update.record.clone(),
                record_digest: update.record_digest,
                entries: block.state().entries + update.added_entries,
            };
            let next = block.changed(layout, state, &slots);
            gained.extend(update.writes.iter().map(|write| (write.subject, ordinal)));
            let gone = |&&(subject, _): &&(Pseudonym, u16)| next.slots_of(subject).next().is_none();
            lost.extend(block.directory().iter().filter(gone).map(|&(subject, _)| (subject, ordinal)));
            blocks[ordinal as usize] = Arc::new(next);
        }
        let mut appended = (!change.provisioned.is_empty()).then(|| Ordinals::clone(&ordinals));
        for block in change.provisioned {
            let ordinal = blocks.len() as u32;
            gained.extend(entries(&block, ordinal));
            appended.get_or_insert_default().insert(block.id(), ordinal);
            blocks.push(Arc::new(block));
        }
        let next = Snapshot::new(layout, change.manifest_version, change.sealed_manifest, blocks);
        Ok(Prepared { base, next: Arc::new(next), gained, lost, ordinals: appended.map(Arc::new) })
    }

    /// Makes a prepared change visible, all at once, and gives back what it took out of sight: freeing that takes a
    /// while, and whoever calls chooses where.
    ///
    /// Whoever wants to read meanwhile waits for a few microseconds at a time: the index is brought up to date in small
    /// steps, what subjects gained before the swap and what they lost after it. In between it names blocks that do
    /// not hold a subject, which is harmless, but it never lacks one that does.
    ///
    /// # Errors
    /// [`Error::Stale`] if another change was installed since this one was prepared; a caller that lets in one
    /// writer at a time does not see it.
    pub fn install(&self, prepared: Prepared) -> Result<Arc<Snapshot>, Error> {
        let Prepared { base, next, gained, lost, mut ordinals } = prepared;
        let check = |current: &Current| {
            let on_base = Arc::ptr_eq(&current.snapshot, &base);
            on_base.then_some(()).ok_or_else(|| Error::Stale { current: current.snapshot.manifest_version() })
        };
        check(&self.read())?;
        for some in gained.chunks(INDEX_STEP) {
            let mut current = self.write();
            some.iter().for_each(|&(subject, ordinal)| current.subjects.add(subject, ordinal));
        }
        let mut current = self.write();
        check(&current)?;
        if let Some(ordinals) = &mut ordinals {
            // What is replaced is freed when nobody waits.
            std::mem::swap(&mut current.ordinals, ordinals);
        }
        let retired = std::mem::replace(&mut current.snapshot, next);
        drop(current);
        for some in lost.chunks(INDEX_STEP) {
            let mut current = self.write();
            some.iter().for_each(|&(subject, ordinal)| current.subjects.remove(subject, ordinal));
        }
        Ok(retired)
    }

    /// The blocks, and where each is.
    fn blocks(&self) -> (Arc<Snapshot>, Arc<Ordinals>) {
        let current = self.read();
        (current.snapshot.clone(), current.ordinals.clone())
    }

    fn check_size(&self, change: &Change) -> Result<(), Error> {
        let found_bytes = change.updates.len() * self.parameters.layout.polynomials_bytes();
        if change.updates.len() > 1 && found_bytes > MAX_REWRITTEN_BYTES {
            return Err(Error::TooLarge { found_bytes, max_bytes: MAX_REWRITTEN_BYTES });
        }
        Ok(())
    }

    // A panic cannot leave the state half changed: what could panic in `install` comes before the first write.
    fn read(&self) -> RwLockReadGuard<'_, Current> {
        self.current.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Current> {
        self.current.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Entries of the index for a block, as many as it has templates.
fn entries(block: &Block, ordinal: u32) -> impl Iterator<Item = (Pseudonym, u32)> {
    block.directory().iter().map(move |&(subject, _)| (subject, ordinal))
}

/// Checks versions and block ids; gives the place of each updated block.
fn places(snapshot: &Snapshot, ordinals: &Ordinals, change: &Change) -> Result<Vec<u32>, Error> {
    let version = snapshot.manifest_version();
    if change.manifest_version != version + 1 {
        return Err(Error::Stale { current: version });
    }
    let mut places = Vec::with_capacity(change.updates.len());
    let mut updated = BTreeSet::new();
    for update in &change.updates {
        let ordinal = *ordinals.get(&update.block).ok_or(Error::UnknownBlock(update.block))?;
        if !updated.insert(ordinal) {
            return Err(Error::DuplicateBlock(update.block));
        }
        places.push(ordinal);
        if snapshot.blocks()[ordinal as usize].version() != update.base_version {
            return Err(Error::Stale { current: version });
        }
    }
    let mut new: Vec<BlockId> = change.provisioned.iter().map(Block::id).collect();
    new.sort_unstable();
    let twice = new.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0]);
    match twice.or_else(|| new.into_iter().find(|id| ordinals.contains_key(id))) {
        Some(id) => Err(Error::DuplicateBlock(id)),
        None => Ok(places),
    }
}

/// Checks the slots and the entries of an update against its block.
fn check_slots<'a>(block: &Block, update: &'a BlockUpdate, layout: Layout) -> Result<SlotChanges<'a>, Error> {
    let id = block.id();
    let expected = block.state().entries;
    if update.first_entry != expected {
        return Err(Error::EntryIndex { block: id, found: update.first_entry, expected });
    }
    let mut touched = SlotSet::new(layout.slots());
    let mut changes = SlotChanges { written: Vec::new(), removed: Vec::new() };
    for write in &update.writes {
        let slot = layout.check_slot(write.slot)?;
        if block.is_used(slot) || !touched.insert(slot) {
            return Err(Error::SlotUsed { block: id, slot });
        }
        changes.written.push((slot, write.subject, &write.delta));
    }
    for removal in &update.removals {
        let slot = layout.check_slot(removal.slot)?;
        if !block.is_filled(slot) || !touched.insert(slot) {
            return Err(Error::SlotEmpty { block: id, slot });
        }
        changes.removed.push((slot, &removal.delta));
    }
    Ok(changes)
}
