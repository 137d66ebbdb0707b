//! A report for a terminal.

use std::fmt::Write as _;

use tyto_measure::Report;
use tyto_measure::machine::Build;

use super::tables;
use crate::output::Table;

/// A loud line if the figures will mean nothing.
pub(super) fn build_warning(build: &Build) -> Option<&'static str> {
    (!build.is_optimised).then_some(
        "WARNING: built without optimisation: the figures will mean nothing. Build with --release.",
    )
}

/// The whole report.
pub(super) fn report(report: &Report) -> String {
    let mut text = String::new();
    for warning in tables::warnings(report) {
        let _ = writeln!(text, "WARNING: {warning}");
    }
    for (name, value) in tables::machine(&report.machine) {
        let _ = writeln!(text, "{name:<22}  {value}");
    }
    for section in tables::sections(report) {
        let heading = section.heading.iter().map(ToString::to_string).collect();
        let rows = std::iter::once(heading).chain(section.rows).collect();
        let _ = write!(text, "\n{}\n{}\n{}", section.title, section.note, Table::from_rows(rows).text());
    }
    let _ = writeln!(
        text,
        "\nmeasured in {:.0} s; rates are of the fastest round, ratios medians within rounds",
        report.elapsed_s
    );
    text
}
