//! The match: one pass over resident blocks for one query.

use crate::backend::{Kernel, with_kernel};
use crate::{Backend, GROUP_BYTES, GROUPS, LANES, NttPoly, PackedBlock, PackedQuery};

/// Blocks that one pass over the query serves: the query's slice of a group is read from L1 by all but the
/// first of them.
pub const MATCH_BATCH: usize = 8;

/// `out = sum_c block_c * query_c mod Q`, fully reduced and identical on every backend.
///
/// # Panics
///
/// If block and query differ in their number of polynomials, or the CPU cannot run `backend`.
pub fn match_block(backend: Backend, block: &PackedBlock, query: &PackedQuery, out: &mut NttPoly) {
    match_blocks(backend, &[block], query, std::slice::from_mut(out));
}

/// [`match_block`] for several blocks, [`MATCH_BATCH`] at a time; `out[i]` belongs to `blocks[i]`.
///
/// # Panics
///
/// If a block and the query differ in their number of polynomials, if there are not as many `out` as `blocks`,
/// or if the CPU cannot run `backend`.
pub fn match_blocks(backend: Backend, blocks: &[&PackedBlock], query: &PackedQuery, out: &mut [NttPoly]) {
    assert_eq!(blocks.len(), out.len(), "one result per block");
    for block in blocks {
        assert_eq!(block.polynomials(), query.polynomials(), "polynomials of block and query");
    }
    with_kernel!(backend, kernel => {
        for (blocks, out) in blocks.chunks(MATCH_BATCH).zip(out.chunks_mut(MATCH_BATCH)) {
            match_batch(kernel, blocks, query, out);
        }
    });
}

/// How far ahead of the multiplications memory is asked for, in bytes; about half of an L1 cache.
const PREFETCH_BYTES: usize = 42000;

/// Groups in the outer loop, blocks inside.
fn match_batch(kernel: impl Kernel, blocks: &[&PackedBlock], query: &PackedQuery, out: &mut [NttPoly]) {
    let ahead = PREFETCH_BYTES.div_ceil(query.polynomials() * GROUP_BYTES);
    let (groups_ahead, blocks_ahead) = (ahead / blocks.len(), ahead % blocks.len());
    for group in 0..GROUPS {
        let lanes = query.group(group);
        for (i, block) in blocks.iter().enumerate() {
            let (wraps, next) = match blocks.get(i + blocks_ahead) {
                Some(next) => (0, next),
                None => (1, &blocks[i + blocks_ahead - blocks.len()]),
            };
            let next = next.groups_from((group + groups_ahead + wraps).min(GROUPS));
            let sums = kernel.match_group(block.groups_from(group), lanes, next);
            out[i].values_mut()[group * LANES..][..LANES].copy_from_slice(&sums);
        }
    }
}
