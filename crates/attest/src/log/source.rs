//! Where proofs take the nodes of a tree from.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::hash::{Hash, empty_root, node_hash, parents};
use super::tile::{TILE_HEIGHT, Tile, TileId};
use super::{LogError, check_size, consistency_proof, inclusion_proof};

/// Gives the nodes of perfect subtrees: the node of height `h` and index `i` covers the leaves `i 2^h` to
/// `(i + 1) 2^h - 1`.
pub trait NodeSource {
    /// The node, all of whose leaves are in the tree.
    ///
    /// # Errors
    /// Whatever keeps the source from giving it, such as [`LogError::MissingTile`].
    fn node(&self, height: u32, index: u64) -> Result<Hash, LogError>;
}

/// The root of the leaves from `start` to before `end`, as a subtree of the tree's shape (RFC 9162 section
/// 2.1.1: `MTH(D[start:end])`).
///
/// # Errors
/// [`LogError::SizeOutOfRange`] and what the source says. `start` must be a multiple of the largest power of two
/// that does not exceed `end - start`, as it is in every proof; otherwise the result has no meaning.
pub fn range_root<S: NodeSource + ?Sized>(source: &S, start: u64, end: u64) -> Result<Hash, LogError> {
    check_size(end)?;
    // The perfect subtrees from left to right, largest first, then folded from the right.
    let mut subtrees = Vec::new();
    let mut at = start;
    while at < end {
        let height = (end - at).ilog2();
        subtrees.push(source.node(height, at >> height)?);
        at += 1 << height;
    }
    let from_right = subtrees.into_iter().rev();
    Ok(from_right.reduce(|right, left| node_hash(&left, &right)).unwrap_or_else(empty_root))
}

/// Tiles in memory, found by level and index. A wider tile replaces a narrower one.
#[derive(Debug, Clone, Default)]
pub struct TileSet(BTreeMap<(u8, u64), Tile>);

impl TileSet {
    /// No tiles.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a tile, unless a wider one of its place is there.
    pub fn insert(&mut self, tile: Tile) {
        let place = (tile.id().level, tile.id().index);
        if self.0.get(&place).is_none_or(|known| known.hashes().len() <= tile.hashes().len()) {
            self.0.insert(place, tile);
        }
    }

    /// The tile of this place.
    pub fn get(&self, level: u8, index: u64) -> Option<&Tile> {
        self.0.get(&(level, index))
    }
}

impl Extend<Tile> for TileSet {
    fn extend<I: IntoIterator<Item = Tile>>(&mut self, tiles: I) {
        tiles.into_iter().for_each(|tile| self.insert(tile));
    }
}

impl FromIterator<Tile> for TileSet {
    fn from_iter<I: IntoIterator<Item = Tile>>(tiles: I) -> Self {
        let mut set = Self::new();
        set.extend(tiles);
        set
    }
}

impl NodeSource for TileSet {
    fn node(&self, height: u32, index: u64) -> Result<Hash, LogError> {
        let (id, first, count) = TileId::of_node(height, index);
        let missing = || LogError::MissingTile { path: id.path() };
        let tile = self.get(id.level, id.index).ok_or_else(missing)?;
        let mut nodes = tile.hashes().get(first..first + count).ok_or_else(missing)?.to_vec();
        for _ in 0..height % TILE_HEIGHT {
            nodes = parents(&nodes);
        }
        Ok(nodes[0])
    }
}

/// The tiles that an inclusion proof in the tree of `size` leaves is made from, as they are stored for a tree of
/// `stored_size` leaves: what to fetch before [`inclusion_proof`] is called.
///
/// # Errors
/// As [`inclusion_proof`]; [`LogError::SizesReversed`] if `stored_size` is below `size`.
pub fn tiles_for_inclusion(index: u64, size: u64, stored_size: u64) -> Result<Vec<TileId>, LogError> {
    needed(size, stored_size, |source| inclusion_proof(source, index, size))
}

/// The tiles that a consistency proof is made from, as [`tiles_for_inclusion`].
///
/// # Errors
/// As [`consistency_proof`]; [`LogError::SizesReversed`] if `stored_size` is below `new_size`.
pub fn tiles_for_consistency(
    old_size: u64,
    new_size: u64,
    stored_size: u64,
) -> Result<Vec<TileId>, LogError> {
    needed(new_size, stored_size, |source| consistency_proof(source, old_size, new_size))
}

/// The tiles that something asks for when it makes a proof.
fn needed(
    size: u64,
    stored_size: u64,
    prove: impl FnOnce(&Asked) -> Result<Vec<Hash>, LogError>,
) -> Result<Vec<TileId>, LogError> {
    if stored_size < size {
        return Err(LogError::SizesReversed { old_size: size, new_size: stored_size });
    }
    let asked = Asked { stored_size, tiles: RefCell::default() };
    prove(&asked)?;
    Ok(asked.tiles.into_inner().into_iter().collect())
}

/// A source that has no nodes and remembers in which tiles they would be.
struct Asked {
    stored_size: u64,
    tiles: RefCell<BTreeSet<TileId>>,
}

impl NodeSource for Asked {
    fn node(&self, height: u32, index: u64) -> Result<Hash, LogError> {
        let (id, _, _) = TileId::of_node(height, index);
        self.tiles.borrow_mut().extend(TileId::in_tree(id.level, id.index, self.stored_size));
        Ok(Hash::default())
    }
}
