//! The hash functions of the SHAKE sets (FIPS 205 section 11.2.2), on eight inputs in lockstep.
//!
//! Every value is a row of `W = n / 8` words. A hash of less than a block (`F`, `PRF`, `H`) is one permutation; the
//! chains of WOTS+ stay in registers from one step to the next.

use tyto_kernels::Backend;
use tyto_kernels::keccak::{LANES, RATE_BYTES, RATE_WORDS, Sponge, Squeezer, States, Suffix, Words, chain};
use zeroize::Zeroizing;

use super::address::Address;

/// A hash value.
pub(super) type Node<const W: usize> = [u64; W];

/// The first bit of SHAKE's suffix and padding, in the word after the input, and the last bit of the block.
const PADDING: [u64; 2] = [0x1F, 1 << 63];

/// Longest output of `H_msg`, in bytes.
pub(super) const MAX_DIGEST_BYTES: usize = 49;

/// Reads a hash value of `8 W` bytes.
pub(super) fn node<const W: usize>(bytes: &[u8]) -> Node<W> {
    let words = bytes.as_chunks::<8>().0;
    core::array::from_fn(|i| u64::from_le_bytes(words[i]))
}

/// The bytes of hash values.
pub(super) fn to_bytes<const W: usize>(nodes: &[Node<W>]) -> Vec<u8> {
    nodes.as_flattened().iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// The value in one lane.
pub(super) fn in_lane<const W: usize>(words: &[Words; W], lane: usize) -> Node<W> {
    words.map(|words| words.0[lane])
}

/// The tweakable hash functions under one `PK.seed`.
pub(super) struct Lockstep<const W: usize> {
    backend: Backend,
    pk_seed: Node<W>,
    /// A padded input of `PRF` and `F` without its address and its value.
    block: States,
    sponge: Sponge,
}

impl<const W: usize> Lockstep<W> {
    pub(super) fn new(backend: Backend, pk_seed: Node<W>) -> Self {
        let mut block = States::zero();
        let words = block.words_mut();
        for (words, word) in words.iter_mut().zip(pk_seed) {
            *words = Words::splat(word);
        }
        words[2 * W + 4] = Words::splat(PADDING[0]);
        words[RATE_WORDS - 1] = Words::splat(PADDING[1]);
        Self { backend, pk_seed, block, sponge: Sponge::new(backend, LANES) }
    }

    /// `values[i + 1]` becomes `F(PK.seed, ADRS + i, values[i])` in the first `lanes` lanes, where `ADRS + i` has a
    /// hash address that is `i` higher. With one step and `SK.seed` as the first value it is `PRF`.
    pub(super) fn chain(&mut self, lanes: usize, address: &[Words; 4], values: &mut [[Words; W]]) {
        self.block.words_mut()[W..W + 4].copy_from_slice(address);
        chain(self.backend, &self.block, lanes, values);
    }

    /// `H`, `T_k` and `T_len` of rows of words, of which each lane has one, in the first `lanes` lanes.
    pub(super) fn compress<'a>(
        &mut self,
        lanes: usize,
        address: &[Words; 4],
        rows: impl IntoIterator<Item = &'a [Words; W]>,
    ) -> [Words; W] {
        self.begin(lanes, address);
        rows.into_iter().for_each(|row| self.absorb(row));
        self.end()
    }

    /// [`Lockstep::compress`] in pieces.
    pub(super) fn begin(&mut self, lanes: usize, address: &[Words; 4]) {
        self.sponge.restart(lanes);
        self.sponge.absorb_all(&self.pk_seed);
        self.sponge.absorb(address);
    }

    pub(super) fn absorb(&mut self, row: &[Words; W]) {
        self.sponge.absorb(row);
    }

    pub(super) fn end(&mut self) -> [Words; W] {
        *self.sponge.finish(Suffix::Shake).first_chunk().expect("a block is longer than a value")
    }

    /// The same in one lane, of values.
    pub(super) fn compress_one(&mut self, address: &Address, nodes: &[Node<W>]) -> Node<W> {
        self.begin(1, &address.map(Words::splat));
        nodes.iter().for_each(|node| self.sponge.absorb_all(node));
        in_lane(&self.end(), 0)
    }
}

/// `SHAKE256` of the parts, at most a block of output.
fn shake256<const P: usize, const L: usize>(backend: Backend, parts: [&[u8]; P]) -> Zeroizing<[u8; L]> {
    let mut block = Zeroizing::new([[[0; RATE_BYTES]]]);
    Squeezer::shake256(backend, &[parts]).next_blocks(&mut block[..]);
    let mut output = Zeroizing::new([0; L]);
    output.copy_from_slice(&block[0][0][..L]);
    output
}

/// `PRF_msg(SK.prf, opt_rand, M)`, which is the first part of a signature.
pub(super) fn prf_msg<const W: usize>(
    backend: Backend,
    sk_prf: &[u8],
    opt_rand: &[u8],
    [prefix, message]: [&[u8]; 2],
) -> Node<W> {
    node(&shake256::<4, RATE_BYTES>(backend, [sk_prf, opt_rand, prefix, message])[..])
}

/// `H_msg(R, PK.seed, PK.root, M)`: as many bytes as any parameter set takes, of which it takes the first.
pub(super) fn h_msg(
    backend: Backend,
    r: &[u8],
    public_key: &[u8],
    [prefix, message]: [&[u8]; 2],
) -> Zeroizing<[u8; MAX_DIGEST_BYTES]> {
    shake256(backend, [r, public_key, prefix, message])
}
