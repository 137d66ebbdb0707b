//! How mated and non-mated scores are distributed, and the error rates that follow.

use super::{FnmrAtFmr, OperatingPoint, Rate};
use crate::Error;

/// Mated and non-mated comparisons counted by score; at least one of each.
#[derive(Clone, Debug)]
pub struct Distribution {
    /// Distinct scores that occurred, ascending, with their mated and non-mated counts.
    bins: Vec<(f64, u64, u64)>,
    mated: u64,
    non_mated: u64,
}

impl Distribution {
    /// From (score, mated, non-mated) in ascending order of score.
    pub(super) fn from_counts(counts: impl Iterator<Item = (f64, u64, u64)>) -> Result<Self, Error> {
        let bins: Vec<_> = counts.filter(|&(_, mated, non_mated)| mated + non_mated > 0).collect();
        let mated = bins.iter().map(|bin| bin.1).sum();
        let non_mated = bins.iter().map(|bin| bin.2).sum();
        match (mated, non_mated) {
            (0, _) => Err(Error::NoMated),
            (_, 0) => Err(Error::NoNonMated),
            _ => Ok(Self { bins, mated, non_mated }),
        }
    }

    /// From scores as they are, by sorting; for sets that fit in memory.
    ///
    /// # Errors
    /// If a score is NaN or a side is empty.
    pub fn from_scores(mated: &[f64], non_mated: &[f64]) -> Result<Self, Error> {
        if mated.iter().chain(non_mated).any(|score| score.is_nan()) {
            return Err(Error::ScoreOutOfRange);
        }
        let mated = mated.iter().map(|&score| (score, 1, 0));
        let mut bins: Vec<_> = mated.chain(non_mated.iter().map(|&score| (score, 0, 1))).collect();
        bins.sort_by(|a, b| a.0.total_cmp(&b.0));
        bins.dedup_by(|next, kept| {
            // Equal, since they are sorted.
            let same = next.0 <= kept.0;
            if same {
                (kept.1, kept.2) = (kept.1 + next.1, kept.2 + next.2);
            }
            same
        });
        Self::from_counts(bins.into_iter())
    }

    /// Number of mated comparisons.
    pub fn mated(&self) -> u64 {
        self.mated
    }

    /// Number of non-mated comparisons.
    pub fn non_mated(&self) -> u64 {
        self.non_mated
    }

    /// The operating points at all thresholds, ascending, the last one accepting nothing.
    pub fn operating_points(&self) -> impl Iterator<Item = OperatingPoint> {
        let thresholds = self.bins.iter().map(|bin| (Some(bin.0), bin.1, bin.2)).chain([(None, 0, 0)]);
        // Comparisons below the threshold.
        thresholds.scan((0, 0), |below, (threshold, mated, non_mated)| {
            let fmr = (self.non_mated - below.1) as f64 / self.non_mated as f64;
            let fnmr = below.0 as f64 / self.mated as f64;
            *below = (below.0 + mated, below.1 + non_mated);
            Some(OperatingPoint { threshold, fmr, fnmr })
        })
    }

    /// The equal error rate, with an interval as of the mated comparisons, which are the fewer.
    pub fn equal_error_rate(&self) -> Rate {
        // At the lowest threshold everything matches: FMR = 1, FNMR = 0.
        let mut before = OperatingPoint { threshold: None, fmr: 1.0, fnmr: 0.0 };
        for point in self.operating_points() {
            if point.fnmr >= point.fmr {
                let (gap_before, gap) = (before.fmr - before.fnmr, point.fnmr - point.fmr);
                let rate = before.fmr + gap_before / (gap_before + gap) * (point.fmr - before.fmr);
                return Rate::observed(rate, self.mated.min(self.non_mated));
            }
            before = point;
        }
        unreachable!("the last operating point accepts nothing")
    }

    /// The smallest FNMR over the thresholds whose FMR is at most `fmr_limit`.
    pub fn fnmr_at_fmr(&self, fmr_limit: f64) -> FnmrAtFmr {
        let point = self.operating_points().find(|point| point.fmr <= fmr_limit);
        let point = point.expect("the last operating point accepts nothing");
        FnmrAtFmr {
            fmr_limit,
            threshold: point.threshold,
            fmr: point.fmr,
            fnmr: Rate::observed(point.fnmr, self.mated),
            expected_false_matches: fmr_limit * self.non_mated as f64,
        }
    }
}
