//! Which checkpoints are kept for ever.
//!
//! A receipt proves the time of the checkpoint that it is made with. Whoever asks for one late still needs one from
//! before a key expired or was revoked.

use super::{KEPT_CHECKPOINTS, StoredCheckpoint};
use crate::database::{bytes, number, signed};
use crate::{Error, Store};
use sqlx::SqliteConnection;

const HOUR_MS: u64 = 3_600_000;

impl Store {
    /// Has the last checkpoint before a time kept for ever: for the end of a key (its expiry, or the time of its
    /// revocation), so that whatever was signed before it can be shown to be older. Ends that are still to come, and
    /// repetitions, are welcome. Of checkpoints that are no longer among the newest [`KEPT_CHECKPOINTS`], only the last
    /// of each hour is there to be kept.
    pub async fn keep_checkpoint_before(&self, end_unix_ms: u64) -> Result<(), Error> {
        let mut tx = self.inner.database.write().await?;
        let query = sqlx::query("INSERT INTO log_key_ends (time_ms) VALUES (?) ON CONFLICT DO NOTHING");
        query.bind(signed(end_unix_ms)).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// Forgets the checkpoint that a new one put out of the newest [`KEPT_CHECKPOINTS`], unless it is kept for ever: the
/// last of its hour, the last under its log key, and the last before the end of a key. Called once for each checkpoint
/// that is added.
pub(super) async fn thin(connection: &mut SqliteConnection) -> Result<(), Error> {
    const OLDEST: &str = "SELECT size, signed FROM log_checkpoints ORDER BY size DESC LIMIT 2 OFFSET ?";
    let query = sqlx::query(OLDEST).bind(i64::from(KEPT_CHECKPOINTS - 1));
    let rows = query.fetch_all(&mut *connection).await?;
    let [next, old] = rows.as_slice() else { return Ok(()) };
    let [next, old_checkpoint] =
        [next, old].map(|row| bytes(row, "signed").and_then(StoredCheckpoint::parse));
    if is_kept(connection, &old_checkpoint?, &next?).await? {
        return Ok(());
    }
    let query = sqlx::query("DELETE FROM log_checkpoints WHERE size = ?");
    query.bind(number::<i64>(old, "size", "log_checkpoints")?).execute(connection).await?;
    Ok(())
}

/// Whether a checkpoint is kept for ever, given the one after it.
async fn is_kept(
    connection: &mut SqliteConnection,
    old: &StoredCheckpoint,
    next: &StoredCheckpoint,
) -> Result<bool, Error> {
    const ENDS: &str = "SELECT count(*) FROM log_key_ends WHERE time_ms > ? AND time_ms <= ?";
    let [from, to] = [old, next].map(|stored| stored.checkpoint.head().time_unix_ms);
    if from / HOUR_MS != to / HOUR_MS || old.checkpoint.key_id() != next.checkpoint.key_id() {
        return Ok(true);
    }
    let query = sqlx::query_scalar(ENDS).bind(signed(from)).bind(signed(to));
    Ok(query.fetch_one(connection).await.map(|ends: i64| ends > 0)?)
}
