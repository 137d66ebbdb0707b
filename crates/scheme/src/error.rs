use crate::ids::BlockId;

/// Why bytes or numbers from outside were refused. Every variant is the caller's (or peer's) fault.
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The parameter-set id is not one that this version knows.
    #[error("unknown parameter set {0}")]
    UnknownParameterSet(u32),
    /// The dimension is zero or over the limit.
    #[error("dimension {found} is not between 1 and {max}")]
    Dimension {
        /// What was asked for.
        found: u32,
        /// The largest dimension.
        max: u32,
    },
    /// The stride is not a power of two between 1 and 2048, or is larger than the padded dimension needs.
    #[error("stride {found} is not a power of two from 1 to {max}")]
    Stride {
        /// What was asked for.
        found: u32,
        /// The largest stride that the dimension allows.
        max: u32,
    },
    /// No reply width brings the failure probability of a score under 2^-128.
    #[error(
        "dimension {dimension} at stride {stride} is not safe: a score would fail with probability 2^{log2:.1}, the limit is 2^-128"
    )]
    Unsafe {
        /// Coordinates of a template.
        dimension: u16,
        /// Coordinates per polynomial.
        stride: u16,
        /// log2 of the bound at the widest reply, rounded towards zero.
        log2: i32,
    },
    /// An identifier does not have 16 bytes.
    #[error("{what} has {found} bytes, not {expected}")]
    Length {
        /// The field.
        what: &'static str,
        /// Bytes found.
        found: usize,
        /// Bytes expected.
        expected: usize,
    },
    /// The bytes do not begin with the expected magic and version.
    #[error("this is not a {0}")]
    Magic(&'static str),
    /// A header field differs from the gallery that the object is sent to.
    #[error("{object}: {field} does not match the gallery's")]
    Mismatch {
        /// The object.
        object: &'static str,
        /// The field that differs.
        field: &'static str,
    },
    /// A segment has no block, or more than the limit.
    #[error("a segment holds 1 to {max} blocks, not {found}")]
    BlockCount {
        /// Blocks found.
        found: usize,
        /// The limit.
        max: usize,
    },
    /// A segment names a block twice.
    #[error("block {0} appears twice in the segment")]
    DuplicateBlock(BlockId),
    /// A coefficient is not below q.
    #[error("polynomial {polynomial}: coefficient {index} is not below q")]
    Coefficient {
        /// Which polynomial of the object.
        polynomial: usize,
        /// Which coefficient of it.
        index: usize,
    },
    /// A delta coordinate is not below t.
    #[error("delta coordinate {index} is {value}, not below {t}")]
    DeltaRange {
        /// Which coordinate.
        index: usize,
        /// Its value.
        value: u16,
        /// The plaintext modulus.
        t: u16,
    },
    /// A slot number is past the end of the block.
    #[error("slot {slot} is out of range: a block has {slots}")]
    Slot {
        /// The slot asked for.
        slot: u32,
        /// Slots in a block.
        slots: u32,
    },
    /// The bits after the last coefficient of a reply are not zero.
    #[error("the bits after the last coefficient of a reply are not zero")]
    ReplyPadding,
    /// A reply coefficient has more bits than the layout's reply width.
    #[error("reply coefficient {0} is wider than the reply")]
    ReplyWidth(u32),
}
