//! A report as one page that needs nothing else: no script, no font, no picture from elsewhere.

use std::fmt::Write as _;

use tyto_measure::Report;

use super::tables::{self, Section};
use super::{plots, plots::binary_bytes};
use crate::svg::escape;

const STYLE: &str = include_str!("page.css");
/// The dimension that the figures at the top are of.
const SHOWN_DIMENSION: usize = 128;

/// The page.
pub(super) fn html(report: &Report) -> String {
    let mut body = String::new();
    for warning in tables::warnings(report) {
        let _ = writeln!(body, "<p class=\"warning\">{}</p>", escape(&warning));
    }
    body += &tiles(report);
    body += "<h2>Plots</h2>\n<div class=\"plots\">\n";
    plots::charts(report).iter().for_each(|chart| body += &chart.html());
    body += "</div>\n<h2>Machine</h2>\n<div class=\"card\"><table class=\"machine\">\n";
    for (name, value) in tables::machine(&report.machine) {
        let _ = writeln!(body, "<tr><th>{}</th><td>{}</td></tr>", escape(name), escape(&value));
    }
    body += "</table></div>\n";
    tables::sections(report).iter().for_each(|section| body += &table(section));
    let cpu = report.machine.cpu.as_deref().unwrap_or("an unknown processor");
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Tyto on {cpu}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <h1>Tyto on {cpu}</h1>\n\
         <p class=\"muted\">Encrypted matching, measured by tyto bench {version} on {date} in {elapsed:.0} s. Every \
         result was checked before it was timed. Rates are of the fastest round; ratios are medians over rounds in \
         which both sides were timed in turn.</p>\n{body}</main>\n</body>\n</html>\n",
        cpu = escape(cpu),
        version = escape(&report.machine.build.version),
        date = date(report.started_unix_s),
        elapsed = report.elapsed_s,
    )
}

/// The figures that people ask for first.
fn tiles(report: &Report) -> String {
    let mut tiles: Vec<(String, String)> = Vec::new();
    let backend = &report.machine.backend;
    let several = report.sizes.probes;
    if let Some(one) = report.matching_of(backend, SHOWN_DIMENSION, 1) {
        tiles.push((
            format!("{:.1} M/s", one.comparisons_per_s / 1e6),
            format!("comparisons, {SHOWN_DIMENSION} dimensions, one probe, one thread, from memory"),
        ));
        tiles.push((
            format!("{:.0} %", 100.0 * one.share_of_plain_sum),
            format!("of the plain read speed of {:.1} GB/s", one.plain_sum_bytes_per_s / 1e9),
        ));
    }
    if let Some(many) = report.matching_of(backend, SHOWN_DIMENSION, several) {
        tiles.push((
            format!("{:.1} M/s", many.comparisons_per_s / 1e6),
            format!("comparisons with {several} probes in one pass, one thread"),
        ));
    }
    if let Some(all) = report.threads.memory.points.last() {
        tiles.push((
            format!("{:.1} M/s", all.comparisons_per_s / 1e6),
            format!(
                "comparisons on {} threads, {} in memory, replies included",
                all.threads,
                binary_bytes(report.threads.memory.gallery_bytes as f64)
            ),
        ));
    }
    tiles.push((
        format!("{:.1} \u{b5}s", report.verification.match_us),
        "verification at the server, both queries, without network".to_owned(),
    ));
    if let Some(end) = &report.end_to_end {
        tiles.push((
            format!("{:.0}/s", end.verification.calls_per_s),
            format!("verifications over loopback; health calls: {:.0}/s", end.health.calls_per_s),
        ));
        tiles.push((
            format!("{:.1} ms", end.identification.median_ms),
            format!("one identification among {} over loopback", end.identification_templates),
        ));
    }
    let mut html = "<div class=\"tiles\">\n".to_owned();
    for (figure, meaning) in tiles {
        let _ = writeln!(
            html,
            "<div class=\"tile\"><b>{}</b><span>{}</span></div>",
            escape(&figure),
            escape(&meaning)
        );
    }
    html + "</div>\n"
}

fn table(section: &Section) -> String {
    let is_number = |column: usize| {
        section.rows.iter().all(|row| row.get(column).is_some_and(|cell| cell.parse::<f64>().is_ok()))
    };
    let numbers: Vec<bool> = (0..section.heading.len()).map(is_number).collect();
    let cell = |tag: &str, column: usize, text: &str| {
        let class = if numbers[column] { " class=\"number\"" } else { "" };
        format!("<{tag}{class}>{}</{tag}>", escape(text))
    };
    let row = |tag: &str, cells: &mut dyn Iterator<Item = &str>| {
        let cells: String = cells.enumerate().map(|(column, text)| cell(tag, column, text)).collect();
        format!("<tr>{cells}</tr>\n")
    };
    let mut html = format!(
        "<h2>{}</h2>\n<p class=\"note\">{}</p>\n<div class=\"card\"><table>\n",
        escape(&section.title),
        escape(&section.note)
    );
    html += &row("th", &mut section.heading.iter().copied());
    for cells in &section.rows {
        html += &row("td", &mut cells.iter().map(String::as_str));
    }
    html + "</table></div>\n"
}

/// A day as `2026-07-01`, UTC (Hinnant, "chrono-compatible low-level date algorithms").
fn date(unix_s: u64) -> String {
    let days = unix_s / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (unix_s, day) in [
            (0, "1970-01-01"),
            (951_782_400, "2000-02-29"),
            (1_798_761_599, "2026-12-31"),
            (4_107_542_400, "2100-03-01"),
        ] {
            assert_eq!(date(unix_s), day);
        }
    }
}
