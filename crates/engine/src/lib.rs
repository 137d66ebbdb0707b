//! Resident galleries: packed blocks, passes of a query over them, and the versions that mutations make.
//!
//! A [`Gallery`] owns one current [`Snapshot`]. A mutation is *prepared* (checked and computed, nothing visible)
//! and then *installed*: it copies only the blocks that it changes and swaps the snapshot, so that a match in
//! flight goes on with the gallery as it was when it began. This crate does no I/O and holds no secrets.

mod block;
mod error;
mod gallery;
mod index;
mod matching;
mod query;
mod slots;
mod snapshot;
mod verification;

pub use block::{Block, BlockState, Filled};
pub use error::Error;
pub use gallery::{BlockUpdate, Change, Gallery, MAX_REWRITTEN_BYTES, Prepared, Removal, Write};
pub use matching::{BlockReply, match_all};
pub use query::{add_deltas, prepare_query, read_queries};
pub use slots::SlotSet;
pub use snapshot::{Located, Snapshot, StateDigests};
pub use verification::{Comparison, Verification};

/// Which kernels compute.
pub use tyto_kernels::{Backend, detect};
/// The packed form of a query, as the kernels read it, the blocks that one batch of replies has at most, and the
/// queries that one pass serves at most.
pub use tyto_kernels::{MATCH_BATCH, MAX_PROBES, PackedQuery};
