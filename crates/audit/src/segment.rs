//! Segments: a head, then records, each with its length before it and its hash after it.

use tyto_attest::FieldProblem;
use tyto_attest::cbor::{Reader, Writer};

use crate::chain::{HASH_BYTES, Hash};
use crate::map::{self, field};
use crate::{Error, MAX_RECORD_BYTES};

/// Version of the segment's format.
pub const SEGMENT_VERSION: u64 = 1;

/// Longest head.
pub const MAX_HEADER_BYTES: usize = 128;

const MAGIC: &str = "tyto-audit";
const ITEMS: usize = 5;
/// Bytes of the length before a head and before each record.
const LENGTH_BYTES: usize = 2;

/// The head of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The chain that its records belong to.
    pub chain_id: Hash,
    /// The first of them.
    pub first: u64,
    /// Hash of the record before that; zeros where the chain begins.
    pub before: Hash,
}

impl Header {
    /// The head with its length before it.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::default();
        w.array(ITEMS).text(MAGIC).uint(SEGMENT_VERSION).bytes(&self.chain_id).uint(self.first);
        let head = w.bytes(&self.before).finish();
        let mut bytes = (head.len() as u16).to_be_bytes().to_vec();
        bytes.extend_from_slice(&head);
        bytes
    }

    /// Reads the head of a segment. Gives what follows it, too.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(segment: &[u8]) -> Result<(Self, &[u8]), Error> {
        let whole = split(segment).ok_or(field("head")(FieldProblem::Missing))?;
        let mut r = map::open(whole.0, MAX_HEADER_BYTES)?;
        let items = r.array().map_err(field("head"))?;
        if r.text().map_err(field("magic"))? != MAGIC {
            return Err(field("magic")(FieldProblem::UnknownValue));
        }
        let version = r.uint().map_err(field("version"))?;
        if version != SEGMENT_VERSION {
            return Err(Error::UnknownVersion { version });
        }
        map::length("head", ITEMS, items)?;
        let header = Self {
            chain_id: r.bytes_exact().map_err(field("chain_id"))?,
            first: Reader::uint(&mut r).map_err(field("first"))?,
            before: r.bytes_exact().map_err(field("before"))?,
        };
        Ok((header, whole.1))
    }
}

/// A record as it lies in a segment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame<'a> {
    pub(crate) record: &'a [u8],
    pub(crate) hash: Hash,
}

impl<'a> Frame<'a> {
    /// Appends a record and its hash to a segment.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub(crate) fn write(record: &[u8], hash: &Hash, out: &mut Vec<u8>) -> Result<(), Error> {
        if record.len() > MAX_RECORD_BYTES {
            return Err(Error::TooLarge { actual_bytes: record.len(), max_bytes: MAX_RECORD_BYTES });
        }
        out.extend_from_slice(&(record.len() as u16).to_be_bytes());
        out.extend_from_slice(record);
        out.extend_from_slice(hash);
        Ok(())
    }

    /// The first record, and what follows it; `None` if the bytes end before it does.
    pub(crate) fn split(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (record, rest) = split(bytes)?;
        let (hash, rest) = rest.split_first_chunk::<HASH_BYTES>()?;
        Some((Self { record, hash: *hash }, rest))
    }
}

/// What has its length before it, and what follows.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<LENGTH_BYTES>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}
