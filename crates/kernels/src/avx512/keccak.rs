//! Eight states in 25 registers: a rotation is one instruction, and so is any function of three words.

#![expect(
    clippy::inline_always,
    reason = "each is an instruction or two of one unrolled permutation; a call would cost more and lose the target features"
)]

use std::arch::x86_64::{
    __m512i, _mm512_add_epi64, _mm512_load_si512, _mm512_rol_epi64, _mm512_set1_epi64, _mm512_store_si512,
    _mm512_ternarylogic_epi64, _mm512_xor_si512,
};

use super::Avx512;
use crate::keccak::{Registers, States, Words, chain_with, permute_with};

/// See `Kernel::permute_states`.
#[target_feature(enable = "avx512f")]
pub(super) fn permute(kernel: Avx512, states: &mut States, lanes: usize) {
    permute_with(kernel, states, lanes);
}

/// See `Kernel::chain`.
#[target_feature(enable = "avx512f")]
pub(super) fn chain<const W: usize>(kernel: Avx512, block: &States, lanes: usize, values: &mut [[Words; W]]) {
    chain_with(kernel, block, lanes, values);
}

// Each of these is one instruction or two, inlined into the functions above.
impl Registers for Avx512 {
    type Register = __m512i;
    const WIDTH: usize = 8;

    #[inline(always)]
    fn load(self, words: &Words, at: usize) -> __m512i {
        assert!(at == 0);
        // SAFETY: `self` proves that the CPU has the features; `Words` is 64 bytes and aligned to them.
        unsafe { _mm512_load_si512(words.0.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store(self, register: __m512i, words: &mut Words, at: usize) {
        assert!(at == 0);
        // SAFETY: `self` proves that the CPU has the features; `Words` is 64 bytes and aligned to them.
        unsafe { _mm512_store_si512(words.0.as_mut_ptr().cast(), register) }
    }

    #[inline(always)]
    fn splat(self, word: u64) -> __m512i {
        // SAFETY: `self` proves that the CPU has the features.
        unsafe { _mm512_set1_epi64(word as i64) }
    }

    #[inline(always)]
    fn add(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: `self` proves that the CPU has the features.
        unsafe { _mm512_add_epi64(a, b) }
    }

    #[inline(always)]
    fn xor(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: `self` proves that the CPU has the features.
        unsafe { _mm512_xor_si512(a, b) }
    }

    #[inline(always)]
    fn xor3(self, a: __m512i, b: __m512i, c: __m512i) -> __m512i {
        // SAFETY: `self` proves that the CPU has the features.
        unsafe { _mm512_ternarylogic_epi64::<0b1001_0110>(a, b, c) }
    }

    #[inline(always)]
    fn chi(self, a: __m512i, b: __m512i, c: __m512i) -> __m512i {
        // SAFETY: `self` proves that the CPU has the features.
        unsafe { _mm512_ternarylogic_epi64::<0b1101_0010>(a, b, c) }
    }

    #[inline(always)]
    fn rotate<const BITS: i32>(self, a: __m512i) -> __m512i {
        // SAFETY: `self` proves that the CPU has the features.
        unsafe { _mm512_rol_epi64::<BITS>(a) }
    }
}
