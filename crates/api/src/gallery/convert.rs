//! Messages of `tyto.gallery.v1` to domain types and back.

use super::{
    BlockChange, Chunk, CreateGallery, FetchDeltas, FetchRecords, GalleryInfo, ListGalleries, ListTemplates,
    LoggedChange, ManifestUpdate, Mutation, Outcome, ProvisionCommit, ProvisionHeader, ProvisionPart,
    RecordPart, SealedRecord, SlotWrite, StoredDelta, TemplateLocation, UploadStatus,
};
use crate::Error;
use crate::field::{all, at_most, bounded, copy, fixed, not_zero, page_size, required, slot, tag};
use crate::limits::{
    MAX_CHANGES_PER_CALL, MAX_CHUNK_BYTES, MAX_DELTAS_PER_CALL, MAX_DESCRIPTOR_BYTES, MAX_ENTRIES_PER_CALL,
    MAX_ENTRY_BYTES, MAX_FIRST_MANIFEST_BYTES, MAX_GALLERIES_PER_PAGE, MAX_KNOWN_BLOCKS, MAX_MANIFEST_BYTES,
    MAX_RECORD_BYTES, MAX_SLOTS_PER_CALL, MAX_TEMPLATES_PER_PAGE,
};
use crate::proto::gallery::v1 as proto;
use tyto_attest::MAX_ATTESTATION_BYTES;
use tyto_scheme::segment::{MAX_SEGMENT_BLOCKS, MAX_SEGMENT_BYTES};
use tyto_scheme::{BlockId, GalleryId, GalleryParameters, KeyId, Pseudonym, UploadId};

/// Parses a gallery id that stands alone in a request.
pub fn gallery_id(bytes: &[u8]) -> Result<GalleryId, Error> {
    fixed("gallery_id", bytes).map(GalleryId)
}

impl TryFrom<proto::GalleryParameters> for GalleryParameters {
    type Error = Error;

    fn try_from(message: proto::GalleryParameters) -> Result<Self, Error> {
        let gallery = GalleryId(fixed("parameters.gallery_id", &message.gallery_id)?);
        let key = KeyId(fixed("parameters.key_id", &message.key_id)?);
        let proto::GalleryParameters { parameter_set, dimension, stride, mask_epoch, .. } = message;
        Self::new(gallery, parameter_set, dimension, stride, mask_epoch, key)
            .map_err(|source| Error::Scheme { field: "parameters", source })
    }
}

impl From<GalleryParameters> for proto::GalleryParameters {
    fn from(parameters: GalleryParameters) -> Self {
        Self {
            gallery_id: copy(&parameters.gallery.0),
            parameter_set: parameters.layout.parameter_set().id().into(),
            dimension: parameters.layout.dimension() as u32,
            stride: parameters.layout.stride() as u32,
            mask_epoch: parameters.mask_epoch,
            key_id: copy(&parameters.key.0),
        }
    }
}

impl TryFrom<proto::CreateGalleryRequest> for CreateGallery {
    type Error = Error;

    fn try_from(message: proto::CreateGalleryRequest) -> Result<Self, Error> {
        Ok(Self {
            sealed_descriptor: bounded("sealed_descriptor", message.sealed_descriptor, MAX_DESCRIPTOR_BYTES)?,
            sealed_manifest: bounded("sealed_manifest", message.sealed_manifest, MAX_FIRST_MANIFEST_BYTES)?,
            parameters: required("parameters", message.parameters)?.try_into()?,
        })
    }
}

impl From<CreateGallery> for proto::CreateGalleryRequest {
    fn from(request: CreateGallery) -> Self {
        Self {
            parameters: Some(request.parameters.into()),
            sealed_descriptor: request.sealed_descriptor,
            sealed_manifest: request.sealed_manifest,
        }
    }
}

impl TryFrom<proto::GalleryInfo> for GalleryInfo {
    type Error = Error;

    fn try_from(message: proto::GalleryInfo) -> Result<Self, Error> {
        let parameters = GalleryParameters::try_from(required("gallery.parameters", message.parameters)?)?;
        let bits = u64::from(parameters.layout.reply_bits());
        if u64::from(message.reply_bits) != bits {
            let value = message.reply_bits.into();
            return Err(Error::OutOfRange { field: "gallery.reply_bits", value, min: bits, max: bits });
        }
        Ok(Self {
            parameters,
            sealed_descriptor: bounded(
                "gallery.sealed_descriptor",
                message.sealed_descriptor,
                MAX_DESCRIPTOR_BYTES,
            )?,
            manifest_version: message.manifest_version,
            blocks: message.blocks,
            templates: message.templates,
            slots_used: message.slots_used,
            slots_total: message.slots_total,
            resident_bytes: message.resident_bytes,
            created_unix_ms: message.created_unix_ms,
        })
    }
}

impl From<GalleryInfo> for proto::GalleryInfo {
    fn from(info: GalleryInfo) -> Self {
        Self {
            reply_bits: info.parameters.layout.reply_bits().into(),
            parameters: Some(info.parameters.into()),
            sealed_descriptor: info.sealed_descriptor,
            manifest_version: info.manifest_version,
            blocks: info.blocks,
            templates: info.templates,
            slots_used: info.slots_used,
            slots_total: info.slots_total,
            resident_bytes: info.resident_bytes,
            created_unix_ms: info.created_unix_ms,
        }
    }
}

impl TryFrom<proto::ListGalleriesRequest> for ListGalleries {
    type Error = Error;

    fn try_from(message: proto::ListGalleriesRequest) -> Result<Self, Error> {
        let page_size = page_size(message.page_size, MAX_GALLERIES_PER_PAGE)?;
        let after = match &message.page_token[..] {
            [] => None,
            token => {
                let id = token.try_into().map_err(|_| Error::PageToken { field: "page_token" })?;
                Some(GalleryId(id))
            }
        };
        Ok(Self { page_size, after })
    }
}

impl TryFrom<proto::ProvisionHeader> for ProvisionHeader {
    type Error = Error;

    fn try_from(message: proto::ProvisionHeader) -> Result<Self, Error> {
        Ok(Self {
            gallery: GalleryId(fixed("header.gallery_id", &message.gallery_id)?),
            upload: UploadId(fixed("header.upload_id", &message.upload_id)?),
            total_bytes: not_zero("header.total_bytes", message.total_bytes, MAX_SEGMENT_BYTES as u64)?,
            digest: fixed("header.digest", &message.digest)?,
        })
    }
}

impl From<ProvisionHeader> for proto::ProvisionRequest {
    fn from(header: ProvisionHeader) -> Self {
        let header = proto::ProvisionHeader {
            gallery_id: copy(&header.gallery.0),
            upload_id: copy(&header.upload.0),
            total_bytes: header.total_bytes,
            digest: copy(&header.digest),
        };
        Self { part: Some(proto::provision_request::Part::Header(header)) }
    }
}

impl TryFrom<proto::Chunk> for Chunk {
    type Error = Error;

    fn try_from(message: proto::Chunk) -> Result<Self, Error> {
        Ok(Self { offset: message.offset, data: bounded("chunk.data", message.data, MAX_CHUNK_BYTES)? })
    }
}

impl From<Chunk> for proto::ProvisionRequest {
    fn from(chunk: Chunk) -> Self {
        let chunk = proto::Chunk { offset: chunk.offset, data: chunk.data };
        Self { part: Some(proto::provision_request::Part::Chunk(chunk)) }
    }
}

impl TryFrom<proto::ProvisionCommit> for ProvisionCommit {
    type Error = Error;

    fn try_from(message: proto::ProvisionCommit) -> Result<Self, Error> {
        at_most("commit.records", message.records.len(), MAX_SEGMENT_BLOCKS)?;
        Ok(Self {
            records: all(message.records)?,
            manifest: required("commit.manifest", message.manifest)?.try_into()?,
        })
    }
}

impl From<ProvisionCommit> for proto::ProvisionRequest {
    fn from(commit: ProvisionCommit) -> Self {
        let commit = proto::ProvisionCommit {
            records: commit.records.into_iter().map(Into::into).collect(),
            manifest: Some(commit.manifest.into()),
        };
        Self { part: Some(proto::provision_request::Part::Commit(commit)) }
    }
}

impl TryFrom<proto::ProvisionRequest> for ProvisionPart {
    type Error = Error;

    fn try_from(message: proto::ProvisionRequest) -> Result<Self, Error> {
        use proto::provision_request::Part;
        match required("part", message.part)? {
            Part::Header(header) => Ok(Self::Header(header.try_into()?)),
            Part::Chunk(chunk) => Ok(Self::Chunk(chunk.try_into()?)),
            Part::Commit(commit) => Ok(Self::Commit(commit.try_into()?)),
        }
    }
}

impl From<proto::GetUploadResponse> for UploadStatus {
    fn from(message: proto::GetUploadResponse) -> Self {
        Self { received_bytes: message.received_bytes, committed: message.committed }
    }
}

impl From<UploadStatus> for proto::GetUploadResponse {
    fn from(status: UploadStatus) -> Self {
        Self { received_bytes: status.received_bytes, committed: status.committed }
    }
}

/// Parses the two ids of a request for an upload's status.
pub fn upload_of(message: &proto::GetUploadRequest) -> Result<(GalleryId, UploadId), Error> {
    Ok((gallery_id(&message.gallery_id)?, UploadId(fixed("upload_id", &message.upload_id)?)))
}

impl TryFrom<proto::SealedRecord> for SealedRecord {
    type Error = Error;

    fn try_from(message: proto::SealedRecord) -> Result<Self, Error> {
        Ok(Self {
            block: BlockId(fixed("record.block_id", &message.block_id)?),
            version: not_zero("record.version", message.version, u64::MAX)?,
            sealed: bounded("record.sealed", message.sealed, MAX_RECORD_BYTES)?,
        })
    }
}

impl From<SealedRecord> for proto::SealedRecord {
    fn from(record: SealedRecord) -> Self {
        Self { block_id: copy(&record.block.0), version: record.version, sealed: record.sealed }
    }
}

impl TryFrom<proto::ManifestUpdate> for ManifestUpdate {
    type Error = Error;

    fn try_from(message: proto::ManifestUpdate) -> Result<Self, Error> {
        Ok(Self {
            version: not_zero("manifest.version", message.version, i64::MAX as u64)?,
            sealed: bounded("manifest.sealed", message.sealed, MAX_MANIFEST_BYTES)?,
        })
    }
}

impl From<ManifestUpdate> for proto::ManifestUpdate {
    fn from(manifest: ManifestUpdate) -> Self {
        Self { version: manifest.version, sealed: manifest.sealed }
    }
}

impl TryFrom<proto::SlotWrite> for SlotWrite {
    type Error = Error;

    fn try_from(message: proto::SlotWrite) -> Result<Self, Error> {
        Ok(Self {
            slot: slot("changes.writes.slot", message.slot)?,
            subject: Pseudonym(fixed("changes.writes.subject", &message.subject)?),
            delta: message.delta,
            tag: tag("changes.writes.tag", &message.tag)?,
        })
    }
}

impl From<SlotWrite> for proto::SlotWrite {
    fn from(write: SlotWrite) -> Self {
        Self {
            slot: write.slot.into(),
            subject: copy(&write.subject.0),
            delta: write.delta,
            tag: copy(&write.tag),
        }
    }
}

impl TryFrom<proto::BlockChange> for BlockChange {
    type Error = Error;

    fn try_from(message: proto::BlockChange) -> Result<Self, Error> {
        let entry = |entry| bounded("changes.entries", entry, MAX_ENTRY_BYTES);
        let removal = |removal| slot("changes.removals", removal);
        Ok(Self {
            block: BlockId(fixed("changes.block_id", &message.block_id)?),
            base_version: not_zero("changes.base_version", message.base_version, i64::MAX as u64 - 1)?,
            writes: all(message.writes)?,
            removals: message.removals.into_iter().map(removal).collect::<Result<_, _>>()?,
            first_entry: message.first_entry,
            entries: message.entries.into_iter().map(entry).collect::<Result<_, _>>()?,
            sealed_record: bounded("changes.sealed_record", message.sealed_record, MAX_RECORD_BYTES)?,
        })
    }
}

impl From<BlockChange> for proto::BlockChange {
    fn from(change: BlockChange) -> Self {
        Self {
            block_id: copy(&change.block.0),
            base_version: change.base_version,
            writes: change.writes.into_iter().map(Into::into).collect(),
            removals: change.removals.into_iter().map(Into::into).collect(),
            first_entry: change.first_entry,
            entries: change.entries,
            sealed_record: change.sealed_record,
        }
    }
}

/// Parses what enrolment and removal have in common.
fn mutation(
    gallery: &[u8],
    changes: Vec<proto::BlockChange>,
    manifest: Option<proto::ManifestUpdate>,
) -> Result<Mutation, Error> {
    if changes.is_empty() {
        return Err(Error::Empty { field: "changes" });
    }
    at_most("changes", changes.len(), MAX_CHANGES_PER_CALL)?;
    let sum = |count: fn(&proto::BlockChange) -> usize| changes.iter().map(count).sum();
    at_most("changes.writes", sum(|change| change.writes.len()), MAX_SLOTS_PER_CALL)?;
    at_most("changes.removals", sum(|change| change.removals.len()), MAX_SLOTS_PER_CALL)?;
    at_most("changes.entries", sum(|change| change.entries.len()), MAX_ENTRIES_PER_CALL)?;
    Ok(Mutation {
        gallery: gallery_id(gallery)?,
        manifest: required("manifest", manifest)?.try_into()?,
        changes: all(changes)?,
    })
}

impl Mutation {
    /// Parses an enrolment, which removes nothing.
    pub fn from_enrol(message: proto::EnrolRequest) -> Result<Self, Error> {
        if message.changes.iter().any(|change| !change.removals.is_empty()) {
            return Err(Error::NotEmpty { field: "changes.removals" });
        }
        mutation(&message.gallery_id, message.changes, message.manifest)
    }

    /// Parses a removal, which writes nothing.
    pub fn from_remove(message: proto::RemoveRequest) -> Result<Self, Error> {
        if message.changes.iter().any(|change| !change.writes.is_empty()) {
            return Err(Error::NotEmpty { field: "changes.writes" });
        }
        mutation(&message.gallery_id, message.changes, message.manifest)
    }
}

impl From<Mutation> for proto::EnrolRequest {
    fn from(mutation: Mutation) -> Self {
        Self {
            gallery_id: copy(&mutation.gallery.0),
            changes: mutation.changes.into_iter().map(Into::into).collect(),
            manifest: Some(mutation.manifest.into()),
        }
    }
}

impl From<Mutation> for proto::RemoveRequest {
    fn from(mutation: Mutation) -> Self {
        let proto::EnrolRequest { gallery_id, changes, manifest } = mutation.into();
        Self { gallery_id, changes, manifest }
    }
}

impl From<LoggedChange> for proto::LoggedChange {
    fn from(logged: LoggedChange) -> Self {
        Self { statement: logged.statement, salt: copy(&logged.salt) }
    }
}

impl TryFrom<proto::LoggedChange> for LoggedChange {
    type Error = Error;

    fn try_from(message: proto::LoggedChange) -> Result<Self, Error> {
        Ok(Self {
            statement: bounded("logged.statement", message.statement, MAX_ATTESTATION_BYTES)?,
            salt: fixed("logged.salt", &message.salt)?,
        })
    }
}

macro_rules! outcome {
    ($($response:ident, $module:ident;)*) => {$(
        impl From<(Outcome, Option<LoggedChange>)> for proto::$response {
            fn from((outcome, logged): (Outcome, Option<LoggedChange>)) -> Self {
                let outcome = match outcome {
                    Outcome::Committed { manifest_version } => {
                        proto::$module::Outcome::Committed(proto::Committed { manifest_version })
                    }
                    Outcome::Conflict { manifest_version } => {
                        proto::$module::Outcome::Conflict(proto::Conflict { manifest_version })
                    }
                };
                Self { outcome: Some(outcome), logged: logged.map(Into::into) }
            }
        }

        impl TryFrom<proto::$response> for Outcome {
            type Error = Error;

            fn try_from(message: proto::$response) -> Result<Self, Error> {
                Ok(match required("outcome", message.outcome)? {
                    proto::$module::Outcome::Committed(proto::Committed { manifest_version }) => {
                        Self::Committed { manifest_version }
                    }
                    proto::$module::Outcome::Conflict(proto::Conflict { manifest_version }) => {
                        Self::Conflict { manifest_version }
                    }
                })
            }
        }
    )*};
}

outcome! {
    ProvisionResponse, provision_response;
    EnrolResponse, enrol_response;
    RemoveResponse, remove_response;
}

impl TryFrom<proto::ListTemplatesRequest> for ListTemplates {
    type Error = Error;

    fn try_from(message: proto::ListTemplatesRequest) -> Result<Self, Error> {
        Ok(Self {
            gallery: gallery_id(&message.gallery_id)?,
            page_size: page_size(message.page_size, MAX_TEMPLATES_PER_PAGE)?,
            page_token: message.page_token,
        })
    }
}

impl TryFrom<proto::TemplateLocation> for TemplateLocation {
    type Error = Error;

    fn try_from(message: proto::TemplateLocation) -> Result<Self, Error> {
        Ok(Self {
            subject: Pseudonym(fixed("templates.subject", &message.subject)?),
            block: BlockId(fixed("templates.block_id", &message.block_id)?),
            slot: slot("templates.slot", message.slot)?,
        })
    }
}

impl From<TemplateLocation> for proto::TemplateLocation {
    fn from(location: TemplateLocation) -> Self {
        Self {
            subject: copy(&location.subject.0),
            block_id: copy(&location.block.0),
            slot: location.slot.into(),
        }
    }
}

impl TryFrom<proto::FetchRecordsRequest> for FetchRecords {
    type Error = Error;

    fn try_from(message: proto::FetchRecordsRequest) -> Result<Self, Error> {
        at_most("known_entries", message.known_entries.len(), MAX_KNOWN_BLOCKS)?;
        let known = |known: proto::KnownEntries| {
            Ok((BlockId(fixed("known_entries.block_id", &known.block_id)?), known.entries))
        };
        Ok(Self {
            gallery: gallery_id(&message.gallery_id)?,
            known_manifest_version: message.known_manifest_version,
            known_entries: message.known_entries.into_iter().map(known).collect::<Result<_, _>>()?,
        })
    }
}

impl From<FetchRecords> for proto::FetchRecordsRequest {
    fn from(request: FetchRecords) -> Self {
        let known =
            |(block, entries): (BlockId, u32)| proto::KnownEntries { block_id: copy(&block.0), entries };
        Self {
            gallery_id: copy(&request.gallery.0),
            known_manifest_version: request.known_manifest_version,
            known_entries: request.known_entries.into_iter().map(known).collect(),
        }
    }
}

impl TryFrom<proto::FetchRecordsResponse> for RecordPart {
    type Error = Error;

    fn try_from(message: proto::FetchRecordsResponse) -> Result<Self, Error> {
        use proto::fetch_records_response::Part;
        let entry = |entry| bounded("block.entries", entry, MAX_ENTRY_BYTES);
        match required("part", message.part)? {
            Part::Manifest(manifest) => Ok(Self::Manifest {
                version: manifest.version,
                sealed: bounded("manifest.sealed", manifest.sealed, MAX_MANIFEST_BYTES)?,
                changed_blocks: manifest.changed_blocks,
            }),
            Part::Block(block) => Ok(Self::Block {
                record: required("block.record", block.record)?.try_into()?,
                first_entry: block.first_entry,
                entries: block.entries.into_iter().map(entry).collect::<Result<_, _>>()?,
            }),
        }
    }
}

impl From<RecordPart> for proto::FetchRecordsResponse {
    fn from(part: RecordPart) -> Self {
        use proto::fetch_records_response::Part;
        let part = match part {
            RecordPart::Manifest { version, sealed, changed_blocks } => {
                Part::Manifest(proto::SealedManifest { version, sealed, changed_blocks })
            }
            RecordPart::Block { record, first_entry, entries } => {
                Part::Block(proto::BlockRecord { record: Some(record.into()), first_entry, entries })
            }
        };
        Self { part: Some(part) }
    }
}

impl TryFrom<proto::FetchDeltasRequest> for FetchDeltas {
    type Error = Error;

    fn try_from(message: proto::FetchDeltasRequest) -> Result<Self, Error> {
        if message.slots.is_empty() {
            return Err(Error::Empty { field: "slots" });
        }
        at_most("slots", message.slots.len(), MAX_DELTAS_PER_CALL)?;
        Ok(Self {
            gallery: gallery_id(&message.gallery_id)?,
            block: BlockId(fixed("block_id", &message.block_id)?),
            slots: message.slots.into_iter().map(|value| slot("slots", value)).collect::<Result<_, _>>()?,
        })
    }
}

impl TryFrom<proto::StoredDelta> for StoredDelta {
    type Error = Error;

    fn try_from(message: proto::StoredDelta) -> Result<Self, Error> {
        Ok(Self {
            slot: slot("deltas.slot", message.slot)?,
            delta: message.delta,
            tag: tag("deltas.tag", &message.tag)?,
        })
    }
}

impl From<StoredDelta> for proto::StoredDelta {
    fn from(delta: StoredDelta) -> Self {
        Self { slot: delta.slot.into(), delta: delta.delta, tag: copy(&delta.tag) }
    }
}
