//! The `SQLite` database: connections, schema, and the helpers that every query uses.

use crate::{Error, Object};
use bytes::Bytes;
use sqlx::query::Query;
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, Row, Sqlite, SqliteConnection, Transaction};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::LazyLock;
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
            .pragma("journal_size_limit", WAL_KEPT_BYTES.to_string());
        let writing = options
            .clone()
            .pragma("wal_autocheckpoint", CHECKPOINT_PAGES.to_string())
            .pragma("cache_size", format!("-{WRITER_CACHE_KIB}"));
        let reading = options.create_if_missing(false).pragma("query_only", "ON");
        let pool = |connections| {
            SqlitePoolOptions::new()
                .max_connections(connections)
                .min_connections(1)
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

/// A statement that inserts many rows at once: the cost of a statement is that of several rows. It is prepared for
/// a few batch sizes only, so that the statement cache holds them all.
pub(crate) struct RowInsert {
    columns: usize,
    statements: [(usize, LazyLock<String>); 4],
}

macro_rules! row_insert {
    ($head:literal, $columns:literal) => {{
        use std::sync::LazyLock;
        const fn statement<const ROWS: usize>() -> (usize, LazyLock<String>) {
            (ROWS, LazyLock::new(|| $crate::database::insert_sql($head, $columns, ROWS)))
        }
        $crate::database::RowInsert::new(
            $columns,
            [statement::<256>(), statement::<32>(), statement::<4>(), statement::<1>()],
        )
    }};
}
pub(crate) use row_insert;

pub(crate) fn insert_sql(head: &str, columns: usize, rows: usize) -> String {
    let row = format!("({})", vec!["?"; columns].join(", "));
    let mut sql = String::with_capacity(head.len() + 8 + rows * (row.len() + 2));
    let _ = write!(sql, "{head} VALUES {}", vec![row; rows].join(", "));
    sql
}

impl RowInsert {
    pub(crate) const fn new(columns: usize, statements: [(usize, LazyLock<String>); 4]) -> Self {
        Self { columns, statements }
    }

    /// Inserts a row for each item; `bind` binds its columns.
    pub(crate) async fn run<T>(
        &'static self,
        connection: &mut SqliteConnection,
        mut items: &[T],
        bind: impl for<'q> Fn(SqlQuery<'q>, &T) -> SqlQuery<'q>,
    ) -> Result<(), sqlx::Error> {
        debug_assert!(self.columns > 0);
        for (rows, sql) in &self.statements {
            while let Some((batch, rest)) = items.split_at_checked(*rows) {
                let query = batch.iter().fold(sqlx::query(sql.as_str()), &bind);
                query.execute(&mut *connection).await?;
                items = rest;
            }
        }
        Ok(())
    }
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
