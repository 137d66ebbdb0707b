//! AVX-512 with the 52-bit multiply-add (IFMA) and the byte permute (VBMI).

mod decode;
mod group;
mod keccak;
mod packing;
mod pointwise;
mod sampling;
mod sum;
mod unpack;

use std::arch::x86_64::{
    __m512i, _mm512_add_epi64, _mm512_and_si512, _mm512_min_epu64, _mm512_set1_epi64, _mm512_slli_epi64,
    _mm512_srli_epi64, _mm512_sub_epi64,
};
use std::mem::transmute;

use crate::aligned::{LINE_BYTES, Lanes};
use crate::backend::Kernel;
use crate::decode::Decoder;
use crate::keccak::{States, Words};
use crate::sampling::{Noise, POLY_ERROR_BYTES};
use crate::{LANES, N, PACKED_POLY_BYTES, Q, Q_BITS};

/// Proof that the CPU has every feature that this folder's functions enable.
#[derive(Clone, Copy)]
pub(crate) struct Avx512(());

impl Avx512 {
    /// Asks the CPU; the standard library caches the answer.
    pub(crate) fn detect() -> Option<Self> {
        let present = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vbmi")
            && is_x86_feature_detected!("avx512ifma");
        present.then_some(Self(()))
    }
}

impl Kernel for Avx512 {
    #[inline]
    fn match_group<const B: usize, const P: usize>(
        self,
        blocks: [&[u8]; B],
        queries: [&[Lanes]; P],
        ahead: usize,
        sums: [[&mut [u64; LANES]; P]; B],
    ) {
        // A multiply-add takes four cycles, and two begin in each: with fewer than four sums of low and high halves
        // it takes several of each.
        // SAFETY: `self` proves that the CPU has the features.
        unsafe {
            match B * P {
                1 => group::match_group::<B, P, 4>(blocks, queries, ahead, sums),
                2 | 3 => group::match_group::<B, P, 2>(blocks, queries, ahead, sums),
                _ => group::match_group::<B, P, 1>(blocks, queries, ahead, sums),
            }
        }
    }

    fn sum(self, lines: &[Lanes]) -> u64 {
        // SAFETY: `self` proves that the CPU has the features.
        unsafe { sum::sum(lines) }
    }

    fn mul_assign(self, a: &mut [u64; N], b: &[u64; N]) {
        // SAFETY: `self` proves that the CPU has the features.
        unsafe { pointwise::mul_assign(a, b) }
    }

    fn mul_add_assign(self, sum: &mut [u64; N], a: &[u64; N], b: &[u64; N]) {
        // SAFETY: `self` proves that the CPU has the features.
        unsafe { pointwise::mul_add_assign(sum, a, b) }
    }

    fn mul_scalar_add_assign(self, sum: &mut [u64; N], a: &[u64; N], c: u64) {
        // SAFETY: `self` proves that the CPU has the features.
        unsafe { pointwise::mul_scalar_add_assign(sum, a, c) }
    }

    fn add_assign(self, a: &mut [u64; N], b: &[u64; N]) {
        // SAFETY: `self` proves that the CPU has the features.
        unsafe { pointwise::add_assign(a, b) }
    }

    fn weigh_and_hide(
        self,
        weights: &[u8],
        sum: &mut [u64; N],
        masks: &[u8],
        secret: &[u64; N],
        message: &mut [u64; N],
    ) {
        // SAFETY: `self` proves that the CPU has the features.
        unsafe { packing::weigh_and_hide(weights, sum, masks, secret, message) }
    }

    fn pack(self, poly: &[u64; N], out: &mut [u8; PACKED_POLY_BYTES]) {
        // SAFETY: `self` proves that the CPU has the features.
        unsafe { packing::pack(poly, out) }
    }

    fn unpack(self, bytes: &[u8; PACKED_POLY_BYTES], out: &mut [u64; N]) -> bool {
        // SAFETY: `self` proves that the CPU has the features.
        unsafe { unpack::unpack(bytes, out) }
    }

    fn sum_of_products(self, out: &mut [u64; N], factors: [&[u64; N]; 4]) {
        // SAFETY: `self` proves that the CPU has the features.
        unsafe { pointwise::sum_of_products(out, factors) }
    }

    fn scores(
        self,
        decoder: Decoder,
        blinds: &[u64],
        replies: &[u16],
        filled: &[u8],
        weights: &[u64],
        scores: &mut [i16],
    ) -> i128 {
        // SAFETY: `self` proves that the CPU has the features.
        unsafe { decode::scores(decoder, blinds, replies, filled, weights, scores) }
    }

    fn draw_noise(
        self,
        noise: Noise,
        bytes: &[u8; POLY_ERROR_BYTES],
        values: Option<&[u16; N]>,
        out: &mut [u64; N],
    ) {
        // SAFETY: `self` proves that the CPU has the features.
        unsafe { sampling::draw_noise(noise, bytes, values, out) }
    }

    fn keep_below(self, candidates: &[u8], mask: u16, bound: u16, out: &mut [u16]) -> usize {
        // SAFETY: `self` proves that the CPU has the features.
        unsafe { sampling::keep_below(candidates, mask, bound, out) }
    }

    fn keep_ternary(self, candidates: &[u8], out: &mut [u64]) -> usize {
        // SAFETY: `self` proves that the CPU has the features.
        unsafe { sampling::keep_ternary(candidates, out) }
    }

    fn permute_states(self, states: &mut States, lanes: usize) {
        // SAFETY: `self` proves that the CPU has the features.
        unsafe { keccak::permute(self, states, lanes) }
    }

    fn chain<const W: usize>(self, block: &States, lanes: usize, values: &mut [[Words; W]]) {
        // SAFETY: `self` proves that the CPU has the features.
        unsafe { keccak::chain(self, block, lanes, values) }
    }

    fn round_reply(self, r: &[u64; N], bits: u32, t_inv: u64, out: &mut [u16; N]) {
        // SAFETY: `self` proves that the CPU has the features.
        unsafe { pointwise::round_reply(r, bits, t_inv, out) }
    }
}

/// Eight values in a register.
#[inline]
#[target_feature(enable = "avx512f")]
fn from_lanes(lanes: &[u64; LANES]) -> __m512i {
    // SAFETY: both are 64 bytes without padding, and every bit pattern is valid.
    unsafe { transmute(*lanes) }
}

/// 64 bytes in a register.
#[inline]
#[target_feature(enable = "avx512f")]
fn from_bytes(bytes: &[u8; LINE_BYTES]) -> __m512i {
    // SAFETY: both are 64 bytes without padding, and every bit pattern is valid.
    unsafe { transmute(*bytes) }
}

/// The eight values of a register.
#[inline]
#[target_feature(enable = "avx512f")]
fn to_lanes(x: __m512i) -> [u64; LANES] {
    // SAFETY: both are 64 bytes without padding, and every bit pattern is valid.
    unsafe { transmute(x) }
}

/// `x * (2^16 - 1)`, which is `x * 2^41` modulo `Q`.
#[inline]
#[target_feature(enable = "avx512f")]
fn times_2_41(x: __m512i) -> __m512i {
    _mm512_sub_epi64(_mm512_slli_epi64::<16>(x), x)
}

/// Replaces any 64-bit `x` by a number congruent to it and below `2^41 + 2^16 * (x >> 41)`.
#[inline]
#[target_feature(enable = "avx512f")]
fn fold(x: __m512i) -> __m512i {
    let low = _mm512_and_si512(x, _mm512_set1_epi64((1 << Q_BITS) - 1));
    _mm512_add_epi64(low, times_2_41(_mm512_srli_epi64::<Q_BITS>(x)))
}

/// `x - Q` where `x >= Q`, for `x < 2Q`: the difference wraps to something larger where it is negative.
#[inline]
#[target_feature(enable = "avx512f")]
fn canonical(x: __m512i) -> __m512i {
    _mm512_min_epu64(x, _mm512_sub_epi64(x, _mm512_set1_epi64(Q as i64)))
}
