//! The claim that a caller presented the digest of a document.

use super::field_error;
use crate::cbor::{Reader, Writer};
use crate::error::{Error, FieldProblem, Part};
use crate::fields::{FieldWriter, Fields, check_text, or_null, text};

pub(super) const KIND: &str = "document";
const ENTRIES: usize = 3;

/// A digest that the issuer did not compute: it saw no more of the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The digest.
    pub digest: DocumentDigest,
    /// What the caller called the document, if anything: a file name, a media type.
    pub label: Option<String>,
}

/// The digest of a document, by the hash functions of FIPS 180-4 and FIPS 202.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the variants are the standards' names")]
#[non_exhaustive]
pub enum DocumentDigest {
    Sha256([u8; 32]),
    Sha384([u8; 48]),
    Sha512([u8; 64]),
    Sha3_256([u8; 32]),
    Sha3_384([u8; 48]),
    Sha3_512([u8; 64]),
}

impl DocumentDigest {
    /// The digest of this algorithm, if it has these bytes.
    pub fn new(algorithm: &str, digest: &[u8]) -> Result<Self, Error> {
        Self::parse(algorithm, digest).map_err(|problem| field_error("digest", problem))
    }

    fn parse(algorithm: &str, digest: &[u8]) -> Result<Self, FieldProblem> {
        let wrong = |expected| FieldProblem::WrongLength { expected, actual: digest.len() };
        match algorithm {
            "sha-256" => digest.try_into().map(Self::Sha256).map_err(|_| wrong(32)),
            "sha-384" => digest.try_into().map(Self::Sha384).map_err(|_| wrong(48)),
            "sha-512" => digest.try_into().map(Self::Sha512).map_err(|_| wrong(64)),
            "sha3-256" => digest.try_into().map(Self::Sha3_256).map_err(|_| wrong(32)),
            "sha3-384" => digest.try_into().map(Self::Sha3_384).map_err(|_| wrong(48)),
            "sha3-512" => digest.try_into().map(Self::Sha3_512).map_err(|_| wrong(64)),
            _ => Err(FieldProblem::UnknownValue),
        }
    }

    /// The algorithm's name.
    pub fn algorithm(&self) -> &'static str {
        match self {
            Self::Sha256(_) => "sha-256",
            Self::Sha384(_) => "sha-384",
            Self::Sha512(_) => "sha-512",
            Self::Sha3_256(_) => "sha3-256",
            Self::Sha3_384(_) => "sha3-384",
            Self::Sha3_512(_) => "sha3-512",
        }
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Sha256(digest) | Self::Sha3_256(digest) => digest,
            Self::Sha384(digest) | Self::Sha3_384(digest) => digest,
            Self::Sha512(digest) | Self::Sha3_512(digest) => digest,
        }
    }
}

impl Document {
    pub(super) fn write(&self, w: &mut Writer) {
        let mut fields = FieldWriter::open(w, ENTRIES);
        fields.next().text(self.digest.algorithm());
        fields.next().bytes(self.digest.as_bytes());
        fields.text_or_null(self.label.as_deref());
    }

    pub(super) fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
        let mut r = Fields::open(Part::Statement, "claim", r)?;
        r.expect("claim", ENTRIES)?;
        let algorithm = r.next("algorithm", Reader::text)?;
        let digest = r.next("digest", |r| DocumentDigest::parse(algorithm, r.bytes()?))?;
        Ok(Self { digest, label: r.next("label", |r| or_null(r, text))? })
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        check_text(self.label.as_deref().unwrap_or_default()).map_err(|problem| field_error("label", problem))
    }
}
