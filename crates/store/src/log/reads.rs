//! What readers of the log ask for. None of it needs the lease.

use super::objects::damaged;
use super::{LogEntryId, LogTree};
use crate::database::{array, number};
use crate::{Error, Store};
use bytes::Bytes;
use tyto_attest::log::{
    EntryBundle, HASH_BYTES, Hash, TILE_WIDTH, Tile, TileId, TileSet, consistency_proof, inclusion_proof,
    tiles_for_consistency, tiles_for_inclusion,
};

/// How often an object is looked up that a writer replaced by a wider one meanwhile.
const READ_ATTEMPTS: u32 = 8;

/// Where an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogPlace {
    /// In the outbox.
    Waiting,
    /// In the tree, as the leaf of this index.
    Leaf(u64),
}

impl Store {
    /// The tree as it was last committed. It may be larger than the newest checkpoint: do not give its root away.
    pub async fn log_tree(&self) -> Result<LogTree, Error> {
        let mut tx = self.inner.database.read().await?;
        LogTree::current(&mut tx).await
    }

    /// Where an entry is; none if no such entry was committed.
    pub async fn log_place(&self, id: LogEntryId) -> Result<Option<LogPlace>, Error> {
        Ok(self.log_entry_of(id).await?.map(|(place, _)| place))
    }

    /// Where an entry is that goes by its content alone, as [`LogEntryId::of_leaf`] has it; none if there is no such
    /// entry.
    pub async fn log_place_of(&self, leaf: &Hash) -> Result<Option<LogPlace>, Error> {
        let found = self.log_entry_of(LogEntryId::of_leaf(leaf)).await?;
        Ok(found.filter(|(_, digest)| digest == leaf).map(|(place, _)| place))
    }

    /// Where an entry is, and its leaf hash.
    async fn log_entry_of(&self, id: LogEntryId) -> Result<Option<(LogPlace, Hash)>, Error> {
        const SQL: &str = "SELECT -1 AS leaf, digest FROM log_outbox WHERE entry_id = ?1 \
             UNION ALL SELECT leaf, digest FROM log_leaves WHERE entry_id = ?1";
        let mut tx = self.inner.database.read().await?;
        let Some(row) = sqlx::query(SQL).bind(id.0.as_slice()).fetch_optional(&mut *tx).await? else {
            return Ok(None);
        };
        let place = match number::<i64>(&row, "leaf", "log_leaves")? {
            -1 => LogPlace::Waiting,
            _ => LogPlace::Leaf(number(&row, "leaf", "log_leaves")?),
        };
        Ok(Some((place, array(&row, "digest", "log_leaves")?)))
    }

    /// How many entries wait in the outbox.
    pub async fn log_waiting(&self) -> Result<u64, Error> {
        let mut tx = self.inner.database.read().await?;
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM log_outbox").fetch_one(&mut *tx).await?;
        Ok(count as u64)
    }

    /// A tile, full or partial. Partial ones that were replaced by wider ones are cut from those.
    ///
    /// # Errors
    /// [`Error::UnknownTile`] if the tree does not reach it; [`Error::Corrupt`].
    pub async fn log_tile(&self, id: TileId) -> Result<Tile, Error> {
        let mut size = self.log_tree().await?.size;
        self.tile_of(id, &mut size).await
    }

    /// A tile of the tree that had this size a while ago. If an object is gone because the tree grew, the size is read
    /// again.
    async fn tile_of(&self, id: TileId, size: &mut u64) -> Result<Tile, Error> {
        for _ in 0..READ_ATTEMPTS {
            if let Some(tile) = self.inner.log.tile(reaching(id, *size)?).await? {
                return Ok(Tile::from_bytes(id, &tile.to_bytes()[..usize::from(id.width) * HASH_BYTES])?);
            }
            *size = self.log_tree().await?.size;
        }
        Err(damaged(id))
    }

    /// The bundle of entries under a tile of level 0, as [`EntryBundle`] reads it.
    ///
    /// # Errors
    /// As [`Store::log_tile`].
    pub async fn log_entries(&self, id: TileId) -> Result<Bytes, Error> {
        let id = TileId { level: 0, ..id };
        for _ in 0..READ_ATTEMPTS {
            let stored = reaching(id, self.log_tree().await?.size)?;
            if let Some(bundle) = self.inner.log.bundle(stored).await? {
                let entries = EntryBundle::entries(&bundle, stored.width).map_err(|_| damaged(id))?;
                let length_bytes = size_of::<u16>();
                let kept = entries.iter().take(usize::from(id.width));
                let end: usize = kept.map(|entry| length_bytes + entry.len()).sum();
                return Ok(bundle.slice(..end));
            }
        }
        Err(damaged(id))
    }

    /// An entry.
    ///
    /// # Errors
    /// As [`Store::log_tile`].
    pub async fn log_entry(&self, index: u64) -> Result<Bytes, Error> {
        let (tile, within) = (index / TILE_WIDTH as u64, (index % TILE_WIDTH as u64) as u16);
        let id = TileId { level: 0, index: tile, width: within + 1 };
        let bundle = self.log_entries(id).await?;
        let entries = EntryBundle::entries(&bundle, id.width).map_err(|_| damaged(id))?;
        entries.last().map(|entry| bundle.slice_ref(entry)).ok_or_else(|| damaged(id))
    }

    /// The hashes that lead from a leaf to the root of a tree of `size` leaves.
    ///
    /// # Errors
    /// [`Error::Log`] for a leaf or a tree that is not there; [`Error::Corrupt`].
    pub async fn log_inclusion_proof(&self, index: u64, size: u64) -> Result<Vec<Hash>, Error> {
        let wanted = tiles_for_inclusion(index, size, self.log_tree().await?.size)?;
        Ok(inclusion_proof(&self.log_tiles(&wanted).await?, index, size)?)
    }

    /// The hashes that show that the tree of `new_size` leaves extends the one of `old_size`.
    ///
    /// # Errors
    /// As [`Store::log_inclusion_proof`].
    pub async fn log_consistency_proof(&self, old_size: u64, new_size: u64) -> Result<Vec<Hash>, Error> {
        let wanted = tiles_for_consistency(old_size, new_size, self.log_tree().await?.size)?;
        Ok(consistency_proof(&self.log_tiles(&wanted).await?, old_size, new_size)?)
    }

    /// These tiles.
    ///
    /// # Errors
    /// As [`Store::log_tile`].
    pub async fn log_tiles(&self, ids: &[TileId]) -> Result<TileSet, Error> {
        let (mut tiles, mut size) = (TileSet::new(), self.log_tree().await?.size);
        for id in ids {
            tiles.insert(self.tile_of(*id, &mut size).await?);
        }
        Ok(tiles)
    }
}

/// The tile of a tree of `size` leaves that has what `id` has.
fn reaching(id: TileId, size: u64) -> Result<TileId, Error> {
    let stored = TileId::in_tree(id.level, id.index, size).filter(|stored| stored.width >= id.width);
    stored.ok_or(Error::UnknownTile { level: id.level, index: id.index, width: id.width })
}
