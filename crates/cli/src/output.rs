//! What is printed: text for people, JSON for programs.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use tyto_client::tenant::SubjectId;

use crate::Error;

/// The option that commands with results have.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct OutputArgs {
    /// Print the result as one JSON object.
    #[arg(long)]
    pub json: bool,
}

impl OutputArgs {
    /// Prints a result in the chosen form.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn print<T: Serialize>(&self, value: &T, text: impl FnOnce(&T) -> String) -> Result<(), Error> {
        print(&if self.json { json(value) } else { text(value) })
    }
}

/// A value as indented JSON with a line end.
pub fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string_pretty(value).expect("numbers, strings and lists always serialise") + "\n"
}

/// Writes to the standard output. A reader that went away is no error.
///
/// # Errors
/// [`Error::Write`].
pub fn print(text: &str) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(source) if source.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::Write { path: PathBuf::from("standard output"), source })
        }
        _ => Ok(()),
    }
}

/// Writes a result file.
///
/// # Errors
/// [`Error::Write`].
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    std::fs::write(path, bytes).map_err(|source| Error::Write { path: path.to_owned(), source })
}

/// A subject id in JSON: text where it is text, and hexadecimal where it is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Subject {
    /// The id, if it is UTF-8.
    pub subject: Option<String>,
    /// The id in hexadecimal, if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_hex: Option<String>,
    #[serde(skip)]
    shown: String,
}

impl From<&SubjectId> for Subject {
    fn from(id: &SubjectId) -> Self {
        let subject = String::from_utf8(id.as_bytes().to_vec()).ok();
        let subject_hex = if subject.is_none() { Some(hex(id.as_bytes())) } else { None };
        Self { subject, subject_hex, shown: id.to_string() }
    }
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.shown)
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Rows of cells in columns that line up; numbers to the right, everything else to the left.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with a heading.
    pub fn new<const N: usize>(heading: [&str; N]) -> Self {
        Self { rows: vec![heading.map(str::to_owned).to_vec()] }
    }

    /// A table of rows that are there already, the heading first.
    pub fn from_rows(rows: Vec<Vec<String>>) -> Self {
        Self { rows }
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(Vec::from(cells));
    }

    /// The table as text, each line ended.
    pub fn text(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let cells = |column: usize| self.rows.iter().filter_map(move |row| row.get(column));
        let widths: Vec<usize> = (0..columns)
            .map(|column| cells(column).map(|cell| cell.chars().count()).max().unwrap_or(0))
            .collect();
        let is_numeric: Vec<bool> =
            (0..columns).map(|column| cells(column).skip(1).all(|cell| looks_numeric(cell))).collect();
        let mut out = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let width = widths[column];
                let _ = if is_numeric[column] {
                    write!(line, "{cell:>width$}  ")
                } else {
                    write!(line, "{cell:<width$}  ")
                };
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

fn looks_numeric(cell: &str) -> bool {
    cell == "-" || cell.starts_with(|c: char| c.is_ascii_digit() || c == '-') && cell.parse::<f64>().is_ok()
}

/// A number of things: `1 block`, `2 blocks`.
pub fn count(number: u64, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

/// A duration in milliseconds, for JSON.
pub fn milliseconds(duration: std::time::Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// A number of bytes for people: `1.34 MB`, powers of ten.
pub fn bytes(count: u64) -> String {
    let count_f = count as f64;
    match count {
        0..10_000 => format!("{count} B"),
        10_000..1_000_000 => format!("{:.1} KB", count_f / 1e3),
        1_000_000..1_000_000_000 => format!("{:.2} MB", count_f / 1e6),
        _ => format!("{:.2} GB", count_f / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_line_up() {
        let mut table = Table::new(["rank", "subject", "score"]);
        table.row(["1".into(), "ada".into(), "-812".into()]);
        table.row(["10".into(), "grace h.".into(), "7".into()]);
        assert_eq!(table.text(), "rank  subject   score\n   1  ada        -812\n  10  grace h.      7\n");
    }

    #[test]
    fn subjects_that_are_no_text_are_hexadecimal() {
        let shown =
            |bytes: &[u8]| serde_json::to_string(&Subject::from(&SubjectId::new(bytes).unwrap())).unwrap();
        assert_eq!(shown(b"ada"), r#"{"subject":"ada"}"#);
        assert_eq!(shown(&[0xff, 0]), r#"{"subject":null,"subject_hex":"ff00"}"#);
    }

    #[test]
    fn bytes_are_shown_in_three_digits_or_more() {
        let cases = [(528, "528 B"), (10_496, "10.5 KB"), (1_343_488, "1.34 MB"), (2_000_000_000, "2.00 GB")];
        for (count, text) in cases {
            assert_eq!(bytes(count), text);
        }
    }
}
