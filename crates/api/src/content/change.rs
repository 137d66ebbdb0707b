//! The content of requests that change a gallery.
//!
//! Their layouts stand in `docs/formats.md`, "Attested contents".

use super::Sink;
use crate::gallery::{
    BlockChange, CreateGallery, ManifestUpdate, Mutation, ProvisionCommit, ProvisionHeader,
};
use tyto_scheme::GalleryId;

/// Appends the content of a creation.
pub fn create(request: &CreateGallery, out: &mut impl Sink) {
    let parameters = &request.parameters;
    let layout = &parameters.layout;
    out.append(b"C");
    out.append(&parameters.gallery.0);
    out.append(&layout.parameter_set().id().to_le_bytes());
    number(layout.dimension(), out);
    number(layout.stride(), out);
    out.append(&parameters.mask_epoch.to_le_bytes());
    out.append(&parameters.key.0);
    bytes(&request.sealed_descriptor, out);
    bytes(&request.sealed_manifest, out);
}

/// Appends the content of a deletion.
pub fn delete(gallery: GalleryId, out: &mut impl Sink) {
    out.append(b"D");
    out.append(&gallery.0);
}

/// Appends the content of a provisioning.
pub fn provision(header: &ProvisionHeader, commit: &ProvisionCommit, out: &mut impl Sink) {
    out.append(b"P");
    out.append(&header.gallery.0);
    out.append(&header.upload.0);
    out.append(&header.digest);
    manifest(&commit.manifest, out);
    number(commit.records.len(), out);
    for record in &commit.records {
        out.append(&record.block.0);
        out.append(&record.version.to_le_bytes());
        bytes(&record.sealed, out);
    }
}

/// Appends the content of an enrolment or a removal.
pub fn mutation(mutation: &Mutation, out: &mut impl Sink) {
    out.append(b"M");
    out.append(&mutation.gallery.0);
    manifest(&mutation.manifest, out);
    number(mutation.changes.len(), out);
    mutation.changes.iter().for_each(|change| block(change, out));
}

fn block(change: &BlockChange, out: &mut impl Sink) {
    out.append(&change.block.0);
    out.append(&change.base_version.to_le_bytes());
    number(change.writes.len(), out);
    for write in &change.writes {
        out.append(&write.slot.to_le_bytes());
        out.append(&write.subject.0);
        bytes(&write.delta, out);
        out.append(&write.tag);
    }
    number(change.removals.len(), out);
    change.removals.iter().for_each(|slot| out.append(&slot.to_le_bytes()));
    out.append(&change.first_entry.to_le_bytes());
    number(change.entries.len(), out);
    change.entries.iter().for_each(|entry| bytes(entry, out));
    bytes(&change.sealed_record, out);
}

fn manifest(manifest: &ManifestUpdate, out: &mut impl Sink) {
    out.append(&manifest.version.to_le_bytes());
    bytes(&manifest.sealed, out);
}

fn bytes(bytes: &[u8], out: &mut impl Sink) {
    number(bytes.len(), out);
    out.append(bytes);
}

/// Counts and lengths are those of one message, and dimensions are small.
fn number(number: usize, out: &mut impl Sink) {
    out.append(&(number as u32).to_le_bytes());
}
