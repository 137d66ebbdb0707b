//! Runs an evaluation on a server: enrols, searches and verifies encrypted, and compares every decrypted score with
//! the plaintext.
//!
//! Protocol: the first image of each subject with two images or more is enrolled; every other image is a probe, so
//! that the probes of subjects with one image are non-mated searches. Listed pairs are verified 1:1: their first rows
//! are enrolled as one subject each, their second rows are the probes.

mod cost;
mod pairs;
mod plan;
mod searches;

use std::num::NonZeroUsize;

use serde::Serialize;
use tokio::task::JoinSet;
use tyto_client::scheme::ParameterSet;
use tyto_client::tenant::{Metric, Quantiser, Template};
use tyto_client::{Client, GalleryHandle};

pub use self::cost::Cost;
use crate::Error;
use crate::embeddings::{Embeddings, LabelledEmbeddings, Pair};
use crate::evaluation::{DataSet, Rates, Report};
use crate::input::BadRow;
use crate::progress::Progress;

/// The parameter set that is evaluated.
const SET: ParameterSet = ParameterSet::Exact41;
/// Stride of the searched gallery: a probe of 84 KB at d = 128, small enough to send whole.
const DEFAULT_STRIDE: u32 = 16;
/// Probes in flight at the same time.
pub const DEFAULT_PARALLEL: NonZeroUsize = NonZeroUsize::new(4).expect("not zero");

/// What is evaluated, and how.
#[derive(Debug)]
pub struct Trial {
    /// The data set's name.
    pub name: String,
    /// Whether the embeddings were made up.
    pub is_synthetic: bool,
    /// The images.
    pub data: LabelledEmbeddings,
    /// Pairs to verify 1:1, if any.
    pub pairs: Option<Vec<Pair>>,
    /// Stride of the searched gallery; 16, or what fits a smaller dimension.
    pub stride: Option<u32>,
    /// Probes in flight at the same time.
    pub parallel: NonZeroUsize,
    /// At most so many probes, spread evenly.
    pub limit_probes: Option<NonZeroUsize>,
    /// At most so many pairs, spread evenly.
    pub limit_pairs: Option<NonZeroUsize>,
}

impl Trial {
    /// Everything that there is, four probes at a time.
    pub fn new(data: LabelledEmbeddings, is_synthetic: bool, pairs: Option<Vec<Pair>>) -> Self {
        Self {
            name: String::new(),
            is_synthetic,
            data,
            pairs,
            stride: None,
            parallel: DEFAULT_PARALLEL,
            limit_probes: None,
            limit_pairs: None,
        }
    }
}

/// The result of a trial.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// Error rates.
    #[serde(flatten)]
    pub report: Report,
    /// What it took, step by step.
    pub costs: Vec<Cost>,
}

impl Outcome {
    /// Whether every decrypted score was the plaintext one.
    pub fn is_exact(&self) -> bool {
        self.report.score_mismatches == 0
    }

    /// Tables of error rates and of costs.
    pub fn text(&self) -> String {
        format!("{}\n{}", self.report.table(), cost::table(&self.costs))
    }
}

/// What the galleries of a trial share.
struct Context<'a> {
    embeddings: &'a Embeddings,
    /// Every row, quantised.
    templates: Vec<Template>,
    parallel: usize,
    progress: Progress,
}

/// Runs a trial. Its galleries are deleted at the end, also after an error or an interruption.
///
/// # Errors
/// [`Error::NothingToEnrol`], [`Error::BadRows`], [`Error::Client`], [`Error::Interrupted`].
pub async fn run(client: &Client, trial: Trial, progress: Progress) -> Result<Outcome, Error> {
    let trial = Trial { data: trial.data.normalised()?, ..trial };
    let names = ["searches", "pairs"].map(temporary_name);
    let outcome = tokio::select! {
        outcome = evaluate(client, &trial, &names, progress) => outcome,
        _ = tokio::signal::ctrl_c() => Err(Error::Interrupted),
    };
    let mut deleted = Ok(());
    for name in &names {
        match client.delete_gallery(name).await {
            // It was not made, or its making did not come that far.
            Ok(()) | Err(tyto_client::Error::UnknownGallery { .. }) => {}
            Err(error) => deleted = Err(error),
        }
    }
    let outcome = outcome?;
    deleted?;
    Ok(outcome)
}

async fn evaluate(
    client: &Client,
    trial: &Trial,
    names: &[String; 2],
    progress: Progress,
) -> Result<Outcome, Error> {
    let embeddings = trial.data.embeddings();
    let plan = plan::Plan::new(trial)?;
    let quantiser =
        Quantiser::new(Metric::Cosine, embeddings.dimension()).map_err(tyto_client::Error::from)?;
    let templates = quantise(embeddings, &quantiser)?;
    let context = Context { embeddings, templates, parallel: trial.parallel.get(), progress };

    let layout = plan::search_layout(trial.stride, embeddings.dimension())?;
    let gallery = client.create_gallery(&names[0], layout, Metric::Cosine).await?;
    let mut searched = searches::run(&context, &gallery, &plan, trial.data.labels().subjects()).await?;
    let mut costs = std::mem::take(&mut searched.costs);
    let (mut comparisons, mut mismatches) = (searched.comparisons, searched.mismatches);
    let [mut encrypted, mut plaintext_quantised, mut float] = searched.rates()?;

    if !plan.pairs.is_empty() {
        let layout = plan::pair_layout(embeddings.dimension())?;
        let gallery = client.create_gallery(&names[1], layout, Metric::Cosine).await?;
        let paired = pairs::run(&context, &gallery, &plan.pairs).await?;
        comparisons += plan.pairs.len() as u64;
        mismatches += paired.mismatches;
        for (rates, tally) in
            [&mut encrypted, &mut plaintext_quantised, &mut float].into_iter().zip(&paired.tallies)
        {
            rates.pairs = Some(tally.rates()?);
        }
        costs.extend(paired.costs);
    }
    let report = Report {
        data: DataSet {
            name: trial.name.clone(),
            is_synthetic: trial.is_synthetic,
            subjects: trial.data.labels().subject_count() as u64,
            images: embeddings.len() as u64,
            dimension: embeddings.dimension() as u64,
        },
        parameter_set: SET.to_string(),
        comparisons,
        score_mismatches: mismatches,
        encrypted,
        plaintext_quantised,
        float,
    };
    Ok(Outcome { report, costs })
}

fn quantise(embeddings: &Embeddings, quantiser: &Quantiser) -> Result<Vec<Template>, Error> {
    let quantise = |(row, values): (usize, &[f32])| {
        quantiser.quantise(values).map_err(|reason| Error::BadRows { rows: vec![BadRow { row, reason }] })
    };
    embeddings.rows().enumerate().map(quantise).collect()
}

/// A gallery name that no other run has.
fn temporary_name(what: &str) -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("tyto evaluate: {what} {:x}-{:x}", since.as_nanos(), std::process::id())
}

/// Runs `count` jobs, at most `parallel` at the same time, and hands over each result as it comes.
async fn in_parallel<T, F>(
    count: usize,
    parallel: usize,
    start: impl Fn(usize) -> F,
    mut take: impl FnMut(usize, T) -> Result<(), Error>,
) -> Result<(), Error>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Error>> + Send + 'static,
{
    let mut running = JoinSet::new();
    let mut next = 0;
    loop {
        while next < count && running.len() < parallel {
            let (index, job) = (next, start(next));
            running.spawn(async move { (index, job.await) });
            next += 1;
        }
        match running.join_next().await {
            None => return Ok(()),
            Some(joined) => {
                let (index, result) = joined.map_err(|_| Error::Task)?;
                take(index, result?)?;
            }
        }
    }
}

/// Enrols and times it.
async fn enrol(
    context: &Context<'_>,
    gallery: &GalleryHandle,
    step: &'static str,
    items: Vec<(tyto_client::tenant::SubjectId, Template)>,
) -> Result<Cost, Error> {
    let bar = context.progress.bar(items.len() as u64, "enrolling");
    let report = gallery.enrol(items, &|done| bar.set_position(done)).await?;
    bar.finish_and_clear();
    Ok(Cost::of_enrolment(step, &report))
}

/// One score of each template, three ways of comparing.
fn rates_of(verification: [crate::evaluation::VerificationRates; 3]) -> [Rates; 3] {
    verification.map(|verification| Rates { verification, identification: None, pairs: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn jobs_run_in_parallel_up_to_the_limit_and_stop_at_an_error() {
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let start = |index| {
            let (now, most) = (Arc::clone(&now), Arc::clone(&most));
            async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                now.fetch_sub(1, Ordering::SeqCst);
                if index == 90 { Err(Error::TrialGallery) } else { Ok(2 * index) }
            }
        };
        let mut results = vec![0; 80];
        let take = |index: usize, result| {
            results[index] = result;
            Ok(())
        };
        in_parallel(80, 3, start, take).await.unwrap();
        assert!(results.iter().enumerate().all(|(index, &result)| result == 2 * index));
        assert_eq!(most.load(Ordering::SeqCst), 3);
        assert!(matches!(in_parallel(100, 3, start, |_, _| Ok(())).await, Err(Error::TrialGallery)));
    }
}
