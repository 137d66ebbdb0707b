//! Whole cache lines, so that SIMD loads are aligned.

use crate::LANES;

/// One cache line of coefficients: one SIMD register.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(C, align(64))]
pub(crate) struct Lanes(pub(crate) [u64; LANES]);

/// Bytes of a cache line.
pub(crate) const LINE_BYTES: usize = 64;
