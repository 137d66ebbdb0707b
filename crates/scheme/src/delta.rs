//! Deltas: what turns a pad into a template or a probe.

use crate::Error;
use crate::layout::Layout;
use crate::params::{T, centre_t};
use tyto_kernels::{Poly, modq};

/// `value - pad mod t` for each coordinate of the padded dimension, each in `[0, t)`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delta(Box<[u16]>);

impl Delta {
    /// Takes values of the padded dimension.
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::DeltaRange`].
    pub fn new(layout: &Layout, values: Vec<u16>) -> Result<Self, Error> {
        if values.len() != layout.padded_dimension() {
            let (found, expected) = (2 * values.len(), layout.delta_bytes());
            return Err(Error::Length { what: "delta", found, expected });
        }
        match values.iter().position(|&value| u64::from(value) >= T) {
            Some(index) => Err(Error::DeltaRange { index, value: values[index], t: T as u16 }),
            None => Ok(Self(values.into())),
        }
    }

    /// Parses two bytes little-endian per coordinate.
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::DeltaRange`].
    pub fn from_bytes(layout: &Layout, bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() != layout.delta_bytes() {
            let (found, expected) = (bytes.len(), layout.delta_bytes());
            return Err(Error::Length { what: "delta", found, expected });
        }
        Self::new(layout, bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect())
    }

    /// Two bytes little-endian per coordinate.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    /// The values, each in `[0, t)`.
    pub fn values(&self) -> &[u16] {
        &self.0
    }

    /// Adds the delta, centred, to a slot of a block's polynomials (or of zero polynomials, to get the change
    /// alone). `polynomials` has one entry per chunk.
    pub fn add_to_block(&self, layout: &Layout, slot: u16, polynomials: &mut [Poly]) {
        self.for_each(|coordinate, delta| {
            let (chunk, index) = layout.gallery_position(slot, coordinate);
            let coefficient = &mut polynomials[chunk].as_mut_slice()[index];
            *coefficient = modq::add(*coefficient, modq::from_i64(delta));
        });
    }

    /// The same with the opposite sign: takes a removed template out of a block.
    pub fn subtract_from_block(&self, layout: &Layout, slot: u16, polynomials: &mut [Poly]) {
        self.for_each(|coordinate, delta| {
            let (chunk, index) = layout.gallery_position(slot, coordinate);
            let coefficient = &mut polynomials[chunk].as_mut_slice()[index];
            *coefficient = modq::sub(*coefficient, modq::from_i64(delta));
        });
    }

    /// Adds the delta, centred and with the sign of its place, to a query's polynomials.
    pub fn add_to_query(&self, layout: &Layout, polynomials: &mut [Poly]) {
        for (chunk, polynomial) in polynomials.iter_mut().enumerate() {
            self.add_chunk_to_query(layout, chunk, polynomial);
        }
    }

    /// [`Delta::add_to_query`] for one polynomial of the query.
    ///
    /// # Panics
    /// If there is no such chunk.
    pub fn add_chunk_to_query(&self, layout: &Layout, chunk: usize, polynomial: &mut Poly) {
        let first = chunk * layout.stride();
        for (coordinate, &value) in (first..).zip(&self.0[first..first + layout.stride()]) {
            let (_, index, negated) = layout.query_position(coordinate);
            let delta = i64::from(centre_t(value));
            let coefficient = &mut polynomial.as_mut_slice()[index];
            *coefficient = modq::add(*coefficient, modq::from_i64(if negated { -delta } else { delta }));
        }
    }

    fn for_each(&self, mut place: impl FnMut(usize, i64)) {
        for (coordinate, &value) in self.0.iter().enumerate() {
            place(coordinate, i64::from(centre_t(value)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ParameterSet;
    use tyto_kernels::{N, Q};

    #[test]
    fn deltas_out_of_range_or_of_the_wrong_length_are_refused() {
        let layout = Layout::new(ParameterSet::Exact41, 3, 4).unwrap();
        assert_eq!(layout.padded_dimension(), 4);
        assert!(Delta::new(&layout, vec![0, 2038, 5, 0]).is_ok());
        assert_eq!(
            Delta::new(&layout, vec![0, 1, 2039, 0]),
            Err(Error::DeltaRange { index: 2, value: 2039, t: 2039 })
        );
        assert!(matches!(
            Delta::from_bytes(&layout, &[0; 7]),
            Err(Error::Length { found: 7, expected: 8, .. })
        ));
        let delta = Delta::from_bytes(&layout, &[1, 0, 2, 0, 0xf6, 7, 0, 0]).unwrap();
        assert_eq!(delta.values(), [1, 2, 2038, 0]);
        assert_eq!(delta.to_bytes(), [1, 0, 2, 0, 0xf6, 7, 0, 0]);
    }

    #[test]
    fn a_delta_lands_on_its_slot_and_comes_off_again() {
        let layout = Layout::new(ParameterSet::Exact41, 4, 2).unwrap();
        let delta = Delta::new(&layout, vec![1, 2038, 0, 1019]).unwrap();
        let mut block = vec![Poly::zero(); 2];
        delta.add_to_block(&layout, 5, &mut block);
        assert_eq!(block[0].as_slice()[10..12], [1, Q - 1]);
        assert_eq!(block[1].as_slice()[10..12], [0, 1019]);
        delta.subtract_from_block(&layout, 5, &mut block);
        assert!(block.iter().all(|p| p.as_slice().iter().all(|&c| c == 0)));
        delta.add_to_query(&layout, &mut block);
        assert_eq!(
            (block[0].as_slice()[0], block[0].as_slice()[N - 1], block[1].as_slice()[N - 1]),
            (1, 1, Q - 1019)
        );
    }
}
