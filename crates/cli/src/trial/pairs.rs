//! 1:1: listed pairs.

use std::collections::BTreeSet;
use std::time::Instant;

use tyto_client::GalleryHandle;
use tyto_client::tenant::{SubjectId, Template};

use super::cost::{Call, Calls, Cost};
use super::{Context, enrol, in_parallel};
use crate::Error;
use crate::embeddings::Pair;
use crate::evaluation::{PairTally, inner_product};

/// The scores of all pairs.
pub(super) struct Paired {
    pub(super) mismatches: u64,
    pub(super) costs: Vec<Cost>,
    /// Encrypted, quantised in the clear, float.
    pub(super) tallies: [PairTally; 3],
}

/// Enrols the first row of each pair, once, and verifies the second row against it.
///
/// # Errors
/// [`Error::TrialGallery`], [`Error::Client`].
pub(super) async fn run(
    context: &Context<'_>,
    gallery: &GalleryHandle,
    pairs: &[Pair],
) -> Result<Paired, Error> {
    let rows: BTreeSet<usize> = pairs.iter().map(|pair| pair.a).collect();
    let enrolled = rows.iter().map(|&row| Ok((row_id(row)?, context.templates[row].clone())));
    let enrolled = enrolled.collect::<Result<Vec<_>, Error>>()?;
    let enrolment = enrol(context, gallery, "enrolment (1:1)", enrolled).await?;

    let mut paired = Paired { mismatches: 0, costs: Vec::new(), tallies: Default::default() };
    let bar = context.progress.bar(pairs.len() as u64, "verifying");
    let (begun, mut calls) = (Instant::now(), Calls::default());
    let start = |index: usize| {
        let Pair { a, b, .. } = pairs[index];
        verify(gallery.clone(), a, context.templates[b].clone())
    };
    let take = |index: usize, (score, call): (i32, Call)| {
        paired.record(context, &pairs[index], score)?;
        calls.add(call);
        bar.inc(1);
        Ok(())
    };
    in_parallel(pairs.len(), context.parallel, start, take).await?;
    bar.finish_and_clear();
    paired.costs = vec![enrolment, calls.cost("verifications (1:1)", begun.elapsed())];
    Ok(paired)
}

fn row_id(row: usize) -> Result<SubjectId, Error> {
    Ok(SubjectId::new(format!("row-{row}")).map_err(tyto_client::Error::from)?)
}

async fn verify(gallery: GalleryHandle, row: usize, probe: Template) -> Result<(i32, Call), Error> {
    let answer = gallery.verify(&row_id(row)?, &probe).await?;
    let [template] = answer.templates[..] else { return Err(Error::TrialGallery) };
    let (bytes_sent, bytes_received) = (answer.bytes_sent, answer.bytes_received);
    Ok((template.score, Call { time: answer.timings.total, bytes_sent, bytes_received }))
}

impl Paired {
    fn record(&mut self, context: &Context<'_>, pair: &Pair, score: i32) -> Result<(), Error> {
        let quantised = context.templates[pair.a].inner_product(&context.templates[pair.b]);
        let float = inner_product(context.embeddings.row(pair.a), context.embeddings.row(pair.b));
        self.mismatches += u64::from(score != quantised);
        let scores = [f64::from(score), f64::from(quantised), f64::from(float)];
        for (tally, score) in self.tallies.iter_mut().zip(scores) {
            tally.record(score, pair.is_mated, pair.fold)?;
        }
        Ok(())
    }
}
