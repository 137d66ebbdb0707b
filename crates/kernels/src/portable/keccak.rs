//! One lane at a time.

#![expect(
    clippy::inline_always,
    reason = "each is an instruction or two of one unrolled permutation; a call would cost more and lose the target features"
)]

use super::Portable;
use crate::keccak::{Registers, Words};

impl Registers for Portable {
    type Register = u64;
    const WIDTH: usize = 1;

    #[inline(always)]
    fn load(self, words: &Words, at: usize) -> u64 {
        words.0[at]
    }

    #[inline(always)]
    fn store(self, register: u64, words: &mut Words, at: usize) {
        words.0[at] = register;
    }

    #[inline(always)]
    fn splat(self, word: u64) -> u64 {
        word
    }

    #[inline(always)]
    fn add(self, a: u64, b: u64) -> u64 {
        a.wrapping_add(b)
    }

    #[inline(always)]
    fn xor(self, a: u64, b: u64) -> u64 {
        a ^ b
    }

    #[inline(always)]
    fn chi(self, a: u64, b: u64, c: u64) -> u64 {
        a ^ (!b & c)
    }

    #[inline(always)]
    fn rotate<const BITS: i32>(self, a: u64) -> u64 {
        a.rotate_left(BITS as u32)
    }
}
