//! The files of a keystore: replaced whole, and wiped when they are replaced.
//!
//! ```text
//! keystore            the keystore
//! keystore.new        the next one, while it is written
//! keystore.replaced   a second name of the old one, while it is replaced; then wiped and removed
//! keystore.mark       the newest generation that was seen
//! *.p8.wiped          a plain key that was taken over, while it is wiped
//! keystore.lock       held while a keystore is open
//! ```

use crate::{Error, Purpose};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use tyto_pqc::random;
use zeroize::Zeroizing;

/// The file with the keys, in a data directory.
pub const FILE_NAME: &str = "keystore";
/// The file that remembers the newest generation, in a data directory.
pub const MARK_FILE_NAME: &str = "keystore.mark";

const MARK_MAGIC: &[u8; 8] = b"TYTOKSM1";
const MARK_BYTES: usize = 8 + 16 + 8;
/// More than a plain private key takes.
const MAX_PLAIN_KEY_BYTES: u64 = 1024;

/// Where the files are.
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    dir: PathBuf,
}

/// What was seen of a keystore: its id and its generation.
pub(crate) type Mark = ([u8; 16], u64);

impl Paths {
    pub(crate) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    pub(crate) fn keystore(&self) -> PathBuf {
        self.dir.join(FILE_NAME)
    }

    pub(crate) fn mark(&self) -> PathBuf {
        self.dir.join(MARK_FILE_NAME)
    }

    fn new_file(&self) -> PathBuf {
        self.dir.join("keystore.new")
    }

    fn replaced(&self) -> PathBuf {
        self.dir.join("keystore.replaced")
    }

    pub(crate) fn plain(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn doomed(&self, name: &str) -> PathBuf {
        self.dir.join(name).with_extension("p8.wiped")
    }

    /// Waits until nobody else has the keystore open. Makes the directory if there is none.
    pub(crate) fn lock(&self) -> Result<File, Error> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.dir);
        made.map_err(failed("create", &self.dir))?;
        let path = self.dir.join("keystore.lock");
        let mut options = OpenOptions::new();
        let file = options.create(true).truncate(false).write(true).mode(0o600).open(&path);
        let file = file.map_err(failed("open", &path))?;
        file.lock().map_err(failed("lock", &path))?;
        Ok(file)
    }

    /// The keystore, if there is one.
    pub(crate) fn read(&self, max_bytes: u64) -> Result<Option<Vec<u8>>, Error> {
        read(&self.keystore(), max_bytes)
    }

    /// Puts a keystore into the place of the old one, if there is one: whoever is killed in between leaves the old file
    /// or the new one. What was replaced is overwritten, at the latest by [`Paths::tidy`].
    pub(crate) fn replace(&self, bytes: &[u8]) -> Result<(), Error> {
        let (keystore, new, replaced) = (self.keystore(), self.new_file(), self.replaced());
        self.tidy()?;
        write_new(&new, bytes)?;
        crash_point(1)?;
        match fs::hard_link(&keystore, &replaced) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            linked => linked.map_err(failed("link", &replaced))?,
        }
        crash_point(2)?;
        fs::rename(&new, &keystore).map_err(failed("replace", &keystore))?;
        crash_point(3)?;
        self.sync()?;
        crash_point(4)?;
        self.tidy()
    }

    /// Wipes what a change left behind that was broken off. The file in place has been read, or there is none.
    pub(crate) fn tidy(&self) -> Result<(), Error> {
        let (keystore, new, replaced) = (self.keystore(), self.new_file(), self.replaced());
        wipe(&new)?;
        Purpose::ALL.into_iter().try_for_each(|purpose| wipe(&self.doomed(purpose.plain_file_name())))?;
        match (inode(&replaced)?, inode(&keystore)?) {
            (None, _) => {}
            // It was not replaced after all: the two are names of one file.
            (Some(old), Some(current)) if old == current => {
                fs::remove_file(&replaced).map_err(failed("remove", &replaced))?;
            }
            (Some(_), Some(_)) => wipe(&replaced)?,
            // Somebody removed the keystore: this is all that is left of it.
            (Some(_), None) => return Err(Error::Absent { path: keystore }),
        }
        self.sync()
    }

    /// The newest generation that was seen, if any.
    pub(crate) fn read_mark(&self) -> Result<Option<Mark>, Error> {
        let path = self.mark();
        let damaged = || Error::Mark { mark: path.clone() };
        let Some(bytes) = read(&path, MARK_BYTES as u64)? else { return Ok(None) };
        let fields = bytes.strip_prefix(MARK_MAGIC).ok_or_else(damaged)?;
        let (store_id, generation) = fields.split_first_chunk::<16>().ok_or_else(damaged)?;
        let generation = u64::from_le_bytes(generation.try_into().map_err(|_| damaged())?);
        Ok(Some((*store_id, generation)))
    }

    pub(crate) fn write_mark(&self, (store_id, generation): Mark) -> Result<(), Error> {
        let path = self.mark();
        let new = path.with_extension("mark.new");
        remove(&new)?;
        write_new(&new, &[&MARK_MAGIC[..], &store_id, &generation.to_le_bytes()].concat())?;
        crash_point(5)?;
        fs::rename(&new, &path).map_err(failed("replace", &path))?;
        self.sync()
    }

    /// A private key that lies plain in the data directory, if it does.
    pub(crate) fn read_plain(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        Ok(read(&self.plain(name), MAX_PLAIN_KEY_BYTES)?.map(Zeroizing::new))
    }

    /// Overwrites and removes such a key.
    pub(crate) fn wipe_plain(&self, name: &str) -> Result<(), Error> {
        let (path, doomed) = (self.plain(name), self.doomed(name));
        crash_point(6)?;
        // A name that says what it is: half of a key is recognised by nothing.
        fs::rename(&path, &doomed).map_err(failed("rename", &path))?;
        self.sync()?;
        crash_point(7)?;
        wipe(&doomed)?;
        self.sync()
    }

    fn sync(&self) -> Result<(), Error> {
        let synced = File::open(&self.dir).and_then(|dir| dir.sync_all());
        synced.map_err(failed("sync", &self.dir))
    }
}

fn failed(action: &'static str, path: &Path) -> impl Fn(io::Error) -> Error {
    move |source| Error::File { action, path: path.to_owned(), source }
}

fn read(path: &Path, max_bytes: u64) -> Result<Option<Vec<u8>>, Error> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(failed("read", path))?,
    };
    let size = file.metadata().map_err(failed("read", path))?.len();
    if size > max_bytes {
        return Err(Error::TooLarge { path: path.to_owned(), max_bytes });
    }
    // At its final size from the start: growing it could leave parts of a plain key in freed memory.
    let mut bytes = Vec::with_capacity(size as usize + 1);
    file.take(max_bytes).read_to_end(&mut bytes).map_err(failed("read", path))?;
    Ok(Some(bytes))
}

fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(failed("write", path))
}

fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(failed("remove", path)),
    }
}

fn inode(path: &Path) -> Result<Option<(u64, u64)>, Error> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        found => found.map(|metadata| Some((metadata.dev(), metadata.ino()))).map_err(failed("read", path)),
    }
}

/// Overwrites a file with random bytes, which no file system stores as a hole, and removes it. What the medium keeps of
/// the old bytes (flash, copy on write, snapshots) is not in our hands.
fn wipe(path: &Path) -> Result<(), Error> {
    let overwrite = || {
        let mut file = OpenOptions::new().write(true).open(path)?;
        let mut noise = vec![0; file.metadata()?.len() as usize];
        random::fill(&mut noise).map_err(io::Error::other)?;
        file.write_all(&noise)?;
        file.sync_all()
    };
    match overwrite() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        overwritten => {
            overwritten.map_err(failed("overwrite", path))?;
            remove(path)
        }
    }
}

#[cfg(not(test))]
#[expect(clippy::unnecessary_wraps, reason = "tests break off here")]
#[inline]
fn crash_point(_point: u8) -> Result<(), Error> {
    Ok(())
}

#[cfg(test)]
pub(crate) use crate::tests::crash::crash_point;
