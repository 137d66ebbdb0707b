//! A plain read of memory.

use std::arch::x86_64::{
    _MM_HINT_T0, _mm_prefetch, _mm512_add_epi64, _mm512_reduce_add_epi64, _mm512_setzero_si512,
};

use super::from_lanes;
use crate::aligned::Lanes;

/// Independent sums.
const CHAINS: usize = 8;

/// How far ahead memory is asked for, in lines.
const PREFETCH_LINES: usize = 32;

/// See `Kernel::sum`.
#[target_feature(enable = "avx512f")]
pub(super) fn sum(lines: &[Lanes]) -> u64 {
    let mut sums = [_mm512_setzero_si512(); CHAINS];
    let (whole, rest) = lines.as_chunks::<CHAINS>();
    for chunk in whole {
        for (sum, line) in sums.iter_mut().zip(chunk) {
            _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(line).wrapping_add(PREFETCH_LINES).cast());
            *sum = _mm512_add_epi64(*sum, from_lanes(&line.0));
        }
    }
    for (sum, line) in sums.iter_mut().zip(rest) {
        *sum = _mm512_add_epi64(*sum, from_lanes(&line.0));
    }
    sums.into_iter().fold(0, |total, sum| total.wrapping_add(_mm512_reduce_add_epi64(sum) as u64))
}
