//! Going through a whole log: every entry, every tile, every tree that was signed. What is read comes step by step, so
//! that a log of any size needs little memory.

use super::frontier::Frontier;
use super::hash::{Hash, empty_root, leaf_hashes};
use super::tile::{TILE_HEIGHT, TILE_WIDTH, Tile, TileId};
use super::{EntryBundle, LogError, check_size};

/// Entries of one step: those under one tile of level 0.
const STEP_ENTRIES: u64 = TILE_WIDTH as u64;

/// The first thing that is wrong with a log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("entry {index}: {problem}")]
pub struct AuditFault {
    /// The first entry that is not what was logged, or that cannot be told to be.
    pub index: u64,
    /// What is wrong there.
    pub problem: AuditProblem,
}

/// What is wrong with a log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuditProblem {
    /// An object of the tree is not there.
    #[error("{path} is missing")]
    Missing {
        /// Where it ought to be.
        path: String,
    },
    /// A tile has another length than its name says.
    #[error("{0}")]
    TileSize(LogError),
    /// A bundle of entries breaks off within an entry, or goes on after the last one.
    #[error("{path} breaks off or goes on here")]
    Entries {
        /// Where it is.
        path: String,
    },
    /// The entry was altered: the tile that has its hash leads to what is above it.
    #[error("the entry is not the one that was logged: {path} has another hash for it")]
    Entry {
        /// The tile.
        path: String,
    },
    /// A tile was altered: the entries lead to what is above it.
    #[error("hash {position} of {path} is not that of the entries")]
    Tile {
        /// The tile.
        path: String,
        /// Place of the hash in the tile.
        position: u64,
    },
    /// Entry and tile differ, and neither leads to what is above them.
    #[error("the entry and its hash in {path} differ, and neither leads to the tree")]
    EntryAndTile {
        /// The tile.
        path: String,
    },
    /// Entries and tiles agree with each other and not with a tree that was signed. All that is known of the entries
    /// from this one on is that they are not those that were signed for.
    #[error("from here on the entries do not lead to the root of the signed tree of {size} entries")]
    Tree {
        /// Entries of that tree.
        size: u64,
    },
    /// A tree that was signed is larger than the log.
    #[error("the log ends here, and a tree of {size} entries was signed")]
    TooShort {
        /// Entries of that tree.
        size: u64,
    },
}

impl AuditProblem {
    /// A short name of what was checked, for programs.
    pub fn check(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "missing",
            Self::TileSize(_) => "tile-size",
            Self::Entries { .. } => "entries",
            Self::Entry { .. } => "entry",
            Self::Tile { .. } => "tile",
            Self::EntryAndTile { .. } => "entry-and-tile",
            Self::Tree { .. } => "root",
            Self::TooShort { .. } => "size",
        }
    }
}

/// The stored bytes of a tile or of the entries under it. `id` may be of a wider tile of the same place than the one
/// that was asked for: it begins with the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Under which name it was found.
    pub id: TileId,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// The tiles of one step: the one of level 0, and those above that begin with it. Beside the first one, the entries
/// under it are needed.
pub fn audit_step(step: u64, size: u64) -> Vec<TileId> {
    let levels = 0..=(u64::BITS / TILE_HEIGHT) as u8;
    let begins_here = |level: &u8| step.trailing_zeros() >= TILE_HEIGHT * u32::from(*level);
    levels
        .take_while(begins_here)
        .map_while(|level| {
            let index = step.checked_shr(TILE_HEIGHT * u32::from(level)).unwrap_or(0);
            TileId::in_tree(level, index, size)
        })
        .collect()
}

/// How many steps a log of `size` entries takes.
pub fn audit_steps(size: u64) -> u64 {
    size.div_ceil(STEP_ENTRIES)
}

/// An audit on its way.
#[derive(Debug)]
pub struct Audit {
    size: u64,
    step: u64,
    frontier: Frontier,
    /// Trees that were signed and are still to come: smallest last.
    trees: Vec<(u64, Hash)>,
    /// Up to where a signed tree has confirmed the entries.
    confirmed: u64,
    /// The present tile of each level from 1.
    above: Vec<Option<Tile>>,
    entry_bytes: u64,
}

impl Audit {
    /// An audit of the log whose tree of `size` entries has the root `root`, and which extends the trees of `earlier`,
    /// given by size and root.
    ///
    /// # Errors
    /// [`AuditProblem::TooShort`] if an earlier tree is larger; [`AuditProblem::Tree`] for a tree without entries that
    /// has another root than that.
    pub fn new(size: u64, root: Hash, earlier: &[(u64, Hash)]) -> Result<Self, AuditFault> {
        let fault = |problem| AuditFault { index: size, problem };
        check_size(size).map_err(|_| fault(AuditProblem::TooShort { size }))?;
        if let Some((larger, _)) = earlier.iter().find(|(earlier, _)| *earlier > size) {
            return Err(fault(AuditProblem::TooShort { size: *larger }));
        }
        let mut trees: Vec<_> = earlier.iter().copied().chain([(size, root)]).collect();
        trees.sort_unstable_by_key(|(size, _)| core::cmp::Reverse(*size));
        let mut audit = Self {
            size,
            step: 0,
            frontier: Frontier::new(),
            trees,
            confirmed: 0,
            above: Vec::new(),
            entry_bytes: 0,
        };
        audit.check_trees()?;
        Ok(audit)
    }

    /// Entries that were gone through.
    pub fn entries(&self) -> u64 {
        self.frontier.size()
    }

    /// Bytes of these entries.
    pub fn entry_bytes(&self) -> u64 {
        self.entry_bytes
    }

    /// Goes through the next step: its entries, and its tiles in the order of [`audit_step`]. Gives the entries.
    ///
    /// # Errors
    /// What is wrong with the first entry that is not what was logged.
    ///
    /// # Panics
    /// If there is no further step, or the tiles are not those of [`audit_step`].
    pub fn feed<'e>(
        &mut self,
        entries: Option<&'e Stored>,
        tiles: &[Option<Stored>],
    ) -> Result<Vec<&'e [u8]>, AuditFault> {
        let wanted = audit_step(self.step, self.size);
        assert_eq!(wanted.len(), tiles.len(), "the tiles of the step");
        let first = self.step * STEP_ENTRIES;
        let fault = |problem| AuditFault { index: first, problem };
        let mut read = wanted.iter().zip(tiles).map(|(id, stored)| read_tile(*id, stored.as_ref()));
        let tile = read.next().expect("a step has a tile of level 0").map_err(fault)?;
        for (level, above) in read.enumerate() {
            self.above.resize(self.above.len().max(level + 1), None);
            self.above[level] = Some(above.map_err(fault)?);
        }
        let entries = self.check_entries(entries, &tile)?;
        self.append(tile.hashes())?;
        self.step += 1;
        Ok(entries)
    }

    /// Compares entries with their hashes in the tile.
    fn check_entries<'e>(
        &mut self,
        stored: Option<&'e Stored>,
        tile: &Tile,
    ) -> Result<Vec<&'e [u8]>, AuditFault> {
        let (first, path) = (self.step * STEP_ENTRIES, tile.id().entries_path());
        let fault = |at: usize, problem| AuditFault { index: first + at as u64, problem };
        let Some(stored) = stored else { return Err(fault(0, AuditProblem::Missing { path })) };
        let wanted = usize::from(tile.id().width);
        let (mut entries, is_whole) = EntryBundle::readable(&stored.bytes, stored.id.width);
        let is_whole = is_whole || entries.len() >= wanted && stored.id.width > tile.id().width;
        entries.truncate(wanted);
        let hashes = leaf_hashes(&entries);
        if let Some(at) = hashes.iter().zip(tile.hashes()).position(|(computed, listed)| computed != listed) {
            return Err(fault(at, self.whose_fault(at, &hashes, tile)));
        }
        if !is_whole || entries.len() < wanted {
            return Err(fault(entries.len().min(wanted - 1), AuditProblem::Entries { path }));
        }
        self.entry_bytes += entries.iter().map(|entry| entry.len() as u64).sum::<u64>();
        Ok(entries)
    }

    /// Which of the two is wrong where an entry does not have the hash that the tile lists: the one that does not lead
    /// to what is above them.
    fn whose_fault(&self, at: usize, computed: &[Hash], tile: &Tile) -> AuditProblem {
        let path = tile.id().path();
        if self.leads_on(tile.hashes(), tile.id()) {
            return AuditProblem::Entry { path };
        }
        if self.leads_on(computed, tile.id()) {
            return AuditProblem::Tile { path, position: at as u64 };
        }
        AuditProblem::EntryAndTile { path }
    }

    /// Whether these leaves are those of the node in the tile above, or, at the edge, of the tree.
    fn leads_on(&self, leaves: &[Hash], id: TileId) -> bool {
        if leaves.len() != usize::from(id.width) {
            return false;
        }
        let mut frontier = if id.is_full() { Frontier::new() } else { self.frontier.clone() };
        if frontier.extend(leaves, |_, _, _| {}).is_err() {
            return false;
        }
        if !id.is_full() {
            return self.trees.first().is_some_and(|(_, root)| *root == frontier.root());
        }
        let above = self.above.first().and_then(Option::as_ref);
        above.and_then(|above| above.hashes().get(self.step as usize % TILE_WIDTH)) == Some(&frontier.root())
    }

    /// Appends leaves, and compares every node and every tree that they complete.
    fn append(&mut self, mut leaves: &[Hash]) -> Result<(), AuditFault> {
        while !leaves.is_empty() {
            let to_tree = self.trees.last().map_or(u64::MAX, |(size, _)| size - self.frontier.size());
            let (now, later) =
                leaves.split_at(leaves.len().min(usize::try_from(to_tree).unwrap_or(usize::MAX)));
            let (above, mut wrong) = (&self.above, None);
            let extended = self.frontier.extend(now, |height, first, nodes| {
                if height > 0 && height % TILE_HEIGHT == 0 {
                    let tile = above.get((height / TILE_HEIGHT) as usize - 1).and_then(Option::as_ref);
                    let found = tile.and_then(|tile| wrong_node(tile, height, first, nodes));
                    wrong = wrong.take().or(found);
                }
            });
            debug_assert!(extended.is_ok(), "the size was checked at the beginning");
            wrong.map_or(Ok(()), Err)?;
            self.check_trees()?;
            leaves = later;
        }
        Ok(())
    }

    /// Compares the root with those of the trees of the present size.
    fn check_trees(&mut self) -> Result<(), AuditFault> {
        let size = self.frontier.size();
        while let Some((_, root)) = self.trees.pop_if(|(of, _)| *of == size) {
            let actual = if size == 0 { empty_root() } else { self.frontier.root() };
            if actual != root {
                return Err(AuditFault { index: self.confirmed, problem: AuditProblem::Tree { size } });
            }
            self.confirmed = size;
        }
        Ok(())
    }
}

/// The first of these nodes that is not the one in the tile.
fn wrong_node(tile: &Tile, height: u32, first: u64, nodes: &[Hash]) -> Option<AuditFault> {
    let position = |at: usize| first as usize % TILE_WIDTH + at;
    let at = (0..nodes.len()).find(|at| tile.hashes().get(position(*at)) != Some(&nodes[*at]))?;
    let problem = AuditProblem::Tile { path: tile.id().path(), position: position(at) as u64 };
    Some(AuditFault { index: (first + at as u64) << height, problem })
}

fn read_tile(id: TileId, stored: Option<&Stored>) -> Result<Tile, AuditProblem> {
    let stored = stored.ok_or_else(|| AuditProblem::Missing { path: id.path() })?;
    let tile = Tile::from_bytes(stored.id, &stored.bytes).map_err(AuditProblem::TileSize)?;
    let hashes = tile.hashes().get(..usize::from(id.width));
    Ok(Tile::new(
        id.level,
        id.index,
        hashes.ok_or_else(|| AuditProblem::Missing { path: id.path() })?.to_vec(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{Sequencer, TileSet};

    #[test]
    fn each_tile_is_asked_for_once_where_it_begins() {
        for size in [0, 1, 255, 256, 257, 65_535, 65_536, 70_000, 140_000] {
            let mut sequencer = Sequencer::new();
            let tiles: TileSet =
                sequencer.append_hashes(&vec![[7; 32]; size as usize]).unwrap().tiles.into_iter().collect();
            let asked: Vec<_> = (0..audit_steps(size)).flat_map(|step| audit_step(step, size)).collect();
            for id in &asked {
                assert_eq!(tiles.get(id.level, id.index).map(Tile::id), Some(*id), "{size}");
            }
            let levels = (0..4_u32).map(|level| (size >> (8 * level)).div_ceil(256));
            assert_eq!(asked.len() as u64, levels.sum::<u64>(), "{size}");
            assert!(audit_step(audit_steps(size), size).is_empty());
        }
    }
}
