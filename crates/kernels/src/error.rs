/// What can be wrong with packed bytes; the fault is the peer's or the storage's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A packed polynomial has exactly one length.
    #[error("a packed polynomial takes {expected} bytes, not {found}")]
    PackedLength {
        /// Bytes of a packed polynomial.
        expected: usize,
        /// Bytes found.
        found: usize,
    },
    /// A packed coefficient is not below the modulus.
    #[error("coefficient {index} is not below the modulus")]
    CoefficientRange {
        /// The first offending coefficient.
        index: usize,
    },
}
