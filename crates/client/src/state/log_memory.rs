//! The newest checkpoint of a log that was ever seen, so that a log which takes something back is refused.

use super::StateDir;
use crate::Error;
use crate::files::{Readers, lock, write_atomic};
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use tyto_attest::{Checkpoint, TreeHead};

/// The newest checkpoint of one log: in memory, and in a file if there is a state directory. The file is the checkpoint
/// as it was signed: evidence against a log that forks.
#[derive(Debug)]
pub(crate) struct LogMemory {
    log_id: [u8; 32],
    file: Option<PathBuf>,
    newest: Mutex<Option<TreeHead>>,
}

impl LogMemory {
    /// Reads what was saved. Blocks.
    ///
    /// # Errors
    /// [`Error::StateFile`] for a file that is no checkpoint of this log.
    pub(crate) fn open(log_id: [u8; 32], state: Option<&StateDir>) -> Result<Self, Error> {
        let file = state.map(|state| state.log_file(&log_id));
        let memory = Self { log_id, file, newest: Mutex::default() };
        *memory.newest.lock().unwrap_or_else(PoisonError::into_inner) = memory.read()?;
        Ok(memory)
    }

    /// The log.
    pub(crate) fn log_id(&self) -> [u8; 32] {
        self.log_id
    }

    /// What the newest checkpoint says.
    pub(crate) fn newest(&self) -> Option<TreeHead> {
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers a checkpoint that was verified and extends the newest one, unless a newer one was seen meanwhile.
    /// Blocks.
    pub(crate) fn remember(&self, checkpoint: &Checkpoint) -> Result<(), Error> {
        let head = *checkpoint.head();
        if let Some(file) = &self.file {
            let _turn = lock(file)?;
            // Another process may have seen more.
            if self.read()?.is_none_or(|saved| saved.size < head.size) {
                write_atomic(file, &checkpoint.encode(), Readers::Owner)?;
            }
        }
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if newest.is_none_or(|known| known.size < head.size) {
            *newest = Some(head);
        }
        Ok(())
    }

    fn read(&self) -> Result<Option<TreeHead>, Error> {
        let Some(file) = &self.file else { return Ok(None) };
        let bytes = match fs::read(file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::file(file)(error)),
        };
        let head = Checkpoint::parse(&bytes).ok().map(|checkpoint| *checkpoint.head());
        let head = head.filter(|head| head.log_id == self.log_id);
        head.map(Some).ok_or_else(|| Error::StateFile { path: file.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
        let first = LogMemory::open([7; 32], Some(&state)).unwrap();
        let second = LogMemory::open([7; 32], Some(&state)).unwrap();
        assert_eq!(first.newest(), None);
        first.remember(&checkpoint(9)).unwrap();
        first.remember(&checkpoint(5)).unwrap();
        second.remember(&checkpoint(8)).unwrap();
        assert_eq!(first.newest().unwrap().size, 9);
        let size = |log_id| LogMemory::open(log_id, Some(&state)).unwrap().newest().map(|head| head.size);
        assert_eq!((size([7; 32]), size([8; 32])), (Some(9), None));
    }

    #[test]
    fn a_damaged_file_or_one_of_another_log_is_not_taken_for_none() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDir::open(directory.path()).unwrap();
        LogMemory::open([7; 32], Some(&state)).unwrap().remember(&checkpoint(9)).unwrap();
        let (path, other) = (state.log_file(&[7; 32]), state.log_file(&[8; 32]));
        fs::copy(&path, other).unwrap();
        assert!(matches!(LogMemory::open([8; 32], Some(&state)), Err(Error::StateFile { .. })));
        fs::write(&path, b"nothing of ours").unwrap();
        assert!(matches!(LogMemory::open([7; 32], Some(&state)), Err(Error::StateFile { .. })));
    }
}
