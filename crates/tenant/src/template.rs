//! Templates and probes: integer vectors under the range invariant, and the quantiser that makes them.

use crate::Error;
use tyto_scheme::params::NORM2_MAX;
use zeroize::{Zeroize, Zeroizing};

/// The norm that the quantiser scales to; the largest integer whose square is within the invariant.
pub const TARGET_NORM: f64 = 31.0;

/// A template or probe: integers whose sum of squares is at most `(t-1)/2 = 1019`, so that every score is exact.
/// Wiped on drop.
#[derive(Clone, PartialEq, Eq)]
pub struct Template(Box<[i16]>);

impl Template {
    /// Takes integers.
    ///
    /// # Errors
    /// [`Error::Range`] if the sum of squares is over the limit, [`Error::Zero`] if all are zero.
    pub fn from_integers(values: &[i32]) -> Result<Self, Error> {
        let sum = values.iter().fold(0_u64, |sum, &v| sum.saturating_add(u64::from(v.unsigned_abs()).pow(2)));
        match sum {
            0 => Err(Error::Zero),
            found if found > u64::from(NORM2_MAX) => Err(Error::Range { found, max: NORM2_MAX }),
            _ => Ok(Self(values.iter().map(|&v| v as i16).collect())),
        }
    }

    /// The coordinates.
    pub fn values(&self) -> &[i16] {
        &self.0
    }

    /// The plain inner product with another template of the same dimension: what the encrypted score must equal.
    pub fn inner_product(&self, other: &Self) -> i32 {
        self.0.iter().zip(&other.0).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum()
    }
}

impl Drop for Template {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl std::fmt::Debug for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Template({} coordinates, [redacted])", self.0.len())
    }
}

/// What a score of a gallery means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Metric {
    /// Cosine similarity: vectors are scaled to one norm, whatever theirs is.
    Cosine,
    /// Raw inner product of vectors whose norm is at most `max_norm`.
    InnerProduct {
        /// The largest norm that a vector may have.
        max_norm: f64,
    },
}

/// Turns real vectors into templates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantiser {
    metric: Metric,
    dimension: usize,
}

impl Quantiser {
    /// A quantiser for vectors of `dimension` coordinates.
    ///
    /// # Errors
    /// [`Error::MaximumNorm`].
    pub fn new(metric: Metric, dimension: usize) -> Result<Self, Error> {
        match metric {
            Metric::InnerProduct { max_norm } if !(max_norm.is_finite() && max_norm > 0.0) => {
                Err(Error::MaximumNorm)
            }
            _ => Ok(Self { metric, dimension }),
        }
    }

    /// Scales to norm 31 and rounds; the scale shrinks until the sum of squares is within the invariant (rounding
    /// alone would break it for flat vectors).
    ///
    /// # Errors
    /// [`Error::Dimension`], [`Error::NotFinite`], [`Error::Zero`], [`Error::Norm`]; never a clamp.
    pub fn quantise(&self, vector: &[f32]) -> Result<Template, Error> {
        if vector.len() != self.dimension {
            return Err(Error::Dimension { found: vector.len(), expected: self.dimension });
        }
        if let Some(index) = vector.iter().position(|v| !v.is_finite()) {
            return Err(Error::NotFinite { index });
        }
        let norm = vector.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
        if norm == 0.0 {
            return Err(Error::Zero);
        }
        let unit = match self.metric {
            Metric::Cosine => norm,
            // A vector of exactly the stated norm must pass whatever rounding its own norm has.
            Metric::InnerProduct { max_norm } if norm > max_norm * (1.0 + 1e-6) => {
                return Err(Error::Norm { max: max_norm });
            }
            Metric::InnerProduct { max_norm } => max_norm,
        };
        let scaled = vector.iter().map(|&v| f64::from(v) * (TARGET_NORM / unit)).collect::<Vec<_>>();
        let scaled = Zeroizing::new(scaled);
        let target = (TARGET_NORM * norm / unit).powi(2);
        let mut shrink = 1.0;
        loop {
            let rounded = scaled.iter().map(|&v| (v * shrink).round_ties_even() as i32).collect::<Vec<_>>();
            let rounded = Zeroizing::new(rounded);
            let sum: i32 = rounded.iter().map(|v| v * v).sum();
            if sum <= NORM2_MAX as i32 {
                // A nearly flat vector loses its coordinates all at once: round those with the largest remainders.
                let flat = f64::from(sum) < target / 2.0;
                return Template::from_integers(&if flat {
                    largest_remainders(&scaled, target)
                } else {
                    rounded
                });
            }
            shrink *= 0.995;
        }
    }

    /// A score of the gallery in its own unit: cosine, or inner product.
    pub fn value(&self, score: i32) -> f64 {
        let unit = f64::from(score) / (TARGET_NORM * TARGET_NORM);
        match self.metric {
            Metric::Cosine => unit,
            Metric::InnerProduct { max_norm } => unit * max_norm * max_norm,
        }
    }

    /// The smallest score whose value is at least `value`: a threshold in score steps.
    pub fn threshold(&self, value: f64) -> i32 {
        let unit = match self.metric {
            Metric::Cosine => value,
            Metric::InnerProduct { max_norm } => value / (max_norm * max_norm),
        };
        if unit.is_nan() {
            return i32::MAX;
        }
        // Rounding may put the estimate a step off on either side; nothing lies beyond the range of scores.
        let beyond = f64::from(NORM2_MAX) + 1.0;
        let mut score = (unit * TARGET_NORM * TARGET_NORM).ceil().clamp(-beyond, beyond) as i32;
        if score.unsigned_abs() > NORM2_MAX {
            return score;
        }
        while self.value(score - 1) >= value {
            score -= 1;
        }
        while self.value(score) < value {
            score += 1;
        }
        score
    }

    /// Coordinates of a vector.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// The metric.
    pub fn metric(&self) -> Metric {
        self.metric
    }
}

/// Rounds towards zero, then away from zero the coordinates with the largest remainders (the first of equals), as
/// long as the sum of squares stays within the vector's own.
fn largest_remainders(scaled: &[f64], target: f64) -> Zeroizing<Vec<i32>> {
    let mut values = Zeroizing::new(scaled.iter().map(|v| v.trunc() as i32).collect::<Vec<_>>());
    let mut sum: i32 = values.iter().map(|v| v * v).sum();
    let mut order: Vec<usize> = (0..scaled.len()).collect();
    order.sort_by(|&i, &j| scaled[j].fract().abs().total_cmp(&scaled[i].fract().abs()));
    for index in order {
        let step = 2 * values[index].abs() + 1;
        if f64::from(sum + step) > target + 0.5 {
            break;
        }
        sum += step;
        values[index] += if scaled[index] < 0.0 { -1 } else { 1 };
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cosine(dimension: usize) -> Quantiser {
        Quantiser::new(Metric::Cosine, dimension).unwrap()
    }

    fn norm2(template: &Template) -> i32 {
        template.inner_product(template)
    }

    #[test]
    fn the_range_invariant_holds_for_vectors_that_rounding_would_break() {
        // Flat at d = 128: 31/sqrt(128) = 2.74 rounds to 3, and 9 * 128 = 1152.
        for d in (1..=600).chain([961, 962, 1019, 1020, 1024, 1500, 2048, 3844, 3845, 4096]) {
            for vector in [vec![1.0; d], (0..d).map(|i| if i % 2 == 0 { 1.0 } else { -1.0 }).collect()] {
                let norm2 = norm2(&cosine(d).quantise(&vector).unwrap());
                assert!((480..=NORM2_MAX as i32).contains(&norm2), "d={d}: {norm2}");
            }
        }
        let one_hot: Vec<f32> = (0..128).map(|i| if i == 5 { -1e-30 } else { 0.0 }).collect();
        assert_eq!(cosine(128).quantise(&one_hot).unwrap().values()[5], -31);
        let huge = vec![f32::MAX; 128];
        assert_eq!(cosine(128).quantise(&huge).unwrap(), cosine(128).quantise(&[1.0; 128]).unwrap());
    }

    #[test]
    fn bad_vectors_are_errors_and_never_clamped() {
        let quantiser = cosine(3);
        assert!(matches!(quantiser.quantise(&[1.0; 4]), Err(Error::Dimension { found: 4, expected: 3 })));
        assert!(matches!(quantiser.quantise(&[0.0, f32::NAN, 1.0]), Err(Error::NotFinite { index: 1 })));
        assert!(matches!(quantiser.quantise(&[f32::INFINITY, 0.0, 1.0]), Err(Error::NotFinite { index: 0 })));
        assert!(matches!(quantiser.quantise(&[0.0, -0.0, 0.0]), Err(Error::Zero)));
        assert!(matches!(Template::from_integers(&[32, 0]), Err(Error::Range { found: 1024, max: 1019 })));
        assert!(matches!(Template::from_integers(&[i32::MIN, i32::MAX]), Err(Error::Range { .. })));
        assert!(Template::from_integers(&[31, 7, 3]).is_ok());
        for max_norm in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Quantiser::new(Metric::InnerProduct { max_norm }, 3).is_err());
        }
    }

    #[test]
    fn inner_product_galleries_keep_lengths_and_refuse_what_is_too_long() {
        let quantiser = Quantiser::new(Metric::InnerProduct { max_norm: 10.0 }, 2).unwrap();
        assert!(matches!(quantiser.quantise(&[8.0, 8.0]), Err(Error::Norm { .. })));
        let long = quantiser.quantise(&[10.0, 0.0]).unwrap();
        let short = quantiser.quantise(&[5.0, 0.0]).unwrap();
        assert_eq!((long.values()[0], short.values()[0]), (31, 16));
        assert!((quantiser.value(long.inner_product(&long)) - 100.0).abs() < 1e-9);
        assert!(matches!(quantiser.quantise(&[1e-9, 0.0]), Err(Error::Zero)));
    }

    #[test]
    fn the_threshold_of_a_scores_value_is_that_score() {
        let metrics = [1.0, 10.0, 0.3, 1e-20].map(|max_norm| Metric::InnerProduct { max_norm });
        for metric in metrics.into_iter().chain([Metric::Cosine]) {
            let quantiser = Quantiser::new(metric, 2).unwrap();
            for score in -1019..=1019 {
                assert_eq!(quantiser.threshold(quantiser.value(score)), score, "{metric:?}");
            }
        }
    }

    #[test]
    fn thresholds_beyond_every_score_stay_beyond() {
        let quantiser = cosine(2);
        assert!(quantiser.threshold(1e30) > 1019 && quantiser.threshold(-1e30) < -1019);
        assert!(quantiser.threshold(f64::INFINITY) > 1019 && quantiser.threshold(f64::NAN) > 1019);
    }

    #[test]
    fn debug_shows_no_coordinate() {
        let template = Template::from_integers(&[17, 3]).unwrap();
        assert_eq!(format!("{template:?}"), "Template(2 coordinates, [redacted])");
    }
}
