//! Verification and identification, with every score compared with the plaintext.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Context as _;
use tyto_cli::output::{Table, bytes};
use tyto_client::attest::AttestationFile;
use tyto_client::tenant::{SubjectId, Template, probe};
use tyto_client::{
    Decision, GalleryHandle, Identification, IdentifyOptions, ProbeBy, Verification, VerifyOptions,
};

use crate::population::{Person, Population};
use crate::show::{fact, heading, median, ms};
use crate::site::Galleries;

/// Verifications of each kind, and identifications.
const ROUNDS: usize = 20;

/// What was tried.
#[derive(Default)]
pub(crate) struct Tested {
    /// Scores decrypted and compared with the plaintext.
    pub(crate) compared: u64,
    /// Scores that were not the plaintext one.
    pub(crate) mismatches: u64,
    /// The first identification's attestation.
    pub(crate) attestation: Option<AttestationFile>,
    /// Sizes and times of single calls.
    pub(crate) verification: Wire,
    pub(crate) verification_ticket: Wire,
    pub(crate) identification: Wire,
    pub(crate) identification_ticket: Wire,
}

/// The messages of one kind of call, the last one's sizes and all times.
#[derive(Default)]
pub(crate) struct Wire {
    pub(crate) bytes_sent: u64,
    pub(crate) bytes_received: u64,
    pub(crate) times: Vec<Duration>,
}

impl Wire {
    fn add(&mut self, bytes_sent: u64, bytes_received: u64, time: Duration) {
        (self.bytes_sent, self.bytes_received) = (bytes_sent, bytes_received);
        self.times.push(time);
    }

    pub(crate) fn median(&self) -> String {
        ms(median(self.times.clone()))
    }
}

impl Tested {
    fn compare(&mut self, score: i32, reference: &Template, probe: &Template) {
        self.compared += 1;
        self.mismatches += u64::from(score != reference.inner_product(probe));
    }
}

/// Genuine and impostor attempts.
pub(crate) async fn verify(
    galleries: &Galleries,
    population: &Population,
    tested: &mut Tested,
) -> anyhow::Result<()> {
    heading("verification (1:1)");
    let gallery = &galleries.verification;
    let threshold = gallery.gallery().quantiser().threshold(population.threshold);
    let mut table = Table::new(["attempt", "claims to be", "score", "cosine", "decision"]);
    let mut correct = 0;
    let probes: Vec<_> = population.probes().collect();
    let attempts = probes.len().min(ROUNDS);
    for (index, &(person, probe)) in probes.iter().take(attempts).enumerate() {
        let stranger = probes[(index + 1) % probes.len()].0;
        let stranger = if std::ptr::eq(stranger, person) { other_than(person, population) } else { stranger };
        for (attempt, claimed) in [("genuine", person), ("impostor", stranger)] {
            let by = ProbeBy::WholeQuery;
            let answer = verify_one(gallery, population, claimed, probe, by, tested).await?;
            tested.verification.add(answer.bytes_sent, answer.bytes_received, answer.timings.total);
            let decision = answer.decision(threshold);
            correct += usize::from((decision == Decision::Match) == (attempt == "genuine"));
            if index == 0 {
                let decision = if decision == Decision::Match { "match" } else { "no match" };
                table.row([
                    attempt.to_owned(),
                    claimed.id.to_string(),
                    answer.best.score.to_string(),
                    format!("{:.4}", answer.best.value),
                    decision.to_owned(),
                ]);
            }
        }
    }
    indent(&table.text());
    fact("decisions", &format!("{correct} of {} right, {} each", 2 * attempts, tested.verification.median()));

    gallery.prepare_tickets::<probe::Verification>(1).await?;
    let (person, probe) = probes[0];
    let answer = verify_one(gallery, population, person, probe, ProbeBy::Ticket, tested).await?;
    tested.verification_ticket.add(answer.bytes_sent, answer.bytes_received, answer.timings.total);
    let sent = bytes(answer.bytes_sent);
    fact("with a ticket", &format!("{sent} sent instead of {}", bytes(tested.verification.bytes_sent)));
    Ok(())
}

fn other_than<'a>(person: &Person, population: &'a Population) -> &'a Person {
    let mut others = population.people.iter().filter(|other| other.id != person.id);
    others.next().expect("there are two people at least")
}

async fn verify_one(
    gallery: &GalleryHandle,
    population: &Population,
    claimed: &Person,
    probe: &Template,
    probe_by: ProbeBy,
    tested: &mut Tested,
) -> anyhow::Result<Verification> {
    let answer = gallery.verify_with(&claimed.id, probe, VerifyOptions { probe_by }).await;
    let answer = answer.map_err(tyto_cli::Error::from)?;
    for template in &answer.templates {
        tested.compare(template.score, &population.templates[claimed.reference], probe);
    }
    Ok(answer)
}

/// Searches, each by a ticket that was made ahead of time; then one as a whole query.
pub(crate) async fn identify(
    galleries: &Galleries,
    population: &Population,
    tested: &mut Tested,
) -> anyhow::Result<()> {
    heading("identification (1:N)");
    let gallery = &galleries.identification;
    let references: HashMap<&SubjectId, &Template> = population
        .people
        .iter()
        .map(|person| (&person.id, &population.templates[person.reference]))
        .collect();
    let probes: Vec<_> = population.probes().take(ROUNDS).collect();
    let mut first = 0;
    for (index, &(person, probe)) in probes.iter().enumerate() {
        gallery.prepare_tickets::<probe::Identification>(1).await?;
        let answer = identify_one(gallery, &references, probe, ProbeBy::Ticket, tested).await?;
        tested.identification_ticket.add(answer.bytes_sent, answer.bytes_received, answer.timings.total);
        first += usize::from(answer.candidates.first().is_some_and(|best| *best.subject == person.id));
        if index == 0 {
            println!(
                "  Who is {}? Compared with {} templates by a ticket made ahead:",
                person.id, answer.compared
            );
            indent(&candidates(&answer));
            tested.attestation = answer.attestation.map(|kept| kept.file);
        }
    }
    let (count, time) = (probes.len(), tested.identification_ticket.median());
    fact("searches", &format!("{first} of {count} found the right subject first, {time} each"));
    let answer = identify_one(gallery, &references, probes[0].1, ProbeBy::Auto, tested).await?;
    tested.identification.add(answer.bytes_sent, answer.bytes_received, answer.timings.total);
    Ok(())
}

async fn identify_one(
    gallery: &GalleryHandle,
    references: &HashMap<&SubjectId, &Template>,
    probe: &Template,
    probe_by: ProbeBy,
    tested: &mut Tested,
) -> anyhow::Result<Identification> {
    let options =
        IdentifyOptions { candidates: 3, collect_all: true, probe_by, ..IdentifyOptions::default() };
    let mut answer = gallery.identify(probe, options).await.map_err(tyto_cli::Error::from)?;
    let all = answer.all.take().context("every score was asked for")?;
    anyhow::ensure!(all.len() == references.len(), "{} scores for {} subjects", all.len(), references.len());
    for entry in &all {
        let reference = references.get(&*entry.subject).context("a score of nobody")?;
        tested.compare(entry.score, reference, probe);
    }
    Ok(answer)
}

fn candidates(answer: &Identification) -> String {
    let mut table = Table::new(["rank", "subject", "score", "cosine"]);
    for (rank, candidate) in answer.candidates.iter().enumerate() {
        table.row([
            (rank + 1).to_string(),
            candidate.subject.to_string(),
            candidate.score.to_string(),
            format!("{:.4}", candidate.value),
        ]);
    }
    table.text()
}

fn indent(text: &str) {
    text.lines().for_each(|line| println!("    {line}"));
}
