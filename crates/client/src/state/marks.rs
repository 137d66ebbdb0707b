//! High-water marks: the newest manifest of a gallery that was ever seen, so that an older one is refused.

use super::StateDir;
use crate::Error;
use crate::files::{Readers, lock_by, read_if_there, write_atomic};
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use tyto_pqc::digest::sha3_256;
use tyto_scheme::GalleryId;

const MAGIC: &[u8; 8] = b"TYTOMRK1";
const FILE_BYTES: usize = 8 + 8 + 32 + 32;

/// A manifest version and the digest of that manifest's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) version: u64,
    pub(crate) digest: [u8; 32],
}

/// The mark of a gallery that was deleted. No manifest has this version.
const TOMBSTONE: Mark = Mark { version: u64::MAX, digest: [0; 32] };

/// The mark of one gallery: in memory, and in a file if there is a state directory.
///
/// `"TYTOMRK1" || version u64 || digest 32 || SHA3-256(gallery || all that) 32`, little-endian.
pub(crate) struct HighWater {
    gallery: GalleryId,
    file: Option<MarkFile>,
    marks: Mutex<Marks>,
}

struct MarkFile {
    path: PathBuf,
    lock: PathBuf,
}

#[derive(Default)]
struct Marks {
    seen: Option<Mark>,
    saved: Option<Mark>,
}

impl HighWater {
    /// Reads the mark that was saved, if one was.
    ///
    /// # Errors
    /// [`Error::StateFile`] for a damaged file: whether the server rolled back is then for a human to find out.
    pub(crate) fn open(gallery: GalleryId, state: Option<&StateDir>) -> Result<Self, Error> {
        let file = state.map(|state| MarkFile::new(gallery, state));
        let saved = file.as_ref().map(|file| file.read(gallery)).transpose()?.flatten();
        Ok(Self { gallery, file, marks: Mutex::new(Marks { seen: saved, saved }) })
    }

    /// Marks a gallery as deleted, for good: no manifest is ever new enough again.
    pub(crate) fn entomb(gallery: GalleryId, state: &StateDir) -> Result<(), Error> {
        let file = MarkFile::new(gallery, state);
        let _turn = file.lock()?;
        write_atomic(&file.path, &encode(gallery, TOMBSTONE), Readers::Owner)
    }

    /// Whether a gallery was marked as deleted.
    pub(crate) fn is_entombed(gallery: GalleryId, state: &StateDir) -> bool {
        matches!(MarkFile::new(gallery, state).read(gallery), Ok(Some(TOMBSTONE)))
    }

    /// The newest manifest that was seen. A server must never answer with an older one from now on.
    pub(crate) fn current(&self) -> Option<Mark> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner).seen
    }

    /// Takes note of a manifest that came in answer to a request. `floor` is the mark when the request was made.
    ///
    /// # Errors
    /// [`Error::RolledBack`] if it is older than the floor, [`Error::Forked`] if it differs from one of its version.
    pub(crate) fn observe(&self, floor: Option<Mark>, found: Mark) -> Result<(), Error> {
        let gallery = self.gallery;
        if let Some(Mark { version: known, .. }) = floor.filter(|floor| found.version < floor.version) {
            return Err(Error::RolledBack { gallery, found: found.version, known });
        }
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        marks.seen = Some(newer(gallery, marks.seen, found)?);
        Ok(())
    }

    /// The mark, if it rose since it was saved.
    fn unsaved(&self) -> Option<Mark> {
        let marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        marks.seen.filter(|seen| marks.saved != Some(*seen))
    }

    /// Whether there is something to save.
    pub(crate) fn is_unsaved(&self) -> bool {
        self.file.is_some() && self.unsaved().is_some()
    }

    /// Saves the mark durably if it rose. Blocks.
    pub(crate) fn save(&self) -> Result<(), Error> {
        let Some((file, seen)) = self.file.as_ref().zip(self.unsaved()) else { return Ok(()) };
        let _turn = file.lock()?;
        // Another process may have seen more.
        let merged = newer(self.gallery, file.read(self.gallery)?, seen)?;
        write_atomic(&file.path, &encode(self.gallery, merged), Readers::Owner)?;
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        marks.seen = Some(newer(self.gallery, marks.seen, merged)?);
        marks.saved = Some(merged);
        Ok(())
    }
}

impl MarkFile {
    fn new(gallery: GalleryId, state: &StateDir) -> Self {
        Self { path: state.file(gallery, "mark"), lock: state.file(gallery, "mark-lock") }
    }

    fn read(&self, gallery: GalleryId) -> Result<Option<Mark>, Error> {
        let Some(bytes) = read_if_there(&self.path)? else { return Ok(None) };
        decode(gallery, &bytes).map(Some).ok_or_else(|| Error::StateFile { path: self.path.clone() })
    }

    /// Held until the file is dropped. The lock has a file of its own, since the mark's is replaced.
    fn lock(&self) -> Result<File, Error> {
        lock_by(&self.lock)
    }
}

fn newer(gallery: GalleryId, known: Option<Mark>, found: Mark) -> Result<Mark, Error> {
    match known {
        Some(known) if known.version > found.version => Ok(known),
        Some(known) if known.version == found.version && known != found => {
            Err(Error::Forked { gallery, version: found.version })
        }
        _ => Ok(found),
    }
}

fn encode(gallery: GalleryId, mark: Mark) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&mark.version.to_le_bytes());
    bytes.extend_from_slice(&mark.digest);
    let digest = sha3_256(&[&gallery.0, &bytes]);
    bytes.extend_from_slice(&digest);
    bytes
}

fn decode(gallery: GalleryId, bytes: &[u8]) -> Option<Mark> {
    let bytes: &[u8; FILE_BYTES] = bytes.try_into().ok()?;
    let version = u64::from_le_bytes(bytes[8..16].try_into().ok()?);
    let mark = Mark { version, digest: bytes[16..48].try_into().ok()? };
    (encode(gallery, mark) == bytes).then_some(mark)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const GALLERY: GalleryId = GalleryId([1; 16]);

    fn mark(version: u64, content: u8) -> Mark {
        Mark { version, digest: [content; 32] }
    }

    #[test]
    fn older_manifests_and_forks_are_refused() {
        let marks = HighWater::open(GALLERY, None).unwrap();
        marks.observe(None, mark(5, 5)).unwrap();
        let floor = marks.current();
        let rolled_back = marks.observe(floor, mark(4, 4)).unwrap_err();
        assert!(
            matches!(rolled_back, Error::RolledBack { found: 4, known: 5, .. }) && rolled_back.is_refusal()
        );
        assert!(matches!(marks.observe(floor, mark(5, 6)), Err(Error::Forked { version: 5, .. })));
        marks.observe(floor, mark(7, 7)).unwrap();
        // An answer to an older request may be overtaken by a newer answer.
        marks.observe(floor, mark(6, 6)).unwrap();
        assert_eq!(marks.current(), Some(mark(7, 7)));
    }

    #[test]
    fn marks_outlive_the_process_and_never_fall() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDir::open(&directory.path().join("state")).unwrap();
        let first = HighWater::open(GALLERY, Some(&state)).unwrap();
        let second = HighWater::open(GALLERY, Some(&state)).unwrap();
        first.observe(None, mark(9, 9)).unwrap();
        first.save().unwrap();
        second.observe(None, mark(8, 8)).unwrap();
        second.save().unwrap();
        assert_eq!(second.current(), Some(mark(9, 9)), "the other process saw more");
        let restarted = HighWater::open(GALLERY, Some(&state)).unwrap();
        assert!(matches!(
            restarted.observe(restarted.current(), mark(8, 8)),
            Err(Error::RolledBack { found: 8, known: 9, .. })
        ));
        let other = HighWater::open(GalleryId([2; 16]), Some(&state)).unwrap();
        assert_eq!(other.current(), None);

        let forked = HighWater::open(GALLERY, None).unwrap();
        forked.observe(None, mark(9, 1)).unwrap();
        let forked = HighWater { file: HighWater::open(GALLERY, Some(&state)).unwrap().file, ..forked };
        assert!(matches!(forked.save(), Err(Error::Forked { version: 9, .. })));
    }

    #[test]
    fn a_deleted_gallery_stays_deleted() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDir::open(directory.path()).unwrap();
        let open = HighWater::open(GALLERY, Some(&state)).unwrap();
        open.observe(None, mark(3, 3)).unwrap();
        open.save().unwrap();
        assert!(!HighWater::is_entombed(GALLERY, &state));
        HighWater::entomb(GALLERY, &state).unwrap();
        // Another process that still has it open sees more of it, and saves that.
        open.observe(None, mark(4, 4)).unwrap();
        open.save().unwrap();
        assert!(HighWater::is_entombed(GALLERY, &state));
        assert!(!HighWater::is_entombed(GalleryId([2; 16]), &state));
        let again = HighWater::open(GALLERY, Some(&state)).unwrap();
        assert!(matches!(again.observe(again.current(), mark(4, 4)), Err(Error::RolledBack { .. })));
        assert!(matches!(open.observe(open.current(), mark(5, 5)), Err(Error::RolledBack { .. })));
    }

    #[test]
    fn a_damaged_mark_is_not_taken_for_none() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDir::open(directory.path()).unwrap();
        let marks = HighWater::open(GALLERY, Some(&state)).unwrap();
        marks.observe(None, mark(3, 3)).unwrap();
        marks.save().unwrap();
        let path = state.file(GALLERY, "mark");
        let whole = fs::read(&path).unwrap();
        for at in [0, 8, 20, 60] {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            fs::write(&path, damaged).unwrap();
            assert!(matches!(HighWater::open(GALLERY, Some(&state)), Err(Error::StateFile { .. })));
        }
        fs::write(&path, &whole[..40]).unwrap();
        assert!(HighWater::open(GALLERY, Some(&state)).is_err());
    }
}
