//! The four charts of a report.

use tyto_measure::Report;
use tyto_measure::report::{Matching, SizePoint, ThreadCurve};

use super::chart::{Axis, Chart, Mark, Series, number};
use crate::svg::Marker;

const MILLION: f64 = 1e6;
const GIGA: f64 = 1e9;
/// The dimension that the roofline shows.
const ROOFLINE_DIMENSION: usize = 128;

const PLAIN: &str = "var(--muted)";
const DASHED: &str = "6 4";
const DOTTED: &str = "1 4";

/// The colour of a backend, the same in every chart.
fn colour(backend: &str) -> &'static str {
    match backend {
        "avx512ifma" => "var(--s1)",
        "avx2" => "var(--s2)",
        _ => "var(--s3)",
    }
}

fn probes_text(probes: usize) -> String {
    if probes == 1 { "1 probe".to_owned() } else { format!("{probes} probes in one pass") }
}

/// One probe is a solid line of discs, several are a dashed line of squares.
fn series(backend: &str, probes: usize, points: Vec<(f64, f64)>) -> Series {
    let (dashes, marker) = if probes == 1 { ("", Marker::Disc) } else { (DASHED, Marker::Square) };
    let name = format!("{backend}, {}", probes_text(probes));
    Series { name, colour: colour(backend), dashes, marker, is_line: true, points }
}

fn limit(name: &str, dashes: &'static str, points: Vec<(f64, f64)>) -> Series {
    Series { name: name.to_owned(), colour: PLAIN, dashes, marker: Marker::None, is_line: true, points }
}

fn values<'a>(series: impl IntoIterator<Item = &'a Series>, of: impl Fn(&(f64, f64)) -> f64) -> Vec<f64> {
    series.into_iter().flat_map(|series| series.points.iter().map(&of)).collect()
}

/// All charts of a report.
pub(super) fn charts(report: &Report) -> Vec<Chart> {
    let charts = [Some(sizes(report)), dimensions(report), Some(threads(report)), roofline(report)];
    charts.into_iter().flatten().collect()
}

/// A size in a power of 1024.
pub(super) fn binary_bytes(bytes: f64) -> String {
    match bytes {
        bytes if bytes < 1_048_576.0 => format!("{} KiB", number((bytes / 1024.0 * 10.0).round() / 10.0)),
        bytes if bytes < 1_073_741_824.0 => {
            format!("{} MiB", number((bytes / 1_048_576.0 * 10.0).round() / 10.0))
        }
        bytes => format!("{} GiB", number((bytes / 1_073_741_824.0 * 10.0).round() / 10.0)),
    }
}

fn sizes(report: &Report) -> Chart {
    let sizes = &report.sizes;
    let backend = &report.machine.backend;
    let line = |rate: fn(&SizePoint) -> f64, probes: usize| -> Vec<(f64, f64)> {
        let templates_per_s = |point| rate(point) * probes as f64 / sizes.bytes_per_template / MILLION;
        sizes.points.iter().map(|point| (point.gallery_bytes as f64, templates_per_s(point))).collect()
    };
    let probes = sizes.probes;
    let all = vec![
        series(backend, probes, line(|point| point.probes_bytes_per_s, probes)),
        series(backend, 1, line(|point| point.one_probe_bytes_per_s, 1)),
        limit(
            "if one probe went as fast as a plain sum reads",
            DOTTED,
            line(|point| point.plain_sum_bytes_per_s, 1),
        ),
    ];
    let caches = report.machine.caches.iter();
    let marks = caches.map(|cache| Mark {
        at: cache.bytes as f64,
        label: format!("L{} {}", cache.level, binary_bytes(cache.bytes as f64)),
    });
    Chart {
        title: "Rate against size of the gallery",
        caption: format!(
            "{} dimensions, one thread. The query takes as much cache as it needs; dotted upright lines are the sizes \
             of the caches.",
            sizes.dimension
        ),
        x: Axis::doublings("gallery in memory (logarithmic)", &values(&all, |point| point.0), binary_bytes),
        y: Axis::decades("million comparisons/s (logarithmic)", &values(&all, |point| point.1)),
        series: all,
        marks: marks.collect(),
    }
}

/// The figures of one backend and number of probes, by dimension.
fn by_dimension<'a>(report: &'a Report, backend: &str, probes: usize) -> Vec<&'a Matching> {
    report.matching.iter().filter(|found| found.backend == backend && found.probes == probes).collect()
}

fn dimensions(report: &Report) -> Option<Chart> {
    let mut all = Vec::new();
    let mut probes: Vec<usize> = report.matching.iter().map(|found| found.probes).collect();
    probes.sort_unstable();
    probes.dedup();
    for backend in report.machine.backends.iter().rev() {
        for &probes in probes.iter().rev() {
            let points = by_dimension(report, backend, probes);
            let points =
                points.iter().map(|found| (found.dimension as f64, found.comparisons_per_s / MILLION));
            all.push(series(backend, probes, points.collect()));
        }
    }
    let read = by_dimension(report, &report.machine.backend, 1);
    let read = read.iter().map(|found| {
        (found.dimension as f64, found.plain_sum_bytes_per_s / found.bytes_per_template / MILLION)
    });
    all.push(limit("if one probe went as fast as a plain sum reads", DOTTED, read.collect()));
    let mut ticks = values(&all, |point| point.0);
    ticks.sort_unstable_by(f64::total_cmp);
    ticks.dedup();
    if ticks.is_empty() {
        return None;
    }
    Some(Chart {
        title: "Rate against dimension",
        caption: format!(
            "One thread, a gallery of {} in memory; slower backends pass over a part of it.",
            binary_bytes(report.gallery_bytes as f64)
        ),
        x: Axis::at("dimension (logarithmic)", &ticks),
        y: Axis::decades("million comparisons/s (logarithmic)", &values(&all, |point| point.1)),
        series: all,
        marks: Vec::new(),
    })
}

fn threads(report: &Report) -> Chart {
    let threads = &report.threads;
    let line = |curve: &ThreadCurve| -> Vec<(f64, f64)> {
        curve.points.iter().map(|point| (point.threads as f64, point.comparisons_per_s / MILLION)).collect()
    };
    let ideal = |curve: &ThreadCurve| -> Vec<(f64, f64)> {
        let one = curve.points.first().map_or(0.0, |point| point.comparisons_per_s);
        curve
            .points
            .iter()
            .map(|point| (point.threads as f64, point.threads as f64 * one / MILLION))
            .collect()
    };
    let curve = |name: &str, colour, marker, curve: &ThreadCurve| Series {
        name: format!("{name}, {}", binary_bytes(curve.gallery_bytes as f64)),
        colour,
        dashes: "",
        marker,
        is_line: true,
        points: line(curve),
    };
    let all = vec![
        curve("gallery in the caches", "var(--s1)", Marker::Disc, &threads.cached),
        curve("gallery in memory", "var(--s4)", Marker::Square, &threads.memory),
        limit("one thread, times their number (caches)", DOTTED, ideal(&threads.cached)),
        limit("the same (memory)", DASHED, ideal(&threads.memory)),
    ];
    let counts: Vec<f64> = threads.memory.points.iter().map(|point| point.threads as f64).collect();
    Chart {
        title: "Rate against threads",
        caption: format!(
            "{} dimensions, {}, one probe; whole passes of the engine, replies included.",
            threads.dimension, report.machine.backend
        ),
        x: Axis::counts("threads", &counts),
        y: Axis::from_zero("million comparisons/s", &values(&all, |point| point.1)),
        series: all,
        marks: Vec::new(),
    }
}

/// Multiply-adds per second over multiply-adds per byte of the gallery.
fn roofline(report: &Report) -> Option<Chart> {
    let figures: Vec<_> =
        report.matching.iter().filter(|found| found.dimension == ROOFLINE_DIMENSION).collect();
    let intensity = |found: &Matching| (found.dimension * found.probes) as f64 / found.bytes_per_template;
    let read = figures.iter().map(|found| found.plain_sum_bytes_per_s).fold(0.0, f64::max);
    let cached = report.sizes.points.iter().map(|point| point.plain_sum_bytes_per_s).fold(0.0, f64::max);
    let xs: Vec<f64> = figures.iter().map(|found| intensity(found)).collect();
    let x = Axis::doublings("multiply-adds per byte of the gallery (logarithmic)", &xs, number);
    let (low, high) = x.bounds();
    let mut points: Vec<Series> = Vec::new();
    for backend in report.machine.backends.iter().rev() {
        for found in figures.iter().filter(|found| found.backend == *backend) {
            let rate = found.comparisons_per_s * found.dimension as f64 / GIGA;
            points.push(Series {
                is_line: false,
                ..series(backend, found.probes, vec![(intensity(found), rate)])
            });
        }
    }
    let roof = |bytes_per_s: f64| vec![(low, low * bytes_per_s / GIGA), (high, high * bytes_per_s / GIGA)];
    if points.is_empty() {
        return None;
    }
    let several = report.sizes.points.iter().map(|point| point.probes_bytes_per_s).fold(0.0, f64::max);
    let most = several * (report.sizes.probes * report.sizes.dimension) as f64
        / report.sizes.bytes_per_template
        / GIGA;
    let roofs = [
        limit(
            &format!(
                "most multiply-adds seen ({}, {} dimensions)",
                report.machine.backend, report.sizes.dimension
            ),
            DASHED,
            vec![(low, most), (high, most)],
        ),
        limit(&format!("plain sum from memory, {:.1} GB/s", read / GIGA), "", roof(read)),
        limit(&format!("plain sum from cache, {:.1} GB/s", cached / GIGA), DOTTED, roof(cached)),
    ];
    points.extend(roofs);
    Some(Chart {
        title: "Roofline",
        caption: format!(
            "{ROOFLINE_DIMENSION} dimensions, one thread, from memory. Under the rising line memory is the limit, under \
             the level one arithmetic; several probes in one pass use each byte several times."
        ),
        x,
        y: Axis::decades("thousand million multiply-adds/s (logarithmic)", &values(&points, |point| point.1)),
        series: points,
        marks: Vec::new(),
    })
}
