//! Client and server over loopback, attestations off.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tyto_client::scheme::{Layout, ParameterSet};
use tyto_client::tenant::keyring::Keyring;
use tyto_client::tenant::{Metric, SubjectId, Template, TenantKey, probe};
use tyto_client::{Client, Config, GalleryHandle, IdentifyOptions, ProbeBy};
use tyto_measure::Options;
use tyto_measure::report::{CallCost, EndToEnd};

use crate::Error;
use crate::embeddings::synthetic;

/// Coordinates of a template.
const DIMENSION: u32 = 128;
/// Seed of the made-up people.
const SEED: u64 = 1;
/// People of the gallery that is verified against.
const VERIFIED: usize = 512;
/// People of the gallery that is searched.
const SEARCHED: usize = 65_536;
/// The same in a quick run.
const QUICK_SEARCHED: usize = 2_048;
/// Calls in flight at a time.
const IN_FLIGHT: usize = 8;
/// Calls of one round, one after the other and again in flight.
const ROUND_CALLS: usize = 64;
/// Identifications of one round.
const ROUND_SEARCHES: usize = 2;
/// Part of the budget for each of the two kinds of rounds, in percent.
const SHARE_PERCENT: u32 = 10;
/// Rounds of each kind.
const MIN_ROUNDS: usize = 3;

/// A gallery with everybody in it.
struct Enrolled {
    gallery: GalleryHandle,
    people: Vec<(SubjectId, Template)>,
    per_s: f64,
}

/// Times of calls, and rates of rounds.
#[derive(Default)]
struct Calls {
    times: Vec<Duration>,
    /// Calls per second of each round.
    rates: Vec<f64>,
}

impl Calls {
    fn cost(mut self, in_flight: usize) -> CallCost {
        self.times.sort_unstable();
        let at = |percent: usize| {
            let index = (self.times.len() * percent / 100).min(self.times.len() - 1);
            1e3 * self.times[index].as_secs_f64()
        };
        CallCost {
            calls: self.times.len() as u64,
            median_ms: at(50),
            p99_ms: at(99),
            in_flight,
            calls_per_s: self.rates.iter().copied().fold(0.0, f64::max),
        }
    }
}

/// Measures a server that is empty.
///
/// # Errors
/// [`Error::Client`], [`Error::Health`]; [`Error::Measure`] if a score is not the plaintext one.
pub(super) async fn measure(endpoint: &str, options: &Options) -> Result<EndToEnd, Error> {
    let mut config = Config::new(endpoint);
    config.attestations = false;
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let key = TenantKey::generate().map_err(tyto_client::Error::from)?;
    let client = Client::connect(config, Keyring::new(key, since.as_secs())).await?;
    let health = connect_health(endpoint).await?;
    let budget = options.share(SHARE_PERCENT);

    let layout = Layout::verification(ParameterSet::Exact41, DIMENSION)?;
    let verified = enrol(&client, "verified", layout, VERIFIED).await?;
    let (mut healths, mut verifications) = (Calls::default(), Calls::default());
    let started = Instant::now();
    // The first round warms up.
    for round in 0.. {
        if round > MIN_ROUNDS && started.elapsed() >= budget {
            break;
        }
        let healthy = round_of_health(&health).await?;
        let right = round_of_verification(&verified).await?;
        if round > 0 {
            healths.add(healthy);
            verifications.add(right);
        }
    }
    let mut ratios: Vec<f64> =
        verifications.rates.iter().zip(&healths.rates).map(|(verify, health)| verify / health).collect();
    ratios.sort_unstable_by(f64::total_cmp);

    let layout = Layout::identification(ParameterSet::Exact41, DIMENSION)?;
    let people = if options.is_quick { QUICK_SEARCHED } else { SEARCHED };
    let searched = enrol(&client, "searched", layout, people).await?;
    let searches = search(&searched, budget).await?;
    Ok(EndToEnd {
        dimension: DIMENSION as usize,
        health: healths.cost(IN_FLIGHT),
        verification: verifications.cost(IN_FLIGHT),
        verification_over_health: ratios[ratios.len() / 2],
        identification_templates: people as u64,
        identification: searches.cost(1),
        enrolled_per_s: searched.per_s,
    })
}

impl Calls {
    fn add(&mut self, round: (Vec<Duration>, f64)) {
        self.times.extend(round.0);
        self.rates.push(round.1);
    }
}

async fn connect_health(endpoint: &str) -> Result<HealthClient<Channel>, Error> {
    let unreachable =
        |error: tonic::transport::Error| Error::Health(Box::new(tonic::Status::from_error(error.into())));
    let endpoint = Endpoint::from_shared(endpoint.to_owned()).map_err(unreachable)?.tcp_nodelay(true);
    Ok(HealthClient::new(endpoint.connect().await.map_err(unreachable)?))
}

async fn enrol(client: &Client, name: &str, layout: Layout, people: usize) -> Result<Enrolled, Error> {
    let gallery = client.create_gallery(name, layout, Metric::Cosine).await?;
    let population = synthetic(people as u64, 1, DIMENSION.into(), SEED)?;
    let quantise = |(number, row): (usize, &[f32])| -> Result<_, tyto_client::Error> {
        let subject = SubjectId::new(format!("person {number}"))?;
        Ok((subject, gallery.gallery().quantiser().quantise(row)?))
    };
    let people: Result<Vec<_>, _> = population.embeddings().rows().enumerate().map(quantise).collect();
    let people = people?;
    let started = Instant::now();
    gallery.enrol(people.iter().cloned(), &|_| ()).await?;
    let per_s = people.len() as f64 / started.elapsed().as_secs_f64();
    Ok(Enrolled { gallery, people, per_s })
}

async fn round_of_health(client: &HealthClient<Channel>) -> Result<(Vec<Duration>, f64), Error> {
    let check = |_| {
        let mut client = client.clone();
        async move {
            let request = HealthCheckRequest { service: String::new() };
            client.check(request).await.map(drop).map_err(|status| Error::Health(Box::new(status)))
        }
    };
    timed_round(check).await
}

async fn round_of_verification(enrolled: &Enrolled) -> Result<(Vec<Duration>, f64), Error> {
    let verify = |call: usize| {
        let (subject, enrolled_template) = enrolled.people[call % enrolled.people.len()].clone();
        let probe = enrolled.people[(call + 1) % enrolled.people.len()].1.clone();
        let gallery = enrolled.gallery.clone();
        async move {
            let answer = gallery.verify(&subject, &probe).await?;
            let expected = probe.inner_product(&enrolled_template);
            check(answer.best.score == expected, "a verification over loopback")
        }
    };
    timed_round(verify).await
}

/// Makes calls one after the other, each timed, and then the same number with some in flight.
async fn timed_round<F>(call: impl Fn(usize) -> F) -> Result<(Vec<Duration>, f64), Error>
where
    F: Future<Output = Result<(), Error>> + Send + 'static,
{
    let mut times = Vec::with_capacity(ROUND_CALLS);
    for number in 0..ROUND_CALLS {
        let started = Instant::now();
        call(number).await?;
        times.push(started.elapsed());
    }
    let started = Instant::now();
    let mut flying = JoinSet::new();
    for number in 0..4 * ROUND_CALLS {
        if flying.len() == IN_FLIGHT {
            landed(flying.join_next().await)?;
        }
        flying.spawn(call(number));
    }
    while !flying.is_empty() {
        landed(flying.join_next().await)?;
    }
    Ok((times, 4.0 * ROUND_CALLS as f64 / started.elapsed().as_secs_f64()))
}

fn landed(call: Option<Result<Result<(), Error>, tokio::task::JoinError>>) -> Result<(), Error> {
    call.map_or(Ok(()), |joined| joined.map_err(|_| Error::Task)?)
}

/// Identifies people by tickets that were uploaded ahead.
async fn search(enrolled: &Enrolled, budget: Duration) -> Result<Calls, Error> {
    let mut calls = Calls::default();
    let options = IdentifyOptions { candidates: 1, probe_by: ProbeBy::Ticket, ..IdentifyOptions::default() };
    let started = Instant::now();
    for round in 0.. {
        if round > MIN_ROUNDS && started.elapsed() >= budget {
            break;
        }
        enrolled.gallery.prepare_tickets::<probe::Identification>(ROUND_SEARCHES).await?;
        for search in 0..ROUND_SEARCHES {
            let (subject, template) = &enrolled.people[(round * 977 + search * 31) % enrolled.people.len()];
            let called = Instant::now();
            let found = enrolled.gallery.identify(template, options).await?;
            let elapsed = called.elapsed();
            let best = &found.candidates[0];
            let is_right = *best.subject == *subject && best.score == template.inner_product(template);
            check(
                is_right && found.compared == enrolled.people.len() as u64,
                "an identification over loopback",
            )?;
            if round > 0 {
                calls.times.push(elapsed);
                calls.rates.push(1.0 / elapsed.as_secs_f64());
            }
        }
    }
    Ok(calls)
}

fn check(is_right: bool, what: &'static str) -> Result<(), Error> {
    if is_right { Ok(()) } else { Err(tyto_measure::Error::WrongResult { what }.into()) }
}
