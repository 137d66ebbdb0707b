//! What can be wrong with an attestation, with what surrounds it, and with those whose word is taken.

use core::fmt;

use crate::algorithm::{KeyId, Purpose};
use crate::digest::DigestKind;
use crate::log::LogError;

/// Which piece of the evidence a problem lies in.
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
    /// The checkpoint of a log.
    Checkpoint,
    /// A co-signature of a checkpoint.
    Cosignature,
    /// The receipt: a proof and the checkpoint that it leads to.
    Receipt,
    /// A tenant's decision.
    Decision,
    /// The file that holds an attestation, its receipt and the keys of their signers.
    Bundle,
    /// The list of keys whose word is taken.
    TrustRoot,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Envelope => "envelope",
            Self::ProtectedHeader => "protected header",
            Self::Statement => "statement",
            Self::File => "attestation file",
            Self::Checkpoint => "checkpoint",
            Self::Cosignature => "co-signature",
            Self::Receipt => "receipt",
            Self::Decision => "decision",
            Self::Bundle => "bundle",
            Self::TrustRoot => "trust root",
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
    /// The value stands for nothing beside the other fields, and ought to be null.
    #[error("must be null here")]
    NotNull,
    /// The items are not in ascending order, or one is there twice.
    #[error("not in ascending order")]
    Unordered,
}

/// The label of a COSE header parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeaderLabel {
    /// An integer.
    Int(i64),
    /// Some text.
    Text,
}

impl fmt::Display for HeaderLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(label) => label.fmt(f),
            Self::Text => f.write_str("with a text label"),
        }
    }
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

/// Why evidence was rejected, or could not be made.
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
    /// Something follows the item (peer).
    #[error("{part}: trailing bytes at byte {at_byte}")]
    TrailingBytes {
        /// Where.
        part: Part,
        /// Where the item ended.
        at_byte: usize,
    },
    /// A header parameter must be understood and is not (peer, or this code is too old).
    #[error("{part}: the critical header parameter {label} is unknown")]
    UnknownCriticalHeader {
        /// Where.
        part: Part,
        /// The parameter.
        label: HeaderLabel,
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
    #[error("{part}: unknown COSE algorithm {algorithm}")]
    UnknownAlgorithm {
        /// Where.
        part: Part,
        /// The COSE algorithm number found.
        algorithm: i64,
    },
    /// The header names another algorithm than the key has (peer).
    #[error("{part}: signed with COSE algorithm {claimed}, which is not that of key {}", hex(.key_id))]
    AlgorithmMismatch {
        /// Where.
        part: Part,
        /// The key.
        key_id: KeyId,
        /// COSE number of the algorithm in the header.
        claimed: i64,
    },
    /// Signed with a key that is not trusted (peer, or the caller's list is too old).
    #[error("{part}: key {} is not trusted", hex(.key_id))]
    UnknownKey {
        /// Where.
        part: Part,
        /// The key id found.
        key_id: KeyId,
    },
    /// The key entry in the bundle is not that of the key that signed (peer).
    #[error("{part}: the key entry in the bundle is not that of key {}", hex(.key_id))]
    KeyEntryMismatch {
        /// Whose signature the entry ought to be for.
        part: Part,
        /// The key that signed.
        key_id: KeyId,
    },
    /// The key is trusted, but not for this (peer).
    #[error("{part}: key {} is for the purpose `{purpose}`", hex(.key_id))]
    WrongPurpose {
        /// Where.
        part: Part,
        /// The key.
        key_id: KeyId,
        /// What it may be used for.
        purpose: Purpose,
    },
    /// The signature does not verify (peer).
    #[error("{part}: invalid signature")]
    InvalidSignature {
        /// Where.
        part: Part,
    },
    /// Made before the key was valid (peer).
    #[error("{part}: of {at_unix_ms} ms, before key {} became valid at {valid_from_unix_ms} ms", hex(.key_id))]
    NotYetValid {
        /// Where.
        part: Part,
        /// The key.
        key_id: KeyId,
        /// The time at issue.
        at_unix_ms: u64,
        /// Begin of the key's validity.
        valid_from_unix_ms: u64,
    },
    /// Made, or not shown to have been made, before the key expired (peer).
    #[error("{part}: of {at_unix_ms} ms, not before key {} expired at {valid_until_unix_ms} ms", hex(.key_id))]
    Expired {
        /// Where.
        part: Part,
        /// The key.
        key_id: KeyId,
        /// The time at issue.
        at_unix_ms: u64,
        /// End of the key's validity.
        valid_until_unix_ms: u64,
    },
    /// Not shown to have existed before the key was revoked (peer).
    #[error("{part}: not shown to be older than the revocation of key {} at {revoked_at_unix_ms} ms", hex(.key_id))]
    Revoked {
        /// Where.
        part: Part,
        /// The key.
        key_id: KeyId,
        /// When it was revoked.
        revoked_at_unix_ms: u64,
    },
    /// The times contradict each other: something is said to be made later than it was seen (peer, or the
    /// caller's clock).
    #[error("{part}: of {at_unix_ms} ms, but seen at {seen_unix_ms} ms already")]
    TimeOrder {
        /// Where.
        part: Part,
        /// When it says it was made.
        at_unix_ms: u64,
        /// When it is known to have existed.
        seen_unix_ms: u64,
    },
    /// The checkpoint is of another log than its key or the statement says (peer).
    #[error("{part}: names log {}, the checkpoint is of log {}", hex(.expected), hex(.actual))]
    OtherLog {
        /// Which names the log: the trust root for the key, or the statement.
        part: Part,
        /// The log named.
        expected: [u8; 32],
        /// The log of the checkpoint.
        actual: [u8; 32],
    },
    /// The proof is about a tree of another size than that of the checkpoint (peer).
    #[error("the proof is about a tree of {proof} leaves, the checkpoint about one of {checkpoint}")]
    SizeMismatch {
        /// The size in the proof.
        proof: u64,
        /// The size in the checkpoint.
        checkpoint: u64,
    },
    /// The proof does not hold (peer).
    #[error("{part}: {problem}")]
    Proof {
        /// Where.
        part: Part,
        /// What is wrong with it.
        problem: LogError,
    },
    /// The statement names a checkpoint that is larger than the place where it stands in the log (peer).
    #[error("the statement names a checkpoint of {previous_size} entries and is entry {index} itself")]
    PreviousCheckpoint {
        /// Size of the checkpoint that was the latest when the statement was made.
        previous_size: u64,
        /// Place of the statement in the log.
        index: u64,
    },
    /// The decision rests on another attestation (peer).
    #[error("the decision rests on another attestation")]
    OtherAttestation,
    /// The decision is by another tenant than the trust root has its key for (peer).
    #[error("the decision names another tenant than key {} is for", hex(.key_id))]
    OtherTenant {
        /// The key that signed.
        key_id: KeyId,
    },
    /// The decision rests on a statement that is not about a match (peer).
    #[error("the decision rests on a statement that is not about a match")]
    DecisionOnNoMatch,
    /// The trust root is not a newer version of the one that is known (peer, or the caller).
    #[error("trust root version {offered} is not newer than version {known}")]
    RootNotNewer {
        /// The version known.
        known: u64,
        /// The version offered.
        offered: u64,
    },
    /// The newer trust root lacks a key, changes it, or takes back a revocation (peer).
    #[error("the newer trust root takes back what was said about key {}", hex(.key_id))]
    RootRegression {
        /// The key.
        key_id: KeyId,
    },
    /// The newer trust root has another name than the known one, or was issued earlier (peer).
    #[error("the newer trust root has another `{field}` than one that follows the known one")]
    RootChanged {
        /// The field's name in the format description.
        field: &'static str,
    },
    /// A structure has a version that this code does not know (peer, or this code is too old).
    #[error("{part}: unknown version {version}")]
    UnknownVersion {
        /// Where.
        part: Part,
        /// The version found.
        version: u64,
    },
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
            Self::TrailingBytes { .. } => "trailing-bytes",
            Self::UnknownCriticalHeader { .. } => "critical-header",
            Self::Field { .. } => "field",
            Self::UnknownAlgorithm { .. } => "algorithm",
            Self::AlgorithmMismatch { .. } => "algorithm-of-key",
            Self::UnknownKey { .. } => "key-id",
            Self::KeyEntryMismatch { .. } => "key-entry",
            Self::WrongPurpose { .. } => "purpose",
            Self::InvalidSignature { .. } => "signature",
            Self::NotYetValid { .. } => "not-yet-valid",
            Self::Expired { .. } => "expired",
            Self::Revoked { .. } => "revoked",
            Self::TimeOrder { .. } => "time-order",
            Self::OtherLog { .. } => "log-id",
            Self::SizeMismatch { .. } => "tree-size",
            Self::Proof { problem, .. } => problem.check(),
            Self::PreviousCheckpoint { .. } => "previous-checkpoint",
            Self::OtherAttestation => "decision-digest",
            Self::OtherTenant { .. } => "tenant",
            Self::DecisionOnNoMatch => "decision-kind",
            Self::RootNotNewer { .. } => "root-version",
            Self::RootRegression { .. } | Self::RootChanged { .. } => "root-regression",
            Self::UnknownVersion { .. } => "version",
            Self::UnknownStatementVersion { .. } => "statement-version",
            Self::UnknownFileVersion { .. } => "file-version",
            Self::DigestMismatch { .. } => "digest",
            Self::TrustedKeys { .. } => "trusted-keys",
            Self::Signing(_) => "signing",
        }
    }

    /// The piece of the evidence in which the failed check lies, if it lies in one.
    pub fn part(&self) -> Option<Part> {
        Some(match self {
            Self::TooLarge { part, .. }
            | Self::Cbor { part, .. }
            | Self::TrailingBytes { part, .. }
            | Self::UnknownCriticalHeader { part, .. }
            | Self::Field { part, .. }
            | Self::UnknownAlgorithm { part, .. }
            | Self::AlgorithmMismatch { part, .. }
            | Self::UnknownKey { part, .. }
            | Self::KeyEntryMismatch { part, .. }
            | Self::WrongPurpose { part, .. }
            | Self::InvalidSignature { part }
            | Self::NotYetValid { part, .. }
            | Self::Expired { part, .. }
            | Self::Revoked { part, .. }
            | Self::TimeOrder { part, .. }
            | Self::OtherLog { part, .. }
            | Self::Proof { part, .. }
            | Self::UnknownVersion { part, .. } => *part,
            Self::SizeMismatch { .. } => Part::Receipt,
            Self::PreviousCheckpoint { .. } | Self::UnknownStatementVersion { .. } => Part::Statement,
            Self::OtherAttestation | Self::OtherTenant { .. } | Self::DecisionOnNoMatch => Part::Decision,
            Self::RootNotNewer { .. } | Self::RootRegression { .. } | Self::RootChanged { .. } => {
                Part::TrustRoot
            }
            Self::UnknownFileVersion { .. } | Self::DigestMismatch { .. } => Part::File,
            Self::TrustedKeys { .. } | Self::Signing(_) => return None,
        })
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
