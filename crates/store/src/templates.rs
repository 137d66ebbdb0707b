//! The table of a gallery's templates.
//!
//! `secure_delete` overwrites what is deleted, but not the stale copies that stay in the unused middle of a page when
//! `SQLite` moves rows between pages. (Measured with removals between scattered enrolments: with rows ordered by block
//! and slot, pieces of removed deltas were still in the file in 5 of 11 runs.) So rows never move:
//!
//! - Rows are only ever appended. `SQLite` starts a new page for a row that does not fit after the last one, and
//!   leaves the full page as it is. Order comes from an index that holds block and slot alone.
//! - A removal overwrites the row in place, by zeros of the same length.
//! - Nothing is deleted. Each gallery has a table of its own, which is dropped with it; `secure_delete` zeroes its pages.

use crate::database::insert_rows;
use crate::{BlockMutation, Error};
use sqlx::{AssertSqlSafe, SqliteConnection};
use std::collections::HashSet;

/// The table of a gallery's templates. A row is a slot that was written: filled, or burnt when its template was
/// removed.
#[derive(Clone, Copy)]
pub(crate) struct Templates(i64);

impl Templates {
    /// The table of the gallery in this row.
    pub(crate) fn of(gallery_row: i64) -> Self {
        Self(gallery_row)
    }

    pub(crate) async fn create(self, connection: &mut SqliteConnection) -> Result<(), Error> {
        let sql = format!(
            "CREATE TABLE {self} (
                 id INTEGER PRIMARY KEY,
                 block INTEGER NOT NULL REFERENCES blocks (id),
                 slot INTEGER NOT NULL CHECK (slot BETWEEN 0 AND 2047),
                 filled INTEGER NOT NULL CHECK (filled IN (0, 1)),
                 subject BLOB NOT NULL CHECK (length(subject) = 16),
                 tag BLOB NOT NULL CHECK (length(tag) = 16),
                 delta BLOB NOT NULL,
                 UNIQUE (block, slot)
             )"
        );
        sqlx::query(AssertSqlSafe(sql)).persistent(false).execute(connection).await?;
        Ok(())
    }

    pub(crate) async fn drop(self, connection: &mut SqliteConnection) -> Result<(), Error> {
        let sql = format!("DROP TABLE {self}");
        sqlx::query(AssertSqlSafe(sql)).persistent(false).execute(connection).await?;
        Ok(())
    }

    /// Burns slots: what was in them is overwritten, the row stays.
    pub(crate) async fn remove(
        self,
        connection: &mut SqliteConnection,
        block_row: i64,
        change: &BlockMutation,
    ) -> Result<(), Error> {
        let sql = format!(
            "UPDATE {self} SET filled = 0, subject = zeroblob(16), tag = zeroblob(16), \
             delta = zeroblob(length(delta)) WHERE block = ? AND slot = ? AND filled = 1"
        );
        for &slot in &change.removals {
            let query = sqlx::query(AssertSqlSafe(sql.as_str())).bind(block_row).bind(i64::from(slot));
            if query.execute(&mut *connection).await?.rows_affected() != 1 {
                return Err(Error::SlotEmpty { block: change.block, slot });
            }
        }
        Ok(())
    }

    /// Fills slots that were never written.
    pub(crate) async fn write(
        self,
        connection: &mut SqliteConnection,
        block_row: i64,
        change: &BlockMutation,
    ) -> Result<(), Error> {
        self.check_unused(connection, block_row, change).await?;
        let head = format!("INSERT INTO {self} (block, slot, filled, subject, tag, delta)");
        insert_rows(connection, &head, 6, &change.writes, |query, write| {
            let query = query.bind(block_row).bind(i64::from(write.slot)).bind(1_i64);
            query.bind(write.subject.0.as_slice()).bind(write.tag.as_slice()).bind(write.delta.as_ref())
        })
        .await?;
        Ok(())
    }

    /// Checks that no slot to write has a row, and that none is named twice. The table's constraint guards the same.
    async fn check_unused(
        self,
        connection: &mut SqliteConnection,
        block_row: i64,
        change: &BlockMutation,
    ) -> Result<(), Error> {
        let slots = || change.writes.iter().map(|write| write.slot);
        let (Some(first), Some(last)) = (slots().min(), slots().max()) else { return Ok(()) };
        let sql = format!("SELECT slot FROM {self} WHERE block = ? AND slot BETWEEN ? AND ?");
        let query = sqlx::query_scalar(AssertSqlSafe(sql));
        let query = query.bind(block_row).bind(i64::from(first)).bind(i64::from(last));
        let used: Vec<i64> = query.fetch_all(connection).await?;
        let mut used: HashSet<i64> = used.into_iter().collect();
        match slots().find(|&slot| !used.insert(i64::from(slot))) {
            Some(slot) => Err(Error::SlotUsed { block: change.block, slot }),
            None => Ok(()),
        }
    }
}

impl std::fmt::Display for Templates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "templates_{}", self.0)
    }
}
