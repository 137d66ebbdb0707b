//! The chain: each record is hashed with the one before it.

use tyto_pqc::digest::sha3_256;

use crate::segment::{Frame, Header};
use crate::{AuditAnchor, Error, Event, Problem, Record, record};

/// Length of a hash of the chain.
pub const HASH_BYTES: usize = 32;

/// A hash of the chain, or its id.
pub type Hash = [u8; HASH_BYTES];

const DOMAIN: &[u8] = b"tyto/v1/audit-record";

/// What stands for the hash before the first record.
pub(crate) const START: Hash = [0; HASH_BYTES];

/// The hash of a record that follows another.
pub(crate) fn record_hash(chain_id: &Hash, before: &Hash, record: &[u8]) -> Hash {
    sha3_256(&[&[DOMAIN.len() as u8], DOMAIN, chain_id, before, record])
}

/// Where a chain has come to: all that is needed to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    id: Hash,
    records: u64,
    head: Hash,
    last_time_unix_ms: u64,
}

impl Chain {
    /// A chain without records. The id is 256 random bits, and used for no other chain.
    pub fn new(id: Hash) -> Self {
        Self { id, records: 0, head: START, last_time_unix_ms: 0 }
    }

    /// Goes on from a segment: through all its records, up to the first that is not whole or does not belong there.
    ///
    /// # Errors
    /// [`Error`] if the segment has no head.
    pub fn resume(segment: &[u8]) -> Result<Resumed, Error> {
        let (header, mut rest) = Header::parse(segment)?;
        let mut chain = Self::at(&header);
        let mut first = None;
        while let Some((frame, after)) = Frame::split(rest) {
            let Ok(record) = chain.check(&frame) else { break };
            if record.sequence != chain.records {
                break;
            }
            first.get_or_insert(record.time_unix_ms);
            chain.advance(record.time_unix_ms, frame.hash);
            rest = after;
        }
        Ok(Resumed { chain, whole_bytes: segment.len() - rest.len(), header, first_time_unix_ms: first })
    }

    /// A chain that has come to where a segment begins.
    pub(crate) fn at(header: &Header) -> Self {
        Self { id: header.chain_id, records: header.first, head: header.before, last_time_unix_ms: 0 }
    }

    pub(crate) fn advance(&mut self, time_unix_ms: u64, hash: Hash) {
        (self.head, self.last_time_unix_ms) = (hash, time_unix_ms);
        self.records += 1;
    }

    /// Its id.
    pub fn id(&self) -> &Hash {
        &self.id
    }

    /// How many records it has had since it began: the place of the next one.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// The hash of the last record, which covers all.
    pub fn head(&self) -> &Hash {
        &self.head
    }

    /// The time of the last record; 0 if that is not known.
    pub fn last_time_unix_ms(&self) -> u64 {
        self.last_time_unix_ms
    }

    /// What goes into the transparency log.
    pub fn anchor(&self) -> AuditAnchor {
        AuditAnchor { chain_id: self.id, records: self.records, head: self.head }
    }

    /// The head of a segment whose first record is the next one.
    pub fn segment(&self) -> Header {
        Header { chain_id: self.id, first: self.records, before: self.head }
    }

    /// Makes a record of an event and appends it to a segment. Time does not go back: if the clock does, records have
    /// the time of the last one before.
    ///
    /// # Errors
    /// [`Error::Field`] if the event cannot be written; the chain is where it was.
    pub fn append(&mut self, now_unix_ms: u64, event: &Event, segment: &mut Vec<u8>) -> Result<u64, Error> {
        let time_unix_ms = now_unix_ms.max(self.last_time_unix_ms);
        let sequence = self.records;
        let record = record::encode(sequence, time_unix_ms, event)?;
        let hash = record_hash(&self.id, &self.head, &record);
        Frame::write(&record, &hash, segment)?;
        self.advance(time_unix_ms, hash);
        Ok(sequence)
    }

    /// Whether this record, with this hash beside it, is the next one.
    pub(crate) fn check(&self, frame: &Frame<'_>) -> Result<Record, Problem> {
        if record_hash(&self.id, &self.head, frame.record) != frame.hash {
            return Err(Problem::Altered);
        }
        let record = Record::decode(frame.record).map_err(Problem::Malformed)?;
        if record.time_unix_ms < self.last_time_unix_ms {
            return Err(Problem::TimeOrder { at_unix_ms: record.time_unix_ms });
        }
        Ok(record)
    }
}

/// A chain that goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resumed {
    /// Where it has come to.
    pub chain: Chain,
    /// Head of the segment.
    pub header: Header,
    /// Bytes of the segment up to there. What lies behind them is no record.
    pub whole_bytes: usize,
    /// The time of the segment's first record, if it has one.
    pub first_time_unix_ms: Option<u64>,
}
