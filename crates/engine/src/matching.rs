use crate::snapshot::Snapshot;
use std::num::NonZeroUsize;
use std::ops::{ControlFlow, Range};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use tyto_kernels::{
    MATCH_BATCH, NttPoly, PackedBlock, PackedQuery, Poly, detect, inverse_into, match_blocks,
};
use tyto_scheme::reply;

/// The answer of one block to an identification.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BlockReply {
    /// Which block of the snapshot.
    pub ordinal: usize,
    /// One coefficient per slot, packed as [`reply::pack`] does.
    pub packed: Vec<u8>,
}

/// Compares up to [`MAX_PROBES`](tyto_kernels::MAX_PROBES) queries with every block of a snapshot in one pass and
/// gives the replies to `sink`, batch by batch in the order of the blocks, the first of them long before the last
/// block is read. A batch has the replies to each query, in the order of the queries. A `sink` that breaks ends
/// the pass.
///
/// The calling thread works too; `threads - 1` more are started, each with a contiguous part of the blocks.
/// Their replies wait in memory for their turn (at most 2 bytes a slot and query).
///
/// # Panics
/// If there is no query or too many, or one does not have the layout's number of polynomials.
pub fn match_all(
    snapshot: &Snapshot,
    queries: &[&PackedQuery],
    threads: NonZeroUsize,
    mut sink: impl FnMut(Vec<Vec<BlockReply>>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let mut parts = parts(snapshot.blocks().len(), threads.get()).into_iter();
    let Some(first) = parts.next() else { return ControlFlow::Continue(()) };
    let stopped = &AtomicBool::new(false);
    std::thread::scope(|scope| {
        let others: Vec<_> = parts
            .map(|part| {
                let (sender, replies) = mpsc::channel();
                scope.spawn(move || {
                    match_part(snapshot, part, queries, |batch| match sender.send(batch) {
                        Ok(()) if !stopped.load(Ordering::Relaxed) => ControlFlow::Continue(()),
                        _ => ControlFlow::Break(()),
                    })
                });
                replies
            })
            .collect();
        let mut give = |batch| {
            let flow = sink(batch);
            stopped.fetch_or(flow.is_break(), Ordering::Relaxed);
            flow
        };
        match_part(snapshot, first, queries, &mut give)?;
        others.into_iter().flatten().try_for_each(give)
    })
}

/// Blocks that the kernels like to take at once: a part is a multiple of it.
const GRAIN: usize = 4;

/// Contiguous parts of `blocks` blocks, as equal as they can be; none is empty.
fn parts(blocks: usize, threads: usize) -> Vec<Range<usize>> {
    let part = blocks.div_ceil(threads).max(1).next_multiple_of(GRAIN);
    (0..blocks).step_by(part).map(|start| start..(start + part).min(blocks)).collect()
}

fn match_part(
    snapshot: &Snapshot,
    part: Range<usize>,
    queries: &[&PackedQuery],
    mut sink: impl FnMut(Vec<Vec<BlockReply>>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let layout = snapshot.layout();
    let backend = detect();
    let probes = queries.len();
    let mut products = vec![NttPoly::zero(); MATCH_BATCH.min(part.len()) * probes];
    let mut r = Poly::zero();
    for start in part.clone().step_by(MATCH_BATCH) {
        let blocks = &snapshot.blocks()[start..part.end.min(start + MATCH_BATCH)];
        let packed: Vec<&PackedBlock> = blocks.iter().map(|block| block.packed()).collect();
        let products = &mut products[..blocks.len() * probes];
        match_blocks(backend, &packed, queries, products);
        let mut batch: Vec<_> = (0..probes).map(|_| Vec::with_capacity(blocks.len())).collect();
        for (products, ordinal) in products.chunks(probes).zip(start..) {
            for (product, replies) in products.iter().zip(&mut batch) {
                inverse_into(product, &mut r);
                let packed = reply::pack(layout, &reply::compress(layout, &r));
                replies.push(BlockReply { ordinal, packed });
            }
        }
        sink(batch)?;
    }
    ControlFlow::Continue(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_every_block_once_in_order() {
        for blocks in [0, 1, 7, 8, 9, 16, 17, 100, 489] {
            for threads in [1, 2, 3, 7, 64] {
                let parts = parts(blocks, threads);
                assert!(parts.len() <= threads && parts.iter().all(|part| !part.is_empty()));
                assert_eq!(parts.into_iter().flatten().collect::<Vec<_>>(), (0..blocks).collect::<Vec<_>>());
            }
        }
    }
}
