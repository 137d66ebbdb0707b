//! What goes in and out of the store.

use bytes::Bytes;
use tyto_access::TenantId;
use tyto_scheme::query::Kind;
use tyto_scheme::{BlockId, GalleryId, GalleryParameters, KeyId, Pseudonym, TicketId, UploadId};

/// SHA3-256.
pub type Digest = [u8; 32];

/// Whether a creation made something or found the same thing made before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// It is new.
    New,
    /// An identical repetition; nothing changed.
    AlreadyThere,
}

/// How a mutation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// It is durable.
    Committed {
        /// The manifest version that it led to.
        manifest_version: u64,
    },
    /// It was durable before this call: an identical repetition, which changed nothing. The caller gets the answer
    /// of the first; whoever mirrors the store in memory must not apply it again.
    Repeated {
        /// The manifest version that it led to.
        manifest_version: u64,
    },
    /// Someone else changed the gallery first; nothing was changed.
    Conflict {
        /// The gallery's manifest version.
        current: u64,
    },
}

/// A manifest as the tenant sealed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedManifest {
    /// Its version.
    pub version: u64,
    /// Its bytes.
    pub sealed: Bytes,
}

/// A gallery to create; its manifest has version 1.
#[derive(Clone, Debug)]
pub struct NewGallery {
    /// Its public facts.
    pub parameters: GalleryParameters,
    /// Name, metric and norm, sealed by the tenant.
    pub sealed_descriptor: Bytes,
    /// The empty manifest, sealed by the tenant.
    pub sealed_manifest: Bytes,
    /// Unix time; not compared with that of an earlier creation.
    pub created_ms: u64,
}

/// A gallery as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gallery {
    /// Its public facts.
    pub parameters: GalleryParameters,
    /// Name, metric and norm, sealed by the tenant.
    pub sealed_descriptor: Bytes,
    /// The current manifest.
    pub manifest: SealedManifest,
    /// Unix time.
    pub created_ms: u64,
    /// Whose it is.
    pub tenant: TenantId,
}

/// What a gallery holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Blocks.
    pub blocks: u64,
    /// Slots filled.
    pub templates: u64,
    /// Slots ever written, burnt ones included.
    pub slots_used: u64,
}

/// How far an upload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UploadStatus {
    /// Bytes that the store holds.
    pub received_bytes: u64,
    /// Bytes announced.
    pub total_bytes: u64,
    /// It is a segment of the gallery.
    pub committed: bool,
}

/// The bytes of a complete upload whose digest was checked; only [`crate::Store::read_upload`] makes it.
#[derive(Clone)]
pub struct VerifiedUpload {
    pub(crate) gallery: GalleryId,
    pub(crate) upload: UploadId,
    pub(crate) digest: Digest,
    pub(crate) bytes: Bytes,
}

impl VerifiedUpload {
    /// The upload.
    pub fn upload(&self) -> UploadId {
        self.upload
    }

    /// Its bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

impl std::fmt::Debug for VerifiedUpload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerifiedUpload")
            .field("upload", &self.upload)
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

/// Turns an upload into a segment of its gallery.
#[derive(Clone, Debug)]
pub struct CommitSegment {
    /// The bytes, from [`crate::Store::read_upload`]. That they parse is the caller's to check.
    pub upload: VerifiedUpload,
    /// The blocks in the order of the segment, each with its sealed record of version 1.
    pub blocks: Vec<(BlockId, Bytes)>,
    /// The manifest that lists them; its version is one more than the current one's.
    pub manifest: SealedManifest,
}

/// A template for a slot that was never written.
#[derive(Clone, Debug)]
pub struct Write {
    /// The slot.
    pub slot: u16,
    /// Who it is of.
    pub subject: Pseudonym,
    /// Two bytes little-endian per coordinate of the padded dimension.
    pub delta: Bytes,
    /// The tenant's MAC of it.
    pub tag: [u8; 16],
}

/// What changes in one block, from `base_version` to `base_version + 1`. Removals come before writes.
#[derive(Clone, Debug)]
pub struct BlockMutation {
    /// The block.
    pub block: BlockId,
    /// Its version before.
    pub base_version: u64,
    /// Templates to write.
    pub writes: Vec<Write>,
    /// Slots whose templates are removed.
    pub removals: Vec<u16>,
    /// How many slot-map entries the block has: the index of the first one below.
    pub first_entry: u32,
    /// Sealed slot-map entries to append.
    pub entries: Vec<Bytes>,
    /// The sealed record of version `base_version + 1`.
    pub sealed_record: Bytes,
}

/// Everything that one request changes in a gallery: all of it or nothing.
#[derive(Clone, Debug)]
pub struct Mutation {
    /// The gallery.
    pub gallery: GalleryId,
    /// Its blocks that change, each once.
    pub changes: Vec<BlockMutation>,
    /// The manifest after it; its version is one more than the current one's.
    pub manifest: SealedManifest,
}

/// A block as it is stored, without its entries and templates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockRow {
    /// The block.
    pub block: BlockId,
    /// Its place in the order of provisioning, from 0.
    pub ordinal: u32,
    /// The segment that holds its polynomials.
    pub segment: UploadId,
    /// Its place in that segment, from 0.
    pub index_in_segment: u32,
    /// Its version.
    pub version: u64,
    /// Sealed slot-map entries.
    pub entries: u32,
    /// Slots filled.
    pub filled: u32,
    /// Slots ever written.
    pub used: u32,
    /// The manifest version of its last change.
    pub changed_at: u64,
    /// The sealed record of its version.
    pub sealed_record: Bytes,
}

/// A filled slot, for loading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilledSlot {
    /// The slot.
    pub slot: u16,
    /// Who it is of.
    pub subject: Pseudonym,
    /// Two bytes little-endian per coordinate of the padded dimension.
    pub delta: Bytes,
}

/// A delta with its tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDelta {
    /// The slot.
    pub slot: u16,
    /// Two bytes little-endian per coordinate of the padded dimension.
    pub delta: Bytes,
    /// The tenant's MAC of it.
    pub tag: [u8; 16],
}

/// Where a template is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TemplateLocation {
    /// Who it is of.
    pub subject: Pseudonym,
    /// Its block.
    pub block: BlockId,
    /// Its slot.
    pub slot: u16,
}

/// Where a page of [`crate::Store::list_templates`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TemplateCursor {
    /// Ordinal of the last template's block.
    pub ordinal: u32,
    /// Its slot.
    pub slot: u16,
}

impl TemplateCursor {
    /// `ordinal u32 || slot u16`, little-endian.
    pub fn to_bytes(self) -> [u8; 6] {
        let [a, b, c, d] = self.ordinal.to_le_bytes();
        let [e, f] = self.slot.to_le_bytes();
        [a, b, c, d, e, f]
    }

    /// Parses [`TemplateCursor::to_bytes`]; `None` for any other length.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let &[a, b, c, d, e, f] = bytes else { return None };
        Some(Self { ordinal: u32::from_le_bytes([a, b, c, d]), slot: u16::from_le_bytes([e, f]) })
    }
}

/// A ticket to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewTicket {
    /// The ticket.
    pub ticket: TicketId,
    /// The gallery that it is for.
    pub gallery: GalleryId,
    /// The tenant key that it was made under.
    pub key: KeyId,
    /// What it is for.
    pub kind: Kind,
    /// When it is forgotten, Unix time.
    pub expires_ms: u64,
}

/// A ticket as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The facts given when it was put.
    pub facts: NewTicket,
    /// Bytes of it, or of its answer once that is what is kept.
    pub bytes: u64,
    /// SHA3-256 of it.
    pub digest: Digest,
    /// Where its one use stands.
    pub state: TicketState,
}

/// Where a ticket's one use stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TicketState {
    /// Not used.
    Open,
    /// Used; there is no answer yet, or never will be.
    Begun,
    /// Used and answered.
    Done,
    /// Expired without use.
    Expired,
}

/// What [`crate::Store::begin_use`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UseOutcome {
    /// The ticket is now marked as used, durably; go on and answer.
    Fresh,
    /// The same request was answered before: this is the answer.
    Done(Bytes),
    /// The same request was begun before and has no stored answer: it is being answered, or the server stopped
    /// meanwhile, or the answer has expired.
    Spent,
    /// The ticket was used for another request.
    OtherContent,
    /// The ticket expired before it was used.
    Expired,
}
