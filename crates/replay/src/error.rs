use std::io;
use tyto_scheme::BlockId;

/// Why a match cannot be replayed. That its digests differ is no error: it is in the [`Report`](crate::Report).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file is not what it ought to be.
    #[error("{what}: {field}")]
    Malformed {
        /// Which file.
        what: &'static str,
        /// What is wrong with it.
        field: &'static str,
    },
    /// The attestation is about something else than a match.
    #[error("the attestation is not about a match")]
    NoMatch,
    /// The file has no request to compute with.
    #[error("the replay file has no request")]
    NoRequest,
    /// The file has no result: which templates were compared in a verification is known from it alone.
    #[error("the replay file has no result")]
    NoResult,
    /// The probe was a ticket, and the file does not have it.
    #[error("the probe was sent by a ticket, and the replay file does not have its polynomials")]
    NoTicket,
    /// The ciphertexts are of other blocks than the match covered.
    #[error(
        "the ciphertexts have block {found} version {found_version} where the match covered {expected} version {expected_version}"
    )]
    OtherBlock {
        /// What was covered.
        expected: BlockId,
        /// Its version.
        expected_version: u64,
        /// What is there.
        found: BlockId,
        /// Its version.
        found_version: u64,
    },
    /// The attestation file within does not have its form.
    #[error(transparent)]
    Attestation(#[from] tyto_attest::Error),
    /// A polynomial, a delta or a layout is none.
    #[error(transparent)]
    Scheme(#[from] tyto_scheme::Error),
    /// Blocks that cannot be in one gallery.
    #[error(transparent)]
    Engine(#[from] tyto_engine::Error),
    /// The ciphertexts could not be read or written.
    #[error("the ciphertexts could not be read or written: {0}")]
    Io(#[from] io::Error),
}
