//! Many templates: bulk enrolment, server memory, one identification by ticket. A million when soaking.

use std::time::{Duration, Instant};
use tyto_client::tenant::Template;
use tyto_client::{IdentifyOptions, ProbeBy};
use tyto_tenant::probe::Identification;
use tyto_tests::process::ServerProcess;
use tyto_tests::rig::{gallery, keyring, subject};
use tyto_tests::{Rng, soak};

/// A template made cheaply: a million of them take seconds.
fn cheap_template(number: u64) -> Template {
    let mut rng = Rng(number.wrapping_mul(0x5851_f42d_4c95_7f2d));
    let mut values = [0; 128];
    for chunk in values.chunks_mut(16) {
        let bits = rng.bits();
        chunk.iter_mut().enumerate().for_each(|(i, value)| *value = ((bits >> (4 * i) & 15) % 6) as i32 - 2);
    }
    Template::from_integers(&values).expect("within the range")
}

/// How long the server's latest pass over the gallery took, from its log.
fn last_pass(server: &ServerProcess) -> Duration {
    let log = std::fs::read_to_string(&server.log).expect("the log");
    let line = log.lines().rev().find(|line| line.contains("pass done")).expect("a pass was logged");
    let (_, rest) = line.split_once("pass_us").expect("its duration");
    let digits: String =
        rest.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    Duration::from_micros(digits.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_gallery_is_enrolled_durably_and_searched() {
    let count: u64 = if soak() { 1_000_000 } else { 30_000 };
    let directory = tempfile::TempDir::new().expect("a temporary directory");
    let binary = env!("CARGO_BIN_EXE_tytod-under-test");
    let mut server = ServerProcess::start(binary, directory.path(), "127.0.0.1:0");
    let mut config = tyto_client::Config::new(&server.endpoint);
    config.state_dir = Some(directory.path().join("client"));
    let client = tyto_client::Client::connect(config, keyring()).await.expect("it connects");
    let gallery = gallery(&client, "large", 128, 1).await;
    let items = (0..count).map(|i| (subject(i as usize), cheap_template(i)));
    let start = Instant::now();
    let report = gallery.enrol(items, &|_| ()).await.expect("all are enrolled");
    let elapsed = start.elapsed().as_secs_f64();
    assert_eq!(report.enrolled, count);
    println!("{count} templates enrolled in {elapsed:.1} s: {:.0} per second", count as f64 / elapsed);
    gallery.prepare_tickets::<Identification>(5).await.expect("tickets are made ahead");
    for round in 0..5 {
        let wanted = (count / 7 * (round + 1)) % count;
        let probe = cheap_template(wanted);
        let options = IdentifyOptions { probe_by: ProbeBy::Ticket, ..IdentifyOptions::default() };
        let start = Instant::now();
        let found = gallery.identify(&probe, options).await.expect("an answer that passes its checks");
        let elapsed = start.elapsed();
        assert_eq!(found.compared, count);
        assert_eq!(found.candidates[0].subject.as_bytes(), subject(wanted as usize).as_bytes());
        assert_eq!(found.candidates[0].score, probe.inner_product(&probe));
        assert!(found.candidates.windows(2).all(|pair| pair[0].score >= pair[1].score), "ranked");
        let pass = last_pass(&server);
        println!(
            "identification {round}: the pass {pass:?}, {:.0} % of the whole;",
            100.0 * pass.as_secs_f64() / elapsed.as_secs_f64()
        );
        println!(
            "identification {round}: {elapsed:?} in all, sent after {:?}, first block {:?}, last block {:?}; {} B sent, {} B received",
            found.timings.sent,
            found.timings.first_block,
            found.timings.last_block,
            found.bytes_sent,
            found.bytes_received
        );
    }
    let (now, peak) = server.memory();
    println!("server memory: {} MB now, {} MB at its peak", now >> 20, peak >> 20);
    let packed = count.div_ceil(2048) * 2048 * 656;
    assert!(now < packed + (350 << 20), "{now} bytes for {packed} bytes of packed templates");
    server.kill();
    let start = Instant::now();
    let server = ServerProcess::start(binary, directory.path(), server.address());
    println!("the server was back after {:.1} s", start.elapsed().as_secs_f64());
    assert_eq!(gallery.stat().await.expect("the gallery is there").templates, count);
    let (now, peak) = server.memory();
    println!("server memory after the restart: {} MB now, {} MB at its peak", now >> 20, peak >> 20);
    assert!(peak < packed + (350 << 20));
}
