//! The match kernel: one group of eight values of one block.

use std::arch::x86_64::{
    __m512i, _MM_HINT_T0, _mm_prefetch, _mm512_add_epi64, _mm512_and_si512, _mm512_madd52hi_epu64,
    _mm512_madd52lo_epu64, _mm512_permutexvar_epi8, _mm512_set1_epi64, _mm512_setzero_si512,
    _mm512_slli_epi64, _mm512_srlv_epi64,
};

use super::{canonical, fold, from_bytes, from_lanes, times_2_41, to_lanes};
use crate::aligned::{LINE_BYTES, Lanes};
use crate::packed::MAX_POLYNOMIALS;
use crate::{GROUP_BYTES, LANES, Q_BITS};

/// Value `j` begins at bit `j` of byte `5 j`: lane `j` takes the eight bytes from there.
pub(super) static SPREAD: [u8; LINE_BYTES] = {
    let mut index = [0; LINE_BYTES];
    let mut i = 0;
    while i < LINE_BYTES {
        index[i] = (5 * (i / 8) + i % 8) as u8;
        i += 1;
    }
    index
};
pub(super) static SHIFTS: Lanes = Lanes([0, 1, 2, 3, 4, 5, 6, 7]);

/// Independent sums, so that a multiply-add need not wait for the one before it.
const CHAINS: usize = 4;

// A low half grows by less than 2^52 per term and a high half by less than 2^30 (products are below 2^82): the
// sums stay below 2^63 and 2^41, which `reduce` relies on, without any reduction on the way.
const _: () = assert!(MAX_POLYNOMIALS <= 1 << 11 && 2 * Q_BITS - 52 + 11 <= 41);

/// See `Kernel::match_group`.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512ifma")]
pub(super) fn match_group(packed: &[u8], query: &[Lanes], next: &[u8]) -> [u64; LANES] {
    assert!(query.len() <= MAX_POLYNOMIALS);
    let (spread, shifts) = (from_bytes(&SPREAD), from_lanes(&SHIFTS.0));
    let mask = _mm512_set1_epi64((1 << Q_BITS) - 1);
    let mut low = [_mm512_setzero_si512(); CHAINS];
    let mut high = [_mm512_setzero_si512(); CHAINS];

    let mut step = |chain: usize, c: usize, q: &Lanes| {
        prefetch(next, c * GROUP_BYTES);
        let bytes = packed[c * GROUP_BYTES..].first_chunk().expect("padding follows the last group");
        let (bytes, q) = (from_bytes(bytes), from_lanes(&q.0));
        let values =
            _mm512_and_si512(_mm512_srlv_epi64(_mm512_permutexvar_epi8(spread, bytes), shifts), mask);
        low[chain] = _mm512_madd52lo_epu64(low[chain], values, q);
        high[chain] = _mm512_madd52hi_epu64(high[chain], values, q);
    };
    let (whole, rest) = query.as_chunks::<CHAINS>();
    for (i, quad) in whole.iter().enumerate() {
        for (chain, q) in quad.iter().enumerate() {
            step(chain, i * CHAINS + chain, q);
        }
    }
    for (chain, q) in rest.iter().enumerate() {
        step(chain, whole.len() * CHAINS + chain, q);
    }

    to_lanes(reduce(total(low), total(high)))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn prefetch(bytes: &[u8], offset: usize) {
    let address = bytes.as_ptr().wrapping_add(offset);
    _mm_prefetch::<_MM_HINT_T0>(address.cast());
}

#[inline]
#[target_feature(enable = "avx512f")]
fn total(chains: [__m512i; CHAINS]) -> __m512i {
    _mm512_add_epi64(_mm512_add_epi64(chains[0], chains[1]), _mm512_add_epi64(chains[2], chains[3]))
}

/// `high * 2^52 + low mod Q`, for `low <= 2^63` and `high <= 2^41`.
#[inline]
#[target_feature(enable = "avx512f")]
fn reduce(low: __m512i, high: __m512i) -> __m512i {
    // 2^52 = 2^11 * 2^41. The first fold leaves less than 2^42, so the sum is below 2^63 + 2^58, and the second
    // fold leaves less than 2^41 + 2^39 < 2Q.
    let high = fold(_mm512_slli_epi64::<11>(high));
    canonical(fold(_mm512_add_epi64(low, times_2_41(high))))
}
