//! Tiles: how the nodes of the log are stored (C2SP tlog-tiles, height 8).
//!
//! A tile of level `l` and index `n` holds the hashes of the nodes of height `8 l` with the indices `256 n` to
//! `256 n + 255`, one after the other; the nodes between are computed. The last tile of each level may be
//! partial: it has fewer hashes and a name of its own, and is never changed.

use super::hash::{HASH_BYTES, Hash};
use super::{LogError, check_size};

/// Levels of the tree that one tile spans.
pub const TILE_HEIGHT: u32 = 8;

/// Hashes of a full tile.
pub const TILE_WIDTH: usize = 1 << TILE_HEIGHT;

/// Names a tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileId {
    /// 0 for the tiles of leaves.
    pub level: u8,
    /// Place within the level.
    pub index: u64,
    /// Hashes in the tile, 1 to [`TILE_WIDTH`].
    pub width: u16,
}

impl TileId {
    /// The tile of this place in a tree of `size` leaves, if the tree reaches it.
    pub fn in_tree(level: u8, index: u64, size: u64) -> Option<Self> {
        let nodes = size.checked_shr(TILE_HEIGHT * u32::from(level)).unwrap_or(0);
        let here = nodes.saturating_sub(index.saturating_mul(TILE_WIDTH as u64)).min(TILE_WIDTH as u64);
        (here > 0).then_some(Self { level, index, width: here as u16 })
    }

    /// The least tile that has all it takes to compute a node, and the hashes of it that are needed: the first
    /// and how many.
    pub fn of_node(height: u32, index: u64) -> (Self, usize, usize) {
        let (level, within) = (height / TILE_HEIGHT, height % TILE_HEIGHT);
        let first = index << within;
        let (offset, count) = (first % TILE_WIDTH as u64, 1 << within);
        let width = (offset + count) as u16;
        (
            Self { level: level as u8, index: first / TILE_WIDTH as u64, width },
            offset as usize,
            count as usize,
        )
    }

    /// Whether the tile has all its hashes.
    pub fn is_full(self) -> bool {
        usize::from(self.width) == TILE_WIDTH
    }

    /// Where the tile is stored: `tile/<level>/<index>`, and `.p/<width>` after it if it is partial. The index
    /// is written in groups of three digits, each but the last with an `x` before it: `x001/x234/067`.
    pub fn path(self) -> String {
        self.path_in(&self.level.to_string())
    }

    /// Where the entries under a tile of level 0 are stored: `tile/entries/<index>`.
    pub fn entries_path(self) -> String {
        self.path_in("entries")
    }

    fn path_in(self, level: &str) -> String {
        let mut groups = format!("{:03}", self.index % 1000);
        let mut rest = self.index / 1000;
        while rest > 0 {
            groups = format!("x{:03}/{groups}", rest % 1000);
            rest /= 1000;
        }
        let partial = if self.is_full() { String::new() } else { format!(".p/{}", self.width) };
        format!("tile/{level}/{groups}{partial}")
    }

    /// Reads what [`TileId::path`] wrote.
    ///
    /// # Errors
    /// [`LogError::TilePath`] for anything else.
    pub fn parse(path: &str) -> Result<Self, LogError> {
        let id = Self::parse_loosely(path).ok_or(LogError::TilePath)?;
        if id.path() == path { Ok(id) } else { Err(LogError::TilePath) }
    }

    /// Reads more than is written; the caller compares.
    fn parse_loosely(path: &str) -> Option<Self> {
        let (level, rest) = path.strip_prefix("tile/")?.split_once('/')?;
        let (groups, width) = match rest.split_once(".p/") {
            Some((groups, width)) => (groups, width.parse().ok()?),
            None => (rest, TILE_WIDTH as u16),
        };
        let mut index = 0_u64;
        for group in groups.split('/') {
            let digits = group.strip_prefix('x').unwrap_or(group);
            index = index.checked_mul(1000)?.checked_add(digits.parse().ok()?)?;
        }
        ((1..=TILE_WIDTH as u16).contains(&width)).then_some(Self {
            level: level.parse().ok()?,
            index,
            width,
        })
    }
}

/// A tile with its hashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    id: TileId,
    hashes: Vec<Hash>,
}

impl Tile {
    pub(super) fn new(level: u8, index: u64, hashes: Vec<Hash>) -> Self {
        Self { id: TileId { level, index, width: hashes.len() as u16 }, hashes }
    }

    /// Reads the bytes of a stored tile.
    ///
    /// # Errors
    /// [`LogError::WrongTileSize`].
    pub fn from_bytes(id: TileId, bytes: &[u8]) -> Result<Self, LogError> {
        let expected_bytes = usize::from(id.width) * HASH_BYTES;
        let (hashes, rest) = bytes.as_chunks::<HASH_BYTES>();
        if hashes.len() == usize::from(id.width) && rest.is_empty() {
            return Ok(Self { id, hashes: hashes.to_vec() });
        }
        Err(LogError::WrongTileSize { path: id.path(), expected_bytes, actual_bytes: bytes.len() })
    }

    /// The bytes to store: the hashes one after the other.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.hashes.concat()
    }

    /// Which tile it is.
    pub fn id(&self) -> TileId {
        self.id
    }

    /// Its hashes.
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }
}

/// The partial tiles at the right edge of a tree of `size` leaves, lowest level first: with the size, all that a
/// restart needs.
///
/// # Errors
/// [`LogError::SizeOutOfRange`].
pub fn edge_tiles(size: u64) -> Result<Vec<TileId>, LogError> {
    check_size(size)?;
    let levels = (0..8_u8).map(|level| (level, size >> (TILE_HEIGHT * u32::from(level))));
    let partial = levels.filter(|(_, nodes)| nodes % TILE_WIDTH as u64 != 0);
    Ok(partial
        .map(|(level, nodes)| TileId {
            level,
            index: nodes / TILE_WIDTH as u64,
            width: (nodes % TILE_WIDTH as u64) as u16,
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_tlog_tiles() {
        let cases = [
            (TileId { level: 0, index: 0, width: 256 }, "tile/0/000"),
            (TileId { level: 1, index: 999, width: 255 }, "tile/1/999.p/255"),
            (TileId { level: 2, index: 1000, width: 256 }, "tile/2/x001/000"),
            (TileId { level: 0, index: 1_234_067, width: 112 }, "tile/0/x001/x234/067.p/112"),
        ];
        for (id, path) in cases {
            assert_eq!(id.path(), path);
            assert_eq!(TileId::parse(path), Ok(id));
        }
        assert_eq!(cases[3].0.entries_path(), "tile/entries/x001/x234/067.p/112");
        for wrong in [
            "",
            "tile/0",
            "tile/0/0",
            "tile/0/x001",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/00/000",
            "tile/0/x000/001",
            "tile/0/+01",
            "tile/256/000",
        ] {
            assert_eq!(TileId::parse(wrong), Err(LogError::TilePath), "{wrong}");
        }
    }

    #[test]
    fn the_edge_of_a_tree_is_its_partial_tiles() {
        let id = |level, index, width| TileId { level, index, width };
        assert_eq!(edge_tiles(0), Ok(vec![]));
        assert_eq!(edge_tiles(255), Ok(vec![id(0, 0, 255)]));
        assert_eq!(edge_tiles(256), Ok(vec![id(1, 0, 1)]));
        assert_eq!(edge_tiles(70_000), Ok(vec![id(0, 273, 112), id(1, 1, 17), id(2, 0, 1)]));
        assert_eq!(TileId::in_tree(1, 1, 70_000), Some(id(1, 1, 17)));
        assert_eq!(TileId::in_tree(1, 0, 70_000), Some(id(1, 0, 256)));
        assert_eq!(TileId::in_tree(1, 2, 70_000), None);
        assert_eq!(TileId::in_tree(9, 0, 70_000), None);
    }
}
