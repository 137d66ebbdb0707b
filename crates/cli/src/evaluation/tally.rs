//! Counting scores as they come, in memory that does not grow with their number.

use super::Distribution;
use crate::Error;

/// Steps of a [`BinnedTally::cosine`] from -1 to 1: scores within 2^-19 of each other may count as equal.
const COSINE_BINS: usize = 1 << 20;
/// How far rounding may carry the cosine of two unit vectors in `f32` beyond 1.
const COSINE_SLACK: f64 = 1e-4;

/// Exact counts of integer scores in `-bound..=bound`, mated and non-mated.
#[derive(Clone, Debug)]
pub struct IntegerTally {
    bound: i32,
    counts: Counts,
}

impl IntegerTally {
    /// For scores in `-bound..=bound`; 1019 for the parameter set `Exact41`.
    pub fn new(bound: u16) -> Self {
        Self { bound: bound.into(), counts: Counts::new(2 * usize::from(bound) + 1) }
    }

    /// Counts one comparison.
    ///
    /// # Errors
    /// If the score is outside of the bound.
    pub fn record(&mut self, score: i32, is_mated: bool) -> Result<(), Error> {
        if !(-self.bound..=self.bound).contains(&score) {
            return Err(Error::ScoreOutOfRange);
        }
        self.counts.add((score + self.bound) as usize, is_mated);
        Ok(())
    }

    /// The distribution of what was counted.
    ///
    /// # Errors
    /// If there were no mated or no non-mated comparisons.
    pub fn distribution(&self) -> Result<Distribution, Error> {
        self.counts.distribution(|bin| f64::from(bin as i32 - self.bound))
    }
}

/// Counts of real scores in fine equal bins, mated and non-mated. Thresholds are the bins' lower ends, so
/// every error rate is exact at its threshold; only thresholds within one bin are not told apart.
#[derive(Clone, Debug)]
pub struct BinnedTally {
    low: f64,
    width: f64,
    counts: Counts,
}

impl BinnedTally {
    /// For cosine similarities, in 2^20 bins.
    pub fn cosine() -> Self {
        Self { low: -1.0, width: 2.0 / COSINE_BINS as f64, counts: Counts::new(COSINE_BINS) }
    }

    /// Counts one comparison.
    ///
    /// # Errors
    /// If the score is NaN or outside of the range by more than rounding explains.
    pub fn record(&mut self, score: f32, is_mated: bool) -> Result<(), Error> {
        let score = f64::from(score);
        if !(-1.0 - COSINE_SLACK..=1.0 + COSINE_SLACK).contains(&score) {
            return Err(Error::ScoreOutOfRange);
        }
        // The cast takes what is below the range to bin 0.
        let bin = ((score - self.low) / self.width) as usize;
        self.counts.add(bin.min(COSINE_BINS - 1), is_mated);
        Ok(())
    }

    /// The distribution of what was counted.
    ///
    /// # Errors
    /// If there were no mated or no non-mated comparisons.
    pub fn distribution(&self) -> Result<Distribution, Error> {
        self.counts.distribution(|bin| self.low + self.width * bin as f64)
    }
}

#[derive(Clone, Debug)]
struct Counts {
    mated: Vec<u64>,
    non_mated: Vec<u64>,
}

impl Counts {
    fn new(bins: usize) -> Self {
        Self { mated: vec![0; bins], non_mated: vec![0; bins] }
    }

    fn add(&mut self, bin: usize, is_mated: bool) {
        let counts = if is_mated { &mut self.mated } else { &mut self.non_mated };
        counts[bin] += 1;
    }

    fn distribution(&self, score: impl Fn(usize) -> f64) -> Result<Distribution, Error> {
        let bins = self.mated.iter().zip(&self.non_mated).enumerate();
        Distribution::from_counts(bins.map(|(bin, (&mated, &non_mated))| (score(bin), mated, non_mated)))
    }
}

/// Partial sums of an inner product; lets the compiler use whole vector registers.
const LANES: usize = 16;

/// Inner product of two rows of `f32`; of unit vectors, their cosine.
///
/// # Panics
/// If the lengths differ.
pub fn inner_product(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "rows of one dimension");
    let (a_lanes, a_rest) = a.as_chunks::<LANES>();
    let (b_lanes, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0f32; LANES];
    for (a, b) in a_lanes.iter().zip(b_lanes) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

/// Inner product of two quantised templates: the score that the encrypted comparison must give.
///
/// # Panics
/// If the lengths differ.
pub fn integer_inner_product(a: &[i16], b: &[i16]) -> i32 {
    assert_eq!(a.len(), b.len(), "templates of one dimension");
    a.iter().zip(b).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_outside_of_the_scale_are_errors() {
        let mut integers = IntegerTally::new(1019);
        assert!(integers.record(-1019, true).is_ok() && integers.record(1019, false).is_ok());
        for score in [-1020, 1020, i32::MIN, i32::MAX] {
            assert!(matches!(integers.record(score, true), Err(Error::ScoreOutOfRange)), "{score}");
        }
        let mut cosines = BinnedTally::cosine();
        assert!(cosines.record(1.000_000_1, true).is_ok() && cosines.record(-1.000_000_1, false).is_ok());
        for score in [f32::NAN, 1.001, -1.001, f32::INFINITY] {
            assert!(matches!(cosines.record(score, true), Err(Error::ScoreOutOfRange)), "{score}");
        }
    }

    #[test]
    fn a_side_that_was_never_counted_is_an_error() {
        let mut tally = IntegerTally::new(10);
        assert!(matches!(tally.distribution(), Err(Error::NoMated)));
        tally.record(3, true).unwrap();
        assert!(matches!(tally.distribution(), Err(Error::NoNonMated)));
    }

    #[test]
    fn inner_products_are_sums_of_products_at_every_length() {
        for length in [0, 1, 15, 16, 17, 128, 130] {
            let a: Vec<i16> = (0..length).map(|i| i % 7 - 3).collect();
            let b: Vec<i16> = (0..length).map(|i| i % 5 - 2).collect();
            let expected: i32 = (0..a.len()).map(|i| i32::from(a[i] * b[i])).sum();
            assert_eq!(integer_inner_product(&a, &b), expected);
            let float = |row: &[i16]| row.iter().map(|&v| f32::from(v)).collect::<Vec<_>>();
            assert!((inner_product(&float(&a), &float(&b)) - expected as f32).abs() < 1e-3, "{length}");
        }
    }
}
