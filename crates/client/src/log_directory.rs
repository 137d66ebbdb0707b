//! The directory of a log: tiles, entries and the newest checkpoint, as the server's object store keeps them.
//!
//! Other names in it, such as the store's temporary files, are not looked at.

use crate::Error;
use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use tyto_attest::MAX_CHECKPOINT_BYTES;
use tyto_attest::log::{
    Audit, AuditFault, HASH_BYTES, Hash, MAX_ENTRY_BYTES, Stored, TILE_WIDTH, TileId, audit_step, audit_steps,
};

/// Largest bundle of entries.
const MAX_BUNDLE_BYTES: u64 = (TILE_WIDTH * (2 + MAX_ENTRY_BYTES)) as u64;
/// Largest tile.
const MAX_TILE_BYTES: u64 = (TILE_WIDTH * HASH_BYTES) as u64;
/// Steps that are read ahead of the one that is hashed.
const STEPS_AHEAD: usize = 2;
/// Times that an object is looked for.
const ATTEMPTS: usize = 3;

/// What an audit went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Audited {
    /// Entries up to the checkpoint, or to the first bad one's bundle.
    pub entries: u64,
    /// Their bytes.
    pub entry_bytes: u64,
    /// Objects that were read.
    pub objects: u64,
}

/// What is read for one step.
struct Step {
    entries: Option<Stored>,
    tiles: Vec<Option<Stored>>,
}

/// The directory of a log.
#[derive(Clone, Debug)]
pub struct LogDirectory(PathBuf);

impl LogDirectory {
    /// The log in this directory.
    pub fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// The newest checkpoint, if there is one.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn checkpoint(&self) -> Result<Option<Vec<u8>>, Error> {
        // One byte more than the largest, which whoever reads the checkpoint refuses.
        self.read("checkpoint", MAX_CHECKPOINT_BYTES as u64)
    }

    /// Goes through the first `size` entries: hashes each, and compares tiles of all levels, the root, and the trees of
    /// `earlier`, given by size and root. `look` sees the entries of one bundle after the other, with the index of the
    /// first, once their hashes are seen to be right.
    ///
    /// # Errors
    /// [`Error::File`]; whatever `look` says. The inner error is the first thing that is wrong with the log.
    pub fn audit<E: From<Error>>(
        &self,
        size: u64,
        root: Hash,
        earlier: &[(u64, Hash)],
        mut look: impl FnMut(u64, &[&[u8]]) -> Result<(), E>,
    ) -> Result<(Audited, Result<(), AuditFault>), E> {
        let mut audited = Audited::default();
        let mut audit = match Audit::new(size, root, earlier) {
            Ok(audit) => audit,
            Err(fault) => return Ok((audited, Err(fault))),
        };
        thread::scope(|scope| {
            // One thread reads while this one hashes. When this one ends early, sending fails, and so the other ends.
            let (sender, steps) = sync_channel(STEPS_AHEAD);
            scope.spawn(move || {
                for step in 0..audit_steps(size) {
                    if sender.send(self.read_step(step, size)).is_err() {
                        break;
                    }
                }
            });
            let found = go_through(&mut audit, &steps, &mut audited, &mut look);
            drop(steps);
            found.map(|found| (audited, found))
        })
    }

    /// How many entries there are beyond the first `size`: those that no checkpoint covers yet.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn entries_beyond(&self, size: u64) -> Result<u64, Error> {
        let mut beyond = size;
        loop {
            let index = beyond / TILE_WIDTH as u64;
            let full = TileId { level: 0, index, width: TILE_WIDTH as u16 };
            if self.0.join(full.entries_path()).is_file() {
                beyond = (index + 1) * TILE_WIDTH as u64;
                continue;
            }
            let width = self.widths(&full.entries_path())?.into_iter().max().unwrap_or(0);
            let partial = index * TILE_WIDTH as u64 + u64::from(width);
            return Ok(partial.max(beyond) - size);
        }
    }

    fn read_step(&self, step: u64, size: u64) -> Result<Step, Error> {
        let ids = audit_step(step, size);
        let entries = self.find(ids[0], TileId::entries_path, MAX_BUNDLE_BYTES)?;
        let tile = |id: TileId| self.find(id, TileId::path, MAX_TILE_BYTES);
        Ok(Step { entries, tiles: ids.into_iter().map(tile).collect::<Result<_, _>>()? })
    }

    /// An object, or a wider one of its place where the log has grown and the narrower one was deleted.
    fn find(&self, id: TileId, path: fn(TileId) -> String, max_bytes: u64) -> Result<Option<Stored>, Error> {
        if let Some(bytes) = self.read(&path(id), max_bytes)? {
            return Ok(Some(Stored { id, bytes }));
        }
        let full = TileId { width: TILE_WIDTH as u16, ..id };
        // More than once: while a server appends, what was listed may be gone when it is read.
        for _ in 0..ATTEMPTS {
            let wider = self.widths(&path(full))?.into_iter().filter(|width| *width > id.width).max();
            let wider = wider.map(|width| TileId { width, ..id });
            for id in [full].into_iter().chain(wider) {
                if let Some(bytes) = self.read(&path(id), max_bytes)? {
                    return Ok(Some(Stored { id, bytes }));
                }
            }
            if wider.is_none() {
                break;
            }
        }
        Ok(None)
    }

    /// The widths of the partial objects of one place.
    fn widths(&self, full: &str) -> Result<Vec<u16>, Error> {
        let folder = self.0.join(format!("{full}.p"));
        let listing = match fs::read_dir(&folder) {
            Ok(listing) => listing,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::file(folder)(error)),
        };
        let mut widths = Vec::new();
        for file in listing {
            let name = file.map_err(Error::file(&folder))?.file_name();
            let width = name.to_str().and_then(|name| name.parse().ok());
            widths.extend(width.filter(|width| (1..TILE_WIDTH as u16).contains(width)));
        }
        Ok(widths)
    }

    /// A file, or one byte more than `max_bytes` of a larger one.
    fn read(&self, name: &str, max_bytes: u64) -> Result<Option<Vec<u8>>, Error> {
        let path = self.0.join(name);
        let read = File::open(&path).and_then(|file| {
            let mut bytes = Vec::new();
            file.take(max_bytes + 1).read_to_end(&mut bytes)?;
            Ok(bytes)
        });
        match read {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::file(path)(error)),
        }
    }
}

fn go_through<E: From<Error>>(
    audit: &mut Audit,
    steps: &Receiver<Result<Step, Error>>,
    audited: &mut Audited,
    look: &mut impl FnMut(u64, &[&[u8]]) -> Result<(), E>,
) -> Result<Result<(), AuditFault>, E> {
    for step in steps {
        let step = step?;
        let first = audit.entries();
        match audit.feed(step.entries.as_ref(), &step.tiles) {
            Ok(entries) => look(first, &entries)?,
            Err(fault) => return Ok(Err(fault)),
        }
        audited.entries = audit.entries();
        audited.entry_bytes = audit.entry_bytes();
        audited.objects += 1 + step.tiles.len() as u64;
    }
    Ok(Ok(()))
}

#[cfg(test)]
mod tests;
