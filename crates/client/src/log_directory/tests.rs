use super::*;
use std::collections::BTreeMap;
use tempfile::TempDir;
use tyto_attest::log::{AuditProblem, EntryBundle, Sequencer};

/// Enough for a full tile of level 1, two partial ones, and one of level 2.
const SIZE: u64 = 65_536 + 300;

/// A log on disk as a server leaves it.
struct Log {
    directory: TempDir,
    /// Roots by size.
    roots: BTreeMap<u64, Hash>,
}

fn entry(index: u64) -> Vec<u8> {
    [&index.to_be_bytes()[..], &vec![7; index as usize % 5]].concat()
}

impl Log {
    /// Of `size` entries, in which `entry` is what is logged; the roots at `sizes` are kept.
    fn of(sizes: &[u64], entry: impl Fn(u64) -> Vec<u8>) -> Self {
        let log = Self { directory: TempDir::new().unwrap(), roots: BTreeMap::new() };
        let (mut sequencer, mut roots) = (Sequencer::new(), BTreeMap::new());
        for &size in sizes {
            let entries: Vec<_> = (sequencer.size()..size).map(&entry).collect();
            let appended = sequencer.append(&entries).unwrap();
            for tile in &appended.tiles {
                let id = tile.id();
                log.write(&id.path(), &tile.to_bytes());
                if id.level == 0 {
                    let first = id.index * TILE_WIDTH as u64;
                    let mut bundle = Vec::new();
                    (first..first + u64::from(id.width))
                        .for_each(|at| EntryBundle::append(&mut bundle, &entry(at)).unwrap());
                    log.write(&id.entries_path(), &bundle);
                }
            }
            roots.insert(size, appended.root);
        }
        Self { roots, ..log }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn audit(&self, size: u64, earlier: &[(u64, Hash)]) -> Result<Audited, AuditFault> {
        let directory = LogDirectory::new(self.directory.path());
        let root = self.roots[&size];
        let mut seen = 0;
        let look = |first, entries: &[&[u8]]| {
            assert_eq!(first, seen);
            seen += entries.len() as u64;
            Ok::<_, Error>(())
        };
        let (audited, found) = directory.audit(size, root, earlier, look).unwrap();
        assert_eq!(seen, audited.entries);
        found.map(|()| audited)
    }

    /// What the audit finds after an alteration of one object, which is taken back.
    fn found(&self, name: &str, alter: impl FnOnce(&mut Vec<u8>)) -> AuditFault {
        let before = fs::read(self.path(name)).unwrap();
        let mut bytes = before.clone();
        alter(&mut bytes);
        assert_ne!(bytes, before);
        self.write(name, &bytes);
        let fault = self.audit(SIZE, &[]).unwrap_err();
        self.write(name, &before);
        fault
    }

    /// What it finds without one object.
    fn without(&self, name: &str) -> AuditFault {
        let before = fs::read(self.path(name)).unwrap();
        fs::remove_file(self.path(name)).unwrap();
        let fault = self.audit(SIZE, &[]).unwrap_err();
        self.write(name, &before);
        fault
    }
}

#[test]
fn a_whole_log_is_gone_through() {
    let sizes = [1, 256, 700, 65_536, SIZE, SIZE + 400];
    let log = Log::of(&sizes, entry);
    let roots: Vec<_> = log.roots.iter().map(|(size, root)| (*size, *root)).collect();
    for (at, &size) in sizes.iter().enumerate() {
        let audited = log.audit(size, &roots[..at]).unwrap();
        assert_eq!(audited.entries, size);
        assert_eq!(audited.entry_bytes, (0..size).map(|index| 8 + index % 5).sum::<u64>());
    }
    let beyond = |size| LogDirectory::new(log.directory.path()).entries_beyond(size).unwrap();
    assert_eq!((beyond(SIZE + 400), beyond(SIZE), beyond(0)), (0, 400, SIZE + 400));
    // Temporary files of the store, and what else lies about, is nobody's business.
    log.write("tile/0/000#1", b"half a tile");
    log.write("tile/0/x065/797.p/44#2", b"");
    assert!(log.audit(SIZE, &roots[..3]).is_ok());
    // Narrower objects of the edge go when wider ones are there.
    for name in ["tile/0/256.p/44", "tile/entries/256.p/44", "tile/0/257.p/44", "tile/entries/257.p/44"] {
        let _ = fs::remove_file(log.path(name));
    }
    assert!(log.audit(SIZE, &[]).is_ok());
}

#[test]
fn the_first_bad_entry_is_named() {
    let log = Log::of(&[700, SIZE], entry);
    let entry_fault = |path: &str| AuditProblem::Entry { path: path.into() };
    let missing = |path: &str| AuditProblem::Missing { path: path.into() };
    let broken = |path: &str| AuditProblem::Entries { path: path.into() };
    let tile = |path: &str, position| AuditProblem::Tile { path: path.into(), position };
    let cases = [
        // An entry: in the first bundle, in a later one, at the edge of the log. 11 bytes: length, index, and one more.
        (log.found("tile/entries/000", |bytes| bytes[2 + 7] ^= 1), 0, entry_fault("tile/0/000")),
        (log.found("tile/entries/001", |bytes| bytes[2] ^= 0x80), 256, entry_fault("tile/0/001")),
        (
            log.found("tile/entries/257.p/44", |b| *b.last_mut().unwrap() ^= 1),
            SIZE - 1,
            entry_fault("tile/0/257.p/44"),
        ),
        // Lengths: the entry itself is the first that differs, whatever becomes of the ones after it.
        (log.found("tile/entries/001", |bytes| bytes[1] ^= 1), 256, entry_fault("tile/0/001")),
        (log.found("tile/entries/001", |bytes| bytes[0] ^= 0x40), 256, broken("tile/entries/001")),
        // Truncated and prolonged bundles.
        (log.found("tile/entries/001", |bytes| bytes.truncate(2 + 9)), 257, broken("tile/entries/001")),
        (
            log.found("tile/entries/001", |bytes| bytes.truncate(bytes.len() - 1)),
            511,
            broken("tile/entries/001"),
        ),
        (log.found("tile/entries/001", |bytes| bytes.push(0)), 511, broken("tile/entries/001")),
        (log.found("tile/entries/257.p/44", Vec::clear), SIZE - 44, broken("tile/entries/257.p/44")),
        // Tiles of level 0, in the middle and at the edge.
        (log.found("tile/0/002", |bytes| bytes[32 * 5] ^= 1), 512 + 5, tile("tile/0/002", 5)),
        (
            log.found("tile/0/257.p/44", |bytes| bytes[32 * 43 + 31] ^= 1),
            SIZE - 1,
            tile("tile/0/257.p/44", 43),
        ),
        // Tiles of levels 1 and 2: the first entry below the bad hash.
        (log.found("tile/1/000", |bytes| bytes[32 * 3] ^= 1), 3 * 256, tile("tile/1/000", 3)),
        (log.found("tile/1/001.p/1", |bytes| bytes[0] ^= 1), 65_536, tile("tile/1/001.p/1", 0)),
        (log.found("tile/2/000.p/1", |bytes| bytes[9] ^= 1), 0, tile("tile/2/000.p/1", 0)),
        // Missing objects.
        (log.without("tile/entries/003"), 768, missing("tile/entries/003")),
        (log.without("tile/0/003"), 768, missing("tile/0/003")),
        (log.without("tile/entries/257.p/44"), SIZE - 44, missing("tile/entries/257.p/44")),
        (log.without("tile/1/000"), 0, missing("tile/1/000")),
        (log.without("tile/1/001.p/1"), 65_536, missing("tile/1/001.p/1")),
    ];
    for (fault, index, problem) in cases {
        assert_eq!((fault.index, &fault.problem), (index, &problem), "{fault}");
    }
    for name in ["tile/0/000", "tile/1/000", "tile/2/000.p/1", "tile/0/257.p/44"] {
        let shorter = log.found(name, |bytes| bytes.truncate(bytes.len() - 1));
        let longer = log.found(name, |bytes| bytes.push(0));
        assert_eq!((shorter.problem.check(), longer.problem.check()), ("tile-size", "tile-size"), "{name}");
    }
    assert!(log.audit(SIZE, &[]).is_ok(), "every alteration was taken back");
}

#[test]
fn a_history_that_was_written_anew_is_seen_by_the_trees_that_were_signed() {
    let sizes = [100, 700, 1000];
    let (log, other) =
        (Log::of(&sizes, entry), Log::of(&sizes, |index| entry(if index == 300 { 5000 } else { index })));
    let earlier: Vec<_> = log.roots.iter().map(|(size, root)| (*size, *root)).collect();
    // Entries, tiles and the newest root agree; the earlier trees do not.
    assert!(other.audit(1000, &[]).is_ok());
    assert!(other.audit(1000, &earlier[..1]).is_ok());
    let fault = other.audit(1000, &earlier[..2]).unwrap_err();
    assert_eq!((fault.index, fault.problem), (100, AuditProblem::Tree { size: 700 }));
    let fault = log.audit(700, &earlier).unwrap_err();
    assert_eq!((fault.index, fault.problem), (700, AuditProblem::TooShort { size: 1000 }));
    // An entry that was altered together with its hash leads nowhere.
    let replace = |name: &str| fs::copy(other.path(name), log.path(name)).unwrap();
    replace("tile/entries/001");
    let fault = log.audit(1000, &[]).unwrap_err();
    assert_eq!((fault.index, fault.problem.check()), (300, "entry"));
    replace("tile/0/001");
    let fault = log.audit(1000, &[]).unwrap_err();
    assert_eq!(
        (fault.index, fault.problem),
        (256, AuditProblem::Tile { path: "tile/1/000.p/3".into(), position: 1 })
    );
    replace("tile/1/000.p/3");
    let fault = log.audit(1000, &earlier[..1]).unwrap_err();
    assert_eq!((fault.index, fault.problem), (100, AuditProblem::Tree { size: 1000 }));
    log.write("tile/entries/001", &vec![0; 40_000]);
    let fault = log.audit(1000, &[]).unwrap_err();
    assert_eq!((fault.index, fault.problem.check()), (256, "entry"));
    fs::copy(other.path("tile/0/000"), log.path("tile/0/001")).unwrap();
    assert_eq!(log.audit(1000, &[]).unwrap_err().problem.check(), "entry-and-tile");
}

#[test]
fn an_empty_log_is_whole() {
    let log = Log { directory: TempDir::new().unwrap(), roots: [(0, tyto_attest::log::empty_root())].into() };
    assert_eq!(log.audit(0, &[]).unwrap(), Audited::default());
    let other = Log { roots: [(0, [1; 32])].into(), ..log };
    assert_eq!(other.audit(0, &[]).unwrap_err().problem, AuditProblem::Tree { size: 0 });
}
