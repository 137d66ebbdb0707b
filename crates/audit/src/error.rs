//! What can be wrong with records and with their chain.

use tyto_attest::{CborProblem, FieldProblem};

/// Why a record or the head of a segment cannot be read, or not be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Longer than anything this version writes (whoever wrote it).
    #[error("{actual_bytes} bytes, at most {max_bytes} are permitted")]
    TooLarge {
        /// Size found.
        actual_bytes: usize,
        /// The limit.
        max_bytes: usize,
    },
    /// Not one item of deterministic CBOR (whoever wrote it).
    #[error("at byte {at_byte}: {problem}")]
    Cbor {
        /// Offset of the item that has the problem.
        at_byte: usize,
        /// What is wrong with it.
        problem: CborProblem,
    },
    /// Something follows the item (whoever wrote it).
    #[error("trailing bytes at byte {at_byte}")]
    TrailingBytes {
        /// Where the item ended.
        at_byte: usize,
    },
    /// A version that this code does not know (this code is too old).
    #[error("unknown version {version}")]
    UnknownVersion {
        /// The version found.
        version: u64,
    },
    /// A field is not what the format says (whoever wrote it, or the caller when writing).
    #[error("field `{field}`: {problem}")]
    Field {
        /// The field's name in the format description.
        field: &'static str,
        /// What is wrong with it.
        problem: FieldProblem,
    },
}

/// The first thing that is wrong with a chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("record {record}: {problem}")]
pub struct Fault {
    /// The first record that is not what was written, or that is not there, or that cannot be told to be right.
    pub record: u64,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong with a chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The head of the segment that ought to have the record is not one.
    #[error("the segment's head: {0}")]
    Head(Error),
    /// The head of the segment names another place than that of its first record, or another hash than the start of a
    /// chain has.
    #[error("the segment's head does not belong to what follows it")]
    HeadPlace,
    /// The segment is of another chain than the one before it.
    #[error("the segment is of another chain")]
    ForeignSegment,
    /// The segment does not go on from the last record of the one before it.
    #[error("the segment does not go on from the one before it")]
    Link,
    /// An anchor is of another chain.
    #[error("an anchor is of another chain")]
    ForeignAnchor,
    /// The bytes end within the record.
    #[error("the record breaks off: {bytes} bytes of it are there")]
    Incomplete {
        /// Bytes that are there.
        bytes: usize,
    },
    /// The record does not have the hash that was written beside it, or does not follow from the one before.
    #[error("the record is not the one that was written")]
    Altered,
    /// The record was written like this, and is none (its writer, or this code is too old).
    #[error("{0}")]
    Malformed(Error),
    /// A later record stands in its place, and it is nowhere in this segment.
    #[error("the record is missing: record {found} stands in its place")]
    Missing {
        /// The record found.
        found: u64,
    },
    /// A later record stands in its place, and it comes after that.
    #[error("the record was moved: record {found} stands in its place")]
    Moved {
        /// The record found.
        found: u64,
    },
    /// An earlier record stands in its place.
    #[error("record {found} stands here once more")]
    Repeated {
        /// The record found.
        found: u64,
    },
    /// The record is older than the one before it.
    #[error("the record is of {at_unix_ms} ms, before the one before it")]
    TimeOrder {
        /// Its time.
        at_unix_ms: u64,
    },
    /// The chain begins later than its own word on what was deleted allows.
    #[error("the chain begins at record {first} only, and does not say that what was before was deleted")]
    Beginning {
        /// The first record that is there.
        first: u64,
    },
    /// Records agree with each other and not with an anchor. All that is known of those from this one on is that they
    /// are not those that were anchored.
    #[error("from here on the records do not lead to the anchor of {records} records")]
    Anchor {
        /// Records of that anchor.
        records: u64,
    },
    /// An anchor covers more records than there are.
    #[error("the records end here, and {records} were anchored")]
    CutOff {
        /// Records of that anchor.
        records: u64,
    },
    /// There is no segment at all.
    #[error("there are no records")]
    Empty,
}

impl Problem {
    /// A short name of what was checked, for programs.
    pub fn check(&self) -> &'static str {
        match self {
            Self::Head(_) | Self::HeadPlace => "head",
            Self::ForeignSegment | Self::ForeignAnchor => "chain",
            Self::Link => "link",
            Self::Incomplete { .. } => "incomplete",
            Self::Altered => "altered",
            Self::Malformed(_) => "record",
            Self::Missing { .. } => "missing",
            Self::Moved { .. } => "moved",
            Self::Repeated { .. } => "repeated",
            Self::TimeOrder { .. } => "time-order",
            Self::Beginning { .. } => "beginning",
            Self::Anchor { .. } => "anchor",
            Self::CutOff { .. } => "cut-off",
            Self::Empty => "empty",
        }
    }
}
