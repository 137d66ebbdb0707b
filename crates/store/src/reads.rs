//! Reads: loading at start, slot-map entries, deltas, lists.

use crate::database::{array, bytes, number};
use crate::galleries::GalleryHead;
use crate::names::Names;
use crate::templates::Templates;
use crate::{
    BlockRow, Error, FilledSlot, MAX_DELTAS_PER_CALL, MAX_TEMPLATES_PER_PAGE, Store, StoredDelta,
    TemplateCursor, TemplateLocation,
};
use bytes::Bytes;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, SqliteConnection};
use tyto_scheme::{BlockId, GalleryId, Pseudonym, UploadId};

/// Finds a gallery's templates and the row of a block.
async fn find_block(
    connection: &mut SqliteConnection,
    names: Names,
    gallery: GalleryId,
    block: BlockId,
) -> Result<(Templates, i64), Error> {
    const SQL: &str = "SELECT id FROM blocks WHERE gallery = ? AND block_id = ?";
    let head = GalleryHead::find(connection, names, gallery).await?;
    let query = sqlx::query_scalar(SQL).bind(head.row).bind(block.0.as_slice());
    let row = query.fetch_optional(connection).await?.ok_or(Error::UnknownBlock(block))?;
    Ok((Templates::of(head.row), row))
}

fn slot_of(row: &SqliteRow) -> Result<u16, Error> {
    number(row, "slot", "templates")
}

impl Store {
    /// The blocks of a gallery in order of provisioning. At most [`crate::MAX_BLOCKS`] rows with their records,
    /// which a server keeps in memory anyway; templates and entries are read block by block.
    pub async fn load_blocks(&self, gallery: GalleryId) -> Result<Vec<BlockRow>, Error> {
        const TABLE: &str = "blocks";
        const SQL: &str = "SELECT b.block_id, b.ordinal, s.upload_id, b.index_in_segment, b.version, b.entries, \
             b.filled, b.used, b.changed_at, b.record FROM blocks b JOIN segments s ON s.id = b.segment \
             WHERE b.gallery = ? ORDER BY b.ordinal";
        let mut tx = self.inner.database.read().await?;
        let head = GalleryHead::find(&mut tx, self.names, gallery).await?;
        let rows = sqlx::query(SQL).bind(head.row).fetch_all(&mut *tx).await?;
        let parse = |row: SqliteRow| {
            Ok(BlockRow {
                block: BlockId(array(&row, "block_id", TABLE)?),
                ordinal: number(&row, "ordinal", TABLE)?,
                segment: UploadId(array(&row, "upload_id", "segments")?),
                index_in_segment: number(&row, "index_in_segment", TABLE)?,
                version: number(&row, "version", TABLE)?,
                entries: number(&row, "entries", TABLE)?,
                filled: number(&row, "filled", TABLE)?,
                used: number(&row, "used", TABLE)?,
                changed_at: number(&row, "changed_at", TABLE)?,
                sealed_record: bytes(&row, "record")?,
            })
        };
        rows.into_iter().map(parse).collect()
    }

    /// The filled slots of one block in order; at most 2,048.
    pub async fn load_deltas(&self, gallery: GalleryId, block: BlockId) -> Result<Vec<FilledSlot>, Error> {
        let mut tx = self.inner.database.read().await?;
        let (templates, row) = find_block(&mut tx, self.names, gallery, block).await?;
        let sql = format!(
            "SELECT slot, subject, delta FROM {templates} WHERE block = ? AND filled = 1 ORDER BY slot"
        );
        let parse = |row: SqliteRow| {
            Ok(FilledSlot {
                slot: slot_of(&row)?,
                subject: Pseudonym(array(&row, "subject", "templates")?),
                delta: bytes(&row, "delta")?,
            })
        };
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(row).fetch_all(&mut *tx).await?;
        rows.into_iter().map(parse).collect()
    }

    /// The slots of one block whose templates were removed, in order.
    pub async fn burnt_slots(&self, gallery: GalleryId, block: BlockId) -> Result<Vec<u16>, Error> {
        let mut tx = self.inner.database.read().await?;
        let (templates, row) = find_block(&mut tx, self.names, gallery, block).await?;
        let sql = format!("SELECT slot FROM {templates} WHERE block = ? AND filled = 0 ORDER BY slot");
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(row).fetch_all(&mut *tx).await?;
        rows.iter().map(slot_of).collect()
    }

    /// Sealed slot-map entries of a block, from index `from` to before `to`, or fewer if the map is shorter.
    pub async fn entries(
        &self,
        gallery: GalleryId,
        block: BlockId,
        from: u32,
        to: u32,
    ) -> Result<Vec<Bytes>, Error> {
        const SQL: &str = "SELECT sealed FROM entries WHERE block = ? AND idx >= ? AND idx < ? ORDER BY idx";
        let mut tx = self.inner.database.read().await?;
        let (_, row) = find_block(&mut tx, self.names, gallery, block).await?;
        let query = sqlx::query(SQL).bind(row).bind(i64::from(from)).bind(i64::from(to));
        query.fetch_all(&mut *tx).await?.iter().map(|row| bytes(row, "sealed")).collect()
    }

    /// Deltas with their tags, in order of slot. Slots that hold no template are left out.
    ///
    /// # Errors
    /// [`Error::Limit`] for more than [`MAX_DELTAS_PER_CALL`] slots.
    pub async fn deltas(
        &self,
        gallery: GalleryId,
        block: BlockId,
        slots: &[u16],
    ) -> Result<Vec<StoredDelta>, Error> {
        Error::check_limit("slots in a call", slots.len() as u64, MAX_DELTAS_PER_CALL as u64)?;
        let mut tx = self.inner.database.read().await?;
        let (templates, row) = find_block(&mut tx, self.names, gallery, block).await?;
        // Only the number of question marks depends on the input.
        let sql = format!(
            "SELECT slot, delta, tag FROM {templates} WHERE block = ? AND filled = 1 AND slot IN ({}) \
             ORDER BY slot",
            vec!["?"; slots.len()].join(", ")
        );
        let query = sqlx::query(AssertSqlSafe(sql)).persistent(false).bind(row);
        let query = slots.iter().fold(query, |query, &slot| query.bind(i64::from(slot)));
        let parse = |row: SqliteRow| {
            Ok(StoredDelta {
                slot: slot_of(&row)?,
                delta: bytes(&row, "delta")?,
                tag: array(&row, "tag", "templates")?,
            })
        };
        query.fetch_all(&mut *tx).await?.into_iter().map(parse).collect()
    }

    /// The templates of a gallery in order of block and slot, after `after`; a cursor if there are more.
    pub async fn list_templates(
        &self,
        gallery: GalleryId,
        after: Option<TemplateCursor>,
        limit: u32,
    ) -> Result<(Vec<TemplateLocation>, Option<TemplateCursor>), Error> {
        let limit = limit.clamp(1, MAX_TEMPLATES_PER_PAGE);
        let (ordinal, slot) = after.map_or((0, -1), |a| (i64::from(a.ordinal), i64::from(a.slot)));
        let mut tx = self.inner.database.read().await?;
        let head = GalleryHead::find(&mut tx, self.names, gallery).await?;
        let sql = format!(
            "SELECT b.ordinal, b.block_id, t.slot, t.subject FROM blocks b CROSS JOIN {} t ON t.block = b.id \
             WHERE b.gallery = ?1 AND b.ordinal >= ?2 AND (b.ordinal > ?2 OR t.slot > ?3) AND t.filled = 1 \
             ORDER BY b.ordinal, t.slot LIMIT ?4",
            Templates::of(head.row)
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(head.row).bind(ordinal).bind(slot);
        let query = query.bind(i64::from(limit) + 1);
        let mut rows = query.fetch_all(&mut *tx).await?;
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let parse = |row: &SqliteRow| {
            Ok(TemplateLocation {
                subject: Pseudonym(array(row, "subject", "templates")?),
                block: BlockId(array(row, "block_id", "blocks")?),
                slot: slot_of(row)?,
            })
        };
        let cursor = |row: &SqliteRow| {
            Ok::<_, Error>(TemplateCursor { ordinal: number(row, "ordinal", "blocks")?, slot: slot_of(row)? })
        };
        let next = if more { rows.last().map(cursor).transpose()? } else { None };
        Ok((rows.iter().map(parse).collect::<Result<_, Error>>()?, next))
    }
}
