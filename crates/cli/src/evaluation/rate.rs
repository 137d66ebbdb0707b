//! Observed rates and how sure they are.

use serde::Serialize;

/// Two-sided 95 % point of the standard normal distribution.
const NORMAL_95: f64 = 1.959_963_984_540_054;

/// An observed rate with its Wilson interval at 95 %.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Rate {
    /// The rate, in [0, 1].
    pub value: f64,
    /// Number of trials that it was observed over.
    pub trials: u64,
    /// Lower end of the interval.
    pub lower: f64,
    /// Upper end of the interval.
    pub upper: f64,
}

impl Rate {
    /// `events` of `trials`; `trials` is not zero.
    pub(super) fn of(events: u64, trials: u64) -> Self {
        Self::observed(events as f64 / trials as f64, trials)
    }

    /// A rate of `value` over `trials` (Wilson, J. Am. Stat. Assoc. 22, 1927).
    pub(super) fn observed(value: f64, trials: u64) -> Self {
        let n = trials as f64;
        let z2 = NORMAL_95 * NORMAL_95;
        let centre = (value + z2 / (2.0 * n)) / (1.0 + z2 / n);
        let half = NORMAL_95 / (1.0 + z2 / n) * (value * (1.0 - value) / n + z2 / (4.0 * n * n)).sqrt();
        // Rounding must not put the end of the interval on the wrong side of what was observed.
        Self {
            value,
            trials,
            lower: (centre - half).clamp(0.0, value),
            upper: (centre + half).clamp(value, 1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 5e-5
    }

    #[test]
    fn intervals_agree_with_published_ones() {
        // Newcombe, Stat. Med. 17 (1998), table I, method 3 (Wilson without continuity correction).
        for (events, trials, lower, upper) in [
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ] {
            let rate = Rate::of(events, trials);
            assert!(close(rate.lower, lower) && close(rate.upper, upper), "{events} of {trials}: {rate:?}");
        }
    }

    #[test]
    fn certain_rates_have_one_sided_intervals() {
        let all = Rate::of(20, 20);
        assert!(close(all.lower, 0.8389) && close(all.upper, 1.0));
        assert!(all.lower <= all.value && all.value <= all.upper);
    }
}
