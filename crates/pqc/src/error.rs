//! The error type of this crate.

use pkcs8::ObjectIdentifier;

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
    /// A key names another algorithm than the one asked for (caller or peer).
    #[error("not an {algorithm} key: it names algorithm {found}")]
    WrongKeyAlgorithm {
        /// The algorithm asked for.
        algorithm: &'static str,
        /// The object identifier found.
        found: ObjectIdentifier,
    },
    /// A key has parameters beside its algorithm, where the standard has none (caller or peer).
    #[error("the algorithm identifier of an {algorithm} key has parameters, which must be absent")]
    KeyParametersPresent {
        /// The algorithm of the key.
        algorithm: &'static str,
    },
    /// More bytes follow the encoding of a key (caller or peer).
    #[error("{trailing_bytes} bytes follow the {what} of an {algorithm} key")]
    TrailingKeyBytes {
        /// The algorithm of the key.
        algorithm: &'static str,
        /// The structure that they follow.
        what: &'static str,
        /// How many there are.
        trailing_bytes: usize,
    },
    /// A private key is in a form of its standard that this crate does not read (caller).
    #[error("{algorithm} private keys are read in the form {expected} only")]
    UnsupportedKeyForm {
        /// The algorithm of the key.
        algorithm: &'static str,
        /// The form that is read, by its name in the standard.
        expected: &'static str,
    },
    /// A ciphertext has not the length of its parameter set (peer).
    #[error("an {algorithm} ciphertext is {expected_bytes} bytes long, not {actual_bytes}")]
    MalformedCiphertext {
        /// The parameter set.
        algorithm: &'static str,
        /// Length of its ciphertexts.
        expected_bytes: usize,
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
    /// A known answer did not come out at the start: nothing that this process computes can be trusted (bug or
    /// environment: defective hardware, a damaged binary).
    #[error("the self-test of {primitive} failed")]
    SelfTest {
        /// What gave a wrong answer.
        primitive: &'static str,
    },
}
