//! What can be wrong with an attestation, a file around one, or a list of trusted keys.

use core::fmt;

use crate::digest::DigestKind;

/// Which piece of an attestation a problem lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// The `COSE_Sign1` structure.
    Envelope,
    /// The protected header of the `COSE_Sign1` structure.
    ProtectedHeader,
    /// The statement, which is the payload.
    Statement,
    /// The file that holds an attestation together with what it is about.
    File,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Envelope => "envelope",
            Self::ProtectedHeader => "protected header",
            Self::Statement => "statement",
            Self::File => "attestation file",
        })
    }
}

/// Why bytes are not one item of deterministic CBOR (RFC 8949 section 4.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CborProblem {
    /// The item ends after the input does.
    #[error("truncated")]
    Truncated,
    /// Something follows the item.
    #[error("trailing bytes")]
    TrailingBytes,
    /// An integer, a length or a tag has a shorter form.
    #[error("not in its shortest form")]
    NotShortest,
    /// A string, an array or a map of indefinite length.
    #[error("indefinite length")]
    IndefiniteLength,
    /// A map key that is smaller than the one before it.
    #[error("unsorted map keys")]
    UnsortedKeys,
    /// A map key that is there twice.
    #[error("duplicate map key")]
    DuplicateKey,
    /// Nested more deeply than any attestation.
    #[error("nested more than {max_depth} deep")]
    TooDeep {
        /// The limit.
        max_depth: usize,
    },
    /// A text string that is not UTF-8.
    #[error("text is not UTF-8")]
    InvalidUtf8,
    /// A kind of item that attestations do not have: floating point, undefined, reserved values.
    #[error("unsupported item {initial_byte:#04x}")]
    Unsupported {
        /// The first byte of the item.
        initial_byte: u8,
    },
}

/// What is wrong with one field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FieldProblem {
    /// Another key stands where this field's key belongs.
    #[error("missing")]
    Missing,
    /// The value has another type.
    #[error("wrong type")]
    WrongType,
    /// The value has another length: bytes of a string, items of an array, entries of a map.
    #[error("has length {actual}, expected {expected}")]
    WrongLength {
        /// The only permitted length.
        expected: usize,
        /// The length found.
        actual: usize,
    },
    /// The value is longer than permitted.
    #[error("has {actual_bytes} bytes, at most {max_bytes} are permitted")]
    TooLong {
        /// The limit.
        max_bytes: usize,
        /// The length found.
        actual_bytes: usize,
    },
    /// The number is larger than permitted.
    #[error("is {actual}, at most {max} is permitted")]
    OutOfRange {
        /// The limit.
        max: u64,
        /// The number found.
        actual: u64,
    },
    /// The text has a control character, which could deceive whoever reads it on a terminal.
    #[error("contains a control character")]
    ControlCharacter,
    /// The value is none of those that this version knows.
    #[error("unknown value")]
    UnknownValue,
    /// The field is reserved and must be null.
    #[error("reserved, must be null")]
    NotNull,
}

/// What is wrong with one line of a list of trusted keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyLineProblem {
    /// The first line is not the header of a known version.
    #[error("not the header `tyto-trusted-keys v1`")]
    Header,
    /// Not three fields between single spaces.
    #[error("not of the form `algorithm key-id key`")]
    Shape,
    /// An algorithm that this version does not know.
    #[error("unknown algorithm")]
    Algorithm,
    /// A field is not lower-case hexadecimal of the right length.
    #[error("not lower-case hexadecimal of the right length")]
    Hexadecimal,
    /// The key id is not that of the key.
    #[error("the key id does not belong to the key")]
    KeyId,
    /// The key is there twice.
    #[error("the key is there twice")]
    Duplicate,
    /// More keys than permitted.
    #[error("more than {max_keys} keys")]
    TooMany {
        /// The limit.
        max_keys: usize,
    },
}

/// Why an attestation was rejected, or could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Larger than anything this version writes (peer).
    #[error("{part}: {actual_bytes} bytes, at most {max_bytes} are permitted")]
    TooLarge {
        /// Where.
        part: Part,
        /// Size found.
        actual_bytes: usize,
        /// The limit.
        max_bytes: usize,
    },
    /// Not deterministic CBOR (peer).
    #[error("{part}: at byte {at_byte}: {problem}")]
    Cbor {
        /// Where.
        part: Part,
        /// Offset of the item within the part.
        at_byte: usize,
        /// What is wrong with it.
        problem: CborProblem,
    },
    /// A field is not what the format says (peer, or the caller when signing).
    #[error("{part}: field `{field}`: {problem}")]
    Field {
        /// Where.
        part: Part,
        /// The field's name in the format description.
        field: &'static str,
        /// What is wrong with it.
        problem: FieldProblem,
    },
    /// Signed with an algorithm that this version does not know (peer).
    #[error("unknown COSE algorithm {algorithm}")]
    UnknownAlgorithm {
        /// The COSE algorithm number found.
        algorithm: i64,
    },
    /// Signed with a key that is not trusted (peer, or the caller's list is too old).
    #[error("key {} is not trusted", hex(.key_id))]
    UnknownKey {
        /// The key id found.
        key_id: [u8; 32],
    },
    /// The signature does not verify (peer).
    #[error("invalid signature")]
    InvalidSignature,
    /// The statement has a version that this code does not know (peer, or this code is too old).
    #[error("unknown statement version {version}")]
    UnknownStatementVersion {
        /// The version found.
        version: u64,
    },
    /// The file has a version that this code does not know (peer, or this code is too old).
    #[error("unknown attestation file version {version}")]
    UnknownFileVersion {
        /// The version found.
        version: u64,
    },
    /// Content does not have the digest that the statement gives (peer).
    #[error("the {kind} is not the one that was attested")]
    DigestMismatch {
        /// Which content.
        kind: DigestKind,
    },
    /// A list of trusted keys is malformed (caller).
    #[error("trusted keys, line {line}: {problem}")]
    TrustedKeys {
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        problem: KeyLineProblem,
    },
    /// The signature could not be made (environment).
    #[error("the statement could not be signed")]
    Signing(#[source] tyto_pqc::Error),
}

impl Error {
    /// The name of the check that failed, the same in every version and used by the golden vectors.
    pub fn check(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "size",
            Self::Cbor { .. } => "cbor",
            Self::Field { .. } => "field",
            Self::UnknownAlgorithm { .. } => "algorithm",
            Self::UnknownKey { .. } => "key-id",
            Self::InvalidSignature => "signature",
            Self::UnknownStatementVersion { .. } => "statement-version",
            Self::UnknownFileVersion { .. } => "file-version",
            Self::DigestMismatch { .. } => "digest",
            Self::TrustedKeys { .. } => "trusted-keys",
            Self::Signing(_) => "signing",
        }
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, b| {
        let _ = write!(text, "{b:02x}");
        text
    })
}
