//! What sealing costs: the identification query of 1.34 MB and the verification, over loopback gRPC, sealed beside plain in
//! one run, by turns. Printed as `sealed: ...`.
//!
//! Requests are made ahead, so that what is compared is transport and service. The gallery is small: a pass over a large one
//! would hide what is measured. `TYTO_BENCH_IN_FLIGHT` sets how many calls are under way at once.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tonic::transport::{Channel, Endpoint};
use tyto_api::matching::{Identify, Probe, Verify, WholeQuery};
use tyto_api::proto::matching::v1::matching_service_client::MatchingServiceClient;
use tyto_api::proto::matching::v1::{IdentifyRequest, IdentifyResponse, VerifyRequest, VerifyResponse};
use tyto_benches::smoke;
use tyto_client::tenant::keyring::Keyring;
use tyto_client::{Client, Config, GalleryHandle, ProbeBy, SealedConfig, VerifyOptions};
use tyto_measure::timing::{Turns, in_turn};
use tyto_scheme::{Layout, ParameterSet};
use tyto_sealed::{ClientSessions, Keys, Sealed};
use tyto_server::{RunningServer, Server};
use tyto_session::Suites;
use tyto_tenant::probe::{self, whole_query};
use tyto_tenant::{Metric, SubjectId, Template, TenantKey};

const DIMENSION: u32 = 128;
const WINDOW_BYTES: u32 = 8 << 20;

type Service = MatchingServiceClient<Sealed<Channel>>;

fn template(number: usize) -> Template {
    let value = |i: usize| if i.is_multiple_of(4) { ((number * 31 + i * 17) % 5) as i32 - 2 } else { 0 };
    Template::from_integers(&(0..DIMENSION as usize).map(value).collect::<Vec<_>>())
        .expect("within the range")
}

fn subject(number: usize) -> SubjectId {
    SubjectId::new(format!("subject {number}")).expect("a short id")
}

struct Site {
    server: RunningServer,
    identify: IdentifyRequest,
    verify: VerifyRequest,
    services: [Service; 2],
    _directory: TempDir,
}

/// A gallery, and what the tenant's client gets out of it in a sealed session.
async fn gallery(client: &Client, name: &str, layout: Layout) -> GalleryHandle {
    let gallery = client.create_gallery(name, layout, Metric::Cosine).await.expect("a gallery");
    gallery.enrol((0..100).map(|i| (subject(i), template(i))), &|_| ()).await.expect("an enrolment");
    let options = VerifyOptions { probe_by: ProbeBy::WholeQuery };
    let verified = gallery.verify_with(&subject(42), &template(7), options).await.expect("an answer");
    assert_eq!(verified.templates[0].score, template(7).inner_product(&template(42)));
    gallery
}

async fn service(server: &RunningServer, is_sealed: bool) -> Service {
    let endpoint = Endpoint::from_shared(format!("http://{}", server.local_addr())).expect("an address");
    let endpoint =
        endpoint.initial_stream_window_size(WINDOW_BYTES).initial_connection_window_size(4 * WINDOW_BYTES);
    let channel = endpoint.tcp_nodelay(true).connect().await.expect("a connection");
    let sessions = is_sealed.then(|| {
        let client = tyto_session::Client::new(server.session_keys().clone(), Suites::default());
        Arc::new(ClientSessions::new(Keys { client, credential: None }))
    });
    MatchingServiceClient::new(Sealed::new(channel, sessions))
}

impl Site {
    async fn open() -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let mut config = tyto_server::Config::local(directory.path());
        config.session.calls = 1 << 20;
        let server = Server::start(config).await.expect("the server starts");
        let mut config = Config::new(format!("http://{}", server.local_addr()));
        config.attestations = false;
        config.sealed = Some(SealedConfig::new(server.session_keys().clone()));
        let keyring = Keyring::new(TenantKey::generate().expect("OS randomness"), 1_800_000_000);
        let client = Client::connect(config, keyring).await.expect("it connects");
        let layouts = [Layout::identification, Layout::verification];
        let [wide, narrow] =
            layouts.map(|layout| layout(ParameterSet::Exact41, DIMENSION).expect("a safe layout"));
        let (many, one) = (gallery(&client, "many", wide).await, gallery(&client, "one", narrow).await);

        let query = |handle: &GalleryHandle, polynomials: Vec<u8>| {
            let parameters = handle.gallery().parameters();
            let (key, mask_epoch) = (parameters.key, parameters.mask_epoch);
            Probe::Query(WholeQuery { key, mask_epoch, polynomials: polynomials.into() })
        };
        let (polynomials, _) =
            whole_query::<probe::Identification>(many.gallery(), &template(7), ()).expect("a query");
        assert_eq!(polynomials.len(), 128 * 10_496);
        let identify = Identify {
            gallery: many.id(),
            probe: query(&many, polynomials),
            known_manifest_version: u64::MAX,
            attestation: None,
        };
        let pseudonym = one.gallery().pseudonym(&subject(42));
        let (polynomials, _) =
            whole_query::<probe::Verification>(one.gallery(), &template(7), pseudonym).expect("a query");
        let verify = Verify {
            gallery: one.id(),
            subject: pseudonym,
            probe: query(&one, polynomials),
            known_manifest_version: u64::MAX,
            attestation: None,
        };
        let services = [service(&server, false).await, service(&server, true).await];
        Self { server, identify: identify.into(), verify: verify.into(), services, _directory: directory }
    }
}

async fn identify(service: &mut Service, request: IdentifyRequest) -> Vec<IdentifyResponse> {
    let mut stream = service.identify(request).await.expect("an answer").into_inner();
    let mut parts = Vec::new();
    while let Some(part) = stream.message().await.expect("a part") {
        parts.push(part);
    }
    parts
}

async fn verify(service: &mut Service, request: VerifyRequest) -> VerifyResponse {
    service.verify(request).await.expect("an answer").into_inner()
}

fn report(what: &str, turns: &Turns, calls: usize) {
    let rate = |index| calls as f64 / turns.fastest(index).as_secs_f64();
    println!(
        "sealed: {what}: plain {:.0}/s, sealed {:.0}/s: {:.1} % fewer calls (at most 15)",
        rate(0),
        rate(1),
        100.0 * (1.0 - 1.0 / turns.ratio(1, 0)),
    );
}

fn calls(_: &mut Criterion) {
    let in_flight =
        std::env::var("TYTO_BENCH_IN_FLIGHT").ok().and_then(|value| value.parse().ok()).unwrap_or(4);
    let runtime = Runtime::new().expect("a runtime");
    let site = runtime.block_on(Site::open());
    let [mut plain, mut sealed] = site.services.clone();
    runtime.block_on(async {
        // The evaluation is deterministic: what comes sealed is what comes plain, up to the last bit.
        let expected = verify(&mut plain, site.verify.clone()).await;
        assert_eq!(expected.results.len(), 1);
        assert_eq!(verify(&mut sealed, site.verify.clone()).await, expected);
        let expected = identify(&mut plain, site.identify.clone()).await;
        assert!(expected.len() >= 3);
        assert_eq!(identify(&mut sealed, site.identify.clone()).await, expected);
    });
    let spread = |calls: usize, index: usize, one: fn(Service, &Site) -> tokio::task::JoinHandle<()>| {
        let (site, runtime) = (&site, &runtime);
        move || {
            for _ in 0..calls / in_flight {
                let tasks: Vec<_> = runtime.block_on(async {
                    (0..in_flight).map(|_| one(site.services[index].clone(), site)).collect()
                });
                tasks.into_iter().for_each(|task| runtime.block_on(task).expect("answered"));
            }
        }
    };
    let (rounds, large, small) = if smoke() { (1, in_flight, in_flight) } else { (41, 16, 400) };
    let identifying = |mut service: Service, site: &Site| {
        let request = site.identify.clone();
        tokio::spawn(async move { assert!(black_box(identify(&mut service, request).await).len() >= 3) })
    };
    let turns = in_turn(rounds, [&mut spread(large, 0, identifying), &mut spread(large, 1, identifying)]);
    report("identification, query of 1.34 MB", &turns, large);
    let verifying = |mut service: Service, site: &Site| {
        let request = site.verify.clone();
        tokio::spawn(
            async move { assert_eq!(black_box(verify(&mut service, request).await).results.len(), 1) },
        )
    };
    let turns = in_turn(rounds, [&mut spread(small, 0, verifying), &mut spread(small, 1, verifying)]);
    report("verification", &turns, small);
    runtime.block_on(site.server.shutdown()).expect("an orderly end");
}

criterion_group!(benches, calls);
criterion_main!(benches);
