//! Keccak-f\[1600\] (FIPS 202) on eight states at once, and the sponges that are worth it.
//!
//! A register holds the same word of several states: eight with AVX-512, four with AVX2. Whatever the backend, callers
//! work on [`LANES`] states, of which they may leave the last unused.
//!
//! # Security
//!
//! The permutation and everything here that does not say otherwise has neither branches nor memory addresses that
//! depend on content. Lengths, lane numbers and step counts are public. States are wiped on drop; what the compiler
//! leaves in registers and on the stack is not.

mod hash;
mod permutation;
mod sponge;

use zeroize::{DefaultIsZeroes, Zeroize};

use crate::Backend;
use crate::backend::{Kernel, with_kernel};

pub use hash::{Squeezer, sha3_256_many};
pub use sponge::{Sponge, Suffix};

pub(crate) use permutation::{Registers, chain as chain_with, permute as permute_with};

/// States that are permuted together.
pub const LANES: usize = 8;
/// Bytes of a block of SHAKE256 and of SHA3-256: the rate of Keccak\[512\].
pub const RATE_BYTES: usize = 136;
/// Words of a block.
pub const RATE_WORDS: usize = RATE_BYTES / 8;
/// Words of a state.
const STATE_WORDS: usize = 25;
/// The end of the padding (FIPS 202 section 5.1), in the last word of a block.
const LAST_BIT: u64 = 1 << 63;

/// One little-endian 64-bit word of each of the eight states.
#[derive(Clone, Copy, Default)]
#[cfg_attr(test, derive(PartialEq, Eq))]
#[repr(C, align(64))]
pub struct Words(pub [u64; LANES]);

impl Words {
    /// The same word in every lane.
    pub const fn splat(word: u64) -> Self {
        Self([word; LANES])
    }
}

impl DefaultIsZeroes for Words {}

impl std::fmt::Debug for Words {
    /// Never shows content.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Words(..)")
    }
}

/// Eight states, word by word. Wiped on drop.
pub struct States(pub(crate) [Words; STATE_WORDS]);

impl States {
    /// Eight states of zeros.
    pub fn zero() -> Self {
        Self([Words::default(); STATE_WORDS])
    }

    /// The words of the states.
    pub fn words(&self) -> &[Words] {
        &self.0
    }

    /// The words of the states.
    pub fn words_mut(&mut self) -> &mut [Words] {
        &mut self.0
    }

    /// Permutes the first `lanes` states; what becomes of the others is left open.
    ///
    /// # Panics
    ///
    /// If there are more than [`LANES`], or the CPU cannot run the backend.
    pub fn permute(&mut self, backend: Backend, lanes: usize) {
        with_kernel!(backend, kernel => kernel.permute_states(self, lanes));
    }

    /// Adds `word` to the same word of every state, as the sponge does.
    fn absorb_word(&mut self, at: usize, words: &Words) {
        for (state, word) in self.0[at].0.iter_mut().zip(words.0) {
            *state ^= word;
        }
    }
}

impl Drop for States {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Iterates one-block sponges: the chains and the secret values of FIPS 205 section 11.2.
///
/// `block` is the padded input without the value: `W` words of seed, four of address, `W` words for the value, the
/// padding. `values[i + 1]` becomes the first `W` words that come out for the value `values[i]` and the address in
/// which the last byte (the hash address) is `i` higher than in `block`. Only the first `lanes` lanes are computed;
/// what becomes of the others is left open.
///
/// # Panics
///
/// If `W` is 0 or more than 5, if there are more than [`LANES`] lanes, or if the CPU cannot run the backend.
pub fn chain<const W: usize>(backend: Backend, block: &States, lanes: usize, values: &mut [[Words; W]]) {
    with_kernel!(backend, kernel => kernel.chain(block, lanes, values));
}
