//! Messages of `tyto.matching.v1` to domain types and back.

use super::{
    Attestation, AttestationRequest, BlockReply, Identify, IdentifyPart, Probe, SlotResult, SnapshotState,
    TicketHeader, TicketPart, TicketUse, Verify, VerifyAnswer, WholeQuery,
};
use crate::Error;
use crate::field::{all, at_most, bounded, copy, fixed, line, not_zero, required, slot, tag, width16};
use crate::gallery::{Chunk, SealedRecord, gallery_id};
use crate::limits::{
    MAX_BLOCKS_PER_MESSAGE, MAX_CHUNK_BYTES, MAX_MANIFEST_BYTES, MAX_MESSAGE_BYTES, MAX_RECORD_BYTES,
    MAX_RESULTS_PER_VERIFICATION,
};
use crate::proto::matching::v1 as proto;
use bytes::Bytes;
use tyto_attest::MAX_ATTESTATION_BYTES;
use tyto_scheme::query::MAX_TICKET_BYTES;
use tyto_scheme::{BlockId, GalleryId, KeyId, Pseudonym, TicketId};

impl TryFrom<proto::TicketHeader> for TicketHeader {
    type Error = Error;

    fn try_from(message: proto::TicketHeader) -> Result<Self, Error> {
        Ok(Self {
            gallery: GalleryId(fixed("header.gallery_id", &message.gallery_id)?),
            ticket: TicketId(fixed("header.ticket_id", &message.ticket_id)?),
            key: KeyId(fixed("header.key_id", &message.key_id)?),
            total_bytes: not_zero("header.total_bytes", message.total_bytes, MAX_TICKET_BYTES as u64)?,
            digest: fixed("header.digest", &message.digest)?,
        })
    }
}

impl TryFrom<proto::UploadTicketRequest> for TicketPart {
    type Error = Error;

    fn try_from(message: proto::UploadTicketRequest) -> Result<Self, Error> {
        use proto::upload_ticket_request::Part;
        match required("part", message.part)? {
            Part::Header(header) => Ok(Self::Header(header.try_into()?)),
            Part::Chunk(proto::TicketChunk { offset, data }) => {
                Ok(Self::Chunk(Chunk { offset, data: bounded("chunk.data", data, MAX_CHUNK_BYTES)? }))
            }
        }
    }
}

impl From<TicketPart> for proto::UploadTicketRequest {
    fn from(part: TicketPart) -> Self {
        use proto::upload_ticket_request::Part;
        let part = match part {
            TicketPart::Header(header) => Part::Header(proto::TicketHeader {
                gallery_id: copy(&header.gallery.0),
                ticket_id: copy(&header.ticket.0),
                key_id: copy(&header.key.0),
                total_bytes: header.total_bytes,
                digest: copy(&header.digest),
            }),
            TicketPart::Chunk(Chunk { offset, data }) => Part::Chunk(proto::TicketChunk { offset, data }),
        };
        Self { part: Some(part) }
    }
}

impl TryFrom<proto::TicketUse> for TicketUse {
    type Error = Error;

    fn try_from(message: proto::TicketUse) -> Result<Self, Error> {
        Ok(Self {
            ticket: TicketId(fixed("ticket.ticket_id", &message.ticket_id)?),
            deltas: bounded("ticket.deltas", message.deltas, MAX_MESSAGE_BYTES)?,
            tag: tag("ticket.tag", &message.tag)?,
        })
    }
}

impl From<TicketUse> for proto::TicketUse {
    fn from(ticket: TicketUse) -> Self {
        Self { ticket_id: copy(&ticket.ticket.0), deltas: ticket.deltas, tag: copy(&ticket.tag) }
    }
}

impl TryFrom<proto::Probe> for Probe {
    type Error = Error;

    fn try_from(message: proto::Probe) -> Result<Self, Error> {
        use proto::probe::Kind;
        match required("probe.kind", message.kind)? {
            Kind::Ticket(ticket) => Ok(Self::Ticket(ticket.try_into()?)),
            Kind::Query(query) => Ok(Self::Query(WholeQuery {
                key: KeyId(fixed("query.key_id", &query.key_id)?),
                mask_epoch: query.mask_epoch,
                polynomials: bounded("query.polynomials", query.polynomials, MAX_MESSAGE_BYTES)?,
            })),
        }
    }
}

impl From<Probe> for proto::Probe {
    fn from(probe: Probe) -> Self {
        use proto::probe::Kind;
        let kind = match probe {
            Probe::Ticket(ticket) => Kind::Ticket(ticket.into()),
            Probe::Query(WholeQuery { key, mask_epoch, polynomials }) => {
                Kind::Query(proto::WholeQuery { key_id: copy(&key.0), mask_epoch, polynomials })
            }
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<proto::AttestationRequest> for AttestationRequest {
    type Error = Error;

    fn try_from(message: proto::AttestationRequest) -> Result<Self, Error> {
        let audience = line("attestation.audience", message.audience)?;
        Ok(Self { nonce: fixed("attestation.nonce", &message.nonce)?, audience })
    }
}

impl From<AttestationRequest> for proto::AttestationRequest {
    fn from(request: AttestationRequest) -> Self {
        Self { nonce: copy(&request.nonce), audience: request.audience }
    }
}

impl TryFrom<proto::VerifyRequest> for Verify {
    type Error = Error;

    fn try_from(message: proto::VerifyRequest) -> Result<Self, Error> {
        Ok(Self {
            gallery: gallery_id(&message.gallery_id)?,
            subject: Pseudonym(fixed("subject", &message.subject)?),
            probe: required("probe", message.probe)?.try_into()?,
            known_manifest_version: message.known_manifest_version,
            attestation: message.attestation.map(TryInto::try_into).transpose()?,
        })
    }
}

impl From<Verify> for proto::VerifyRequest {
    fn from(request: Verify) -> Self {
        Self {
            gallery_id: copy(&request.gallery.0),
            subject: copy(&request.subject.0),
            probe: Some(request.probe.into()),
            known_manifest_version: request.known_manifest_version,
            attestation: request.attestation.map(Into::into),
        }
    }
}

impl TryFrom<proto::IdentifyRequest> for Identify {
    type Error = Error;

    fn try_from(message: proto::IdentifyRequest) -> Result<Self, Error> {
        Ok(Self {
            gallery: gallery_id(&message.gallery_id)?,
            probe: required("probe", message.probe)?.try_into()?,
            known_manifest_version: message.known_manifest_version,
            attestation: message.attestation.map(TryInto::try_into).transpose()?,
        })
    }
}

impl From<Identify> for proto::IdentifyRequest {
    fn from(request: Identify) -> Self {
        Self {
            gallery_id: copy(&request.gallery.0),
            probe: Some(request.probe.into()),
            known_manifest_version: request.known_manifest_version,
            attestation: request.attestation.map(Into::into),
        }
    }
}

/// A sealed object that is absent when the client holds it already.
fn optional(field: &'static str, sealed: Bytes, max_bytes: usize) -> Result<Option<Bytes>, Error> {
    if sealed.is_empty() { Ok(None) } else { bounded(field, sealed, max_bytes).map(Some) }
}

impl TryFrom<proto::Snapshot> for SnapshotState {
    type Error = Error;

    fn try_from(message: proto::Snapshot) -> Result<Self, Error> {
        Ok(Self {
            manifest_version: not_zero("snapshot.manifest_version", message.manifest_version, u64::MAX)?,
            sealed_manifest: optional(
                "snapshot.sealed_manifest",
                message.sealed_manifest,
                MAX_MANIFEST_BYTES,
            )?,
        })
    }
}

impl From<SnapshotState> for proto::Snapshot {
    fn from(state: SnapshotState) -> Self {
        Self {
            manifest_version: state.manifest_version,
            sealed_manifest: state.sealed_manifest.unwrap_or_default(),
        }
    }
}

impl TryFrom<proto::SlotReply> for SlotResult {
    type Error = Error;

    fn try_from(message: proto::SlotReply) -> Result<Self, Error> {
        Ok(Self {
            block: BlockId(fixed("results.block_id", &message.block_id)?),
            version: not_zero("results.block_version", message.block_version, u64::MAX)?,
            slot: slot("results.slot", message.slot)?,
            coefficient: width16("results.coefficient", message.coefficient)?,
            check: width16("results.check_coefficient", message.check_coefficient)?,
        })
    }
}

impl From<SlotResult> for proto::SlotReply {
    fn from(result: SlotResult) -> Self {
        Self {
            block_id: copy(&result.block.0),
            block_version: result.version,
            slot: result.slot.into(),
            coefficient: result.coefficient.into(),
            check_coefficient: result.check.into(),
        }
    }
}

impl TryFrom<proto::ChangedRecord> for SealedRecord {
    type Error = Error;

    fn try_from(message: proto::ChangedRecord) -> Result<Self, Error> {
        Ok(Self {
            block: BlockId(fixed("records.block_id", &message.block_id)?),
            version: not_zero("records.version", message.version, u64::MAX)?,
            sealed: bounded("records.sealed", message.sealed, MAX_RECORD_BYTES)?,
        })
    }
}

impl From<SealedRecord> for proto::ChangedRecord {
    fn from(record: SealedRecord) -> Self {
        Self { block_id: copy(&record.block.0), version: record.version, sealed: record.sealed }
    }
}

impl TryFrom<proto::Attestation> for Attestation {
    type Error = Error;

    fn try_from(message: proto::Attestation) -> Result<Self, Error> {
        Ok(Self {
            cose_sign1: bounded("attestation.cose_sign1", message.cose_sign1, MAX_ATTESTATION_BYTES)?,
            salt: fixed("attestation.salt", &message.salt)?,
        })
    }
}

impl From<Attestation> for proto::Attestation {
    fn from(attestation: Attestation) -> Self {
        Self { cose_sign1: attestation.cose_sign1, salt: copy(&attestation.salt) }
    }
}

impl TryFrom<proto::VerifyResponse> for VerifyAnswer {
    type Error = Error;

    fn try_from(message: proto::VerifyResponse) -> Result<Self, Error> {
        at_most("results", message.results.len(), MAX_RESULTS_PER_VERIFICATION)?;
        at_most("records", message.records.len(), MAX_RESULTS_PER_VERIFICATION)?;
        Ok(Self {
            snapshot: required("snapshot", message.snapshot)?.try_into()?,
            ticket: message.ticket.map(TryInto::try_into).transpose()?,
            results: all(message.results)?,
            records: all(message.records)?,
            attestation: message.attestation.map(TryInto::try_into).transpose()?,
        })
    }
}

impl From<VerifyAnswer> for proto::VerifyResponse {
    fn from(answer: VerifyAnswer) -> Self {
        Self {
            snapshot: Some(answer.snapshot.into()),
            ticket: answer.ticket.map(Into::into),
            results: answer.results.into_iter().map(Into::into).collect(),
            records: answer.records.into_iter().map(Into::into).collect(),
            attestation: answer.attestation.map(Into::into),
        }
    }
}

impl TryFrom<proto::BlockReply> for BlockReply {
    type Error = Error;

    fn try_from(message: proto::BlockReply) -> Result<Self, Error> {
        Ok(Self {
            block: BlockId(fixed("replies.block_id", &message.block_id)?),
            version: not_zero("replies.block_version", message.block_version, u64::MAX)?,
            coefficients: message.coefficients,
            sealed_record: optional("replies.sealed_record", message.sealed_record, MAX_RECORD_BYTES)?,
        })
    }
}

impl From<BlockReply> for proto::BlockReply {
    fn from(reply: BlockReply) -> Self {
        Self {
            block_id: copy(&reply.block.0),
            block_version: reply.version,
            coefficients: reply.coefficients,
            sealed_record: reply.sealed_record.unwrap_or_default(),
        }
    }
}

impl TryFrom<proto::IdentifyResponse> for IdentifyPart {
    type Error = Error;

    fn try_from(message: proto::IdentifyResponse) -> Result<Self, Error> {
        use proto::identify_response::Part;
        match required("part", message.part)? {
            Part::Header(header) => Ok(Self::Header {
                snapshot: required("header.snapshot", header.snapshot)?.try_into()?,
                ticket: header.ticket.map(TryInto::try_into).transpose()?,
                blocks_total: header.blocks_total,
            }),
            Part::Blocks(blocks) => {
                at_most("blocks.replies", blocks.replies.len(), MAX_BLOCKS_PER_MESSAGE)?;
                Ok(Self::Blocks(all(blocks.replies)?))
            }
            Part::Progress(progress) => Ok(Self::Progress { blocks_matched: progress.blocks_matched }),
            Part::Trailer(trailer) => Ok(Self::Trailer {
                blocks_matched: trailer.blocks_matched,
                attestation: trailer.attestation.map(TryInto::try_into).transpose()?,
            }),
        }
    }
}

impl From<IdentifyPart> for proto::IdentifyResponse {
    fn from(part: IdentifyPart) -> Self {
        use proto::identify_response::Part;
        let part = match part {
            IdentifyPart::Header { snapshot, ticket, blocks_total } => Part::Header(proto::IdentifyHeader {
                snapshot: Some(snapshot.into()),
                ticket: ticket.map(Into::into),
                blocks_total,
            }),
            IdentifyPart::Blocks(replies) => {
                Part::Blocks(proto::IdentifyBlocks { replies: replies.into_iter().map(Into::into).collect() })
            }
            IdentifyPart::Progress { blocks_matched } => {
                Part::Progress(proto::IdentifyProgress { blocks_matched })
            }
            IdentifyPart::Trailer { blocks_matched, attestation } => Part::Trailer(proto::IdentifyTrailer {
                blocks_matched,
                attestation: attestation.map(Into::into),
            }),
        };
        Self { part: Some(part) }
    }
}
