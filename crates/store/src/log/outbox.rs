//! The outbox: entries that are committed and not yet in the tree.

use super::{MAX_BATCH_BYTES, MAX_OUTBOX_ENTRIES};
use crate::database::{SqlQuery, array, bytes, insert_rows, number};
use crate::{Error, Store};
use bytes::Bytes;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, SqliteConnection};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use tyto_attest::log::{Hash, MAX_ENTRY_BYTES, leaf_hash, leaf_hashes};

/// Names an entry before it has a place in the log. Whoever adds the entry chooses it: at random, or derived from what
/// the entry records, so that a repetition finds it again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LogEntryId(pub [u8; 16]);

impl LogEntryId {
    /// The name of an entry that goes by its content alone: the first half of its leaf hash.
    pub fn of_leaf(leaf: &Hash) -> Self {
        let (half, _) = leaf.split_first_chunk().expect("a hash is longer");
        Self(*half)
    }
}

impl std::fmt::Display for LogEntryId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// An entry for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Its name.
    pub id: LogEntryId,
    /// What the leaf covers: at most [`MAX_ENTRY_BYTES`] bytes.
    pub bytes: Bytes,
}

impl LogEntry {
    /// An entry that goes by its content alone.
    pub fn of(bytes: Bytes) -> Self {
        Self { id: LogEntryId::of_leaf(&leaf_hash(&bytes)), bytes }
    }

    /// Many of them: their hashes are computed together, several times faster.
    pub fn of_all(entries: &[Bytes]) -> Vec<Self> {
        let named = leaf_hashes(entries).into_iter().zip(entries);
        named.map(|(leaf, bytes)| Self { id: LogEntryId::of_leaf(&leaf), bytes: bytes.clone() }).collect()
    }
}

/// What became of one of many entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogAdded {
    /// It waits in the outbox now.
    New,
    /// It was there before, wherever it is by now.
    There,
    /// Its id belongs to an entry of other bytes, and nothing was added.
    IdUsed,
}

impl Store {
    /// Adds entries that record nothing else in the store, such as attestations, in one transaction and in their
    /// order. They are durable when this returns. One whose id is used keeps none of the others out.
    ///
    /// # Errors
    /// [`Error::OutboxFull`], [`Error::Limit`], [`Error::Empty`]; nothing was added then.
    pub async fn add_log_entries(&self, entries: &[LogEntry]) -> Result<Vec<LogAdded>, Error> {
        entries.iter().try_for_each(check)?;
        let digests = leaf_hashes(&entries.iter().map(|entry| &entry.bytes).collect::<Vec<_>>());
        let mut tx = self.inner.database.write().await?;
        let mut known = find(&mut tx, entries).await?;
        let (mut added, mut new) = (Vec::with_capacity(entries.len()), Vec::new());
        for (entry, digest) in entries.iter().zip(digests) {
            added.push(match known.get(&entry.id) {
                Some(found) if *found == digest => LogAdded::There,
                Some(_) => LogAdded::IdUsed,
                None => {
                    known.insert(entry.id, digest);
                    new.push((entry, digest));
                    LogAdded::New
                }
            });
        }
        check_room(&mut tx, new.len() as u64).await?;
        insert_rows(
            &mut tx,
            "INSERT INTO log_outbox (entry_id, digest, entry)",
            3,
            &new,
            |query, (entry, digest)| {
                query.bind(entry.id.0.to_vec()).bind(digest.to_vec()).bind(entry.bytes.to_vec())
            },
        )
        .await?;
        tx.commit().await?;
        Ok(added)
    }
}

/// Adds an entry, if there is one, to the transaction of what it records.
pub(crate) async fn add(connection: &mut SqliteConnection, entry: Option<&LogEntry>) -> Result<(), Error> {
    const FIND: &str = "SELECT digest FROM log_outbox WHERE entry_id = ?1 \
         UNION ALL SELECT digest FROM log_leaves WHERE entry_id = ?1";
    const INSERT: &str = "INSERT INTO log_outbox (entry_id, digest, entry) VALUES (?, ?, ?)";
    let Some(entry) = entry else { return Ok(()) };
    check(entry)?;
    let digest = leaf_hash(&entry.bytes);
    let found = sqlx::query(FIND).bind(entry.id.0.as_slice()).fetch_optional(&mut *connection).await?;
    if let Some(row) = found {
        let same = array(&row, "digest", "log_outbox")? == digest;
        return if same { Ok(()) } else { Err(Error::EntryIdUsed(entry.id)) };
    }
    check_room(connection, 1).await?;
    let query = sqlx::query(INSERT).bind(entry.id.0.as_slice()).bind(digest.as_slice());
    query.bind(entry.bytes.as_ref()).execute(connection).await?;
    Ok(())
}

fn check(entry: &LogEntry) -> Result<(), Error> {
    if entry.bytes.is_empty() {
        return Err(Error::Empty("log entry"));
    }
    Error::check_limit("log entry bytes", entry.bytes.len() as u64, MAX_ENTRY_BYTES as u64)
}

/// Checks that the outbox takes so many more.
async fn check_room(connection: &mut SqliteConnection, more: u64) -> Result<(), Error> {
    // Sequence numbers have no gaps but those of entries that left at the front.
    const WAITING: &str = "SELECT coalesce((SELECT max(seq) FROM log_outbox) \
         - (SELECT min(seq) FROM log_outbox) + 1, 0)";
    let waiting: i64 = sqlx::query_scalar(WAITING).fetch_one(connection).await?;
    if waiting as u64 + more > MAX_OUTBOX_ENTRIES {
        return Err(Error::OutboxFull { max: MAX_OUTBOX_ENTRIES });
    }
    Ok(())
}

/// The leaf hashes of those of the entries that are there already.
async fn find(
    connection: &mut SqliteConnection,
    entries: &[LogEntry],
) -> Result<HashMap<LogEntryId, Hash>, Error> {
    /// Ids that are looked up by one statement; what is left over is padded with the last, so that there is one.
    const IDS: usize = 64;
    static SQL: LazyLock<Arc<str>> = LazyLock::new(|| {
        let wanted = vec!["?"; IDS].join(", ");
        let sql = format!(
            "SELECT entry_id, digest FROM log_outbox WHERE entry_id IN ({wanted}) \
             UNION ALL SELECT entry_id, digest FROM log_leaves WHERE entry_id IN ({wanted})"
        );
        sql.into()
    });
    let parse = |row: &SqliteRow| -> Result<_, Error> {
        Ok((LogEntryId(array(row, "entry_id", "log_outbox")?), array(row, "digest", "log_outbox")?))
    };
    let mut found = HashMap::new();
    for some in entries.chunks(IDS) {
        let padding = std::iter::repeat(&some[some.len() - 1]);
        let ids: Vec<_> = some.iter().chain(padding).take(IDS).map(|entry| entry.id.0.to_vec()).collect();
        let query = sqlx::query(AssertSqlSafe(Arc::clone(&SQL)));
        let query = ids.iter().chain(&ids).cloned().fold(query, SqlQuery::bind);
        for row in query.fetch_all(&mut *connection).await? {
            let (id, digest) = parse(&row)?;
            found.insert(id, digest);
        }
    }
    Ok(found)
}

/// A row of the outbox.
pub(super) struct Waiting {
    seq: i64,
    pub(super) id: LogEntryId,
    pub(super) digest: Hash,
    pub(super) bytes: Bytes,
}

impl AsRef<[u8]> for Waiting {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The oldest entries: at least one if there is any, no more than asked for, and not many more bytes than
/// [`MAX_BATCH_BYTES`].
pub(super) async fn oldest(
    connection: &mut SqliteConnection,
    max_entries: u32,
) -> Result<Vec<Waiting>, Error> {
    const LENGTHS: &str = "SELECT seq, length(entry) AS bytes FROM log_outbox ORDER BY seq LIMIT ?";
    const TABLE: &str = "log_outbox";
    let rows = sqlx::query(LENGTHS).bind(i64::from(max_entries)).fetch_all(&mut *connection).await?;
    let (mut last, mut total) = (0_u64, 0_u64);
    for row in &rows {
        last = number(row, "seq", TABLE)?;
        total += number::<u64>(row, "bytes", TABLE)?;
        if total >= MAX_BATCH_BYTES {
            break;
        }
    }
    let query =
        sqlx::query("SELECT seq, entry_id, digest, entry FROM log_outbox WHERE seq <= ? ORDER BY seq");
    let rows = query.bind(last as i64).fetch_all(connection).await?;
    let parse = |row: &_| {
        Ok(Waiting {
            seq: number(row, "seq", TABLE)?,
            id: LogEntryId(array(row, "entry_id", TABLE)?),
            digest: array(row, "digest", TABLE)?,
            bytes: bytes(row, "entry")?,
        })
    };
    rows.iter().map(parse).collect()
}

/// Deletes these entries, which were the oldest, and returns how many were there to delete.
pub(super) async fn delete(connection: &mut SqliteConnection, entries: &[Waiting]) -> Result<u64, Error> {
    let last = entries.last().map_or(0, |entry| entry.seq);
    let query = sqlx::query("DELETE FROM log_outbox WHERE seq <= ?").bind(last);
    Ok(query.execute(connection).await?.rows_affected())
}
