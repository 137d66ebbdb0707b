//! A synthetic population, for trying things out where no real embeddings are at hand.

use super::{Embeddings, LabelledEmbeddings, Labels, MAX_ROWS, check_shape};
use crate::Error;

/// Equal error rate that the population aims at, as a standard normal deviate: 0.3 %.
const TARGET_EER_DEVIATE: f64 = 2.75;

/// Makes a **synthetic** population: unit vectors, one direction per subject and Gaussian noise around it,
/// the images of one subject after another. They are no biometric data and stand for no sensor or model;
/// figures made from them say nothing about how well people are told apart.
///
/// Subject directions and noise are isotropic. With as much noise as gives two images of one subject the
/// mean cosine `m`, non-mated cosines have mean 0 and standard deviation `1/sqrt(d)`, mated ones mean `m`
/// and about `(1 - m^2)/sqrt(d)` (the sampling error of a correlation coefficient). `m` is chosen for an
/// equal error rate near 0.3 % at every dimension `d`.
///
/// The same arguments give the same population on one platform.
///
/// # Errors
/// If an argument is zero or the population is beyond the limits on embeddings.
pub fn synthetic(
    subjects: u64,
    images_per_subject: u64,
    dimension: u64,
    seed: u64,
) -> Result<LabelledEmbeddings, Error> {
    if subjects == 0 || images_per_subject == 0 || dimension == 0 {
        return Err(Error::NoEmbeddings);
    }
    let rows = subjects.checked_mul(images_per_subject).filter(|&rows| rows <= MAX_ROWS);
    check_shape(rows.ok_or(Error::TooManyRows)?, dimension)?;

    let mut normal = Normal::new(seed);
    let noise = noise_deviation(dimension as f64);
    let mut values = Vec::with_capacity((subjects * images_per_subject * dimension) as usize);
    for _ in 0..subjects {
        let centre: Vec<f64> = (0..dimension).map(|_| normal.sample()).collect();
        for _ in 0..images_per_subject {
            values.extend(centre.iter().map(|&coordinate| (coordinate + noise * normal.sample()) as f32));
        }
    }
    let names = (0..subjects)
        .flat_map(|subject| (0..images_per_subject).map(move |_| format!("synthetic-{subject}")));
    let embeddings = Embeddings::new(dimension as usize, values)?.normalised()?;
    LabelledEmbeddings::new(embeddings, Labels::new(names)?)
}

/// Standard deviation of the noise on a coordinate of an image, that of a subject's direction being 1.
///
/// The equal error rate lies `z` deviations from both means, so `m = z/sqrt(d) * (1 + 1 - m^2)`; and
/// `m = 1/(1 + noise^2)`.
fn noise_deviation(dimension: f64) -> f64 {
    let z = TARGET_EER_DEVIATE;
    let mean_cosine = ((dimension + 8.0 * z * z).sqrt() - dimension.sqrt()) / (2.0 * z);
    (1.0 / mean_cosine - 1.0).max(0.0).sqrt()
}

/// Standard normal samples: Box and Muller's transform of `SplitMix64`.
///
/// Reproducible and fast; nothing secret comes from it.
struct Normal {
    state: u64,
    spare: Option<f64>,
}

impl Normal {
    fn new(seed: u64) -> Self {
        Self { state: seed, spare: None }
    }

    /// `SplitMix64` (Steele, Lea and Flood, OOPSLA 2014).
    fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in (0, 1], so that its logarithm is finite.
    fn uniform(&mut self) -> f64 {
        ((self.next_u64() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }

    fn sample(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * self.uniform()).sin_cos();
        self.spare = Some(radius * sin);
        radius * cos
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::{BinnedTally, inner_product};

    #[test]
    fn split_mix_agrees_with_its_published_output() {
        let mut generator = Normal::new(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| generator.next_u64()).collect();
        assert_eq!(first, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn samples_have_the_moments_of_a_normal_distribution() {
        let mut normal = Normal::new(1);
        let samples: Vec<f64> = (0..100_000).map(|_| normal.sample()).collect();
        let moment = |power| samples.iter().map(|sample| sample.powi(power)).sum::<f64>() / 1e5;
        assert!(moment(1).abs() < 0.02 && (moment(2) - 1.0).abs() < 0.03);
        assert!(moment(3).abs() < 0.06 && (moment(4) - 3.0).abs() < 0.2);
    }

    #[test]
    fn the_seed_decides_everything() {
        let rows = |seed| synthetic(3, 2, 16, seed).unwrap();
        assert!(rows(7).embeddings().rows().eq(rows(7).embeddings().rows()));
        assert!(rows(7).embeddings().rows().ne(rows(8).embeddings().rows()));
        assert_eq!(rows(7).labels().subjects(), [0, 0, 1, 1, 2, 2]);
        assert!(rows(7).labels().name(2).contains("synthetic"));
    }

    #[test]
    fn error_rates_are_realistic_at_every_dimension() {
        for dimension in [32, 128, 512] {
            let population = synthetic(200, 4, dimension, 42).unwrap();
            let subjects = population.labels().subjects();
            let rows: Vec<&[f32]> = population.embeddings().rows().collect();
            let mut tally = BinnedTally::cosine();
            for (i, a) in rows.iter().enumerate() {
                assert!((inner_product(a, a) - 1.0).abs() < 1e-5, "not a unit vector");
                for (j, b) in rows.iter().enumerate().skip(i + 1) {
                    tally.record(inner_product(a, b), subjects[i] == subjects[j]).unwrap();
                }
            }
            let eer = tally.distribution().unwrap().equal_error_rate().value;
            assert!((0.001..=0.01).contains(&eer), "EER {eer} at dimension {dimension}");
        }
    }

    #[test]
    fn populations_beyond_the_limits_are_refused() {
        assert!(matches!(synthetic(u64::MAX, 2, 16, 0), Err(Error::TooManyRows)));
        assert!(matches!(synthetic(1 << 20, 1, 4096, 0), Err(Error::TooManyValues { .. })));
        assert!(matches!(synthetic(1, 0, 16, 0), Err(Error::NoEmbeddings)));
    }
}
