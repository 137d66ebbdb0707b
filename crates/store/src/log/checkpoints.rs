//! Signed checkpoints: stored before anyone sees them, and never contradicted.

use super::objects::LogObjects;
use super::{KEPT_CHECKPOINTS, LogTree, LogWriter};
use crate::database::{bytes, signed};
use crate::{Error, Object, Store};
use bytes::Bytes;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;
use tyto_attest::Checkpoint;

/// A checkpoint as it was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCheckpoint {
    /// What it says, without its signature checked.
    pub checkpoint: Checkpoint,
    /// Its bytes.
    pub signed: Bytes,
}

impl StoredCheckpoint {
    /// Entries of the log.
    pub fn size(&self) -> u64 {
        self.checkpoint.head().size
    }

    fn parse(signed: Bytes) -> Result<Self, Error> {
        let checkpoint = Checkpoint::parse(&signed).map_err(|_| Error::Corrupt(Object::Checkpoint))?;
        Ok(Self { checkpoint, signed })
    }

    fn from_row(row: Option<SqliteRow>) -> Result<Option<Self>, Error> {
        row.map(|row| Self::parse(bytes(&row, "signed")?)).transpose()
    }
}

/// The newest checkpoint.
pub(super) async fn newest(connection: &mut SqliteConnection) -> Result<Option<StoredCheckpoint>, Error> {
    let query = sqlx::query("SELECT signed FROM log_checkpoints ORDER BY size DESC LIMIT 1");
    StoredCheckpoint::from_row(query.fetch_optional(connection).await?)
}

/// Compares the newest checkpoint of the database with the object, which is written after it: the object may be older
/// or missing, and is put again then. If it is newer or another one, the database was replaced by an older copy, and
/// whatever it appended would contradict what was published.
pub(super) async fn reconcile(objects: &LogObjects, newest: Option<StoredCheckpoint>) -> Result<(), Error> {
    let published = objects.checkpoint().await?.map(StoredCheckpoint::parse).transpose()?;
    let size = |checkpoint: &Option<StoredCheckpoint>| checkpoint.as_ref().map_or(0, StoredCheckpoint::size);
    if published == newest {
        return Ok(());
    }
    let (database_size, published_size) = (size(&newest), size(&published));
    match newest {
        Some(newest) if published_size < database_size => objects.put_checkpoint(newest.signed).await,
        _ => Err(Error::LogRolledBack { database_size, published_size }),
    }
}

impl LogWriter {
    /// Stores a signed checkpoint of a tree that was committed, in the database and then as an object. Only after this
    /// may anyone see it. A repetition with the same bytes succeeds.
    ///
    /// # Errors
    /// [`Error::LogFenced`]; [`Error::CheckpointContradicts`] if there is another one of this size, or a larger one;
    /// [`Error::CheckpointTree`] if no such tree was committed since the newest checkpoint;
    /// [`Error::CheckpointLog`] if it is of another log than those before.
    pub async fn publish(&mut self, checkpoint: &Checkpoint) -> Result<StoredCheckpoint, Error> {
        let signed = Bytes::from(checkpoint.encode());
        let stored = StoredCheckpoint { checkpoint: checkpoint.clone(), signed };
        self.commit_checkpoint(&stored).await?;
        self.store.inner.log.put_checkpoint(stored.signed.clone()).await?;
        let before = std::mem::replace(&mut self.checkpoint_size, stored.size());
        self.discard_edge(before).await;
        Ok(stored)
    }

    async fn commit_checkpoint(&self, stored: &StoredCheckpoint) -> Result<(), Error> {
        const FORGET: &str = "DELETE FROM log_checkpoints WHERE size <= \
             (SELECT size FROM log_checkpoints ORDER BY size DESC LIMIT 1 OFFSET ?)";
        let head = *stored.checkpoint.head();
        let mut tx = self.store.inner.database.write().await?;
        self.token.check(&mut tx).await?;
        if let Some(newest) = newest(&mut tx).await? {
            if newest.signed == stored.signed {
                return Ok(());
            }
            if head.size <= newest.size() {
                return Err(Error::CheckpointContradicts { size: head.size, newest: newest.size() });
            }
        }
        if !(LogTree { size: head.size, root: head.root }).was_committed(&mut tx).await? {
            return Err(Error::CheckpointTree { size: head.size });
        }
        let query = sqlx::query("UPDATE log_lock SET log_id = ?1 WHERE log_id IS NULL OR log_id = ?1");
        if query.bind(head.log_id.as_slice()).execute(&mut *tx).await?.rows_affected() != 1 {
            return Err(Error::CheckpointLog);
        }
        let query = sqlx::query("INSERT INTO log_checkpoints (size, signed) VALUES (?, ?)");
        query.bind(signed(head.size)).bind(stored.signed.as_ref()).execute(&mut *tx).await?;
        sqlx::query(FORGET).bind(i64::from(KEPT_CHECKPOINTS)).execute(&mut *tx).await?;
        let query = sqlx::query("DELETE FROM log_trees WHERE size < ?").bind(signed(head.size));
        query.execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }
}

impl Store {
    /// The newest checkpoint, if there is one.
    pub async fn latest_checkpoint(&self) -> Result<Option<StoredCheckpoint>, Error> {
        let mut tx = self.inner.database.read().await?;
        newest(&mut tx).await
    }

    /// The oldest checkpoint that covers a leaf, of those that are kept; none if the leaf is not covered yet.
    pub async fn checkpoint_covering(&self, leaf: u64) -> Result<Option<StoredCheckpoint>, Error> {
        let mut tx = self.inner.database.read().await?;
        let query = sqlx::query("SELECT signed FROM log_checkpoints WHERE size > ? ORDER BY size LIMIT 1");
        StoredCheckpoint::from_row(query.bind(signed(leaf)).fetch_optional(&mut *tx).await?)
    }
}
