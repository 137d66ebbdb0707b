//! The samplers, eight or sixteen values at a time.

use std::arch::x86_64::{
    __m128i, __m256i, __m512i, _mm512_add_epi8, _mm512_add_epi64, _mm512_and_si512, _mm512_castsi512_si256,
    _mm512_cmpgt_epu64_mask, _mm512_cmplt_epu32_mask, _mm512_cvtepi32_epi16, _mm512_cvtepi32_epi64,
    _mm512_cvtepu16_epi32, _mm512_cvtepu16_epi64, _mm512_extracti64x4_epi64, _mm512_mask_sub_epi64,
    _mm512_maskz_compress_epi32, _mm512_maskz_loadu_epi8, _mm512_mul_epu32, _mm512_permutexvar_epi8,
    _mm512_sad_epu8, _mm512_set1_epi8, _mm512_set1_epi32, _mm512_set1_epi64, _mm512_setr_epi32,
    _mm512_setzero_si512, _mm512_shuffle_epi8, _mm512_srli_epi16, _mm512_srlv_epi32, _mm512_xor_si512,
};
use std::mem::transmute;

use super::{canonical, from_bytes, to_lanes};
use crate::aligned::LINE_BYTES;
use crate::sampling::{self, Noise, POLY_ERROR_BYTES};
use crate::{LANES, N, Q};

/// Bytes of eight errors.
const GROUP_ERROR_BYTES: usize = 48;
/// Values of 32 bits in a register.
const WIDE: usize = 2 * LANES;

/// Lane `j` takes bytes `6 j` to `6 j + 7`; the two that are the next error's are cleared with the unused bits.
static SPREAD: [u8; LINE_BYTES] = {
    let mut index = [0; LINE_BYTES];
    let mut i = 0;
    while i < LINE_BYTES {
        index[i] = (6 * (i / 8) + i % 8) as u8;
        i += 1;
    }
    index
};

/// The number of ones of each half byte.
static ONES: [u8; LINE_BYTES] = {
    let mut ones = [0; LINE_BYTES];
    let mut i = 0;
    while i < LINE_BYTES {
        ones[i] = (i % 16).count_ones() as u8;
        i += 1;
    }
    ones
};

/// The number of ones of each 64-bit lane, without the extension that counts them.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn count_ones(x: __m512i) -> __m512i {
    let (ones, half) = (from_bytes(&ONES), _mm512_set1_epi8(15));
    let low = _mm512_shuffle_epi8(ones, _mm512_and_si512(x, half));
    let high = _mm512_shuffle_epi8(ones, _mm512_and_si512(_mm512_srli_epi16::<4>(x), half));
    _mm512_sad_epu8(_mm512_add_epi8(low, high), _mm512_setzero_si512())
}

/// See `Kernel::draw_noise`.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
pub(super) fn draw_noise(
    noise: Noise,
    bytes: &[u8; POLY_ERROR_BYTES],
    values: Option<&[u16; N]>,
    out: &mut [u64; N],
) {
    static NO_VALUES: [u16; N] = [0; N];
    let spread = from_bytes(&SPREAD);
    let (fields, upper) = (_mm512_set1_epi64(noise.fields() as i64), _mm512_set1_epi64(noise.upper() as i64));
    let (t, base) = (_mm512_set1_epi64(i64::from(noise.t)), _mm512_set1_epi64(noise.base() as i64));
    let largest = _mm512_set1_epi64(i64::from(noise.t / 2));
    let groups = bytes.as_chunks::<GROUP_ERROR_BYTES>().0;
    let values = values.unwrap_or(&NO_VALUES).as_chunks::<LANES>().0;
    for ((out, bytes), values) in out.as_chunks_mut::<LANES>().0.iter_mut().zip(groups).zip(values) {
        // SAFETY: the mask lets through the first 48 bytes, which is what there is.
        let bytes = unsafe { _mm512_maskz_loadu_epi8((1 << GROUP_ERROR_BYTES) - 1, bytes.as_ptr().cast()) };
        let field = _mm512_and_si512(_mm512_permutexvar_epi8(spread, bytes), fields);
        let ones = count_ones(_mm512_xor_si512(field, upper));
        // SAFETY: both are 16 bytes without padding, and every bit pattern is valid.
        let value = _mm512_cvtepu16_epi64(unsafe { transmute::<[u16; LANES], __m128i>(*values) });
        let above = _mm512_cmpgt_epu64_mask(value, largest);
        let centred = _mm512_mask_sub_epi64(value, above, value, t);
        // Between Q - t * (eta + 1) and Q + t * (eta + 1).
        let sum = _mm512_add_epi64(_mm512_add_epi64(base, _mm512_mul_epu32(ones, t)), centred);
        *out = to_lanes(canonical(sum));
    }
}

/// See `Kernel::keep_below`.
#[target_feature(enable = "avx512f")]
pub(super) fn keep_below(candidates: &[u8], mask: u16, bound: u16, out: &mut [u16]) -> usize {
    let (bits, limit) = (_mm512_set1_epi32(i32::from(mask)), _mm512_set1_epi32(i32::from(bound)));
    let mut kept = 0;
    let (groups, rest) = candidates.as_chunks::<{ 2 * WIDE }>();
    for (read, group) in groups.iter().enumerate() {
        let Some(places) = out[kept..].first_chunk_mut::<WIDE>() else {
            let rest = &candidates[read * 2 * WIDE..];
            return kept + sampling::keep_below_portable(rest, mask, bound, &mut out[kept..]);
        };
        // SAFETY: both are 32 bytes without padding, and every bit pattern is valid.
        let group = unsafe { transmute::<[u8; 2 * WIDE], __m256i>(*group) };
        let values = _mm512_and_si512(_mm512_cvtepu16_epi32(group), bits);
        let good = _mm512_cmplt_epu32_mask(values, limit);
        let values = _mm512_cvtepi32_epi16(_mm512_maskz_compress_epi32(good, values));
        // SAFETY: both are 32 bytes without padding, and every bit pattern is valid.
        *places = unsafe { transmute::<__m256i, [u16; WIDE]>(values) };
        kept += good.count_ones() as usize;
    }
    kept + sampling::keep_below_portable(rest, mask, bound, &mut out[kept..])
}

/// See `Kernel::keep_ternary`.
#[target_feature(enable = "avx512f")]
pub(super) fn keep_ternary(candidates: &[u8], out: &mut [u64]) -> usize {
    let shifts = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    let three = _mm512_set1_epi32(3);
    let less_one = _mm512_set1_epi64(Q as i64 - 1);
    let reduce =
        |values: __m256i| to_lanes(canonical(_mm512_add_epi64(_mm512_cvtepi32_epi64(values), less_one)));
    let mut kept = 0;
    let (groups, rest) = candidates.as_chunks::<4>();
    for (read, group) in groups.iter().enumerate() {
        let Some(places) = out[kept..].first_chunk_mut::<WIDE>() else {
            return kept + sampling::keep_ternary_portable(&candidates[read * 4..], &mut out[kept..]);
        };
        let group = _mm512_set1_epi32(i32::from_le_bytes(*group));
        let values = _mm512_and_si512(_mm512_srlv_epi32(group, shifts), three);
        let good = _mm512_cmplt_epu32_mask(values, three);
        let values = _mm512_maskz_compress_epi32(good, values);
        places[..LANES].copy_from_slice(&reduce(_mm512_castsi512_si256(values)));
        places[LANES..].copy_from_slice(&reduce(_mm512_extracti64x4_epi64::<1>(values)));
        kept += good.count_ones() as usize;
    }
    kept + sampling::keep_ternary_portable(rest, &mut out[kept..])
}
