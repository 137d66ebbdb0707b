//! Attestation statements, their COSE signatures and their offline verification.
//!
//! A [`Statement`] says what a server claims to have done: for whom, on which gallery, with which request
//! and which result. [`sign`] makes an attestation of it: a `COSE_Sign1` structure (RFC 9052) with ML-DSA-65
//! (RFC 9964). [`verify`] needs the bytes and a set of [`TrustedKeys`] and nothing else: no clock, no
//! network, no file system. An [`AttestationFile`] keeps an attestation together with its salt and, if
//! wanted, the request and the result, so that [`verify_file`] can check years later that they are the ones
//! that were attested.
//!
//! The byte-exact format is in `docs/formats/attestation.md`, golden files are in `vectors/attestation`.
//!
//! # Security
//! An attestation proves what the signer claimed, not that the claim is true. Whether it answers *this*
//! request is for the caller to check: [`Statement::audience`] and [`Statement::nonce`] must be the ones
//! that the caller sent. The text fields of a verified statement come from the signer; they have no control
//! characters, but may be any other text.

mod algorithm;
mod attestation;
mod bundle;
mod cbor;
mod checkpoint;
mod cose;
mod decision;
pub mod digest;
mod error;
mod fields;
mod file;
mod keys;
pub mod log;
mod receipt;
mod roots;
mod statement;
mod validity;
mod verdict;
mod verify;

pub use algorithm::{
    Algorithm, COSE_ALGORITHM_ML_DSA_65, COSE_ALGORITHM_SLH_DSA_SHAKE_128S, KEY_ID_BYTES, KeyId, PublicKey,
    Purpose, Signer,
};
pub use attestation::{CONTENT_TYPE, MAX_ATTESTATION_BYTES, sign, verify_attestation};
pub use bundle::{BUNDLE_VERSION, Bundle, Content, KeyEntry, MAX_BUNDLE_BYTES};
pub use checkpoint::{
    CHECKPOINT_CONTENT_TYPE, CHECKPOINT_VERSION, COSIGNATURE_CONTENT_TYPE, Checkpoint, Cosignature,
    LABEL_COSIGNED_AT, LABEL_TREE_HEAD, MAX_CHECKPOINT_BYTES, MAX_COSIGNATURES, TreeHead,
    VDS_RFC9162_SHA3_256, log_id,
};
pub use decision::{DECISION_CONTENT_TYPE, DECISION_VERSION, Decision, Outcome};
pub use error::{CborProblem, Error, FieldProblem, HeaderLabel, KeyLineProblem, Part};
pub use fields::MAX_TEXT_BYTES;
pub use file::{AttestationFile, ContentCheck, MAX_CONTENT_BYTES, VerifiedFile, verify_file};
pub use keys::{MAX_TRUSTED_KEYS, TrustedKeys};
pub use receipt::{ConsistencyReceipt, Receipt};
pub use roots::{
    KeyRecord, MAX_ROOT_KEYS, MAX_TRUST_ROOT_BYTES, Revocation, RevocationReason, TRUST_ROOT_CONTENT_TYPE,
    TRUST_ROOT_FORMAT, TrustRoot,
};
pub use statement::{
    Claim, Document, DocumentDigest, GalleryChange, GalleryOperation, KeyChange, KeyOperation, LogState,
    MatchResult, Operation, PreviousCheckpoint, STATEMENT_VERSION, Statement,
};
pub use validity::MAX_CLOCK_SKEW_MS;
pub use verdict::{Check, CosignatureFact, CosignatureStatus, Existence, LogFact, Verdict, Verified};
pub use verify::{verify, verify_consistency};
