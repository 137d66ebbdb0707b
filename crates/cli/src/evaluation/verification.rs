//! Verification (1:1): error rates of comparisons.

use serde::Serialize;

use super::{Distribution, REPORTED_FMRS, Rate};

/// Points of a DET curve closer than this, in decades of both rates, are left out of reports.
const DET_STEP_DECADES: f64 = 0.01;
/// Fewer false matches than this make a rate uncertain by more than a third ("rule of 30", Doddington).
const RULE_OF_30: f64 = 30.0;

/// Error rates at one threshold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct OperatingPoint {
    /// Smallest score that matches; none if nothing does.
    pub threshold: Option<f64>,
    /// False match rate.
    pub fmr: f64,
    /// False non-match rate.
    pub fnmr: f64,
}

/// The false non-match rate where the false match rate is limited.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FnmrAtFmr {
    /// The limit on the false match rate.
    pub fmr_limit: f64,
    /// Smallest score that matches; none if only accepting nothing meets the limit.
    pub threshold: Option<f64>,
    /// The false match rate at that threshold.
    pub fmr: f64,
    /// The false non-match rate at that threshold.
    pub fnmr: Rate,
    /// False matches that the limit allows among the non-mated comparisons there were.
    pub expected_false_matches: f64,
}

impl FnmrAtFmr {
    /// Whether there were too few non-mated comparisons to speak of such a false match rate.
    pub fn is_uncertain(&self) -> bool {
        self.expected_false_matches < RULE_OF_30
    }
}

/// Verification performance of one way of comparing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VerificationRates {
    /// Comparisons of images of one subject.
    pub mated: u64,
    /// Comparisons of images of two subjects.
    pub non_mated: u64,
    /// Equal error rate.
    pub equal_error_rate: Rate,
    /// False non-match rates at the reported false match rates.
    pub fnmr_at_fmr: Vec<FnmrAtFmr>,
    /// The DET curve by ascending threshold, thinned to what a plot shows.
    pub det: Vec<OperatingPoint>,
}

impl VerificationRates {
    /// What reports state about `distribution`.
    pub fn new(distribution: &Distribution) -> Self {
        Self {
            mated: distribution.mated(),
            non_mated: distribution.non_mated(),
            equal_error_rate: distribution.equal_error_rate(),
            fnmr_at_fmr: REPORTED_FMRS.map(|limit| distribution.fnmr_at_fmr(limit)).to_vec(),
            det: thin(distribution.operating_points()),
        }
    }
}

/// Keeps the first and last points and those that differ visibly, on logarithmic axes, from the last kept.
fn thin(points: impl Iterator<Item = OperatingPoint>) -> Vec<OperatingPoint> {
    // Zero is infinitely far from any other rate, and its distance from itself compares as false.
    let differs = |a: f64, b: f64| (a.log10() - b.log10()).abs() >= DET_STEP_DECADES;
    let mut kept: Vec<OperatingPoint> = Vec::new();
    let mut last = None;
    for point in points {
        if kept.last().is_none_or(|kept| differs(kept.fmr, point.fmr) || differs(kept.fnmr, point.fnmr)) {
            kept.push(point);
        }
        last = Some(point);
    }
    if kept.last() != last.as_ref() {
        kept.extend(last);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::{BinnedTally, IntegerTally};

    /// A few thousand reproducible numbers.
    fn numbers(seed: u64) -> impl FnMut() -> u64 {
        let mut state = seed | 1;
        move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state >> 11
        }
    }

    /// Counts by the definition, score by score.
    fn brute_force(mated: &[f64], non_mated: &[f64], threshold: f64) -> (f64, f64) {
        let matching = non_mated.iter().filter(|&&score| score >= threshold).count();
        let missing = mated.iter().filter(|&&score| score < threshold).count();
        (matching as f64 / non_mated.len() as f64, missing as f64 / mated.len() as f64)
    }

    #[test]
    fn all_ways_of_counting_agree_with_brute_force() {
        let mut next = numbers(5);
        for round in 0..50 {
            let mut draw = |low: i32, count| -> Vec<f64> {
                (0..count).map(|_| f64::from(low + (next() % 12) as i32)).collect()
            };
            let (mated, non_mated) = (draw(-2, 1 + round), draw(-8, 1 + 3 * round));
            let exact = Distribution::from_scores(&mated, &non_mated).unwrap();
            let (mut integers, mut cosines) = (IntegerTally::new(20), BinnedTally::cosine());
            for (scores, is_mated) in [(&mated, true), (&non_mated, false)] {
                for &score in scores {
                    integers.record(score as i32, is_mated).unwrap();
                    cosines.record(score as f32 / 16.0, is_mated).unwrap();
                }
            }
            let points: Vec<_> = exact.operating_points().collect();
            for point in &points {
                let expected = brute_force(&mated, &non_mated, point.threshold.unwrap_or(f64::INFINITY));
                assert_eq!((point.fmr, point.fnmr), expected);
            }
            assert!(integers.distribution().unwrap().operating_points().eq(points.iter().copied()));
            let scaled = points.iter().map(|&point| OperatingPoint {
                threshold: point.threshold.map(|threshold| threshold / 16.0),
                ..point
            });
            assert!(cosines.distribution().unwrap().operating_points().eq(scaled));

            for limit in [0.0, 0.05, 0.3, 1.0] {
                let thresholds = (-30..30).map(f64::from);
                let rates = thresholds.map(|threshold| brute_force(&mated, &non_mated, threshold));
                let best = rates.filter(|rates| rates.0 <= limit).map(|rates| rates.1).fold(1.0, f64::min);
                assert_eq!(exact.fnmr_at_fmr(limit).fnmr.value.to_bits(), best.to_bits(), "FMR <= {limit}");
            }
        }
    }

    #[test]
    fn separable_scores_have_no_errors_and_swapped_ones_nothing_else() {
        let apart = Distribution::from_scores(&[3.0, 4.0], &[1.0, 2.0]).unwrap();
        assert!(apart.equal_error_rate().value.abs() < 1e-15);
        assert_eq!(apart.fnmr_at_fmr(0.0).threshold, Some(3.0));
        let swapped = Distribution::from_scores(&[1.0, 2.0], &[3.0, 4.0]).unwrap();
        assert!((swapped.equal_error_rate().value - 1.0).abs() < 1e-15);
        let hopeless = swapped.fnmr_at_fmr(0.1);
        assert_eq!((hopeless.threshold, hopeless.fnmr.value.to_bits()), (None, 1f64.to_bits()));
        let equal = Distribution::from_scores(&[5.0; 3], &[5.0; 7]).unwrap();
        assert!((equal.equal_error_rate().value - 0.5).abs() < 1e-15);
    }

    #[test]
    fn two_shifted_uniform_distributions_have_their_closed_form_rates() {
        // Non-mated uniform on 0..1000, mated on 800..1800: FMR = (1000 - t)/1000 and FNMR = (t - 800)/1000
        // meet at t = 900 with a rate of 0.1; FMR 0.05 is at t = 950 with FNMR 0.15.
        let mut tally = IntegerTally::new(2000);
        for i in 0..1000 {
            tally.record(i, false).unwrap();
            tally.record(i + 800, true).unwrap();
        }
        let distribution = tally.distribution().unwrap();
        assert!((distribution.equal_error_rate().value - 0.1).abs() < 1e-12);
        let limited = distribution.fnmr_at_fmr(0.05);
        assert_eq!((limited.threshold, limited.fnmr.value.to_bits()), (Some(950.0), 0.15f64.to_bits()));
    }

    #[test]
    fn twenty_million_scores_are_counted_without_keeping_them() {
        let mut tally = IntegerTally::new(1019);
        for i in 0..20_000_000 {
            let is_mated = i % 1000 == 0;
            tally.record(i % 1019 - if is_mated { 0 } else { 600 }, is_mated).unwrap();
        }
        let rates = VerificationRates::new(&tally.distribution().unwrap());
        assert_eq!(rates.mated + rates.non_mated, 20_000_000);
        assert!(rates.fnmr_at_fmr.iter().all(|rate| !rate.is_uncertain() && rate.fmr <= rate.fmr_limit));
        assert!(rates.det.len() < 2000);
    }

    #[test]
    fn a_false_match_rate_beyond_the_data_is_called_uncertain() {
        let few = Distribution::from_scores(&[1.0; 10], &[0.0; 1000]).unwrap();
        assert!(few.fnmr_at_fmr(1e-3).is_uncertain() && !few.fnmr_at_fmr(0.03).is_uncertain());
    }

    #[test]
    fn thinning_keeps_the_shape_and_both_ends() {
        let non_mated: Vec<f64> = (0..100_000).map(f64::from).collect();
        let mated: Vec<f64> = (50_000..150_000).map(f64::from).collect();
        let whole = Distribution::from_scores(&mated, &non_mated).unwrap();
        let thinned = VerificationRates::new(&whole).det;
        assert!(thinned.len() < 2_000);
        assert_eq!(thinned.first(), whole.operating_points().next().as_ref());
        assert_eq!(thinned.last(), whole.operating_points().last().as_ref());
    }
}
