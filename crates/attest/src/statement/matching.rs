//! The claim that a probe was matched.

use core::fmt;

use super::field_error;
use crate::cbor::{Reader, Writer};
use crate::error::{Error, FieldProblem, Part};
use crate::fields::{FieldWriter, Fields, or_null, uint};

const ENTRIES: usize = 13;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// A probe was compared with one template (1:1).
    Verify,
    /// A probe was compared with a gallery (1:N).
    Identify,
}

impl Operation {
    /// The operation's name in a statement.
    pub fn name(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Identify => "identify",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        [Self::Verify, Self::Identify].into_iter().find(|operation| operation.name() == name)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A match as it was computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchResult {
    /// What was done.
    pub operation: Operation,
    /// Parameter-set id of the scoring scheme.
    pub parameter_set: u16,
    /// The gallery.
    pub gallery_id: [u8; 16],
    /// Epoch of the gallery's masks.
    pub mask_epoch: u32,
    /// Version of the gallery's manifest.
    pub manifest_version: u64,
    /// [`crate::digest::blocks_root`] of the blocks that the operation covered.
    pub blocks_root: [u8; 32],
    /// How many blocks the operation covered.
    pub blocks_matched: u64,
    /// How many blocks the gallery has. At least `blocks_matched`.
    pub blocks_total: u64,
    /// The ticket that was used, if one was.
    pub ticket_id: Option<[u8; 16]>,
    /// Salted digest of the request.
    pub request_digest: [u8; 32],
    /// Salted digest of the gallery's state.
    pub gallery_state_digest: [u8; 32],
    /// Salted digest of the block records.
    pub records_digest: [u8; 32],
    /// Salted digest of the result.
    pub result_digest: [u8; 32],
    /// Bits to which each coefficient of the reply was compressed.
    pub reply_bits: u8,
}

impl MatchResult {
    pub(super) fn write(&self, w: &mut Writer) {
        let mut fields = FieldWriter::open(w, ENTRIES);
        fields.next().uint(self.parameter_set.into());
        fields.next().bytes(&self.gallery_id);
        fields.next().uint(self.mask_epoch.into());
        fields.next().uint(self.manifest_version);
        fields.next().bytes(&self.blocks_root);
        fields.next().uint(self.blocks_matched);
        fields.next().uint(self.blocks_total);
        fields.bytes_or_null(self.ticket_id.as_ref().map(<[u8; 16]>::as_slice));
        fields.next().bytes(&self.request_digest);
        fields.next().bytes(&self.gallery_state_digest);
        fields.next().bytes(&self.records_digest);
        fields.next().bytes(&self.result_digest);
        fields.next().uint(self.reply_bits.into());
    }

    pub(super) fn read(operation: Operation, r: &mut Reader<'_>) -> Result<Self, Error> {
        let mut r = Fields::open(Part::Statement, "claim", r)?;
        r.expect("claim", ENTRIES)?;
        Ok(Self {
            operation,
            parameter_set: r.next("parameter_set", uint)?,
            gallery_id: r.next("gallery_id", Reader::bytes_exact)?,
            mask_epoch: r.next("mask_epoch", uint)?,
            manifest_version: r.next("manifest_version", Reader::uint)?,
            blocks_root: r.next("blocks_root", Reader::bytes_exact)?,
            blocks_matched: r.next("blocks_matched", Reader::uint)?,
            blocks_total: r.next("blocks_total", Reader::uint)?,
            ticket_id: r.next("ticket_id", |r| or_null(r, Reader::bytes_exact))?,
            request_digest: r.next("request_digest", Reader::bytes_exact)?,
            gallery_state_digest: r.next("gallery_state_digest", Reader::bytes_exact)?,
            records_digest: r.next("records_digest", Reader::bytes_exact)?,
            result_digest: r.next("result_digest", Reader::bytes_exact)?,
            reply_bits: r.next("reply_bits", uint)?,
        })
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        if self.blocks_matched <= self.blocks_total {
            return Ok(());
        }
        let problem = FieldProblem::OutOfRange { max: self.blocks_total, actual: self.blocks_matched };
        Err(field_error("blocks_matched", problem))
    }
}
