//! Appending: entries go in, tiles and a root come out.

use super::entries::MAX_ENTRY_BYTES;
use super::frontier::Frontier;
use super::hash::{Hash, leaf_hashes};
use super::source::{NodeSource, TileSet, range_root};
use super::tile::{TILE_HEIGHT, TILE_WIDTH, Tile, edge_tiles};
use super::{LogError, check_size};

/// The state of whoever appends to a log: the tree's right edge, as subtrees and as partial tiles.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sequencer {
    frontier: Frontier,
    /// The hashes of the partial tile of each level.
    edge: Vec<Vec<Hash>>,
}

/// What a batch of entries did to the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// Index of the first entry of the batch; the others follow.
    pub first_index: u64,
    /// Leaves of the tree afterwards.
    pub size: u64,
    /// The root afterwards.
    pub root: Hash,
    /// The tiles that became full and the new partial ones: once they are stored, all proofs of this tree can be
    /// made. Lowest level first.
    pub tiles: Vec<Tile>,
}

impl Sequencer {
    /// An empty log.
    pub fn new() -> Self {
        Self::default()
    }

    /// Goes on with a log of `size` entries, from the tiles that [`edge_tiles`] names.
    ///
    /// # Errors
    /// [`LogError::SizeOutOfRange`] or [`LogError::MissingTile`].
    ///
    /// # Security
    /// Compare [`Sequencer::root`] with that of the last checkpoint before anything is appended: damaged tiles
    /// would fork the log.
    pub fn resume(size: u64, tiles: &TileSet) -> Result<Self, LogError> {
        check_size(size)?;
        let mut edge = Vec::new();
        for id in edge_tiles(size)? {
            let hashes = tiles.get(id.level, id.index).and_then(|t| t.hashes().get(..usize::from(id.width)));
            let hashes = hashes.ok_or_else(|| LogError::MissingTile { path: id.path() })?;
            edge.resize(usize::from(id.level), Vec::new());
            edge.push(hashes.to_vec());
        }
        let heights = (0..u64::BITS).rev().filter(|height| size >> height & 1 == 1);
        let nodes = heights.map(|height| tiles.node(height, (size >> height) - 1));
        let frontier = Frontier::from_subtrees(size, nodes.collect::<Result<_, _>>()?)?;
        debug_assert_eq!(range_root(tiles, 0, size), Ok(frontier.root()));
        Ok(Self { frontier, edge })
    }

    /// Entries of the log.
    pub fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// The root of the tree.
    pub fn root(&self) -> Hash {
        self.frontier.root()
    }

    /// Appends entries, each the whole object as it was sent.
    ///
    /// # Errors
    /// [`LogError::EntryTooLarge`] or [`LogError::SizeOutOfRange`]; nothing is appended then.
    pub fn append<E: AsRef<[u8]>>(&mut self, entries: &[E]) -> Result<Appended, LogError> {
        if let Some(long) = entries.iter().find(|entry| entry.as_ref().len() > MAX_ENTRY_BYTES) {
            let actual_bytes = long.as_ref().len();
            return Err(LogError::EntryTooLarge { max_bytes: MAX_ENTRY_BYTES, actual_bytes });
        }
        self.append_hashes(&leaf_hashes(entries))
    }

    /// Appends entries given by their hashes.
    ///
    /// # Errors
    /// [`LogError::SizeOutOfRange`]; nothing is appended then.
    pub fn append_hashes(&mut self, leaves: &[Hash]) -> Result<Appended, LogError> {
        let first_index = self.size();
        let mut tiles = Vec::new();
        let edge = &mut self.edge;
        self.frontier.extend(leaves, |height, first, hashes| {
            if height % TILE_HEIGHT == 0 && !hashes.is_empty() {
                let level = (height / TILE_HEIGHT) as usize;
                edge.resize(edge.len().max(level + 1), Vec::new());
                cut_tiles(level as u8, first, &mut edge[level], hashes, &mut tiles);
            }
        })?;
        Ok(Appended { first_index, size: self.size(), root: self.root(), tiles })
    }
}

/// Adds hashes to the partial tile of a level, and gives away what became full and what is partial now.
fn cut_tiles(level: u8, first: u64, edge: &mut Vec<Hash>, hashes: &[Hash], tiles: &mut Vec<Tile>) {
    let mut index = first / TILE_WIDTH as u64;
    edge.extend_from_slice(hashes);
    let full = edge.len() - edge.len() % TILE_WIDTH;
    for tile in edge[..full].chunks_exact(TILE_WIDTH) {
        tiles.push(Tile::new(level, index, tile.to_vec()));
        index += 1;
    }
    edge.drain(..full);
    if !edge.is_empty() {
        tiles.push(Tile::new(level, index, edge.clone()));
    }
}
