//! The newest checkpoint of a log that was ever seen, so that a log which takes something back is refused.

use super::StateDir;
use crate::Error;
use crate::files::{Readers, lock, read_if_there, write_atomic};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use tyto_attest::{Checkpoint, TreeHead};

/// The newest checkpoint of one log: in a file if there is a state directory, which every process that uses it shares;
/// else in memory. The file is the checkpoint as it was signed: evidence against a log that forks.
#[derive(Debug)]
pub(crate) struct LogMemory {
    log_id: [u8; 32],
    place: Place,
}

#[derive(Debug)]
enum Place {
    File(PathBuf),
    Memory(Mutex<Option<TreeHead>>),
}

impl LogMemory {
    /// The memory of a log; what was saved is read whenever it is needed.
    pub(crate) fn new(log_id: [u8; 32], state: Option<&StateDir>) -> Self {
        let place = match state {
            Some(state) => Place::File(state.log_file(&log_id)),
            None => Place::Memory(Mutex::default()),
        };
        Self { log_id, place }
    }

    /// The log.
    pub(crate) fn log_id(&self) -> [u8; 32] {
        self.log_id
    }

    /// What the newest checkpoint says. Blocks.
    ///
    /// # Errors
    /// [`Error::StateFile`] for a file that is no checkpoint of this log.
    pub(crate) fn newest(&self) -> Result<Option<TreeHead>, Error> {
        match &self.place {
            Place::File(file) => self.read(file),
            Place::Memory(newest) => Ok(*newest.lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    /// Remembers a checkpoint that was verified and found to extend `proven_from`, which was the newest one when it was
    /// compared; none if there was none. If another one is remembered meanwhile, nothing changes and that one is given:
    /// the checkpoint has to be compared with it as well. Blocks.
    pub(crate) fn remember(
        &self,
        proven_from: Option<TreeHead>,
        checkpoint: &Checkpoint,
    ) -> Result<Option<TreeHead>, Error> {
        let head = *checkpoint.head();
        let extends = |newest: Option<TreeHead>| newest.is_none_or(|newest| newest.size < head.size);
        match &self.place {
            Place::File(file) => {
                let _turn = lock(file)?;
                let newest = self.read(file)?;
                if newest != proven_from {
                    return Ok(newest);
                }
                if extends(newest) {
                    write_atomic(file, &checkpoint.encode(), Readers::Owner)?;
                }
            }
            Place::Memory(newest) => {
                let mut newest = newest.lock().unwrap_or_else(PoisonError::into_inner);
                if *newest != proven_from {
                    return Ok(*newest);
                }
                if extends(*newest) {
                    *newest = Some(head);
                }
            }
        }
        Ok(None)
    }

    fn read(&self, file: &Path) -> Result<Option<TreeHead>, Error> {
        let Some(bytes) = read_if_there(file)? else { return Ok(None) };
        let head = Checkpoint::parse(&bytes).ok().map(|checkpoint| *checkpoint.head());
        let head = head.filter(|head| head.log_id == self.log_id);
        head.map(Some).ok_or_else(|| Error::StateFile { path: file.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::sync::LazyLock;
    use tyto_pqc::slhdsa::{ParameterSet, SigningKey};

    static KEY: LazyLock<SigningKey> =
        LazyLock::new(|| SigningKey::generate(ParameterSet::Shake128f).expect("OS randomness"));

    fn checkpoint(size: u64) -> Checkpoint {
        let head = TreeHead { log_id: [7; 32], size, root: [1; 32], time_unix_ms: size };
        Checkpoint::sign(head, &KEY).unwrap()
    }

    #[test]
    fn what_was_seen_outlives_the_process_and_never_falls() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDir::open(directory.path()).unwrap();
        let first = LogMemory::new([7; 32], Some(&state));
        assert_eq!(first.newest().unwrap(), None);
        assert_eq!(first.remember(None, &checkpoint(9)).unwrap(), None);
        let nine = first.newest().unwrap();
        assert_eq!(first.remember(nine, &checkpoint(5)).unwrap(), None);
        assert_eq!(first.newest().unwrap(), nine);
        let newest = |log_id| LogMemory::new(log_id, Some(&state)).newest().unwrap();
        assert_eq!((newest([7; 32]), newest([8; 32])), (nine, None));
    }

    #[test]
    fn whoever_compared_with_an_older_checkpoint_is_told_the_newer_one_and_overwrites_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDir::open(directory.path()).unwrap();
        let process = || LogMemory::new([7; 32], Some(&state));
        let alone = LogMemory::new([7; 32], None);
        for [first, second] in [[&process(), &process()], [&alone, &alone]] {
            assert_eq!(first.remember(None, &checkpoint(9)).unwrap(), None);
            let nine = second.newest().unwrap();
            assert_eq!(nine.map(|head| head.size), Some(9), "both read what either saw");
            assert_eq!(first.remember(nine, &checkpoint(10)).unwrap(), None);
            let ten = first.newest().unwrap();
            assert_eq!(second.remember(nine, &checkpoint(12)).unwrap(), ten, "it could be of a fork");
            assert_eq!(second.remember(None, &checkpoint(12)).unwrap(), ten);
            assert_eq!(second.newest().unwrap(), ten);
            assert_eq!(second.remember(ten, &checkpoint(12)).unwrap(), None);
            assert_eq!(first.newest().unwrap().map(|head| head.size), Some(12));
        }
    }

    #[test]
    fn a_damaged_file_or_one_of_another_log_is_not_taken_for_none() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDir::open(directory.path()).unwrap();
        let [seven, eight] = [[7; 32], [8; 32]].map(|log_id| LogMemory::new(log_id, Some(&state)));
        seven.remember(None, &checkpoint(9)).unwrap();
        let (path, other) = (state.log_file(&[7; 32]), state.log_file(&[8; 32]));
        fs::copy(&path, other).unwrap();
        assert!(matches!(eight.newest(), Err(Error::StateFile { .. })));
        fs::write(&path, b"nothing of ours").unwrap();
        assert!(matches!(seven.newest(), Err(Error::StateFile { .. })));
        assert!(matches!(seven.remember(None, &checkpoint(10)), Err(Error::StateFile { .. })));
    }
}
