//! The audit log, end to end: what was answered is recorded, whatever happens, and `tyto audit verify` finds what is not.

use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tonic::transport::Endpoint;
use tonic::{Code, Request};
use tyto_api::proto::gallery::v1::ListGalleriesRequest;
use tyto_api::proto::gallery::v1::gallery_service_client::GalleryServiceClient;
use tyto_audit::{Call, Event, Record, Verifier};
use tyto_client::{Client, Config, Error, IdentifyOptions};
use tyto_server::{AuditMode, RunningServer, Server};
use tyto_tests::process::ServerProcess;
use tyto_tests::rig::{gallery, keyring, subject, template};
use tyto_tests::{Rng, soak};

use crate::cli::tyto::{Home, finish};

const BINARY: &str = env!("CARGO_BIN_EXE_tytod-under-test");
const FAIL_CLOSED: &str = "[audit]\nmode = 'fail-closed'\n";

async fn start(data: &Path, mode: AuditMode) -> RunningServer {
    let mut config = tyto_server::Config::local(data);
    config.audit.mode = mode;
    Server::start(config).await.expect("the server starts")
}

async fn client(endpoint: &str, attempts: u32) -> Client {
    let mut config = Config::new(endpoint);
    config.attestations = false;
    config.max_attempts = attempts;
    Client::connect(config, keyring()).await.expect("the client connects")
}

fn segments(data: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(data.join("audit")).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = entries.filter(|path| path.extension().is_some_and(|e| e == "audit")).collect();
    paths.sort_unstable();
    paths
}

/// All records of a chain that holds.
fn records(data: &Path) -> Vec<Record> {
    let mut records = Vec::new();
    let mut verifier = Verifier::new(&[]);
    for path in segments(data) {
        verifier.segment(&fs::read(path).unwrap(), |record| records.push(record.clone())).unwrap();
    }
    verifier.finish().unwrap();
    records
}

fn calls<'a>(records: &'a [Record], method: &str) -> Vec<(&'static str, &'a Call)> {
    let of = |record: &'a Record| Some((record.event.kind(), record.event.call()?));
    records.iter().filter_map(of).filter(|(_, call)| call.method.ends_with(method)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_is_recorded_and_streams_at_both_ends() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("server");
    let server = start(&data, AuditMode::FailClosed).await;
    let mut config = Config::new(format!("http://{}", server.local_addr()));
    config.audience = "court".into();
    let client = Client::connect(config, keyring()).await.unwrap();
    let people = gallery(&client, "people", 16, 16).await;
    let crowd = gallery(&client, "crowd", 16, 1).await;
    let mut rng = Rng(1);
    let x = template(&people, &mut rng);
    people.enrol([(subject(1), x.clone())], &|_| ()).await.unwrap();
    crowd.enrol([(subject(1), template(&crowd, &mut rng))], &|_| ()).await.unwrap();
    people.verify(&subject(1), &x).await.unwrap();
    assert!(people.verify(&subject(2), &x).await.is_err());
    crowd.identify(&template(&crowd, &mut rng), IdentifyOptions::default()).await.unwrap();
    people.remove(&subject(1)).await.unwrap();
    server.shutdown().await.unwrap();

    let records = records(&data);
    let verified = calls(&records, "MatchingService/Verify");
    let codes: Vec<_> = verified.iter().map(|(kind, call)| (*kind, call.code)).collect();
    assert_eq!(codes, [("call", Some(0))], "the client knows that there is no subject 2");
    let (_, call) = verified[0];
    assert_eq!(call.gallery, Some(people.id().0));
    assert_eq!(call.subject, Some(people.gallery().pseudonym(&subject(1)).0));
    assert!(call.request_digest.is_some() && call.answer_digest.is_some());
    assert!(call.peer.as_ref().unwrap().starts_with("127.0.0.1:"));
    for method in ["MatchingService/Identify", "GalleryService/Enrol", "GalleryService/Provision"] {
        let found = calls(&records, method);
        let begins: Vec<_> = found.iter().filter(|(kind, _)| *kind == "begin").collect();
        let mut ends: Vec<_> = found.iter().filter(|(kind, _)| *kind == "end").collect();
        ends.sort_unstable_by_key(|(_, call)| call.stream);
        assert!(!begins.is_empty() && begins.len() == ends.len(), "{method}: {found:?}");
        for ((_, begin), (_, end)) in begins.iter().zip(&ends) {
            assert_eq!((begin.stream, begin.code), (end.stream, None), "{method}");
            // The client goes away from its stream of changes once it has the last answer.
            let is_good = end.code == Some(0) || method.ends_with("Enrol") && end.code == Some(1);
            assert!(is_good, "{method}: {end:?}");
        }
    }
    let identified = calls(&records, "MatchingService/Identify");
    assert!(identified.iter().all(|(_, call)| call.gallery == Some(crowd.id().0)));
    assert!(identified.last().unwrap().1.answer_digest.is_some());
    // Each change of an enrolment has a record of its own.
    let enrolled = calls(&records, "GalleryService/Enrol");
    assert_eq!(enrolled.iter().filter(|(kind, _)| *kind == "call").count(), 2);
    let removed = calls(&records, "GalleryService/Remove");
    assert!(removed[0].1.request_digest.is_some() && removed[0].1.gallery == Some(people.id().0));
    assert!(calls(&records, "Health/Check").is_empty());
    assert!(matches!(records[0].event, Event::Start { fail_closed: true, .. }));
    assert!(matches!(records.last().unwrap().event, Event::Stop));
    // Names are nowhere.
    for path in segments(&data) {
        let bytes = fs::read(path).unwrap();
        assert!(!bytes.windows(7).any(|window| window == b"subject"), "a subject's name");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_is_recorded_with_its_reason() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("server");
    let mut config = tyto_server::Config::local(&data);
    config.audit.mode = AuditMode::FailClosed;
    config.access.required = true;
    let server = Server::start(config).await.unwrap();
    let endpoint = Endpoint::from_shared(format!("http://{}", server.local_addr())).unwrap();
    let mut galleries = GalleryServiceClient::new(endpoint.connect().await.unwrap());
    let refused = galleries.list_galleries(ListGalleriesRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    let mut wrong = Request::new(ListGalleriesRequest::default());
    wrong.metadata_mut().insert("authorization", "Bearer nonsense".parse().unwrap());
    assert_eq!(galleries.list_galleries(wrong).await.unwrap_err().code(), Code::Unauthenticated);
    drop(galleries);
    server.shutdown().await.unwrap();
    let records = records(&data);
    let denied = calls(&records, "GalleryService/ListGalleries");
    assert_eq!(denied.len(), 2);
    for (kind, call) in &denied {
        assert_eq!((*kind, call.code, call.principal), ("call", Some(16), None));
        assert!(call.decision.reason().is_some_and(|reason| !reason.contains("nonsense")));
    }
    assert_eq!(denied[0].1.decision.reason(), Some("this call needs a credential"));
}

/// Verifies until the server is gone; says how many answers came.
async fn use_until(client: Client, people: tyto_client::GalleryHandle, stop: Arc<AtomicBool>) -> u64 {
    let _ = client;
    let mut rng = Rng(5);
    let x = template(&people, &mut rng);
    let mut answered = 0;
    while !stop.load(Ordering::SeqCst) {
        match people.verify(&subject(1), &x).await {
            Ok(_) => answered += 1,
            Err(_) => break,
        }
    }
    answered
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_under_load_has_the_record_of_every_answer() {
    let rounds = if soak() { 40 } else { 5 };
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("server");
    let mut rng = Rng(7);
    let (mut answered, mut cut) = (0, 0);
    for round in 0..rounds {
        let mut server = ServerProcess::start_configured(BINARY, directory.path(), FAIL_CLOSED);
        let mut config = Config::new(server.endpoint.clone());
        (config.attestations, config.max_attempts) = (false, 1);
        let client = Client::connect(config, keyring()).await.unwrap();
        let people = gallery(&client, &format!("people {round}"), 16, 16).await;
        people.enrol([(subject(1), template(&people, &mut rng))], &|_| ()).await.unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let users: Vec<_> =
            (0..4).map(|_| tokio::spawn(use_until(client.clone(), people.clone(), stop.clone()))).collect();
        tokio::time::sleep(Duration::from_millis(100 + rng.below(700) as u64)).await;
        server.kill();
        stop.store(true, Ordering::SeqCst);
        for user in users {
            answered += user.await.unwrap();
        }
    }
    let newest = segments(&data).pop().unwrap();
    let bytes = fs::read(&newest).unwrap();
    let whole = tyto_audit::Chain::resume(&bytes).unwrap().whole_bytes;
    if whole < bytes.len() {
        cut += 1;
        fs::write(&newest, &bytes[..whole]).unwrap();
    }
    let records = records(&data);
    let recorded =
        calls(&records, "MatchingService/Verify").iter().filter(|(_, c)| c.code == Some(0)).count();
    assert!(answered > 0 && recorded as u64 >= answered, "{recorded} records of {answered} answers");
    println!("{rounds} kills: {answered} answers, {recorded} records, torn at the end: {cut}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_room_on_the_disk_calls_are_refused_in_time_and_go_on_when_there_is_room() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("server");
    let mut config = tyto_server::Config::local(&data);
    config.audit.mode = AuditMode::FailClosed;
    (config.audit.segment_bytes, config.audit.wait_ms) = (4096, 700);
    let server = Server::start(config).await.unwrap();
    let client = client(&format!("http://{}", server.local_addr()), 1).await;
    let people = gallery(&client, "people", 16, 16).await;
    let mut rng = Rng(3);
    let x = template(&people, &mut rng);
    people.enrol([(subject(1), x.clone())], &|_| ()).await.unwrap();
    let in_the_way: Vec<_> =
        (1..400).map(|first| data.join("audit").join(format!("{first:020}.new"))).collect();
    in_the_way.iter().filter(|path| !path.exists()).for_each(|path| fs::create_dir(path).unwrap());
    let mut slowest = Duration::ZERO;
    let mut refused = 0;
    for _ in 0..60 {
        let begun = Instant::now();
        match people.verify(&subject(1), &x).await {
            Ok(_) => assert_eq!(refused, 0, "refused until there is room"),
            Err(Error::Rpc { code: Code::Unavailable, .. }) => refused += 1,
            Err(error) => panic!("{error}"),
        }
        slowest = slowest.max(begun.elapsed());
    }
    assert!(refused > 0 && slowest < Duration::from_secs(10), "{refused}, {slowest:?}");
    in_the_way.iter().for_each(|path| drop(fs::remove_dir(path)));
    let begun = Instant::now();
    while people.verify(&subject(1), &x).await.is_err() {
        assert!(begun.elapsed() < Duration::from_mins(1), "it recovers by itself");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!("{refused} refused, the slowest after {slowest:?}; again after {:?}", begun.elapsed());
    server.shutdown().await.unwrap();
    records(&data);
}

/// What `tyto audit verify` says.
fn verdict(home: &Home, arguments: &str, code: i32) -> Value {
    home.run(format!("audit verify server/audit --json {arguments}").trim_end()).json(code)
}

fn rejection(home: &Home, arguments: &str) -> (Value, Value) {
    let shown = verdict(home, arguments, 3);
    (shown["rejection"]["part"].clone(), shown["rejection"]["check"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_auditor_finds_what_was_cut_off_or_written_anew() {
    let home = Home::new("http://127.0.0.1:1");
    let data = home.path("server");
    let server = start(&data, AuditMode::FailClosed).await;
    let client = client(&format!("http://{}", server.local_addr()), 1).await;
    gallery(&client, "people", 16, 16).await;
    let keys = client.keys().await.unwrap();
    server.shutdown().await.unwrap();
    home.file("roots", crate::attest::signed_roots(&keys));

    let all = "--roots roots --log server/objects/log";
    let shown = verdict(&home, all, 0);
    let count = shown["records"].as_u64().unwrap();
    assert_eq!(shown["anchors"]["confirmed"], count, "the last anchor covers the end: {shown}");
    assert_eq!((&shown["anchors"]["unconfirmed"], &shown["anchors"]["matched"]), (&0.into(), &2.into()));
    assert_eq!(shown["anchors"]["signature"], "verified");
    let exported = home.run("audit export server/audit");
    assert_eq!((exported.code, exported.out.lines().count() as u64), (0, count));

    // The tail is cut off, with its bundle: only who has a copy of either finds it.
    let bundles = data.join("audit/anchors");
    let bundle = fs::read_dir(&bundles).unwrap().next().unwrap().unwrap().path();
    fs::copy(&bundle, home.path("kept.bundle")).unwrap();
    let segment = segments(&data).remove(0);
    let whole = fs::read(&segment).unwrap();
    let mut ends = BTreeMap::new();
    for bytes in 0..whole.len() {
        if let Ok(resumed) = tyto_audit::Chain::resume(&whole[..bytes]) {
            ends.insert(resumed.chain.records(), resumed.whole_bytes);
        }
    }
    fs::write(&segment, &whole[..ends[&(count - 1)]]).unwrap();
    assert_eq!(rejection(&home, "--roots roots"), ("records".into(), "cut-off".into()));
    fs::remove_dir_all(&bundles).unwrap();
    assert_eq!(verdict(&home, "--roots roots", 0)["anchors"]["confirmed"], Value::Null);
    assert_eq!(rejection(&home, "--roots roots --bundle kept.bundle"), ("records".into(), "cut-off".into()));
    assert_eq!(rejection(&home, all), ("records".into(), "cut-off".into()));

    // Another chain in its place.
    fs::remove_dir_all(data.join("audit")).unwrap();
    let elsewhere = TempDir::new().unwrap();
    let other = start(&elsewhere.path().join("server"), AuditMode::BestEffort).await;
    other.shutdown().await.unwrap();
    let copied = finish(
        std::process::Command::new("cp").arg("-r").arg(elsewhere.path().join("server/audit")).arg(&data),
    );
    assert_eq!(copied.code, 0, "{copied:?}");
    assert_eq!(rejection(&home, "--bundle kept.bundle"), ("records".into(), "chain".into()));
    assert_eq!(rejection(&home, "--log server/objects/log"), ("records".into(), "chain".into()));
    // A bundle that does not hold.
    let mut altered = fs::read(home.path("kept.bundle")).unwrap();
    let middle = altered.len() / 2;
    altered[middle] ^= 1;
    home.file("altered.bundle", altered);
    assert_eq!(rejection(&home, "--roots roots --bundle altered.bundle").0, "anchor");
}
