use crate::block::Block;
use std::sync::{Arc, OnceLock};
use tyto_scheme::{Layout, Pseudonym};

/// Digests of a gallery's state that attestations carry. They cost a pass over the block list, so a snapshot
/// keeps them once they were asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StateDigests {
    /// SHA3-256 of the sealed manifest.
    pub manifest: [u8; 32],
    /// Root over the (block id, version) list.
    pub blocks_root: [u8; 32],
}

/// A gallery as it is between two mutations.
pub struct Snapshot {
    layout: Layout,
    manifest_version: u64,
    sealed_manifest: Arc<[u8]>,
    blocks: Vec<Arc<Block>>,
    digests: OnceLock<StateDigests>,
}

/// A template of a subject, in a snapshot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Located {
    /// Which block of the snapshot.
    pub ordinal: usize,
    /// Which slot of it.
    pub slot: u16,
}

impl Snapshot {
    pub(crate) fn new(
        layout: Layout,
        manifest_version: u64,
        sealed_manifest: Arc<[u8]>,
        blocks: Vec<Arc<Block>>,
    ) -> Self {
        Self { layout, manifest_version, sealed_manifest, blocks, digests: OnceLock::new() }
    }

    /// The layout of its blocks.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Version of the manifest.
    pub fn manifest_version(&self) -> u64 {
        self.manifest_version
    }

    /// The manifest, sealed by the tenant.
    pub fn sealed_manifest(&self) -> &Arc<[u8]> {
        &self.sealed_manifest
    }

    /// The blocks, in the order in which they were provisioned.
    pub fn blocks(&self) -> &[Arc<Block>] {
        &self.blocks
    }

    /// Templates enrolled and not removed.
    pub fn templates(&self) -> usize {
        self.blocks.iter().map(|block| block.templates()).sum()
    }

    /// Slots ever written.
    pub fn slots_used(&self) -> usize {
        self.blocks.iter().map(|block| block.slots_used()).sum()
    }

    /// Slots in all blocks.
    pub fn slots_total(&self) -> usize {
        self.blocks.len() * self.layout.slots()
    }

    /// The digests of this state, made by `make` at the first call.
    pub fn digests(&self, make: impl FnOnce(&Self) -> StateDigests) -> StateDigests {
        *self.digests.get_or_init(|| make(self))
    }

    /// Replaces the blocks that an index named by the templates of a subject in them, by block and slot. The index may
    /// name blocks that do not hold the subject, or that are only about to be in the gallery.
    pub(crate) fn locate(&self, subject: Pseudonym, located: &mut Vec<Located>) {
        let named = located.len();
        for i in 0..named {
            let ordinal = located[i].ordinal;
            let in_block = self.blocks.get(ordinal).into_iter().flat_map(|block| block.slots_of(subject));
            located.extend(in_block.map(|slot| Located { ordinal, slot }));
        }
        located.drain(..named);
        located.sort_unstable();
    }
}
