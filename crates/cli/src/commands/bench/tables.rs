//! The figures of a report in tables, which text and page share.

use tyto_measure::report::{CallCost, EndToEnd};
use tyto_measure::{Machine, Report};

use super::plots::binary_bytes;

/// A table with a title.
pub(super) struct Section {
    pub(super) title: String,
    /// What the figures are of, if the title does not say it.
    pub(super) note: String,
    pub(super) heading: Vec<&'static str>,
    pub(super) rows: Vec<Vec<String>>,
}

/// Three significant digits or so.
fn short(value: f64) -> String {
    match value.abs() {
        value_abs if value_abs >= 100.0 => format!("{value:.0}"),
        value_abs if value_abs >= 10.0 => format!("{value:.1}"),
        value_abs if value_abs >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

fn million(value: f64) -> String {
    short(value / 1e6)
}

fn gigabytes(value: f64) -> String {
    short(value / 1e9)
}

/// The machine and the build: name and value.
pub(super) fn machine(machine: &Machine) -> Vec<(&'static str, String)> {
    let unknown = || "unknown".to_owned();
    let caches: Vec<String> = machine
        .caches
        .iter()
        .map(|cache| format!("L{} {}", cache.level, binary_bytes(cache.bytes as f64)))
        .collect();
    let memory = |bytes: Option<u64>| bytes.map_or_else(unknown, |bytes| binary_bytes(bytes as f64));
    vec![
        ("processor", machine.cpu.clone().unwrap_or_else(unknown)),
        ("cores", machine.cores.to_string()),
        ("caches", if caches.is_empty() { unknown() } else { caches.join(", ") }),
        (
            "memory",
            format!("{}, {} available", memory(machine.memory_bytes), memory(machine.available_bytes)),
        ),
        ("kernel", machine.kernel.clone().unwrap_or_else(unknown)),
        ("transparent huge pages", machine.huge_pages.clone().unwrap_or_else(unknown)),
        ("backends", format!("{} (in use: {})", machine.backends.join(", "), machine.backend)),
        ("Tyto", format!("{}, {}, {}", machine.build.version, machine.build.target, build(machine))),
    ]
}

fn build(machine: &Machine) -> &'static str {
    match (machine.build.is_optimised, machine.build.has_debug_assertions) {
        (false, _) => "NOT OPTIMISED",
        (true, true) => "optimised, with debug assertions (profile dev)",
        (true, false) => "optimised",
    }
}

/// All tables.
pub(super) fn sections(report: &Report) -> Vec<Section> {
    let mut sections = vec![matching(report), sizes(report), threads(report), server(report), tenant(report)];
    sections.extend(report.end_to_end.as_ref().map(end_to_end));
    sections
}

fn matching(report: &Report) -> Section {
    let row = |found: &tyto_measure::report::Matching| {
        vec![
            found.dimension.to_string(),
            found.backend.clone(),
            found.probes.to_string(),
            million(found.comparisons_per_s),
            short(found.bytes_per_template),
            gigabytes(found.bytes_per_s),
            gigabytes(found.plain_sum_bytes_per_s),
            format!("{:.0}", 100.0 * found.share_of_plain_sum),
        ]
    };
    Section {
        title: "Matching from memory, one thread".to_owned(),
        note: format!(
            "A gallery of {}, of which slower backends pass over a part. Plain sum: what adding up the same memory \
             reads per second, in the same run.",
            binary_bytes(report.gallery_bytes as f64)
        ),
        heading: vec![
            "dimension",
            "backend",
            "probes",
            "M comparisons/s",
            "bytes/template",
            "GB/s",
            "plain sum GB/s",
            "% of it",
        ],
        rows: report.matching.iter().map(row).collect(),
    }
}

fn sizes(report: &Report) -> Section {
    let sizes = &report.sizes;
    let rate =
        |bytes_per_s: f64, probes: usize| million(bytes_per_s * probes as f64 / sizes.bytes_per_template);
    let row = |point: &tyto_measure::report::SizePoint| {
        vec![
            binary_bytes(point.gallery_bytes as f64),
            rate(point.one_probe_bytes_per_s, 1),
            gigabytes(point.one_probe_bytes_per_s),
            rate(point.probes_bytes_per_s, sizes.probes),
            gigabytes(point.plain_sum_bytes_per_s),
        ]
    };
    Section {
        title: format!(
            "Size of the gallery, {} dimensions, {}, one thread",
            sizes.dimension, report.machine.backend
        ),
        note: format!(
            "Millions of comparisons per second with one probe and with {} in one pass.",
            sizes.probes
        ),
        heading: vec!["gallery", "M/s, one probe", "GB/s", "M/s, several", "plain sum GB/s"],
        rows: sizes.points.iter().map(row).collect(),
    }
}

fn threads(report: &Report) -> Section {
    let threads = &report.threads;
    let rows = threads.cached.points.iter().zip(&threads.memory.points).map(|(cached, memory)| {
        vec![
            cached.threads.to_string(),
            million(cached.comparisons_per_s),
            short(cached.speedup),
            million(memory.comparisons_per_s),
            short(memory.speedup),
        ]
    });
    Section {
        title: format!("Threads, {} dimensions, {}", threads.dimension, report.machine.backend),
        note: format!(
            "Whole passes, replies included, over {} (fits the caches) and {}.",
            binary_bytes(threads.cached.gallery_bytes as f64),
            binary_bytes(threads.memory.gallery_bytes as f64)
        ),
        heading: vec!["threads", "M/s, caches", "times one", "M/s, memory", "times one"],
        rows: rows.collect(),
    }
}

fn server(report: &Report) -> Section {
    let verification = &report.verification;
    let row = |work: String, us: f64, ratio: f64| vec![work, short(us), short(ratio)];
    let forward = report.ntt.forward_us;
    Section {
        title: "Server, without network, one thread".to_owned(),
        note: "The last column is in forward transforms.".to_owned(),
        heading: vec!["work", "us", "transforms"],
        rows: vec![
            row("forward transform".to_owned(), forward, 1.0),
            row("inverse transform".to_owned(), report.ntt.inverse_us, report.ntt.inverse_us / forward),
            row(
                format!("verification, {} dimensions, both queries", verification.dimension),
                verification.match_us,
                verification.over_forward_ntt,
            ),
        ],
    }
}

fn tenant(report: &Report) -> Section {
    let mut rows = Vec::new();
    for cost in &report.tenant {
        let mut row = |work: &str, milliseconds: f64, beside: String| {
            rows.push(vec![cost.dimension.to_string(), work.to_owned(), short(milliseconds), beside]);
        };
        row(
            "provision a block",
            cost.provision_block_ms,
            format!("{} x its transforms", short(cost.provision_over_ntts)),
        );
        row("ticket for an identification", cost.identification_ticket_ms, String::new());
        row("ticket for a verification", cost.verification_ticket_ms, String::new());
        row("record of one enrolment", cost.record_ms, String::new());
        row("open a record", cost.open_record_us / 1e3, String::new());
        row(
            "decrypt a block, with its check",
            cost.decrypt_block_us / 1e3,
            format!("{} x the server's time", short(cost.decrypt_over_server)),
        );
    }
    Section {
        title: "Tenant".to_owned(),
        note: "A block holds 2,048 templates.".to_owned(),
        heading: vec!["dimension", "work", "ms", "beside"],
        rows,
    }
}

fn end_to_end(figures: &EndToEnd) -> Section {
    let row = |call: String, cost: &CallCost| {
        vec![
            call,
            short(cost.median_ms),
            short(cost.p99_ms),
            cost.in_flight.to_string(),
            short(cost.calls_per_s),
        ]
    };
    let templates = figures.identification_templates;
    Section {
        title: format!("End to end over loopback, {} dimensions", figures.dimension),
        note: format!(
            "gRPC, attestations off, every score checked. Verifications per second are {} of health calls per second. \
             Enrolled durably: {} templates/s.",
            short(figures.verification_over_health),
            short(figures.enrolled_per_s)
        ),
        heading: vec!["call", "median ms", "p99 ms", "in flight", "calls/s"],
        rows: vec![
            row("health".to_owned(), &figures.health),
            row("verify".to_owned(), &figures.verification),
            row(format!("identify among {templates}, by ticket"), &figures.identification),
        ],
    }
}

/// Why the figures should not be believed, if so.
pub(super) fn warnings(report: &Report) -> Vec<String> {
    let mut warnings = Vec::new();
    if !report.machine.build.is_optimised {
        warnings.push(
            "Tyto was built without optimisation: these figures mean nothing. Build it with --release."
                .to_owned(),
        );
    } else if report.machine.build.has_debug_assertions {
        warnings.push(
            "Tyto was built with the profile dev: outside of the kernels it is slower than with --release."
                .to_owned(),
        );
    }
    if report.is_quick {
        warnings.push("A quick run: the galleries fit the caches, and the figures mean little.".to_owned());
    }
    if let Some(reason) = &report.end_to_end_skipped {
        warnings.push(format!("The end-to-end part was skipped: {reason}."));
    }
    warnings
}
