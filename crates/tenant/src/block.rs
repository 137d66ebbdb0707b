//! Blocks: provisioning, enrolment by pad, removal.
//!
//! A block is provisioned once, every coordinate a pseudo-random pad. To enrol a template into a slot the tenant sends
//! `delta = y - pad mod t`, which the server adds. The pad is a one-time pad: a slot is written once, ever. Here that
//! is a matter of types: only an [`OpenBlock`] makes a [`Fill`], each from its next slot, and it never goes back.

use crate::Error;
use crate::derive::Streams;
use crate::gallery::{Context, Gallery};
use crate::manifest::{ManifestEntry, record_digest};
use crate::record::Record;
use crate::sample::{P, Scratch, reduce_p};
use crate::slotmap::{self, Event, SubjectId};
use crate::template::Template;
use std::ops::Range;
use tyto_kernels::{
    N, NttPoly, PACKED_POLY_BYTES, Poly, Wiped, forward_swap, in_parallel, inverse, inverse_swap, modq, pack,
    weigh_and_hide,
};
use tyto_pqc::random;
use tyto_scheme::params::{centre_t, reduce_t};
use tyto_scheme::segment::{read_polynomials, write_polynomials};
use tyto_scheme::{BlockId, Delta, Pseudonym};
use zeroize::Zeroizing;

/// A block that this process provisioned and may go on filling.
pub struct OpenBlock {
    block: BlockId,
    context: Context,
    pads: Wiped<u16>,
    next_slot: u16,
    slots: u16,
}

/// The pads of a block, polynomial after polynomial.
fn block_pads(gallery: &Gallery, block: BlockId) -> Wiped<u16> {
    let chunks = gallery.layout().chunks();
    let streams = gallery.keys.block_seed(block).block_pads(chunks);
    let mut pads = Wiped::zeros(chunks * N);
    let mut left = pads.as_chunks_mut::<N>().0;
    let jobs = gallery.split_chunks().map(|chunks| {
        let pads = left.split_off_mut(..chunks.len()).expect("pads of every polynomial");
        (chunks, pads)
    });
    in_parallel(jobs.collect::<Vec<_>>(), |(chunks, pads)| {
        let mut scratch = Scratch::new();
        chunks.zip(pads).for_each(|(chunk, pads)| scratch.pads(streams.at(chunk), pads));
    });
    pads
}

/// Some polynomials of a new block, `b_c = a_c*s + m_c` with `m_c = t*e_c + pad_c`: one transform of `m_c`, one back.
/// Returns `sum m_c * A_c`.
fn provision_part(
    gallery: &Gallery,
    [pad_streams, errors]: &[Streams; 2],
    secret: &NttPoly,
    chunks: Range<usize>,
    packed: &mut [[u8; PACKED_POLY_BYTES]],
    pads: &mut [[u16; N]],
) -> Zeroizing<NttPoly> {
    let masks = &gallery.masks;
    let mut scratch = Scratch::new();
    let mut poly = Zeroizing::new(Poly::zero());
    let mut sum = Zeroizing::new(NttPoly::zero());
    let mut hint = Zeroizing::new(NttPoly::zero());
    for (chunk, (packed, pads)) in chunks.zip(packed.iter_mut().zip(pads)) {
        scratch.pads(pad_streams.at(chunk), pads);
        scratch.noise(errors.at(chunk), Some(pads), &mut poly);
        forward_swap(&mut poly, &mut sum);
        weigh_and_hide(chunk, &masks.query, &mut hint, &masks.gallery, secret, &mut sum);
        inverse_swap(&mut sum, &mut poly);
        pack::pack(poly.as_slice(), packed);
    }
    hint
}

/// What is uploaded of a new block.
pub struct Provisioned {
    /// Its `C` polynomials, packed.
    pub polynomials: Vec<u8>,
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

    /// Provisions several blocks, side by side.
    ///
    /// # Errors
    /// No OS randomness.
    pub fn provision_many(gallery: &Gallery, count: usize) -> Result<Vec<(Self, Provisioned)>, Error> {
        let one = |_| Self::provision(gallery);
        if gallery.split_chunks().count() > 1 {
            // One block at a time keeps the threads busy.
            return (0..count).map(one).collect();
        }
        let parts = gallery.split(count, gallery.layout().chunks());
        in_parallel(parts, |blocks| blocks.map(one).collect::<Vec<_>>()).into_iter().flatten().collect()
    }

    pub(crate) fn provision_with_id(gallery: &Gallery, block: BlockId) -> Result<(Self, Provisioned), Error> {
        let (layout, seed) = (gallery.layout(), gallery.keys.block_seed(block));
        let secret = seed.secret();
        let streams = [seed.block_pads(layout.chunks()), seed.errors(layout.chunks())];
        let mut pads = Wiped::zeros(layout.chunks() * N);
        let mut polynomials = vec![0; layout.polynomials_bytes()];
        let mut pads_left = pads.as_chunks_mut::<N>().0;
        let jobs = gallery.split_packed(&mut polynomials).map(|(chunks, packed)| {
            let pads = pads_left.split_off_mut(..chunks.len()).expect("pads of every polynomial");
            (chunks, packed, pads)
        });
        // sum (a*s + m) * A = w*s + sum m*A
        let mut hint = Zeroizing::new(NttPoly::zero());
        hint.mul_add_assign(&gallery.w, &secret);
        for part in in_parallel(jobs.collect::<Vec<_>>(), |(chunks, packed, pads)| {
            provision_part(gallery, &streams, &secret, chunks, packed, pads)
        }) {
            hint.add_assign(&part);
        }
        let record = Record::provisioned(gallery, block, &hint);
        let sealed_record = record.seal(gallery)?;
        let slots = layout.slots() as u16;
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
            reduce_t(i32::from(y) - i32::from(self.pads[chunk * N + index]))
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

/// The ciphertexts of a block with the templates of some slots in it, packed: what a server matches when just these slots
/// are filled. They are derived once more, as when the block was provisioned, and each stored delta is authenticated.
///
/// # Errors
/// [`Error::DeltaTag`] for a delta that was not enrolled.
pub fn ciphertexts(
    gallery: &Gallery,
    block: BlockId,
    stored: &[(u16, Delta, [u8; 16])],
) -> Result<Vec<u8>, Error> {
    let (layout, keys) = (gallery.layout(), &gallery.keys);
    let forged = |(slot, delta, tag): &&(u16, Delta, [u8; 16])| {
        !keys.delta_tag_holds(block, *slot, &delta.to_bytes(), tag)
    };
    if let Some(&(slot, ..)) = stored.iter().find(forged) {
        return Err(Error::DeltaTag { block, slot });
    }
    let (_, provisioned) = OpenBlock::provision_with_id(gallery, block)?;
    let mut polynomials = read_polynomials("block", &provisioned.polynomials, layout.chunks())?;
    for (slot, delta, _) in stored {
        delta.add_to_block(layout, *slot, &mut polynomials);
    }
    let mut packed = Vec::with_capacity(provisioned.polynomials.len());
    write_polynomials(&polynomials, &mut packed);
    Ok(packed)
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
                let sum = i32::from(pads[chunk * N + index]) + i32::from(delta.values()[coordinate]);
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
        let mut events = Vec::with_capacity(fills.len() + removals.len());
        for fill in fills {
            assert_eq!(fill.block, block, "a fill belongs to its block");
            if fill.slot < record.used {
                return Err(Error::SlotSpent { block, slot: fill.slot });
            }
            record.used = fill.slot + 1;
            weigh(&mut record.check, lambdas[usize::from(fill.slot)], &fill.template);
            record.set_filled(fill.slot, true);
            events.push((fill.slot, Event::Enrolled(fill.subject.clone())));
        }
        for removal in removals {
            assert_eq!(removal.block, block, "a removal belongs to its block");
            if !record.is_filled(removal.slot) {
                return Err(Error::NotEnrolled { block, slot: removal.slot });
            }
            weigh(&mut record.check, P - lambdas[usize::from(removal.slot)], &removal.template);
            record.set_filled(removal.slot, false);
            events.push((removal.slot, Event::Removed));
        }
        for part in
            in_parallel(gallery.split_chunks(), |chunks| hint_change(gallery, fills, removals, chunks))
        {
            record.hint.add_assign(&inverse(&part));
        }
        record.version += 1;
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

/// `sum change_c * A_c` over some polynomials.
fn hint_change(
    gallery: &Gallery,
    fills: &[Fill],
    removals: &[Removal],
    chunks: Range<usize>,
) -> Zeroizing<NttPoly> {
    let stride = gallery.layout().stride();
    let mut big_a = NttPoly::zero();
    let mut change = Zeroizing::new(Poly::zero());
    let mut transformed = Zeroizing::new(NttPoly::zero());
    let mut sum = Zeroizing::new(NttPoly::zero());
    for chunk in chunks {
        let coefficients = change.as_mut_slice();
        coefficients.fill(0);
        let mut place = |slot: u16, delta: &Delta, sign: i64| {
            let at = usize::from(slot) * stride;
            let values = &delta.values()[chunk * stride..][..stride];
            for (coefficient, &value) in coefficients[at..].iter_mut().zip(values) {
                *coefficient = modq::add(*coefficient, modq::from_i64(sign * i64::from(centre_t(value))));
            }
        };
        fills.iter().for_each(|fill| place(fill.slot, &fill.delta, 1));
        removals.iter().for_each(|removal| place(removal.slot, &removal.delta, -1));
        forward_swap(&mut change, &mut transformed);
        gallery.masks.query.read(chunk, &mut big_a);
        sum.mul_add_assign(&transformed, &big_a);
    }
    sum
}

/// `v += lambda * y mod P`.
fn weigh(check: &mut [u64], lambda: u64, template: &Template) {
    for (v, &y) in check.iter_mut().zip(template.values()) {
        *v = reduce_p(i128::from(*v) + i128::from(lambda) * i128::from(y));
    }
}
