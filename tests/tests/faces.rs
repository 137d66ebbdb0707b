//! Faces through the service: every score equals the plaintext one, and the error rates stay those of the floats.

use tyto_cli::commands::evaluate::with_strangers;
use tyto_cli::embeddings::{Pair, synthetic};
use tyto_cli::evaluation::{FnmrAtFmr, Report};
use tyto_cli::input::{EmbeddingsArgs, FirstColumnArg, read_pairs_file};
use tyto_cli::progress::Progress;
use tyto_cli::trial::{self, Outcome, Trial};
use tyto_tests::rig::Rig;
use tyto_tests::{data, soak};

/// How far the encrypted FNMR may be from that of the floats: 0.05 percentage points.
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
fn fnmr(report: &Report, fmr: f64) -> (f64, f64) {
    let at = |rates: &[FnmrAtFmr]| {
        let found = rates.iter().find(|rate| (rate.fmr_limit - fmr).abs() < 1e-9).expect("a reported rate");
        found.fnmr.value
    };
    (at(&report.encrypted.verification.fnmr_at_fmr), at(&report.float.verification.fnmr_at_fmr))
}

/// The 6,000 LFW pairs, 1:1, and 1,680 subjects against every other image, 1:N, nothing left out.
#[tokio::test(flavor = "multi_thread")]
async fn real_faces_score_exactly_and_lose_nothing() {
    let Some(folder) = data::find("lfw") else { return };
    let file =
        EmbeddingsArgs { embeddings: folder.join("lfw_128_f32.npy"), first_column: FirstColumnArg::Detect };
    let faces = file.read_labelled(Some(&folder.join("lfw_index.csv"))).expect("the data set");
    let pairs = read_pairs_file(&folder.join("lfw_pairs.csv"), faces.embeddings().len()).expect("the pairs");
    assert_eq!((faces.embeddings().len(), pairs.len()), (13_233, 6_000));
    let outcome = run(Trial::new(faces, false, Some(pairs))).await;
    let report = &outcome.report;
    assert_eq!(report.comparisons, 11_553 * 1680 + 6000);
    for fmr in [1e-3, 1e-4] {
        let (encrypted, float) = fnmr(report, fmr);
        println!("FNMR at FMR {fmr}: encrypted {:.3} %, float {:.3} %", 100.0 * encrypted, 100.0 * float);
        let distance = (encrypted - float).abs();
        assert!(distance <= MAX_DISTANCE, "at FMR {fmr}: {encrypted} against {float}");
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
    assert!(
        (encrypted - float).abs() <= if soak() { MAX_DISTANCE } else { 0.01 },
        "{encrypted} against {float}"
    );
}
