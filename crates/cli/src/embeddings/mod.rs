//! Embeddings for evaluation: readers for `.npy` and CSV, subject labels, and a synthetic population.
//!
//! A set of embeddings is `rows` vectors of one `dimension`, one per image, stored row after row. They are
//! biometric data in the clear: they are wiped when dropped and never printed.

mod csv;
mod labels;
mod npy;
mod pairs;
mod raw;
mod synthetic;

use std::fmt;

use zeroize::Zeroize;

pub use self::csv::{FirstColumn, read_csv, read_raw_csv};
pub use self::labels::{Labels, read_labels};
pub use self::npy::{read_npy, read_raw_npy};
pub use self::pairs::{MAX_PAIRS, Pair, read_pairs};
pub use self::raw::RawRows;
pub use self::synthetic::synthetic;
use crate::Error;

/// Most rows of one set of embeddings.
pub const MAX_ROWS: u64 = 1 << 24;
/// Most coordinates of one embedding.
pub const MAX_DIMENSION: u64 = 4096;
/// Most coordinates of one set of embeddings, over all rows: 8 GiB of `f32`.
pub const MAX_VALUES: u64 = 1 << 31;
/// Longest header of an `.npy` file that is read, in bytes.
pub const MAX_NPY_HEADER_BYTES: u32 = 65_535;
/// Longest line of a CSV or label file that is read, in bytes.
pub const MAX_CSV_LINE_BYTES: usize = 256 * 1024;
/// Longest label of a subject, in bytes.
pub const MAX_LABEL_BYTES: usize = 256;

/// Finite embeddings of one dimension, at least one.
pub struct Embeddings {
    dimension: usize,
    values: Vec<f32>,
}

impl Embeddings {
    /// Takes `values` as rows of `dimension` coordinates each.
    ///
    /// # Errors
    /// If there is nothing, the last row is not whole, a limit is passed or a coordinate is not finite.
    pub fn new(dimension: usize, values: Vec<f32>) -> Result<Self, Error> {
        // The value wipes `values` on every path out of here.
        let embeddings = Self { dimension, values };
        let values = &embeddings.values;
        if dimension == 0 || values.is_empty() {
            return Err(Error::NoEmbeddings);
        }
        let rows = (values.len() / dimension) as u64;
        if !values.len().is_multiple_of(dimension) {
            return Err(Error::Truncated { row: Some(rows), rows: rows + 1 });
        }
        check_shape(rows, dimension as u64)?;
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            return Err(Error::NotFinite { row: (at / dimension) as u64, coordinate: at % dimension });
        }
        Ok(embeddings)
    }

    /// Coordinates per row.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// Number of rows, at least one.
    #[expect(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(&self) -> usize {
        self.values.len() / self.dimension
    }

    /// Row `index`.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row(&self, index: usize) -> &[f32] {
        &self.values[index * self.dimension..][..self.dimension]
    }

    /// All rows in order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks_exact(self.dimension)
    }

    /// The same directions at Euclidean norm 1, so that inner products are cosines.
    ///
    /// # Errors
    /// If a row is zero.
    pub fn normalised(mut self) -> Result<Self, Error> {
        for (row, values) in self.values.chunks_exact_mut(self.dimension).enumerate() {
            let norm = values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
            if norm == 0.0 {
                return Err(Error::ZeroRow { row: row as u64 });
            }
            for value in values {
                *value = (f64::from(*value) / norm) as f32;
            }
        }
        Ok(self)
    }
}

impl Drop for Embeddings {
    fn drop(&mut self) {
        self.values.zeroize();
    }
}

impl fmt::Debug for Embeddings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embeddings")
            .field("rows", &self.len())
            .field("dimension", &self.dimension)
            .finish_non_exhaustive()
    }
}

/// Embeddings and the subject that each row shows.
#[derive(Debug)]
pub struct LabelledEmbeddings {
    embeddings: Embeddings,
    labels: Labels,
}

impl LabelledEmbeddings {
    /// Joins rows and labels.
    ///
    /// # Errors
    /// If there are not as many labels as rows.
    pub fn new(embeddings: Embeddings, labels: Labels) -> Result<Self, Error> {
        if embeddings.len() != labels.len() {
            return Err(Error::LabelCount { labels: labels.len(), rows: embeddings.len() });
        }
        Ok(Self { embeddings, labels })
    }

    /// The rows.
    pub fn embeddings(&self) -> &Embeddings {
        &self.embeddings
    }

    /// The subject of each row.
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// The same with every row at Euclidean norm 1; see [`Embeddings::normalised`].
    pub fn normalised(self) -> Result<Self, Error> {
        Ok(Self { embeddings: self.embeddings.normalised()?, labels: self.labels })
    }
}

/// Checks the limits on a set of embeddings; comes before any memory is reserved for it.
fn check_shape(rows: u64, dimension: u64) -> Result<(), Error> {
    if rows > MAX_ROWS {
        return Err(Error::TooManyRows);
    }
    if dimension > MAX_DIMENSION {
        return Err(Error::DimensionTooLarge { found: dimension });
    }
    if rows * dimension > MAX_VALUES {
        return Err(Error::TooManyValues { rows, dimension });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_beyond_the_limits_are_refused_by_name() {
        assert!(check_shape(MAX_VALUES / MAX_DIMENSION, MAX_DIMENSION).is_ok());
        assert!(matches!(check_shape(MAX_ROWS + 1, 1), Err(Error::TooManyRows)));
        assert!(matches!(check_shape(1, 4097), Err(Error::DimensionTooLarge { found: 4097 })));
        assert!(matches!(check_shape(MAX_ROWS, MAX_DIMENSION), Err(Error::TooManyValues { .. })));
    }

    #[test]
    fn rows_that_cannot_be_compared_are_named() {
        let bad = Embeddings::new(2, vec![0.0, 1.0, 2.0, f32::NAN]).unwrap_err();
        assert_eq!(bad.to_string(), "row 1: coordinate 1 is not finite");
        let zero = Embeddings::new(2, vec![3.0, 4.0, 0.0, 0.0]).unwrap().normalised().unwrap_err();
        assert_eq!(zero.to_string(), "row 1 is zero, so it has no direction to compare");
        assert!(matches!(Embeddings::new(2, vec![]), Err(Error::NoEmbeddings)));
        assert!(matches!(Embeddings::new(2, vec![1.0; 3]), Err(Error::Truncated { row: Some(1), .. })));
    }

    #[test]
    fn normalising_keeps_the_direction() {
        let rows = Embeddings::new(2, vec![3.0, 4.0, -0.5, 0.0]).unwrap().normalised().unwrap();
        assert_eq!(rows.row(0), [0.6, 0.8]);
        assert_eq!(rows.row(1), [-1.0, 0.0]);
    }

    #[test]
    fn debug_output_shows_sizes_only() {
        let rows = Embeddings::new(2, vec![3.25, 4.75]).unwrap();
        assert_eq!(format!("{rows:?}"), "Embeddings { rows: 1, dimension: 2, .. }");
    }
}
