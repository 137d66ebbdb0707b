//! The claims that a gallery was changed, or a key.

use super::field_error;
use crate::algorithm::KeyId;
use crate::cbor::{Reader, Writer};
use crate::error::{Error, FieldProblem, Part};
use crate::fields::{FieldWriter, Fields, or_null};

pub(super) const KEY_KIND: &str = "key-change";
const GALLERY_ENTRIES: usize = 5;
const KEY_ENTRIES: usize = 3;

/// How a gallery was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GalleryOperation {
    /// It was created.
    Create,
    /// It was deleted.
    Delete,
    /// Blocks were provisioned.
    Provision,
    /// Templates were enrolled.
    Enrol,
    /// Templates were removed.
    Remove,
}

impl GalleryOperation {
    const ALL: [Self; 5] = [Self::Create, Self::Delete, Self::Provision, Self::Enrol, Self::Remove];

    /// The operation's name in a statement.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create-gallery",
            Self::Delete => "delete-gallery",
            Self::Provision => "provision",
            Self::Enrol => "enrol",
            Self::Remove => "remove",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.name() == name)
    }
}

/// A change of a gallery, as it was committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GalleryChange {
    /// What was done.
    pub operation: GalleryOperation,
    /// The gallery.
    pub gallery_id: [u8; 16],
    /// Version of its manifest afterwards.
    pub manifest_version: u64,
    /// Blocks provisioned, or templates enrolled or removed.
    pub items: u64,
    /// Salted digest of the request.
    pub request_digest: [u8; 32],
    /// Salted digest of the gallery's state afterwards.
    pub gallery_state_digest: [u8; 32],
}

impl GalleryChange {
    pub(super) fn write(&self, w: &mut Writer) {
        let mut fields = FieldWriter::open(w, GALLERY_ENTRIES);
        fields.next().bytes(&self.gallery_id);
        fields.next().uint(self.manifest_version);
        fields.next().uint(self.items);
        fields.next().bytes(&self.request_digest);
        fields.next().bytes(&self.gallery_state_digest);
    }

    pub(super) fn read(operation: GalleryOperation, r: &mut Reader<'_>) -> Result<Self, Error> {
        let mut r = Fields::open(Part::Statement, "claim", r)?;
        r.expect("claim", GALLERY_ENTRIES)?;
        Ok(Self {
            operation,
            gallery_id: r.next("gallery_id", Reader::bytes_exact)?,
            manifest_version: r.next("manifest_version", Reader::uint)?,
            items: r.next("items", Reader::uint)?,
            request_digest: r.next("request_digest", Reader::bytes_exact)?,
            gallery_state_digest: r.next("gallery_state_digest", Reader::bytes_exact)?,
        })
    }
}

/// How a key was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyOperation {
    /// Signing with it began.
    Activate,
    /// Signing with it ended.
    Retire,
    /// It was revoked.
    Revoke,
}

impl KeyOperation {
    /// The operation's name in a statement.
    pub fn name(self) -> &'static str {
        match self {
            Self::Activate => "activate",
            Self::Retire => "retire",
            Self::Revoke => "revoke",
        }
    }

    fn from_name(name: &str) -> Result<Self, FieldProblem> {
        let all = [Self::Activate, Self::Retire, Self::Revoke];
        all.into_iter().find(|operation| operation.name() == name).ok_or(FieldProblem::UnknownValue)
    }
}

/// A change of a signing key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyChange {
    /// What was done.
    pub operation: KeyOperation,
    /// The key.
    pub key_id: KeyId,
    /// Version of the trust root that says so, if one does.
    pub roots_version: Option<u64>,
}

impl KeyChange {
    pub(super) fn write(&self, w: &mut Writer) {
        let mut fields = FieldWriter::open(w, KEY_ENTRIES);
        fields.next().text(self.operation.name());
        fields.next().bytes(&self.key_id);
        fields.uint_or_null(self.roots_version);
    }

    pub(super) fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
        let mut r = Fields::open(Part::Statement, "claim", r)?;
        r.expect("claim", KEY_ENTRIES)?;
        let operation = r.next("operation", Reader::text)?;
        Ok(Self {
            operation: KeyOperation::from_name(operation)
                .map_err(|problem| field_error("operation", problem))?,
            key_id: r.next("key_id", Reader::bytes_exact)?,
            roots_version: r.next("roots_version", |r| or_null(r, Reader::uint))?,
        })
    }
}
