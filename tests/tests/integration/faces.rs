//! Faces through the service: every score equals the plaintext one, and the error rates stay those of the floats.

use std::path::PathBuf;
use tyto_cli::commands::evaluate::with_strangers;
use tyto_cli::embeddings::{LabelledEmbeddings, Pair, synthetic};
use tyto_cli::evaluation::{
    BinnedTally, FnmrAtFmr, IntegerTally, Rate, Report, inner_product, integer_inner_product,
};
use tyto_cli::input::{EmbeddingsArgs, FirstColumnArg, read_pairs_file};
use tyto_cli::progress::Progress;
use tyto_cli::trial::{self, Outcome, Trial};
use tyto_client::tenant::{Metric, Quantiser};
use tyto_tests::rig::Rig;
use tyto_tests::{data, soak};

/// How far the FNMR of quantised templates may be from that of the floats: 0.05 percentage points.
const MAX_DISTANCE: f64 = 0.0005;

async fn run(trial: Trial) -> Outcome {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let outcome = trial::run(&client, trial, Progress::hidden()).await.expect("the trial runs to its end");
    println!("{}", outcome.text());
    let report = &outcome.report;
    assert!(outcome.is_exact(), "{} of {} scores differ", report.score_mismatches, report.comparisons);
    assert_eq!(report.score_mismatches, 0);
    outcome
}

/// FNMR at a false match rate, encrypted and float.
fn fnmr(report: &Report, fmr: f64) -> (Rate, Rate) {
    let at = |rates: &[FnmrAtFmr]| {
        rates.iter().find(|rate| (rate.fmr_limit - fmr).abs() < 1e-9).expect("a reported rate").fnmr
    };
    (at(&report.encrypted.verification.fnmr_at_fmr), at(&report.float.verification.fnmr_at_fmr))
}

fn faces() -> Option<(LabelledEmbeddings, PathBuf)> {
    let folder = data::find("lfw")?;
    let file =
        EmbeddingsArgs { embeddings: folder.join("lfw_128_f32.npy"), first_column: FirstColumnArg::Detect };
    Some((file.read_labelled(Some(&folder.join("lfw_index.csv"))).expect("the data set"), folder))
}

/// The 6,000 LFW pairs, 1:1, and 1,680 subjects against every other image, 1:N, nothing left out.
#[tokio::test(flavor = "multi_thread")]
async fn real_faces_score_exactly() {
    let Some((faces, folder)) = faces() else { return };
    let pairs = read_pairs_file(&folder.join("lfw_pairs.csv"), faces.embeddings().len()).expect("the pairs");
    assert_eq!((faces.embeddings().len(), pairs.len()), (13_233, 6_000));
    let outcome = run(Trial::new(faces, false, Some(pairs))).await;
    let report = &outcome.report;
    assert_eq!(report.comparisons, 11_553 * 1680 + 6000);
    for fmr in [1e-3, 1e-4] {
        let (encrypted, float) = fnmr(report, fmr);
        println!(
            "searches: FNMR at FMR {fmr}: encrypted {:.3} %, float {:.3} %",
            100.0 * encrypted.value,
            100.0 * float.value
        );
        // 7,484 mated comparisons: one of them is 0.013 percentage points.
        assert!((float.lower..=float.upper).contains(&encrypted.value), "{encrypted:?} against {float:?}");
    }
}

/// The scores of all 87.5 million pairs of images, which are exact whether they are computed encrypted or not: the
/// error rates of the quantised templates stay within 0.05 percentage points of those of the floats.
#[test]
fn quantisation_costs_real_faces_nothing() {
    let Some((faces, _)) = faces() else { return };
    let faces = faces.normalised().expect("no zero rows");
    let subjects = faces.labels().subjects();
    let quantiser = Quantiser::new(Metric::Cosine, 128).expect("a metric");
    let quantise = |row| quantiser.quantise(row).expect("a vector in range");
    let templates: Vec<_> = faces.embeddings().rows().map(quantise).collect();
    let (mut quantised, mut float) = (IntegerTally::new(1019), BinnedTally::cosine());
    for (i, (row, template)) in faces.embeddings().rows().zip(&templates).enumerate() {
        for (j, (other_row, other)) in faces.embeddings().rows().zip(&templates).enumerate().take(i) {
            let is_mated = subjects[i] == subjects[j];
            let score = integer_inner_product(template.values(), other.values());
            quantised.record(score, is_mated).expect("within the range");
            float.record(inner_product(row, other_row), is_mated).expect("a cosine");
        }
    }
    let (quantised, float) =
        (quantised.distribution().expect("scores"), float.distribution().expect("scores"));
    for fmr in [1e-3, 1e-4] {
        let [quantised, float] = [&quantised, &float].map(|scores| scores.fnmr_at_fmr(fmr).fnmr.value);
        println!(
            "all pairs: FNMR at FMR {fmr}: quantised {:.3} %, float {:.3} %",
            100.0 * quantised,
            100.0 * float
        );
        assert!((quantised - float).abs() <= MAX_DISTANCE, "at FMR {fmr}: {quantised} against {float}");
    }
}

/// The same with 512 dimensions, on a made-up population.
#[tokio::test(flavor = "multi_thread")]
async fn a_synthetic_population_of_512_dimensions_scores_exactly() {
    let subjects = if soak() { 2000 } else { 200 };
    let population =
        with_strangers(&synthetic(subjects, 3, 512, 7).expect("a population")).expect("a population");
    let rows = population.embeddings().len();
    let labels = population.labels().subjects();
    let pair = |a: usize| (a, (a / 3 * 3 + a * 7 % 5) % rows);
    let pairs = (0..rows.min(1000)).map(pair).filter(|(a, b)| a != b);
    let pairs = pairs.map(|(a, b)| Pair { a, b, is_mated: labels[a] == labels[b], fold: None }).collect();
    let outcome = run(Trial::new(population, true, Some(pairs))).await;
    let (encrypted, float) = fnmr(&outcome.report, 1e-3);
    assert!((float.lower..=float.upper).contains(&encrypted.value), "{encrypted:?} against {float:?}");
}
