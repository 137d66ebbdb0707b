//! Counters for operators: how many calls of which kind ended how. No ids, no sizes of single requests.

use crate::histogram::Histogram;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tonic::Code;
use tyto_engine::MATCH_BATCH;

#[derive(Default)]
struct Calls {
    count: u64,
    elapsed: Duration,
}

/// The counters.
#[derive(Default)]
pub(crate) struct Metrics {
    calls: Mutex<BTreeMap<(&'static str, &'static str), Calls>>,
    pass_us: AtomicU64,
    passes: Counter,
    pass_probes: Counter,
    /// What a thread of a pass takes for one block, with all probes of the pass; one count a pass.
    block_pass: Histogram,
    /// From the arrival of a verification to the begin of its computation, without what the store took.
    pub(crate) verification_queue_wait: Histogram,
    /// What the store took to read and mark the ticket of a verification.
    pub(crate) ticket_mark: Histogram,
    /// From the arrival of an identification to the begin of its pass.
    pub(crate) identification_queue_wait: Histogram,
    pub(crate) templates_compared: Counter,
    pub(crate) templates_enrolled: Counter,
    pub(crate) templates_removed: Counter,
    pub(crate) attestations: Counter,
    /// Calls that were denied, and messages of streams.
    pub(crate) calls_denied: Counter,
    /// Entries that the queue stored.
    pub(crate) log_entries: Counter,
    pub(crate) log_appended: Counter,
    pub(crate) log_checkpoints: Counter,
    /// Attempts to store, append or sign that failed.
    pub(crate) log_failures: Counter,
    /// Audit records that were written.
    pub(crate) audit_records: Counter,
    /// Those that were lost.
    pub(crate) audit_dropped: Counter,
    /// Attempts to write some that failed.
    pub(crate) audit_failures: Counter,
    /// Calls that were refused, or not told how they ended, for want of a record.
    pub(crate) audit_unavailable: Counter,
    /// 1 while this server leads the log.
    pub(crate) log_leads: Gauge,
    /// What one step of appending took, the store's part included.
    pub(crate) log_append: Histogram,
    /// What the signature of a checkpoint took.
    pub(crate) log_signing: Histogram,
}

/// A number that goes up and down.
#[derive(Default)]
pub(crate) struct Gauge(AtomicU64);

impl Gauge {
    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that grows.
#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: usize) {
        self.0.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Metrics {
    pub(crate) fn call(&self, method: &'static str, code: Code, elapsed: Duration) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = calls.entry((method, name(code))).or_default();
        entry.count += 1;
        entry.elapsed += elapsed;
    }

    /// One pass over a gallery.
    pub(crate) fn pass(&self, elapsed: Duration, blocks: usize, probes: usize, threads: usize) {
        self.pass_us.fetch_add(elapsed.as_micros() as u64, Ordering::Relaxed);
        self.passes.add(1);
        self.pass_probes.add(probes);
        // Threads get whole batches.
        let busy = threads.min(blocks.div_ceil(MATCH_BATCH));
        if let Some(blocks) = u32::try_from(blocks).ok().filter(|&blocks| blocks > 0) {
            self.block_pass.observe(elapsed * busy as u32 / blocks);
        }
    }

    #[cfg(test)]
    pub(crate) fn passes(&self) -> u64 {
        self.passes.get()
    }

    #[cfg(test)]
    pub(crate) fn pass_probes(&self) -> u64 {
        self.pass_probes.get()
    }

    /// The Prometheus text format, with the gauges that the caller adds.
    pub(crate) fn render(&self, gauges: &[(&str, u64)]) -> String {
        let mut text = String::new();
        let mut line = |line: std::fmt::Arguments<'_>| {
            writeln!(text, "{line}").expect("a string takes everything");
        };
        line(format_args!("# TYPE tyto_calls_total counter"));
        line(format_args!("# TYPE tyto_call_seconds_total counter"));
        for ((method, code), calls) in &*self.calls.lock().unwrap_or_else(PoisonError::into_inner) {
            let labels = format!("{{method=\"{method}\",code=\"{code}\"}}");
            line(format_args!("tyto_calls_total{labels} {}", calls.count));
            line(format_args!("tyto_call_seconds_total{labels} {:.6}", calls.elapsed.as_secs_f64()));
        }
        let pass_s = self.pass_us.load(Ordering::Relaxed) as f64 / 1e6;
        line(format_args!("# TYPE tyto_pass_seconds_total counter\ntyto_pass_seconds_total {pass_s:.6}"));
        for (name, counter) in [
            ("passes", &self.passes),
            ("pass_probes", &self.pass_probes),
            ("templates_compared", &self.templates_compared),
            ("templates_enrolled", &self.templates_enrolled),
            ("templates_removed", &self.templates_removed),
            ("attestations", &self.attestations),
            ("calls_denied", &self.calls_denied),
            ("log_entries", &self.log_entries),
            ("log_appended", &self.log_appended),
            ("log_checkpoints", &self.log_checkpoints),
            ("log_failures", &self.log_failures),
            ("audit_records", &self.audit_records),
            ("audit_dropped", &self.audit_dropped),
            ("audit_failures", &self.audit_failures),
            ("audit_unavailable", &self.audit_unavailable),
        ] {
            line(format_args!("# TYPE tyto_{name}_total counter\ntyto_{name}_total {}", counter.get()));
        }
        let leads = ("log_leads", self.log_leads.get());
        for (name, value) in gauges.iter().chain([&leads]) {
            line(format_args!("# TYPE tyto_{name} gauge\ntyto_{name} {value}"));
        }
        for (name, histogram) in [
            ("block_pass_seconds", &self.block_pass),
            ("verification_queue_wait_seconds", &self.verification_queue_wait),
            ("ticket_mark_seconds", &self.ticket_mark),
            ("identification_queue_wait_seconds", &self.identification_queue_wait),
            ("log_append_seconds", &self.log_append),
            ("log_signing_seconds", &self.log_signing),
        ] {
            histogram.render(name, &mut text);
        }
        text
    }
}

/// The names of gRPC's documentation.
pub(crate) fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
