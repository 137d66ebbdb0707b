//! Biometric performance in the terms of ISO/IEC 19795-1: pure functions over comparison scores.
//!
//! Conventions, the same everywhere:
//!
//! - A comparison at threshold `t` is a match if its **score >= t**. Thresholds that are tried are the
//!   distinct scores and "accept nothing".
//! - **FMR(t)** is the share of non-mated comparisons that match, **FNMR(t)** the share of mated ones that
//!   do not.
//! - **FNMR at FMR f** is the smallest FNMR over the thresholds whose FMR is at most `f`; nothing is
//!   interpolated.
//! - **EER** is where the straight line between the two operating points around FMR = FNMR crosses it.
//! - **Rank** of a mated search is 1 + the number of other enrolled subjects that score at least as high
//!   as the mate: ties count against the mate. A subject with several references scores as its best one.
//! - **FPIR(t)** is the share of non-mated searches with any candidate at `t` or above, **FNIR(t)** the
//!   share of mated searches whose mate is not the first candidate, or is below `t`: FNIR(N, R = 1, t).
//! - Intervals are Wilson's at 95 %, taking comparisons as independent. Comparisons that share a subject
//!   are not quite, so the true uncertainty is larger.

mod distribution;
mod identification;
#[cfg(test)]
mod lfw_tests;
mod pairs;
mod plots;
mod rate;
mod report;
mod tally;
mod verification;

pub use self::distribution::Distribution;
pub use self::identification::{IdentificationRates, OpenSetRate, SearchTally};
pub use self::pairs::{FoldAccuracy, PairRates, PairTally};
pub use self::plots::{cmc_svg, det_svg};
pub use self::rate::Rate;
pub use self::report::{DataSet, Rates, Report};
pub use self::tally::{BinnedTally, IntegerTally, inner_product, integer_inner_product};
pub use self::verification::{FnmrAtFmr, OperatingPoint, VerificationRates};

/// False match rates at which reports state the false non-match rate.
pub const REPORTED_FMRS: [f64; 3] = [1e-3, 1e-4, 1e-5];
/// False positive identification rate at which reports state the false negative identification rate.
pub const REPORTED_FPIR: f64 = 0.01;
/// Highest rank of the cumulative match characteristic in reports.
pub const REPORTED_RANKS: usize = 20;
