//! AVX2: four lanes, and no multiplication wider than 32 bits.
//!
//! `vpmuludq` multiplies the low halves of its lanes and ignores the high ones. A value is split into its low 32 bits,
//! for which nothing has to be done, and 9 high ones; the other factor into 21 and 20 bits. The four products are
//! added up apart and brought together once, at the end. What is not overridden here is left to the compiler.

mod group;
mod keccak;
mod pointwise;

use std::arch::x86_64::{
    __m256i, _mm256_add_epi64, _mm256_and_si256, _mm256_cmpgt_epi64, _mm256_mul_epu32, _mm256_set1_epi64x,
    _mm256_setzero_si256, _mm256_slli_epi64, _mm256_srli_epi64, _mm256_sub_epi64,
};
use std::mem::transmute;

use crate::aligned::Lanes;
use crate::backend::Kernel;
use crate::keccak::{States, Words};
use crate::packed::MAX_POLYNOMIALS;
use crate::{LANES, N, Q, Q_BITS};

/// Proof that the CPU has AVX2.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(());

impl Avx2 {
    /// Asks the CPU; the standard library caches the answer.
    pub(crate) fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Self(()))
    }
}

impl Kernel for Avx2 {
    fn match_group<const B: usize, const P: usize>(
        self,
        blocks: [&[u8]; B],
        queries: [&[Lanes]; P],
        ahead: usize,
        sums: [[&mut [u64; LANES]; P]; B],
    ) {
        for (packed, sums) in blocks.into_iter().zip(sums) {
            // SAFETY: `self` proves that the CPU has the feature.
            unsafe { group::multiply(packed, queries, ahead, sums) }
        }
    }

    fn sum(self, lines: &[Lanes]) -> u64 {
        // SAFETY: `self` proves that the CPU has the feature.
        unsafe { group::sum(lines) }
    }

    fn mul_assign(self, a: &mut [u64; N], b: &[u64; N]) {
        // SAFETY: `self` proves that the CPU has the feature.
        unsafe { pointwise::mul_assign(a, b) }
    }

    fn mul_add_assign(self, sum: &mut [u64; N], a: &[u64; N], b: &[u64; N]) {
        // SAFETY: `self` proves that the CPU has the feature.
        unsafe { pointwise::mul_add_assign(sum, a, b) }
    }

    fn mul_scalar_add_assign(self, sum: &mut [u64; N], a: &[u64; N], c: u64) {
        // SAFETY: `self` proves that the CPU has the feature.
        unsafe { pointwise::mul_scalar_add_assign(sum, a, c) }
    }

    fn permute_states(self, states: &mut States, lanes: usize) {
        // SAFETY: `self` proves that the CPU has the feature.
        unsafe { keccak::permute(self, states, lanes) }
    }

    fn chain<const W: usize>(self, block: &States, lanes: usize, values: &mut [[Words; W]]) {
        // SAFETY: `self` proves that the CPU has the feature.
        unsafe { keccak::chain(self, block, lanes, values) }
    }

    fn round_reply(self, r: &[u64; N], bits: u32, t_inv: u64, out: &mut [u16; N]) {
        // SAFETY: `self` proves that the CPU has the feature.
        unsafe { pointwise::round_reply(r, bits, t_inv, out) }
    }
}

/// Lanes of a register.
const WIDTH: usize = LANES / 2;

/// Four values in a register.
#[inline]
#[target_feature(enable = "avx2")]
fn from_lanes(lanes: &[u64; WIDTH]) -> __m256i {
    // SAFETY: both are 32 bytes without padding, and every bit pattern is valid.
    unsafe { transmute(*lanes) }
}

/// The four values of a register.
#[inline]
#[target_feature(enable = "avx2")]
fn to_lanes(x: __m256i) -> [u64; WIDTH] {
    // SAFETY: both are 32 bytes without padding, and every bit pattern is valid.
    unsafe { transmute(x) }
}

/// Low bits of the factor that is split into 21 and 20.
const FACTOR_BITS: u32 = 21;

/// Sums of the four partial products, whose weights are 1, `2^21`, `2^32` and `2^53`.
#[derive(Clone, Copy)]
struct Sums {
    low_low: __m256i,
    low_high: __m256i,
    high_low: __m256i,
    high_high: __m256i,
}

// The first sum has the largest terms, below 2^53, and stays below 2^64; the others below 2^63, 2^41 and 2^40.
const _: () = assert!(MAX_POLYNOMIALS as u128 * ((1 << 32) - 1) * ((1 << FACTOR_BITS) - 1) < 1 << 64);
const _: () = assert!(Q_BITS == 41 && MAX_POLYNOMIALS <= 1 << 11);

impl Sums {
    #[inline]
    #[target_feature(enable = "avx2")]
    fn zero() -> Self {
        let zero = _mm256_setzero_si256();
        Self { low_low: zero, low_high: zero, high_low: zero, high_high: zero }
    }

    /// Adds the products of values below `2^41`. What the registers of `value` have above is not ignored.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn add_product(&mut self, value: __m256i, factor: __m256i) {
        let high = _mm256_srli_epi64::<32>(value);
        let factor_low = _mm256_and_si256(factor, _mm256_set1_epi64x((1 << FACTOR_BITS) - 1));
        let factor_high = _mm256_srli_epi64::<{ FACTOR_BITS as i32 }>(factor);
        self.low_low = _mm256_add_epi64(self.low_low, _mm256_mul_epu32(value, factor_low));
        self.low_high = _mm256_add_epi64(self.low_high, _mm256_mul_epu32(value, factor_high));
        self.high_low = _mm256_add_epi64(self.high_low, _mm256_mul_epu32(high, factor_low));
        self.high_high = _mm256_add_epi64(self.high_high, _mm256_mul_epu32(high, factor_high));
    }

    /// All of it and `sum`, which is below `Q`, modulo `Q`.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn reduce(self, sum: __m256i) -> __m256i {
        // A fold leaves less than 2^42 of anything, so that a shift by 21 keeps within 64 bits.
        let low_high = fold(_mm256_slli_epi64::<21>(fold(self.low_high)));
        // 2^32 in two steps: below 2^57, then, from less than 2^42, below 2^58.
        let high_low = fold(_mm256_slli_epi64::<16>(fold(_mm256_slli_epi64::<16>(self.high_low))));
        // 2^53 is 2^12 * 2^41: below 2^52, then below 2^58.
        let high_high = fold(times_2_41(fold(_mm256_slli_epi64::<12>(self.high_high))));
        let low = _mm256_add_epi64(_mm256_add_epi64(fold(self.low_low), low_high), sum);
        // Five numbers below 2^42; one fold leaves less than 2^41 + 2^20 < 2Q.
        canonical(fold(_mm256_add_epi64(low, _mm256_add_epi64(high_low, high_high))))
    }
}

/// `x * (2^16 - 1)`, which is `x * 2^41` modulo `Q`, for `x < 2^48`.
#[inline]
#[target_feature(enable = "avx2")]
fn times_2_41(x: __m256i) -> __m256i {
    _mm256_sub_epi64(_mm256_slli_epi64::<16>(x), x)
}

/// Replaces any 64-bit `x` by a number congruent to it and below `2^41 + 2^16 * (x >> 41)`.
#[inline]
#[target_feature(enable = "avx2")]
fn fold(x: __m256i) -> __m256i {
    let low = _mm256_and_si256(x, _mm256_set1_epi64x((1 << Q_BITS) - 1));
    _mm256_add_epi64(low, times_2_41(_mm256_srli_epi64::<{ Q_BITS as i32 }>(x)))
}

/// `x - Q` where `x >= Q`, for `x < 2Q`.
#[inline]
#[target_feature(enable = "avx2")]
fn canonical(x: __m256i) -> __m256i {
    let q = _mm256_set1_epi64x(Q as i64);
    let below = _mm256_cmpgt_epi64(q, x);
    _mm256_add_epi64(_mm256_sub_epi64(x, q), _mm256_and_si256(q, below))
}
