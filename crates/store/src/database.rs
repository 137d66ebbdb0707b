//! The `SQLite` database: connections, schema, and the helpers that every query uses.

use crate::{Error, Object};
use bytes::Bytes;
use sqlx::query::Query;
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, Row, Sqlite, SqliteConnection, Transaction};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Connections that read beside the one that writes.
const READERS: u32 = 4;
/// How long a statement waits for a lock. Only checkpoints and outside tools ever hold one.
const BUSY_TIMEOUT_MS: u64 = 5000;
/// How long the removal of deltas from the write-ahead log waits for readers.
const CHECKPOINT_TIMEOUT_MS: u64 = 200;
/// Bytes of a page: a row with a delta of 1,000 coordinates still fits a leaf.
const PAGE_BYTES: u32 = 8192;
/// Bytes to which the write-ahead log is cut after a checkpoint.
const WAL_KEPT_BYTES: u64 = 64 << 20;
/// Page cache of the writer, in KiB.
const WRITER_CACHE_KIB: u32 = 64 << 10;
/// Pages in the log at which a commit starts a checkpoint.
const CHECKPOINT_PAGES: u32 = 4096;

pub(crate) struct Database {
    writer: SqlitePool,
    readers: SqlitePool,
}

impl Database {
    pub(crate) async fn open(dir: &Path) -> Result<Self, Error> {
        let options = SqliteConnectOptions::new()
            .filename(dir.join("tyto.sqlite"))
            .create_if_missing(true)
            .page_size(PAGE_BYTES)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_millis(BUSY_TIMEOUT_MS))
            .pragma("secure_delete", "ON")
            // Statement journals and sorts would leave rows in temporary files.
            .pragma("temp_store", "MEMORY")
            .pragma("journal_size_limit", WAL_KEPT_BYTES.to_string());
        let writing = options
            .clone()
            .pragma("wal_autocheckpoint", CHECKPOINT_PAGES.to_string())
            .pragma("cache_size", format!("-{WRITER_CACHE_KIB}"));
        let reading = options.create_if_missing(false).pragma("query_only", "ON");
        // Each connection has a thread, which inherits the priority of whoever opens it, for ever: all are opened here
        // and kept, and none within work that gives way.
        let pool = |connections| {
            SqlitePoolOptions::new()
                .max_connections(connections)
                .min_connections(connections)
                .test_before_acquire(false)
                .idle_timeout(None)
                .max_lifetime(None)
        };
        let writer = pool(1).connect_with(writing).await?;
        sqlx::migrate!().run(&writer).await?;
        let readers = pool(READERS).connect_with(reading).await?;
        Ok(Self { writer, readers })
    }

    /// Begins a transaction that holds the write lock from its start. Dropped without commit it changes nothing.
    pub(crate) async fn write(&self) -> Result<Transaction<'static, Sqlite>, Error> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// Begins a transaction that sees one snapshot.
    pub(crate) async fn read(&self) -> Result<Transaction<'static, Sqlite>, Error> {
        Ok(self.readers.begin().await?)
    }

    /// Moves the write-ahead log into the database and empties it, so that bytes which were overwritten there are
    /// gone from the files. Returns false if a reader was in the way for too long.
    pub(crate) async fn checkpoint(&self) -> Result<bool, Error> {
        let mut connection = self.writer.acquire().await?;
        let timeout = |ms: u64| AssertSqlSafe(format!("PRAGMA busy_timeout = {ms}"));
        sqlx::raw_sql(timeout(CHECKPOINT_TIMEOUT_MS)).execute(&mut *connection).await?;
        let row = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut *connection).await;
        sqlx::raw_sql(timeout(BUSY_TIMEOUT_MS)).execute(&mut *connection).await?;
        Ok(row?.try_get::<i64, _>(0)? == 0)
    }

    pub(crate) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

pub(crate) type SqlQuery<'q> = Query<'q, Sqlite, SqliteArguments>;

/// Rows inserted by one statement, whose cost is that of several rows. Few sizes, so that the statement cache holds
/// them all.
const BATCH_ROWS: [usize; 4] = [256, 32, 4, 1];

/// Inserts a row for each item; `bind` binds its columns. `head` is the statement up to `VALUES`, made from this
/// crate's own words and numbers.
pub(crate) async fn insert_rows<T>(
    connection: &mut SqliteConnection,
    head: &str,
    columns: usize,
    mut items: &[T],
    bind: impl for<'q> Fn(SqlQuery<'q>, &T) -> SqlQuery<'q>,
) -> Result<(), sqlx::Error> {
    let row = format!("({})", vec!["?"; columns].join(", "));
    for rows in BATCH_ROWS {
        if items.len() < rows {
            continue;
        }
        let sql: Arc<str> = format!("{head} VALUES {}", vec![row.as_str(); rows].join(", ")).into();
        while let Some((batch, rest)) = items.split_at_checked(rows) {
            let query = batch.iter().fold(sqlx::query(AssertSqlSafe(Arc::clone(&sql))), &bind);
            query.execute(&mut *connection).await?;
            items = rest;
        }
    }
    Ok(())
}

/// A column with an unsigned number.
pub(crate) fn number<T: TryFrom<i64>>(
    row: &SqliteRow,
    column: &str,
    table: &'static str,
) -> Result<T, Error> {
    let value = row.try_get::<i64, _>(column)?;
    T::try_from(value).map_err(|_| Error::Corrupt(Object::Row(table)))
}

/// A column with an identifier or digest.
pub(crate) fn array<const BYTES: usize>(
    row: &SqliteRow,
    column: &str,
    table: &'static str,
) -> Result<[u8; BYTES], Error> {
    row.try_get::<&[u8], _>(column)?.try_into().map_err(|_| Error::Corrupt(Object::Row(table)))
}

/// A column with bytes.
pub(crate) fn bytes(row: &SqliteRow, column: &str) -> Result<Bytes, Error> {
    Ok(row.try_get::<Vec<u8>, _>(column)?.into())
}

/// Unix milliseconds and versions as SQL stores them; larger ones than 2^63 - 1 do not occur in practice.
pub(crate) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_connection_is_open_from_the_start() {
        let dir = tempfile::tempdir().unwrap();
        let database = Database::open(dir.path()).await.unwrap();
        assert_eq!((database.writer.size(), database.readers.size()), (1, READERS));
        database.close().await;
    }
}
