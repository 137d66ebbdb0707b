//! The manifest: the tenant's own list of a gallery's blocks and versions, so that a missing or older block is seen.

use crate::Error;
use crate::gallery::Gallery;
use crate::sealed::{self, Reader};
use tyto_pqc::digest::sha3_256;
use tyto_scheme::BlockId;

const OBJECT: &str = "manifest";
const LABEL: &str = "tyto/v1/manifest";

/// One block in the manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ManifestEntry {
    /// The block.
    pub block: BlockId,
    /// Its version.
    pub version: u64,
    /// First 16 bytes of the SHA3-256 of its sealed record, so that records of two histories cannot be mixed.
    pub record_digest: [u8; 16],
}

/// The list of a gallery's blocks at one manifest version. It exists only if this key made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    version: u64,
    entries: Vec<ManifestEntry>,
}

/// What a manifest entry says of a sealed record.
pub fn record_digest(sealed_record: &[u8]) -> [u8; 16] {
    *sha3_256(&[sealed_record]).first_chunk().expect("a digest has 32 bytes")
}

impl Manifest {
    pub(crate) fn empty() -> Self {
        Self { version: 1, entries: Vec::new() }
    }

    /// Counts the changes of the gallery.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The blocks, in the order in which they were provisioned.
    pub fn entries(&self) -> &[ManifestEntry] {
        &self.entries
    }

    /// The manifest that follows this one when `changed` blocks get a new record: known blocks are replaced in
    /// place, new ones appended.
    #[must_use]
    pub fn next(&self, changed: &[ManifestEntry]) -> Self {
        let mut next = Self { version: self.version + 1, entries: self.entries.clone() };
        for &entry in changed {
            match next.entries.iter_mut().find(|known| known.block == entry.block) {
                Some(known) => *known = entry,
                None => next.entries.push(entry),
            }
        }
        next
    }

    /// `version 1 || blocks u32 || (block 16 || version u64 || record digest 16)*`, sealed for its version.
    pub fn seal(&self, gallery: &Gallery) -> Result<Vec<u8>, Error> {
        let mut plain = Vec::with_capacity(5 + 40 * self.entries.len());
        plain.push(1);
        plain.extend_from_slice(&(self.entries.len() as u32).to_le_bytes());
        for entry in &self.entries {
            plain.extend_from_slice(&entry.block.0);
            plain.extend_from_slice(&entry.version.to_le_bytes());
            plain.extend_from_slice(&entry.record_digest);
        }
        let version = self.version.to_le_bytes();
        sealed::seal(&gallery.keys.manifest, LABEL, &[gallery.context(), &version], &plain)
    }

    /// Opens a manifest that is said to be of `version`.
    ///
    /// # Errors
    /// [`Error::Sealed`] if this key did not seal it for this gallery and version.
    pub fn open(gallery: &Gallery, version: u64, sealed: &[u8]) -> Result<Self, Error> {
        let place: [&[u8]; 2] = [gallery.context(), &version.to_le_bytes()];
        let plain = sealed::open(&gallery.keys.manifest, OBJECT, LABEL, &place, sealed)?;
        let mut reader = Reader::new(OBJECT, 1, &plain)?;
        let count = reader.u32()?;
        let mut entries = Vec::new();
        for _ in 0..count {
            let block = BlockId(reader.array()?);
            entries.push(ManifestEntry { block, version: reader.u64()?, record_digest: reader.array()? });
        }
        reader.end()?;
        Ok(Self { version, entries })
    }
}
