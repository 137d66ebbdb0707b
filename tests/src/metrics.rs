//! What a server measured of itself, from its administrative port.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// One reading of `GET /metrics`.
#[derive(Clone, Debug)]
pub struct Metrics(String);

impl Metrics {
    /// Asks a server.
    ///
    /// # Panics
    /// If it does not answer.
    pub fn read(address: &str) -> Self {
        let mut stream = TcpStream::connect(address).expect("the server has an administrative port");
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").expect("it takes a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        Self(answer)
    }

    /// A counter or gauge, by its name without `tyto_`.
    ///
    /// # Panics
    /// If there is none.
    pub fn value(&self, name: &str) -> f64 {
        let value =
            self.0.lines().find_map(|line| line.strip_prefix("tyto_")?.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("no {name} in\n{}", self.0)).parse().expect("a number")
    }

    /// What a histogram counted since an earlier reading.
    ///
    /// # Panics
    /// If there is none.
    pub fn durations_since(&self, earlier: &Self, name: &str) -> Durations {
        let buckets = self.buckets(name).into_iter().zip(earlier.buckets(name));
        let buckets: Vec<_> = buckets.map(|((bound, now), (_, before))| (bound, now - before)).collect();
        assert!(!buckets.is_empty(), "no {name} in\n{}", self.0);
        let sum = |metrics: &Self| metrics.value(&format!("{name}_sum"));
        Durations { buckets, sum_s: sum(self) - sum(earlier) }
    }

    /// The bounds in seconds, and how many durations do not exceed them.
    fn buckets(&self, name: &str) -> Vec<(f64, u64)> {
        let start = format!("tyto_{name}_bucket{{le=\"");
        let bucket = |line: &str| {
            let (bound, count) = line.strip_prefix(&start)?.split_once("\"} ")?;
            // Rust reads "+Inf" as Prometheus writes it.
            Some((bound.parse().expect("a bound"), count.parse().expect("a count")))
        };
        self.0.lines().filter_map(bucket).collect()
    }
}

/// Durations by order of magnitude.
#[derive(Clone, Debug)]
pub struct Durations {
    buckets: Vec<(f64, u64)>,
    sum_s: f64,
}

impl Durations {
    /// How many there are.
    pub fn count(&self) -> u64 {
        self.buckets.last().map_or(0, |&(_, count)| count)
    }

    /// Their mean.
    ///
    /// # Panics
    /// If there is none.
    pub fn mean(&self) -> Duration {
        assert!(self.count() > 0, "nothing was measured");
        Duration::from_secs_f64(self.sum_s / self.count() as f64)
    }

    /// A duration that a share of them does not exceed: the bound of its bucket, at most 19 % too long.
    ///
    /// # Panics
    /// If there is none.
    pub fn quantile(&self, share: f64) -> Duration {
        let wanted = (self.count() as f64 * share).ceil().max(1.0) as u64;
        let reached = self.buckets.iter().find(|&&(_, count)| count >= wanted);
        let &(bound_s, _) = reached.expect("something was measured");
        Duration::try_from_secs_f64(bound_s).unwrap_or(Duration::MAX)
    }
}
