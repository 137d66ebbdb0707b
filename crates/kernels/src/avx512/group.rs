//! The match kernel: one group of eight values of some blocks and queries.

use std::arch::x86_64::{
    __m512i, _MM_HINT_T0, _mm_prefetch, _mm512_add_epi64, _mm512_and_si512, _mm512_loadu_si512,
    _mm512_madd52hi_epu64, _mm512_madd52lo_epu64, _mm512_permutexvar_epi8, _mm512_set1_epi64,
    _mm512_setzero_si512, _mm512_slli_epi64, _mm512_srlv_epi64,
};

use super::{canonical, fold, from_bytes, from_lanes, times_2_41, to_lanes};
use crate::aligned::{LINE_BYTES, Lanes};
use crate::packed::MAX_POLYNOMIALS;
use crate::{GROUP_BYTES, LANES, Q_BITS};

/// Value `j` begins at bit `j` of byte `5 j`: lane `j` takes the eight bytes from there.
pub(super) const SPREAD: [u8; LINE_BYTES] = {
    let mut index = [0; LINE_BYTES];
    let mut i = 0;
    while i < LINE_BYTES {
        index[i] = (5 * (i / 8) + i % 8) as u8;
        i += 1;
    }
    index
};
pub(super) const SHIFTS: Lanes = Lanes([0, 1, 2, 3, 4, 5, 6, 7]);

/// Polynomials that one round of the loop takes: their 164 bytes are a little more than two and a half lines.
const ROUND: usize = 4;

// A low half grows by less than 2^52 per term and a high half by less than 2^30 (products are below 2^82): from
// values below Q on, the sums stay below 2^63 + 2^41 and 2^41, which `reduce` relies on, without any reduction on
// the way.
const _: () = assert!(MAX_POLYNOMIALS <= 1 << 11 && 2 * Q_BITS - 52 + 11 <= 41);

/// See `Kernel::match_group`. `K` sums take turns for each block and query, so that a multiply-add need not wait
/// for the one before it.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512ifma")]
pub(super) fn match_group<const B: usize, const P: usize, const K: usize>(
    blocks: [&[u8]; B],
    queries: [&[Lanes]; P],
    ahead: usize,
    sums: [[&mut [u64; LANES]; P]; B],
) {
    let count = queries[0].len();
    assert!(count <= MAX_POLYNOMIALS && queries.iter().all(|query| query.len() == count));
    assert!(blocks.iter().all(|block| block.len() >= count * GROUP_BYTES + LINE_BYTES - GROUP_BYTES));
    let (blocks, queries) = (blocks.map(<[u8]>::as_ptr), queries.map(<[Lanes]>::as_ptr));
    let (spread, shifts) = (from_bytes(&SPREAD), from_lanes(&SHIFTS.0));
    let mask = _mm512_set1_epi64((1 << Q_BITS) - 1);
    let zero = _mm512_setzero_si512();
    let (mut low, mut high) = ([[[zero; K]; P]; B], [[[zero; K]; P]; B]);
    for (low, sums) in low.as_flattened_mut().iter_mut().zip(sums.as_flattened()) {
        low[0] = from_lanes(sums);
    }

    // A macro, since a closure with two callers would be a call, and its sums in memory.
    macro_rules! step {
        ($chain:expr, $c:expr, $prefetched:expr) => {
            let mut values = [zero; B];
            for b in 0..B {
                let from = blocks[b].wrapping_add(usize::wrapping_mul($c, GROUP_BYTES));
                if $prefetched {
                    _mm_prefetch::<_MM_HINT_T0>(from.wrapping_add(ahead).cast());
                }
                // SAFETY: `c` is below `count`, so that the block has 64 bytes from there on, as asserted.
                let bytes = unsafe { _mm512_loadu_si512(from.cast()) };
                let spread = _mm512_permutexvar_epi8(spread, bytes);
                values[b] = _mm512_and_si512(_mm512_srlv_epi64(spread, shifts), mask);
            }
            for p in 0..P {
                // SAFETY: `c` is below `count`, so that the query has this entry, as asserted.
                let q = unsafe { _mm512_loadu_si512(queries[p].wrapping_add($c).cast()) };
                for b in 0..B {
                    low[b][p][$chain] = _mm512_madd52lo_epu64(low[b][p][$chain], values[b], q);
                    high[b][p][$chain] = _mm512_madd52hi_epu64(high[b][p][$chain], values[b], q);
                }
            }
        };
    }
    let whole = count / ROUND * ROUND;
    for first in (0..whole).step_by(ROUND) {
        for i in 0..ROUND {
            // Three prefetches reach every line of the round.
            step!(i % K, first.wrapping_add(i), i != 2);
        }
    }
    for c in whole..count {
        step!(0, c, true);
    }

    for ((sums, low), high) in sums.into_iter().flatten().zip(low.as_flattened()).zip(high.as_flattened()) {
        *sums = to_lanes(reduce(total(low), total(high)));
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn total<const K: usize>(chains: &[__m512i; K]) -> __m512i {
    chains[1..].iter().fold(chains[0], |sum, chain| _mm512_add_epi64(sum, *chain))
}

/// `high * 2^52 + low mod Q`, for `low <= 2^63 + 2^41` and `high <= 2^41`.
#[inline]
#[target_feature(enable = "avx512f")]
fn reduce(low: __m512i, high: __m512i) -> __m512i {
    // 2^52 = 2^11 * 2^41. The first fold leaves less than 2^42, so the sum is below 2^63 + 2^59, and the second
    // fold leaves less than 2^41 + 2^39 < 2Q.
    let high = fold(_mm512_slli_epi64::<11>(high));
    canonical(fold(_mm512_add_epi64(low, times_2_41(high))))
}
