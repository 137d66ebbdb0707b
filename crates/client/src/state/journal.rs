//! The enrolment journal: which slots of half-full blocks were ever handed out.
//!
//! A slot's pad is used once, ever. A process goes on with a block after a restart only from here: the journal is
//! locked as long as it is open, and says so durably before a slot's delta is sent. Whatever is doubtful about it
//! costs the rest of a block and nothing more.
//!
//! A copy of a state directory knows as much as the original, and must not hand out the same slots: a journal counts
//! only beside the lock file that it was written beside, by device and inode.
//!
//! `"TYTOJNL2" || gallery 16 || device u64 || inode u64`, then records `length u16 (18) || block 16 || next slot u16 || digest 32`, little-endian.
//! A record's digest is `SHA3-256("tyto/v1/journal" || gallery || digest of the record before || block || next slot)`.

use super::StateDir;
use crate::Error;
use crate::files::{Readers, open_lock, read_if_there, write_atomic};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use tyto_pqc::digest::sha3_256;
use tyto_scheme::{BlockId, GalleryId};

const MAGIC: &[u8; 8] = b"TYTOJNL2";
const HEADER_BYTES: usize = 8 + 16 + 8 + 8;
const BODY_BYTES: usize = 16 + 2;
const RECORD_BYTES: usize = 2 + BODY_BYTES + 32;
/// A journal longer than this is written anew with what still counts.
const MAX_BYTES: usize = 1 << 20;

/// The locked journal of one gallery.
pub(crate) struct Journal {
    gallery: GalleryId,
    header: [u8; HEADER_BYTES],
    path: PathBuf,
    file: File,
    bytes: usize,
    chain: [u8; 32],
    next_slots: BTreeMap<BlockId, u16>,
    /// Held as long as the journal is open. It has a file of its own, since the journal's is replaced.
    _lock: File,
}

impl Journal {
    /// Opens and locks a gallery's journal; none if another process (or handle) has it.
    ///
    /// # Errors
    /// [`Error::File`].
    pub(crate) fn open(state: &StateDir, gallery: GalleryId) -> Result<Option<Self>, Error> {
        let path = state.file(gallery, "journal");
        let lock_path = state.file(gallery, "journal-lock");
        let lock = open_lock(&lock_path)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(Error::file(lock_path)(error)),
        }
        let header = header(gallery, &lock.metadata().map_err(Error::file(&lock_path))?);
        let next_slots = match read_if_there(&path)? {
            Some(bytes) => replay(gallery, &header, &bytes).unwrap_or_else(|| {
                tracing::warn!(%gallery, "the enrolment journal is damaged or a copy: its half-full blocks are given up");
                BTreeMap::new()
            }),
            None => BTreeMap::new(),
        };
        let (file, bytes, chain) = rewrite(&path, gallery, &header, &next_slots)?;
        Ok(Some(Self { gallery, header, path, file, bytes, chain, next_slots, _lock: lock }))
    }

    /// The blocks that may be gone on with, and their next slots.
    pub(crate) fn blocks(&self) -> Vec<(BlockId, u16)> {
        self.next_slots.iter().map(|(&block, &slot)| (block, slot)).collect()
    }

    /// Forgets blocks that are not to be gone on with.
    pub(crate) fn retain(&mut self, keep: impl Fn(BlockId) -> bool) -> Result<(), Error> {
        let before = self.next_slots.len();
        self.next_slots.retain(|&block, _| keep(block));
        if self.next_slots.len() == before { Ok(()) } else { self.rewrite() }
    }

    /// Notes that all slots below `next_slot` may be known to the server from now on. Durable when it returns; if it
    /// fails, nothing may be sent and the journal is of no more use.
    pub(crate) fn append(&mut self, blocks: &[(BlockId, u16)]) -> Result<(), Error> {
        for &(block, next_slot) in blocks {
            let known = self.next_slots.entry(block).or_default();
            *known = next_slot.max(*known);
        }
        if self.bytes + blocks.len() * RECORD_BYTES > MAX_BYTES {
            return self.rewrite();
        }
        let mut records = Vec::with_capacity(blocks.len() * RECORD_BYTES);
        for (block, _) in blocks {
            self.chain = push(self.gallery, &self.chain, *block, self.next_slots[block], &mut records);
        }
        let written = self.file.write_all(&records).and_then(|()| self.file.sync_data());
        self.bytes += records.len();
        written.map_err(Error::file(&self.path))
    }

    fn rewrite(&mut self) -> Result<(), Error> {
        (self.file, self.bytes, self.chain) =
            rewrite(&self.path, self.gallery, &self.header, &self.next_slots)?;
        Ok(())
    }
}

fn header(gallery: GalleryId, lock: &fs::Metadata) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..8].copy_from_slice(MAGIC);
    header[8..24].copy_from_slice(&gallery.0);
    header[24..32].copy_from_slice(&lock.dev().to_le_bytes());
    header[32..].copy_from_slice(&lock.ino().to_le_bytes());
    header
}

fn rewrite(
    path: &PathBuf,
    gallery: GalleryId,
    header: &[u8; HEADER_BYTES],
    next_slots: &BTreeMap<BlockId, u16>,
) -> Result<(File, usize, [u8; 32]), Error> {
    let mut bytes = header.to_vec();
    let mut chain = [0; 32];
    for (&block, &slot) in next_slots {
        chain = push(gallery, &chain, block, slot, &mut bytes);
    }
    write_atomic(path, &bytes, Readers::Owner)?;
    let file = OpenOptions::new().append(true).open(path).map_err(Error::file(path))?;
    Ok((file, bytes.len(), chain))
}

fn push(gallery: GalleryId, chain: &[u8; 32], block: BlockId, next_slot: u16, out: &mut Vec<u8>) -> [u8; 32] {
    let slot = next_slot.to_le_bytes();
    let digest = sha3_256(&[b"tyto/v1/journal", &gallery.0, chain, &block.0, &slot]);
    out.extend_from_slice(&(BODY_BYTES as u16).to_le_bytes());
    out.extend_from_slice(&block.0);
    out.extend_from_slice(&slot);
    out.extend_from_slice(&digest);
    digest
}

/// Reads a journal. A record that was cut off (or only made room for) when the machine stopped was never synced, so
/// nothing was sent on its strength: it is ignored. Any other damage makes the whole journal worthless.
fn replay(gallery: GalleryId, header: &[u8], bytes: &[u8]) -> Option<BTreeMap<BlockId, u16>> {
    let mut rest = bytes.strip_prefix(header)?;
    let mut next_slots = BTreeMap::new();
    let mut chain = [0; 32];
    while let Some((record, after)) = rest.split_at_checked(RECORD_BYTES) {
        let block = BlockId(record[2..18].try_into().ok()?);
        let slot = u16::from_le_bytes([record[18], record[19]]);
        let mut expected = Vec::with_capacity(RECORD_BYTES);
        chain = push(gallery, &chain, block, slot, &mut expected);
        if record != expected {
            break;
        }
        next_slots.insert(block, slot);
        rest = after;
    }
    let torn = rest.len() < RECORD_BYTES || rest.iter().all(|&byte| byte == 0);
    torn.then_some(next_slots)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GALLERY: GalleryId = GalleryId([1; 16]);
    const A: BlockId = BlockId([0xa; 16]);
    const B: BlockId = BlockId([0xb; 16]);

    fn state() -> (tempfile::TempDir, StateDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDir::open(directory.path()).unwrap();
        let path = state.file(GALLERY, "journal");
        (directory, state, path)
    }

    fn reopen(state: &StateDir) -> Vec<(BlockId, u16)> {
        Journal::open(state, GALLERY).unwrap().expect("nobody holds it").blocks()
    }

    #[test]
    fn a_restart_goes_on_after_every_slot_that_was_noted() {
        let (_directory, state, path) = state();
        let mut journal = Journal::open(&state, GALLERY).unwrap().unwrap();
        assert_eq!(journal.blocks(), []);
        journal.append(&[(A, 3)]).unwrap();
        journal.append(&[(A, 2048), (B, 1)]).unwrap();
        journal.append(&[(B, 5)]).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), (HEADER_BYTES + 4 * RECORD_BYTES) as u64);
        drop(journal);
        assert_eq!(reopen(&state), [(A, 2048), (B, 5)]);
        let mut journal = Journal::open(&state, GALLERY).unwrap().unwrap();
        journal.retain(|block| block == B).unwrap();
        journal.append(&[(B, 6)]).unwrap();
        drop(journal);
        assert_eq!(reopen(&state), [(B, 6)]);
    }

    #[test]
    fn one_process_at_a_time_and_one_gallery_each() {
        let (_directory, state, _) = state();
        let mut first = Journal::open(&state, GALLERY).unwrap().unwrap();
        assert!(Journal::open(&state, GALLERY).unwrap().is_none());
        assert!(Journal::open(&state, GalleryId([2; 16])).unwrap().is_some());
        // Writing anew replaces the file, not the lock.
        first.append(&[(A, 1), (B, 1)]).unwrap();
        first.retain(|block| block == A).unwrap();
        assert!(Journal::open(&state, GALLERY).unwrap().is_none());
        drop(first);
        assert_eq!(reopen(&state), [(A, 1)]);
    }

    #[test]
    fn a_crash_at_any_byte_of_the_last_write_loses_nothing_that_was_synced() {
        let (_directory, state, path) = state();
        let mut journal = Journal::open(&state, GALLERY).unwrap().unwrap();
        journal.append(&[(A, 7)]).unwrap();
        let synced = fs::metadata(&path).unwrap().len() as usize;
        journal.append(&[(A, 8), (B, 4)]).unwrap();
        drop(journal);
        let whole = fs::read(&path).unwrap();
        for cut in synced..=whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            let blocks = reopen(&state);
            let expected: &[_] = match (cut - synced) / RECORD_BYTES {
                0 => &[(A, 7)],
                1 => &[(A, 8)],
                _ => &[(A, 8), (B, 4)],
            };
            assert_eq!(blocks, expected, "cut at {cut}");
            // Space that the file system had reserved and not filled.
            let mut zeros = whole[..synced].to_vec();
            zeros.resize(cut, 0);
            fs::write(&path, &zeros).unwrap();
            assert_eq!(reopen(&state), [(A, 7)]);
        }
    }

    #[test]
    fn damage_gives_up_the_blocks_instead_of_reusing_a_slot() {
        let (_directory, state, path) = state();
        let mut journal = Journal::open(&state, GALLERY).unwrap().unwrap();
        journal.append(&[(A, 7)]).unwrap();
        journal.append(&[(A, 9)]).unwrap();
        drop(journal);
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x10;
            fs::write(&path, &damaged).unwrap();
            assert_eq!(reopen(&state), [], "byte {at}");
        }
        // A synced record cut out of the middle.
        let mut shorter = whole[..HEADER_BYTES].to_vec();
        shorter.extend_from_slice(&whole[HEADER_BYTES + RECORD_BYTES..]);
        fs::write(&path, &shorter).unwrap();
        assert_eq!(reopen(&state), []);
    }

    #[test]
    fn a_copied_state_directory_hands_out_no_slot_again() {
        let (original, state, _) = state();
        let mut journal = Journal::open(&state, GALLERY).unwrap().unwrap();
        journal.append(&[(A, 7)]).unwrap();
        drop(journal);
        let copy = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(original.path()).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
        }
        let copied = StateDir::open(copy.path()).unwrap();
        assert_eq!(reopen(&copied), []);
        assert_eq!(reopen(&copied), [], "nor later");
        assert_eq!(reopen(&state), [(A, 7)], "the original goes on");
    }

    #[test]
    fn a_long_journal_is_written_anew_without_losing_its_place() {
        let (_directory, state, path) = state();
        let mut journal = Journal::open(&state, GALLERY).unwrap().unwrap();
        let batch: Vec<_> = (0..1000_u16).map(|slot| (A, slot)).collect();
        for round in 0..25 {
            journal.append(&batch).unwrap();
            journal.append(&[(B, round)]).unwrap();
        }
        assert!(fs::metadata(&path).unwrap().len() <= MAX_BYTES as u64);
        drop(journal);
        assert_eq!(reopen(&state), [(A, 999), (B, 24)]);
    }
}
