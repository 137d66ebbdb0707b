//! Rows as a file has them.

use std::fmt;

use zeroize::Zeroizing;

use super::{Embeddings, check_shape};
use crate::Error;

/// Rows of one dimension, at least one, whose coordinates may be anything that a float can be. Wiped on drop.
///
/// Commands that use some rows of a file judge those rows alone, by the quantiser of the gallery.
pub struct RawRows {
    dimension: usize,
    values: Zeroizing<Vec<f32>>,
}

impl RawRows {
    /// Takes `values` as rows of `dimension` coordinates each.
    ///
    /// # Errors
    /// If there is nothing, the last row is not whole or a limit is passed.
    pub(super) fn new(dimension: usize, values: Zeroizing<Vec<f32>>) -> Result<Self, Error> {
        if dimension == 0 || values.is_empty() {
            return Err(Error::NoEmbeddings);
        }
        let rows = (values.len() / dimension) as u64;
        if !values.len().is_multiple_of(dimension) {
            return Err(Error::Truncated { row: Some(rows), rows: rows + 1 });
        }
        check_shape(rows, dimension as u64)?;
        Ok(Self { dimension, values })
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

    /// Row `index`, whatever it holds.
    ///
    /// # Errors
    /// [`Error::NoSuchRow`].
    pub fn row(&self, index: usize) -> Result<&[f32], Error> {
        let mut rows = self.values.chunks_exact(self.dimension);
        rows.nth(index).ok_or(Error::NoSuchRow { row: index, rows: self.len() })
    }

    /// All rows, if each is finite.
    ///
    /// # Errors
    /// [`Error::NotFinite`] with the first row that is not.
    pub fn into_embeddings(mut self) -> Result<Embeddings, Error> {
        Embeddings::new(self.dimension, std::mem::take(&mut self.values))
    }
}

impl fmt::Debug for RawRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawRows")
            .field("rows", &self.len())
            .field("dimension", &self.dimension)
            .finish_non_exhaustive()
    }
}
