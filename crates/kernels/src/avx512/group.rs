//! The match kernel: one group of eight values of one block.

use std::arch::x86_64::{
    __m512i, _MM_HINT_T0, _mm_prefetch, _mm512_add_epi64, _mm512_and_si512, _mm512_load_si512,
    _mm512_loadu_si512, _mm512_madd52hi_epu64, _mm512_madd52lo_epu64, _mm512_permutexvar_epi8,
    _mm512_set1_epi64, _mm512_setzero_si512, _mm512_slli_epi64, _mm512_srlv_epi64, _mm512_storeu_si512,
};

use super::{canonical, fold, times_2_41};
use crate::aligned::{LINE_BYTES, Lanes};
use crate::packed::MAX_POLYNOMIALS;
use crate::{GROUP_BYTES, LANES, Q_BITS};

/// Value `j` begins at bit `j` of byte `5 j`: lane `j` takes the eight bytes from there.
static SPREAD: [u8; LINE_BYTES] = {
    let mut index = [0; LINE_BYTES];
    let mut i = 0;
    while i < LINE_BYTES {
        index[i] = (5 * (i / 8) + i % 8) as u8;
        i += 1;
    }
    index
};
static SHIFTS: Lanes = Lanes([0, 1, 2, 3, 4, 5, 6, 7]);

/// Independent sums, so that a multiply-add need not wait for the one before it.
const CHAINS: usize = 4;

// A low half grows by less than 2^52 per term and a high half by less than 2^30 (products are below 2^82), so
// neither overflows 64 bits, and a high half stays below 2^41, which `reduce` relies on.
const _: () = assert!(MAX_POLYNOMIALS <= 1 << 11 && 2 * Q_BITS - 52 + 11 <= 41);

/// See `Kernel::match_group`.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512ifma")]
pub(super) fn match_group(packed: &[u8], query: &[Lanes], next: &[u8]) -> [u64; LANES] {
    assert!(!query.is_empty() && query.len() <= MAX_POLYNOMIALS);
    assert!(packed.len() >= (query.len() - 1) * GROUP_BYTES + LINE_BYTES, "padding follows the last group");

    // SAFETY: both statics are 64 bytes long.
    let (spread, shifts) =
        unsafe { (_mm512_loadu_si512(SPREAD.as_ptr().cast()), _mm512_load_si512(SHIFTS.0.as_ptr().cast())) };
    let mask = _mm512_set1_epi64((1 << Q_BITS) - 1);
    let mut low = [_mm512_setzero_si512(); CHAINS];
    let mut high = [_mm512_setzero_si512(); CHAINS];

    let mut step = |chain: usize, c: usize, q: &Lanes| {
        prefetch(next, c * GROUP_BYTES);
        // SAFETY: `c` is below `query.len()`, and the assertion above says that 64 bytes follow its beginning.
        let bytes = unsafe { _mm512_loadu_si512(packed.as_ptr().add(c * GROUP_BYTES).cast()) };
        // SAFETY: `Lanes` is 64 bytes, aligned to 64.
        let q = unsafe { _mm512_load_si512(q.0.as_ptr().cast()) };
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

    let mut out = [0; LANES];
    let sums = reduce(total(low), total(high));
    // SAFETY: `out` is 64 writable bytes.
    unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), sums) };
    out
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

/// `high * 2^52 + low mod Q`, for any `low` and `high < 2^53`.
#[inline]
#[target_feature(enable = "avx512f")]
fn reduce(low: __m512i, high: __m512i) -> __m512i {
    // 2^52 = 2^11 * 2^41. The first folds leave less than 2^42 each, their combination is below 2^59, and the
    // last fold leaves less than 2^41 + 2^34 < 2Q.
    let high = fold(_mm512_slli_epi64::<11>(high));
    canonical(fold(_mm512_add_epi64(fold(low), times_2_41(high))))
}
