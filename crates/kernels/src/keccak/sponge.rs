//! Sponges in lockstep: inputs of one length that come word by word.

use super::{LANES, LAST_BIT, RATE_WORDS, STATE_WORDS, States, Words};
use crate::Backend;

/// What a function of the Keccak family appends to its input, with the first bit of the padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suffix {
    /// `SHA3` (FIPS 202 section 6.1).
    Sha3,
    /// `SHAKE` (FIPS 202 section 6.2).
    Shake,
}

impl Suffix {
    pub(super) const fn byte(self) -> u8 {
        match self {
            Self::Sha3 => 0x06,
            Self::Shake => 0x1F,
        }
    }
}

/// Up to eight sponges of capacity 512 that absorb whole words in lockstep. Wiped on drop.
pub struct Sponge {
    backend: Backend,
    lanes: usize,
    states: States,
    /// Words absorbed since the last permutation.
    position: usize,
}

impl Sponge {
    /// Sponges that have absorbed nothing.
    ///
    /// # Panics
    ///
    /// If there are more than [`LANES`].
    pub fn new(backend: Backend, lanes: usize) -> Self {
        assert!(lanes <= LANES, "{lanes} lanes");
        Self { backend, lanes, states: States::zero(), position: 0 }
    }

    /// Begins anew with empty inputs. What was absorbed before is overwritten with zeros.
    ///
    /// # Panics
    ///
    /// If there are more than [`LANES`].
    pub fn restart(&mut self, lanes: usize) {
        assert!(lanes <= LANES, "{lanes} lanes");
        self.lanes = lanes;
        self.states.0 = [Words::default(); STATE_WORDS];
        self.position = 0;
    }

    /// Appends words to the inputs: one to each at a time.
    pub fn absorb(&mut self, words: &[Words]) {
        for words in words {
            self.states.absorb_word(self.position, words);
            self.position += 1;
            if self.position == RATE_WORDS {
                self.states.permute(self.backend, self.lanes);
                self.position = 0;
            }
        }
    }

    /// Appends the same words to every input.
    pub fn absorb_all(&mut self, words: &[u64]) {
        for &word in words {
            self.absorb(&[Words::splat(word)]);
        }
    }

    /// Ends the inputs and gives the first block of output, word by word. Then only [`Sponge::restart`] makes sense.
    pub fn finish(&mut self, suffix: Suffix) -> &[Words] {
        self.states.absorb_word(self.position, &Words::splat(u64::from(suffix.byte())));
        self.states.absorb_word(RATE_WORDS - 1, &Words::splat(LAST_BIT));
        self.states.permute(self.backend, self.lanes);
        self.position = RATE_WORDS;
        &self.states.words()[..RATE_WORDS]
    }
}
