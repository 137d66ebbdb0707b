//! What the log says about changes that were made here, with the salts that open its digests: nobody else has them.

use super::StateDir;
use crate::Error;
use crate::files::{Readers, lock, read_if_there, write_atomic};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use tyto_scheme::GalleryId;

/// Most bytes that are kept of what the log says about the changes of one gallery: about 2,000 of them. If there is more,
/// the older half goes.
pub const MAX_CHANGES_BYTES: usize = 1 << 20;

const MAGIC: &[u8; 8] = b"TYTOCHG1";
const SALT_BYTES: usize = 32;
/// Both lengths, before each change.
const LENGTHS_BYTES: usize = 4;

/// One change.
pub(crate) struct KeptChange {
    pub(crate) statement: Vec<u8>,
    pub(crate) salt: [u8; SALT_BYTES],
    /// Content of the gallery state's digest; empty if it is not known.
    pub(crate) state: Vec<u8>,
}

impl StateDir {
    /// Keeps a change, durably.
    ///
    /// The file is `"TYTOCHG1"`, then per change `statement length u16 || state length u16 || statement || state || salt
    /// 32`, little-endian. A change that breaks off was never kept. What is altered in it no longer fits its digests.
    ///
    /// # Errors
    /// [`Error::StateFile`], [`Error::File`].
    pub(crate) fn keep_change(
        &self,
        gallery: GalleryId,
        statement: &[u8],
        salt: &[u8; SALT_BYTES],
        state: &[u8],
    ) -> Result<(), Error> {
        let path = self.file(gallery, "changes");
        let _turn = lock(&path)?;
        let bytes = read(&path)?;
        let changes = split(&path, &bytes)?;
        let length = |part: &[u8]| (part.len() as u16).to_le_bytes();
        let added = [&length(statement), &length(state), statement, state, salt].concat();
        let whole = MAGIC.len() + changes.iter().map(|change| change.len()).sum::<usize>();
        let append = || {
            let mut file = OpenOptions::new().append(true).open(&path)?;
            file.write_all(&added)?;
            file.sync_data()
        };
        if whole == bytes.len() && whole + added.len() <= MAX_CHANGES_BYTES {
            return append().map_err(Error::file(&path));
        }
        let mut kept = added.len();
        let newest = changes.iter().rev().take_while(|change| {
            kept += change.len();
            whole + added.len() <= MAX_CHANGES_BYTES || kept <= MAX_CHANGES_BYTES / 2
        });
        let first = changes.len() - newest.count();
        let anew = [MAGIC, &changes[first..].concat()[..], &added].concat();
        write_atomic(&path, &anew, Readers::Owner)
    }

    /// The changes that were kept, oldest first.
    ///
    /// # Errors
    /// [`Error::StateFile`], [`Error::File`].
    pub(crate) fn changes(&self, gallery: GalleryId) -> Result<Vec<KeptChange>, Error> {
        let path = self.file(gallery, "changes");
        let bytes = read(&path)?;
        let change = |change: &&[u8]| {
            let statement = usize::from(u16::from_le_bytes([change[0], change[1]]));
            let (statement, rest) = change[LENGTHS_BYTES..].split_at(statement);
            let (state, salt) = rest.split_at(rest.len() - SALT_BYTES);
            let salt = salt.try_into().expect("as long as a salt");
            KeptChange { statement: statement.to_vec(), salt, state: state.to_vec() }
        };
        Ok(split(&path, &bytes)?.iter().map(change).collect())
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    Ok(read_if_there(path)?.unwrap_or_default())
}

/// The whole changes of a file.
fn split<'a>(path: &Path, bytes: &'a [u8]) -> Result<Vec<&'a [u8]>, Error> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let mut rest = bytes.strip_prefix(MAGIC).ok_or_else(|| Error::StateFile { path: path.to_owned() })?;
    let mut changes = Vec::new();
    while let Some(&[a, b, c, d]) = rest.first_chunk() {
        let contents = usize::from(u16::from_le_bytes([a, b])) + usize::from(u16::from_le_bytes([c, d]));
        let Some((change, after)) = rest.split_at_checked(LENGTHS_BYTES + contents + SALT_BYTES) else {
            break;
        };
        changes.push(change);
        rest = after;
    }
    Ok(changes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const GALLERY: GalleryId = GalleryId([1; 16]);

    fn kept(state: &StateDir) -> Vec<(Vec<u8>, [u8; 32], Vec<u8>)> {
        let changes = state.changes(GALLERY).unwrap();
        changes.into_iter().map(|kept| (kept.statement, kept.salt, kept.state)).collect()
    }

    #[test]
    fn what_is_kept_comes_back_and_a_change_that_breaks_off_is_not_missed() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDir::open(directory.path()).unwrap();
        assert!(kept(&state).is_empty());
        let changes = [(vec![1; 500], [2; 32], vec![3; 72]), (vec![4; 70], [5; 32], Vec::new())];
        for (statement, salt, content) in &changes {
            state.keep_change(GALLERY, statement, salt, content).unwrap();
        }
        assert_eq!(kept(&state), changes);
        let path = state.file(GALLERY, "changes");
        let whole = fs::read(&path).unwrap();
        for cut in 1..=105 {
            fs::write(&path, &whole[..whole.len() - cut]).unwrap();
            assert_eq!(kept(&state), changes[..1]);
            state.keep_change(GALLERY, &changes[1].0, &changes[1].1, &changes[1].2).unwrap();
            assert_eq!(fs::read(&path).unwrap(), whole);
        }
        fs::write(&path, b"nothing of ours").unwrap();
        assert!(matches!(state.changes(GALLERY), Err(Error::StateFile { .. })));
        assert!(state.keep_change(GALLERY, &[1], &[2; 32], &[]).is_err());
    }

    #[test]
    fn the_file_stays_small_and_the_newest_stay_in_it() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDir::open(directory.path()).unwrap();
        let statement = |number: u64| [&number.to_le_bytes()[..], &[7; 16_000]].concat();
        for number in 0..150 {
            state.keep_change(GALLERY, &statement(number), &[number as u8; 32], &[]).unwrap();
            assert!(fs::metadata(state.file(GALLERY, "changes")).unwrap().len() <= MAX_CHANGES_BYTES as u64);
        }
        let kept = kept(&state);
        assert!(kept.len() >= 32, "{}", kept.len());
        for ((found, salt, _), number) in kept.iter().rev().zip((0..150).rev()) {
            assert_eq!((found, salt[0]), (&statement(number), number as u8));
        }
    }
}
