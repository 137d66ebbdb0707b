//! The match: one pass over resident blocks for a few queries.

use crate::backend::{Kernel, with_kernel};
use crate::{Backend, GROUP_BYTES, GROUPS, LANES, NttPoly, PackedBlock, PackedQuery, modq};

/// Blocks that one pass over the query serves: the query's slice of a group is read from L1 by all but the
/// first of them.
pub const MATCH_BATCH: usize = 8;

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
            for (p, query) in queries.iter().enumerate() {
                match_batch(kernel, blocks, query, |block| block * probes + p, out);
            }
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

/// Polynomials that are multiplied in one go: their slice of the query (16 KiB) stays in the L1 cache while the
/// blocks of a batch pass by, whatever the dimension.
const TILE: usize = 256;

/// How far ahead of the multiplications memory is asked for, in bytes.
const PREFETCH_BYTES: usize = 12_000;

/// Groups and tiles in the outer loop, blocks inside; `place` says where the result of a block goes.
fn match_batch(
    kernel: impl Kernel,
    blocks: &[&PackedBlock],
    query: &PackedQuery,
    place: impl Fn(usize) -> usize,
    out: &mut [NttPoly],
) {
    let polynomials = query.polynomials();
    let tiles = polynomials.div_ceil(TILE);
    // A row is one tile of one group; the blocks of a batch are read row by row.
    let rows = GROUPS * tiles;
    let at = |row: usize| (row / tiles, row % tiles * TILE);
    let ahead = PREFETCH_BYTES.div_ceil(polynomials.min(TILE) * GROUP_BYTES);
    let (rows_ahead, blocks_ahead) = (ahead / blocks.len(), ahead % blocks.len());
    for row in 0..rows {
        let (group, first) = at(row);
        let lanes = query.row(group, first, TILE);
        let next_rows = [at((row + rows_ahead).min(rows)), at((row + rows_ahead + 1).min(rows))];
        for (i, block) in blocks.iter().enumerate() {
            let (wraps, i_next) = match (i + blocks_ahead).checked_sub(blocks.len()) {
                Some(i_next) => (1, i_next),
                None => (0, i + blocks_ahead),
            };
            let (group_next, first_next) = next_rows[wraps];
            let next = blocks[i_next].bytes_from(group_next, first_next);
            let sums = kernel.match_group(block.bytes_from(group, first), lanes, next);
            let out = &mut out[place(i)].values_mut()[group * LANES..][..LANES];
            if first == 0 {
                out.copy_from_slice(&sums);
            } else {
                out.iter_mut().zip(sums).for_each(|(out, sum)| *out = modq::add(*out, sum));
            }
        }
    }
}
