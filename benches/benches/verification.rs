//! A verification: the server's computation beside one forward NTT, and the call beside that of the health service.
//!
//! `TYTO_BENCH_CONNECTIONS` and `TYTO_BENCH_IN_FLIGHT` (per connection) change the load of the calls.

use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tyto_api::matching::{AttestationRequest, Probe, Verify, VerifyAnswer, WholeQuery};
use tyto_api::proto::matching::v1::VerifyRequest;
use tyto_api::proto::matching::v1::matching_service_client::MatchingServiceClient;
use tyto_client::tenant::keyring::Keyring;
use tyto_client::{Client, Config};
use tyto_engine::{Block, BlockState, Filled, Located, Verification};
use tyto_kernels::{NttPoly, Poly, Q, forward_into};
use tyto_measure::timing::in_turn;
use tyto_scheme::segment::read_polynomials;
use tyto_scheme::{Layout, ParameterSet};
use tyto_server::{AuditMode, RunningServer, Server};
use tyto_tenant::block::{BlockChange, OpenBlock};
use tyto_tenant::decrypt::BlockView;
use tyto_tenant::probe::{self, whole_query};
use tyto_tenant::record::Record;
use tyto_tenant::{Gallery, Metric, SubjectId, Template, TenantKey};

/// Whether criterion runs everything once, as a test.
fn smoke() -> bool {
    std::env::args().any(|argument| argument == "--test")
}

fn template(number: usize, dimension: usize) -> Template {
    let value = |i: usize| if i.is_multiple_of(4) { ((number * 31 + i * 17) % 5) as i32 - 2 } else { 0 };
    Template::from_integers(&(0..dimension).map(value).collect::<Vec<_>>()).expect("within the range")
}

fn subject(number: usize) -> SubjectId {
    SubjectId::new(format!("subject {number}")).expect("a short id")
}

fn verification_layout(dimension: u32) -> Layout {
    Layout::verification(ParameterSet::Exact41, dimension).expect("a safe layout")
}

/// A resident gallery with one full block, and the tenant's view of it.
struct World {
    gallery: Gallery,
    resident: tyto_engine::Gallery,
    view: BlockView,
    templates: Vec<Template>,
}

fn world(dimension: u32) -> World {
    let layout = verification_layout(dimension);
    let key = TenantKey::generate().expect("OS randomness");
    let (gallery, _) = Gallery::create(&key, "bench", layout, Metric::Cosine).expect("a gallery");
    let (mut open, provisioned) = OpenBlock::provision(&gallery).expect("OS randomness");
    let templates: Vec<_> = (0..layout.slots()).map(|i| template(i, layout.dimension())).collect();
    let fill = |(number, template)| open.fill(&gallery, subject(number), template).expect("a free slot");
    let fills: Vec<_> = templates.iter().enumerate().map(fill).collect();
    let change = BlockChange::new(&gallery, &provisioned.record, &fills, &[]).expect("fresh slots");
    let filled: Vec<_> = fills
        .iter()
        .map(|fill| Filled { slot: fill.slot(), subject: fill.pseudonym(), delta: fill.delta().clone() })
        .collect();
    let state = BlockState {
        id: change.record.block(),
        version: change.record.version(),
        changed_at: 2,
        record: Arc::from([]),
        record_digest: [0; 32],
        entries: 0,
    };
    let polynomials =
        read_polynomials("block", &provisioned.polynomials, layout.chunks()).expect("its own form");
    let block = Block::from_polynomials(&layout, state, polynomials, &filled, &[]);
    let resident = tyto_engine::Gallery::new(*gallery.parameters(), 2, Arc::from([]), vec![block]);
    let view = BlockView::new(&gallery, change.record);
    World { gallery, resident: resident.expect("one block"), view, templates }
}

/// The server's part: from the bytes of a whole query to the coefficients of the subject's one template.
fn computation(criterion: &mut Criterion) {
    for dimension in [128, 512] {
        let world = world(dimension);
        let layout = *world.gallery.layout();
        let (x, number) = (template(7, layout.dimension()), layout.slots() - 1);
        let pseudonym = world.gallery.pseudonym(&subject(number));
        let (bytes, pending) =
            whole_query::<probe::Verification>(&world.gallery, &x, pseudonym).expect("a query");
        let (mut verification, mut located) = (Verification::new(), Vec::<Located>::new());
        let mut verify = || {
            let snapshot = world.resident.locate(pseudonym, &mut located);
            verification.read(&layout, black_box(&bytes)).expect("a well-formed query");
            let mut found = None;
            verification.compare(&snapshot, &located, |comparison| found = Some(comparison));
            found.expect("one template")
        };

        let found = verify();
        let replies = vec![(found.template.slot, [found.coefficient, found.check])];
        pending.check_echo(None).expect("a whole query has no echo");
        let record = world.view.record();
        let claimed =
            world.view.claim_slots(record.block(), record.version(), replies).expect("this version");
        let scores = pending.decrypt(&world.gallery, claimed).expect("an honest answer");
        let expected = x.inner_product(&world.templates[number]);
        assert_eq!(scores, [(found.template.slot, expected)], "the score is that of the plaintext");

        let mut p = Poly::zero();
        p.as_mut_slice().iter_mut().zip(1..).for_each(|(x, i)| *x = i * 123_456_789_123 % Q);
        let mut values = NttPoly::zero();
        let (rounds, repeats) = if smoke() { (5, 10) } else { (400, 100) };
        let turns = in_turn(
            rounds,
            [&mut || (0..repeats).for_each(|_| forward_into(black_box(&p), &mut values)), &mut || {
                for _ in 0..repeats {
                    black_box(verify());
                }
            }],
        );
        let us = |index| turns.fastest(index).as_secs_f64() * 1e6 / f64::from(repeats);
        println!(
            "d={dimension}: verification {:.2} us, forward NTT {:.2} us, ratio {:.2} (at most 6)",
            us(1),
            us(0),
            turns.ratio(1, 0)
        );
        let mut group = criterion.benchmark_group(format!("d={dimension}"));
        group.bench_function("forward NTT", |bench| bench.iter(|| forward_into(black_box(&p), &mut values)));
        group.bench_function("verification", |bench| bench.iter(&mut verify));
        group.finish();
    }
}

/// A server over loopback with one gallery, and requests made ahead.
struct Site {
    server: RunningServer,
    _directory: TempDir,
    plain: VerifyRequest,
    attested: VerifyRequest,
}

/// Starts a server, enrols, and checks that the raw request gets the answer that the tenant expects.
async fn site(dimension: u32, audit: AuditMode) -> Site {
    let directory = TempDir::new().expect("a temporary directory");
    let mut config = tyto_server::Config::local(directory.path());
    config.audit.mode = audit;
    let server = Server::start(config).await.expect("the server starts");
    let mut config = Config::new(format!("http://{}", server.local_addr()));
    let keyring = Keyring::new(TenantKey::generate().expect("OS randomness"), 1_800_000_000);
    config.attestations = false;
    let client = Client::connect(config, keyring).await.expect("a client");
    let handle = client.create_gallery("bench", verification_layout(dimension), Metric::Cosine).await;
    let handle = handle.expect("a gallery");
    let gallery = handle.gallery();
    let people = (0..100).map(|i| (subject(i), template(i, dimension as usize)));
    handle.enrol(people, &|_| ()).await.expect("an enrolment");

    let (x, enrolled) = (template(7, dimension as usize), 42);
    let pseudonym = gallery.pseudonym(&subject(enrolled));
    let (polynomials, pending) = whole_query::<probe::Verification>(gallery, &x, pseudonym).expect("a query");
    let parameters = gallery.parameters();
    let request = Verify {
        gallery: handle.id(),
        subject: pseudonym,
        probe: Probe::Query(WholeQuery {
            key: parameters.key,
            mask_epoch: parameters.mask_epoch,
            polynomials: polynomials.into(),
        }),
        known_manifest_version: 0,
        attestation: None,
    };
    let channel = Endpoint::from_shared(format!("http://{}", server.local_addr())).expect("an address");
    let channel = channel.connect().await.expect("a connection");
    let answer = MatchingServiceClient::new(channel).verify(VerifyRequest::from(request.clone())).await;
    let answer = VerifyAnswer::try_from(answer.expect("an answer").into_inner()).expect("a sound answer");
    let (result, record) = (answer.results[0], &answer.records[0]);
    let record = Record::open(gallery, record.block, record.version, &record.sealed).expect("its record");
    let view = BlockView::new(gallery, record);
    pending.check_echo(None).expect("a whole query has no echo");
    let replies = vec![(result.slot, [result.coefficient, result.check])];
    let claimed = view.claim_slots(result.block, result.version, replies).expect("this version");
    let scores = pending.decrypt(gallery, claimed).expect("an honest answer");
    let expected = x.inner_product(&template(enrolled, dimension as usize));
    assert_eq!(scores, [(result.slot, expected)], "the score is that of the plaintext");

    let plain = Verify { known_manifest_version: answer.snapshot.manifest_version, ..request };
    let attestation = Some(AttestationRequest { nonce: [7; 32], audience: String::from("bench") });
    let attested = Verify { attestation, ..plain.clone() };
    Site { server, _directory: directory, plain: plain.into(), attested: attested.into() }
}

/// Which call: a verification, or the one of the health service.
type Call = Option<VerifyRequest>;

/// Makes `calls` calls, spread over the connections with so many in flight on each.
async fn make(channels: &[Channel], in_flight: usize, calls: usize, call: &Call) {
    let each = calls / (channels.len() * in_flight);
    let tasks = channels.iter().flat_map(|channel| {
        (0..in_flight).map(|_| {
            let (channel, call) = (channel.clone(), call.clone());
            tokio::spawn(async move {
                match call {
                    None => {
                        let mut client = HealthClient::new(channel);
                        for _ in 0..each {
                            let request = HealthCheckRequest { service: String::new() };
                            client.check(request).await.expect("an answer");
                        }
                    }
                    Some(request) => {
                        let mut client = MatchingServiceClient::new(channel);
                        for _ in 0..each {
                            let answer =
                                client.verify(request.clone()).await.expect("an answer").into_inner();
                            assert_eq!(answer.results.len(), 1);
                        }
                    }
                }
            })
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("all calls are answered");
    }
}

async fn channels(endpoint: &str, connections: usize) -> Vec<Channel> {
    let mut channels = Vec::new();
    for _ in 0..connections {
        let endpoint = Endpoint::from_shared(endpoint.to_owned()).expect("an address");
        channels.push(endpoint.connect().await.expect("a connection"));
    }
    channels
}

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |value| value.parse().expect("a number"))
}

/// The call over loopback, beside the health service's.
fn loopback(_: &mut Criterion) {
    let connections = setting("TYTO_BENCH_CONNECTIONS", 2);
    let in_flight = setting("TYTO_BENCH_IN_FLIGHT", 8);
    let runtime = Runtime::new().expect("a runtime");
    for dimension in [128, 512] {
        let site = runtime.block_on(site(dimension, AuditMode::BestEffort));
        let endpoint = format!("http://{}", site.server.local_addr());
        let channels = runtime.block_on(channels(&endpoint, connections));
        let (rounds, calls) = if smoke() { (1, 64) } else { (15, 4000) };
        let timed = |call: Call, calls: usize| {
            let (runtime, channels) = (&runtime, &channels);
            move || runtime.block_on(make(channels, in_flight, calls, &call))
        };
        let attested_calls = calls / 4;
        let turns = in_turn(
            rounds,
            [
                &mut timed(None, calls),
                &mut timed(Some(site.plain.clone()), calls),
                &mut timed(Some(site.attested.clone()), attested_calls),
            ],
        );
        let rate = |index, calls: usize| calls as f64 / turns.fastest(index).as_secs_f64();
        println!(
            "d={dimension}, {connections} connections, {in_flight} calls in flight on each: health {:.0}/s, \
             verify {:.0}/s, verify attested {:.0}/s; verify/health {:.2} (at least 0.5)",
            rate(0, calls),
            rate(1, calls),
            rate(2, attested_calls),
            turns.ratio(0, 1),
        );
        drop(channels);
        runtime.block_on(site.server.shutdown()).expect("an orderly end");
    }
}

/// The same call by servers without an audit log, with one, and with one that answers wait for.
fn audited(_: &mut Criterion) {
    let connections = setting("TYTO_BENCH_CONNECTIONS", 2);
    let in_flight = setting("TYTO_BENCH_IN_FLIGHT", 8);
    let runtime = Runtime::new().expect("a runtime");
    let sites = [AuditMode::Off, AuditMode::BestEffort, AuditMode::FailClosed].map(|mode| {
        let site = runtime.block_on(site(128, mode));
        let endpoint = format!("http://{}", site.server.local_addr());
        let channels = runtime.block_on(channels(&endpoint, connections));
        (site, channels)
    });
    let (rounds, calls) = if smoke() { (1, 64) } else { (15, 4000) };
    let timed = |index: usize| {
        let (runtime, (site, channels)) = (&runtime, &sites[index]);
        move || runtime.block_on(make(channels, in_flight, calls, &Some(site.plain.clone())))
    };
    let turns = in_turn(rounds, [&mut timed(0), &mut timed(1), &mut timed(2)]);
    let rate = |index| calls as f64 / turns.fastest(index).as_secs_f64();
    println!(
        "d=128, {connections} connections, {in_flight} calls in flight on each: audit off {:.0}/s, best effort {:.0}/s, \
         fail closed {:.0}/s; of off: best effort {:.2}, fail closed {:.2}",
        rate(0),
        rate(1),
        rate(2),
        turns.ratio(0, 1),
        turns.ratio(0, 2),
    );
    for (site, channels) in sites {
        drop(channels);
        runtime.block_on(site.server.shutdown()).expect("an orderly end");
    }
}

criterion_group!(benches, computation, loopback, audited);
criterion_main!(benches);
