//! What the steps of a trial took.

use std::time::Duration;

use serde::Serialize;
use tyto_client::EnrolReport;

use crate::output::{Table, bytes, milliseconds};

/// What one step took.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cost {
    /// The step.
    pub step: &'static str,
    /// Templates enrolled, searches or verifications.
    pub count: u64,
    /// Wall-clock time of the whole step.
    pub elapsed_s: f64,
    /// Bytes of the messages sent.
    pub bytes_sent: u64,
    /// Bytes of the messages received; none for enrolment.
    pub bytes_received: Option<u64>,
    /// Median of the times of single calls, with others running beside them; none for enrolment.
    pub median_ms: Option<f64>,
    /// 99th percentile of the same.
    pub p99_ms: Option<f64>,
}

impl Cost {
    /// Of an enrolment.
    pub(super) fn of_enrolment(step: &'static str, report: &EnrolReport) -> Self {
        Self {
            step,
            count: report.enrolled,
            elapsed_s: report.elapsed.as_secs_f64(),
            bytes_sent: report.bytes_sent,
            bytes_received: None,
            median_ms: None,
            p99_ms: None,
        }
    }
}

/// Adds up single calls.
#[derive(Debug, Default)]
pub(super) struct Calls {
    times: Vec<Duration>,
    bytes_sent: u64,
    bytes_received: u64,
}

/// What one call took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) time: Duration,
    pub(super) bytes_sent: u64,
    pub(super) bytes_received: u64,
}

impl Calls {
    pub(super) fn add(&mut self, call: Call) {
        self.times.push(call.time);
        self.bytes_sent += call.bytes_sent;
        self.bytes_received += call.bytes_received;
    }

    pub(super) fn cost(mut self, step: &'static str, elapsed: Duration) -> Cost {
        self.times.sort_unstable();
        // Nearest rank.
        let percentile = |percent: usize| {
            let rank = (self.times.len() * percent).div_ceil(100).max(1);
            self.times.get(rank - 1).copied().map(milliseconds)
        };
        Cost {
            step,
            count: self.times.len() as u64,
            elapsed_s: elapsed.as_secs_f64(),
            bytes_sent: self.bytes_sent,
            bytes_received: Some(self.bytes_received),
            median_ms: percentile(50),
            p99_ms: percentile(99),
        }
    }
}

/// A table of costs.
pub(super) fn table(costs: &[Cost]) -> String {
    let mut table = Table::new([
        "step",
        "count",
        "seconds",
        "per second",
        "sent each",
        "received each",
        "median ms",
        "p99 ms",
    ]);
    for cost in costs {
        let each = |total: u64| total.checked_div(cost.count).map_or("-".into(), bytes);
        let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.2}"));
        table.row([
            cost.step.to_owned(),
            cost.count.to_string(),
            format!("{:.2}", cost.elapsed_s),
            format!("{:.0}", cost.count as f64 / cost.elapsed_s.max(1e-9)),
            each(cost.bytes_sent),
            cost.bytes_received.map_or("-".into(), each),
            number(cost.median_ms),
            number(cost.p99_ms),
        ]);
    }
    table.text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let mut calls = Calls::default();
        for ms in (1..=100).rev() {
            calls.add(Call { time: Duration::from_millis(ms), bytes_sent: 10, bytes_received: 1 });
        }
        let cost = calls.cost("searches", Duration::from_secs(2));
        assert_eq!((cost.median_ms, cost.p99_ms), (Some(50.0), Some(99.0)));
        assert_eq!((cost.count, cost.bytes_sent, cost.bytes_received), (100, 1000, Some(100)));
        assert!(table(&[cost]).contains("searches    100     2.00          50"));
        assert_eq!(Calls::default().cost("none", Duration::ZERO).median_ms, None);
    }
}
