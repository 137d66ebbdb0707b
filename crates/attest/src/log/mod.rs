//! The append-only log: a Merkle tree of the shape of RFC 9162 section 2.1 with SHA3-256.
//!
//! Everything here is pure. A sequencer keeps a [`Sequencer`] in memory, appends batches of entries to it and
//! stores the [`Tile`]s that come out (the shape of C2SP tlog-tiles); proofs are made from those tiles through
//! a [`NodeSource`]. Verification needs hashes and numbers only.

mod audit;
mod consistency;
mod entries;
mod frontier;
mod hash;
mod inclusion;
mod sequencer;
mod source;
mod tile;

pub use audit::{Audit, AuditFault, AuditProblem, Stored, audit_step, audit_steps};
pub use consistency::{
    consistency_proof, consistency_proof_length, root_from_consistency, verify_consistency,
};
pub use entries::{EntryBundle, MAX_ENTRY_BYTES};
pub use frontier::Frontier;
pub use hash::{HASH_BYTES, Hash, empty_root, leaf_hash, leaf_hashes, node_hash};
pub use inclusion::{inclusion_proof, inclusion_proof_length, root_from_inclusion, verify_inclusion};
pub use sequencer::{Appended, Sequencer};
pub use source::{NodeSource, TileSet, range_root, tiles_for_consistency, tiles_for_inclusion};
pub use tile::{TILE_HEIGHT, TILE_WIDTH, Tile, TileId, edge_tiles};

/// Most entries of a log: so many that every index and every size fits a signed 64-bit integer.
pub const MAX_LOG_SIZE: u64 = 1 << 62;

/// What is wrong with a proof, a tile or a bundle of entries of the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// There is no such leaf in a tree of this size.
    #[error("leaf {index} is not in a tree of {size} leaves")]
    IndexOutOfRange {
        /// The leaf asked for.
        index: u64,
        /// Leaves of the tree.
        size: u64,
    },
    /// A tree larger than any log.
    #[error("a tree of {size} leaves is larger than any log")]
    SizeOutOfRange {
        /// The size claimed.
        size: u64,
    },
    /// The earlier tree is larger than the later one.
    #[error("the earlier tree has {old_size} leaves, the later one only {new_size}")]
    SizesReversed {
        /// Leaves of the tree that ought to be the earlier one.
        old_size: u64,
        /// Leaves of the tree that ought to be the later one.
        new_size: u64,
    },
    /// The proof has more or fewer hashes than a proof for these numbers has.
    #[error("the proof has {actual} hashes, {expected} are needed")]
    WrongProofLength {
        /// The only right number.
        expected: usize,
        /// The number found.
        actual: usize,
    },
    /// The inclusion proof leads to another root.
    #[error("the inclusion proof leads to another root")]
    WrongRoot,
    /// The consistency proof does not lead to the root of the earlier tree.
    #[error("the consistency proof does not lead to the earlier root")]
    WrongOldRoot,
    /// The consistency proof does not lead to the root of the later tree.
    #[error("the consistency proof does not lead to the later root")]
    WrongNewRoot,
    /// A tile has another size than its place in a tree gives it.
    #[error("tile {path}: {actual_bytes} bytes, expected {expected_bytes}")]
    WrongTileSize {
        /// Where the tile is stored.
        path: String,
        /// The only right size.
        expected_bytes: usize,
        /// The size found.
        actual_bytes: usize,
    },
    /// A proof or a restart needs a tile that the source does not have.
    #[error("tile {path} is needed and not there")]
    MissingTile {
        /// Where the tile is stored.
        path: String,
    },
    /// The path does not name a tile.
    #[error("not the path of a tile")]
    TilePath,
    /// An entry is longer than a bundle of entries can hold.
    #[error("an entry of {actual_bytes} bytes, at most {max_bytes} are permitted")]
    EntryTooLarge {
        /// The limit.
        max_bytes: usize,
        /// The length found.
        actual_bytes: usize,
    },
    /// A bundle of entries ends within an entry, has another number of entries than its name says, or bytes
    /// after the last one.
    #[error("a bundle of entries breaks off or goes on after {entries} entries")]
    MalformedEntries {
        /// Entries that were read.
        entries: usize,
    },
}

/// Checks that a log can have this size.
fn check_size(size: u64) -> Result<(), LogError> {
    if size <= MAX_LOG_SIZE { Ok(()) } else { Err(LogError::SizeOutOfRange { size }) }
}

impl LogError {
    /// The name of the check that failed, as [`crate::Error::check`] has it.
    pub(crate) fn check(&self) -> &'static str {
        match self {
            Self::IndexOutOfRange { .. } | Self::SizeOutOfRange { .. } | Self::SizesReversed { .. } => {
                "leaf-index"
            }
            Self::WrongProofLength { .. } => "proof-length",
            Self::WrongRoot | Self::WrongNewRoot => "root",
            Self::WrongOldRoot => "old-root",
            Self::WrongTileSize { .. }
            | Self::MissingTile { .. }
            | Self::TilePath
            | Self::EntryTooLarge { .. }
            | Self::MalformedEntries { .. } => "tiles",
        }
    }
}
