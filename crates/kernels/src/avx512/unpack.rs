//! Reading packed polynomials.

use std::arch::x86_64::{
    __m512i, _mm512_and_si512, _mm512_cmplt_epu64_mask, _mm512_max_epu64, _mm512_permutexvar_epi8,
    _mm512_set1_epi64, _mm512_setzero_si512, _mm512_srlv_epi64,
};

use super::group::{SHIFTS, SPREAD};
use super::{from_bytes, from_lanes, to_lanes};
use crate::aligned::LINE_BYTES;
use crate::{GROUP_BYTES, LANES, N, PACKED_POLY_BYTES, Q, Q_BITS};

/// See `Kernel::unpack`.
#[target_feature(enable = "avx512f,avx512vbmi")]
pub(super) fn unpack(bytes: &[u8; PACKED_POLY_BYTES], out: &mut [u64; N]) -> bool {
    let mut largest = _mm512_setzero_si512();
    // All groups but the last are followed by enough bytes for a whole load.
    let mut last = [0; LINE_BYTES];
    last[..GROUP_BYTES].copy_from_slice(&bytes[PACKED_POLY_BYTES - GROUP_BYTES..]);
    for (group, out) in out.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
        let line = bytes[group * GROUP_BYTES..].first_chunk().unwrap_or(&last);
        let values = spread(line);
        largest = _mm512_max_epu64(largest, values);
        *out = to_lanes(values);
    }
    _mm512_cmplt_epu64_mask(largest, _mm512_set1_epi64(Q as i64)) == u8::MAX
}

/// The eight values whose 41 bytes a line begins with.
#[inline]
#[target_feature(enable = "avx512f,avx512vbmi")]
pub(super) fn spread(line: &[u8; LINE_BYTES]) -> __m512i {
    let bytes = _mm512_permutexvar_epi8(from_bytes(&SPREAD), from_bytes(line));
    let mask = _mm512_set1_epi64((1 << Q_BITS) - 1);
    _mm512_and_si512(_mm512_srlv_epi64(bytes, from_lanes(&SHIFTS.0)), mask)
}
