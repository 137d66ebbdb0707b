//! The slot map of a block: which subject sits in which slot. Entries are sealed one by one and appended; their
//! chained digest stands in the block's record.

use crate::Error;
use crate::gallery::Gallery;
use crate::record::Record;
use crate::sealed;
use std::sync::Arc;
use tyto_pqc::digest::sha3_256;
use tyto_scheme::BlockId;

const OBJECT: &str = "slot-map entry";
const LABEL: &str = "tyto/v1/entry";

/// Longest subject id, in bytes. Every entry is padded to it, so that lengths tell nothing.
pub const MAX_SUBJECT_BYTES: usize = 64;
/// Bytes of a sealed entry.
pub const SEALED_ENTRY_BYTES: usize = 4 + MAX_SUBJECT_BYTES + tyto_pqc::aead::OVERHEAD;

/// Whom a template belongs to: the tenant's own opaque id or name, 1 to 64 bytes. It never leaves the tenant in
/// the clear.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubjectId(Box<[u8]>);

impl SubjectId {
    /// Checks the length.
    ///
    /// # Errors
    /// [`Error::SubjectLength`].
    pub fn new(bytes: impl AsRef<[u8]>) -> Result<Self, Error> {
        let bytes = bytes.as_ref();
        if bytes.is_empty() || bytes.len() > MAX_SUBJECT_BYTES {
            return Err(Error::SubjectLength { found: bytes.len(), max: MAX_SUBJECT_BYTES });
        }
        Ok(Self(bytes.into()))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Display for SubjectId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        String::from_utf8_lossy(&self.0).escape_debug().fmt(f)
    }
}

/// Subject ids are personal data: not in logs by accident.
impl std::fmt::Debug for SubjectId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SubjectId({} bytes)", self.0.len())
    }
}

/// What an entry says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The slot was filled.
    Enrolled(SubjectId),
    /// The slot was burnt.
    Removed,
}

/// Seals entry number `index` of a block: `event u8 || slot u16 || length u8 || subject, padded to 64`.
pub(crate) fn seal(
    gallery: &Gallery,
    block: BlockId,
    index: u32,
    slot: u16,
    event: &Event,
) -> Result<Vec<u8>, Error> {
    let mut plain = zeroize::Zeroizing::new([0; 4 + MAX_SUBJECT_BYTES]);
    plain[1..3].copy_from_slice(&slot.to_le_bytes());
    match event {
        Event::Enrolled(subject) => {
            let bytes = subject.as_bytes();
            (plain[0], plain[3]) = (1, bytes.len() as u8);
            plain[4..][..bytes.len()].copy_from_slice(bytes);
        }
        Event::Removed => plain[0] = 2,
    }
    sealed::seal(&gallery.keys.entry, LABEL, &[gallery.context(), &block.0, &index.to_le_bytes()], &plain[..])
}

/// The digest of no entries.
pub(crate) fn empty_digest(gallery: &Gallery, block: BlockId) -> [u8; 32] {
    sha3_256(&[b"tyto/v1/entries", gallery.context(), &block.0])
}

/// The digest with one more entry.
pub(crate) fn chain(digest: &[u8; 32], sealed: &[u8]) -> [u8; 32] {
    sha3_256(&[digest, sealed])
}

/// Who sits where in a block, as far as its entries were read.
#[derive(Clone, Debug)]
pub struct SlotMap {
    block: BlockId,
    entries: u32,
    digest: [u8; 32],
    subjects: Vec<Option<Arc<SubjectId>>>,
}

impl SlotMap {
    /// The map of a block without entries.
    pub fn new(gallery: &Gallery, block: BlockId) -> Self {
        let subjects = vec![None; gallery.layout().slots()];
        Self { block, entries: 0, digest: empty_digest(gallery, block), subjects }
    }

    /// Entries read so far.
    pub fn entries(&self) -> u32 {
        self.entries
    }

    /// Opens the next entry and appends it. Returns the slot and what happened to it.
    ///
    /// # Errors
    /// [`Error::Sealed`] if this key did not seal it for this place.
    pub fn append(&mut self, gallery: &Gallery, sealed: &[u8]) -> Result<(u16, Event), Error> {
        let place: [&[u8]; 3] = [gallery.context(), &self.block.0, &self.entries.to_le_bytes()];
        let plain = sealed::open(&gallery.keys.entry, OBJECT, LABEL, &place, sealed)?;
        let unknown = Error::SealedVersion { object: OBJECT };
        let Some((&[event, low, high, length], subject)) = plain.split_first_chunk() else {
            return Err(unknown);
        };
        let slot = u16::from_le_bytes([low, high]);
        let Some(place) = self.subjects.get_mut(usize::from(slot)) else { return Err(unknown) };
        let event = match event {
            1 => Event::Enrolled(SubjectId::new(subject.get(..usize::from(length)).unwrap_or_default())?),
            2 => Event::Removed,
            _ => return Err(unknown),
        };
        *place = match &event {
            Event::Enrolled(subject) => Some(Arc::new(subject.clone())),
            Event::Removed => None,
        };
        self.digest = chain(&self.digest, sealed);
        self.entries += 1;
        Ok((slot, event))
    }

    /// Checks that these are all the entries of a record, unaltered and in order.
    ///
    /// # Errors
    /// [`Error::SlotMap`].
    pub fn check(&self, record: &Record) -> Result<(), Error> {
        let filled = |slot: usize| self.subjects[slot].is_some() == record.is_filled(slot as u16);
        let same = self.block == record.block()
            && self.entries == record.entries()
            && self.digest == *record.entries_digest()
            && (0..self.subjects.len()).all(filled);
        if same { Ok(()) } else { Err(Error::SlotMap { block: record.block() }) }
    }

    /// The subject in a slot.
    pub fn subject(&self, slot: u16) -> Option<&Arc<SubjectId>> {
        self.subjects.get(usize::from(slot))?.as_ref()
    }

    /// All filled slots with their subjects.
    pub fn filled(&self) -> impl Iterator<Item = (u16, &Arc<SubjectId>)> {
        self.subjects.iter().enumerate().filter_map(|(slot, subject)| Some((slot as u16, subject.as_ref()?)))
    }
}
