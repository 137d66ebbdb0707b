//! SHA3-256 of many inputs, and SHAKE256 of up to eight, byte by byte.

use zeroize::Zeroize;

use super::sponge::Suffix;
use super::{LANES, RATE_BYTES, STATE_WORDS, States, Words};
use crate::Backend;

/// Bytes of a SHA3-256 digest.
const DIGEST_BYTES: usize = 32;

/// What is left of one input, whose parts follow each other.
#[derive(Clone, Copy)]
struct Input<'a, const P: usize> {
    parts: [&'a [u8]; P],
    /// The padding was written.
    is_done: bool,
}

impl<'a, const P: usize> Input<'a, P> {
    fn new(parts: [&'a [u8]; P]) -> Self {
        Self { parts, is_done: false }
    }

    /// Takes the next block; the last one is padded (FIPS 202 section 5.1).
    fn next_block(&mut self, suffix: Suffix, out: &mut [u8; RATE_BYTES]) {
        let mut filled = 0;
        for part in &mut self.parts {
            let (now, later) = part.split_at(part.len().min(RATE_BYTES - filled));
            out[filled..filled + now.len()].copy_from_slice(now);
            filled += now.len();
            *part = later;
        }
        if let Some(rest) = out.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            rest.fill(0);
            rest[0] = suffix.byte();
            out[RATE_BYTES - 1] |= 0x80;
            self.is_done = true;
        }
    }
}

impl States {
    /// Adds a block to each of the first states.
    fn absorb_blocks(&mut self, blocks: &[[u8; RATE_BYTES]]) {
        for (lane, block) in blocks.iter().enumerate() {
            for (words, bytes) in self.0.iter_mut().zip(block.as_chunks::<8>().0) {
                words.0[lane] ^= u64::from_le_bytes(*bytes);
            }
        }
    }

    /// The first bytes of one state.
    fn read(&self, lane: usize, out: &mut [u8]) {
        for (words, bytes) in self.0.iter().zip(out.as_chunks_mut::<8>().0) {
            *bytes = words.0[lane].to_le_bytes();
        }
    }
}

/// SHA3-256 (FIPS 202 section 6.1) of each input, which is its parts one after the other.
///
/// Eight inputs that follow each other are hashed together, in the time of the longest. Their lengths may differ and
/// are not secret; copies of what is hashed are not wiped.
///
/// # Panics
///
/// If the CPU cannot run the backend.
pub fn sha3_256_many<'a, const P: usize>(
    backend: Backend,
    inputs: impl IntoIterator<Item = [&'a [u8]; P]>,
) -> Vec<[u8; DIGEST_BYTES]> {
    let mut inputs = inputs.into_iter().fuse();
    let mut digests = Vec::with_capacity(inputs.size_hint().0);
    let mut states = States::zero();
    let mut blocks = [[0; RATE_BYTES]; LANES];
    loop {
        let mut batch = [Input { parts: [&[][..]; P], is_done: true }; LANES];
        let taken = batch.iter_mut().zip(inputs.by_ref()).map(|(input, parts)| *input = Input::new(parts));
        let lanes = taken.count();
        if lanes == 0 {
            return digests;
        }
        let (batch, blocks) = (&mut batch[..lanes], &mut blocks[..lanes]);
        let start = digests.len();
        digests.resize(start + lanes, [0; DIGEST_BYTES]);
        states.0 = [Words::default(); STATE_WORDS];
        // A sponge whose input has ended goes on with the others, but nobody reads it again.
        let mut is_read = [false; LANES];
        while batch.iter().any(|input| !input.is_done) {
            for (input, block) in batch.iter_mut().zip(&mut *blocks).filter(|(input, _)| !input.is_done) {
                input.next_block(Suffix::Sha3, block);
            }
            states.absorb_blocks(blocks);
            states.permute(backend, lanes);
            for (lane, _) in batch.iter().enumerate().filter(|(_, input)| input.is_done) {
                if !std::mem::replace(&mut is_read[lane], true) {
                    states.read(lane, &mut digests[start + lane]);
                }
            }
        }
    }
}

/// The output of up to eight SHAKE256 sponges in lockstep, block by block. Wiped on drop.
pub struct Squeezer {
    backend: Backend,
    lanes: usize,
    /// Where they are made: moving the sponges leaves no copy behind.
    states: Box<States>,
    /// The states hold a block that was not given out.
    is_fresh: bool,
}

impl Squeezer {
    /// SHAKE256 (FIPS 202 section 6.2) of inputs, each of which is its parts one after the other.
    ///
    /// # Panics
    ///
    /// If there are more than [`LANES`], if their lengths differ, or if the CPU cannot run the backend.
    pub fn shake256<const P: usize>(backend: Backend, inputs: &[[&[u8]; P]]) -> Self {
        let lanes = inputs.len();
        assert!(lanes <= LANES, "{lanes} inputs");
        let mut lengths = inputs.iter().map(|parts| parts.iter().map(|part| part.len()).sum::<usize>());
        let first = lengths.next();
        assert!(lengths.all(|length| Some(length) == first), "inputs of different lengths");

        let mut inputs: Vec<_> = inputs.iter().map(|parts| Input::new(*parts)).collect();
        let mut blocks = vec![[0; RATE_BYTES]; lanes];
        let mut states = Box::new(States::zero());
        while inputs.iter().any(|input| !input.is_done) {
            for (input, block) in inputs.iter_mut().zip(&mut blocks) {
                input.next_block(Suffix::Shake, block);
            }
            states.absorb_blocks(&blocks);
            states.permute(backend, lanes);
        }
        blocks.zeroize();
        Self { backend, lanes, states, is_fresh: true }
    }

    /// The next `B` blocks of each output.
    ///
    /// # Panics
    ///
    /// If `out` has not one entry for each input.
    pub fn next_blocks<const B: usize>(&mut self, out: &mut [[[u8; RATE_BYTES]; B]]) {
        assert_eq!(out.len(), self.lanes, "one entry for each input");
        for block in 0..B {
            if !std::mem::take(&mut self.is_fresh) {
                self.states.permute(self.backend, self.lanes);
            }
            out.iter_mut().enumerate().for_each(|(lane, blocks)| self.states.read(lane, &mut blocks[block]));
        }
    }
}
