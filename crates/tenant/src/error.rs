use crate::passphrase::Sealed;
use tyto_scheme::{BlockId, TicketId};

/// What the secret side refuses, and whose fault it is. Nothing here says anything about decrypted values beyond
/// what the tenant's own process may know; none of it is ever sent to a server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    // --- the caller's
    /// A vector of another dimension than the gallery's.
    #[error("the vector has {found} coordinates, the gallery wants {expected}")]
    Dimension {
        /// Coordinates found.
        found: usize,
        /// Coordinates of the gallery.
        expected: usize,
    },
    /// A coordinate is NaN or infinite.
    #[error("coordinate {index} is not a finite number")]
    NotFinite {
        /// Which coordinate.
        index: usize,
    },
    /// The vector is zero, or so short that every coordinate quantises to zero.
    #[error("the vector is zero")]
    Zero,
    /// The vector's norm is over the gallery's stated maximum (inner-product galleries).
    #[error("the vector's norm is over the gallery's maximum of {max}")]
    Norm {
        /// The maximum.
        max: f64,
    },
    /// Sum of squares over the range invariant.
    #[error("the sum of squares is {found}, over the limit of {max}")]
    Range {
        /// The sum of squares.
        found: u64,
        /// `(t-1)/2`.
        max: u32,
    },
    /// The maximum norm of an inner-product gallery is not a positive finite number.
    #[error("the maximum norm must be a positive finite number")]
    MaximumNorm,
    /// A subject id is empty or too long.
    #[error("a subject id has 1 to {max} bytes, not {found}")]
    SubjectLength {
        /// Bytes found.
        found: usize,
        /// The limit.
        max: usize,
    },
    /// A gallery name is empty or too long.
    #[error("a gallery name has 1 to {max} bytes, not {found}")]
    NameLength {
        /// Bytes found.
        found: usize,
        /// The limit.
        max: usize,
    },
    /// A block has no free slot left.
    #[error("block {0} is full")]
    BlockFull(BlockId),
    /// The object was made for another gallery.
    #[error("the object belongs to another gallery")]
    OtherGallery,
    /// The slot of a fill was used already by the tenant's own record: the fill arrived before.
    #[error("block {block}: slot {slot} was written before")]
    SlotSpent {
        /// The block.
        block: BlockId,
        /// The slot.
        slot: u16,
    },
    /// The gallery's objects are made under another key.
    #[error("the gallery belongs to another tenant key")]
    OtherKey,
    /// The passphrase does not open the sealed file, or the file was altered.
    #[error("wrong passphrase, or the file was altered")]
    Passphrase,
    /// A sealed file that is not what it ought to be, or of an unknown version.
    #[error("this is not a {content} file of a known version: {problem}")]
    SealedFile {
        /// What it ought to hold.
        content: Sealed,
        /// What is wrong.
        problem: &'static str,
    },
    /// The key is in the keyring already, or is not in it.
    #[error("keyring: {0}")]
    KeyringEntry(&'static str),

    // --- the server's (or whoever stands between): the answer is refused
    /// A sealed object was not made with this key for this place and version, or was altered.
    #[error("the {object} does not open: not made with this key for this place and version, or altered")]
    Sealed {
        /// What was to be opened.
        object: &'static str,
    },
    /// An opened object has a layout that this version does not know.
    #[error("the {object} has an unknown version")]
    SealedVersion {
        /// What was opened.
        object: &'static str,
    },
    /// The slot map does not match its digest in the record.
    #[error("block {block}: the slot map does not match the record")]
    SlotMap {
        /// The block.
        block: BlockId,
    },
    /// A reply names another block version than the record that would decrypt it.
    #[error("block {block}: the reply is of version {reply}, the record of version {record}")]
    Version {
        /// The block.
        block: BlockId,
        /// Version in the reply.
        reply: u64,
        /// Version of the record.
        record: u64,
    },
    /// The echo of the ticket use was not checked before a decryption.
    #[error("the echoed ticket use was not checked")]
    EchoUnchecked,
    /// An earlier answer to this query failed a check: no further answer to it is decrypted.
    #[error("an answer to this query was refused before: make a new one")]
    QuerySpent,
    /// A reply that names no slot, or one twice.
    #[error("block {0}: a reply names no slot, or one twice")]
    Slots(BlockId),
    /// A reply for a block that this query has decrypted already.
    #[error("block {0} was answered twice for one query")]
    AnsweredTwice(BlockId),
    /// The scores of a block fail the check vector.
    #[error("block {0}: the scores fail their check")]
    CheckVector(BlockId),
    /// A single score fails the rho check.
    #[error("block {block} slot {slot}: the score fails its check")]
    CheckQuery {
        /// The block.
        block: BlockId,
        /// The slot.
        slot: u16,
    },
    /// A reply names a slot that the record does not list as filled.
    #[error("block {block}: slot {slot} is not enrolled")]
    NotEnrolled {
        /// The block.
        block: BlockId,
        /// The slot.
        slot: u16,
    },
    /// A stored delta's tag is wrong.
    #[error("block {block} slot {slot}: the stored delta is not the one that was enrolled")]
    DeltaTag {
        /// The block.
        block: BlockId,
        /// The slot.
        slot: u16,
    },
    /// A ticket use is not what the device or this process made.
    #[error("ticket {0}: the deltas or their tag were altered")]
    TicketTag(TicketId),

    // --- a device's
    /// A probe from a device is out of range once its pad is removed.
    #[error("ticket {0}: the probe is zero, out of range, or not zero in its padding")]
    ProbeRange(TicketId),

    // --- formats and primitives
    /// Public bytes or parameters are wrong.
    #[error(transparent)]
    Scheme(#[from] tyto_scheme::Error),
    /// A primitive failed (no OS randomness).
    #[error(transparent)]
    Primitive(#[from] tyto_pqc::Error),
    /// Argon2 refused its parameters.
    #[error("key derivation refused its parameters")]
    KeyDerivation,
}
