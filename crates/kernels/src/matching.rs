//! The match: one pass over resident blocks for one query.

use crate::backend::{Kernel, with_kernel};
use crate::{Backend, GROUPS, LANES, NttPoly, PackedBlock, PackedQuery};

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

/// Groups in the outer loop, blocks inside.
fn match_batch(kernel: impl Kernel, blocks: &[&PackedBlock], query: &PackedQuery, out: &mut [NttPoly]) {
    for group in 0..GROUPS {
        let lanes = query.group(group);
        for (i, block) in blocks.iter().enumerate() {
            let next = match blocks.get(i + 1) {
                Some(block) => block.groups_from(group),
                None => blocks[0].groups_from(group + 1),
            };
            let sums = kernel.match_group(block.groups_from(group), lanes, next);
            out[i].values_mut()[group * LANES..][..LANES].copy_from_slice(&sums);
        }
    }
}
