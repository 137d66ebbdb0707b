//! Attestation statements, their COSE signatures and their offline verification.
//!
//! A [`Statement`] says what a server claims to have done: for whom, on which gallery, with which request
//! and which result. [`sign`] makes an attestation of it: a `COSE_Sign1` structure (RFC 9052) with ML-DSA-65
//! (RFC 9964). [`verify`] needs the bytes and a set of [`TrustedKeys`] and nothing else: no clock, no
//! network, no file system. An [`AttestationFile`] keeps an attestation together with its salt and, if
//! wanted, the request and the result, so that [`verify_file`] can check years later that they are the ones
//! that were attested.
//!
//! The byte-exact format is in `docs/formats/attestation.md`, golden files are in `vectors/attest`.
//!
//! # Security
//! An attestation proves what the signer claimed, not that the claim is true. Whether it answers *this*
//! request is for the caller to check: [`Statement::audience`] and [`Statement::nonce`] must be the ones
//! that the caller sent. The text fields of a verified statement come from the signer; they have no control
//! characters, but may be any other text.

mod cbor;
mod cose;
pub mod digest;
mod error;
mod file;
mod keys;
pub mod log;
mod statement;

pub use cose::{CONTENT_TYPE, COSE_ALGORITHM_ML_DSA_65, MAX_ATTESTATION_BYTES, sign, verify};
pub use error::{CborProblem, Error, FieldProblem, KeyLineProblem, Part};
pub use file::{AttestationFile, ContentCheck, MAX_CONTENT_BYTES, VerifiedFile, verify_file};
pub use keys::{MAX_TRUSTED_KEYS, TrustedKeys};
pub use statement::{MAX_TEXT_BYTES, Operation, STATEMENT_VERSION, Statement};
