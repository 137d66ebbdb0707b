//! The canonical content that an attestation's salted digests are about. Server and client build the same bytes:
//! the server while it answers, the client from what it sent and received.
//!
//! | digest | content |
//! |---|---|
//! | request | `"T" \|\| ticket id 16 \|\| target 17 \|\| deltas \|\| tag 16`, or `"Q" \|\| target 17 \|\| packed polynomials` |
//! | result | per template `block id 16 \|\| version \|\| slot u16 \|\| coefficient u16 \|\| check u16`, or per block `block id 16 \|\| version \|\| packed reply` |
//! | records | per block `block id 16 \|\| version \|\| SHA3-256(sealed record)` |
//! | gallery state | `manifest version \|\| SHA3-256(sealed manifest) \|\| blocks root 32` |
//!
//! Versions are u64, all numbers little-endian. Templates and blocks come in the order of the answer; the records of
//! a verification are those of the distinct blocks of its results, in the order of their first result. The blocks
//! root of the gallery state is [`tyto_attest::digest::blocks_root`] over *all* blocks in the order of the manifest.
//! Requests that change a gallery are in [`change`].

pub mod change;

use crate::matching::{BlockReply, Probe, SlotResult};
use tyto_attest::digest::SaltedDigest;
use tyto_scheme::BlockId;
use tyto_scheme::query::Target;

/// Where content goes: into a digest, or into memory to be kept with the attestation.
pub trait Sink {
    /// Appends bytes.
    fn append(&mut self, bytes: &[u8]);
}

impl Sink for Vec<u8> {
    fn append(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

impl Sink for SaltedDigest {
    fn append(&mut self, bytes: &[u8]) {
        self.update(bytes);
    }
}

/// Appends the content of a request.
pub fn request(target: Target, probe: &Probe, out: &mut impl Sink) {
    match probe {
        Probe::Ticket(ticket) => {
            out.append(b"T");
            out.append(&ticket.ticket.0);
            out.append(&target.to_bytes());
            out.append(&ticket.deltas);
            out.append(&ticket.tag);
        }
        Probe::Query(query) => {
            out.append(b"Q");
            out.append(&target.to_bytes());
            out.append(&query.polynomials);
        }
    }
}

/// Appends one template's part of a verification's result.
pub fn slot_result(result: &SlotResult, out: &mut impl Sink) {
    out.append(&result.block.0);
    out.append(&result.version.to_le_bytes());
    for number in [result.slot, result.coefficient, result.check] {
        out.append(&number.to_le_bytes());
    }
}

/// Appends one block's part of an identification's result.
pub fn block_reply(reply: &BlockReply, out: &mut impl Sink) {
    out.append(&reply.block.0);
    out.append(&reply.version.to_le_bytes());
    out.append(&reply.coefficients);
}

/// Appends one block's part of the records.
pub fn record(block: BlockId, version: u64, record_digest: &[u8; 32], out: &mut impl Sink) {
    out.append(&block.0);
    out.append(&version.to_le_bytes());
    out.append(record_digest);
}

/// Appends a gallery's state.
pub fn gallery_state(
    manifest_version: u64,
    manifest_digest: &[u8; 32],
    blocks_root: &[u8; 32],
    out: &mut impl Sink,
) {
    out.append(&manifest_version.to_le_bytes());
    out.append(manifest_digest);
    out.append(blocks_root);
}
