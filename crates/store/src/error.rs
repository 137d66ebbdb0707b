//! Why a call did not do what it was asked.

use crate::LogEntryId;
use std::io;
use std::path::{Path, PathBuf};
use tyto_attest::log::LogError;
use tyto_scheme::{BlockId, GalleryId, TicketId, UploadId};

/// Why a call did not do what it was asked. Whose fault it is: [`Error::fault`].
///
/// A mutation that merely came second is no error but [`crate::Outcome::Conflict`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such gallery.
    #[error("there is no gallery {0}")]
    UnknownGallery(GalleryId),
    /// There is a gallery of this id with other content.
    #[error("gallery {0} exists with other content")]
    GalleryExists(GalleryId),
    /// A gallery of this id was deleted; ids are not used again.
    #[error("gallery id {0} belonged to a gallery that was deleted")]
    GalleryDeleted(GalleryId),
    /// The gallery has no such block.
    #[error("the gallery has no block {0}")]
    UnknownBlock(BlockId),
    /// There is no such upload in this gallery.
    #[error("there is no upload {0} in this gallery")]
    UnknownUpload(UploadId),
    /// There is no such ticket, or its bytes are gone because it was used or expired.
    #[error("there is no ticket {0}")]
    UnknownTicket(TicketId),
    /// A ticket of this id was put before, with other content or already used.
    #[error("ticket id {0} was used before")]
    TicketExists(TicketId),
    /// A ticket's use is finished that was not begun.
    #[error("no use of ticket {0} was begun")]
    TicketNotBegun(TicketId),
    /// An upload is continued with another gallery, size or digest than it was begun with.
    #[error("upload {upload} was begun with another {field}")]
    UploadMismatch {
        /// The upload.
        upload: UploadId,
        /// What differs.
        field: &'static str,
    },
    /// The bytes appended do not continue where the upload stands.
    #[error("upload {upload} continues at byte {expected}, not {found}")]
    UploadOffset {
        /// The upload.
        upload: UploadId,
        /// Bytes received so far.
        expected: u64,
        /// The offset given.
        found: u64,
    },
    /// The upload is not complete.
    #[error("upload {upload} has {received} of {total} bytes")]
    UploadIncomplete {
        /// The upload.
        upload: UploadId,
        /// Bytes received so far.
        received: u64,
        /// Bytes announced.
        total: u64,
    },
    /// The bytes received do not have the announced digest. They are deleted; the upload stands at byte 0.
    #[error("upload {0} does not have the digest that was announced")]
    UploadDigest(UploadId),
    /// The upload was committed before, with other records or another manifest.
    #[error("upload {0} is committed already, with other content")]
    UploadCommitted(UploadId),
    /// Something is larger than its limit, or more numerous.
    #[error("{what}: {found} is over the limit of {max}")]
    Limit {
        /// What is limited, with its unit.
        what: &'static str,
        /// What was asked for.
        found: u64,
        /// The limit.
        max: u64,
    },
    /// Something is empty that must not be.
    #[error("{0} is empty")]
    Empty(&'static str),
    /// The gallery has a block of this id already, or a commit names it twice.
    #[error("the gallery has a block {0} already")]
    DuplicateBlock(BlockId),
    /// A change is based on another version of the block than the one that is current, although the manifest is.
    #[error("block {block} has version {current}, the change is based on {found}")]
    BlockVersion {
        /// The block.
        block: BlockId,
        /// Its version.
        current: u64,
        /// The base version given.
        found: u64,
    },
    /// Slot-map entries do not continue where the block's map ends.
    #[error("the slot map of block {block} ends at entry {expected}, not {found}")]
    EntryIndex {
        /// The block.
        block: BlockId,
        /// Entries that it has.
        expected: u32,
        /// The index given.
        found: u32,
    },
    /// The slot was written before. It may be filled or burnt.
    #[error("slot {slot} of block {block} was written before")]
    SlotUsed {
        /// The block.
        block: BlockId,
        /// The slot.
        slot: u16,
    },
    /// The slot to remove holds no template.
    #[error("slot {slot} of block {block} holds no template")]
    SlotEmpty {
        /// The block.
        block: BlockId,
        /// The slot.
        slot: u16,
    },
    /// The slot number is past the end of the block.
    #[error("slot {slot} is out of range: a block has {slots}")]
    SlotRange {
        /// The slot.
        slot: u16,
        /// Slots of a block of this gallery.
        slots: u16,
    },
    /// A delta does not have the bytes that the gallery's layout needs.
    #[error("the delta of slot {slot} has {found} bytes, not {expected}")]
    DeltaLength {
        /// The slot.
        slot: u16,
        /// Bytes found.
        found: usize,
        /// Bytes expected.
        expected: usize,
    },
    /// An entry of the log has the id of another one with other bytes.
    #[error("log entry id {0} was used before")]
    EntryIdUsed(LogEntryId),
    /// The log is so far behind that no further entry may wait.
    #[error("{max} entries wait to be appended to the log: no more are accepted")]
    OutboxFull {
        /// The limit.
        max: u64,
    },
    /// Someone else has the lease on the log.
    #[error("the log is held by another writer until {until_ms}")]
    LogHeld {
        /// When the lease runs out, in Unix milliseconds.
        until_ms: u64,
    },
    /// Someone else acquired the lease on the log since: this writer is superseded.
    #[error("this writer of the log, epoch {epoch}, is superseded by epoch {current}")]
    LogFenced {
        /// The epoch of the caller.
        epoch: u64,
        /// The epoch of now.
        current: u64,
    },
    /// The log is not where its writer left it.
    #[error("the log has {found} entries, its writer knows of {expected}")]
    LogOutOfStep {
        /// What the writer expects.
        expected: u64,
        /// What is stored.
        found: u64,
    },
    /// The stored tiles do not have the root that was committed.
    #[error("the tiles of the log do not have the committed root of {size} entries")]
    LogRoot {
        /// Entries of the log.
        size: u64,
    },
    /// The object store has a checkpoint that is no part of the log in the database: the database was replaced by an
    /// older copy.
    #[error(
        "a checkpoint of {published_size} entries was published, and is no part of the log, with one of {database_size}"
    )]
    LogRolledBack {
        /// Size of the newest checkpoint in the database, 0 without one.
        database_size: u64,
        /// Size of the checkpoint that was published, 0 without one.
        published_size: u64,
    },
    /// A checkpoint of this size and another root, or of a larger one, was published.
    #[error("a checkpoint of {newest} entries was published: another one of {size} is refused")]
    CheckpointContradicts {
        /// Size of the one that is refused.
        size: u64,
        /// Size of the newest one.
        newest: u64,
    },
    /// A checkpoint is earlier than the newest one.
    #[error("a checkpoint of {time_unix_ms} is earlier than the newest one, of {newest_unix_ms}")]
    CheckpointTime {
        /// Its time, in Unix milliseconds.
        time_unix_ms: u64,
        /// Time of the newest one.
        newest_unix_ms: u64,
    },
    /// A checkpoint is of a tree that was not committed.
    #[error("a checkpoint of {size} entries has a root that was never committed")]
    CheckpointTree {
        /// Its size.
        size: u64,
    },
    /// A checkpoint is of another log than those before.
    #[error("a checkpoint is of another log")]
    CheckpointLog,
    /// The log does not reach this tile.
    #[error("the log has no tile {index} of level {level} with {width} hashes")]
    UnknownTile {
        /// Level of the tile.
        level: u8,
        /// Its place within the level.
        index: u64,
        /// Hashes asked for.
        width: u16,
    },
    /// A number that no tree of the log has, or a stored tile that is not what its name says.
    #[error("the log refuses")]
    Log(#[from] LogError),
    /// Another tenant, another principal of the tenant, or another principal's identity has this name.
    #[error("the name {0:?} is taken")]
    NameTaken(String),
    /// Another process (or another handle of this one) has the data directory open.
    #[error("{dir} is in use: another server holds its lock", dir = dir.display())]
    Locked {
        /// The directory.
        dir: PathBuf,
    },
    /// A stored object or row is missing, or is not what was stored.
    #[error("{0} is damaged or missing in the store")]
    Corrupt(Object),
    /// The file system refused.
    #[error("cannot {action} {path}", path = path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The object store failed.
    #[error("the object store failed")]
    Blob(#[from] object_store::Error),
    /// The database failed.
    #[error("the database failed")]
    Sql(#[from] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("the schema could not be brought up to date")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// A task of the store panicked or was stopped.
    #[error("a task of the store did not finish")]
    Task(#[source] tokio::task::JoinError),
}

/// What is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Object {
    /// The segment of this upload.
    Segment(UploadId),
    /// The bytes of this ticket. They are not synced: after a power failure a fresh ticket may be lost.
    Ticket(TicketId),
    /// A tile of the log, or the entries under it.
    LogTile {
        /// Level of the tile.
        level: u8,
        /// Its place within the level.
        index: u64,
    },
    /// A checkpoint of the log.
    Checkpoint,
    /// A row of this table.
    Row(&'static str),
}

impl std::fmt::Display for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Segment(id) => write!(f, "segment {id}"),
            Self::Ticket(id) => write!(f, "ticket {id}"),
            Self::LogTile { level, index } => write!(f, "tile {index} of level {level} of the log"),
            Self::Checkpoint => write!(f, "a checkpoint of the log"),
            Self::Row(table) => write!(f, "a row of {table}"),
        }
    }
}

/// Whose fault an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// What was named does not exist.
    NotFound,
    /// The request contradicts what is stored: an id or a slot used before, a version or offset that is not
    /// current.
    Conflict,
    /// The request is wrong whatever is stored.
    Caller,
    /// Disk, database or file system.
    Storage,
    /// What is stored is damaged.
    Corrupt,
}

impl Error {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::UnknownGallery(_)
            | Self::UnknownBlock(_)
            | Self::UnknownUpload(_)
            | Self::UnknownTicket(_)
            | Self::UnknownTile { .. } => Fault::NotFound,
            Self::GalleryExists(_)
            | Self::GalleryDeleted(_)
            | Self::TicketExists(_)
            | Self::NameTaken(_)
            | Self::TicketNotBegun(_)
            | Self::UploadMismatch { .. }
            | Self::UploadOffset { .. }
            | Self::UploadIncomplete { .. }
            | Self::UploadCommitted(_)
            | Self::DuplicateBlock(_)
            | Self::BlockVersion { .. }
            | Self::EntryIndex { .. }
            | Self::SlotUsed { .. }
            | Self::SlotEmpty { .. }
            | Self::EntryIdUsed(_)
            | Self::LogHeld { .. }
            | Self::LogFenced { .. }
            | Self::LogOutOfStep { .. }
            | Self::CheckpointContradicts { .. }
            | Self::CheckpointTime { .. }
            | Self::CheckpointTree { .. }
            | Self::CheckpointLog => Fault::Conflict,
            Self::UploadDigest(_)
            | Self::Limit { .. }
            | Self::Empty(_)
            | Self::SlotRange { .. }
            | Self::DeltaLength { .. }
            | Self::Log(
                LogError::IndexOutOfRange { .. }
                | LogError::SizeOutOfRange { .. }
                | LogError::SizesReversed { .. },
            ) => Fault::Caller,
            Self::Corrupt(_) | Self::LogRoot { .. } | Self::LogRolledBack { .. } | Self::Log(_) => {
                Fault::Corrupt
            }
            Self::Locked { .. }
            | Self::OutboxFull { .. }
            | Self::File { .. }
            | Self::Blob(_)
            | Self::Sql(_)
            | Self::Migrate(_)
            | Self::Task(_) => Fault::Storage,
        }
    }

    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::File { action, path: path.to_owned(), source }
    }

    /// Checks a size or number against its limit.
    pub(crate) fn check_limit(what: &'static str, found: u64, max: u64) -> Result<(), Self> {
        if found > max { Err(Self::Limit { what, found, max }) } else { Ok(()) }
    }
}
