//! What can go wrong in the command line's own modules.

use std::io;

use crate::embeddings::{
    MAX_CSV_LINE_BYTES, MAX_DIMENSION, MAX_LABEL_BYTES, MAX_NPY_HEADER_BYTES, MAX_ROWS, MAX_VALUES,
};

/// An error of the command line's own modules. Rows are counted from 0.
///
/// No variant carries an embedding or a label.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file could not be read.
    #[error("cannot read the file")]
    Io(#[from] io::Error),

    /// The CSV reader met bytes that are not CSV, or could not read on.
    #[error("cannot read the CSV file")]
    Csv(#[from] csv::Error),

    /// The file does not start with the six bytes of an `.npy` file.
    #[error("not an .npy file: it does not start with \\x93NUMPY")]
    NpyMagic,

    /// The `.npy` format version is not one that is understood.
    #[error(".npy format version {major}.{minor} found; 1.0, 2.0 and 3.0 are accepted")]
    NpyVersion {
        /// First number of the version found.
        major: u8,
        /// Second number of the version found.
        minor: u8,
    },

    /// The `.npy` header is longer than is read.
    #[error(".npy header of {found_bytes} bytes; at most {MAX_NPY_HEADER_BYTES} bytes are accepted")]
    NpyHeaderLength {
        /// Length that the file states.
        found_bytes: u32,
    },

    /// The `.npy` header is not the dictionary that the format prescribes.
    #[error(".npy header, byte {offset}: expected {expected}")]
    NpyHeader {
        /// Position in the header text, in bytes.
        offset: usize,
        /// What the format prescribes there.
        expected: &'static str,
    },

    /// The `.npy` elements have a type that is not accepted.
    #[error(".npy element type {found} found; '<f2', '<f4' and '<f8' (little-endian floats) are accepted")]
    NpyElementType {
        /// The type as the header writes it, cut short.
        found: String,
    },

    /// The `.npy` array is stored column by column.
    #[error(".npy array in Fortran order found; C order is accepted (numpy.ascontiguousarray)")]
    NpyFortranOrder,

    /// The `.npy` array does not have two axes, or one of them is empty.
    #[error(".npy array of shape {found:?} found; (rows, dimension), both at least 1, is accepted")]
    NpyShape {
        /// The axes' lengths.
        found: Vec<u64>,
    },

    /// The file ends before its header or its last row does.
    #[error("the file is truncated: it ends in {}", match .row {
        Some(row) => format!("row {row} of {rows}", rows = .rows),
        None => "the header".to_owned(),
    })]
    Truncated {
        /// The first row that is not whole; none if the header is not.
        row: Option<u64>,
        /// Rows that the header states.
        rows: u64,
    },

    /// The file goes on after its last row.
    #[error("the file goes on after its last row, {rows} rows in all: trailing bytes")]
    TrailingBytes {
        /// Rows that the header states.
        rows: u64,
    },

    /// There are more rows than are accepted.
    #[error("more rows than the {MAX_ROWS} that are accepted")]
    TooManyRows,

    /// The embeddings have more coordinates than are accepted.
    #[error("dimension {found} found; at most {MAX_DIMENSION} is accepted")]
    DimensionTooLarge {
        /// Coordinates per row.
        found: u64,
    },

    /// There are more coordinates in all than are accepted.
    #[error("{rows} rows of {dimension} coordinates; at most {MAX_VALUES} coordinates in all are accepted")]
    TooManyValues {
        /// Rows.
        rows: u64,
        /// Coordinates per row.
        dimension: u64,
    },

    /// There is no row at all, or a row has no coordinates.
    #[error("no embeddings found")]
    NoEmbeddings,

    /// A row holds a NaN or an infinity.
    #[error("row {row}: coordinate {coordinate} is not finite")]
    NotFinite {
        /// The row.
        row: u64,
        /// The coordinate within the row.
        coordinate: usize,
    },

    /// A row is zero and so has no direction.
    #[error("row {row} is zero, so it has no direction to compare")]
    ZeroRow {
        /// The row.
        row: u64,
    },

    /// A CSV field is not a number.
    #[error("row {row}: coordinate {coordinate} is not a number")]
    NotANumber {
        /// The row.
        row: u64,
        /// The coordinate within the row.
        coordinate: usize,
    },

    /// A CSV row has another number of coordinates than the first one.
    #[error("row {row} has {found} coordinates; the first row has {expected}")]
    UnevenRow {
        /// The row.
        row: u64,
        /// Coordinates in this row.
        found: usize,
        /// Coordinates in the first row.
        expected: usize,
    },

    /// A line of a text file is longer than is read.
    #[error("a line is longer than the {MAX_CSV_LINE_BYTES} bytes that are accepted")]
    LineTooLong,

    /// A label is empty, too long or not UTF-8.
    #[error("the label of line {line} is empty, not UTF-8 or longer than {MAX_LABEL_BYTES} bytes")]
    BadLabel {
        /// The line of the label file, from 1.
        line: u64,
    },

    /// A label line does not begin with a row number that is still without a label.
    #[error("line {line} of the labels: expected the number of a row that has no label yet")]
    BadLabelRow {
        /// The line of the label file, from 1.
        line: u64,
    },

    /// There are labels for another number of rows than there are.
    #[error("{labels} labels for {rows} embeddings")]
    LabelCount {
        /// Labels found.
        labels: usize,
        /// Embeddings found.
        rows: usize,
    },

    /// A score lies outside of the range that its tally was made for, or is NaN.
    #[error("a score lies outside of the range that its scale allows")]
    ScoreOutOfRange,

    /// There are no mated comparisons or searches to count errors in.
    #[error("no mated comparisons: at least one subject needs two images")]
    NoMated,

    /// There are no non-mated comparisons or searches to count errors in.
    #[error("no non-mated comparisons: at least two subjects are needed")]
    NoNonMated,

    /// A row of scores has another length than the gallery.
    #[error("{found} scores for a gallery of {expected} references")]
    ScoreCount {
        /// Scores given.
        found: usize,
        /// References enrolled.
        expected: usize,
    },
}
