//! Attestations of documents and the transparency log, end to end: what was promised is kept, whatever happens.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tonic::Code;
use tyto_api::proto::attest::v1 as proto;
use tyto_api::proto::attest::v1::attest_service_client::AttestServiceClient;
use tyto_client::attest::log::Hash;
use tyto_client::attest::{
    Bundle, Claim, Content, Document, DocumentDigest, KeyRecord, Object, Purpose, Statement, TreeHead,
    TrustRoot,
};
use tyto_client::log_directory::LogDirectory;
use tyto_client::{AttestMode, Client, Config, Error, IdentifyOptions, KeyList};
use tyto_server::{RunningServer, Server};
use tyto_tests::metrics::Metrics;
use tyto_tests::process::ServerProcess;
use tyto_tests::rig::{gallery, keyring, subject, template};
use tyto_tests::{Rng, soak};

const BINARY: &str = env!("CARGO_BIN_EXE_tytod-under-test");
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
/// Default of `transparency.checkpoint_interval_ms`.
const INTERVAL_MS: u128 = 800;

pub(crate) async fn start(data: &Path) -> RunningServer {
    let mut config = tyto_server::Config::local(data);
    config.admin_listen = Some(([127, 0, 0, 1], 0).into());
    Server::start(config).await.expect("the server starts")
}

pub(crate) async fn connect(endpoint: String, state: Option<&Path>) -> Client {
    let mut config = Config::new(endpoint);
    config.state_dir = state.map(Path::to_owned);
    config.audience = String::from("court");
    Client::connect(config, keyring()).await.expect("the client connects")
}

pub(crate) async fn client_of(server: &RunningServer, state: Option<&Path>) -> Client {
    connect(format!("http://{}", server.local_addr()), state).await
}

/// Documents that differ by number.
fn documents(numbers: std::ops::Range<u64>) -> Vec<Document> {
    let document = |number: u64| {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&number.to_be_bytes());
        Document { digest: DocumentDigest::Sha256(digest), label: Some(format!("document {number}")) }
    };
    numbers.map(document).collect()
}

/// The trust root that an auditor makes of a server's keys.
fn roots(list: &KeyList) -> TrustRoot {
    TrustRoot::open(&signed_roots(list), None).expect("its own form")
}

/// The file of that trust root.
pub(crate) fn signed_roots(list: &KeyList) -> Vec<u8> {
    let offline = tyto_pqc::slhdsa::SigningKey::generate(tyto_pqc::slhdsa::ParameterSet::Shake128f);
    let offline = offline.expect("OS randomness");
    let mut roots = TrustRoot::new("auditor".to_owned(), 0, offline.verifying_key().clone());
    for entry in &list.keys {
        roots.insert(KeyRecord {
            key: entry.key.clone(),
            purpose: entry.purpose,
            log_id: (entry.purpose == Purpose::Log).then_some(list.log_id),
            name: "tytod".to_owned(),
            valid_from_unix_ms: 0,
            valid_until_unix_ms: None,
            revocation: None,
        });
    }
    roots.sign(&offline, None).expect("a list in order")
}

/// All statements of a log, in its order, after an audit of the whole directory against earlier trees.
fn audited(data: &Path, earlier: &[(u64, Hash)]) -> Vec<Statement> {
    let directory = LogDirectory::new(&data.join("objects/log"));
    let signed = directory.checkpoint().expect("readable").expect("a checkpoint");
    let Ok(Object::Checkpoint(checkpoint)) = tyto_client::attest::inspect(&signed) else { panic!("one") };
    let TreeHead { size, root, .. } = *checkpoint.head();
    let mut statements = Vec::new();
    let look = |_, entries: &[&[u8]]| {
        for entry in entries {
            statements.push(match tyto_client::attest::inspect(entry).expect("an entry") {
                Object::Attestation(claimed) => claimed.content,
                Object::Statement(statement) => statement,
                other => panic!("no entry: {other:?}"),
            });
        }
        Ok::<_, Error>(())
    };
    let (audited, outcome) = directory.audit(size, root, earlier, look).expect("readable");
    outcome.expect("the log verifies");
    assert_eq!(audited.entries, size);
    statements
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_in_both_modes_become_bundles_that_convince_offline() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let data = directory.path().join("server");
    let server = start(&data).await;
    let client = client_of(&server, None).await;
    let mut bundles = Vec::new();
    for mode in [AttestMode::Immediate, AttestMode::ReceiptOnly] {
        let wanted = documents(0..3);
        for (attested, document) in client.attest(mode, wanted.clone()).await.unwrap().into_iter().zip(wanted)
        {
            let (bundle, receipt) =
                client.bundle(&attested.content, PATIENCE).await.unwrap().expect("covered");
            assert!(receipt.index() < receipt.checkpoint().head().size);
            bundles.push((mode, document, bundle));
        }
    }
    let roots = roots(&client.keys().await.unwrap());
    server.shutdown().await.unwrap();
    for (mode, document, bundle) in bundles {
        let bytes = bundle.encode().unwrap();
        assert!(bytes.len() < 16_000, "{}", bytes.len());
        let verdict = tyto_client::attest::verify(&bytes, &roots, None);
        let verified = verdict.outcome.expect("it convinces");
        assert_eq!(verified.signer.is_some(), mode == AttestMode::Immediate);
        let statement = verified.statement.expect("one");
        assert_eq!((statement.audience.as_str(), &statement.claim), ("court", &Claim::Document(document)));
        assert!(statement.software_version.starts_with("tytod "));
        assert!(statement.build_digest.expect("known").starts_with("sha3-256:"));
        assert_eq!(statement.log.expect("named").log_id, verified.log.expect("covered").head.log_id);
        let mut other = Bundle::parse(&bytes).unwrap();
        let (Content::Attestation(entry) | Content::Statement(entry)) = &mut other.content;
        let middle = entry.len() / 2;
        entry[middle] ^= 1;
        assert!(!tyto_client::attest::verify(&other.encode().unwrap(), &roots, None).is_accepted());
    }
    audited(&data, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_promises_are_covered_by_few_checkpoints() {
    const CALLS: u64 = 24;
    const PER_CALL: u64 = 256;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let data = directory.path().join("server");
    let server = start(&data).await;
    let client = client_of(&server, None).await;
    let started = Instant::now();
    let calls = (0..CALLS).map(|call| {
        let client = client.clone();
        tokio::spawn(async move {
            let wanted = documents(call * PER_CALL..(call + 1) * PER_CALL);
            client.attest(AttestMode::ReceiptOnly, wanted).await.expect("promised")
        })
    });
    let mut last = Vec::new();
    for call in calls.collect::<Vec<_>>() {
        last.extend(call.await.expect("no panic").pop());
    }
    for attested in &last {
        assert!(client.bundle(&attested.content, PATIENCE).await.unwrap().is_some());
    }
    let metrics = Metrics::read(&server.admin_addr().expect("asked for").to_string());
    let checkpoints = metrics.value("log_checkpoints_total");
    let at_most = started.elapsed().as_millis() / INTERVAL_MS + 2;
    println!("{checkpoints} checkpoints cover {} promises", CALLS * PER_CALL);
    assert!(checkpoints <= at_most as f64, "{checkpoints} checkpoints, {at_most} intervals");
    server.shutdown().await.unwrap();
    let count = audited(&data, &[]).iter().filter(|s| matches!(s.claim, Claim::Document(_))).count();
    assert_eq!(count as u64, CALLS * PER_CALL);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_and_every_attestation_is_found_in_the_log() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let data = directory.path().join("server");
    let server = start(&data).await;
    let client = client_of(&server, None).await;
    let gallery = gallery(&client, "faces", 16, 16).await;
    let mut rng = Rng(5);
    let templates: Vec<_> = (0..3).map(|number| (subject(number), template(&gallery, &mut rng))).collect();
    gallery.enrol(templates.clone(), &|_| ()).await.unwrap();
    let (ada, probe) = templates[0].clone();
    let verification = gallery.verify(&ada, &probe).await.unwrap();
    let identification = gallery.identify(&probe, IdentifyOptions::default()).await.unwrap();
    let roots = roots(&client.keys().await.unwrap());
    for kept in [verification.attestation, identification.attestation] {
        let content = kept.expect("attestations are on").content();
        let (bundle, _) = client.bundle(&content, PATIENCE).await.unwrap().expect("covered");
        let verdict = tyto_client::attest::verify(&bundle.encode().unwrap(), &roots, None);
        let statement = verdict.outcome.expect("it convinces").statement.expect("one");
        assert!(matches!(statement.claim, Claim::Match(_)));
    }
    gallery.remove(&ada).await.unwrap();
    client.delete_gallery("faces").await.unwrap();
    server.shutdown().await.unwrap();
    // A second start adds nothing but the anchor of its audit log: the keys are known.
    start(&data).await.shutdown().await.unwrap();
    let mut kinds = BTreeMap::new();
    let mut versions = Vec::new();
    for statement in audited(&data, &[]) {
        *kinds.entry(statement.claim.kind()).or_insert(0) += 1;
        if let Claim::Gallery(change) = &statement.claim {
            assert_eq!(statement.nonce, None);
            versions.push((change.manifest_version, change.items));
        }
    }
    let expected = [
        ("audit-anchor", 2),
        ("create-gallery", 1),
        ("delete-gallery", 1),
        ("enrol", 1),
        ("identify", 1),
        ("key-change", 2),
        ("provision", 1),
        ("remove", 1),
        ("verify", 1),
    ];
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), expected);
    assert_eq!(
        versions,
        [(1, 0), (2, 1), (3, 3), (4, 1), (4, 0)],
        "in the order in which they were committed"
    );
}

/// What was handed out while a server was killed again and again.
#[derive(Default)]
struct HandedOut {
    promised: Vec<Content>,
    checkpoints: Vec<(u64, Hash)>,
}

/// Asks for promises and checkpoints until it is told to stop or the server is gone.
async fn use_until(client: Client, first: u64, stop: Arc<AtomicBool>) -> HandedOut {
    let (mut out, mut number) = (HandedOut::default(), first);
    while !stop.load(Ordering::SeqCst) {
        let Ok(attested) = client.attest(AttestMode::ReceiptOnly, documents(number..number + 20)).await
        else {
            break;
        };
        out.promised.extend(attested.into_iter().map(|attested| attested.content));
        match client.checkpoint().await {
            Ok(checkpoint) => out.checkpoints.push((checkpoint.head().size, checkpoint.head().root)),
            Err(error) => {
                assert!(!error.is_refusal(), "{error}");
                break;
            }
        }
        number += 20;
    }
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_under_load_keeps_every_promise_and_contradicts_no_checkpoint() {
    let rounds = if soak() { 60 } else { 6 };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let data = directory.path().join("server");
    let state = directory.path().join("client");
    let mut rng = Rng(99);
    let mut out = HandedOut::default();
    for round in 0..rounds {
        let mut server = ServerProcess::start_with_metrics(BINARY, directory.path());
        let mut config = Config::new(server.endpoint.clone());
        config.state_dir = Some(state.clone());
        config.max_attempts = 1;
        let client = Client::connect(config, keyring()).await.expect("the client connects");
        let stop = Arc::new(AtomicBool::new(false));
        let users: Vec<_> = (0..3)
            .map(|user| {
                let first = (round * 3 + user) * 1_000_000;
                tokio::spawn(use_until(client.clone(), first, Arc::clone(&stop)))
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(200 + rng.below(1500) as u64)).await;
        server.kill();
        stop.store(true, Ordering::SeqCst);
        for user in users {
            let mut used = user.await.expect("no refusal");
            out.promised.append(&mut used.promised);
            out.checkpoints.append(&mut used.checkpoints);
        }
    }
    assert!(!out.promised.is_empty() && !out.checkpoints.is_empty());
    let server = start(&data).await;
    let client = client_of(&server, Some(&state)).await;
    for content in out.promised.iter().step_by(if soak() { 1 } else { 17 }) {
        assert!(client.receipt(content, PATIENCE).await.expect("a promise is kept").is_some());
    }
    server.shutdown().await.unwrap();
    let logged = audited(&data, &out.checkpoints);
    let known: std::collections::HashSet<Vec<u8>> =
        logged.iter().filter_map(|statement| statement.encode().ok()).collect();
    let missing = out.promised.iter().filter(|content| !known.contains(content.as_bytes())).count();
    assert_eq!(missing, 0, "of {} promises", out.promised.len());
    println!(
        "{rounds} kills: {} promises kept, {} checkpoints extended, {} entries",
        out.promised.len(),
        out.checkpoints.len(),
        logged.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_come_every_second_under_traffic_and_not_without() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let server = start(&directory.path().join("server")).await;
    let client = client_of(&server, None).await;
    let mut times = Vec::new();
    let mut number = 0;
    while times.len() < 8 {
        client.attest(AttestMode::ReceiptOnly, documents(number..number + 1)).await.unwrap();
        number += 1;
        if let Ok(checkpoint) = client.checkpoint().await {
            times.push(checkpoint.head().time_unix_ms);
            times.dedup();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut gaps: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    gaps.sort_unstable();
    println!("checkpoints after {gaps:?} ms");
    assert!(gaps[gaps.len() / 2] <= 1000, "{gaps:?}");
    // The last entry is covered, and then nothing more is signed.
    let last = client.attest(AttestMode::ReceiptOnly, documents(number..number + 1)).await.unwrap();
    assert!(client.receipt(&last[0].content, PATIENCE).await.unwrap().is_some());
    let before = client.checkpoint().await.unwrap();
    tokio::time::sleep(Duration::from_millis(2 * INTERVAL_MS as u64)).await;
    assert_eq!(client.checkpoint().await.unwrap(), before);
    server.shutdown().await.unwrap();
}

fn copy_directory(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for item in fs::read_dir(from).expect("readable") {
        let item = item.expect("an item");
        let to = to.join(item.file_name());
        if item.file_type().expect("a type").is_dir() {
            copy_directory(&item.path(), &to);
        } else {
            fs::copy(item.path(), to).expect("copied");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_refuses_a_log_that_forgot_or_rewrote_what_it_saw() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (data, backup) = (directory.path().join("server"), directory.path().join("backup"));
    let state = directory.path().join("client");
    start(&data).await.shutdown().await.unwrap();
    copy_directory(&data, &backup);
    let server = start(&data).await;
    let client = client_of(&server, Some(&state)).await;
    let promised = client.attest(AttestMode::ReceiptOnly, documents(0..5)).await.unwrap();
    client.receipt(&promised[4].content, PATIENCE).await.unwrap().expect("covered");
    let seen = client.checkpoint().await.unwrap().head().size;
    server.shutdown().await.unwrap();

    // The whole server as it was before, which nothing in it can tell.
    let server = start(&backup).await;
    let returning = client_of(&server, Some(&state)).await;
    let rolled_back = returning.checkpoint().await.unwrap_err();
    assert!(matches!(rolled_back, Error::LogRolledBack { known, .. } if known == seen), "{rolled_back}");
    assert!(rolled_back.is_refusal());
    let other = returning.attest(AttestMode::ReceiptOnly, documents(100..120)).await.unwrap();
    let forked = returning.receipt(&other[19].content, PATIENCE).await.unwrap_err();
    assert!(matches!(forked, Error::LogForked { known, .. } if known == seen), "{forked}");
    assert!(forked.is_refusal());
    // Whoever saw nothing of the other history cannot know.
    let newcomer = client_of(&server, None).await;
    assert!(newcomer.receipt(&other[19].content, PATIENCE).await.unwrap().is_some());
    server.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_share_a_state_directory_accuse_nobody_and_see_what_the_others_saw() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (data, state) = (directory.path().join("server"), directory.path().join("client"));
    let server = start(&data).await;
    let users = (0..6).map(|user| {
        let (endpoint, state) = (format!("http://{}", server.local_addr()), state.clone());
        tokio::spawn(async move {
            let client = connect(endpoint, Some(&state)).await;
            for round in 0..4 {
                let number = user * 100 + round;
                let promised =
                    client.attest(AttestMode::ReceiptOnly, documents(number..number + 1)).await.unwrap();
                let (asked, covered) =
                    tokio::join!(client.checkpoint(), client.receipt(&promised[0].content, PATIENCE));
                if let Err(error) = asked {
                    assert!(!error.is_refusal(), "{error}");
                }
                assert!(covered.expect("no refusal").is_some());
            }
        })
    });
    for user in users.collect::<Vec<_>>() {
        user.await.expect("nobody is refused");
    }
    // One that began before the others sees what they saw, and refuses what they would.
    let early = client_of(&server, Some(&state)).await;
    early.checkpoint().await.unwrap();
    let late = client_of(&server, Some(&state)).await;
    let promised = late.attest(AttestMode::ReceiptOnly, documents(9_000..9_001)).await.unwrap();
    late.receipt(&promised[0].content, PATIENCE).await.unwrap().expect("covered");
    let seen = late.checkpoint().await.unwrap();
    let file = fs::read_dir(&state).expect("readable").map(|file| file.expect("an item").path());
    let mut file = file.filter(|path| path.extension().is_some_and(|end| end == "checkpoint"));
    let file = file.next().expect("one log");
    assert_eq!(fs::read(&file).expect("readable"), seen.encode());
    // Evidence of another tree of this size, as another process would have saved it.
    let head = TreeHead { root: [9; 32], ..*seen.head() };
    let key = tyto_pqc::slhdsa::SigningKey::generate(tyto_pqc::slhdsa::ParameterSet::Shake128f);
    let other = tyto_client::attest::Checkpoint::sign(head, &key.expect("OS randomness")).expect("signed");
    fs::write(&file, other.encode()).expect("written");
    let forked = early.checkpoint().await.unwrap_err();
    assert!(matches!(forked, Error::LogForked { .. }), "{forked}");
    assert_eq!(fs::read(&file).expect("readable"), other.encode(), "the evidence stays");
    server.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_log_at_the_same_address_is_refused_until_the_file_is_deleted_or_a_trust_root_has_it() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let state = directory.path().join("client");
    let server = start(&directory.path().join("first")).await;
    let address = server.local_addr();
    let endpoint = format!("http://{address}");
    let client = connect(endpoint.clone(), Some(&state)).await;
    let old = client.keys().await.unwrap();
    server.shutdown().await.unwrap();

    let mut config = tyto_server::Config::local(directory.path().join("second"));
    config.listen = address;
    let server = Server::start(config).await.expect("the server starts");
    let again = connect(endpoint.clone(), Some(&state)).await;
    let replaced = again.attest(AttestMode::Immediate, documents(0..1)).await.unwrap_err();
    assert!(replaced.is_refusal(), "{replaced}");
    let Error::LogReplaced { known, found, file } = replaced else { panic!("{replaced}") };
    assert_eq!((known, found != known), (old.log_id, true));
    // A process that has no directory remembers as long as it lives.
    let new = connect(endpoint.clone(), None).await.keys().await.unwrap();
    assert_eq!(new.log_id, found);
    let stale = client.attest(AttestMode::Immediate, documents(0..1)).await.unwrap_err();
    assert!(matches!(stale, Error::LogReplaced { .. }), "{stale}");

    let mut config = Config::new(endpoint.clone());
    config.state_dir = Some(state.clone());
    config.trust_root = Some(roots(&old));
    let believes = |config: Config| async move {
        let client = Client::connect(config, keyring()).await.expect("the client connects");
        client.attest(AttestMode::Immediate, documents(0..1)).await
    };
    assert!(matches!(believes(config.clone()).await, Err(Error::LogReplaced { .. })));
    let unchanged = fs::read(file.as_ref().expect("a directory")).expect("readable");
    config.trust_root = Some(roots(&new));
    believes(config).await.expect("an offline root lists it");
    assert_ne!(fs::read(file.as_ref().expect("a directory")).expect("readable"), unchanged);
    fs::write(file.as_ref().expect("a directory"), unchanged).expect("written");
    assert!(connect(endpoint.clone(), Some(&state)).await.keys().await.is_err());
    fs::remove_file(file.expect("a directory")).expect("deleted");
    connect(endpoint, Some(&state)).await.checkpoint().await.expect("begun anew");
    server.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_learns_of_keys_that_the_server_changed_while_it_ran() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let data = directory.path().join("server");
    let server = start(&data).await;
    let address = server.local_addr();
    let client = client_of(&server, None).await;
    let before = client.attest(AttestMode::Immediate, documents(0..1)).await.unwrap();
    client.receipt(&before[0].content, PATIENCE).await.unwrap().expect("covered");
    let old = client.keys().await.unwrap();
    server.shutdown().await.unwrap();

    fs::remove_file(data.join("signing-key.p8")).expect("a key");
    let mut config = tyto_server::Config::local(&data);
    config.listen = address;
    let server = Server::start(config).await.expect("the server starts");
    let after = client.attest(AttestMode::Immediate, documents(1..2)).await.expect("asked for once more");
    assert_ne!(client.keys().await.unwrap().keys[0].key.key_id(), old.keys[0].key.key_id());
    for attested in [&before[0], &after[0]] {
        let bundled = client.bundle(&attested.content, PATIENCE).await.expect("both keys are known");
        assert!(bundled.is_some());
    }
    server.shutdown().await.unwrap();
}

type Spoil<'a> = &'a dyn Fn(&mut proto::AttestRequest);

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_answered_says_why() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let server = start(&directory.path().join("server")).await;
    let client = client_of(&server, None).await;
    let attested = client.attest(AttestMode::ReceiptOnly, documents(0..1)).await.unwrap();
    client.receipt(&attested[0].content, PATIENCE).await.unwrap().expect("covered");
    let size = client.checkpoint().await.unwrap().head().size;
    let mut raw = AttestServiceClient::connect(format!("http://{}", server.local_addr())).await.unwrap();

    let request = |spoil: Spoil<'_>| {
        let document = proto::Document {
            algorithm: "sha-256".to_owned(),
            digest: vec![1; 32].into(),
            label: String::new(),
        };
        let mut request = proto::AttestRequest {
            mode: proto::AttestMode::Immediate.into(),
            audience: String::new(),
            nonce: vec![2; 32].into(),
            documents: vec![document],
        };
        spoil(&mut request);
        request
    };
    let cases: [(Spoil<'_>, &str); 8] = [
        (&|r| r.mode = 0, "mode is none of"),
        (&|r| r.nonce = vec![2; 31].into(), "nonce has 31 bytes, not 32"),
        (&|r| r.audience = "\u{7}".to_owned(), "audience has control characters"),
        (&|r| r.documents.clear(), "documents is empty"),
        (&|r| r.documents = vec![r.documents[0].clone(); 257], "documents has 257 entries, the limit is 256"),
        (&|r| r.documents[0].algorithm = "sha-1".to_owned(), "documents.algorithm is none of"),
        (&|r| r.documents[0].digest = vec![1; 20].into(), "documents.digest has 20 bytes, not 32"),
        (&|r| r.documents[0].label = "x".repeat(300), "documents.label has 300 bytes, the limit is 256"),
    ];
    for (spoil, says) in cases {
        let refused = raw.attest(request(spoil)).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{says}");
        assert!(refused.message().contains(says), "{}", refused.message());
    }
    let receipt = |leaf_hash: Vec<u8>| proto::GetReceiptRequest { leaf_hash: leaf_hash.into(), wait_ms: 0 };
    let refused = raw.get_receipt(receipt(vec![0; 31])).await.unwrap_err();
    assert_eq!(
        (refused.code(), refused.message()),
        (Code::InvalidArgument, "leaf_hash has 31 bytes, not 32")
    );
    let refused = raw.get_receipt(receipt(vec![0; 32])).await.unwrap_err();
    assert_eq!(
        (refused.code(), refused.message()),
        (Code::NotFound, "the log has no entry with this leaf hash")
    );
    let proof = |old_size, new_size| proto::GetConsistencyProofRequest { old_size, new_size };
    for (wrong, code) in [
        (proof(0, size), Code::InvalidArgument),
        (proof(size, size - 1), Code::InvalidArgument),
        (proof(1, size + 1), Code::NotFound),
        (proof(size + 1, 0), Code::NotFound),
    ] {
        assert_eq!(raw.get_consistency_proof(wrong).await.unwrap_err().code(), code, "{wrong:?}");
    }
    // One that is not covered yet says when to come again.
    let entry = raw.attest(request(&|r| r.mode = proto::AttestMode::ReceiptOnly.into())).await.unwrap();
    let entry = entry.into_inner().attested.remove(0).entry.to_vec();
    let mut early = tonic::Request::new(receipt(Content::Statement(entry).leaf_hash().to_vec()));
    early.get_mut().wait_ms = 10_000;
    // Far less than the interval after the checkpoint before: the answer comes before the deadline.
    early.set_timeout(Duration::from_millis(150));
    match raw.get_receipt(early).await.expect("an answer in time").into_inner().result {
        Some(proto::get_receipt_response::Result::NotCovered(wait)) => {
            assert!((100..=2_000).contains(&wait.retry_after_ms));
        }
        Some(proto::get_receipt_response::Result::Receipt(_)) => {}
        None => panic!("neither a receipt nor a word"),
    }
    server.shutdown().await.unwrap();
}
