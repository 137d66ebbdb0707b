//! Distributions of durations, in the Prometheus text format.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Buckets for each doubling: a quantile is known to 19 %.
const BUCKETS_PER_OCTAVE: u32 = 4;
/// From 1 us to 14 s; what is longer counts in the last, which has no bound.
const BOUNDED_BUCKETS: u32 = 96;

/// Counts durations by their order of magnitude. Counting takes no lock.
pub(crate) struct Histogram {
    buckets: [AtomicU64; BOUNDED_BUCKETS as usize + 1],
    sum_ns: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: std::array::from_fn(|_| AtomicU64::new(0)), sum_ns: AtomicU64::new(0) }
    }
}

/// The longest duration of a bucket, in seconds.
fn bound_s(bucket: u32) -> f64 {
    1e-6 * (f64::from(bucket) / f64::from(BUCKETS_PER_OCTAVE)).exp2()
}

impl Histogram {
    /// Counts a duration.
    pub(crate) fn observe(&self, duration: Duration) {
        let doublings = (duration.as_secs_f64() * 1e6).max(1.0).log2();
        let bucket = (doublings * f64::from(BUCKETS_PER_OCTAVE)).ceil() as usize;
        self.buckets[bucket.min(self.buckets.len() - 1)].fetch_add(1, Ordering::Relaxed);
        self.sum_ns.fetch_add(duration.as_nanos() as u64, Ordering::Relaxed);
    }

    /// Writes the metric `tyto_<name>`.
    pub(crate) fn render(&self, name: &str, text: &mut String) {
        let mut line = |line: std::fmt::Arguments<'_>| {
            writeln!(text, "{line}").expect("a string takes everything");
        };
        line(format_args!("# TYPE tyto_{name} histogram"));
        let mut count = 0;
        for (bucket, bound) in self.buckets.iter().zip((0..BOUNDED_BUCKETS).map(bound_s)) {
            count += bucket.load(Ordering::Relaxed);
            line(format_args!("tyto_{name}_bucket{{le=\"{bound:.9}\"}} {count}"));
        }
        count += self.buckets[BOUNDED_BUCKETS as usize].load(Ordering::Relaxed);
        let sum_s = self.sum_ns.load(Ordering::Relaxed) as f64 / 1e9;
        line(format_args!("tyto_{name}_bucket{{le=\"+Inf\"}} {count}"));
        line(format_args!("tyto_{name}_sum {sum_s:.9}\ntyto_{name}_count {count}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_in_the_first_bucket_whose_bound_it_does_not_exceed() {
        let histogram = Histogram::default();
        for us in [0, 1, 2, 3, 1000, 40_000_000] {
            histogram.observe(Duration::from_micros(us));
        }
        let mut text = String::new();
        histogram.render("x_seconds", &mut text);
        let count = |le: &str| {
            let start = format!("tyto_x_seconds_bucket{{le=\"{le}\"}} ");
            let line = text.lines().find_map(|line| line.strip_prefix(&start));
            line.unwrap_or_else(|| panic!("no {le} in\n{text}")).parse::<u64>().unwrap()
        };
        assert_eq!((count("0.000001000"), count("0.000002000"), count("0.000002828")), (2, 3, 3));
        assert_eq!((count("0.000003364"), count("0.000861078"), count("0.001024000")), (4, 4, 5));
        assert_eq!((count("14.107900792"), count("+Inf")), (5, 6));
        assert!(text.contains("tyto_x_seconds_sum 40.001006000\ntyto_x_seconds_count 6\n"), "{text}");
    }
}
