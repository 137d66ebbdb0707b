//! The durable side of the transparency log: outbox, lease, tiles, checkpoints.
//!
//! An entry enters the outbox in the transaction of what it records. One [`LogWriter`] at a time moves entries from the
//! outbox into the tree: it puts and syncs the objects, then commits the new tree. Every commit checks the writer's
//! [`LogToken`], so that one that was superseded changes nothing. What an object of a name holds follows from the
//! order of the outbox alone: a writer that repeats what another left unfinished writes the same bytes.
//!
//! A checkpoint is stored before it is given to anyone, and there is never another one of its size or of a smaller
//! one.

mod checkpoints;
mod kept;
mod lease;
mod objects;
mod outbox;
mod reads;
mod writer;

pub use checkpoints::StoredCheckpoint;
pub use lease::LogToken;
pub use outbox::{LogAdded, LogEntry, LogEntryId};
pub use reads::LogPlace;
pub use writer::LogWriter;

pub(crate) use objects::LogObjects;
pub(crate) use outbox::add;

use crate::Error;
use crate::database::{array, number, signed};
use sqlx::SqliteConnection;
use tyto_attest::log::{Hash, empty_root};

/// Most entries that wait in the outbox. Mutations that want an entry are refused beyond it.
pub const MAX_OUTBOX_ENTRIES: u64 = 1 << 20;
/// Most entries that one [`LogWriter::append`] takes.
pub const MAX_BATCH_ENTRIES: u32 = 4096;
/// Bytes at which [`LogWriter::append`] takes no further entry.
pub const MAX_BATCH_BYTES: u64 = 16 << 20;
/// Newest checkpoints that are all kept. Of older ones, those are that are the last of their hour, under their log key,
/// or before a time given to [`Store::keep_checkpoint_before`](crate::Store::keep_checkpoint_before).
pub const KEPT_CHECKPOINTS: u32 = 1024;

/// A tree: how many leaves, and their root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogTree {
    /// Leaves.
    pub size: u64,
    /// Root.
    pub root: Hash,
}

impl LogTree {
    /// The tree as it was last committed.
    async fn current(connection: &mut SqliteConnection) -> Result<Self, Error> {
        let query = sqlx::query("SELECT size, root FROM log_trees ORDER BY size DESC LIMIT 1");
        let Some(row) = query.fetch_optional(connection).await? else {
            return Ok(Self { size: 0, root: empty_root() });
        };
        Ok(Self { size: number(&row, "size", "log_trees")?, root: array(&row, "root", "log_trees")? })
    }

    /// Whether this tree was committed, as far as that is still known.
    async fn was_committed(self, connection: &mut SqliteConnection) -> Result<bool, Error> {
        let query = sqlx::query_scalar("SELECT count(*) FROM log_trees WHERE size = ? AND root = ?");
        let found: i64 =
            query.bind(signed(self.size)).bind(self.root.as_slice()).fetch_one(connection).await?;
        Ok(found > 0)
    }
}
