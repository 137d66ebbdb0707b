//! `tyto.matching.v1`: what its messages say, once they were checked.

mod convert;
mod stored;

use crate::gallery::{Chunk, SealedRecord};
use crate::limits::TAG_BYTES;
use bytes::Bytes;
use tyto_scheme::query::Target;
use tyto_scheme::{BlockId, GalleryId, KeyId, Pseudonym, TicketId};

/// The beginning of a ticket's upload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TicketHeader {
    /// The gallery that it is for.
    pub gallery: GalleryId,
    /// The ticket.
    pub ticket: TicketId,
    /// The tenant key that it was made under.
    pub key: KeyId,
    /// Bytes of the ticket.
    pub total_bytes: u64,
    /// SHA3-256 of the ticket.
    pub digest: [u8; 32],
}

/// One message of a ticket's upload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TicketPart {
    /// First.
    Header(TicketHeader),
    /// Any number.
    Chunk(Chunk),
}

/// What a gallery is matched with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Probe {
    /// Query polynomials.
    Query(WholeQuery),
    /// A ticket that was uploaded before.
    Ticket(TicketUse),
}

/// Fresh query polynomials.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WholeQuery {
    /// The tenant key that they were made under.
    pub key: KeyId,
    /// The epoch of the masks that they were made with.
    pub mask_epoch: u32,
    /// The polynomials, 41 bits a coefficient; their length and range are not checked here.
    pub polynomials: Bytes,
}

/// What turns a ticket's pads into a probe.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TicketUse {
    /// The ticket.
    pub ticket: TicketId,
    /// One delta, or two for a verification; their length and range are not checked here.
    pub deltas: Bytes,
    /// The tag on ticket, gallery, target and deltas.
    pub tag: [u8; TAG_BYTES],
}

/// What the caller wants to find in the attestation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AttestationRequest {
    /// Random bytes of the client.
    pub nonce: [u8; 32],
    /// For whom the attestation is.
    pub audience: String,
}

/// A comparison with every template of one subject.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verify {
    /// The gallery.
    pub gallery: GalleryId,
    /// The claimed subject.
    pub subject: Pseudonym,
    /// The probe.
    pub probe: Probe,
    /// The manifest version whose records the client holds; 0 for none.
    pub known_manifest_version: u64,
    /// Whether the answer is to be attested, and for whom.
    pub attestation: Option<AttestationRequest>,
}

impl Verify {
    /// What the probe is compared with.
    pub fn target(&self) -> Target {
        Target::Subject(self.subject)
    }
}

/// A comparison with every template of a gallery.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identify {
    /// The gallery.
    pub gallery: GalleryId,
    /// The probe.
    pub probe: Probe,
    /// The manifest version whose records the client holds; 0 for none.
    pub known_manifest_version: u64,
    /// Whether the answer is to be attested, and for whom.
    pub attestation: Option<AttestationRequest>,
}

/// The state of the gallery that an answer was computed on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SnapshotState {
    /// Its manifest version.
    pub manifest_version: u64,
    /// The sealed manifest, if the client does not hold this version.
    pub sealed_manifest: Option<Bytes>,
}

/// The comparison with one template.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SlotResult {
    /// The template's block.
    pub block: BlockId,
    /// The version of the block that was matched.
    pub version: u64,
    /// The template's slot.
    pub slot: u16,
    /// Compressed score coefficient of the first query.
    pub coefficient: u16,
    /// The same of the second query.
    pub check: u16,
}

/// An attestation and the salt of its digests.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attestation {
    /// `COSE_Sign1` (RFC 9052).
    pub cose_sign1: Bytes,
    /// The salt of the digests in the statement.
    pub salt: [u8; 32],
}

/// The answer to a verification.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VerifyAnswer {
    /// What it was computed on.
    pub snapshot: SnapshotState,
    /// The ticket use as the server received it.
    pub ticket: Option<TicketUse>,
    /// One result per template of the subject.
    pub results: Vec<SlotResult>,
    /// Records that changed after the client's manifest version.
    pub records: Vec<SealedRecord>,
    /// Present if it was asked for.
    pub attestation: Option<Attestation>,
}

/// The reply of one block to an identification.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BlockReply {
    /// The block.
    pub block: BlockId,
    /// The version of the block that was matched.
    pub version: u64,
    /// One coefficient per slot, packed; the length is not checked here.
    pub coefficients: Bytes,
    /// The block's record, if it changed after the client's manifest version.
    pub sealed_record: Option<Bytes>,
}

/// One message of the answer to an identification.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum IdentifyPart {
    /// First.
    Header {
        /// What the answer is computed on.
        snapshot: SnapshotState,
        /// The ticket use as the server received it.
        ticket: Option<TicketUse>,
        /// Blocks of the gallery.
        blocks_total: u64,
    },
    /// Replies, in the order of the manifest.
    Blocks(Vec<BlockReply>),
    /// The work goes on.
    Progress {
        /// Blocks answered so far.
        blocks_matched: u64,
    },
    /// Last.
    Trailer {
        /// Blocks answered.
        blocks_matched: u64,
        /// Present if it was asked for.
        attestation: Option<Attestation>,
    },
}
