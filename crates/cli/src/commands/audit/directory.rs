//! The directory of an audit log: segments by the number of their first record, and anchors.

use std::fs;
use std::path::{Path, PathBuf};

use tyto_audit::{Header, MAX_HEADER_BYTES, Record, Verifier};

use super::{Rejection, Stopped};
use crate::Error;
use crate::connection::read_limited;

/// Largest segment that is read.
const MAX_SEGMENT_BYTES: u64 = 1 << 30;
/// What the names of segments end in.
const SEGMENT: &str = "audit";
/// Where the anchors lie, and what their names end in.
const ANCHORS: &str = "anchors";
const ANCHOR: &str = "bundle";

/// The files of a directory whose names end so, in the order of their names.
fn files(directory: &Path, extension: &str) -> Result<Vec<PathBuf>, Error> {
    let unreadable = |source: std::io::Error| Error::in_file(directory)(source.into());
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|found| found == extension) {
            paths.push(path);
        }
    }
    paths.sort_unstable();
    Ok(paths)
}

/// The segments.
pub(super) fn segments(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    files(directory, SEGMENT)
}

/// The bundles with anchors that lie beside the segments.
pub(super) fn bundles(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let anchors = directory.join(ANCHORS);
    if anchors.is_dir() { files(&anchors, ANCHOR) } else { Ok(Vec::new()) }
}

/// The id of the chain that the first segment is of, if it has a readable head.
pub(super) fn chain_id(segments: &[PathBuf]) -> Result<Option<[u8; 32]>, Error> {
    use std::io::Read as _;
    let Some(path) = segments.first() else { return Ok(None) };
    let read = || {
        let mut head = Vec::new();
        fs::File::open(path)?.take(2 + MAX_HEADER_BYTES as u64).read_to_end(&mut head)?;
        Ok(head)
    };
    let head = read().map_err(|source: std::io::Error| Error::in_file(path)(source.into()))?;
    Ok(Header::parse(&head).ok().map(|(header, _)| header.chain_id))
}

/// Goes through all segments, and shows each record that holds.
pub(super) fn go_through(
    verifier: &mut Verifier,
    segments: &[PathBuf],
    mut each: impl FnMut(&Record),
) -> Result<(), Stopped> {
    for path in segments {
        let bytes = read_limited(path, MAX_SEGMENT_BYTES).map_err(Error::in_file(path))?;
        let at = |fault| Rejection::Records { segment: Some(path.clone()), fault };
        verifier.segment(&bytes, &mut each).map_err(at)?;
    }
    Ok(())
}
