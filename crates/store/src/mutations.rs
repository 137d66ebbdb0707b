//! Mutations: enrolment and removal.

use crate::database::{insert_rows, number, signed};
use crate::galleries::{GalleryHead, check_manifest, set_manifest};
use crate::log::{self, LogEntry};
use crate::templates::Templates;
use crate::{BlockMutation, Error, MAX_ENTRIES, MAX_ENTRY_BYTES, MAX_RECORD_BYTES, Mutation, Outcome, Store};
use sqlx::{Row, SqliteConnection};
use std::sync::atomic::Ordering;
use tyto_scheme::BlockId;

/// A block's row, as far as a change needs it.
struct BlockHead {
    row: i64,
    version: u64,
    entries: u32,
}

/// Finds a block of a gallery.
async fn block_head(
    connection: &mut SqliteConnection,
    gallery: i64,
    block: BlockId,
) -> Result<BlockHead, Error> {
    const SQL: &str = "SELECT id, version, entries FROM blocks WHERE gallery = ? AND block_id = ?";
    let query = sqlx::query(SQL).bind(gallery).bind(block.0.as_slice());
    let row = query.fetch_optional(connection).await?.ok_or(Error::UnknownBlock(block))?;
    Ok(BlockHead {
        row: row.try_get("id")?,
        version: number(&row, "version", "blocks")?,
        entries: number(&row, "entries", "blocks")?,
    })
}

/// Whether a mutation was made on top of another manifest than the current one.
pub(crate) fn is_conflict(current: u64, proposed: u64) -> bool {
    proposed.checked_sub(1) != Some(current)
}

impl Store {
    /// Applies a mutation in one transaction: everything in it is durable when this returns, or nothing changed.
    ///
    /// Repeating the gallery's latest mutation (same manifest version and bytes) changes nothing and succeeds. After a
    /// removal the write-ahead log is emptied, so that the removed deltas are gone from the files; a reader that is
    /// in the way delays that until the next mutation.
    ///
    /// `entry` is put in the log's outbox by the same transaction, if it commits something new.
    ///
    /// # Errors
    /// [`Error::UnknownGallery`], [`Error::UnknownBlock`], [`Error::BlockVersion`], [`Error::EntryIndex`],
    /// [`Error::SlotUsed`], [`Error::SlotEmpty`], [`Error::SlotRange`], [`Error::DeltaLength`], [`Error::Limit`];
    /// for the entry [`Error::EntryIdUsed`] and as [`Store::add_log_entries`].
    pub async fn apply(&self, mutation: Mutation, entry: Option<&LogEntry>) -> Result<Outcome, Error> {
        check_manifest(&mutation.manifest.sealed)?;
        if mutation.changes.is_empty() {
            return Err(Error::Empty("mutation"));
        }
        let mut tx = self.inner.database.write().await?;
        let head = GalleryHead::find(&mut tx, self.names, mutation.gallery).await?;
        let (current, proposed) = (head.manifest_version, mutation.manifest.version);
        if proposed == current && is_current(&mut tx, head.row, &mutation.manifest.sealed).await? {
            return Ok(Outcome::Repeated { manifest_version: current });
        }
        if is_conflict(current, proposed) {
            return Ok(Outcome::Conflict { current });
        }
        for change in &mutation.changes {
            check_change(&head, change)?;
            apply_change(&mut tx, &head, change, proposed).await?;
        }
        set_manifest(&mut tx, head.row, &mutation.manifest).await?;
        log::add(&mut tx, entry).await?;
        tx.commit().await?;
        self.scrub(mutation.changes.iter().any(|change| !change.removals.is_empty())).await;
        Ok(Outcome::Committed { manifest_version: proposed })
    }

    /// Empties the write-ahead log if deltas were removed, now or when a reader was in the way.
    pub(crate) async fn scrub(&self, removed: bool) {
        let pending = &self.inner.scrub_pending;
        if !removed && !pending.load(Ordering::Relaxed) {
            return;
        }
        pending.store(true, Ordering::Relaxed);
        match self.inner.database.checkpoint().await {
            Ok(true) => pending.store(false, Ordering::Relaxed),
            Ok(false) => tracing::debug!("a reader delays the removal of deltas from the log"),
            Err(error) => tracing::warn!(%error, "the log could not be emptied after a removal"),
        }
    }
}

/// Whether these are the bytes of the current manifest.
async fn is_current(connection: &mut SqliteConnection, gallery: i64, sealed: &[u8]) -> Result<bool, Error> {
    let query = sqlx::query_scalar("SELECT manifest = ? FROM galleries WHERE id = ?");
    Ok(query.bind(sealed).bind(gallery).fetch_one(connection).await?)
}

/// Checks what does not depend on the stored block.
fn check_change(head: &GalleryHead, change: &BlockMutation) -> Result<(), Error> {
    Error::check_limit("record bytes", change.sealed_record.len() as u64, MAX_RECORD_BYTES as u64)?;
    let entries = u64::from(change.first_entry) + change.entries.len() as u64;
    Error::check_limit("slot-map entries of a block", entries, u64::from(MAX_ENTRIES))?;
    for entry in &change.entries {
        Error::check_limit("entry bytes", entry.len() as u64, MAX_ENTRY_BYTES as u64)?;
    }
    let slots = change.writes.iter().map(|write| write.slot).chain(change.removals.iter().copied());
    for slot in slots {
        if slot >= head.slots {
            return Err(Error::SlotRange { slot, slots: head.slots });
        }
    }
    for write in &change.writes {
        let (found, expected) = (write.delta.len(), head.delta_bytes);
        if found != expected {
            return Err(Error::DeltaLength { slot: write.slot, found, expected });
        }
    }
    Ok(())
}

async fn apply_change(
    connection: &mut SqliteConnection,
    head: &GalleryHead,
    change: &BlockMutation,
    manifest_version: u64,
) -> Result<(), Error> {
    const SQL: &str = "UPDATE blocks SET version = version + 1, entries = entries + ?, \
         filled = filled + ?, used = used + ?, changed_at = ?, record = ? WHERE id = ?";
    let block = change.block;
    let stored = block_head(connection, head.row, block).await?;
    if stored.version != change.base_version {
        return Err(Error::BlockVersion { block, current: stored.version, found: change.base_version });
    }
    if stored.entries != change.first_entry {
        return Err(Error::EntryIndex { block, expected: stored.entries, found: change.first_entry });
    }
    let templates = Templates::of(head.row);
    templates.remove(connection, stored.row, change).await?;
    templates.write(connection, stored.row, change).await?;
    append_entries(connection, stored.row, change).await?;
    let (writes, removals) = (change.writes.len() as i64, change.removals.len() as i64);
    let query = sqlx::query(SQL).bind(change.entries.len() as i64).bind(writes - removals).bind(writes);
    let query = query.bind(signed(manifest_version)).bind(change.sealed_record.as_ref()).bind(stored.row);
    query.execute(connection).await?;
    Ok(())
}

async fn append_entries(
    connection: &mut SqliteConnection,
    block_row: i64,
    change: &BlockMutation,
) -> Result<(), Error> {
    const INSERT: &str = "INSERT INTO entries (block, idx, sealed)";
    let rows: Vec<(u32, &[u8])> =
        (change.first_entry..).zip(change.entries.iter().map(AsRef::as_ref)).collect();
    insert_rows(connection, INSERT, 3, &rows, |query, &(index, sealed)| {
        query.bind(block_row).bind(i64::from(index)).bind(sealed)
    })
    .await?;
    Ok(())
}
