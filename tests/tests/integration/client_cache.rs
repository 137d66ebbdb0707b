//! A client that comes back goes on from what it kept on disk; nothing in those files is believed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tyto_api::proto::gallery::v1::fetch_records_response::Part;
use tyto_api::proto::gallery::v1::{FetchRecordsResponse, SealedRecord};
use tyto_client::tenant::keyring::Keyring;
use tyto_client::tenant::{Template, TenantKey};
use tyto_client::{Client, Config, Error, GalleryHandle, IdentifyOptions};
use tyto_tests::Rng;
use tyto_tests::dishonest::{Fault, Proxy};
use tyto_tests::process::ServerProcess;
use tyto_tests::rig::{gallery, subject, template};

const BINARY: &str = env!("CARGO_BIN_EXE_tytod-under-test");
const ENROLLED: usize = 300;

struct World {
    directory: TempDir,
    address: String,
    server: ServerProcess,
    key: TenantKey,
    templates: Vec<Template>,
    rng: Rng,
}

impl World {
    /// A gallery of three blocks, filled by a process that keeps no state.
    async fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let server = ServerProcess::start(BINARY, directory.path(), "127.0.0.1:0");
        let (address, key) = (server.address().to_owned(), TenantKey::generate().unwrap());
        let mut world = Self { directory, address, server, key, templates: vec![], rng: Rng(5) };
        let gallery = gallery(&world.client(None).await, "faces", 16, 16).await;
        world.enrol(&gallery, ENROLLED).await;
        world
    }

    async fn client(&self, state: Option<&Path>) -> Client {
        self.client_of(&format!("http://{}", self.address), state).await
    }

    async fn client_of(&self, endpoint: &str, state: Option<&Path>) -> Client {
        let mut config = Config::new(endpoint);
        config.attestations = false;
        config.state_dir = state.map(Path::to_owned);
        Client::connect(config, Keyring::new(self.key.duplicate(), 1_800_000_000)).await.unwrap()
    }

    /// A new process that opens the gallery, with the state directory of that name.
    async fn opened(&self, state: &str) -> Result<GalleryHandle, Error> {
        self.client(Some(&self.state(state))).await.open_gallery("faces").await
    }

    /// The same through a proxy.
    async fn opened_through(&self, proxy: &Proxy, state: Option<&str>) -> Result<GalleryHandle, Error> {
        let state = state.map(|state| self.state(state));
        self.client_of(proxy.endpoint(), state.as_deref()).await.open_gallery("faces").await
    }

    /// Stops the server and copies its data.
    fn save_server(&mut self, name: &str) {
        self.server.kill();
        copy(&self.state("server"), &self.state(name));
        self.server = ServerProcess::start(BINARY, self.directory.path(), &self.address);
    }

    /// Starts the server again with older data.
    fn restore_server(&mut self, name: &str) {
        self.server.kill();
        fs::remove_dir_all(self.state("server")).unwrap();
        copy(&self.state(name), &self.state("server"));
        self.server = ServerProcess::start(BINARY, self.directory.path(), &self.address);
    }

    fn state(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    async fn enrol(&mut self, gallery: &GalleryHandle, count: usize) {
        let first = self.templates.len();
        self.templates.extend((0..count).map(|_| template(gallery, &mut self.rng)));
        let items: Vec<_> =
            (first..self.templates.len()).map(|i| (subject(i), self.templates[i].clone())).collect();
        gallery.enrol(items, &|_| ()).await.unwrap();
    }

    /// Every template's score, under its subject's name.
    async fn assert_answers(&mut self, gallery: &GalleryHandle) {
        let probe = template(gallery, &mut self.rng);
        let options = IdentifyOptions { collect_all: true, ..IdentifyOptions::default() };
        let found = gallery.identify(&probe, options).await.unwrap();
        let mut scores: Vec<_> = found.all.unwrap().into_iter().map(|s| (s.subject, s.score)).collect();
        let expected = |(i, t): (usize, &Template)| (Arc::new(subject(i)), probe.inner_product(t));
        let mut expected: Vec<_> = self.templates.iter().enumerate().map(expected).collect();
        scores.sort();
        expected.sort();
        assert_eq!(scores, expected);
    }
}

/// All files below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for path in files(from) {
        let place = to.join(path.strip_prefix(from).unwrap());
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::copy(&path, place).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_client_fetches_only_what_changed() {
    let mut world = World::new().await;
    let first = world.opened("state").await.unwrap();
    assert!(first.opening().changed_blocks >= 3 && first.opening().new_entries == ENROLLED as u64);
    let second = world.opened("state").await.unwrap();
    assert_eq!((second.opening().changed_blocks, second.opening().new_entries), (0, 0));
    assert!(
        10 * second.opening().bytes_received < first.opening().bytes_received,
        "{} bytes after {}",
        second.opening().bytes_received,
        first.opening().bytes_received
    );
    world.assert_answers(&second).await;

    // Another process enrols; this one, when it comes back, fetches that and no more.
    let other = world.opened("other").await.unwrap();
    world.enrol(&other, 5).await;
    let third = world.opened("state").await.unwrap();
    assert_eq!(third.opening().new_entries, 5);
    world.assert_answers(&third).await;
    let fourth = world.opened("state").await.unwrap();
    assert_eq!(fourth.opening().changed_blocks, 0, "what was fetched is kept, too");
    world.assert_answers(&fourth).await;
    // A process that enrols itself knows more than its files.
    world.enrol(&fourth, 5).await;
    let fifth = world.opened("state").await.unwrap();
    assert_eq!(fifth.opening().new_entries, 5);
    world.assert_answers(&fifth).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_or_foreign_cache_is_ignored_and_made_anew() {
    let mut world = World::new().await;
    let whole = world.opened("state").await.unwrap().opening().bytes_received;
    let cached: Vec<_> = files(&world.state("state")).into_iter().filter(|path| is_cache(path)).collect();
    assert!(cached.len() >= 5, "masks, manifest and three blocks");
    for (number, path) in cached.iter().enumerate() {
        let good = fs::read(path).unwrap();
        let mut flipped = good.clone();
        flipped[good.len() / 2] ^= 1;
        let foreign = fs::read(&cached[(number + 1) % cached.len()]).unwrap();
        for bad in [flipped, good[..good.len() - 1].to_vec(), vec![], foreign, vec![7; good.len() + 1000]] {
            fs::write(path, &bad).unwrap();
            let gallery = world.opened("state").await.unwrap();
            let is_masks = path.extension().is_some_and(|extension| extension == "masks");
            let fetched = gallery.opening().bytes_received;
            assert_eq!(fetched > whole / 2, !is_masks, "{path:?}: {fetched} bytes of {whole}");
            world.assert_answers(&gallery).await;
            assert_ne!(fs::read(path).unwrap(), bad, "it was written anew");
            assert_eq!(world.opened("state").await.unwrap().opening().changed_blocks, 0);
        }
    }
}

/// Everything but the high-water mark.
fn is_cache(path: &Path) -> bool {
    !path.extension().is_some_and(|extension| extension == "mark" || extension == "mark-lock")
}

/// Puts the cache of one state directory in the place of another's.
fn replace_cache(from: &Path, to: &Path) {
    for path in files(from).into_iter().filter(|path| is_cache(path)) {
        fs::copy(&path, to.join(path.strip_prefix(from).unwrap())).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_cache_brings_nothing_old_back() {
    let mut world = World::new().await;
    drop(world.opened("state").await.unwrap());
    let (state, old_state, new_state) =
        (world.state("state"), world.state("old state"), world.state("new state"));
    copy(&state, &old_state);
    // The server's data as of now, to roll back to.
    world.save_server("old server");
    let other = world.opened("other").await.unwrap();
    world.enrol(&other, 7).await;
    drop(other);
    assert_eq!(world.opened("state").await.unwrap().opening().new_entries, 7);
    copy(&state, &new_state);

    // The cache rolled back alone: the client asks for what is newer.
    replace_cache(&old_state, &state);
    let gallery = world.opened("state").await.unwrap();
    assert_eq!(gallery.opening().new_entries, 7);
    world.assert_answers(&gallery).await;
    drop(gallery);

    // The server rolled back, and the cache with it: the mark says that there was more.
    world.restore_server("old server");
    replace_cache(&old_state, &state);
    assert!(matches!(world.opened("state").await, Err(Error::RolledBack { .. })));
    // Without the mark, a cache that is newer than the server says as much.
    replace_cache(&new_state, &state);
    for mark in files(&state).into_iter().filter(|path| path.extension().is_some_and(|e| e == "mark")) {
        fs::remove_file(mark).unwrap();
    }
    assert!(matches!(world.opened("state").await, Err(Error::RolledBack { .. })));
    assert!(world.opened("nobody").await.is_ok(), "who never saw more has nothing to compare with");
}

/// The records of an answer.
fn records(messages: &[FetchRecordsResponse]) -> Vec<SealedRecord> {
    let record = |message: &FetchRecordsResponse| match &message.part {
        Some(Part::Block(block)) => block.record.clone(),
        _ => None,
    };
    messages.iter().filter_map(record).collect()
}

/// Path and content of everything that is cached.
fn cached(state: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found: Vec<_> = files(state).into_iter().filter(|path| is_cache(path)).collect();
    found.sort();
    found.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_answer_costs_no_evidence() {
    let mut world = World::new().await;
    let writer = world.opened("writer").await.unwrap();
    world.enrol(&writer, 3).await;
    drop(world.opened("state").await.unwrap());
    world.save_server("old server");
    let proxy = Proxy::start(&format!("http://{}", world.address)).await;
    let old = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&old);
    let listen = move |messages: &mut Vec<_>| *keep.lock().unwrap() = records(messages);
    proxy.commit(Fault { records: Some(Box::new(listen)), ..Fault::default() });
    drop(world.opened_through(&proxy, None).await.unwrap());
    let before = cached(&world.state("state"));
    world.enrol(&writer, 3).await;

    // An authentic newer manifest, and with it a block as it was.
    let listed = old.lock().unwrap().clone();
    proxy.commit(Fault {
        records: Some(Box::new(move |messages| {
            for message in messages {
                if let Some(Part::Block(block)) = &mut message.part
                    && let Some(old) = listed
                        .iter()
                        .find(|old| block.record.as_ref().is_some_and(|new| new.block_id == old.block_id))
                {
                    block.record = Some(old.clone());
                    block.entries.clear();
                }
            }
        })),
        ..Fault::default()
    });
    let outcome = world.opened_through(&proxy, Some("state")).await;
    assert!(matches!(outcome, Err(Error::StaleBlock { .. })), "{outcome:?}");
    assert!(cached(&world.state("state")) == before, "the cached state stays whole");
    drop(writer);
    world.restore_server("old server");
    let outcome = world.opened("state").await;
    assert!(matches!(outcome, Err(Error::RolledBack { .. })), "{outcome:?}");
    assert!(world.opened("nobody").await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cached_manifest_of_another_history_is_a_fork() {
    let mut world = World::new().await;
    world.save_server("old server");
    let writer = world.opened("one writer").await.unwrap();
    world.enrol(&writer, 3).await;
    drop((writer, world.opened("one").await.unwrap()));
    world.restore_server("old server");
    let writer = world.opened("two writer").await.unwrap();
    world.enrol(&writer, 3).await;
    drop(world.opened("two").await.unwrap());
    world.enrol(&writer, 3).await;
    replace_cache(&world.state("two"), &world.state("one"));
    let damaged = cached(&world.state("one")).into_iter().find(|(path, _)| path.extension().is_none());
    fs::write(damaged.unwrap().0, b"no block").unwrap();
    let outcome = world.opened("one").await;
    assert!(matches!(outcome, Err(Error::Forked { .. })), "{outcome:?}");
}
