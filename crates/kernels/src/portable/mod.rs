//! Plain Rust: the meaning of the kernels, and what runs where nothing better does.

mod keccak;

use crate::aligned::Lanes;
use crate::backend::Kernel;
use crate::keccak::{States, Words, chain_with, permute_with};
use crate::packed::MAX_POLYNOMIALS;
use crate::{GROUP_BYTES, LANES, N, Q_BITS, modq, reply};

/// The portable kernel; needs no proof of anything.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

/// Bytes from the beginning of a group that eight 64-bit loads may touch: the last begins at byte 35.
const WINDOW_BYTES: usize = 5 * (LANES - 1) + 8;

impl Kernel for Portable {
    fn match_group<const B: usize, const P: usize>(
        self,
        blocks: [&[u8]; B],
        queries: [&[Lanes]; P],
        _ahead: usize,
        sums: [[&mut [u64; LANES]; P]; B],
    ) {
        for (packed, sums) in blocks.iter().zip(sums) {
            for (query, sums) in queries.iter().zip(sums) {
                multiply(packed, query, sums);
            }
        }
    }

    fn sum(self, lines: &[Lanes]) -> u64 {
        lines.iter().flat_map(|line| line.0).fold(0, u64::wrapping_add)
    }

    fn mul_assign(self, a: &mut [u64; N], b: &[u64; N]) {
        for (a, b) in a.iter_mut().zip(b) {
            *a = modq::mul(*a, *b);
        }
    }

    fn mul_add_assign(self, sum: &mut [u64; N], a: &[u64; N], b: &[u64; N]) {
        for ((sum, a), b) in sum.iter_mut().zip(a).zip(b) {
            *sum = modq::reduce_product(u128::from(*a) * u128::from(*b) + u128::from(*sum));
        }
    }

    fn mul_scalar_add_assign(self, sum: &mut [u64; N], a: &[u64; N], c: u64) {
        for (sum, a) in sum.iter_mut().zip(a) {
            *sum = modq::reduce_product(u128::from(*a) * u128::from(c) + u128::from(*sum));
        }
    }

    fn permute_states(self, states: &mut States, lanes: usize) {
        permute_with(self, states, lanes);
    }

    fn chain<const W: usize>(self, block: &States, lanes: usize, values: &mut [[Words; W]]) {
        chain_with(self, block, lanes, values);
    }

    fn round_reply(self, r: &[u64; N], bits: u32, t_inv: u64, out: &mut [u16; N]) {
        for (out, x) in out.iter_mut().zip(r) {
            *out = reply::round(*x, bits, t_inv);
        }
    }
}

/// One block and one query of `Kernel::match_group`.
fn multiply(packed: &[u8], query: &[Lanes], sums: &mut [u64; LANES]) {
    // 2048 products below 2^82 and a value below 2^41 sum to less than 2^94.
    assert!(query.len() <= MAX_POLYNOMIALS);
    let mut wide = sums.map(u128::from);
    for (c, q) in query.iter().enumerate() {
        let window: &[u8; WINDOW_BYTES] =
            packed[GROUP_BYTES * c..].first_chunk().expect("padding follows the last group");
        for j in 0..LANES {
            let word: &[u8; 8] = window[5 * j..].first_chunk().expect("the window has 8 bytes more");
            let value = u64::from_le_bytes(*word) >> j & ((1 << Q_BITS) - 1);
            wide[j] += u128::from(value) * u128::from(q.0[j]);
        }
    }
    *sums = wide.map(modq::reduce_u128);
}
