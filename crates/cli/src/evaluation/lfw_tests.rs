//! The metrics and readers on real face embeddings, against figures computed elsewhere.
//!
//! The data set is not part of the repository. `TYTO_TEST_DATA_DIR` names the directory that holds `lfw/`;
//! otherwise a folder `shared/data` beside one of the parent directories is used. Without it the tests say
//! "absent" and pass, except under `CI=true`.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use super::{BinnedTally, SearchTally, VerificationRates, inner_product};
use crate::embeddings::{LabelledEmbeddings, read_labels, read_npy};

fn lfw() -> Option<LabelledEmbeddings> {
    let data = std::env::var_os("TYTO_TEST_DATA_DIR").map(PathBuf::from).or_else(|| {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        here.ancestors().map(|folder| folder.join("shared/data")).find(|folder| folder.is_dir())
    });
    let open = |name: &str| File::open(data.as_ref()?.join("lfw").join(name)).ok().map(BufReader::new);
    let (Some(rows), Some(labels)) = (open("lfw_128_f32.npy"), open("lfw_index.csv")) else {
        println!("absent: lfw");
        assert!(std::env::var("CI").as_deref() != Ok("true"), "absent: lfw");
        return None;
    };
    let embeddings = read_npy(rows).unwrap();
    Some(LabelledEmbeddings::new(embeddings, read_labels(labels).unwrap()).unwrap().normalised().unwrap())
}

/// The reference figures are rounded to this many percent at least.
fn assert_percent(name: &str, found: f64, expected_percent: f64, rounded_to: f64) {
    let found = found * 100.0;
    assert!((found - expected_percent).abs() <= rounded_to, "{name}: {found:.4} %, not {expected_percent} %");
}

#[test]
fn all_pairs_have_the_reference_error_rates() {
    let Some(lfw) = lfw() else { return };
    let subjects = lfw.labels().subjects();
    assert_eq!((lfw.embeddings().len(), lfw.labels().subject_count()), (13_233, 5_749));
    let mut tally = BinnedTally::cosine();
    for (i, probe) in lfw.embeddings().rows().enumerate() {
        for (reference, subject) in lfw.embeddings().rows().zip(subjects).take(i) {
            tally.record(inner_product(probe, reference), *subject == subjects[i]).unwrap();
        }
    }
    let rates = VerificationRates::new(&tally.distribution().unwrap());
    assert_eq!(rates.mated + rates.non_mated, 13_233 * 13_232 / 2);
    assert_percent("EER", rates.equal_error_rate.value, 0.167, 0.0006);
    for (at, expected) in rates.fnmr_at_fmr.iter().zip([0.21, 0.55, 1.44]) {
        assert_percent("FNMR", at.fnmr.value, expected, 0.006);
    }
}

/// The first image of each subject with two or more is enrolled; their other images are mated searches,
/// the images of everyone else non-mated ones.
#[test]
fn searches_have_the_reference_rank_1_rate() {
    let Some(lfw) = lfw() else { return };
    let subjects = lfw.labels().subjects();
    let mut images: Vec<Vec<usize>> = vec![Vec::new(); lfw.labels().subject_count()];
    for (row, &subject) in subjects.iter().enumerate() {
        images[subject as usize].push(row);
    }
    let enrolled: Vec<usize> = images.iter().filter(|rows| rows.len() > 1).map(|rows| rows[0]).collect();
    let mut searches = SearchTally::new(enrolled.iter().map(|&row| subjects[row]).collect()).unwrap();
    for probe in (0..subjects.len()).filter(|row| !enrolled.contains(row)) {
        let row = lfw.embeddings().row(probe);
        let score = |&reference: &usize| inner_product(row, lfw.embeddings().row(reference));
        searches.record(subjects[probe], &enrolled.iter().map(score).collect::<Vec<_>>()).unwrap();
    }
    let rates = searches.rates().unwrap();
    assert_eq!((rates.enrolled, rates.non_mated_searches), (1_680, 4_069));
    assert_percent("rank 1", rates.rank_1.value, 99.12, 0.006);
    let open_set = rates.fnir_at_fpir.unwrap();
    assert!(open_set.fpir <= 0.01 && open_set.fnir.value < 0.05, "{open_set:?}");
}
