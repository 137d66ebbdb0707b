//! Verification over listed pairs, with the accuracy that protocols of folds state.

use serde::Serialize;

use super::{Distribution, Rate};
use crate::Error;

/// Collects the scores of listed pairs.
#[derive(Clone, Debug, Default)]
pub struct PairTally {
    pairs: Vec<Scored>,
}

#[derive(Clone, Copy, Debug)]
struct Scored {
    score: f64,
    is_mated: bool,
    fold: Option<u32>,
}

impl PairTally {
    /// Records one pair.
    ///
    /// # Errors
    /// If the score is not finite.
    pub fn record(&mut self, score: f64, is_mated: bool, fold: Option<u32>) -> Result<(), Error> {
        if !score.is_finite() {
            return Err(Error::ScoreOutOfRange);
        }
        self.pairs.push(Scored { score, is_mated, fold });
        Ok(())
    }

    /// What reports state about the pairs.
    ///
    /// # Errors
    /// If there were no mated or no non-mated pairs.
    pub fn rates(&self) -> Result<PairRates, Error> {
        let scores = |is_mated| -> Vec<f64> {
            self.pairs.iter().filter(|pair| pair.is_mated == is_mated).map(|pair| pair.score).collect()
        };
        let distribution = Distribution::from_scores(&scores(true), &scores(false))?;
        Ok(PairRates {
            mated: distribution.mated(),
            non_mated: distribution.non_mated(),
            equal_error_rate: distribution.equal_error_rate(),
            fold_accuracy: self.fold_accuracy(),
        })
    }

    /// For each fold the threshold that decides most pairs of the other folds correctly (the middle of the best
    /// gap between scores, the lowest of equals), and the share of the fold's own pairs that it decides correctly.
    fn fold_accuracy(&self) -> Option<FoldAccuracy> {
        let mut folds = self.pairs.iter().map(|pair| pair.fold).collect::<Option<Vec<u32>>>()?;
        folds.sort_unstable();
        folds.dedup();
        if folds.len() < 2 {
            return None;
        }
        let mut sorted = self.pairs.clone();
        sorted.sort_by(|a, b| a.score.total_cmp(&b.score));
        let accuracy = |&fold: &u32| {
            let threshold = best_threshold(sorted.iter().filter(|pair| pair.fold != Some(fold)));
            let own = || self.pairs.iter().filter(|pair| pair.fold == Some(fold));
            let correct = own().filter(|pair| (pair.score >= threshold) == pair.is_mated).count();
            correct as f64 / own().count() as f64
        };
        let mean = folds.iter().map(accuracy).sum::<f64>() / folds.len() as f64;
        Some(FoldAccuracy { folds: folds.len() as u64, mean })
    }
}

/// The threshold with the most correct decisions; `sorted` ascends by score.
fn best_threshold<'a>(sorted: impl Iterator<Item = &'a Scored>) -> f64 {
    // Below all scores everything matches: the mated pairs are decided correctly. Each step over a score then
    // takes one from, or adds one to, the correct decisions.
    let (mut balance, mut best) = (0i64, (0i64, f64::NEG_INFINITY));
    let mut below: Option<f64> = None;
    for pair in sorted {
        if let Some(below) = below.filter(|&below| below < pair.score && balance > best.0) {
            best = (balance, f64::midpoint(below, pair.score));
        }
        balance += if pair.is_mated { -1 } else { 1 };
        below = Some(pair.score);
    }
    if balance > best.0 { f64::INFINITY } else { best.1 }
}

/// Verification performance over listed pairs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PairRates {
    /// Pairs of one subject.
    pub mated: u64,
    /// Pairs of two subjects.
    pub non_mated: u64,
    /// Equal error rate.
    pub equal_error_rate: Rate,
    /// Accuracy by folds; none if the list has none.
    pub fold_accuracy: Option<FoldAccuracy>,
}

/// Share of correct decisions, each fold with the threshold that was best for the others.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FoldAccuracy {
    /// Folds.
    pub folds: u64,
    /// Mean over the folds.
    pub mean: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(pairs: &[(f64, bool, u32)]) -> PairTally {
        let mut tally = PairTally::default();
        pairs.iter().for_each(|&(score, is_mated, fold)| tally.record(score, is_mated, Some(fold)).unwrap());
        tally
    }

    #[test]
    fn each_fold_is_judged_by_the_threshold_of_the_others() {
        // Fold 0 alone would put the threshold at 5, fold 1 alone at 2.
        let rates =
            tally(&[(4.0, false, 0), (6.0, true, 0), (1.0, false, 1), (3.0, true, 1)]).rates().unwrap();
        // Fold 0 by threshold 2: the 4 is wrong. Fold 1 by threshold 5: the 3 is wrong.
        assert_eq!(rates.fold_accuracy, Some(FoldAccuracy { folds: 2, mean: 0.5 }));
        assert_eq!((rates.mated, rates.non_mated), (2, 2));
    }

    #[test]
    fn thresholds_are_found_at_both_ends_and_among_ties() {
        let best = |pairs: &[(f64, bool)]| {
            let scored: Vec<Scored> =
                pairs.iter().map(|&(score, is_mated)| Scored { score, is_mated, fold: None }).collect();
            best_threshold(scored.iter())
        };
        assert!(best(&[(1.0, true), (2.0, true)]) <= 1.0);
        assert!(best(&[(1.0, false), (2.0, false)]) > 2.0);
        let tied = best(&[(1.0, false), (2.0, false), (2.0, true), (2.0, true), (3.0, true)]);
        assert!(tied > 1.0 && tied <= 2.0, "{tied}");
    }

    #[test]
    fn pairs_without_folds_have_no_accuracy() {
        let mut tally = tally(&[(1.0, false, 0), (2.0, true, 1)]);
        assert!(tally.rates().unwrap().fold_accuracy.is_some());
        tally.record(3.0, true, None).unwrap();
        assert!(tally.rates().unwrap().fold_accuracy.is_none());
        assert!(matches!(tally.record(f64::NAN, true, None), Err(Error::ScoreOutOfRange)));
    }
}
