//! The error type of this crate.

/// Why an operation of this crate failed. No variant carries key material or plaintext.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system gave no random bytes (environment).
    #[error("the operating system's random generator failed with code {code:?}")]
    OsRandomness {
        /// The operating system's error number, where it gave one.
        code: Option<i32>,
    },
    /// Sealed bytes are too short to hold a nonce and a tag (caller or peer).
    #[error("sealed bytes are {actual_bytes} bytes long, the least possible is {min_bytes}")]
    SealedTooShort {
        /// Length found.
        actual_bytes: usize,
        /// Smallest possible length.
        min_bytes: usize,
    },
    /// Sealed bytes do not open under this key and this associated data (caller or peer). What differs
    /// is not knowable.
    #[error("sealed bytes are not authentic under this key and associated data")]
    NotAuthentic,
    /// A key is not an encoding that this crate accepts (caller or peer).
    #[error("{algorithm} {what} is malformed ({actual_bytes} bytes)")]
    MalformedKey {
        /// The algorithm of the key.
        algorithm: &'static str,
        /// Which kind of key or encoding.
        what: &'static str,
        /// Length found.
        actual_bytes: usize,
    },
    /// A context string is too long (caller).
    #[error("the context string is {actual_bytes} bytes long, the most is {max_bytes}")]
    ContextTooLong {
        /// Length found.
        actual_bytes: usize,
        /// Longest possible.
        max_bytes: usize,
    },
    /// This crate verifies signatures of this algorithm, but makes none (caller).
    #[error("{algorithm} is for verification only")]
    CannotSign {
        /// The signature algorithm.
        algorithm: &'static str,
    },
    /// A signature does not verify (peer).
    #[error("{algorithm} signature is invalid")]
    InvalidSignature {
        /// The signature algorithm.
        algorithm: &'static str,
    },
    /// The cryptographic library failed where it should not (bug or environment: memory, entropy).
    #[error("{operation} failed in the cryptographic library")]
    Backend {
        /// What was asked of the library.
        operation: &'static str,
    },
}
