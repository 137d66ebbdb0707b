/// Why a message was refused. Every variant is the fault of the peer that sent it, and names the field by its path
/// in the message.
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// A field, or every member of a `oneof`, is absent.
    #[error("{field} is missing")]
    Missing {
        /// The field.
        field: &'static str,
    },
    /// A field of fixed length has another.
    #[error("{field} has {found_bytes} bytes, not {expected_bytes}")]
    Length {
        /// The field.
        field: &'static str,
        /// Bytes found.
        found_bytes: usize,
        /// Bytes expected.
        expected_bytes: usize,
    },
    /// A field is longer than its limit.
    #[error("{field} has {found_bytes} bytes, the limit is {max_bytes}")]
    TooLong {
        /// The field.
        field: &'static str,
        /// Bytes found.
        found_bytes: usize,
        /// The limit.
        max_bytes: usize,
    },
    /// A repeated field has more entries than its limit.
    #[error("{field} has {found} entries, the limit is {max}")]
    TooMany {
        /// The field.
        field: &'static str,
        /// Entries found.
        found: usize,
        /// The limit.
        max: usize,
    },
    /// A field is empty that must not be.
    #[error("{field} is empty")]
    Empty {
        /// The field.
        field: &'static str,
    },
    /// A field is set that has no meaning in this message.
    #[error("{field} must be empty here")]
    NotEmpty {
        /// The field.
        field: &'static str,
    },
    /// A number is outside its range.
    #[error("{field} is {value}, not between {min} and {max}")]
    OutOfRange {
        /// The field.
        field: &'static str,
        /// Its value.
        value: u64,
        /// The least value.
        min: u64,
        /// The greatest value.
        max: u64,
    },
    /// A name or number is none of those that the field may have.
    #[error("{field} is none of {known}")]
    UnknownValue {
        /// The field.
        field: &'static str,
        /// Those that it may have.
        known: &'static str,
    },
    /// A page token is not one that this service gave.
    #[error("{field} is not a page token of this call")]
    PageToken {
        /// The field.
        field: &'static str,
    },
    /// A text has control characters, or others that change how it looks without being seen.
    #[error("{field} has control characters or invisible ones")]
    ControlCharacters {
        /// The field.
        field: &'static str,
    },
    /// Bytes that should be a message are none.
    #[error("{field} is not a message")]
    Undecodable {
        /// The field.
        field: &'static str,
    },
    /// The scoring scheme refuses the value.
    #[error("{field}: {source}")]
    Scheme {
        /// The field.
        field: &'static str,
        /// Why.
        source: tyto_scheme::Error,
    },
}
