//! A server killed with SIGKILL during enrolment comes back with exactly the acknowledged templates; the client goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tyto_client::tenant::Template;
use tyto_client::{GalleryHandle, IdentifyOptions};
use tyto_tests::process::ServerProcess;
use tyto_tests::rig::{gallery, keyring, subject, template};
use tyto_tests::{Rng, soak};

const BINARY: &str = env!("CARGO_BIN_EXE_tytod-under-test");

/// What the server says it holds, and that an identification agrees with it.
async fn enrolled(gallery: &GalleryHandle, rng: &mut Rng, templates: &[Template]) -> u64 {
    let stat = gallery.stat().await.expect("the gallery is there");
    let probe = template(gallery, rng);
    let options = IdentifyOptions { collect_all: true, ..IdentifyOptions::default() };
    let found = gallery.identify(&probe, options).await.expect("an answer that passes its checks");
    assert_eq!(found.compared, stat.templates);
    for score in found.all.expect("all scores were asked for") {
        let text = std::str::from_utf8(score.subject.as_bytes()).expect("our own ids").to_owned();
        let number: usize = text.trim_start_matches("subject ").parse().expect("our own ids");
        assert_eq!(score.score, probe.inner_product(&templates[number]), "{text}");
    }
    stat.templates
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_while_it_enrols_keeps_exactly_what_it_acknowledged() {
    let rounds = if soak() { 50 } else { 10 };
    let directory = tempfile::TempDir::new().expect("a temporary directory");
    let mut rng = Rng(77);
    let mut server = ServerProcess::start(BINARY, directory.path(), "127.0.0.1:0");
    let address = server.address().to_owned();
    let mut config = tyto_client::Config::new(format!("http://{address}"));
    config.attestations = false;
    config.state_dir = Some(directory.path().join("client"));
    config.max_attempts = 12;
    let client = tyto_client::Client::connect(config, keyring()).await.expect("it connects");
    let gallery = gallery(&client, "faces", 16, 16).await;
    let mut templates: Vec<Template> = Vec::new();
    for round in 0..rounds {
        let before = templates.len();
        templates.extend((0..2000).map(|_| template(&gallery, &mut rng)));
        let batch: Vec<_> = (before..templates.len()).map(|i| (subject(i), templates[i].clone())).collect();
        let acknowledged = Arc::new(AtomicU64::new(0));
        let (handle, count) = (gallery.clone(), Arc::clone(&acknowledged));
        let enrolling = tokio::spawn(async move {
            handle.enrol(batch, &move |done| count.store(done, Ordering::SeqCst)).await
        });
        // Anywhere between the first call and the last.
        tokio::time::sleep(Duration::from_micros(rng.below(60_000) as u64)).await;
        server.kill();
        let seen = acknowledged.load(Ordering::SeqCst);
        server = ServerProcess::start(BINARY, directory.path(), &address);
        // What was acknowledged before the kill is there, whatever happens next.
        let report =
            enrolling.await.expect("no panic").expect("the client goes on with the server that came back");
        assert_eq!(report.enrolled, 2000, "round {round}");
        assert!(seen <= 2000);
        let found = enrolled(&gallery, &mut rng, &templates).await;
        assert_eq!(found, templates.len() as u64, "round {round}: nothing lost, nothing twice");
    }
    let log = std::fs::read_to_string(&server.log).expect("a log file");
    let error = log.lines().find(|line| line.contains("ERROR"));
    assert_eq!(error, None, "the server that came back has nothing to complain of");
    println!("{rounds} of {rounds} kills survived, {} templates", templates.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_acknowledged_leaves_no_half_state() {
    let rounds = if soak() { 50 } else { 10 };
    let directory = tempfile::TempDir::new().expect("a temporary directory");
    let mut rng = Rng(78);
    for round in 0..rounds {
        let place = directory.path().join(format!("round {round}"));
        std::fs::create_dir(&place).expect("a directory");
        let mut server = ServerProcess::start(BINARY, &place, "127.0.0.1:0");
        let address = server.address().to_owned();
        let mut config = tyto_client::Config::new(format!("http://{address}"));
        config.attestations = false;
        // No second chance: the call in flight fails, and its outcome stays unknown.
        config.max_attempts = 1;
        let client = tyto_client::Client::connect(config, keyring()).await.expect("it connects");
        let gallery = gallery(&client, "faces", 16, 16).await;
        let templates: Vec<_> = (0..4000).map(|_| template(&gallery, &mut rng)).collect();
        let batch: Vec<_> = templates.iter().enumerate().map(|(i, t)| (subject(i), t.clone())).collect();
        let acknowledged = Arc::new(AtomicU64::new(0));
        let (handle, count) = (gallery.clone(), Arc::clone(&acknowledged));
        let enrolling = tokio::spawn(async move {
            handle.enrol(batch, &move |done| count.store(done, Ordering::SeqCst)).await
        });
        tokio::time::sleep(Duration::from_micros(5_000 + rng.below(60_000) as u64)).await;
        server.kill();
        let outcome = enrolling.await.expect("no panic");
        let seen = acknowledged.load(Ordering::SeqCst);
        server = ServerProcess::start(BINARY, &place, &address);
        let found = enrolled(&gallery, &mut rng, &templates).await;
        let in_flight = match outcome {
            Ok(report) => {
                assert_eq!(report.enrolled, 4000);
                0
            }
            Err(tyto_client::Error::Enrolment { acknowledged, uncertain, .. }) => {
                assert_eq!(acknowledged, seen, "the error says what was acknowledged");
                uncertain
            }
            Err(other) => panic!("{other}"),
        };
        // Whole transactions only: the templates present are the first so many, without a gap.
        assert!(
            seen <= found && found <= seen + in_flight,
            "round {round}: {seen} acknowledged, {found} found"
        );
        drop(server);
    }
}
