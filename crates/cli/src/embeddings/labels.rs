//! Which subject each row of a set of embeddings shows.

use std::collections::HashMap;
use std::fmt;
use std::io::Read;

use super::csv::{ByteRecords, records};
use super::{MAX_LABEL_BYTES, MAX_ROWS};
use crate::Error;

/// First lines of a one-column file that are headings, not subjects.
const HEADINGS: [&str; 6] = ["label", "labels", "subject", "subjects", "subject_id", "identity"];

/// The subject of each row, as an index into the distinct labels in order of first appearance.
///
/// Labels may be names of people: they are not printed by `Debug`.
pub struct Labels {
    subjects: Vec<u32>,
    names: Vec<String>,
}

impl Labels {
    /// The labels of the rows, in order.
    ///
    /// # Errors
    /// If there are too many, or one is empty or too long.
    pub fn new(labels: impl IntoIterator<Item = impl Into<String>>) -> Result<Self, Error> {
        let mut interned = Interner::default();
        let mut subjects = Vec::new();
        for (line, label) in (1..).zip(labels) {
            if line > MAX_ROWS {
                return Err(Error::TooManyRows);
            }
            let label = label.into();
            if label.is_empty() || label.len() > MAX_LABEL_BYTES {
                return Err(Error::BadLabel { line });
            }
            subjects.push(interned.index(label));
        }
        Ok(Self { subjects, names: interned.names })
    }

    /// The subject of each row, an index below [`Labels::subject_count`].
    pub fn subjects(&self) -> &[u32] {
        &self.subjects
    }

    /// The label of subject `subject`.
    ///
    /// # Panics
    /// If there is no such subject.
    pub fn name(&self, subject: u32) -> &str {
        &self.names[subject as usize]
    }

    /// Number of rows that are labelled.
    pub fn len(&self) -> usize {
        self.subjects.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.subjects.is_empty()
    }

    /// Number of distinct subjects.
    pub fn subject_count(&self) -> usize {
        self.names.len()
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Labels")
            .field("rows", &self.len())
            .field("subjects", &self.subject_count())
            .finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Interner {
    indices: HashMap<String, u32>,
    names: Vec<String>,
}

impl Interner {
    fn index(&mut self, label: String) -> u32 {
        if let Some(&index) = self.indices.get(&label) {
            return index;
        }
        let index = self.names.len() as u32;
        self.names.push(label.clone());
        self.indices.insert(label, index);
        index
    }
}

/// Reads a label file in one of two forms:
///
/// - CSV with two or more columns, `row,label,...`: the row's number from 0 and its subject, rows in any
///   order and each exactly once; further columns are ignored; a first line that does not start with a
///   number is a heading.
/// - one column: the subject of row 0, of row 1, and so on; a first line that says `label`, `subject`,
///   `subject_id` or `identity` is a heading.
///
/// # Errors
/// The first line that is neither.
pub fn read_labels(reader: impl Read) -> Result<Labels, Error> {
    let mut lines = records(reader);
    lines.advance()?;
    let Some(first) = lines.current() else { return Labels::new(<[String; 0]>::default()) };
    if first.len() >= 2 { numbered(lines) } else { one_column(lines) }
}

fn one_column(mut lines: ByteRecords<impl Read>) -> Result<Labels, Error> {
    let mut labels = Vec::new();
    while let Some(fields) = lines.current() {
        let line = lines.line();
        if fields.len() != 1 {
            return Err(Error::BadLabel { line });
        }
        let label = label(fields.get(0), line)?;
        if line > 1 || !HEADINGS.contains(&label.to_ascii_lowercase().as_str()) {
            push(&mut labels, label)?;
        }
        lines.advance()?;
    }
    Labels::new(labels)
}

fn numbered(mut lines: ByteRecords<impl Read>) -> Result<Labels, Error> {
    // Kept in the order of the file and put in place at the end, so that memory follows what is read and
    // not the largest row number that is named.
    let mut labels: Vec<(u64, u64, String)> = Vec::new();
    while let Some(fields) = lines.current() {
        let line = lines.line();
        let row = fields.get(0).and_then(|field| std::str::from_utf8(field).ok()?.parse::<u64>().ok());
        match row {
            Some(row) => push(&mut labels, (row, line, label(fields.get(1), line)?))?,
            None if line == 1 => {}
            None => return Err(Error::BadLabelRow { line }),
        }
        lines.advance()?;
    }
    labels.sort_by_key(|&(row, line, _)| (row, line));
    for (expected, &(row, line, _)) in (0..).zip(&labels) {
        if row != expected {
            return Err(Error::BadLabelRow { line });
        }
    }
    Labels::new(labels.into_iter().map(|(_, _, label)| label))
}

fn push<T>(labels: &mut Vec<T>, label: T) -> Result<(), Error> {
    if labels.len() as u64 == MAX_ROWS {
        return Err(Error::TooManyRows);
    }
    labels.push(label);
    Ok(())
}

fn label(field: Option<&[u8]>, line: u64) -> Result<String, Error> {
    field
        .filter(|field| !field.is_empty() && field.len() <= MAX_LABEL_BYTES)
        .and_then(|field| String::from_utf8(field.to_vec()).ok())
        .ok_or(Error::BadLabel { line })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &str) -> Result<Labels, Error> {
        read_labels(text.as_bytes())
    }

    #[test]
    fn both_forms_give_the_same_labels() {
        let forms = [
            "row,subject_id,file\n0,ann,x\n1,\"b, ob\",y\n2,ann,z\n",
            "0,ann\n1,\"b, ob\"\n2,ann",
            "2,ann\n0,ann\n1,\"b, ob\"\n",
            "ann\n\"b, ob\"\nann\n",
            "Subject\r\nann\r\n\"b, ob\"\r\nann\r\n",
        ];
        for form in forms {
            let labels = labels(form).unwrap();
            assert_eq!(labels.subjects(), [0, 1, 0], "{form:?}");
            assert_eq!((labels.name(0), labels.name(1)), ("ann", "b, ob"));
            assert_eq!((labels.len(), labels.subject_count()), (3, 2));
        }
    }

    #[test]
    fn one_column_of_numbers_is_labels_not_rows() {
        assert_eq!(labels("7\n7\n3\n").unwrap().subjects(), [0, 0, 1]);
    }

    #[test]
    fn rows_that_are_missing_repeated_or_unnamed_are_errors() {
        for (text, bad_line) in [("0,a\n2,b\n", 2), ("0,a\n0,b\n", 2), ("row,s\n1,a\n", 2), ("0,a\nx,b\n", 2)]
        {
            let found = labels(text);
            assert!(matches!(found, Err(Error::BadLabelRow { line }) if line == bad_line), "{text:?}");
        }
        for text in ["0,a\n1,\n", "0,a\n1\n", "a\nb,c\n", "a\n\"\"\n"] {
            assert!(matches!(labels(text), Err(Error::BadLabel { line: 2 })), "{text:?}");
        }
        assert!(matches!(labels(&"x".repeat(257)), Err(Error::BadLabel { line: 1 })));
    }

    #[test]
    fn debug_output_shows_no_label() {
        assert_eq!(format!("{:?}", labels("ann\n").unwrap()), "Labels { rows: 1, subjects: 1, .. }");
    }
}
