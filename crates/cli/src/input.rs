//! Embeddings and rows as commands name them.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::ValueEnum;
use serde::{Serialize, Serializer};
use tyto_client::tenant::{Error as TenantError, Quantiser, Template};

use crate::Error;
use crate::embeddings::{
    FirstColumn, LabelledEmbeddings, Labels, Pair, RawRows, read_labels, read_pairs, read_raw_csv,
    read_raw_npy,
};

/// First bytes of an `.npy` file.
const NPY_MAGIC: &[u8] = b"\x93NUMPY";

/// A file of embeddings.
#[derive(Clone, Debug, clap::Args)]
pub struct EmbeddingsArgs {
    /// Embeddings, one per row: `.npy` (floats, two axes) or CSV.
    #[arg(long, value_name = "FILE")]
    pub embeddings: PathBuf,
    /// What the first column of a CSV file is.
    #[arg(long, value_name = "WHAT", default_value = "detect")]
    pub first_column: FirstColumnArg,
}

/// [`FirstColumn`] as an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FirstColumnArg {
    /// A label if its heading or its content says so.
    Detect,
    /// The subject of the row.
    Label,
    /// A coordinate.
    Coordinate,
}

impl From<FirstColumnArg> for FirstColumn {
    fn from(argument: FirstColumnArg) -> Self {
        match argument {
            FirstColumnArg::Detect => Self::Detect,
            FirstColumnArg::Label => Self::Label,
            FirstColumnArg::Coordinate => Self::Coordinate,
        }
    }
}

impl EmbeddingsArgs {
    /// Reads the file: its rows, and the labels of its first column.
    ///
    /// # Errors
    /// [`Error::InFile`].
    pub fn read(&self) -> Result<(RawRows, Option<Labels>), Error> {
        let path = &self.embeddings;
        let read = || {
            let mut reader = BufReader::new(File::open(path)?);
            let is_npy = reader.fill_buf()?.starts_with(NPY_MAGIC);
            if is_npy || path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("npy")) {
                return Ok((read_raw_npy(reader)?, None));
            }
            read_raw_csv(reader, self.first_column.into())
        };
        read().map_err(Error::in_file(path))
    }

    /// Reads the rows for a gallery of a dimension.
    ///
    /// # Errors
    /// [`Error::InFile`], also for another dimension.
    pub fn read_for(&self, quantiser: &Quantiser) -> Result<(RawRows, Option<Labels>), Error> {
        let (rows, labels) = self.read()?;
        let (found, expected) = (rows.dimension(), quantiser.dimension());
        if found == expected {
            return Ok((rows, labels));
        }
        Err(Error::in_file(&self.embeddings)(Error::FileDimension { found, expected }))
    }

    /// Reads all rows with their labels, for an evaluation.
    ///
    /// # Errors
    /// [`Error::InFile`], [`Error::NoLabels`].
    pub fn read_labelled(&self, labels: Option<&Path>) -> Result<LabelledEmbeddings, Error> {
        let (rows, own) = self.read()?;
        let labels = match labels {
            Some(path) => read_label_file(path)?,
            None => own.ok_or(Error::NoLabels)?,
        };
        let joined = rows.into_embeddings().and_then(|rows| LabelledEmbeddings::new(rows, labels));
        joined.map_err(Error::in_file(&self.embeddings))
    }

    /// Quantises one row.
    ///
    /// # Errors
    /// [`Error::InFile`] with [`Error::NoSuchRow`] or [`Error::BadRows`].
    pub fn template(&self, rows: &RawRows, row: usize, quantiser: &Quantiser) -> Result<Template, Error> {
        let quantise = |values| {
            quantiser.quantise(values).map_err(|reason| Error::BadRows { rows: vec![BadRow { row, reason }] })
        };
        rows.row(row).and_then(quantise).map_err(Error::in_file(&self.embeddings))
    }
}

/// Reads a label file.
///
/// # Errors
/// [`Error::InFile`].
pub fn read_label_file(path: &Path) -> Result<Labels, Error> {
    let file = File::open(path).map_err(Error::from);
    file.and_then(|file| read_labels(BufReader::new(file))).map_err(Error::in_file(path))
}

/// Reads a file of pairs of rows.
///
/// # Errors
/// [`Error::InFile`].
pub fn read_pairs_file(path: &Path, rows: usize) -> Result<Vec<Pair>, Error> {
    let file = File::open(path).map_err(Error::from);
    file.and_then(|file| read_pairs(BufReader::new(file), rows)).map_err(Error::in_file(path))
}

/// A row that cannot be a template.
#[derive(Debug, Serialize)]
pub struct BadRow {
    /// The row, from 0.
    pub row: usize,
    /// Why.
    #[serde(serialize_with = "as_text")]
    pub reason: TenantError,
}

fn as_text<S: Serializer>(reason: &TenantError, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(reason)
}

/// Rows of a file: `0-9,15,20-29`, ends included, from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowSelection(Vec<(usize, usize)>);

/// Why a selection of rows is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected rows such as 0-9,15,20-29")]
pub struct RowSelectionError;

impl FromStr for RowSelection {
    type Err = RowSelectionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |text: &str| text.trim().parse::<usize>().map_err(|_| RowSelectionError);
        let range = |part: &str| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (number(first)?, number(last)?);
            if first <= last { Ok((first, last)) } else { Err(RowSelectionError) }
        };
        text.split(',').map(range).collect::<Result<_, _>>().map(Self)
    }
}

impl RowSelection {
    /// The rows in the order in which they were named.
    ///
    /// # Errors
    /// [`Error::NoSuchRow`].
    pub fn rows(&self, count: usize) -> Result<Vec<usize>, Error> {
        match self.0.iter().find(|range| range.1 >= count) {
            Some(&(_, row)) => Err(Error::NoSuchRow { row, rows: count }),
            None => Ok(self.0.iter().flat_map(|&(first, last)| first..=last).collect()),
        }
    }
}

/// A threshold, in one of two units.
#[derive(Clone, Copy, Debug, clap::Args)]
#[group(multiple = false)]
pub struct ThresholdArgs {
    /// The least value that matches, in the unit of the gallery's metric (cosine or inner product).
    #[arg(long, value_name = "T", value_parser = finite, allow_negative_numbers = true)]
    pub threshold: Option<f64>,
    /// The least score that matches, in score steps: the inner product of the quantised vectors, -1019 to 1019.
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    pub threshold_score: Option<i32>,
}

impl ThresholdArgs {
    /// The threshold in score steps, if one was given.
    pub fn score(&self, quantiser: &Quantiser) -> Option<i32> {
        self.threshold_score.or_else(|| self.threshold.map(|value| quantiser.threshold(value)))
    }
}

/// Parses a finite number.
///
/// # Errors
/// What is wrong, in words.
pub fn finite(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|value: &f64| value.is_finite())
        .ok_or_else(|| "expected a finite number".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use tyto_client::tenant::Metric;

    #[test]
    fn rows_are_selected_by_numbers_and_ranges() {
        let rows = |text: &str, count| text.parse::<RowSelection>().unwrap().rows(count);
        assert_eq!(rows("0-2,7,4", 8).unwrap(), [0, 1, 2, 7, 4]);
        assert!(matches!(rows("0-8", 8), Err(Error::NoSuchRow { row: 8, rows: 8 })));
        for text in ["", "3-1", "1,,2", "a", "-1", "1-"] {
            assert_eq!(text.parse::<RowSelection>(), Err(RowSelectionError), "{text:?}");
        }
    }

    #[test]
    fn thresholds_are_rounded_up_to_score_steps() {
        let quantiser = Quantiser::new(Metric::Cosine, 4).unwrap();
        let of = |threshold, threshold_score| ThresholdArgs { threshold, threshold_score }.score(&quantiser);
        assert_eq!((of(Some(0.5), None), of(None, Some(-3)), of(None, None)), (Some(481), Some(-3), None));
    }

    #[test]
    fn only_the_rows_that_are_used_must_be_good() {
        let mut file = tempfile::Builder::new().suffix(".csv").tempfile().unwrap();
        file.write_all(b"1,2\nnan,1\n0,0\n").unwrap();
        let embeddings =
            EmbeddingsArgs { embeddings: file.path().to_owned(), first_column: FirstColumnArg::Detect };
        let quantiser = Quantiser::new(Metric::Cosine, 2).unwrap();
        let (rows, _) = embeddings.read_for(&quantiser).unwrap();
        assert!(embeddings.template(&rows, 0, &quantiser).is_ok());
        for (row, text) in
            [(1, "row 1: coordinate 0 is not"), (2, "row 2: the vector is zero"), (3, "no row 3")]
        {
            let error = embeddings.template(&rows, row, &quantiser).unwrap_err().describe();
            assert!(error.contains(text), "{error}");
        }
        let other = Quantiser::new(Metric::Cosine, 3).unwrap();
        let error = embeddings.read_for(&other).unwrap_err().describe();
        assert!(error.ends_with("the embeddings have 2 coordinates, the gallery wants 3"), "{error}");
    }
}
