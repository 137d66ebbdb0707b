//! Rows in SQL, blobs in an object store; domain types only.
//!
//! What was acknowledged is there after a crash; what was not leaves no half state. `SQLite` (WAL, synchronous FULL)
//! holds galleries, block records, deltas and the one-use marks of slots and tickets; segments, tickets and large
//! answers are objects in a directory. A blob is put and synced before the transaction that names it, and deleted
//! after the transaction that forgets it; what a crash leaves in between is swept when the store is opened.
//!
//! The store holds no key and checks no signature. It guards what can be guarded without keys: a slot is written
//! once, ever; a ticket is used once, ever; a mutation applies to exactly the manifest and block versions that its
//! maker saw, or not at all.
//!
//! ```text
//! <dir>/lock                     held while the store is open
//!       tyto.sqlite[-wal,-shm]   rows
//!       uploads/<upload id>      bytes of uploads that are not committed
//!       objects/segments/<id>    committed segments, immutable
//!       objects/tickets/<id>     tickets
//!       objects/answers/<id>     answers too large for a row
//!       objects/log/tile/...     tiles and entries of the transparency log
//!       objects/log/checkpoint   its newest checkpoint
//! ```
//!
//! # Cancellation
//! A call whose future is dropped may or may not have taken effect, like a call whose answer is lost. Whoever mirrors
//! the store in memory runs mutations to their end (in a task of their own).

mod access;
mod blobs;
mod database;
mod error;
mod galleries;
mod log;
mod mutations;
mod names;
mod reads;
mod segments;
mod sweep;
mod templates;
mod tickets;
mod types;
mod uploads;

pub use error::{Error, Fault, Object};
pub use log::{
    KEPT_CHECKPOINTS, LogAdded, LogEntry, LogEntryId, LogPlace, LogToken, LogTree, LogWriter,
    MAX_BATCH_BYTES, MAX_BATCH_ENTRIES, MAX_OUTBOX_ENTRIES, StoredCheckpoint,
};
pub use types::*;

use blobs::Blobs;
use database::Database;
use log::LogObjects;
use names::Names;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tokio::sync::{Mutex, OwnedMutexGuard, watch};
use tyto_access::TenantId;
use tyto_scheme::segment::MAX_SEGMENT_BYTES;

/// Most bytes of one upload.
pub const MAX_UPLOAD_BYTES: u64 = MAX_SEGMENT_BYTES as u64;
/// Most uploads of one gallery that are begun and not committed.
pub const MAX_OPEN_UPLOADS: u64 = 64;
/// Most blocks of one gallery: 33 million templates in the identification layout.
pub const MAX_BLOCKS: u64 = 16_384;
/// Most slot-map entries of one block: each slot written and removed, and room for maps that are compacted.
pub const MAX_ENTRIES: u32 = 65_536;
/// Most bytes of one sealed slot-map entry.
pub const MAX_ENTRY_BYTES: usize = 1024;
/// Most bytes of a sealed block record.
pub const MAX_RECORD_BYTES: usize = 64 << 10;
/// Most bytes of a sealed manifest.
pub const MAX_MANIFEST_BYTES: usize = 2 << 20;
/// Most bytes of a sealed descriptor.
pub const MAX_DESCRIPTOR_BYTES: usize = 16 << 10;
/// Most tickets of one gallery that are not used yet.
pub const MAX_OPEN_TICKETS: u64 = 4096;
/// Most bytes of a ticket's answer that is kept.
pub const MAX_ANSWER_BYTES: usize = 16 << 20;
/// Most slots in one call of [`Store::deltas`].
pub const MAX_DELTAS_PER_CALL: usize = 256;
/// Most templates in one page of [`Store::list_templates`].
pub const MAX_TEMPLATES_PER_PAGE: u32 = 10_000;
/// An upload that was neither begun nor continued for so long is deleted by [`Store::abandon_idle_uploads`], and when
/// the store is opened.
pub const STALE_UPLOAD_MS: u64 = 3600 * 1000;
/// How long an answer is kept for identical retries, if its ticket does not expire before.
pub const ANSWER_KEPT_MS: u64 = 600 * 1000;
/// How long after its expiry a ticket's used mark stays. Until then its id is refused; a backend that keeps a
/// ticket's secrets longer than this after the ticket expired has a fault of its own to find.
pub const USED_MARK_KEPT_MS: u64 = 400 * 24 * 3600 * 1000;

/// The folders of a data directory.
const FOLDERS: [&str; 7] =
    ["", "uploads", "objects", "objects/segments", "objects/tickets", "objects/answers", "objects/log"];

/// What whoever opens a store can choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Most bytes of tickets and their answers that are kept for one gallery.
    pub ticket_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { ticket_bytes: 1 << 30 }
    }
}

/// A tenant's handle of an open data directory: what it names is that tenant's, and nothing of another tenant is found
/// through it. What belongs to no tenant (the log, the directory of tenants, what is tidied up) is the same through
/// every one. Clones share the directory, which is free for others when the last one is gone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
    names: Names,
}

struct Inner {
    options: Options,
    database: Database,
    blobs: Blobs,
    log: LogObjects,
    uploads: PathBuf,
    /// Serialise what concerns one upload or one ticket, by a byte of its id.
    upload_locks: [Arc<Mutex<()>>; 32],
    ticket_locks: [Arc<Mutex<()>>; 32],
    /// Deltas were removed and may still be in the write-ahead log.
    scrub_pending: AtomicBool,
    /// After the database, so that the lock is released when that is closed.
    _lock: File,
    /// Last: gone when the lock is released.
    free: watch::Sender<()>,
}

impl Store {
    /// Opens a data directory, or creates it, as the built-in tenant; either way it is for this user alone afterwards. Takes the directory's lock, brings the
    /// schema up to date, and deletes what a crash left: objects that no row names, tickets past their expiry,
    /// uploads that stopped more than [`STALE_UPLOAD_MS`] ago.
    ///
    /// # Errors
    /// [`Error::Locked`] if another process (or another `Store`) has it open.
    pub async fn open(dir: &Path) -> Result<Self, Error> {
        Self::open_with(dir, Options::default()).await
    }

    /// The same with other than the default options.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn open_with(dir: &Path, options: Options) -> Result<Self, Error> {
        let root = dir.to_owned();
        let lock = blocking(move || {
            for folder in FOLDERS {
                create_dir(&root.join(folder))?;
            }
            let lock = lock(&root)?;
            // SQLite gives its log the mode of its database.
            private_file(&root.join("tyto.sqlite"))?;
            Ok(lock)
        })
        .await?;
        let locks = || std::array::from_fn(|_| Arc::new(Mutex::new(())));
        let inner = Inner {
            options,
            database: Database::open(dir).await?,
            blobs: Blobs::open(&dir.join("objects"))?,
            log: LogObjects::open(&dir.join("objects/log"))?,
            uploads: dir.join("uploads"),
            upload_locks: locks(),
            ticket_locks: locks(),
            scrub_pending: AtomicBool::new(false),
            _lock: lock,
            free: watch::Sender::new(()),
        };
        let store = Self { inner: Arc::new(inner), names: Names::of(TenantId::BUILT_IN) };
        sync_dir(dir)?;
        store.sweep(now_ms()).await?;
        store.inner.database.checkpoint().await?;
        Ok(store)
    }

    /// The same directory as another tenant has it.
    #[must_use]
    pub fn of(&self, tenant: TenantId) -> Self {
        Self { inner: self.inner.clone(), names: Names::of(tenant) }
    }

    /// Whose handle this is.
    pub fn tenant(&self) -> TenantId {
        self.names.tenant()
    }

    /// Waits for running calls and closes the database. Calls after this fail.
    pub async fn close(&self) {
        self.inner.database.close().await;
    }

    /// Waits until the last clone is gone and the directory is free for others. The future holds no clone itself.
    pub fn freed(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut free = self.inner.free.subscribe();
        // Nothing is ever sent.
        async move { while free.changed().await.is_ok() {} }
    }

    async fn lock_upload(&self, id: tyto_scheme::UploadId) -> OwnedMutexGuard<()> {
        let locks = &self.inner.upload_locks;
        let name = self.names.upload(id);
        Arc::clone(&locks[usize::from(name.0[0]) % locks.len()]).lock_owned().await
    }

    async fn lock_ticket(&self, id: tyto_scheme::TicketId) -> OwnedMutexGuard<()> {
        let locks = &self.inner.ticket_locks;
        let name = self.names.ticket(id);
        Arc::clone(&locks[usize::from(name.0[0]) % locks.len()]).lock_owned().await
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("uploads", &self.inner.uploads).finish_non_exhaustive()
    }
}

/// Creates a directory with mode 0700, and makes its name durable. One that is there already and open to others is
/// closed to them.
fn create_dir(path: &Path) -> Result<(), Error> {
    if path.is_dir() {
        return close_to_others(path, 0o700);
    }
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|e| Error::io("create", path, e))?;
    path.parent().map_or(Ok(()), sync_dir)
}

fn sync_dir(path: &Path) -> Result<(), Error> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    File::open(path).and_then(|dir| dir.sync_all()).map_err(|e| Error::io("sync", path, e))
}

/// Takes the rights of group and others away.
fn close_to_others(path: &Path, mode: u32) -> Result<(), Error> {
    let found = fs::metadata(path).map_err(|e| Error::io("inspect", path, e))?.permissions().mode();
    if found & 0o077 != 0 {
        tracing::warn!(path = %path.display(), mode = format!("{:o}", found & 0o777), "closing to other users");
        fs::set_permissions(path, Permissions::from_mode(mode)).map_err(|e| Error::io("close", path, e))?;
    }
    Ok(())
}

/// Makes an empty file with mode 0600 unless there is one, which is closed to others.
fn private_file(path: &Path) -> Result<File, Error> {
    let open = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    let file = open.map_err(|e| Error::io("create", path, e))?;
    close_to_others(path, 0o600)?;
    Ok(file)
}

/// Takes the lock of a data directory without opening it: no server has it open while the file is held.
///
/// # Errors
/// [`Error::Locked`] if one has.
pub fn lock(dir: &Path) -> Result<File, Error> {
    let path = dir.join("lock");
    let file = private_file(&path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Locked { dir: dir.to_owned() }),
        Err(TryLockError::Error(e)) => Err(Error::io("lock", &path, e)),
    }
}

/// Runs file work off the async threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(Error::Task)?
}

/// Milliseconds since 1970.
fn now_ms() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64)
}
