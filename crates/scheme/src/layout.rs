//! Where a template's coordinates lie in the polynomials of a block and of a query.

use crate::Error;
use crate::bound::{MAX_FAILURE_LOG2, REPLY_BITS, failure_log2};
use crate::params::{MAX_DIMENSION, ParameterSet};
use tyto_kernels::{N, PACKED_POLY_BYTES};

/// The layout of a gallery: dimension `d`, stride `k`, and what follows from them. It exists only if the noise
/// bound holds (see [`crate::bound`]).
///
/// Slot `i`, coordinate `c*k + v` sits at coefficient `i*k + v` of polynomial `c` of a block, and coordinate
/// `c*k + v` of a probe at coefficient 0 (`v = 0`) or, negated, at `N - v` of polynomial `c` of the query, so that
/// coefficient `i*k` of the product is the inner product of slot `i`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Layout {
    set: ParameterSet,
    dimension: u16,
    stride: u16,
    reply_bits: u8,
}

impl Layout {
    /// Checks a dimension and a stride and chooses the narrowest safe reply.
    ///
    /// # Errors
    /// [`Error::Dimension`], [`Error::Stride`], or [`Error::Unsafe`] if a score could fail with more than 2^-128.
    pub fn new(set: ParameterSet, dimension: u32, stride: u32) -> Result<Self, Error> {
        let max = u32::from(MAX_DIMENSION);
        if dimension == 0 || dimension > max {
            return Err(Error::Dimension { found: dimension, max });
        }
        let max = dimension.next_power_of_two().min(N as u32);
        if !stride.is_power_of_two() || stride > max {
            return Err(Error::Stride { found: stride, max });
        }
        let (dimension, stride) = (dimension as u16, stride as u16);
        let chunks = usize::from(dimension).div_ceil(usize::from(stride));
        let mut log2 = 0.0;
        for reply_bits in REPLY_BITS {
            log2 = failure_log2(chunks, usize::from(stride), reply_bits);
            if log2 <= MAX_FAILURE_LOG2 {
                return Ok(Self { set, dimension, stride, reply_bits });
            }
        }
        Err(Error::Unsafe { dimension, stride, log2: log2 as i32 })
    }

    /// The identification layout: one coordinate per polynomial, 2048 templates in a block.
    pub fn identification(set: ParameterSet, dimension: u32) -> Result<Self, Error> {
        Self::new(set, dimension, 1)
    }

    /// The verification layout: as much of a template in one polynomial as fits.
    pub fn verification(set: ParameterSet, dimension: u32) -> Result<Self, Error> {
        Self::new(set, dimension, dimension.next_power_of_two().min(N as u32))
    }

    /// The parameter set.
    pub fn parameter_set(&self) -> ParameterSet {
        self.set
    }

    /// Coordinates of a template, `d`.
    pub fn dimension(&self) -> usize {
        usize::from(self.dimension)
    }

    /// Coordinates of a template per polynomial, `k`.
    pub fn stride(&self) -> usize {
        usize::from(self.stride)
    }

    /// Polynomials of a block or of a query, `C`.
    pub fn chunks(&self) -> usize {
        self.dimension().div_ceil(self.stride())
    }

    /// The dimension padded with zero coordinates to a multiple of the stride.
    pub fn padded_dimension(&self) -> usize {
        self.chunks() * self.stride()
    }

    /// Templates in a block, `N / k`.
    pub fn slots(&self) -> usize {
        N / self.stride()
    }

    /// Bits kept of each reply coefficient.
    pub fn reply_bits(&self) -> u8 {
        self.reply_bits
    }

    /// log2 of the bound on one score's failure probability.
    pub fn failure_log2(&self) -> f64 {
        failure_log2(self.chunks(), self.stride(), self.reply_bits)
    }

    /// Bytes of the polynomials of a block or of one query.
    pub fn polynomials_bytes(&self) -> usize {
        self.chunks() * PACKED_POLY_BYTES
    }

    /// Bytes of a delta.
    pub fn delta_bytes(&self) -> usize {
        2 * self.padded_dimension()
    }

    /// Bytes of a block's compressed reply.
    pub fn reply_bytes(&self) -> usize {
        (self.slots() * usize::from(self.reply_bits)).div_ceil(8)
    }

    /// Checks a slot number.
    pub fn check_slot(&self, slot: u32) -> Result<u16, Error> {
        let slots = self.slots() as u32;
        if slot < slots { Ok(slot as u16) } else { Err(Error::Slot { slot, slots }) }
    }

    /// The polynomial and the coefficient of a coordinate of a slot in a block.
    pub fn gallery_position(&self, slot: u16, coordinate: usize) -> (usize, usize) {
        let k = self.stride();
        (coordinate / k, usize::from(slot) * k + coordinate % k)
    }

    /// The polynomial and the coefficient of a probe's coordinate in a query, and whether it is negated there.
    pub fn query_position(&self, coordinate: usize) -> (usize, usize, bool) {
        let (chunk, v) = (coordinate / self.stride(), coordinate % self.stride());
        if v == 0 { (chunk, 0, false) } else { (chunk, N - v, true) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(d: u32, k: u32) -> Result<Layout, Error> {
        Layout::new(ParameterSet::Exact41, d, k)
    }

    #[test]
    fn layouts_of_the_design_have_its_sizes() {
        let identification = layout(128, 1).unwrap();
        assert_eq!(
            (identification.chunks(), identification.slots(), identification.reply_bits()),
            (128, 2048, 14)
        );
        assert_eq!(identification.polynomials_bytes() / identification.slots(), 656);
        assert_eq!(identification.reply_bytes(), 3584);
        let verification = Layout::verification(ParameterSet::Exact41, 128).unwrap();
        assert_eq!((verification.chunks(), verification.slots()), (1, 16));
        assert_eq!(layout(1536, 1).unwrap().reply_bits(), 16);
    }

    #[test]
    fn what_is_not_safe_is_refused() {
        assert!(matches!(layout(2048, 1), Err(Error::Unsafe { log2: -99, .. })));
        assert!(matches!(layout(4096, 2), Err(Error::Unsafe { .. })));
        assert!(layout(2048, 2).is_ok() && layout(4096, 4).is_ok());
        assert_eq!(layout(0, 1), Err(Error::Dimension { found: 0, max: 4096 }));
        assert_eq!(layout(4097, 4), Err(Error::Dimension { found: 4097, max: 4096 }));
        assert_eq!(layout(128, 256), Err(Error::Stride { found: 256, max: 128 }));
        assert_eq!(layout(128, 3), Err(Error::Stride { found: 3, max: 128 }));
        assert_eq!(layout(128, 0), Err(Error::Stride { found: 0, max: 128 }));
    }

    #[test]
    fn a_dimension_that_the_stride_does_not_divide_is_padded() {
        let layout = layout(100, 16).unwrap();
        assert_eq!((layout.chunks(), layout.padded_dimension(), layout.slots()), (7, 112, 128));
    }
}
