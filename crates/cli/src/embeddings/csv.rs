//! Reader for embeddings as CSV, one row per image.

use std::io::{self, Read};

use ::csv::{ByteRecord, ReaderBuilder, Trim};
use zeroize::Zeroizing;

use super::{Embeddings, Labels, MAX_CSV_LINE_BYTES, MAX_LABEL_BYTES, RawRows, check_shape};
use crate::Error;

/// What the first column of a CSV file of embeddings holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FirstColumn {
    /// A label if the heading calls it one (`label`, `subject`, `subject_id`, `identity`, `id`, `name`) or
    /// the first row has something there that is not a number; otherwise a coordinate.
    #[default]
    Detect,
    /// The label of the row's subject. Needed where labels are numbers and there is no heading.
    Label,
    /// A coordinate.
    Coordinate,
}

/// Headings of a first column that make it a label.
const LABEL_HEADINGS: [&str; 6] = ["label", "subject", "subject_id", "identity", "id", "name"];

/// Reads rows of comma-separated numbers, with or without a heading line and a column of labels in front.
///
/// The first line is a heading if any field of it but the first is not a number.
///
/// # Errors
/// The first row that has another length than the others, or a field that is not a finite number.
pub fn read_csv(reader: impl Read, first_column: FirstColumn) -> Result<(Embeddings, Option<Labels>), Error> {
    let (rows, labels) = read_raw_csv(reader, first_column)?;
    Ok((rows.into_embeddings()?, labels))
}

/// The same, but rows may hold what is not finite.
pub fn read_raw_csv(
    reader: impl Read,
    first_column: FirstColumn,
) -> Result<(RawRows, Option<Labels>), Error> {
    let mut lines = records(reader);
    lines.advance()?;
    let Some(first) = lines.current() else { return Err(Error::NoEmbeddings) };
    let is_heading = first.iter().skip(1).any(|field| number(field).is_none())
        || (first.len() == 1 && first.iter().all(|field| number(field).is_none()));
    let is_labelled = match first_column {
        FirstColumn::Label => true,
        FirstColumn::Coordinate => false,
        FirstColumn::Detect if is_heading => {
            heads_labels(first) || {
                let row = lines.peek_after_first()?;
                row.and_then(|row| row.get(0)).is_some_and(|field| number(field).is_none())
            }
        }
        FirstColumn::Detect => first.get(0).is_some_and(|field| number(field).is_none()),
    };
    read_rows(lines, is_heading, is_labelled)
}

fn read_rows(
    mut lines: ByteRecords<impl Read>,
    is_heading: bool,
    is_labelled: bool,
) -> Result<(RawRows, Option<Labels>), Error> {
    let mut values = Zeroizing::new(Vec::new());
    let mut labels = Vec::new();
    let mut dimension = 0;
    let mut row = 0;
    if is_heading {
        lines.advance()?;
    }
    while let Some(fields) = lines.current() {
        let found = fields.len() - usize::from(is_labelled);
        if row == 0 {
            dimension = found;
        }
        if found != dimension {
            return Err(Error::UnevenRow { row, found, expected: dimension });
        }
        check_shape(row + 1, dimension as u64)?;
        for (coordinate, field) in fields.iter().skip(usize::from(is_labelled)).enumerate() {
            values.push(number(field).ok_or(Error::NotANumber { row, coordinate })?);
        }
        if is_labelled {
            labels.push(label(fields, lines.line())?);
        }
        row += 1;
        lines.advance()?;
    }
    let rows = RawRows::new(dimension, values)?;
    let labels = if is_labelled { Some(Labels::new(labels)?) } else { None };
    Ok((rows, labels))
}

fn heads_labels(heading: &ByteRecord) -> bool {
    let first = String::from_utf8_lossy(heading.get(0).unwrap_or_default()).to_ascii_lowercase();
    LABEL_HEADINGS.contains(&first.as_str())
}

fn label(fields: &ByteRecord, line: u64) -> Result<String, Error> {
    let field = fields.get(0).filter(|field| field.len() <= MAX_LABEL_BYTES);
    field.and_then(|field| String::from_utf8(field.to_vec()).ok()).ok_or(Error::BadLabel { line })
}

/// A number as Rust reads it, `nan` and `inf` included: [`Embeddings::new`] then names their row.
fn number(field: &[u8]) -> Option<f32> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

/// The records of a CSV file, one line at a time.
pub(super) struct ByteRecords<R> {
    reader: ::csv::Reader<LineLimit<R>>,
    current: ByteRecord,
    is_valid: bool,
    /// The record after `current`, if it was looked at ahead of time.
    ahead: Option<(ByteRecord, bool)>,
}

/// Reads records from `reader`; lines beyond [`MAX_CSV_LINE_BYTES`] are an error before they are stored.
pub(super) fn records<R: Read>(reader: R) -> ByteRecords<R> {
    let reader = LineLimit { inner: reader, line_bytes: 0 };
    let reader = ReaderBuilder::new().has_headers(false).flexible(true).trim(Trim::All).from_reader(reader);
    ByteRecords { reader, current: ByteRecord::new(), is_valid: false, ahead: None }
}

impl<R: Read> ByteRecords<R> {
    /// Moves on to the next record.
    pub(super) fn advance(&mut self) -> Result<(), Error> {
        if let Some(ahead) = self.ahead.take() {
            (self.current, self.is_valid) = ahead;
        } else {
            self.is_valid = self.reader.read_byte_record(&mut self.current)?;
        }
        Ok(())
    }

    /// The record at hand; none before the first and after the last.
    pub(super) fn current(&self) -> Option<&ByteRecord> {
        self.is_valid.then_some(&self.current)
    }

    /// The line of the current record, from 1.
    pub(super) fn line(&self) -> u64 {
        self.current.position().map_or(0, ::csv::Position::line)
    }

    fn peek_after_first(&mut self) -> Result<Option<&ByteRecord>, Error> {
        let mut record = ByteRecord::new();
        let is_valid = self.reader.read_byte_record(&mut record)?;
        let (record, is_valid) = self.ahead.insert((record, is_valid));
        Ok(is_valid.then_some(record))
    }
}

/// Passes bytes on until a line grows too long to be one of ours.
struct LineLimit<R> {
    inner: R,
    line_bytes: usize,
}

impl<R: Read> Read for LineLimit<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        for &byte in &buffer[..length] {
            self.line_bytes = if byte == b'\n' { 0 } else { self.line_bytes + 1 };
            if self.line_bytes > MAX_CSV_LINE_BYTES {
                return Err(io::Error::new(io::ErrorKind::InvalidData, Error::LineTooLong));
            }
        }
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(Embeddings, Option<Labels>), Error> {
        read_csv(text.as_bytes(), FirstColumn::Detect)
    }

    #[test]
    fn headings_and_labels_are_found() {
        let cases = [
            ("1,2.5\n-3e-1,4\n", false),
            ("x,y\n1,2.5\n-0.3,4\n", false),
            ("ann,1,2.5\nbob,-0.3,4\n", true),
            ("who,x,y\r\nann,1,2.5\r\nbob,-0.3,4\r\n", true),
            ("subject_id,x,y\n7, 1, 2.5\n8, -0.3, 4\n", true),
        ];
        for (text, is_labelled) in cases {
            let (rows, labels) = read(text).unwrap();
            assert_eq!((rows.row(0), rows.row(1)), (&[1.0, 2.5][..], &[-0.3, 4.0][..]), "{text:?}");
            assert_eq!(labels.map(|labels| labels.subjects().to_vec()), is_labelled.then(|| vec![0, 1]));
        }
    }

    #[test]
    fn numeric_labels_without_a_heading_are_labels_when_said_to_be() {
        let (rows, labels) = read_csv(&b"7,1,2\n7,3,4\n"[..], FirstColumn::Label).unwrap();
        assert_eq!(rows.dimension(), 2);
        assert_eq!(labels.unwrap().name(0), "7");
        let (rows, labels) = read_csv(&b"7,1,2\n7,3,4\n"[..], FirstColumn::Coordinate).unwrap();
        assert_eq!((rows.dimension(), labels.is_none()), (3, true));
    }

    #[test]
    fn what_is_wrong_is_named_by_row() {
        let cases = [
            ("1,2\n3\n", "row 1 has 1 coordinates; the first row has 2"),
            ("1,2\n3,x\n", "row 1: coordinate 1 is not a number"),
            ("a,b\n1,2\n3,inf\n", "row 1: coordinate 1 is not finite"),
            ("a,b\n", "no embeddings found"),
            ("", "no embeddings found"),
            ("ann\nbob\n", "no embeddings found"),
        ];
        for (text, message) in cases {
            assert_eq!(read(text).unwrap_err().to_string(), message, "{text:?}");
        }
        let wide = vec!["1"; 4097].join(",");
        assert!(matches!(read(&wide), Err(Error::DimensionTooLarge { found: 4097 })));
    }

    #[test]
    fn a_line_without_an_end_is_not_swallowed() {
        let endless = io::repeat(b'1');
        let error = read_csv(endless, FirstColumn::Detect).unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("longer than the 262144 bytes"), "{source}");
    }
}
