//! Four states at a time. There are sixteen registers for 25 words, and a rotation is two shifts and a sum.

#![expect(
    clippy::inline_always,
    reason = "each is an instruction or two of one unrolled permutation; a call would cost more and lose the target features"
)]

use std::arch::x86_64::{
    __m256i, _mm256_add_epi64, _mm256_andnot_si256, _mm256_or_si256, _mm256_set1_epi64x, _mm256_slli_epi64,
    _mm256_srlv_epi64, _mm256_xor_si256,
};

use super::{Avx2, WIDTH, from_lanes, to_lanes};
use crate::keccak::{Registers, States, Words, chain_with, permute_with};

/// See `Kernel::permute_states`.
#[target_feature(enable = "avx2")]
pub(super) fn permute(kernel: Avx2, states: &mut States, lanes: usize) {
    permute_with(kernel, states, lanes);
}

/// See `Kernel::chain`.
#[target_feature(enable = "avx2")]
pub(super) fn chain<const W: usize>(kernel: Avx2, block: &States, lanes: usize, values: &mut [[Words; W]]) {
    chain_with(kernel, block, lanes, values);
}

// Each of these is one instruction or two, inlined into the functions above.
impl Registers for Avx2 {
    type Register = __m256i;
    const WIDTH: usize = 4;

    #[inline(always)]
    fn load(self, words: &Words, at: usize) -> __m256i {
        let four: &[u64; WIDTH] = words.0[at..].first_chunk().expect("four lanes from there on");
        // SAFETY: `self` proves that the CPU has the feature.
        unsafe { from_lanes(four) }
    }

    #[inline(always)]
    fn store(self, register: __m256i, words: &mut Words, at: usize) {
        let four: &mut [u64; WIDTH] = words.0[at..].first_chunk_mut().expect("four lanes from there on");
        // SAFETY: `self` proves that the CPU has the feature.
        *four = unsafe { to_lanes(register) };
    }

    #[inline(always)]
    fn splat(self, word: u64) -> __m256i {
        // SAFETY: `self` proves that the CPU has the feature.
        unsafe { _mm256_set1_epi64x(word as i64) }
    }

    #[inline(always)]
    fn add(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: `self` proves that the CPU has the feature.
        unsafe { _mm256_add_epi64(a, b) }
    }

    #[inline(always)]
    fn xor(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: `self` proves that the CPU has the feature.
        unsafe { _mm256_xor_si256(a, b) }
    }

    #[inline(always)]
    fn chi(self, a: __m256i, b: __m256i, c: __m256i) -> __m256i {
        // SAFETY: `self` proves that the CPU has the feature.
        unsafe { _mm256_xor_si256(a, _mm256_andnot_si256(b, c)) }
    }

    #[inline(always)]
    fn rotate<const BITS: i32>(self, a: __m256i) -> __m256i {
        // SAFETY: `self` proves that the CPU has the feature.
        unsafe {
            _mm256_or_si256(
                _mm256_slli_epi64::<BITS>(a),
                _mm256_srlv_epi64(a, _mm256_set1_epi64x(64 - i64::from(BITS))),
            )
        }
    }
}
