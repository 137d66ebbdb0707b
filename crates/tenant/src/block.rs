//! Blocks: provisioning, enrolment by pad, removal.
//!
//! A block is provisioned once, every coordinate a pseudo-random pad. To enrol a template into a slot the tenant sends
//! `delta = y - pad mod t`, which the server adds. The pad is a one-time pad: a slot is written once, ever. Here that
//! is a matter of types: only an [`OpenBlock`] makes a [`Fill`], each from its next slot, and it never goes back.

use crate::Error;
use crate::gallery::{Context, Gallery};
use crate::manifest::{ManifestEntry, record_digest};
use crate::record::Record;
use crate::sample::{P, reduce_p};
use crate::slotmap::{self, Event, SubjectId};
use crate::template::Template;
use tyto_kernels::{NttPoly, Poly, forward, inverse, modq};
use tyto_pqc::random;
use tyto_scheme::params::{centre_t, reduce_t};
use tyto_scheme::{BlockId, Delta, Pseudonym};
use zeroize::{Zeroize, Zeroizing};

/// A block that this process provisioned and may go on filling.
pub struct OpenBlock {
    block: BlockId,
    context: Context,
    pads: Vec<Zeroizing<Vec<u16>>>,
    next_slot: u16,
    slots: u16,
}

/// What is uploaded of a new block.
pub struct Provisioned {
    /// Its `C` polynomials.
    pub polynomials: Vec<Poly>,
    /// Its record, version 1.
    pub record: Record,
    /// The same, sealed.
    pub sealed_record: Vec<u8>,
}

impl OpenBlock {
    /// Provisions a block with a fresh random id.
    ///
    /// # Errors
    /// No OS randomness.
    pub fn provision(gallery: &Gallery) -> Result<(Self, Provisioned), Error> {
        Self::provision_with_id(gallery, BlockId(random::bytes()?))
    }

    pub(crate) fn provision_with_id(gallery: &Gallery, block: BlockId) -> Result<(Self, Provisioned), Error> {
        let seed = gallery.keys.block_seed(block);
        let secret = seed.secret();
        let mut hint = NttPoly::zero();
        let mut product = NttPoly::zero();
        let mut polynomials = Vec::with_capacity(gallery.layout().chunks());
        let mut pads = Vec::with_capacity(gallery.layout().chunks());
        for (chunk, (a, big_a)) in gallery.masks.gallery.iter().zip(&gallery.masks.query).enumerate() {
            let chunk_pads = seed.block_pads(chunk as u16);
            // b = a*s + t*e + pad
            let mut message = seed.scaled_errors(chunk as u16);
            for (coefficient, &pad) in message.as_mut_slice().iter_mut().zip(chunk_pads.iter()) {
                *coefficient = modq::add(*coefficient, modq::from_i64(i64::from(centre_t(pad))));
            }
            product.copy_from(a);
            product.mul_assign(&secret);
            let mut b = inverse(&product);
            b.add_assign(&message);
            product.add_assign(&Zeroizing::new(forward(&message)));
            hint.mul_add_assign(&product, big_a);
            polynomials.push(b);
            pads.push(chunk_pads);
        }
        let record = Record::provisioned(gallery, block, &hint);
        let sealed_record = record.seal(gallery)?;
        let slots = gallery.layout().slots() as u16;
        let open = Self { block, context: *gallery.context(), pads, next_slot: 0, slots };
        Ok((open, Provisioned { polynomials, record, sealed_record }))
    }

    /// Goes on with a block after a restart: after the slots that the journal names and those that the tenant's own
    /// newest record says were used, whichever are more.
    ///
    /// # Security
    /// `next_slot` must come from a journal that was locked and synced before every send, and lie past every slot
    /// that was ever handed out: a slot filled twice leaks the difference of two templates.
    pub fn resume_from_journal(gallery: &Gallery, record: &Record, next_slot: u16) -> Self {
        let (block, slots) = (record.block(), gallery.layout().slots() as u16);
        let next_slot = next_slot.max(record.used()).min(slots);
        Self { block, context: *gallery.context(), pads: block_pads(gallery, block), next_slot, slots }
    }

    /// The block.
    pub fn block(&self) -> BlockId {
        self.block
    }

    /// The next slot to be written; what a journal keeps.
    pub fn next_slot(&self) -> u16 {
        self.next_slot
    }

    /// Slots that were never handed out.
    pub fn free_slots(&self) -> u16 {
        self.slots - self.next_slot
    }

    /// Takes the next slot for a template. The slot is spent even if the fill is never sent.
    ///
    /// # Errors
    /// [`Error::BlockFull`], [`Error::Dimension`], [`Error::OtherGallery`].
    pub fn fill(
        &mut self,
        gallery: &Gallery,
        subject: SubjectId,
        template: &Template,
    ) -> Result<Fill, Error> {
        let layout = gallery.layout();
        gallery.check_context(&self.context)?;
        if template.values().len() != layout.dimension() {
            return Err(Error::Dimension { found: template.values().len(), expected: layout.dimension() });
        }
        if self.free_slots() == 0 {
            return Err(Error::BlockFull(self.block));
        }
        let slot = self.next_slot;
        self.next_slot += 1;
        let value = |coordinate: usize| {
            let (chunk, index) = layout.gallery_position(slot, coordinate);
            let y = template.values().get(coordinate).copied().unwrap_or(0);
            reduce_t(i32::from(y) - i32::from(self.pads[chunk][index]))
        };
        let delta = Delta::new(layout, (0..layout.padded_dimension()).map(value).collect())?;
        let tag = gallery.keys.delta_tag(self.block, slot, &delta.to_bytes());
        let pseudonym = gallery.pseudonym(&subject);
        Ok(Fill { block: self.block, slot, subject, pseudonym, delta, tag, template: template.clone() })
    }
}

impl std::fmt::Debug for OpenBlock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OpenBlock({}, next slot {})", self.block, self.next_slot)
    }
}

fn block_pads(gallery: &Gallery, block: BlockId) -> Vec<Zeroizing<Vec<u16>>> {
    let seed = gallery.keys.block_seed(block);
    (0..gallery.layout().chunks()).map(|chunk| seed.block_pads(chunk as u16)).collect()
}

/// A template bound to its slot, to be sent until the server has it. It may be sent any number of times: it is always
/// the same delta.
#[derive(Debug)]
pub struct Fill {
    block: BlockId,
    slot: u16,
    subject: SubjectId,
    pseudonym: Pseudonym,
    delta: Delta,
    tag: [u8; 16],
    template: Template,
}

impl Fill {
    /// The block.
    pub fn block(&self) -> BlockId {
        self.block
    }

    /// The slot.
    pub fn slot(&self) -> u16 {
        self.slot
    }

    /// What the server is to know the subject by.
    pub fn pseudonym(&self) -> Pseudonym {
        self.pseudonym
    }

    /// The delta.
    pub fn delta(&self) -> &Delta {
        &self.delta
    }

    /// The tag that lets another process of the tenant trust the delta.
    pub fn tag(&self) -> &[u8; 16] {
        &self.tag
    }
}

/// A filled slot that is to be emptied, its stored delta authenticated.
#[derive(Debug)]
pub struct Removal {
    block: BlockId,
    slot: u16,
    delta: Delta,
    template: Template,
}

impl Removal {
    /// Authenticates the stored deltas of some slots of a block and recovers the templates in them.
    ///
    /// # Errors
    /// [`Error::DeltaTag`] or [`Error::NotEnrolled`].
    pub fn from_stored(
        gallery: &Gallery,
        record: &Record,
        stored: &[(u16, Delta, [u8; 16])],
    ) -> Result<Vec<Self>, Error> {
        let (layout, block) = (gallery.layout(), record.block());
        let pads = block_pads(gallery, block);
        let removal = |(slot, delta, tag): &(u16, Delta, [u8; 16])| {
            let slot = *slot;
            if !record.is_filled(slot) {
                return Err(Error::NotEnrolled { block, slot });
            }
            if !gallery.keys.delta_tag_holds(block, slot, &delta.to_bytes(), tag) {
                return Err(Error::DeltaTag { block, slot });
            }
            let value = |coordinate: usize| {
                let (chunk, index) = layout.gallery_position(slot, coordinate);
                let sum = i32::from(pads[chunk][index]) + i32::from(delta.values()[coordinate]);
                centre_t(reduce_t(sum))
            };
            let y = Zeroizing::new((0..layout.dimension()).map(value).collect::<Vec<_>>());
            Ok(Self { block, slot, delta: delta.clone(), template: Template::from_integers(&y)? })
        };
        stored.iter().map(removal).collect()
    }
}

/// Everything that changes in one block, with its next record.
#[derive(Debug)]
pub struct BlockChange {
    /// The version that this change applies to.
    pub base_version: u64,
    /// Slots to be burnt.
    pub removals: Vec<u16>,
    /// Index of the first entry below.
    pub first_entry: u32,
    /// Sealed slot-map entries to be appended.
    pub entries: Vec<Vec<u8>>,
    /// The record of the next version.
    pub record: Record,
    /// The same, sealed.
    pub sealed_record: Vec<u8>,
}

impl BlockChange {
    /// Works out how fills and removals change a block of which `base` is the current record. If somebody else
    /// changes the block first, the same fills go on top of the newer record.
    ///
    /// # Errors
    /// [`Error::SlotSpent`] for a fill whose slot the record says was used: it arrived already, whatever became of it
    /// since. [`Error::NotEnrolled`] for a removal of what is gone already.
    ///
    /// # Panics
    /// If a fill or removal belongs to another block.
    pub fn new(
        gallery: &Gallery,
        base: &Record,
        fills: &[Fill],
        removals: &[Removal],
    ) -> Result<Self, Error> {
        let (layout, block) = (gallery.layout(), base.block);
        let lambdas = gallery.keys.block_seed(block).lambdas(layout);
        let mut record = base.clone();
        let mut polynomials = gallery.zero_polynomials();
        let mut events = Vec::with_capacity(fills.len() + removals.len());
        for fill in fills {
            assert_eq!(fill.block, block, "a fill belongs to its block");
            if fill.slot < record.used {
                return Err(Error::SlotSpent { block, slot: fill.slot });
            }
            record.used = fill.slot + 1;
            fill.delta.add_to_block(layout, fill.slot, &mut polynomials);
            weigh(&mut record.check, lambdas[usize::from(fill.slot)], &fill.template);
            record.set_filled(fill.slot, true);
            events.push((fill.slot, Event::Enrolled(fill.subject.clone())));
        }
        for removal in removals {
            assert_eq!(removal.block, block, "a removal belongs to its block");
            if !record.is_filled(removal.slot) {
                return Err(Error::NotEnrolled { block, slot: removal.slot });
            }
            removal.delta.subtract_from_block(layout, removal.slot, &mut polynomials);
            weigh(&mut record.check, P - lambdas[usize::from(removal.slot)], &removal.template);
            record.set_filled(removal.slot, false);
            events.push((removal.slot, Event::Removed));
        }
        let mut hint = NttPoly::zero();
        for (change, big_a) in polynomials.iter().zip(&gallery.masks.query) {
            hint.mul_add_assign(&forward(change), big_a);
        }
        record.hint.add_assign(&inverse(&hint));
        record.version += 1;
        polynomials.iter_mut().for_each(Zeroize::zeroize);
        let mut entries = Vec::with_capacity(events.len());
        for (slot, event) in &events {
            let sealed = slotmap::seal(gallery, block, record.entries, *slot, event)?;
            record.entries_digest = slotmap::chain(&record.entries_digest, &sealed);
            record.entries += 1;
            entries.push(sealed);
        }
        Ok(Self {
            base_version: base.version,
            removals: removals.iter().map(|removal| removal.slot).collect(),
            first_entry: base.entries,
            entries,
            sealed_record: record.seal(gallery)?,
            record,
        })
    }

    /// How the manifest names the block after this change.
    pub fn manifest_entry(&self) -> ManifestEntry {
        manifest_entry(&self.record, &self.sealed_record)
    }
}

impl Provisioned {
    /// How the manifest names the new block.
    pub fn manifest_entry(&self) -> ManifestEntry {
        manifest_entry(&self.record, &self.sealed_record)
    }
}

fn manifest_entry(record: &Record, sealed: &[u8]) -> ManifestEntry {
    ManifestEntry { block: record.block, version: record.version, record_digest: record_digest(sealed) }
}

/// `v += lambda * y mod P`.
fn weigh(check: &mut [u64], lambda: u64, template: &Template) {
    for (v, &y) in check.iter_mut().zip(template.values()) {
        *v = reduce_p(i128::from(*v) + i128::from(lambda) * i128::from(y));
    }
}
