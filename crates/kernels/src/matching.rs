//! The match: one pass over resident blocks for a few queries.

use crate::backend::{Kernel, with_kernel};
use crate::{Backend, GROUP_BYTES, GROUPS, LANES, NttPoly, PackedBlock, PackedQuery};

/// Blocks that are worth giving to one call: they share what is read of the queries.
pub const MATCH_BATCH: usize = 32;

/// Queries that one pass over blocks serves, at most.
pub const MAX_PROBES: usize = 8;

/// `sum_c block_c * query_c mod Q` for every block and query, fully reduced and identical on every backend;
/// `out[b * queries.len() + p]` belongs to block `b` and query `p`.
///
/// # Panics
///
/// If the blocks and queries differ in their number of polynomials, if there are not 1 to [`MAX_PROBES`]
/// queries, if `out` has another length, or if the CPU cannot run `backend`.
pub fn match_blocks(
    backend: Backend,
    blocks: &[&PackedBlock],
    queries: &[&PackedQuery],
    out: &mut [NttPoly],
) {
    let probes = queries.len();
    assert!((1..=MAX_PROBES).contains(&probes), "1 to {MAX_PROBES} queries at once, not {probes}");
    assert_eq!(blocks.len() * probes, out.len(), "one result per block and query");
    for query in queries {
        for block in blocks {
            assert_eq!(block.polynomials(), query.polynomials(), "polynomials of block and query");
        }
    }
    with_kernel!(backend, kernel => {
        for (blocks, out) in blocks.chunks(MATCH_BATCH).zip(out.chunks_mut(MATCH_BATCH * probes)) {
            match_batch(kernel, blocks, queries, out);
        }
    });
}

/// The wrapping sum of all that `blocks` hold, in 64-bit words, padding included: the least that a pass over
/// them can cost, to compare a match with.
///
/// It reads every line once, from front to back, with the widest loads of `backend` into eight independent sums,
/// prefetching as the match does.
///
/// # Panics
///
/// If the CPU cannot run `backend`.
pub fn plain_sum(backend: Backend, blocks: &[&PackedBlock]) -> u64 {
    with_kernel!(backend, kernel => {
        blocks.iter().fold(0, |sum, block| sum.wrapping_add(kernel.sum(block.as_lanes())))
    })
}

/// The kernel for a number of probes: how many blocks it takes at once is what the registers have room for.
fn match_batch(kernel: impl Kernel, blocks: &[&PackedBlock], queries: &[&PackedQuery], out: &mut [NttPoly]) {
    match *queries {
        [a] => match_tiles::<4, 1>(kernel, blocks, [a], out),
        [a, b] => match_tiles::<4, 2>(kernel, blocks, [a, b], out),
        [a, b, c] => match_tiles::<2, 3>(kernel, blocks, [a, b, c], out),
        [a, b, c, d] => match_tiles::<2, 4>(kernel, blocks, [a, b, c, d], out),
        [a, b, c, d, e] => match_tiles::<1, 5>(kernel, blocks, [a, b, c, d, e], out),
        [a, b, c, d, e, f] => match_tiles::<1, 6>(kernel, blocks, [a, b, c, d, e, f], out),
        [a, b, c, d, e, f, g] => match_tiles::<1, 7>(kernel, blocks, [a, b, c, d, e, f, g], out),
        [a, b, c, d, e, f, g, h] => match_tiles::<1, 8>(kernel, blocks, [a, b, c, d, e, f, g, h], out),
        _ => unreachable!("the caller checked the number of queries"),
    }
}

/// Groups and polynomials of the queries that the blocks of a batch are multiplied with before the next: what
/// stays in a cache meanwhile.
pub(crate) struct Tiling {
    groups: usize,
    pub(crate) polynomials: usize,
}

impl Tiling {
    pub(crate) fn new(polynomials: usize, probes: usize) -> Self {
        // Up to two probes: one line of each serves four blocks, which L2 can deliver, and long runs through each
        // block are what the hardware prefetches best. More: the queries are read so often that only L1 will do.
        let bytes = if probes <= 2 { 256 << 10 } else { 32 << 10 };
        let products = bytes / (probes * LANES * size_of::<u64>());
        Self { groups: (products / polynomials).clamp(1, GROUPS), polynomials: polynomials.min(products) }
    }
}

/// Every tile in turn, with all blocks, `B` at once.
fn match_tiles<const B: usize, const P: usize>(
    kernel: impl Kernel,
    blocks: &[&PackedBlock],
    queries: [&PackedQuery; P],
    out: &mut [NttPoly],
) {
    let polynomials = queries[0].polynomials();
    let tiling = Tiling::new(polynomials, P);
    for first_group in (0..GROUPS).step_by(tiling.groups) {
        let groups = first_group..GROUPS.min(first_group + tiling.groups);
        for first in (0..polynomials).step_by(tiling.polynomials) {
            for (blocks, out) in blocks.chunks(B).zip(out.chunks_mut(B * P)) {
                if let Ok(blocks) = <[_; B]>::try_from(blocks) {
                    for group in groups.clone() {
                        match_tile(kernel, group, first, tiling.polynomials, blocks, queries, out);
                    }
                    continue;
                }
                for (block, out) in blocks.iter().zip(out.chunks_mut(P)) {
                    for group in groups.clone() {
                        match_tile(kernel, group, first, tiling.polynomials, [*block], queries, out);
                    }
                }
            }
        }
    }
}

/// How far ahead of the multiplications a block's memory is asked for, in bytes, where it is read in long runs.
const PREFETCH_BYTES: usize = 2048;

/// One group of eight values of up to `count` polynomials from `first` on.
#[inline]
fn match_tile<const B: usize, const P: usize>(
    kernel: impl Kernel,
    group: usize,
    first: usize,
    count: usize,
    blocks: [&PackedBlock; B],
    queries: [&PackedQuery; P],
    out: &mut [NttPoly],
) {
    // With many probes a block is left after one tile, and what follows is needed when its turn comes again.
    let ahead = if P <= 2 { PREFETCH_BYTES } else { count * GROUP_BYTES };
    let rows = blocks.map(|block| block.bytes_from(group, first));
    let queries = queries.map(|query| query.row(group, first, count));
    let mut out = out.iter_mut();
    let sums = std::array::from_fn(|_| {
        std::array::from_fn(|_| {
            let sums = out.next().expect("a result for every block and query").group_mut(group);
            if first == 0 {
                *sums = [0; LANES];
            }
            sums
        })
    });
    kernel.match_group(rows, queries, ahead, sums);
}
