//! Moving entries from the outbox into the tree.

use super::checkpoints::Unpublished;
use super::lease::LogToken;
use super::objects::{cut_bundles, damaged};
use super::outbox::{self, Waiting};
use super::{LogTree, MAX_BATCH_ENTRIES, checkpoints};
use crate::database::{insert_rows, signed};
use crate::{Error, Store, blocking};
use bytes::Bytes;
use sqlx::SqliteConnection;
use std::ops::Range;
use tyto_attest::TreeHead;
use tyto_attest::log::{Appended, EntryBundle, Sequencer, TileId, TileSet, edge_tiles, leaf_hashes};

/// The one that appends to the log, while its token is good. Several calls at a time are not possible; reading needs
/// no writer.
pub struct LogWriter {
    pub(super) store: Store,
    pub(super) token: LogToken,
    edge: Edge,
    /// What the newest checkpoint says that was committed.
    pub(super) newest: Option<TreeHead>,
    pub(super) unpublished: Option<Unpublished>,
    /// Entries of the tree that is being signed, 0 without one.
    signing_size: u64,
}

/// The right edge of the log: its tree, and the entries under the partial tile of level 0.
#[derive(Clone)]
struct Edge {
    sequencer: Sequencer,
    bundle: Vec<u8>,
}

/// A batch that is ready to be stored.
struct Batch {
    after: Edge,
    appended: Appended,
    bundles: Vec<(TileId, Bytes)>,
    entries: Vec<Waiting>,
}

impl Edge {
    /// Appends a batch to a copy of the edge.
    fn extended(&self, entries: Vec<Waiting>) -> Result<Batch, Error> {
        let mut after = self.clone();
        let bundles = cut_bundles(after.sequencer.size(), &mut after.bundle, &entries)?;
        let appended = after.sequencer.append(&entries)?;
        Ok(Batch { after, appended, bundles, entries })
    }

    /// Reads the edge of a tree and checks it against the root.
    async fn read(store: &Store, tree: LogTree) -> Result<Self, Error> {
        let objects = &store.inner.log;
        let (mut tiles, mut bundle) = (TileSet::new(), Vec::new());
        for id in edge_tiles(tree.size)? {
            let tile = objects.tile(id).await?.ok_or_else(|| damaged(id))?;
            if id.level == 0 {
                let bytes = objects.bundle(id).await?.ok_or_else(|| damaged(id))?;
                let entries = EntryBundle::entries(&bytes, id.width).map_err(|_| damaged(id))?;
                if leaf_hashes(&entries) != tile.hashes() {
                    return Err(damaged(id));
                }
                bundle = bytes.to_vec();
            }
            tiles.insert(tile);
        }
        let sequencer = Sequencer::resume(tree.size, &tiles)?;
        if sequencer.root() != tree.root {
            return Err(Error::LogRoot { size: tree.size });
        }
        Ok(Self { sequencer, bundle })
    }
}

impl Store {
    /// Goes on with the log where it was left, after checking that the stored tiles have the root that was committed,
    /// and that the database does not know less than was published.
    ///
    /// # Errors
    /// [`Error::LogFenced`]; [`Error::LogRoot`], [`Error::LogRolledBack`] or [`Error::Corrupt`] if what is stored
    /// does not agree, or the newest checkpoint is missing as an object: nothing may be appended then.
    pub async fn resume_log(&self, token: LogToken) -> Result<LogWriter, Error> {
        let mut tx = self.inner.database.read().await?;
        token.check(&mut tx).await?;
        let tree = LogTree::current(&mut tx).await?;
        drop(tx);
        let edge = Edge::read(self, tree).await?;
        let newest = checkpoints::reconcile(self, &token, tree).await?;
        Ok(LogWriter { store: self.clone(), token, edge, newest, unpublished: None, signing_size: 0 })
    }
}

impl LogWriter {
    /// The tree as this writer last committed it.
    pub fn tree(&self) -> LogTree {
        LogTree { size: self.edge.sequencer.size(), root: self.edge.sequencer.root() }
    }

    /// The tree to sign next, whose partial tiles are kept from here on; none if the newest checkpoint is of it already.
    pub fn tree_to_sign(&mut self) -> Option<LogTree> {
        let tree = self.tree();
        self.signing_size = tree.size;
        (tree.size > self.checkpoint_size()).then_some(tree)
    }

    /// The earliest time that the next checkpoint can have: that of the newest one, 0 without one. Sign with the later
    /// of this and now, so that a clock that was set back keeps nobody waiting.
    pub fn earliest_time_unix_ms(&self) -> u64 {
        self.newest.map_or(0, |head| head.time_unix_ms)
    }

    /// Entries of the newest checkpoint that was committed, 0 without one.
    fn checkpoint_size(&self) -> u64 {
        self.newest.map_or(0, |head| head.size)
    }

    /// The token.
    pub fn token(&self) -> LogToken {
        self.token
    }

    /// Moves up to `max_entries` of the outbox (at most [`MAX_BATCH_ENTRIES`]) into the tree, oldest first. Returns the
    /// indices of the new leaves; none if the outbox is empty. A checkpoint that [`LogWriter::publish`] left behind is
    /// published first.
    ///
    /// Bundles and tiles are put and synced first, then one transaction commits the tree, the places of the entries
    /// and their departure from the outbox.
    ///
    /// # Errors
    /// [`Error::LogFenced`] if the token is void. [`Error::LogOutOfStep`] if the log is not where this writer left it,
    /// because an earlier commit took effect whose answer was lost: resume.
    pub async fn append(&mut self, max_entries: u32) -> Result<Range<u64>, Error> {
        self.finish_publishing().await?;
        let before = self.edge.sequencer.size();
        let Some(batch) = self.next_batch(max_entries).await? else { return Ok(before..before) };
        let objects = &self.store.inner.log;
        for (id, bundle) in &batch.bundles {
            objects.put_bundle(*id, bundle.clone()).await?;
        }
        for tile in &batch.appended.tiles {
            objects.put_tile(tile).await?;
        }
        self.commit(&batch).await?;
        self.edge = batch.after;
        self.discard_edge(before).await;
        Ok(before..batch.appended.size)
    }

    /// Reads a batch in one snapshot with the state of the log: what the next leaves are is the same for everyone.
    async fn next_batch(&self, max_entries: u32) -> Result<Option<Batch>, Error> {
        let mut tx = self.store.inner.database.read().await?;
        self.check(&mut tx).await?;
        let entries = outbox::oldest(&mut tx, max_entries.min(MAX_BATCH_ENTRIES)).await?;
        drop(tx);
        if entries.is_empty() {
            return Ok(None);
        }
        let edge = self.edge.clone();
        blocking(move || edge.extended(entries)).await.map(Some)
    }

    /// Checks, within a transaction, that this is still the writer and that the log is where it left it.
    pub(super) async fn check(&self, connection: &mut SqliteConnection) -> Result<(), Error> {
        self.token.check(connection).await?;
        let (found, expected) = (LogTree::current(connection).await?, self.tree());
        if found == expected {
            return Ok(());
        }
        Err(Error::LogOutOfStep { expected: expected.size, found: found.size })
    }

    async fn commit(&self, batch: &Batch) -> Result<(), Error> {
        let Appended { first_index, size, root, .. } = batch.appended;
        let mut tx = self.store.inner.database.write().await?;
        self.check(&mut tx).await?;
        let deleted = outbox::delete(&mut tx, &batch.entries).await?;
        if deleted != batch.entries.len() as u64 {
            return Err(Error::LogOutOfStep { expected: size, found: first_index + deleted });
        }
        let rows: Vec<_> = (first_index..size).zip(&batch.entries).collect();
        insert_rows(
            &mut tx,
            "INSERT INTO log_leaves (entry_id, leaf, digest)",
            3,
            &rows,
            |query, (leaf, e)| query.bind(e.id.0.to_vec()).bind(signed(*leaf)).bind(e.digest.to_vec()),
        )
        .await?;
        let query = sqlx::query("INSERT INTO log_trees (size, root) VALUES (?, ?)");
        query.bind(signed(size)).bind(root.as_slice()).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Deletes the partial tiles at the edge of a smaller tree, unless they are at the edge of this one, of the newest
    /// checkpoint or of the one to come: wider ones hold the same.
    pub(super) async fn discard_edge(&self, size: u64) {
        // Sizes that were committed are no larger than a log.
        let edge = |size| edge_tiles(size).unwrap_or_default();
        let kept = [self.tree().size, self.checkpoint_size(), self.signing_size].map(edge).concat();
        for id in edge(size).into_iter().filter(|id| !kept.contains(id)) {
            self.store.inner.log.discard(id).await;
        }
    }
}

impl std::fmt::Debug for LogWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogWriter")
            .field("token", &self.token)
            .field("tree", &self.tree())
            .finish_non_exhaustive()
    }
}
