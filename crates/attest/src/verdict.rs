//! What a verification found.

use core::fmt;

use crate::algorithm::KeyId;
use crate::checkpoint::TreeHead;
use crate::decision::Decision;
use crate::error::{Error, Part};
use crate::statement::Statement;

/// The outcome of a verification, with every check that was passed on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The checks that were passed, in their order.
    pub checks: Vec<Check>,
    /// What is proved, or the check that failed.
    pub outcome: Result<Verified, Error>,
    /// If a bundle is rejected for its decision alone: what it proves without it.
    pub without_decision: Option<Verified>,
}

impl Verdict {
    /// A rejection.
    pub fn rejected(error: Error) -> Self {
        Self { checks: Vec::new(), outcome: Err(error), without_decision: None }
    }

    /// Whether every check was passed.
    pub fn is_accepted(&self) -> bool {
        self.outcome.is_ok()
    }

    /// Why it was rejected, if it was.
    pub fn rejection(&self) -> Option<&Error> {
        self.outcome.as_ref().err()
    }
}

/// A check that was passed: its name is that of the rejection it guards against ([`Error::check`]), or `format` for
/// the checks of a part's form together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Check {
    /// What was checked.
    pub part: Part,
    /// The check's name.
    pub name: &'static str,
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.part, self.name)
    }
}

/// What is proved. Statement and decision are claims of their signers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The statement, if there is one.
    pub statement: Option<Statement>,
    /// The key that signed the attestation; `None` in receipt-only mode, where the log vouches for the statement.
    pub signer: Option<KeyId>,
    /// The log and the place in it, if there is a receipt or a checkpoint.
    pub log: Option<LogFact>,
    /// Since when the evidence is known to exist.
    pub existence: Existence,
    /// The tenant's decision, if there is one.
    pub decision: Option<DecisionFact>,
}

/// A tenant's decision and who signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionFact {
    /// The decision. Its tenant is the one that the trust root has the key for.
    pub decision: Decision,
    /// The key that signed it.
    pub key_id: KeyId,
}

/// The latest time by which the evidence is known to have existed, and who says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Existence {
    /// The log, by a checkpoint of this time.
    Log {
        /// Time of the checkpoint.
        by_unix_ms: u64,
    },
    /// The verifier, who had it at this time.
    Verifier {
        /// The time that the verifier gave.
        by_unix_ms: u64,
    },
    /// Nobody.
    Unknown,
}

/// What is known of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFact {
    /// The checkpoint.
    pub head: TreeHead,
    /// The key that signed it.
    pub key_id: KeyId,
    /// Place of the entry, if there is a receipt.
    pub index: Option<u64>,
    /// The co-signatures.
    pub cosignatures: Vec<CosignatureFact>,
}

/// What is known of one co-signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CosignatureFact {
    /// The witness's key.
    pub key_id: KeyId,
    /// When, by the witness's clock.
    pub time_unix_ms: u64,
    /// Whether it counts.
    pub status: CosignatureStatus,
}

/// Whether a co-signature counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CosignatureStatus {
    /// It verifies, under a key that may be believed.
    Counts,
    /// The trust root does not have the key: nothing was checked.
    UnknownKey,
    /// It verifies, but the key was not valid at the time, or is revoked, or the time contradicts that of the
    /// checkpoint or of the verifier.
    NotBelieved,
}
