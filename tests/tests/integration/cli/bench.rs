//! `tyto bench`.

use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::tyto::{Done, Home, finish};

const TYTO: &str = env!("CARGO_BIN_EXE_tyto-under-test");
const TYTOD: &str = env!("CARGO_BIN_EXE_tytod-under-test");

/// A folder with some binaries. They are links: a copy that is still open for writing in a process that another test
/// is starting could not be run.
fn folder(binaries: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    for (name, binary) in binaries {
        std::fs::hard_link(binary, folder.path().join(name)).unwrap();
    }
    folder
}

fn run_in(folder: &TempDir, line: &str) -> Done {
    let mut command = Command::new(folder.path().join("tyto"));
    finish(command.args(line.split(' ')).env_clear().current_dir(folder.path()))
}

fn number(value: &Value) -> f64 {
    value.as_f64().filter(|number| number.is_finite() && *number > 0.0).unwrap_or_else(|| panic!("{value}"))
}

/// Every number of a report but those named is above zero; nothing is `null` that is not named.
fn check_figures(value: &Value, path: &str) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| {
            let may_be_absent =
                ["cpu", "memory_bytes", "available_bytes", "kernel", "huge_pages", "end_to_end_skipped"];
            if !(value.is_null() && may_be_absent.contains(&name.as_str())) {
                check_figures(value, &format!("{path}.{name}"));
            }
        }),
        Value::Array(values) => {
            assert!(path.ends_with("caches") || !values.is_empty(), "{path}");
            values.iter().for_each(|value| check_figures(value, path));
        }
        Value::Number(_) => assert!(number(value) > 0.0, "{path}"),
        Value::Null => panic!("{path} is null"),
        Value::Bool(_) | Value::String(_) => {}
    }
}

/// Figures that follow from each other do.
fn check_relations(report: &Value) {
    for matching in report["matching"].as_array().unwrap() {
        let (dimension, probes) = (number(&matching["dimension"]), number(&matching["probes"]));
        let per_template = number(&matching["bytes_per_template"]);
        assert!((per_template / (dimension * 41.0 / 8.0) - 1.0).abs() < 0.01, "{matching}");
        let read = number(&matching["comparisons_per_s"]) / probes * per_template;
        assert!((read / number(&matching["bytes_per_s"]) - 1.0).abs() < 0.01, "{matching}");
        assert!(number(&matching["pass_bytes"]) <= 1.2 * number(&report["gallery_bytes"]), "{matching}");
    }
    let sizes = report["sizes"]["points"].as_array().unwrap();
    let bytes: Vec<f64> = sizes.iter().map(|point| number(&point["gallery_bytes"])).collect();
    assert!(bytes.is_sorted() && bytes.len() > 3, "{bytes:?}");
    for curve in ["cached", "memory"] {
        let points = report["threads"][curve]["points"].as_array().unwrap();
        assert!(points[0]["threads"] == 1 && (number(&points[0]["speedup"]) - 1.0).abs() < 1e-9, "{curve}");
        assert_eq!(points.last().unwrap()["threads"], report["machine"]["cores"]);
    }
    for call in ["health", "verification", "identification"] {
        let cost = &report["end_to_end"][call];
        assert!(number(&cost["median_ms"]) <= number(&cost["p99_ms"]), "{call}: {cost}");
    }
}

#[test]
fn a_quick_run_measures_everything_and_writes_json_and_a_page_that_needs_nothing_else() {
    let folder = folder(&[("tyto", TYTO), ("tytod", TYTOD)]);
    let done = run_in(&folder, "bench --quick --json b.json --html b.html");
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.out.contains("Matching from memory") && done.out.contains("verify "), "{done:?}");

    let report: Value =
        serde_json::from_slice(&std::fs::read(folder.path().join("b.json")).unwrap()).unwrap();
    assert_eq!((&report["version"], &report["is_quick"]), (&1.into(), &true.into()));
    check_figures(&report, "");
    check_relations(&report);
    for backend in report["machine"]["backends"].as_array().unwrap() {
        for probes in [1, 8] {
            let is_this = |found: &&Value| found["backend"] == *backend && found["probes"] == probes;
            let found = report["matching"].as_array().unwrap().iter().filter(is_this).count();
            assert_eq!(found, 2, "{backend}, {probes} probes: both dimensions");
        }
    }

    let page = std::fs::read_to_string(folder.path().join("b.html")).unwrap();
    for absent in ["http:", "https:", "//", "<script", "<link", "<img", "@import", "url(", "NaN", "inf"] {
        assert!(!page.contains(absent), "the page contains {absent}");
    }
    for present in [
        "Rate against size of the gallery",
        "Rate against dimension",
        "Rate against threads",
        "Roofline",
        "million comparisons/s",
        "A quick run",
    ] {
        assert!(page.contains(present), "the page lacks {present}");
    }
    // The charts, and one swatch for each line of theirs.
    assert_eq!(page.matches("<figure>").count(), 4);
    assert_eq!(page.matches("<svg").count(), 4 + page.matches("<li>").count());
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
}

#[test]
fn without_a_server_the_rest_is_measured_and_the_report_says_why() {
    let done = run_in(&folder(&[("tyto", TYTO)]), "bench --quick --json -").json(0);
    assert!(done["end_to_end"].is_null());
    let reason = done["end_to_end_skipped"].as_str().unwrap();
    assert!(reason.contains("there is no ") && reason.contains("--tytod PATH"), "{reason}");
    assert!(number(&done["verification"]["match_us"]) > 0.0);
}

#[test]
fn a_server_that_does_not_serve_is_an_error() {
    let home = Home::new("");
    home.run("bench --quick --tytod nowhere").refused(4, "nowhere does not serve");
    home.run("bench --quick --tytod /bin/true").refused(4, "/bin/true does not serve");
    // It writes to its standard error, which is repeated.
    home.run(&format!("bench --quick --tytod {TYTO}")).refused(4, "does not serve: ");
}

#[test]
fn what_cannot_be_measured_or_written_is_said_at_once() {
    let home = Home::new("");
    home.run("bench --gallery-bytes 100000G").refused(2, "of which");
    home.run("bench --gallery-bytes 1M").refused(2, "at least");
    home.run("bench --json absent/b.json").refused(7, "cannot write absent/b.json");
    home.run("bench --html .").refused(7, "cannot write .");
    for (line, words) in
        [("bench --seconds 5", "5 is not in"), ("bench --gallery-bytes many", "number of bytes")]
    {
        let usage = home.run(line);
        assert!(usage.code == 2 && usage.err.contains(words), "{usage:?}");
    }
}
