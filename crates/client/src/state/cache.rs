//! What a client knows of a gallery, kept on disk so that a restarted process need not fetch it again.
//!
//! Nothing in here is secret, and nothing is believed: masks, manifest, records and entries are sealed with the tenant
//! key, and a block counts only if it is the one that the manifest lists. A cache that does not fit together is
//! ignored as a whole and written anew. Whether it is the newest state is for the server and the high-water mark to
//! say, as without a cache.

use super::StateDir;
use crate::Error;
use crate::files::{Readers, write_temporary};
use std::fs::{self, DirBuilder, File};
use std::io::Read as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use tyto_scheme::{BlockId, GalleryId, Layout};
use tyto_tenant::slotmap::SEALED_ENTRY_BYTES;

const MANIFEST_MAGIC: &[u8; 8] = b"TYTOMAN1";
const BLOCK_MAGIC: &[u8; 8] = b"TYTOBLK1";
/// Bytes of a block's file before its record.
const BLOCK_HEADER_BYTES: usize = 8 + 8 + 4;
/// Most bytes of all blocks of one gallery, each counted as full; a larger gallery is not cached.
const MAX_BLOCKS_BYTES: u64 = 8 << 30;
/// Most bytes of a manifest: 40 for each of a million blocks.
const MAX_MANIFEST_BYTES: u64 = 40 << 20;

/// The cache of one gallery.
pub(crate) struct Cache {
    masks: PathBuf,
    manifest: PathBuf,
    blocks: PathBuf,
    max_block_bytes: u64,
    max_masks_bytes: u64,
    /// The files stay as they are: this process knows of changes that they do not have.
    frozen: AtomicBool,
}

/// A block's new file beside the one that counts until [`Cache::commit`]. Removed on drop if that never comes.
pub(crate) struct Staged {
    temporary: PathBuf,
    path: PathBuf,
}

impl Staged {
    fn new(path: PathBuf, bytes: &[u8]) -> Result<Self, Error> {
        Ok(Self { temporary: write_temporary(&path, bytes, Readers::Owner, false)?, path })
    }

    /// Replaces the file at once. It need not survive a crash: what does not fit together is ignored.
    fn rename(&self) -> Result<(), Error> {
        fs::rename(&self.temporary, &self.path).map_err(Error::file(&self.path))
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // Gone if it was renamed.
        let _ = fs::remove_file(&self.temporary);
    }
}

/// A block's sealed objects.
pub(crate) struct CachedBlock {
    pub(crate) version: u64,
    pub(crate) sealed_record: Vec<u8>,
    pub(crate) entries: Vec<Vec<u8>>,
}

impl Cache {
    pub(crate) fn new(state: &StateDir, gallery: GalleryId, layout: &Layout) -> Self {
        // A slot is filled once and burnt once.
        let entries = 2 * layout.slots() * SEALED_ENTRY_BYTES;
        let record =
            layout.polynomials_bytes() / layout.chunks() + 8 * layout.dimension() + layout.slots() + 128;
        Self {
            masks: state.file(gallery, "masks"),
            manifest: state.file(gallery, "manifest"),
            blocks: state.file(gallery, "blocks"),
            max_block_bytes: (BLOCK_HEADER_BYTES + record + entries) as u64,
            max_masks_bytes: (2 * layout.polynomials_bytes() + 64) as u64,
            frozen: AtomicBool::new(false),
        }
    }

    /// Deletes everything, as far as that is possible.
    pub(crate) fn delete(state: &StateDir, gallery: GalleryId) {
        let _ = fs::remove_file(state.file(gallery, "masks"));
        let _ = fs::remove_file(state.file(gallery, "manifest"));
        let _ = fs::remove_dir_all(state.file(gallery, "blocks"));
    }

    /// The sealed masks.
    pub(crate) fn masks(&self) -> Option<Vec<u8>> {
        read(&self.masks, self.max_masks_bytes)
    }

    pub(crate) fn put_masks(&self, sealed: &[u8]) {
        put(&self.masks, sealed);
    }

    /// The sealed manifest and its version.
    pub(crate) fn manifest(&self) -> Option<(u64, Vec<u8>)> {
        let bytes = read(&self.manifest, MAX_MANIFEST_BYTES)?;
        let rest = bytes.strip_prefix(MANIFEST_MAGIC)?;
        let (version, sealed) = rest.split_first_chunk()?;
        Some((u64::from_le_bytes(*version), sealed.to_vec()))
    }

    /// Takes over what came with a manifest: its blocks, then the manifest that lists them. Whoever calls this has held
    /// all of them against the manifest and the state before, and has saved the mark: the files are evidence of what
    /// the server showed, and no answer that was refused may replace them.
    pub(crate) fn commit(&self, blocks: &[Staged], version: u64, sealed: &[u8]) {
        if self.is_frozen() {
            return;
        }
        if let Err(error) = blocks.iter().try_for_each(Staged::rename) {
            tracing::warn!(%error, "a file of the cache could not be replaced");
            self.freeze();
            return;
        }
        put(&self.manifest, &[MANIFEST_MAGIC, &version.to_le_bytes(), sealed].concat());
    }

    /// Whether a gallery of so many blocks is cached.
    pub(crate) fn has_room(&self, blocks: usize) -> bool {
        (blocks as u64).saturating_mul(self.max_block_bytes) <= MAX_BLOCKS_BYTES
    }

    pub(crate) fn block(&self, block: BlockId) -> Option<CachedBlock> {
        let bytes = read(&self.block_file(block), self.max_block_bytes)?;
        let (version, rest) = bytes.strip_prefix(BLOCK_MAGIC)?.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (sealed_record, entries) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        let (entries, rest) = entries.as_chunks::<SEALED_ENTRY_BYTES>();
        rest.is_empty().then(|| CachedBlock {
            version: u64::from_le_bytes(*version),
            sealed_record: sealed_record.to_vec(),
            entries: entries.iter().map(|entry| entry.to_vec()).collect(),
        })
    }

    /// Writes a block's newest record, and the entries from `first_entry` on after those that are kept already. None if
    /// that is not possible; the files then stay as they are.
    pub(crate) fn stage(
        &self,
        block: BlockId,
        version: u64,
        record: &[u8],
        first_entry: u32,
        entries: &[impl AsRef<[u8]>],
    ) -> Option<Staged> {
        if self.is_frozen() {
            return None;
        }
        let mut before = match first_entry {
            0 => Vec::new(),
            _ => self.block(block).map_or_else(Vec::new, |kept| kept.entries),
        };
        // There are more if another process, or an attempt that broke, went further.
        before.truncate(first_entry as usize);
        if before.len() != first_entry as usize {
            self.freeze();
            return None;
        }
        let mut bytes = [BLOCK_MAGIC.as_slice(), &version.to_le_bytes()].concat();
        bytes.extend_from_slice(&(record.len() as u32).to_le_bytes());
        bytes.extend_from_slice(record);
        before.iter().for_each(|entry| bytes.extend_from_slice(entry));
        entries.iter().for_each(|entry| bytes.extend_from_slice(entry.as_ref()));
        let folder = DirBuilder::new().recursive(true).mode(0o700).create(&self.blocks);
        let staged = folder
            .map_err(Error::file(&self.blocks))
            .and_then(|()| Staged::new(self.block_file(block), &bytes));
        staged
            .inspect_err(|error| {
                tracing::warn!(%error, "a file of the cache could not be written");
                self.freeze();
            })
            .ok()
    }

    /// Leaves the files at the state that they are in: from now on there are changes that do not pass here.
    pub(crate) fn freeze(&self) {
        self.frozen.store(true, Ordering::Relaxed);
    }

    fn is_frozen(&self) -> bool {
        self.frozen.load(Ordering::Relaxed)
    }

    fn block_file(&self, block: BlockId) -> PathBuf {
        self.blocks.join(block.to_string())
    }
}

/// A file that is not larger than it can be; none for any reason.
fn read(path: &Path, max_bytes: u64) -> Option<Vec<u8>> {
    // Before it is opened: opening a pipe would wait for its writer.
    let length = fs::metadata(path).ok().filter(fs::Metadata::is_file)?.len();
    let file = File::open(path).ok()?;
    let mut bytes = Vec::with_capacity(length.min(max_bytes) as usize);
    file.take(max_bytes + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= max_bytes).then_some(bytes)
}

/// Replaces a file at once, as far as that is possible.
fn put(path: &Path, bytes: &[u8]) {
    if let Err(error) = Staged::new(path.to_owned(), bytes).and_then(|staged| staged.rename()) {
        tracing::warn!(%error, "a file of the cache could not be written");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use tyto_scheme::ParameterSet;

    const GALLERY: GalleryId = GalleryId([1; 16]);
    const BLOCK: BlockId = BlockId([2; 16]);

    fn cache(directory: &Path) -> (StateDir, Cache) {
        let state = StateDir::open(directory).unwrap();
        let layout = Layout::identification(ParameterSet::Exact41, 8).unwrap();
        let cache = Cache::new(&state, GALLERY, &layout);
        (state, cache)
    }

    fn entry(number: u8) -> Vec<u8> {
        vec![number; SEALED_ENTRY_BYTES]
    }

    fn put_block(cache: &Cache, version: u64, record: &[u8], first_entry: u32, entries: &[Vec<u8>]) {
        let staged = cache.stage(BLOCK, version, record, first_entry, entries).unwrap();
        cache.commit(&[staged], version, b"sealed");
    }

    #[test]
    fn what_is_put_comes_back_and_entries_are_appended() {
        let directory = tempfile::tempdir().unwrap();
        let (state, cache) = cache(directory.path());
        assert!(cache.manifest().is_none() && cache.block(BLOCK).is_none() && cache.masks().is_none());
        cache.put_masks(b"masks");
        put_block(&cache, 1, b"record 1", 0, &[entry(0), entry(1)]);
        put_block(&cache, 2, b"record", 2, &[entry(2)]);
        cache.commit(&[], 7, b"sealed");
        let block = cache.block(BLOCK).unwrap();
        assert_eq!((block.version, block.sealed_record.as_slice()), (2, b"record".as_slice()));
        assert_eq!(block.entries, [entry(0), entry(1), entry(2)]);
        assert_eq!(cache.manifest(), Some((7, b"sealed".to_vec())));
        assert_eq!(cache.masks(), Some(b"masks".to_vec()));
        for path in [&cache.masks, &cache.manifest, &cache.block_file(BLOCK)] {
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(fs::metadata(&cache.blocks).unwrap().permissions().mode() & 0o777, 0o700);
        Cache::delete(&state, GALLERY);
        assert!(cache.manifest().is_none() && cache.block(BLOCK).is_none() && cache.masks().is_none());
    }

    #[test]
    fn a_gap_leaves_the_files_as_they_are() {
        let directory = tempfile::tempdir().unwrap();
        let (_, cache) = cache(directory.path());
        put_block(&cache, 1, b"record 1", 0, &[entry(0)]);
        cache.commit(&[], 2, b"two");
        assert!(cache.stage(BLOCK, 3, b"record 3", 2, &[entry(2)]).is_none());
        cache.commit(&[], 4, b"four");
        assert_eq!(cache.manifest(), Some((2, b"two".to_vec())));
        assert_eq!(cache.block(BLOCK).unwrap().version, 1);
    }

    #[test]
    fn what_is_staged_counts_once_it_is_committed_and_leaves_nothing_behind_if_not() {
        let directory = tempfile::tempdir().unwrap();
        let (_, cache) = cache(directory.path());
        put_block(&cache, 1, b"record 1", 0, &[entry(0), entry(1)]);
        drop(cache.stage(BLOCK, 2, b"record 2", 2, &[entry(2)]).unwrap());
        let block = cache.block(BLOCK).unwrap();
        assert_eq!((block.version, block.entries.len()), (1, 2));
        assert_eq!(fs::read_dir(&cache.blocks).unwrap().count(), 1);
        // Another process is further: what it has beyond the first entry is replaced.
        put_block(&cache, 3, b"record 3", 1, &[entry(7), entry(8)]);
        assert_eq!(cache.block(BLOCK).unwrap().entries, [entry(0), entry(7), entry(8)]);
        // This process went on with changes that do not pass here.
        let staged = cache.stage(BLOCK, 4, b"record 4", 0, &[entry(0)]).unwrap();
        cache.freeze();
        cache.commit(&[staged], 9, b"sealed");
        assert_eq!(
            (cache.block(BLOCK).unwrap().version, cache.manifest()),
            (3, Some((3, b"sealed".to_vec())))
        );
    }

    #[test]
    fn galleries_beyond_the_limit_and_what_is_no_file_are_not_cached() {
        let directory = tempfile::tempdir().unwrap();
        let (_, cache) = cache(directory.path());
        let most = (MAX_BLOCKS_BYTES / cache.max_block_bytes) as usize;
        assert!(most > 10_000 && cache.has_room(most) && !cache.has_room(most + 1));
        fs::create_dir(&cache.manifest).unwrap();
        assert!(cache.manifest().is_none());
    }

    #[test]
    fn files_that_are_cut_or_too_large_are_none() {
        let directory = tempfile::tempdir().unwrap();
        let (_, cache) = cache(directory.path());
        put_block(&cache, 1, b"record", 0, &[entry(0)]);
        let path = cache.block_file(BLOCK);
        let whole = fs::read(&path).unwrap();
        for length in [0, 7, 12, BLOCK_HEADER_BYTES, BLOCK_HEADER_BYTES + 3, whole.len() - 1] {
            fs::write(&path, &whole[..length]).unwrap();
            assert!(cache.block(BLOCK).is_none(), "{length} bytes");
        }
        fs::write(&path, vec![0; cache.max_block_bytes as usize + 1]).unwrap();
        assert!(cache.block(BLOCK).is_none());
    }
}
