use crate::slots::SlotSet;
use std::sync::Arc;
use tyto_kernels::{PackedBlock, Poly, forward};
use tyto_scheme::{BlockId, Delta, Layout, Pseudonym};

/// What describes one version of a block.
#[derive(Clone, Debug)]
pub struct BlockState {
    /// The block.
    pub id: BlockId,
    /// Its version; 1 when provisioned.
    pub version: u64,
    /// The manifest version that made this version of the block.
    pub changed_at: u64,
    /// The tenant's sealed record of exactly this version.
    pub record: Arc<[u8]>,
    /// SHA3-256 of the record.
    pub record_digest: [u8; 32],
    /// Slot-map entries that belong to this version.
    pub entries: u32,
}

/// A template in a slot, as the storage holds it.
#[derive(Clone, Debug)]
pub struct Filled {
    /// The slot.
    pub slot: u16,
    /// Whose template it is.
    pub subject: Pseudonym,
    /// What turns the slot's pad into the template.
    pub delta: Delta,
}

/// One version of a resident block. It never changes: a mutation makes another one.
pub struct Block {
    state: BlockState,
    packed: PackedBlock,
    /// Slots ever written; those that hold no template are burnt.
    used: SlotSet,
    /// Templates by subject, then slot.
    directory: Box<[(Pseudonym, u16)]>,
}

/// The slots that a change touches, checked against the block.
pub(crate) struct SlotChanges<'a> {
    pub(crate) written: Vec<(u16, Pseudonym, &'a Delta)>,
    pub(crate) removed: Vec<(u16, &'a Delta)>,
}

impl Block {
    /// Brings a block into memory: its provisioned polynomials, the templates in it, and the burnt slots.
    ///
    /// The polynomials are consumed: they take 16 KiB each until the block is packed.
    ///
    /// # Panics
    /// If there is not one polynomial per chunk or a slot is past the end: the caller checked both.
    pub fn from_polynomials(
        layout: &Layout,
        state: BlockState,
        mut polynomials: Vec<Poly>,
        filled: &[Filled],
        burnt: &[u16],
    ) -> Self {
        assert_eq!(polynomials.len(), layout.chunks(), "one polynomial per chunk");
        let mut used = SlotSet::new(layout.slots());
        for template in filled {
            template.delta.add_to_block(layout, template.slot, &mut polynomials);
            used.insert(template.slot);
        }
        for &slot in burnt {
            used.insert(slot);
        }
        let mut packed = PackedBlock::new(layout.chunks());
        for (c, poly) in polynomials.into_iter().enumerate() {
            packed.set(c, &forward(&poly));
        }
        let mut directory: Vec<_> = filled.iter().map(|template| (template.subject, template.slot)).collect();
        directory.sort_unstable();
        Self { state, packed, used, directory: directory.into() }
    }

    /// The next version: a copy with some slots written and some removed.
    pub(crate) fn changed(&self, layout: Layout, state: BlockState, slots: &SlotChanges<'_>) -> Self {
        let mut sum = vec![Poly::zero(); layout.chunks()];
        let mut used = self.used.clone();
        let mut directory = self.directory.to_vec();
        for &(slot, subject, delta) in &slots.written {
            delta.add_to_block(&layout, slot, &mut sum);
            used.insert(slot);
            directory.push((subject, slot));
        }
        for &(slot, delta) in &slots.removed {
            delta.subtract_from_block(&layout, slot, &mut sum);
        }
        directory.retain(|&(_, slot)| !slots.removed.iter().any(|&(removed, _)| removed == slot));
        directory.sort_unstable();
        let mut packed = self.packed.clone();
        for (c, poly) in sum.iter().enumerate() {
            packed.add(c, &forward(poly));
        }
        Self { state, packed, used, directory: directory.into() }
    }

    /// Identity, version and record.
    pub fn state(&self) -> &BlockState {
        &self.state
    }

    /// The block's id.
    pub fn id(&self) -> BlockId {
        self.state.id
    }

    /// The block's version.
    pub fn version(&self) -> u64 {
        self.state.version
    }

    /// What the kernels read.
    pub fn packed(&self) -> &PackedBlock {
        &self.packed
    }

    /// Templates in the block.
    pub fn templates(&self) -> usize {
        self.directory.len()
    }

    /// Slots ever written, removed ones included.
    pub fn slots_used(&self) -> usize {
        self.used.len()
    }

    /// Whether a slot was ever written.
    pub fn is_used(&self, slot: u16) -> bool {
        self.used.contains(slot)
    }

    /// Whether a slot holds a template.
    pub fn is_filled(&self, slot: u16) -> bool {
        self.directory.iter().any(|&(_, filled)| filled == slot)
    }

    /// The templates, by subject and slot.
    pub fn directory(&self) -> &[(Pseudonym, u16)] {
        &self.directory
    }

    /// The slots that hold templates of a subject, in order.
    pub fn slots_of(&self, subject: Pseudonym) -> impl Iterator<Item = u16> + '_ {
        let start = self.directory.partition_point(|&(other, _)| other < subject);
        self.directory[start..].iter().take_while(move |&&(other, _)| other == subject).map(|&(_, slot)| slot)
    }

    /// Bytes of memory that the polynomials of any block of a layout take: nearly all of [`Block::resident_bytes`].
    pub fn packed_bytes(layout: &Layout) -> usize {
        layout.polynomials_bytes()
    }

    /// Bytes of memory of this process that dropped blocks still hold once there are `count` more blocks of a layout.
    pub fn idle_bytes(layout: &Layout, count: usize) -> usize {
        PackedBlock::idle_bytes(layout.chunks(), count)
    }

    /// Bytes of memory that the block takes, its record included.
    pub fn resident_bytes(&self) -> usize {
        self.packed.bytes() + size_of_val(&*self.directory) + self.state.record.len() + size_of::<Self>()
    }
}
