//! Attestation statements, the log they go into, and their offline verification. No I/O: clock, randomness and trust
//! are arguments.
//!
//! A [`Statement`] says what a server claims to have done. [`sign`] makes an attestation of it: `COSE_Sign1` (RFC 9052)
//! with ML-DSA-65 (RFC 9964). A [`log::Sequencer`] appends attestations, or bare statements, to a Merkle log and gives
//! out tiles to store; [`Checkpoint::sign`] signs the log's tree head with SLH-DSA (FIPS 205), and a [`Receipt`] (RFC
//! 9942) is that checkpoint with an [inclusion proof](log::inclusion_proof). A [`Bundle`] holds an attestation, its
//! receipt and the keys of their signers.
//!
//! [`verify`] judges a bundle, or any signed part of one, by a [`TrustRoot`]: it needs the bytes, the trust root, and a
//! time or none. [`verify_attestation`] and [`verify_file`] judge an answer that has just come from a server whose keys
//! are pinned ([`TrustedKeys`]).
//!
//! The byte-exact format, the order of checks and what a revocation means are in `docs/formats/attestation.md`; golden
//! files are in `vectors/attestation`.
//!
//! # Security
//! An attestation proves what the signer claimed, not that the claim is true. Whether it answers *this*
//! request is for the caller to check: [`Statement::audience`] and [`Statement::nonce`] must be the ones
//! that the caller sent. The text fields of a verified statement come from the signer; they have no control
//! characters, but may be any other text.

mod algorithm;
mod attestation;
mod bundle;
pub mod cbor;
mod checkpoint;
mod cose;
mod decision;
pub mod digest;
mod error;
mod fields;
mod file;
mod inspect;
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
    LABEL_COSIGNED_AT, LABEL_TREE_HEAD, MAX_CHECKPOINT_BYTES, MAX_COSIGNATURES,
    MAX_PUBLISHED_CHECKPOINT_BYTES, TreeHead, VDS_RFC9162_SHA3_256, log_id,
};
pub use decision::{DECISION_CONTENT_TYPE, DECISION_VERSION, Decision, Outcome};
pub use error::{CborProblem, Error, FieldProblem, HeaderLabel, KeyLineProblem, Part};
pub use fields::{MAX_TEXT_BYTES, check_text};
pub use file::{AttestationFile, ContentCheck, MAX_CONTENT_BYTES, VerifiedFile, verify_file};
pub use inspect::{Claimed, Object, inspect};
pub use keys::{MAX_TRUSTED_KEYS, TrustedKeys};
pub use receipt::{ConsistencyReceipt, Receipt};
pub use roots::{
    KeyRecord, MAX_ROOT_KEYS, MAX_TRUST_ROOT_BYTES, Revocation, RevocationReason, TRUST_ROOT_CONTENT_TYPE,
    TRUST_ROOT_FORMAT, TrustRoot,
};
pub use statement::{
    AuditAnchor, Claim, Document, DocumentDigest, GalleryChange, GalleryOperation, KeyChange, KeyOperation,
    LogState, MatchResult, Operation, PreviousCheckpoint, STATEMENT_VERSION, Statement,
};
pub use validity::MAX_CLOCK_SKEW_MS;
pub use verdict::{
    Check, CosignatureFact, CosignatureStatus, DecisionFact, Existence, LogFact, Verdict, Verified,
};
pub use verify::{verify, verify_consistency};
