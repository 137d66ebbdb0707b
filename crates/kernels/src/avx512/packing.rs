//! Writing packed polynomials, and multiplying by them.

use std::arch::x86_64::{
    _MM_HINT_T1, _mm_prefetch, _mm512_mask_storeu_epi8, _mm512_maskz_permutexvar_epi8, _mm512_or_si512,
    _mm512_sllv_epi64,
};

use super::group::SHIFTS;
use super::pointwise::mul_add;
use super::unpack::spread;
use super::{from_bytes, from_lanes, to_lanes};
use crate::aligned::LINE_BYTES;
use crate::{GROUP_BYTES, LANES, N, PACKED_POLY_BYTES};

/// Byte `5 j + i` is byte `i` of lane `j`.
static FRONTS: [u8; LINE_BYTES] = {
    let mut index = [0; LINE_BYTES];
    let mut i = 0;
    while i < GROUP_BYTES - 1 {
        index[i] = (8 * (i / 5) + i % 5) as u8;
        i += 1;
    }
    index
};
const FRONT_BYTES: u64 = (1 << (GROUP_BYTES - 1)) - 1;

/// Byte `5 j + 5` is, besides, the last byte of lane `j`.
static BACKS: [u8; LINE_BYTES] = {
    let mut index = [0; LINE_BYTES];
    let mut j = 0;
    while j < LANES {
        index[5 * j + 5] = (8 * j + 5) as u8;
        j += 1;
    }
    index
};
const BACK_BYTES: u64 = {
    let (mut mask, mut j) = (0, 0);
    while j < LANES {
        mask |= 1 << (5 * j + 5);
        j += 1;
    }
    mask
};

const ALL_BYTES: u64 = (1 << GROUP_BYTES) - 1;

/// See `Kernel::pack`.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
pub(super) fn pack(poly: &[u64; N], out: &mut [u8; PACKED_POLY_BYTES]) {
    let (shifts, fronts, backs) = (from_lanes(&SHIFTS.0), from_bytes(&FRONTS), from_bytes(&BACKS));
    for (group, out) in poly.as_chunks().0.iter().zip(out.as_chunks_mut::<GROUP_BYTES>().0) {
        let shifted = _mm512_sllv_epi64(from_lanes(group), shifts);
        let bytes = _mm512_or_si512(
            _mm512_maskz_permutexvar_epi8(FRONT_BYTES, fronts, shifted),
            _mm512_maskz_permutexvar_epi8(BACK_BYTES, backs, shifted),
        );
        // SAFETY: the mask lets through the first 41 bytes, which is what there is.
        unsafe { _mm512_mask_storeu_epi8(out.as_mut_ptr().cast(), ALL_BYTES, bytes) };
    }
}

/// See `Kernel::weigh_and_hide`.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512ifma")]
pub(super) fn weigh_and_hide(
    weights: &[u8],
    sum: &mut [u64; N],
    masks: &[u8],
    secret: &[u64; N],
    message: &mut [u64; N],
) {
    let lanes = sum.as_chunks_mut().0.iter_mut().zip(message.as_chunks_mut().0).zip(secret.as_chunks().0);
    for (group, ((sum, message), secret)) in lanes.enumerate() {
        let at = group * GROUP_BYTES;
        prefetch(weights, at + PACKED_POLY_BYTES);
        prefetch(masks, at + PACKED_POLY_BYTES);
        let weight = spread(weights[at..].first_chunk().expect("padding follows the last group"));
        let mask = spread(masks[at..].first_chunk().expect("padding follows the last group"));
        let plain = from_lanes(message);
        let (weighed, hidden) =
            (mul_add(from_lanes(sum), plain, weight), mul_add(plain, mask, from_lanes(secret)));
        *sum = to_lanes(weighed);
        *message = to_lanes(hidden);
    }
}

/// Asks for what the next call will need.
#[inline]
#[target_feature(enable = "avx512f")]
fn prefetch(bytes: &[u8], offset: usize) {
    _mm_prefetch::<_MM_HINT_T1>(bytes.as_ptr().wrapping_add(offset).cast());
}
