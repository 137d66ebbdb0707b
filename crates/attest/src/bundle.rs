//! The bundle: an attestation, its receipt and the keys of their signers in one file.

use crate::algorithm::{Algorithm, PublicKey, Purpose};
use crate::attestation::MAX_ATTESTATION_BYTES;
use crate::cbor::{self, Reader, Writer};
use crate::checkpoint::MAX_CHECKPOINT_BYTES;
use crate::cose::{check_size, length};
use crate::error::{Error, FieldProblem, Part};
use crate::log::{Hash, leaf_hash};

/// Version of the bundle's format.
pub const BUNDLE_VERSION: u64 = 1;

/// Largest bundle. With the default algorithms it has less than 16 KB.
pub const MAX_BUNDLE_BYTES: usize = MAX_CHECKPOINT_BYTES + 64 * 1024;

const MAGIC: &str = "tyto-bundle";
const ITEMS: usize = 7;
const PART: Part = Part::Bundle;

/// What a bundle is about: the object that is a leaf of the log, as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// An attestation.
    Attestation(Vec<u8>),
    /// A statement that nobody signed: the log vouches for it (receipt-only mode).
    Statement(Vec<u8>),
}

impl Content {
    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Attestation(bytes) | Self::Statement(bytes) => bytes,
        }
    }

    /// Its hash as a leaf of the log, by which decisions name it.
    pub fn leaf_hash(&self) -> Hash {
        leaf_hash(self.as_bytes())
    }

    fn mode(&self) -> u64 {
        match self {
            Self::Attestation(_) => 1,
            Self::Statement(_) => 2,
        }
    }
}

/// A public key and what it is for, as the maker of the bundle knew them. Only the trust root makes it believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyEntry {
    /// What it is for.
    pub purpose: Purpose,
    /// The key.
    pub key: PublicKey,
}

/// A bundle. Reading one verifies nothing: that is for [`crate::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// What it is about.
    pub content: Content,
    /// The receipt as [`crate::Receipt::encode`] wrote it. A bare statement must have one.
    pub receipt: Option<Vec<u8>>,
    /// The keys of the signers, in this order: of the attestation, of the receipt's checkpoint, of the decision, as
    /// far as these are there.
    pub keys: Vec<KeyEntry>,
    /// The tenant's decision as [`crate::Decision::sign`] wrote it.
    pub decision: Option<Vec<u8>>,
}

impl Bundle {
    /// One array of deterministic CBOR.
    ///
    /// # Errors
    /// [`Error::Field`] if a part is too long, a bare statement has no receipt, or a key is missing or too much.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        self.check()?;
        let mut w = Writer::default();
        w.array(ITEMS)
            .text(MAGIC)
            .uint(BUNDLE_VERSION)
            .uint(self.content.mode())
            .bytes(self.content.as_bytes());
        bytes_or_null(&mut w, self.receipt.as_deref());
        w.array(self.keys.len());
        for entry in &self.keys {
            w.array(3).int(entry.key.algorithm().cose_number()).uint(entry.purpose.number());
            w.bytes(entry.key.as_bytes());
        }
        bytes_or_null(&mut w, self.decision.as_deref());
        Ok(w.finish())
    }

    /// Reads what [`Bundle::encode`] wrote, and nothing else.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::Cbor`], [`Error::TrailingBytes`], [`Error::UnknownVersion`],
    /// [`Error::UnknownAlgorithm`] or [`Error::Field`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        check_size(PART, MAX_BUNDLE_BYTES, bytes)?;
        cbor::check(PART, bytes)?;
        let mut r = Reader::new(bytes);
        let items = r.array().map_err(at("bundle"))?;
        if r.text().map_err(at("magic"))? != MAGIC {
            return Err(at("magic")(FieldProblem::UnknownValue));
        }
        let version = r.uint().map_err(at("version"))?;
        if version != BUNDLE_VERSION {
            return Err(Error::UnknownVersion { part: PART, version });
        }
        length(ITEMS, items).map_err(at("bundle"))?;
        let mode = r.uint().map_err(at("mode"))?;
        let content = r.bytes().map_err(at("content"))?.to_vec();
        let content = match mode {
            1 => Content::Attestation(content),
            2 => Content::Statement(content),
            _ => return Err(at("mode")(FieldProblem::UnknownValue)),
        };
        let receipt = read_bytes_or_null(&mut r).map_err(at("receipt"))?;
        let count = r.array().map_err(at("keys"))?;
        if count > 3 {
            return Err(at("keys")(FieldProblem::OutOfRange { max: 3, actual: count }));
        }
        let keys = (0..count).map(|_| KeyEntry::read(&mut r)).collect::<Result<_, _>>()?;
        let decision = read_bytes_or_null(&mut r).map_err(at("decision"))?;
        let bundle = Self { content, receipt, keys, decision };
        bundle.check()?;
        Ok(bundle)
    }

    fn check(&self) -> Result<(), Error> {
        let too_long =
            |max_bytes, bytes: &[u8]| (bytes.len() > max_bytes).then_some((max_bytes, bytes.len()));
        let limits = [
            ("content", too_long(MAX_ATTESTATION_BYTES, self.content.as_bytes())),
            ("receipt", self.receipt.as_deref().and_then(|r| too_long(MAX_CHECKPOINT_BYTES, r))),
            ("decision", self.decision.as_deref().and_then(|d| too_long(MAX_ATTESTATION_BYTES, d))),
        ];
        for (field, limit) in limits {
            if let Some((max_bytes, actual_bytes)) = limit {
                return Err(at(field)(FieldProblem::TooLong { max_bytes, actual_bytes }));
            }
        }
        let signed = matches!(self.content, Content::Attestation(_));
        if !signed && self.receipt.is_none() {
            return Err(at("receipt")(FieldProblem::Missing));
        }
        let signatures = [signed, self.receipt.is_some(), self.decision.is_some()];
        let signatures = signatures.into_iter().filter(|there| *there).count();
        length(signatures, self.keys.len() as u64).map_err(at("keys"))
    }
}

impl KeyEntry {
    fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
        r.array().and_then(|n| length(3, n)).map_err(at("key"))?;
        let algorithm = Algorithm::from_cose_number(PART, r.int().map_err(at("algorithm"))?)?;
        let purpose = r.uint().map_err(at("purpose"))?;
        let purpose = Purpose::from_number(purpose).ok_or(at("purpose")(FieldProblem::UnknownValue))?;
        let bytes = r.bytes().map_err(at("public_key"))?;
        let key = PublicKey::from_bytes(algorithm, bytes).map_err(|_| {
            let expected = algorithm.public_key_bytes();
            at("public_key")(FieldProblem::WrongLength { expected, actual: bytes.len() })
        })?;
        Ok(Self { purpose, key })
    }
}

fn bytes_or_null(w: &mut Writer, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => w.bytes(bytes),
        None => w.null(),
    };
}

fn read_bytes_or_null(r: &mut Reader<'_>) -> Result<Option<Vec<u8>>, FieldProblem> {
    if r.skip_null() { Ok(None) } else { r.bytes().map(|bytes| Some(bytes.to_vec())) }
}

fn at(field: &'static str) -> impl Fn(FieldProblem) -> Error {
    move |problem| Error::Field { part: PART, field, problem }
}
