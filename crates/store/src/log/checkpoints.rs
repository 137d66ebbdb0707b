//! Signed checkpoints: stored before anyone sees them, and never contradicted.
//!
//! A checkpoint is committed in the database, then put as an object, then marked as published: only from then on do
//! readers see it. What a failure or a crash leaves unfinished is finished by the writer's next step, or by the next
//! writer.

use super::lease::LogToken;
use super::{LogTree, LogWriter, kept};
use crate::database::{array, bytes, signed};
use crate::{Error, Object, Store};
use bytes::Bytes;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;
use tyto_attest::log::verify_consistency;
use tyto_attest::{Checkpoint, Error as AttestError, MAX_PUBLISHED_CHECKPOINT_BYTES, TreeHead};

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

    fn new(checkpoint: Checkpoint) -> Result<Self, Error> {
        let signed = Bytes::from(checkpoint.encode());
        let max = MAX_PUBLISHED_CHECKPOINT_BYTES as u64;
        Error::check_limit("checkpoint bytes", signed.len() as u64, max)?;
        Ok(Self { checkpoint, signed })
    }

    /// With the co-signatures of a copy of it. Another signature of the same tree is no copy and adds nothing.
    fn joined(&self, other: &Self) -> Result<Self, Error> {
        let mut checkpoint = self.checkpoint.clone();
        match checkpoint.join_cosignatures(&other.checkpoint) {
            Ok(()) | Err(AttestError::InvalidSignature { .. }) => Self::new(checkpoint),
            Err(_) => {
                let [known, more] = [self, other].map(|stored| stored.signed.len() as u64);
                let (found, max) = (known + more, MAX_PUBLISHED_CHECKPOINT_BYTES as u64);
                Err(Error::Limit { what: "bytes of a checkpoint with its co-signatures", found, max })
            }
        }
    }

    pub(super) fn parse(signed: Bytes) -> Result<Self, Error> {
        let checkpoint = Checkpoint::parse(&signed).map_err(|_| Error::Corrupt(Object::Checkpoint))?;
        Ok(Self { checkpoint, signed })
    }

    /// Puts the object of the newest committed checkpoint, and then lets readers see it.
    async fn publish(&self, store: &Store, token: &LogToken) -> Result<(), Error> {
        store.inner.log.put_checkpoint(self.signed.clone()).await?;
        let mut tx = store.inner.database.write().await?;
        token.check(&mut tx).await?;
        let query = sqlx::query("UPDATE log_lock SET published_size = ?");
        query.bind(signed(self.size())).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Whether it has the tree of this head, whoever signed it and when.
    fn is_of_tree(&self, head: &TreeHead) -> bool {
        let own = self.checkpoint.head();
        (own.log_id, own.size, own.root) == (head.log_id, head.size, head.root)
    }

    /// Whether the log has not forgotten it: it is of the tree of the newest checkpoint, or of an earlier one that the
    /// stored tree extends.
    async fn is_extended_by(&self, newest: &Self, store: &Store, tree: LogTree) -> Result<bool, Error> {
        let (own, newest) = (self.checkpoint.head(), newest.checkpoint.head());
        if own.log_id != newest.log_id || own.size >= newest.size {
            return Ok(self.is_of_tree(newest));
        }
        let proof = store.log_consistency_proof(own.size, tree.size).await?;
        Ok(verify_consistency(own.size, &own.root, tree.size, &tree.root, &proof).is_ok())
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

/// The checkpoint of this size, if it is kept.
async fn of_size(connection: &mut SqliteConnection, size: u64) -> Result<Option<StoredCheckpoint>, Error> {
    let query = sqlx::query("SELECT signed FROM log_checkpoints WHERE size = ?").bind(signed(size));
    StoredCheckpoint::from_row(query.fetch_optional(connection).await?)
}

/// Compares the newest checkpoint of the database with the object, which is put after it, and puts the object again if
/// it is older or was never put. The object must be of the tree that is stored: otherwise the database was replaced by
/// an older copy, and whatever it appended would contradict what was published. Returns what the newest one says.
pub(super) async fn reconcile(
    store: &Store,
    token: &LogToken,
    tree: LogTree,
) -> Result<Option<TreeHead>, Error> {
    let mut tx = store.inner.database.read().await?;
    let newest = newest(&mut tx).await?;
    let published: i64 =
        sqlx::query_scalar("SELECT published_size FROM log_lock").fetch_one(&mut *tx).await?;
    drop(tx);
    let object = store.inner.log.checkpoint().await?.map(StoredCheckpoint::parse).transpose()?;
    let size = |checkpoint: &Option<StoredCheckpoint>| checkpoint.as_ref().map_or(0, StoredCheckpoint::size);
    let (database_size, published_size) = (size(&newest), size(&object));
    let rolled_back = Error::LogRolledBack { database_size, published_size };
    match (&newest, &object) {
        // What stood there is unknown: it may have been newer than this database.
        (_, None) if published > 0 => return Err(Error::Corrupt(Object::Checkpoint)),
        (None, Some(_)) => return Err(rolled_back),
        (Some(newest), Some(object)) if !object.is_extended_by(newest, store, tree).await? => {
            return Err(rolled_back);
        }
        _ => {}
    }
    let Some(newest) = newest else { return Ok(None) };
    newest.publish(store, token).await?;
    Ok(Some(*newest.checkpoint.head()))
}

/// A checkpoint that is committed and not known to be published yet.
pub(super) struct Unpublished {
    stored: StoredCheckpoint,
    /// Size of the checkpoint before it, whose partial tiles are needed no more afterwards.
    before: u64,
}

impl LogWriter {
    /// Publishes a signed checkpoint of a tree that was committed: in the database, then as an object. Returns what was
    /// published: hand out this, and only this.
    ///
    /// There is one checkpoint of a tree. If it is there already, another signature of the tree (of a call whose answer
    /// was lost) changes nothing, and the one that is there is returned. The same signature with co-signatures that it
    /// lacks adds them to it, also to an older one that is kept. Whoever calls has verified them.
    ///
    /// After a failure the checkpoint may or may not be committed. It is published, if it is, by the next call of this
    /// or of [`LogWriter::append`]; [`LogWriter::tree_to_sign`] does not offer its tree again once it is known to be
    /// committed.
    ///
    /// # Errors
    /// [`Error::LogFenced`]; [`Error::Limit`] if it is larger than [`MAX_PUBLISHED_CHECKPOINT_BYTES`], alone or with the
    /// co-signatures that are there; [`Error::CheckpointContradicts`] if there is one of this size and another root, or
    /// a larger one; [`Error::CheckpointTime`] if it is earlier than the newest one; [`Error::CheckpointTree`] if no
    /// such tree was committed since the newest checkpoint; [`Error::CheckpointLog`] if it is of another log than those
    /// before.
    pub async fn publish(&mut self, checkpoint: &Checkpoint) -> Result<StoredCheckpoint, Error> {
        let stored = self.commit_checkpoint(StoredCheckpoint::new(checkpoint.clone())?).await?;
        if self.newest.is_some_and(|newest| stored.size() < newest.size) {
            return Ok(stored);
        }
        let before = self.newest.replace(*stored.checkpoint.head()).map_or(0, |head| head.size);
        self.unpublished = Some(Unpublished { stored: stored.clone(), before });
        self.finish_publishing().await?;
        Ok(stored)
    }

    /// Publishes the checkpoint that was committed and not published, if there is one.
    pub(super) async fn finish_publishing(&mut self) -> Result<(), Error> {
        let Some(Unpublished { stored, before }) = &self.unpublished else { return Ok(()) };
        let before = *before;
        stored.publish(&self.store, &self.token).await?;
        self.unpublished = None;
        self.discard_edge(before).await;
        Ok(())
    }

    /// Commits a checkpoint, unless there is one of its tree. Returns the one that there is.
    async fn commit_checkpoint(&self, stored: StoredCheckpoint) -> Result<StoredCheckpoint, Error> {
        let head = *stored.checkpoint.head();
        let mut tx = self.store.inner.database.write().await?;
        self.token.check(&mut tx).await?;
        if let Some(known) = of_size(&mut tx, head.size).await?
            && known.is_of_tree(&head)
        {
            let joined = known.joined(&stored)?;
            let query = sqlx::query("UPDATE log_checkpoints SET signed = ? WHERE size = ?");
            query.bind(joined.signed.as_ref()).bind(signed(head.size)).execute(&mut *tx).await?;
            tx.commit().await?;
            return Ok(joined);
        }
        if let Some(newest) = newest(&mut tx).await? {
            if head.size <= newest.size() {
                return Err(Error::CheckpointContradicts { size: head.size, newest: newest.size() });
            }
            let (time_unix_ms, newest_unix_ms) = (head.time_unix_ms, newest.checkpoint.head().time_unix_ms);
            if time_unix_ms < newest_unix_ms {
                return Err(Error::CheckpointTime { time_unix_ms, newest_unix_ms });
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
        kept::thin(&mut tx).await?;
        let query = sqlx::query("DELETE FROM log_trees WHERE size < ?").bind(signed(head.size));
        query.execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(stored)
    }
}

impl Store {
    /// Names the log, if it has no name yet, and gives the name that it has: checkpoints of another log are refused from
    /// here on, and so entries may name it before the first checkpoint.
    pub async fn name_log(&self, log_id: [u8; 32]) -> Result<[u8; 32], Error> {
        let mut tx = self.inner.database.write().await?;
        let query = sqlx::query("UPDATE log_lock SET log_id = ? WHERE log_id IS NULL");
        query.bind(log_id.as_slice()).execute(&mut *tx).await?;
        let row = sqlx::query("SELECT log_id FROM log_lock").fetch_one(&mut *tx).await?;
        tx.commit().await?;
        array(&row, "log_id", "log_lock")
    }

    /// The newest checkpoint that is published, if there is one.
    pub async fn latest_checkpoint(&self) -> Result<Option<StoredCheckpoint>, Error> {
        const SQL: &str = "SELECT signed FROM log_checkpoints \
             WHERE size <= (SELECT published_size FROM log_lock) ORDER BY size DESC LIMIT 1";
        let mut tx = self.inner.database.read().await?;
        StoredCheckpoint::from_row(sqlx::query(SQL).fetch_optional(&mut *tx).await?)
    }

    /// The oldest published checkpoint that covers a leaf, of those that are kept: the earliest time that can be proven
    /// of it. None if the leaf is not covered yet.
    pub async fn checkpoint_covering(&self, leaf: u64) -> Result<Option<StoredCheckpoint>, Error> {
        const SQL: &str = "SELECT signed FROM log_checkpoints \
             WHERE size > ? AND size <= (SELECT published_size FROM log_lock) ORDER BY size LIMIT 1";
        let mut tx = self.inner.database.read().await?;
        let query = sqlx::query(SQL);
        StoredCheckpoint::from_row(query.bind(signed(leaf)).fetch_optional(&mut *tx).await?)
    }
}
