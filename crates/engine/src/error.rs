use tyto_scheme::BlockId;

/// Why a change was refused. Nothing was installed.
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The change was made on top of another state: someone else was first.
    #[error("the gallery is at manifest version {current}")]
    Stale {
        /// The version that the gallery is at.
        current: u64,
    },
    /// The gallery has no such block (caller).
    #[error("the gallery has no block {0}")]
    UnknownBlock(BlockId),
    /// A block appears twice in one change, or is provisioned a second time (caller).
    #[error("block {0} appears twice")]
    DuplicateBlock(BlockId),
    /// A slot that the change writes was written before, or is written twice by it (caller).
    #[error("slot {slot} of block {block} was written before")]
    SlotUsed {
        /// The block.
        block: BlockId,
        /// The slot.
        slot: u16,
    },
    /// A slot that the change removes holds no template (caller).
    #[error("slot {slot} of block {block} holds no template")]
    SlotEmpty {
        /// The block.
        block: BlockId,
        /// The slot.
        slot: u16,
    },
    /// The appended slot-map entries do not begin where the block's end (caller).
    #[error("entries of block {block} are appended at {expected}, not {found}")]
    EntryIndex {
        /// The block.
        block: BlockId,
        /// First entry of the change.
        found: u32,
        /// Entries that the block has.
        expected: u32,
    },
    /// The change would copy too much of the gallery at once (caller).
    #[error("the change rewrites {found_bytes} bytes of blocks, the limit is {max_bytes}")]
    TooLarge {
        /// Bytes of the blocks that the change touches.
        found_bytes: usize,
        /// The limit.
        max_bytes: usize,
    },
    /// A slot, delta or polynomial does not fit the gallery's layout (caller).
    #[error(transparent)]
    Scheme(#[from] tyto_scheme::Error),
}
