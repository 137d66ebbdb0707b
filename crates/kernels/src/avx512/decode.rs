//! Scores, eight at a time.

use std::arch::x86_64::{
    __m128i, __m512i, _mm_cvtsi32_si128, _mm512_add_epi64, _mm512_and_si512, _mm512_cmpgt_epu64_mask,
    _mm512_cvtepi64_epi16, _mm512_cvtepu16_epi64, _mm512_madd52hi_epu64, _mm512_mask_sub_epi64,
    _mm512_maskz_mov_epi64, _mm512_mul_epi32, _mm512_mul_epu32, _mm512_reduce_add_epi64, _mm512_set1_epi64,
    _mm512_setzero_si512, _mm512_sll_epi64, _mm512_srai_epi64, _mm512_srli_epi64, _mm512_sub_epi64,
};
use std::mem::transmute;

use super::from_lanes;
use super::pointwise::mul_add;
use crate::LANES;
use crate::decode::{Decoder, FRACTION_BITS, REMAINDER_BITS, scores_portable};

/// Bits of the lower part of a weight: as a signed number of 32 bits it is not negative.
const LOW_BITS: u32 = 31;

/// See `Kernel::scores`.
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn scores(
    decoder: Decoder,
    blinds: &[u64],
    replies: &[u16],
    filled: &[u8],
    weights: &[u64],
    scores: &mut [i16],
) -> i128 {
    let low_mask = _mm512_set1_epi64((1 << LOW_BITS) - 1);
    // Products are below 2^31 * 2^10: a lane has room for 2^21 of them.
    let (mut low, mut high) = (_mm512_setzero_si512(), _mm512_setzero_si512());
    let whole = scores.len() / LANES;
    let groups = blinds.as_chunks::<LANES>().0.iter().zip(replies.as_chunks::<LANES>().0);
    let groups = groups.zip(filled).zip(weights.as_chunks::<LANES>().0);
    for ((((blinds, replies), filled), weights), out) in groups.zip(scores.as_chunks_mut::<LANES>().0) {
        let score = _mm512_maskz_mov_epi64(*filled, decode(&decoder, from_lanes(blinds), replies));
        let weight = from_lanes(weights);
        low = _mm512_add_epi64(low, _mm512_mul_epi32(_mm512_and_si512(weight, low_mask), score));
        high = _mm512_add_epi64(high, _mm512_mul_epi32(_mm512_srli_epi64::<LOW_BITS>(weight), score));
        // SAFETY: both are 16 bytes without padding, and every bit pattern is valid.
        *out = unsafe { transmute::<__m128i, [i16; LANES]>(_mm512_cvtepi64_epi16(score)) };
    }
    let sum =
        (i128::from(_mm512_reduce_add_epi64(high)) << LOW_BITS) + i128::from(_mm512_reduce_add_epi64(low));
    let rest = whole * LANES;
    sum + scores_portable(
        decoder,
        &blinds[rest..],
        &replies[rest..],
        &filled[whole..],
        &weights[rest..],
        &mut scores[rest..],
    )
}

/// See [`Decoder::score`].
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn decode(decoder: &Decoder, blinds: __m512i, replies: &[u16; LANES]) -> __m512i {
    let zero = _mm512_setzero_si512();
    let t = _mm512_set1_epi64(decoder.t as i64);
    // SAFETY: both are 16 bytes without padding, and every bit pattern is valid.
    let replies = _mm512_cvtepu16_epi64(unsafe { transmute::<[u16; LANES], __m128i>(*replies) });
    let blinds = mul_add(zero, blinds, _mm512_set1_epi64(decoder.t_inv as i64));
    let subtracted = _mm512_madd52hi_epu64(zero, blinds, _mm512_set1_epi64(decoder.scale as i64));
    let shift = _mm_cvtsi32_si128((FRACTION_BITS - decoder.bits) as i32);
    let top = _mm512_sll_epi64(_mm512_mul_epu32(replies, t), shift);
    let half = _mm512_set1_epi64(1 << (FRACTION_BITS - 1));
    let m = _mm512_srai_epi64::<FRACTION_BITS>(_mm512_add_epi64(_mm512_sub_epi64(top, subtracted), half));
    let product = _mm512_mul_epu32(_mm512_add_epi64(m, t), _mm512_set1_epi64(decoder.factor as i64));
    let quotient = _mm512_mul_epu32(product, _mm512_set1_epi64(decoder.reciprocal as i64));
    let quotient = _mm512_srli_epi64::<REMAINDER_BITS>(quotient);
    let score = _mm512_sub_epi64(product, _mm512_mul_epu32(quotient, t));
    let above = _mm512_cmpgt_epu64_mask(score, _mm512_set1_epi64((decoder.t / 2) as i64));
    _mm512_mask_sub_epi64(score, above, score, t)
}
