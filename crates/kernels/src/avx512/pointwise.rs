//! What works on one coefficient at a time: pointwise products, and the rounding of replies.

use std::arch::x86_64::{
    __m128i, __m512i, _mm_cvtsi32_si128, _mm512_add_epi64, _mm512_and_si512, _mm512_cmpge_epu64_mask,
    _mm512_cvtepi64_epi16, _mm512_madd52hi_epu64, _mm512_madd52lo_epu64, _mm512_mask_add_epi64,
    _mm512_set1_epi64, _mm512_setzero_si512, _mm512_sll_epi64, _mm512_slli_epi64, _mm512_sub_epi64,
};
use std::mem::transmute;

use super::{canonical, fold, from_lanes, times_2_41, to_lanes};
use crate::reply::MAX_REPLY_BITS;
use crate::{LANES, N, Q, Q_BITS};

/// `sum + a * b mod Q`, for operands below `Q`.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn mul_add(sum: __m512i, a: __m512i, b: __m512i) -> __m512i {
    // The product is high * 2^52 + low with high < 2^30, and 2^52 = 2^11 * 2^41.
    let low = _mm512_madd52lo_epu64(sum, a, b);
    let high = _mm512_madd52hi_epu64(_mm512_setzero_si512(), a, b);
    // Below 2^53 + 2^57; one fold leaves less than 2^41 + 2^33 < 2Q.
    let once = _mm512_add_epi64(low, times_2_41(_mm512_slli_epi64::<11>(high)));
    canonical(fold(once))
}

#[target_feature(enable = "avx512f")]
pub(super) fn add_assign(a: &mut [u64; N], b: &[u64; N]) {
    for (a, b) in a.as_chunks_mut().0.iter_mut().zip(b.as_chunks().0) {
        let sum = canonical(_mm512_add_epi64(from_lanes(a), from_lanes(b)));
        *a = to_lanes(sum);
    }
}

#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn mul_assign(a: &mut [u64; N], b: &[u64; N]) {
    for (a, b) in a.as_chunks_mut().0.iter_mut().zip(b.as_chunks().0) {
        let product = mul_add(_mm512_setzero_si512(), from_lanes(a), from_lanes(b));
        *a = to_lanes(product);
    }
}

#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn mul_add_assign(sum: &mut [u64; N], a: &[u64; N], b: &[u64; N]) {
    let factors = a.as_chunks().0.iter().zip(b.as_chunks().0);
    for (sum, (a, b)) in sum.as_chunks_mut().0.iter_mut().zip(factors) {
        let result = mul_add(from_lanes(sum), from_lanes(a), from_lanes(b));
        *sum = to_lanes(result);
    }
}

#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn sum_of_products(out: &mut [u64; N], factors: [&[u64; N]; 4]) {
    let [a, b, c, d] = factors.map(|factor| factor.as_chunks().0);
    for (i, out) in out.as_chunks_mut().0.iter_mut().enumerate() {
        let product = mul_add(_mm512_setzero_si512(), from_lanes(&a[i]), from_lanes(&b[i]));
        *out = to_lanes(mul_add(product, from_lanes(&c[i]), from_lanes(&d[i])));
    }
}

#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn mul_scalar_add_assign(sum: &mut [u64; N], a: &[u64; N], c: u64) {
    let c = _mm512_set1_epi64(c as i64);
    for (sum, a) in sum.as_chunks_mut().0.iter_mut().zip(a.as_chunks().0) {
        let result = mul_add(from_lanes(sum), from_lanes(a), c);
        *sum = to_lanes(result);
    }
}

/// See `Kernel::round_reply`.
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn round_reply(r: &[u64; N], bits: u32, t_inv: u64, out: &mut [u16; N]) {
    assert!(bits <= MAX_REPLY_BITS);
    let t_inv = _mm512_set1_epi64(t_inv as i64);
    let q = _mm512_set1_epi64(Q as i64);
    let half = _mm512_set1_epi64((Q / 2) as i64);
    let shift = _mm_cvtsi32_si128(bits as i32);
    let reciprocal = _mm512_set1_epi64(((1u128 << (52 + bits)) / u128::from(Q)) as i64);
    let kept = _mm512_set1_epi64((1 << bits) - 1);
    let (zero, one) = (_mm512_setzero_si512(), _mm512_set1_epi64(1));
    for (out, x) in out.as_chunks_mut::<LANES>().0.iter_mut().zip(r.as_chunks().0) {
        let y = mul_add(zero, from_lanes(x), t_inv);
        let scaled = _mm512_add_epi64(_mm512_sll_epi64(y, shift), half);
        // The reciprocal is short by less than 1 and y < 2^41, so the estimate falls short of y * 2^bits / Q by
        // less than 1 + 2^-11, and of the quotient wanted by at most 1.
        let estimate = _mm512_madd52hi_epu64(zero, y, reciprocal);
        let product = _mm512_add_epi64(
            _mm512_sub_epi64(_mm512_slli_epi64::<Q_BITS>(estimate), _mm512_slli_epi64::<16>(estimate)),
            estimate,
        );
        let short = _mm512_cmpge_epu64_mask(_mm512_sub_epi64(scaled, product), q);
        let quotient = _mm512_mask_add_epi64(estimate, short, estimate, one);
        let reply = _mm512_cvtepi64_epi16(_mm512_and_si512(quotient, kept));
        // SAFETY: both are 16 bytes without padding, and every bit pattern is valid.
        *out = unsafe { transmute::<__m128i, [u16; LANES]>(reply) };
    }
}
