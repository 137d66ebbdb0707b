//! The files of the audit log: segments that are appended to, begun and deleted.

use super::anchors;
use crate::Error;
use crate::config::AuditConfig;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use tyto_audit::{Chain, Resumed};

/// Where they lie in the data directory.
pub(crate) const DIRECTORY: &str = "audit";
const SEGMENT: &str = "audit";
const DAY_MS: u64 = 24 * 3600 * 1000;
/// A segment is not continued for longer, so that what is too old can be deleted.
const SEGMENT_MS: u64 = DAY_MS;
/// Enough of a segment to find its first record.
const BEGINNING_BYTES: u64 = 8 << 10;

/// The files, open at the newest segment.
pub(super) struct Files {
    directory: PathBuf,
    segment_bytes: u64,
    retained_bytes: u64,
    retained_ms: u64,
    /// All segments by their first records, the oldest first.
    segments: Vec<Segment>,
    file: File,
    /// What of the newest segment is records.
    length: u64,
    chain: Chain,
    /// Segments that go once the record that says so is durable.
    retiring: usize,
}

/// A segment that is there.
struct Segment {
    first: u64,
    bytes: u64,
    /// Time of its first record, if it has one.
    begun_unix_ms: Option<u64>,
}

impl Files {
    /// Opens the directory, or makes it and begins a chain. Gives how many bytes behind the last whole record were put
    /// aside, too.
    pub(super) fn open(directory: &Path, config: &AuditConfig) -> Result<(Self, u64), Error> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
        made.map_err(failed("create", directory))?;
        let mut firsts = list(directory).map_err(failed("read", directory))?;
        if firsts.is_empty() {
            let chain = Chain::new(tyto_pqc::random::bytes()?);
            create(directory, &chain).map_err(failed("write", directory))?;
            firsts.push(0);
        }
        let newest = *firsts.last().expect("there is one now");
        let path = path_of(directory, newest);
        let bytes = fs::read(&path).map_err(failed("read", &path))?;
        let resumed = Chain::resume(&bytes);
        let resumed = resumed.map_err(|source| Error::AuditSegment { path: path.clone(), source })?;
        let Resumed { chain, whole_bytes, first_time_unix_ms, .. } = resumed;
        let cut = &bytes[whole_bytes..];
        if !cut.is_empty() {
            put_aside(&path, whole_bytes, cut).map_err(failed("write", &path))?;
            tracing::warn!(path = %path.display(), bytes = cut.len(), "what was no record was put aside");
        }
        let mut segments = Vec::new();
        for &first in &firsts[..firsts.len() - 1] {
            segments.push(Segment::of(directory, first).map_err(failed("read", directory))?);
        }
        let length = whole_bytes as u64;
        segments.push(Segment { first: newest, bytes: length, begun_unix_ms: first_time_unix_ms });
        let file = OpenOptions::new().write(true).open(&path).map_err(failed("write", &path))?;
        let files = Self {
            directory: directory.to_owned(),
            segment_bytes: config.segment_bytes,
            retained_bytes: config.retained_bytes,
            retained_ms: config.retained_days * DAY_MS,
            segments,
            file,
            length,
            chain,
            retiring: 0,
        };
        Ok((files, cut.len() as u64))
    }

    /// Where the chain has come to.
    pub(super) fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Appends records to the newest segment, whole or not at all: what a failure leaves behind is written over.
    pub(super) fn append(&mut self, records: &[u8], chain: &Chain, sync: bool) -> io::Result<()> {
        self.file.write_all_at(records, self.length)?;
        if sync {
            self.file.sync_data()?;
        }
        self.length += records.len() as u64;
        if let Some(newest) = self.segments.last_mut() {
            newest.bytes = self.length;
            if self.chain.records() != chain.records() {
                newest.begun_unix_ms.get_or_insert(chain.last_time_unix_ms());
            }
        }
        self.chain = chain.clone();
        Ok(())
    }

    /// Begins another segment if the newest one is full or old.
    pub(super) fn rotate_if_due(&mut self, now_unix_ms: u64) -> io::Result<()> {
        let Some(Segment { begun_unix_ms: Some(begun), .. }) = self.segments.last() else { return Ok(()) };
        let is_old = now_unix_ms.saturating_sub(*begun) >= SEGMENT_MS;
        if self.length < self.segment_bytes && !is_old {
            return Ok(());
        }
        // What was not synced yet must not be younger than what is.
        self.file.set_len(self.length)?;
        self.file.sync_data()?;
        let (file, length) = create(&self.directory, &self.chain)?;
        self.segments.push(Segment { first: self.chain.records(), bytes: length, begun_unix_ms: None });
        (self.file, self.length) = (file, length);
        Ok(())
    }

    /// The first record to keep, if older ones are too many or too old: what the next record has to say before
    /// [`Files::retire`].
    pub(super) fn plan_retirement(&mut self, now_unix_ms: u64) -> Option<u64> {
        let mut bytes: u64 = self.segments.iter().map(|segment| segment.bytes).sum();
        let mut count = 0;
        // The newest segment always stays.
        for pair in self.segments.windows(2) {
            // A segment is as young as its last record, which is hardly older than the next one's first.
            let ended = pair[1].begun_unix_ms.unwrap_or(now_unix_ms);
            let is_old = now_unix_ms.saturating_sub(ended) >= self.retained_ms;
            if bytes <= self.retained_bytes && !is_old {
                break;
            }
            bytes -= pair[0].bytes;
            count += 1;
        }
        let is_new = count > self.retiring;
        self.retiring = self.retiring.max(count);
        is_new.then(|| self.segments[count].first)
    }

    /// Deletes what [`Files::plan_retirement`] named: the record that says so is durable. What cannot be deleted is tried
    /// again later.
    pub(super) fn retire(&mut self) {
        if self.retiring == 0 {
            return;
        }
        while self.retiring > 0 {
            let path = path_of(&self.directory, self.segments[0].first);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::error!(path = %path.display(), %error, "old audit records cannot be deleted");
                    return;
                }
                _ => {
                    self.segments.remove(0);
                    self.retiring -= 1;
                }
            }
        }
        anchors::prune(&self.directory, self.segments[0].first);
    }
}

impl Segment {
    /// One that is not the newest.
    fn of(directory: &Path, first: u64) -> io::Result<Self> {
        use std::io::Read as _;
        let file = File::open(path_of(directory, first))?;
        let bytes = file.metadata()?.len();
        let mut beginning = Vec::new();
        file.take(BEGINNING_BYTES).read_to_end(&mut beginning)?;
        // A head that cannot be read is for `tyto audit verify` to find.
        let begun_unix_ms = Chain::resume(&beginning).ok().and_then(|resumed| resumed.first_time_unix_ms);
        Ok(Self { first, bytes, begun_unix_ms })
    }
}

fn failed(action: &'static str, path: &Path) -> impl Fn(io::Error) -> Error {
    move |source| Error::AuditFile { action, path: path.to_owned(), source }
}

fn path_of(directory: &Path, first: u64) -> PathBuf {
    directory.join(format!("{first:020}.{SEGMENT}"))
}

/// The first records of all segments, in their order.
fn list(directory: &Path) -> io::Result<Vec<u64>> {
    let mut firsts = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let number = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
        if let Some(number) = number
            && path == path_of(directory, number)
        {
            firsts.push(number);
        }
    }
    firsts.sort_unstable();
    Ok(firsts)
}

/// Begins a segment where the chain is, which appears with its head or not at all.
fn create(directory: &Path, chain: &Chain) -> io::Result<(File, u64)> {
    let path = path_of(directory, chain.records());
    let head = chain.segment().encode();
    write_whole(&path, &head)?;
    Ok((OpenOptions::new().write(true).open(&path)?, head.len() as u64))
}

/// Writes a file under another name first, synced.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

/// Keeps what lies behind the last whole record of a segment, and takes it out of there.
fn put_aside(path: &Path, at: usize, bytes: &[u8]) -> io::Result<()> {
    write_whole(&path.with_extension(format!("{SEGMENT}.cut-{at}")), bytes)?;
    let file = OpenOptions::new().write(true).open(path)?;
    file.set_len(at as u64)?;
    file.sync_all()
}
