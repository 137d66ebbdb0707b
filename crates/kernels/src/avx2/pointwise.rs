//! What works on one coefficient at a time: pointwise products, and the rounding of replies.

use std::arch::x86_64::{
    __m256i, _mm_cvtsi32_si128, _mm256_add_epi64, _mm256_and_si256, _mm256_cmpgt_epi64, _mm256_set1_epi64x,
    _mm256_setzero_si256, _mm256_sll_epi64, _mm256_slli_epi64, _mm256_srli_epi64, _mm256_sub_epi64,
};

use super::{Sums, WIDTH, from_lanes, to_lanes};
use crate::reply::MAX_REPLY_BITS;
use crate::{N, Q, Q_BITS};

/// `sum + a * b mod Q`, for operands below `Q`.
#[inline]
#[target_feature(enable = "avx2")]
fn mul_add(sum: __m256i, a: __m256i, b: __m256i) -> __m256i {
    let mut product = Sums::zero();
    product.add_product(a, b);
    product.reduce(sum)
}

#[target_feature(enable = "avx2")]
pub(super) fn mul_assign(a: &mut [u64; N], b: &[u64; N]) {
    for (a, b) in a.as_chunks_mut().0.iter_mut().zip(b.as_chunks().0) {
        *a = to_lanes(mul_add(_mm256_setzero_si256(), from_lanes(a), from_lanes(b)));
    }
}

#[target_feature(enable = "avx2")]
pub(super) fn mul_add_assign(sum: &mut [u64; N], a: &[u64; N], b: &[u64; N]) {
    let factors = a.as_chunks().0.iter().zip(b.as_chunks().0);
    for (sum, (a, b)) in sum.as_chunks_mut().0.iter_mut().zip(factors) {
        *sum = to_lanes(mul_add(from_lanes(sum), from_lanes(a), from_lanes(b)));
    }
}

#[target_feature(enable = "avx2")]
pub(super) fn mul_scalar_add_assign(sum: &mut [u64; N], a: &[u64; N], c: u64) {
    let c = _mm256_set1_epi64x(c as i64);
    for (sum, a) in sum.as_chunks_mut().0.iter_mut().zip(a.as_chunks().0) {
        *sum = to_lanes(mul_add(from_lanes(sum), from_lanes(a), c));
    }
}

/// See `Kernel::round_reply`.
#[target_feature(enable = "avx2")]
pub(super) fn round_reply(r: &[u64; N], bits: u32, t_inv: u64, out: &mut [u16; N]) {
    assert!(bits <= MAX_REPLY_BITS);
    let t_inv = _mm256_set1_epi64x(t_inv as i64);
    let half = _mm256_set1_epi64x((Q / 2) as i64);
    let largest = _mm256_set1_epi64x((Q - 1) as i64);
    let kept = _mm256_set1_epi64x((1 << bits) - 1);
    let shift = _mm_cvtsi32_si128(bits as i32);
    for (out, x) in out.as_chunks_mut::<WIDTH>().0.iter_mut().zip(r.as_chunks().0) {
        let y = mul_add(_mm256_setzero_si256(), from_lanes(x), t_inv);
        // Below 2^57 + 2^40. Dividing by 2^41 instead of Q falls short by less than 2^-8, so the quotient by at
        // most 1.
        let scaled = _mm256_add_epi64(_mm256_sll_epi64(y, shift), half);
        let estimate = _mm256_srli_epi64::<{ Q_BITS as i32 }>(scaled);
        let product = _mm256_add_epi64(
            _mm256_sub_epi64(
                _mm256_slli_epi64::<{ Q_BITS as i32 }>(estimate),
                _mm256_slli_epi64::<16>(estimate),
            ),
            estimate,
        );
        let short = _mm256_cmpgt_epi64(_mm256_sub_epi64(scaled, product), largest);
        let quotient = _mm256_sub_epi64(estimate, short);
        *out = to_lanes(_mm256_and_si256(quotient, kept)).map(|reply| reply as u16);
    }
}
