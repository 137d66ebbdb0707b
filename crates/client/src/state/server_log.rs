//! Which log a server keeps: one that takes another one in its place is not believed for that.

use super::StateDir;
use crate::Error;
use crate::files::{Readers, lock, read_limited, write_atomic};
use std::io;
use tyto_pqc::digest::sha3_256;

const MAGIC: &[u8; 8] = b"TYTOSRV1";
const FILE_BYTES: usize = 8 + 32 + 32;

impl StateDir {
    /// Takes note of the log that the server at an endpoint names. If it is another one than before, the earlier one
    /// is given, and the new one takes its place only if it `may_change`. Blocks.
    ///
    /// The file is `"TYTOSRV1" || log id 32 || SHA3-256(endpoint || all that) 32`.
    ///
    /// # Errors
    /// [`Error::StateFile`] for a damaged file.
    pub(crate) fn observe_log(
        &self,
        endpoint: &str,
        log_id: [u8; 32],
        may_change: bool,
    ) -> Result<Option<[u8; 32]>, Error> {
        let path = self.server_log_file(endpoint);
        let _turn = lock(&path)?;
        let saved = match read_limited(&path, FILE_BYTES as u64) {
            Ok(bytes) => Some(decode(endpoint, &bytes).ok_or(Error::StateFile { path: path.clone() })?),
            Err(Error::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let other = saved.filter(|saved| *saved != log_id);
        if saved.is_none() || (other.is_some() && may_change) {
            write_atomic(&path, &encode(endpoint, &log_id), Readers::Owner)?;
        }
        Ok(other)
    }
}

fn encode(endpoint: &str, log_id: &[u8; 32]) -> Vec<u8> {
    let digest = sha3_256(&[endpoint.as_bytes(), MAGIC, log_id]);
    [&MAGIC[..], log_id, &digest].concat()
}

fn decode(endpoint: &str, bytes: &[u8]) -> Option<[u8; 32]> {
    let log_id = bytes.get(8..40)?.try_into().ok()?;
    (encode(endpoint, &log_id) == bytes).then_some(log_id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn another_log_takes_the_place_of_the_first_only_if_it_may() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDir::open(directory.path()).unwrap();
        let [old, new] = [[1; 32], [2; 32]];
        let observe = |endpoint, log_id, may_change| state.observe_log(endpoint, log_id, may_change).unwrap();
        assert_eq!(observe("http://a:1", old, false), None);
        assert_eq!(observe("http://a:1", new, false), Some(old));
        assert_eq!(observe("http://a:1", old, false), None, "the first one stays");
        assert_eq!(observe("http://b:1", new, false), None, "another server");
        assert_eq!(observe("http://a:1", new, true), Some(old));
        assert_eq!(observe("http://a:1", new, false), None);
    }

    #[test]
    fn a_damaged_file_is_not_taken_for_none() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDir::open(directory.path()).unwrap();
        state.observe_log("a", [1; 32], false).unwrap();
        let whole = fs::read(state.server_log_file("a")).unwrap();
        let mut altered = whole.clone();
        altered[10] ^= 1;
        for damaged in [&whole[..40], &altered, &[&whole[..], b"."].concat()] {
            fs::write(state.server_log_file("a"), damaged).unwrap();
            assert!(matches!(state.observe_log("a", [1; 32], true), Err(Error::StateFile { .. })));
        }
    }
}
