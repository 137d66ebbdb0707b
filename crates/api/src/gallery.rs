//! `tyto.gallery.v1`: what its messages say, once they were checked.

mod convert;

pub use convert::{gallery_id, upload_of};

use crate::limits::TAG_BYTES;
use bytes::Bytes;
use tyto_scheme::{BlockId, GalleryId, GalleryParameters, Pseudonym, UploadId};

/// Creates an empty gallery.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CreateGallery {
    /// Its public facts.
    pub parameters: GalleryParameters,
    /// Name, metric and norm, sealed by the tenant.
    pub sealed_descriptor: Bytes,
    /// The empty manifest, version 1, sealed by the tenant.
    pub sealed_manifest: Bytes,
}

/// A gallery and its counts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GalleryInfo {
    /// Its public facts.
    pub parameters: GalleryParameters,
    /// Name, metric and norm, sealed by the tenant.
    pub sealed_descriptor: Bytes,
    /// Version of its manifest.
    pub manifest_version: u64,
    /// Blocks.
    pub blocks: u64,
    /// Templates enrolled and not removed.
    pub templates: u64,
    /// Slots ever written.
    pub slots_used: u64,
    /// Slots in all blocks.
    pub slots_total: u64,
    /// Bytes of server memory that it takes.
    pub resident_bytes: u64,
    /// When it was created, milliseconds since 1970.
    pub created_unix_ms: u64,
}

/// A page of galleries in order of their ids.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ListGalleries {
    /// Galleries on the page at most.
    pub page_size: usize,
    /// The last gallery of the page before.
    pub after: Option<GalleryId>,
}

/// The beginning of a provisioning upload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProvisionHeader {
    /// The gallery.
    pub gallery: GalleryId,
    /// The upload.
    pub upload: UploadId,
    /// Bytes of the segment.
    pub total_bytes: u64,
    /// SHA3-256 of the segment.
    pub digest: [u8; 32],
}

/// A piece of an upload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chunk {
    /// Bytes that precede.
    pub offset: u64,
    /// The bytes.
    pub data: Bytes,
}

/// What turns an upload into blocks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProvisionCommit {
    /// One record per block of the segment, in its order, each of version 1.
    pub records: Vec<SealedRecord>,
    /// The manifest that lists them.
    pub manifest: ManifestUpdate,
}

/// One message of a provisioning stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ProvisionPart {
    /// First.
    Header(ProvisionHeader),
    /// Any number.
    Chunk(Chunk),
    /// Last.
    Commit(ProvisionCommit),
}

/// How far an upload came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UploadStatus {
    /// Bytes that the server holds.
    pub received_bytes: u64,
    /// Whether it became blocks.
    pub committed: bool,
}

/// A block's record for one version of the block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SealedRecord {
    /// The block.
    pub block: BlockId,
    /// The version of the block.
    pub version: u64,
    /// The record as the tenant sealed it.
    pub sealed: Bytes,
}

/// The manifest that goes with a mutation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ManifestUpdate {
    /// One more than the version that it replaces.
    pub version: u64,
    /// The manifest as the tenant sealed it.
    pub sealed: Bytes,
}

/// A template to write.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SlotWrite {
    /// The slot; below the layout's number of slots, which is not checked here.
    pub slot: u16,
    /// The subject.
    pub subject: Pseudonym,
    /// The delta; its length and range are not checked here.
    pub delta: Bytes,
    /// The tenant's tag on it.
    pub tag: [u8; TAG_BYTES],
}

/// Everything that changes in one block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BlockChange {
    /// The block.
    pub block: BlockId,
    /// The version that the change was made on.
    pub base_version: u64,
    /// Templates to write.
    pub writes: Vec<SlotWrite>,
    /// Slots whose templates are removed.
    pub removals: Vec<u16>,
    /// Index of the first appended slot-map entry.
    pub first_entry: u32,
    /// Sealed slot-map entries to append.
    pub entries: Vec<Bytes>,
    /// The record of version `base_version + 1`.
    pub sealed_record: Bytes,
}

/// One transaction on a gallery: an enrolment or a removal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mutation {
    /// The gallery.
    pub gallery: GalleryId,
    /// The blocks that change.
    pub changes: Vec<BlockChange>,
    /// The manifest after it.
    pub manifest: ManifestUpdate,
}

/// How a mutation ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It is durable.
    Committed {
        /// The manifest version that it made.
        manifest_version: u64,
    },
    /// Someone else was first; nothing was changed.
    Conflict {
        /// The manifest version that the gallery is at.
        manifest_version: u64,
    },
}

/// What the transparency log says about a change.
#[derive(Clone, PartialEq, Eq)]
pub struct LoggedChange {
    /// The log's entry.
    pub statement: Bytes,
    /// The salt of the digests in it, which the server does not keep.
    pub salt: [u8; 32],
}

impl std::fmt::Debug for LoggedChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without the salt, which opens the digests.
        f.debug_struct("LoggedChange").field("statement", &self.statement).finish_non_exhaustive()
    }
}

/// A page of the templates of a gallery.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListTemplates {
    /// The gallery.
    pub gallery: GalleryId,
    /// Templates on the page at most.
    pub page_size: usize,
    /// The token of the page before; empty for the first page.
    pub page_token: Bytes,
}

/// Where a template is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TemplateLocation {
    /// Whose it is.
    pub subject: Pseudonym,
    /// Its block.
    pub block: BlockId,
    /// Its slot.
    pub slot: u16,
}

/// Asks for the records that changed after a manifest version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FetchRecords {
    /// The gallery.
    pub gallery: GalleryId,
    /// The manifest version that the client holds; 0 for none.
    pub known_manifest_version: u64,
    /// Slot-map entries that the client holds, by block.
    pub known_entries: Vec<(BlockId, u32)>,
}

/// One message of the answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RecordPart {
    /// First.
    Manifest {
        /// Its version.
        version: u64,
        /// The manifest as the tenant sealed it.
        sealed: Bytes,
        /// Block messages that follow.
        changed_blocks: u64,
    },
    /// One per changed block.
    Block {
        /// Its record.
        record: SealedRecord,
        /// Index of the first entry below.
        first_entry: u32,
        /// The slot-map entries from there to the end.
        entries: Vec<Bytes>,
    },
}

/// Asks for stored deltas of a block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FetchDeltas {
    /// The gallery.
    pub gallery: GalleryId,
    /// The block.
    pub block: BlockId,
    /// The slots.
    pub slots: Vec<u16>,
}

/// A stored delta.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredDelta {
    /// Its slot.
    pub slot: u16,
    /// The delta; its length and range are not checked here.
    pub delta: Bytes,
    /// The tenant's tag on it.
    pub tag: [u8; TAG_BYTES],
}
