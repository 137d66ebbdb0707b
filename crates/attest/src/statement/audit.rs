//! The claim that the audit log of the issuer was so long and had this head.

use crate::cbor::{Reader, Writer};
use crate::error::{Error, Part};
use crate::fields::{FieldWriter, Fields};

pub(super) const KIND: &str = "audit-anchor";
const ENTRIES: usize = 3;

/// How far a chain of audit records had come. Whoever has it finds out whether the chain was cut or written anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AuditAnchor {
    /// The chain.
    pub chain_id: [u8; 32],
    /// Records of the chain, from its first one on.
    pub records: u64,
    /// Hash of the last of them, which covers all.
    pub head: [u8; 32],
}

impl AuditAnchor {
    pub(super) fn write(&self, w: &mut Writer) {
        let mut fields = FieldWriter::open(w, ENTRIES);
        fields.next().bytes(&self.chain_id);
        fields.next().uint(self.records);
        fields.next().bytes(&self.head);
    }

    pub(super) fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
        let mut r = Fields::open(Part::Statement, "claim", r)?;
        r.expect("claim", ENTRIES)?;
        Ok(Self {
            chain_id: r.next("chain_id", Reader::bytes_exact)?,
            records: r.next("records", Reader::uint)?,
            head: r.next("head", Reader::bytes_exact)?,
        })
    }
}
