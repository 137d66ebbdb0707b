//! The figures of one run.

use serde::{Deserialize, Serialize};

use crate::machine::Machine;

/// Version of the report's form. Fields are only added without a new one.
pub const REPORT_VERSION: u32 = 1;

/// Everything that one run measured. Rates are those of the fastest round, ratios are medians over rounds in which
/// both sides were timed in turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`REPORT_VERSION`].
    pub version: u32,
    /// When the run began, seconds since 1970.
    pub started_unix_s: u64,
    /// How long it took.
    pub elapsed_s: f64,
    /// Whether it was a short run, whose figures are for tests only.
    pub is_quick: bool,
    /// Bytes of the largest gallery that was matched.
    pub gallery_bytes: u64,
    /// The machine.
    pub machine: Machine,
    /// The transform.
    pub ntt: Ntt,
    /// Matching from memory, one thread: every backend, dimension and number of probes.
    pub matching: Vec<Matching>,
    /// Matching against the size of the gallery, one thread, the best backend.
    pub sizes: Sizes,
    /// Matching on several threads, the best backend, replies included.
    pub threads: Threads,
    /// The server's part of a verification, without network.
    pub verification: VerificationCost,
    /// The tenant's side.
    pub tenant: Vec<TenantCost>,
    /// Client and server over loopback; none if there was no server.
    pub end_to_end: Option<EndToEnd>,
    /// Why there is no `end_to_end`.
    pub end_to_end_skipped: Option<String>,
}

/// The number-theoretic transform of one polynomial.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ntt {
    /// Coefficients to values.
    pub forward_us: f64,
    /// Values to coefficients.
    pub inverse_us: f64,
}

/// One way of matching a gallery in memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Matching {
    /// The backend.
    pub backend: String,
    /// Coordinates of a template.
    pub dimension: usize,
    /// Probes matched in one pass over the gallery.
    pub probes: usize,
    /// Bytes of one template in memory.
    pub bytes_per_template: f64,
    /// Bytes that one pass reads. Slow backends pass over a part of the gallery.
    pub pass_bytes: u64,
    /// Comparisons per second, all probes together.
    pub comparisons_per_s: f64,
    /// Bytes of the gallery read per second.
    pub bytes_per_s: f64,
    /// Bytes per second of a plain sum over the same memory.
    pub plain_sum_bytes_per_s: f64,
    /// The one divided by the other, within each round.
    pub share_of_plain_sum: f64,
}

/// Matching against the size of the gallery.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sizes {
    /// Coordinates of a template.
    pub dimension: usize,
    /// Bytes of one template in memory.
    pub bytes_per_template: f64,
    /// How many probes several are.
    pub probes: usize,
    /// From the smallest gallery to the largest.
    pub points: Vec<SizePoint>,
}

/// One size of gallery.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SizePoint {
    /// Bytes of the gallery.
    pub gallery_bytes: u64,
    /// Bytes of the gallery read per second, with one probe.
    pub one_probe_bytes_per_s: f64,
    /// The same with several probes in one pass.
    pub probes_bytes_per_s: f64,
    /// Bytes per second of a plain sum over the same memory.
    pub plain_sum_bytes_per_s: f64,
}

/// Matching on several threads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Threads {
    /// Coordinates of a template.
    pub dimension: usize,
    /// A gallery that lies in the caches.
    pub cached: ThreadCurve,
    /// A gallery that does not.
    pub memory: ThreadCurve,
}

/// One gallery matched by more and more threads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ThreadCurve {
    /// Bytes of the gallery.
    pub gallery_bytes: u64,
    /// One thread first.
    pub points: Vec<ThreadPoint>,
}

/// One number of threads.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ThreadPoint {
    /// Threads.
    pub threads: usize,
    /// Comparisons per second, one probe.
    pub comparisons_per_s: f64,
    /// How many times as fast as one thread, within each round.
    pub speedup: f64,
}

/// The server's part of a verification: both queries of the check against one block.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct VerificationCost {
    /// Coordinates of a template.
    pub dimension: usize,
    /// Time of one verification, queries prepared.
    pub match_us: f64,
    /// The same divided by the time of one forward transform.
    pub over_forward_ntt: f64,
}

/// The tenant's side at one dimension, identification layout (2,048 templates in a block).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TenantCost {
    /// Coordinates of a template.
    pub dimension: usize,
    /// Provisioning one block.
    pub provision_block_ms: f64,
    /// The same divided by the time of its transforms (two for each polynomial).
    pub provision_over_ntts: f64,
    /// A ticket for an identification.
    pub identification_ticket_ms: f64,
    /// A ticket for a verification (layout of verification).
    pub verification_ticket_ms: f64,
    /// The next record of a block after one enrolment.
    pub record_ms: f64,
    /// Opening a record.
    pub open_record_us: f64,
    /// Decrypting one block's answer, its check included.
    pub decrypt_block_us: f64,
    /// The same divided by the time that the server took for the block.
    pub decrypt_over_server: f64,
}

/// Client and server over loopback, attestations off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EndToEnd {
    /// Coordinates of a template.
    pub dimension: usize,
    /// Calls of the standard health service, which measure the transport.
    pub health: CallCost,
    /// Verifications, check included.
    pub verification: CallCost,
    /// Calls per second of verification over those of health, within each round.
    pub verification_over_health: f64,
    /// Templates that an identification compares with.
    pub identification_templates: u64,
    /// Identifications by ticket, from the probe to the ranked list.
    pub identification: CallCost,
    /// Templates enrolled per second, durably.
    pub enrolled_per_s: f64,
}

/// Calls that were made one after the other, and some at a time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallCost {
    /// Calls that were timed one by one.
    pub calls: u64,
    /// Their median time.
    pub median_ms: f64,
    /// 99 of 100 are faster.
    pub p99_ms: f64,
    /// Calls that were in flight at a time for the next figure.
    pub in_flight: usize,
    /// Calls per second.
    pub calls_per_s: f64,
}

impl Report {
    /// The figures of one backend, dimension and number of probes.
    pub fn matching_of(&self, backend: &str, dimension: usize, probes: usize) -> Option<&Matching> {
        self.matching
            .iter()
            .find(|found| found.backend == backend && found.dimension == dimension && found.probes == probes)
    }
}
