//! Identification (1:N): outcomes of searches, closed set and open set.

use serde::Serialize;

use super::{REPORTED_FPIR, REPORTED_RANKS, Rate};
use crate::Error;

/// Collects the outcomes of searches of one gallery.
///
/// Subjects are numbered densely from 0, as [`Labels`](crate::embeddings::Labels) does; the numbers cover
/// the subjects of the probes too.
#[derive(Clone, Debug)]
pub struct SearchTally {
    /// The subject of each enrolled reference.
    references: Vec<u32>,
    /// Number of distinct enrolled subjects.
    enrolled: u64,
    /// Best score of each subject in the search at hand; `NaN` for those who are not enrolled.
    best: Vec<f64>,
    /// Rank and score of the mate of each mated search.
    mated: Vec<(u32, f64)>,
    /// Highest score of each non-mated search.
    non_mated: Vec<f64>,
}

impl SearchTally {
    /// For a gallery whose references show `references`, in the order of the scores to come.
    ///
    /// # Errors
    /// If the gallery is empty.
    pub fn new(references: Vec<u32>) -> Result<Self, Error> {
        let last = *references.iter().max().ok_or(Error::NoEmbeddings)?;
        let mut best = vec![f64::NAN; last as usize + 1];
        for &subject in &references {
            best[subject as usize] = f64::NEG_INFINITY;
        }
        let enrolled = best.iter().filter(|score| !score.is_nan()).count() as u64;
        Ok(Self { references, enrolled, best, mated: Vec::new(), non_mated: Vec::new() })
    }

    /// Records one search: the scores of a probe of `subject` against all references. The search is mated
    /// if `subject` is enrolled.
    ///
    /// # Errors
    /// If there are not as many scores as references or one is not finite.
    pub fn record<S: Copy + Into<f64>>(&mut self, subject: u32, scores: &[S]) -> Result<(), Error> {
        if scores.len() != self.references.len() {
            return Err(Error::ScoreCount { found: scores.len(), expected: self.references.len() });
        }
        for best in self.best.iter_mut().filter(|best| !best.is_nan()) {
            *best = f64::NEG_INFINITY;
        }
        for (&reference, &score) in self.references.iter().zip(scores) {
            let score: f64 = score.into();
            if !score.is_finite() {
                return Err(Error::ScoreOutOfRange);
            }
            let best = &mut self.best[reference as usize];
            *best = best.max(score);
        }
        match self.best.get(subject as usize).copied().filter(|mate| !mate.is_nan()) {
            // The mate itself is among those at least as high as the mate: that is the 1 of the rank.
            Some(mate) => {
                let rank = self.best.iter().filter(|&&score| score >= mate).count();
                self.mated.push((rank as u32, mate));
            }
            None => self.non_mated.push(self.best.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
        }
        Ok(())
    }

    /// What reports state about the searches.
    ///
    /// # Errors
    /// If there was no mated search.
    pub fn rates(&self) -> Result<IdentificationRates, Error> {
        let mated = self.mated.len() as u64;
        if mated == 0 {
            return Err(Error::NoMated);
        }
        let ranks = REPORTED_RANKS.min(self.enrolled as usize);
        let mut within = vec![0u64; ranks];
        for &(rank, _) in &self.mated {
            if let Some(count) = within.get_mut(rank as usize - 1) {
                *count += 1;
            }
        }
        for rank in 1..ranks {
            within[rank] += within[rank - 1];
        }
        Ok(IdentificationRates {
            enrolled: self.enrolled,
            mated_searches: mated,
            non_mated_searches: self.non_mated.len() as u64,
            rank_1: Rate::of(within[0], mated),
            cmc: within.iter().map(|&count| count as f64 / mated as f64).collect(),
            fnir_at_fpir: self.fnir_at_fpir(REPORTED_FPIR),
        })
    }

    /// The smallest FNIR over the thresholds whose FPIR is at most `fpir_limit`; none without non-mated or
    /// without mated searches.
    pub fn fnir_at_fpir(&self, fpir_limit: f64) -> Option<OpenSetRate> {
        if self.non_mated.is_empty() || self.mated.is_empty() {
            return None;
        }
        let searches = self.non_mated.len();
        let mut highest = self.non_mated.clone();
        highest.sort_by(|a, b| b.total_cmp(a));
        let mut allowed = ((fpir_limit * searches as f64) as usize).min(searches);
        // The product may have been rounded down past a whole number.
        if allowed < searches && (allowed + 1) as f64 / searches as f64 <= fpir_limit {
            allowed += 1;
        }
        // The threshold lies just above the highest score that must not be accepted.
        let barred = highest.get(allowed).copied().unwrap_or(f64::NEG_INFINITY);
        let scores = self.mated.iter().map(|&(_, score)| score).chain(highest.iter().copied());
        let threshold = scores.filter(|&score| score > barred).min_by(f64::total_cmp);
        let missed = self.mated.iter().filter(|&&(rank, score)| rank > 1 || score <= barred).count();
        let false_positives = highest.iter().filter(|&&score| score > barred).count();
        Some(OpenSetRate {
            fpir_limit,
            threshold,
            fpir: false_positives as f64 / searches as f64,
            fnir: Rate::of(missed as u64, self.mated.len() as u64),
        })
    }
}

/// The false negative identification rate where the false positive identification rate is limited.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct OpenSetRate {
    /// The limit on the false positive identification rate.
    pub fpir_limit: f64,
    /// Smallest score that makes a candidate; none if only accepting nothing meets the limit.
    pub threshold: Option<f64>,
    /// The false positive identification rate at that threshold.
    pub fpir: f64,
    /// The false negative identification rate at that threshold and rank 1.
    pub fnir: Rate,
}

/// Identification performance of one way of comparing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct IdentificationRates {
    /// Enrolled subjects, N.
    pub enrolled: u64,
    /// Searches by probes of enrolled subjects.
    pub mated_searches: u64,
    /// Searches by probes of subjects who are not enrolled.
    pub non_mated_searches: u64,
    /// True positive identification rate at rank 1, without a threshold.
    pub rank_1: Rate,
    /// The cumulative match characteristic: the share of mated searches with a rank of at most 1, 2, ...
    pub cmc: Vec<f64>,
    /// Open set; none if every probe's subject was enrolled.
    pub fnir_at_fpir: Option<OpenSetRate>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_and_rates_of_searches_worked_by_hand() {
        // Subjects 0, 1 (two references) and 2 are enrolled; 3 and 7 are not.
        let mut tally = SearchTally::new(vec![0, 1, 1, 2]).unwrap();
        let searches: [(u32, [i16; 4]); 8] = [
            (0, [9, 1, 2, 3]), // rank 1
            (1, [5, 1, 6, 5]), // rank 1 by the second reference
            (1, [5, 4, 5, 0]), // tied with subject 0: rank 2
            (2, [8, 9, 9, 1]), // rank 3: two references of one subject count once
            (2, [1, 1, 1, 4]), // rank 1, but a low score
            (3, [3, 5, 1, 2]), // non-mated, top 5
            (7, [1, 1, 1, 2]), // non-mated, top 2
            (7, [1, 1, 3, 2]), // non-mated, top 3
        ];
        for (subject, scores) in searches {
            tally.record(subject, &scores).unwrap();
        }
        let rates = tally.rates().unwrap();
        assert_eq!((rates.enrolled, rates.mated_searches, rates.non_mated_searches), (3, 5, 3));
        assert_eq!(rates.cmc, [0.6, 0.8, 1.0]);
        assert_eq!(rates.rank_1, Rate::of(3, 5));

        // No false positive allowed: threshold 6 bars the low score too.
        let strict = tally.fnir_at_fpir(0.01).unwrap();
        assert_eq!((strict.threshold, strict.fpir.to_bits(), strict.fnir), (Some(6.0), 0, Rate::of(3, 5)));
        // One of three allowed: the lowest threshold above 3 is 4.
        let loose = tally.fnir_at_fpir(1.0 / 3.0).unwrap();
        assert_eq!((loose.threshold, loose.fnir), (Some(4.0), Rate::of(2, 5)));
        assert!((loose.fpir - 1.0 / 3.0).abs() < 1e-15);
        // All allowed: what remains is closed set.
        assert_eq!(tally.fnir_at_fpir(1.0).unwrap().fnir, Rate::of(2, 5));
    }

    #[test]
    fn open_set_rates_agree_with_trying_every_threshold() {
        let mut state = 3u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as i16 % 16
        };
        for _ in 0..200 {
            let mut tally = SearchTally::new(vec![0, 1, 2, 3]).unwrap();
            let searches: Vec<(u32, [i16; 4])> =
                (0..40).map(|probe| (probe % 7, [next(), next(), next(), next()])).collect();
            for (subject, scores) in &searches {
                tally.record(*subject, scores).unwrap();
            }
            let limit = 0.25;
            let best = (-1..=16)
                .filter_map(|threshold| {
                    let share = |mated: bool, hit: &dyn Fn(u32, &[i16; 4]) -> bool| {
                        let side = searches.iter().filter(|search| (search.0 < 4) == mated);
                        let hits = side.clone().filter(|search| hit(search.0, &search.1)).count();
                        hits as f64 / side.count() as f64
                    };
                    let fpir = share(false, &|_, scores| scores.iter().any(|&score| score >= threshold));
                    let fnir = share(true, &|subject, scores| {
                        let mate = scores[subject as usize];
                        let ahead = scores.iter().filter(|&&score| score >= mate).count() > 1;
                        ahead || mate < threshold
                    });
                    (fpir <= limit).then_some(fnir)
                })
                .fold(1.0, f64::min);
            assert_eq!(tally.fnir_at_fpir(limit).unwrap().fnir.value.to_bits(), best.to_bits());
        }
    }

    #[test]
    fn searches_that_cannot_be_judged_are_errors() {
        assert!(matches!(SearchTally::new(vec![]), Err(Error::NoEmbeddings)));
        let mut tally = SearchTally::new(vec![0, 1]).unwrap();
        let short = tally.record(0, &[1i16]);
        assert!(matches!(short, Err(Error::ScoreCount { found: 1, expected: 2 })));
        assert!(matches!(tally.record(0, &[1.0f32, f32::NAN]), Err(Error::ScoreOutOfRange)));
        tally.record(5, &[1i16, 2]).unwrap();
        assert!(matches!(tally.rates(), Err(Error::NoMated)));
        assert!(tally.fnir_at_fpir(0.01).is_none());
    }
}
