//! Replays: a match is computed once more from its ciphertexts, and every digest of its attestation is compared.
//!
//! Evaluation is bit-for-bit deterministic and needs no key, so whoever holds the ciphertexts can repeat it. A
//! [`ReplayFile`] says what was matched: it is small and is kept with the answer. The ciphertexts of the blocks, in a
//! file of their own ([`CiphertextWriter`], [`CiphertextReader`]), can be had as long as none of the templates that were
//! compared has been removed. [`replay`] takes both.
//!
//! The formats are in `docs/formats.md`.

mod ciphertexts;
mod error;
mod file;
mod recompute;

pub use ciphertexts::{CIPHERTEXTS_MAGIC, CiphertextReader, CiphertextWriter, ciphertexts_bytes};
pub use error::Error;
pub use file::{CoveredBlock, MAX_REPLAY_BLOCKS, MAX_REPLAY_BYTES, REPLAY_MAGIC, ReplayFile};
pub use recompute::{Comparison, Report, replay};
