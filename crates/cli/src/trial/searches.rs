//! 1:N: every probe against all enrolled templates.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use tyto_client::scheme::params::NORM2_MAX;
use tyto_client::tenant::{SubjectId, Template};
use tyto_client::{GalleryHandle, IdentifyOptions};

use super::cost::{Call, Calls, Cost};
use super::plan::Plan;
use super::{Context, enrol, in_parallel, rates_of};
use crate::Error;
use crate::evaluation::{BinnedTally, IntegerTally, Rates, SearchTally, VerificationRates, inner_product};

/// The scores of all searches, three ways.
pub(super) struct Searched {
    pub(super) comparisons: u64,
    pub(super) mismatches: u64,
    pub(super) costs: Vec<Cost>,
    encrypted: (IntegerTally, SearchTally),
    quantised: (IntegerTally, SearchTally),
    float: (BinnedTally, SearchTally),
}

/// Enrols the references and searches for every probe.
///
/// # Errors
/// [`Error::TrialGallery`], [`Error::Client`].
pub(super) async fn run(
    context: &Context<'_>,
    gallery: &GalleryHandle,
    plan: &Plan,
    subjects: &[u32],
) -> Result<Searched, Error> {
    let enrolled: Vec<(SubjectId, Template)> = plan
        .references
        .iter()
        .map(|&row| Ok((reference_id(row)?, context.templates[row].clone())))
        .collect::<Result<_, Error>>()?;
    let places: Arc<HashMap<SubjectId, usize>> =
        Arc::new(enrolled.iter().map(|(id, _)| id.clone()).zip(0..).collect());
    let enrolment = enrol(context, gallery, "enrolment (1:N)", enrolled).await?;

    let mut searched = Searched::new(plan.references.iter().map(|&row| subjects[row]).collect())?;
    let bar = context.progress.bar(plan.probes.len() as u64, "searching");
    let (begun, mut calls) = (Instant::now(), Calls::default());
    let start = |index: usize| {
        search(gallery.clone(), context.templates[plan.probes[index]].clone(), Arc::clone(&places))
    };
    let take = |index: usize, (scores, call): (Vec<i32>, Call)| {
        searched.record(context, plan, plan.probes[index], subjects, &scores)?;
        calls.add(call);
        bar.inc(1);
        Ok(())
    };
    in_parallel(plan.probes.len(), context.parallel, start, take).await?;
    bar.finish_and_clear();
    searched.costs = vec![enrolment, calls.cost("searches (1:N)", begun.elapsed())];
    Ok(searched)
}

fn reference_id(row: usize) -> Result<SubjectId, Error> {
    Ok(SubjectId::new(format!("row-{row}")).map_err(tyto_client::Error::from)?)
}

/// The scores of one probe, in the order of the references.
async fn search(
    gallery: GalleryHandle,
    probe: Template,
    places: Arc<HashMap<SubjectId, usize>>,
) -> Result<(Vec<i32>, Call), Error> {
    let options = IdentifyOptions { candidates: 1, collect_all: true, ..IdentifyOptions::default() };
    let found = gallery.identify(&probe, options).await?;
    let all = found.all.ok_or(Error::TrialGallery)?;
    let mut scores = vec![None; places.len()];
    for entry in &all {
        let place = places.get(&*entry.subject).ok_or(Error::TrialGallery)?;
        if scores[*place].replace(entry.score).is_some() {
            return Err(Error::TrialGallery);
        }
    }
    let scores = scores.into_iter().collect::<Option<Vec<i32>>>().ok_or(Error::TrialGallery)?;
    let (bytes_sent, bytes_received) = (found.bytes_sent, found.bytes_received);
    Ok((scores, Call { time: found.timings.total, bytes_sent, bytes_received }))
}

impl Searched {
    fn new(references: Vec<u32>) -> Result<Self, Error> {
        let integers = || IntegerTally::new(NORM2_MAX as u16);
        let searches = SearchTally::new(references)?;
        Ok(Self {
            comparisons: 0,
            mismatches: 0,
            costs: Vec::new(),
            encrypted: (integers(), searches.clone()),
            quantised: (integers(), searches.clone()),
            float: (BinnedTally::cosine(), searches),
        })
    }

    fn record(
        &mut self,
        context: &Context<'_>,
        plan: &Plan,
        probe: usize,
        subjects: &[u32],
        scores: &[i32],
    ) -> Result<(), Error> {
        let subject = subjects[probe];
        let (template, row) = (&context.templates[probe], context.embeddings.row(probe));
        let quantised: Vec<i32> =
            plan.references.iter().map(|&r| context.templates[r].inner_product(template)).collect();
        let float: Vec<f32> =
            plan.references.iter().map(|&r| inner_product(context.embeddings.row(r), row)).collect();
        for (place, &reference) in plan.references.iter().enumerate() {
            let is_mated = subjects[reference] == subject;
            self.encrypted.0.record(scores[place], is_mated)?;
            self.quantised.0.record(quantised[place], is_mated)?;
            self.float.0.record(float[place], is_mated)?;
        }
        self.comparisons += scores.len() as u64;
        self.mismatches += scores.iter().zip(&quantised).filter(|(a, b)| a != b).count() as u64;
        self.encrypted.1.record(subject, scores)?;
        self.quantised.1.record(subject, &quantised)?;
        self.float.1.record(subject, &float)
    }

    /// Encrypted, quantised in the clear, float.
    ///
    /// # Errors
    /// [`Error::NoMated`], [`Error::NoNonMated`].
    pub(super) fn rates(&self) -> Result<[Rates; 3], Error> {
        let mut rates = rates_of([
            VerificationRates::new(&self.encrypted.0.distribution()?),
            VerificationRates::new(&self.quantised.0.distribution()?),
            VerificationRates::new(&self.float.0.distribution()?),
        ]);
        for (rates, searches) in rates.iter_mut().zip([&self.encrypted.1, &self.quantised.1, &self.float.1]) {
            rates.identification = Some(searches.rates()?);
        }
        Ok(rates)
    }
}
