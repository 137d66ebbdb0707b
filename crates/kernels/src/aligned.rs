//! Memory in whole cache lines, so that SIMD loads are aligned and a row never shares its first line.

use crate::LANES;

/// One cache line of coefficients: one SIMD register.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(C, align(64))]
pub(crate) struct Lanes(pub(crate) [u64; LANES]);

/// Bytes of a cache line.
pub(crate) const LINE_BYTES: usize = 64;

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; LINE_BYTES]);

/// A heap buffer of bytes, zeroed, aligned to 64 bytes and a multiple of 64 bytes long.
#[derive(Clone)]
pub(crate) struct AlignedBytes(Vec<Line>);

impl AlignedBytes {
    pub(crate) fn zeroed(min_bytes: usize) -> Self {
        Self(vec![Line([0; LINE_BYTES]); min_bytes.div_ceil(LINE_BYTES)])
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        // SAFETY: `Line` is 64 bytes of plain `u8` without padding, so the vector's elements are one run of
        // `len * 64` initialised bytes, borrowed as long as `self` is.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), self.0.len() * LINE_BYTES) }
    }

    pub(crate) fn as_bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `as_bytes`; `&mut self` makes the borrow unique, and every byte value is a valid `Line`.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), self.0.len() * LINE_BYTES) }
    }

    /// The whole buffer, in little-endian words.
    pub(crate) fn as_lanes(&self) -> &[Lanes] {
        // SAFETY: `Line` and `Lanes` have the same size and alignment and no padding, every byte pattern is valid
        // for both, and the borrow lasts as long as `self`'s.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), self.0.len()) }
    }
}
