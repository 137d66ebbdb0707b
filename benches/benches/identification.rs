//! Identification over loopback gRPC, server and client in this process: one caller, and eight at the same time.
//!
//! The gallery has 1 GiB under `cargo bench` (enrolling it takes a minute) and a few blocks in the smoke run.
//! `TYTO_BENCH_BLOCKS` sets the number of blocks.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tyto_client::tenant::keyring::Keyring;
use tyto_client::{Client, Config, GalleryHandle, Identification, IdentifyOptions, ProbeBy};
use tyto_measure::timing::in_turn;
use tyto_scheme::{Layout, ParameterSet};
use tyto_server::{RunningServer, Server};
use tyto_tenant::{Metric, SubjectId, Template, TenantKey};

const DIMENSION: u32 = 128;
const CALLERS: usize = 8;

/// Whether criterion runs everything once, as a test.
fn smoke() -> bool {
    std::env::args().any(|argument| argument == "--test")
}

/// Blocks of the gallery: 1 GiB of polynomials or a little more.
fn blocks(layout: &Layout) -> usize {
    let chosen = std::env::var("TYTO_BENCH_BLOCKS").ok().and_then(|blocks| blocks.parse().ok());
    let whole = (1usize << 30).div_ceil(layout.polynomials_bytes());
    chosen.unwrap_or(if smoke() { 3 } else { whole })
}

/// Template `number`, made cheaply.
fn template(number: u64) -> Template {
    let mut state = number;
    let values: Vec<i32> = (0..DIMENSION)
        .map(|_| {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            ((state >> 40) % 6) as i32 - 2
        })
        .collect();
    Template::from_integers(&values).expect("within the range")
}

fn subject(number: u64) -> SubjectId {
    SubjectId::new(format!("subject {number}")).expect("a short id")
}

/// A server with one full gallery, and its client.
struct Site {
    runtime: Runtime,
    server: RunningServer,
    gallery: GalleryHandle,
    templates: u64,
    _directory: TempDir,
}

impl Site {
    fn open() -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let directory = TempDir::new().expect("a temporary directory");
        let layout = Layout::identification(ParameterSet::Exact41, DIMENSION).expect("a safe layout");
        let templates = (blocks(&layout) * layout.slots()) as u64;
        let (server, gallery) = runtime.block_on(async {
            let mut config = tyto_server::Config::local(directory.path());
            config.admin_listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
            let server = Server::start(config).await.expect("the server starts");
            let mut config = Config::new(format!("http://{}", server.local_addr()));
            config.attestations = false;
            let keyring = Keyring::new(TenantKey::generate().expect("OS randomness"), 1_800_000_000);
            let client = Client::connect(config, keyring).await.expect("it connects");
            let gallery =
                client.create_gallery("bench", layout, Metric::Cosine).await.expect("it is created");
            let items = (0..templates).map(|number| (subject(number), template(number)));
            gallery.enrol(items, &|_| ()).await.expect("all are enrolled");
            (server, gallery)
        });
        Self { runtime, server, gallery, templates, _directory: directory }
    }

    /// Searches for some templates at the same time; every answer passed the client's checks.
    fn identify(&self, numbers: impl IntoIterator<Item = u64>) {
        let options =
            IdentifyOptions { candidates: 1, probe_by: ProbeBy::WholeQuery, ..IdentifyOptions::default() };
        let search = |number: u64| {
            let gallery = self.gallery.clone();
            self.runtime.spawn(async move { (number, gallery.identify(&template(number), options).await) })
        };
        let searches: Vec<_> = numbers.into_iter().map(search).collect();
        for search in searches {
            let (number, found) = self.runtime.block_on(search).expect("it ends");
            self.check(number, &found.expect("an answer that passes its checks"));
        }
    }

    fn check(&self, number: u64, found: &Identification) {
        let probe = template(number);
        assert_eq!(found.compared, self.templates);
        assert_eq!(
            found.candidates[0].score,
            probe.inner_product(&probe),
            "the template itself is the nearest"
        );
    }

    /// Seconds and number of passes, and the probes in them.
    fn passes(&self) -> [f64; 3] {
        let address = self.server.admin_addr().expect("it was configured");
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").expect("it takes a request");
        let mut metrics = String::new();
        stream.read_to_string(&mut metrics).expect("it answers");
        let value = |name: &str| {
            let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.expect("a counter").parse::<f64>().expect("a number")
        };
        ["tyto_pass_seconds_total", "tyto_passes_total", "tyto_pass_probes_total"].map(value)
    }
}

fn identification(criterion: &mut Criterion) {
    let site = Site::open();
    let (count, mut next) = (site.templates, 0);
    let mut some = move |callers: usize| {
        next += callers as u64;
        (0..callers as u64).map(move |i| (next + i).wrapping_mul(7919) % count)
    };
    // Results before times.
    site.identify(some(1));
    site.identify(some(CALLERS));

    let rounds = if smoke() { 1 } else { 7 };
    let mut shares = [[0.0; 3]; 2];
    let mut measured = |callers: usize, share: &mut [f64; 3]| {
        let before = site.passes();
        site.identify(some(callers));
        share
            .iter_mut()
            .zip(site.passes())
            .zip(before)
            .for_each(|((sum, after), before)| *sum += after - before);
    };
    let [one, eight] = &mut shares;
    let measured = std::cell::RefCell::new(&mut measured);
    let turns = in_turn(
        rounds,
        [&mut || measured.borrow_mut()(1, one), &mut || measured.borrow_mut()(CALLERS, eight)],
    );
    for (index, (callers, [pass_s, passes, probes])) in [1, CALLERS].into_iter().zip(shares).enumerate() {
        let fastest = turns.fastest(index);
        let rate = callers as f64 * count as f64 / fastest.as_secs_f64();
        println!(
            "{count} templates, {callers} at the same time: {fastest:?} end to end, {:.1} million comparisons/s; \
             {:.1} probes a pass of {:?}, {:.1} million comparisons/s in passes",
            rate / 1e6,
            probes / passes,
            Duration::from_secs_f64(pass_s / passes),
            probes * count as f64 / pass_s / 1e6
        );
    }
    let [[one_s, _, one_probes], [eight_s, _, eight_probes]] = shares;
    println!(
        "eight callers to one: {:.2} times the comparisons end to end, {:.2} times in passes",
        CALLERS as f64 / turns.ratio(1, 0),
        eight_probes / eight_s / (one_probes / one_s)
    );

    let mut group = criterion.benchmark_group("identify over loopback");
    group.sample_size(10);
    for callers in [1, CALLERS] {
        group.throughput(Throughput::Elements(callers as u64 * count));
        let mut number = 0;
        group.bench_function(format!("{callers} at the same time"), |bench| {
            bench.iter(|| {
                number += 1;
                site.identify((0..callers as u64).map(|i| (number * 31 + i * 7919) % count));
            });
        });
    }
    group.finish();
    site.runtime.block_on(site.server.shutdown()).expect("it stops");
}

criterion_group!(benches, identification);
criterion_main!(benches);
