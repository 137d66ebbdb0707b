//! `tyto.attest.v1`: what its messages say, once they were checked.

mod convert;

pub use convert::{checkpoint, consistency_receipt};

use bytes::Bytes;
use tyto_attest::log::Hash;
use tyto_attest::{Document, KeyEntry};

/// How a document is attested.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AttestMode {
    /// By a signature at once.
    Immediate,
    /// By a receipt of the log, later.
    ReceiptOnly,
}

/// Wants digests of documents attested.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attest {
    /// How.
    pub mode: AttestMode,
    /// For whom.
    pub audience: String,
    /// Random bytes of the caller.
    pub nonce: [u8; 32],
    /// The documents, at least one.
    pub documents: Vec<Document>,
}

/// The entries of attested documents, in their order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attested {
    /// Attestations, or statements that nobody signed.
    pub entries: Vec<Bytes>,
}

/// Wants the receipt of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GetReceipt {
    /// The entry's leaf hash.
    pub leaf_hash: Hash,
    /// How long the answer may wait, in milliseconds.
    pub wait_ms: u32,
}

/// What became of the wish for a receipt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ReceiptAnswer {
    /// The receipt.
    Receipt(Bytes),
    /// No checkpoint covers the entry yet.
    NotCovered {
        /// When to ask again, in milliseconds.
        retry_after_ms: u32,
    },
}

/// Wants to know that the log was only appended to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GetConsistencyProof {
    /// Entries of the earlier tree, not 0.
    pub old_size: u64,
    /// Entries of the later tree; of the newest checkpoint without.
    pub new_size: Option<u64>,
}

/// The keys that a server says it signs with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyList {
    /// The name under which attestations are issued.
    pub issuer: String,
    /// The log.
    pub log_id: [u8; 32],
    /// The keys, of attestations and of the log.
    pub keys: Vec<KeyEntry>,
}
