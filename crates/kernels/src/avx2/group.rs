//! The match kernel: one group of eight values of one block, and some queries.

use std::arch::x86_64::{
    __m256i, _MM_HINT_T0, _mm_loadu_si128, _mm_prefetch, _mm256_add_epi64, _mm256_and_si256,
    _mm256_castsi128_si256, _mm256_inserti128_si256, _mm256_set1_epi64x, _mm256_setr_epi8,
    _mm256_setr_epi64x, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_srlv_epi64,
};

use super::{Sums, WIDTH, from_lanes, to_lanes};
use crate::aligned::{LINE_BYTES, Lanes};
use crate::packed::MAX_POLYNOMIALS;
use crate::{GROUP_BYTES, LANES, Q_BITS};

/// Polynomials whose values are kept in L1 while the queries pass by.
const CHUNK: usize = 32;

/// One block of `Kernel::match_group`.
#[target_feature(enable = "avx2")]
pub(super) fn multiply<const P: usize>(
    packed: &[u8],
    queries: [&[Lanes]; P],
    ahead: usize,
    sums: [&mut [u64; LANES]; P],
) {
    let count = queries[0].len();
    assert!(count <= MAX_POLYNOMIALS && queries.iter().all(|query| query.len() == count));
    assert!(packed.len() >= count * GROUP_BYTES + LINE_BYTES - GROUP_BYTES);
    let mut wide = [[Sums::zero(); 2]; P];
    let mut values = [[_mm256_setzero_si256(); 2]; CHUNK];
    for first in (0..count).step_by(CHUNK) {
        let chunk = CHUNK.min(count - first);
        for (values, c) in values[..chunk].iter_mut().zip(first..) {
            let from = packed.as_ptr().wrapping_add(c * GROUP_BYTES);
            _mm_prefetch::<_MM_HINT_T0>(from.wrapping_add(ahead).cast());
            // SAFETY: `c` is below `count`, so that there are 64 bytes from there on, as asserted.
            *values = unsafe { unpack(from) };
        }
        for (wide, query) in wide.iter_mut().zip(queries) {
            let [mut front, mut back] = *wide;
            for (values, factors) in values[..chunk].iter().zip(&query[first..]) {
                let [factors_front, factors_back] = halves(&factors.0);
                front.add_product(values[0], factors_front);
                back.add_product(values[1], factors_back);
            }
            *wide = [front, back];
        }
    }
    for (sums, [front, back]) in sums.into_iter().zip(wide) {
        let [sums_front, sums_back] = halves(sums);
        let halves = sums.as_chunks_mut::<WIDTH>().0;
        halves[0] = to_lanes(front.reduce(sums_front));
        halves[1] = to_lanes(back.reduce(sums_back));
    }
}

/// Eight values in two registers.
#[inline]
#[target_feature(enable = "avx2")]
fn halves(lanes: &[u64; LANES]) -> [__m256i; 2] {
    let halves = lanes.as_chunks().0;
    [from_lanes(&halves[0]), from_lanes(&halves[1])]
}

/// The eight values whose 41 bytes begin at `from`.
///
/// # Safety
///
/// There are 64 bytes from there on.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn unpack(from: *const u8) -> [__m256i; 2] {
    // Value `j` begins at bit `j` of byte `5 j`. Two values share the 16 bytes from byte `10 i` on.
    let load = |byte: usize| {
        // SAFETY: the caller's promise; the last load ends at byte 46.
        unsafe { _mm_loadu_si128(from.wrapping_add(byte).cast()) }
    };
    let pair =
        |byte: usize| _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(load(byte)), load(byte + 10));
    let spread = _mm256_setr_epi8(
        0, 1, 2, 3, 4, 5, 6, 7, 5, 6, 7, 8, 9, 10, 11, 12, 0, 1, 2, 3, 4, 5, 6, 7, 5, 6, 7, 8, 9, 10, 11, 12,
    );
    let mask = _mm256_set1_epi64x((1 << Q_BITS) - 1);
    let values = |bytes: __m256i, shifts: __m256i| {
        _mm256_and_si256(_mm256_srlv_epi64(_mm256_shuffle_epi8(bytes, spread), shifts), mask)
    };
    [values(pair(0), _mm256_setr_epi64x(0, 1, 2, 3)), values(pair(20), _mm256_setr_epi64x(4, 5, 6, 7))]
}

/// See `Kernel::sum`.
#[target_feature(enable = "avx2")]
pub(super) fn sum(lines: &[Lanes]) -> u64 {
    /// How far ahead memory is asked for, in lines.
    const PREFETCH_LINES: usize = 32;
    /// Lines that are summed apart.
    const CHAINS: usize = 4;
    let mut sums = [[_mm256_setzero_si256(); 2]; CHAINS];
    let (whole, rest) = lines.as_chunks::<CHAINS>();
    for chunk in whole {
        for (sums, line) in sums.iter_mut().zip(chunk) {
            _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(line).wrapping_add(PREFETCH_LINES).cast());
            let [front, back] = halves(&line.0);
            *sums = [_mm256_add_epi64(sums[0], front), _mm256_add_epi64(sums[1], back)];
        }
    }
    let mut total = rest.iter().flat_map(|line| line.0).fold(0, u64::wrapping_add);
    for sum in sums.as_flattened() {
        total = to_lanes(*sum).into_iter().fold(total, u64::wrapping_add);
    }
    total
}
