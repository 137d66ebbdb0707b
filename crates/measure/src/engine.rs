//! The engine: passes over a resident gallery on several threads, and verification.

use std::cell::Cell;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use tyto_engine::{Block, BlockState, Gallery, MATCH_BATCH, Scratch, Snapshot, match_all, prepare_query};
use tyto_kernels::{PackedQuery, Poly, forward, inverse};
use tyto_scheme::{BlockId, GalleryId, GalleryParameters, KeyId, Layout, ParameterSet, reply};

use crate::machine::Machine;
use crate::numbers::Numbers;
use crate::report::{ThreadCurve, ThreadPoint, Threads, VerificationCost};
use crate::timing::{in_turn_for, repeats};
use crate::{Control, Error, Options};

/// Coordinates of a template.
const DIMENSION: u32 = 128;
/// Blocks of different content; the others are copies of these.
const CONTENTS: usize = 3;
/// The last-level cache of a machine that does not tell.
const UNKNOWN_CACHE_BYTES: u64 = 16 << 20;
/// Time of the shortest piece of work that is timed.
const PIECE: Duration = Duration::from_millis(4);

fn state(number: usize) -> BlockState {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&(number as u64).to_le_bytes());
    BlockState {
        id: BlockId(id),
        version: 1,
        changed_at: 1,
        record: [0; 40].into(),
        record_digest: [0; 32],
        entries: 0,
    }
}

/// What the server answers for one block and query, the slow way.
fn expected(layout: &Layout, content: &[Poly], query: &[Poly]) -> Vec<u16> {
    let mut sum = tyto_kernels::NttPoly::zero();
    content.iter().zip(query).for_each(|(b, q)| sum.mul_add_assign(&forward(b), &forward(q)));
    reply::compress(layout, &inverse(&sum))
}

/// A resident gallery in the identification layout, and a probe.
pub struct Resident {
    snapshot: Arc<Snapshot>,
    query: PackedQuery,
    /// The right reply of each of the contents.
    expected: Vec<Vec<u8>>,
}

impl Resident {
    /// A gallery of about `bytes`, of whole batches of blocks, of which `cores` threads get the same number.
    ///
    /// # Errors
    /// A dimension that the scheme refuses.
    pub fn new(dimension: u32, bytes: u64, cores: usize) -> Result<Self, Error> {
        let parameters = GalleryParameters::new(GalleryId([1; 16]), 1, dimension, 1, 0, KeyId([2; 16]))?;
        let layout = parameters.layout;
        let mut numbers = Numbers(3);
        let contents: Vec<Vec<Poly>> = (0..CONTENTS).map(|_| numbers.polys(layout.chunks())).collect();
        let probe = numbers.polys(layout.chunks());
        let batches = (bytes / (MATCH_BATCH * Block::packed_bytes(&layout)) as u64).max(1) as usize;
        // As much for every thread, where there is enough.
        let batches = batches - if batches > cores { batches % cores } else { 0 };
        let block = |number: usize| {
            Block::from_polynomials(&layout, state(number), contents[number % CONTENTS].clone(), &[], &[])
        };
        let blocks = (0..batches * MATCH_BATCH).map(block).collect();
        let gallery = Gallery::new(parameters, 1, Arc::from(*b"measured"), blocks)?;
        let expected =
            contents.iter().map(|content| reply::pack(&layout, &expected(&layout, content, &probe)));
        Ok(Self { expected: expected.collect(), query: prepare_query(&probe), snapshot: gallery.snapshot() })
    }

    /// Bytes of the gallery.
    pub fn bytes(&self) -> u64 {
        self.snapshot.blocks().iter().map(|block| block.packed().bytes() as u64).sum()
    }

    /// Slots of the gallery.
    pub fn slots(&self) -> usize {
        self.snapshot.slots_total()
    }

    /// One pass; whether every block was answered and every answer is right, which costs little beside the pass.
    fn is_answered(&self, threads: usize) -> bool {
        let (mut blocks, mut right) = (0, true);
        let threads = NonZeroUsize::new(threads).unwrap_or(NonZeroUsize::MIN);
        let _ = match_all(&self.snapshot, &[&self.query], threads, |batch| {
            for reply in batch.into_iter().flatten() {
                blocks += 1;
                right &= reply.packed == self.expected[reply.ordinal % CONTENTS];
            }
            ControlFlow::Continue(())
        });
        right && blocks == self.snapshot.blocks().len()
    }

    /// Times passes on each number of threads in turn.
    ///
    /// # Errors
    /// [`Error::WrongResult`].
    pub fn scaling(
        &self,
        threads: &[usize],
        budget: Duration,
        min_rounds: usize,
    ) -> Result<ThreadCurve, Error> {
        let right = Cell::new(threads.iter().all(|&threads| self.is_answered(threads)));
        let check = &|threads| right.set(right.get() & self.is_answered(threads));
        let passes = repeats(PIECE, || check(threads[0]));
        let pass = |&threads: &usize| move || (0..passes).for_each(|_| check(threads));
        let mut pieces: Vec<_> = threads.iter().map(pass).collect();
        let mut pieces: Vec<&mut dyn FnMut()> = pieces.iter_mut().map(|piece| piece as _).collect();
        let turns = in_turn_for(budget, min_rounds, &mut pieces);
        if !right.get() {
            return Err(Error::WrongResult { what: "a pass over the gallery" });
        }
        let slots = self.slots() as f64 * f64::from(passes);
        let point = |(index, &threads): (usize, &usize)| ThreadPoint {
            threads,
            comparisons_per_s: slots / turns.fastest(index).as_secs_f64(),
            speedup: turns.ratio(0, index),
        };
        Ok(ThreadCurve {
            gallery_bytes: self.bytes(),
            points: threads.iter().enumerate().map(point).collect(),
        })
    }
}

/// 1, 2, 4 and so on, and all cores.
fn thread_counts(cores: usize) -> Vec<usize> {
    let powers = std::iter::successors(Some(1), |threads| Some(2 * threads));
    powers.take_while(|&threads| threads < cores).chain([cores]).collect()
}

pub(crate) fn threads(options: &Options, machine: &Machine, control: &Control<'_>) -> Result<Threads, Error> {
    let counts = thread_counts(machine.cores);
    let last_level = machine.caches.last().map_or(UNKNOWN_CACHE_BYTES, |cache| cache.bytes);
    let curve = |bytes: u64, name: &str| {
        control.step(&format!("threads, {name}"))?;
        Resident::new(DIMENSION, bytes, machine.cores)?.scaling(&counts, options.share(7), 3)
    };
    let cached = curve((last_level / 4 * 3).min(options.gallery_bytes), "a gallery in the caches")?;
    let memory = curve(options.gallery_bytes, "a gallery in memory")?;
    Ok(Threads { dimension: DIMENSION as usize, cached, memory })
}

/// The server's part of a verification: both queries, one slot.
pub(crate) fn verification(budget: Duration) -> Result<VerificationCost, Error> {
    let layout = Layout::verification(ParameterSet::Exact41, DIMENSION)?;
    let mut numbers = Numbers(5);
    let content = numbers.polys(layout.chunks());
    let block = Arc::new(Block::from_polynomials(&layout, state(0), content.clone(), &[], &[]));
    let probes = [numbers.polys(layout.chunks()), numbers.polys(layout.chunks())];
    let queries: Vec<PackedQuery> = probes.iter().map(|probe| prepare_query(probe)).collect();
    let slot = layout.slots() as u16 - 1;
    let expected = probes.each_ref().map(|probe| expected(&layout, &content, probe)[usize::from(slot)]);
    let mut scratch = Scratch::new();
    let mut verify = || scratch.match_slots(&layout, &block, &queries, &[slot]);
    if verify().concat() != expected {
        return Err(Error::WrongResult { what: "a verification" });
    }
    let (poly, mut transformed) = (numbers.poly(), tyto_kernels::NttPoly::zero());
    let calls = repeats(PIECE, || drop(std::hint::black_box(verify())));
    let mut transform = || {
        tyto_kernels::forward_into(std::hint::black_box(&poly), &mut transformed);
        std::hint::black_box(&mut transformed);
    };
    let mut transforms = || (0..calls).for_each(|_| transform());
    let mut verifications = || (0..calls).for_each(|_| drop(std::hint::black_box(verify())));
    let turns = in_turn_for(budget, 3, &mut [&mut transforms, &mut verifications]);
    Ok(VerificationCost {
        dimension: layout.dimension(),
        match_us: 1e6 * turns.fastest(1).as_secs_f64() / f64::from(calls),
        over_forward_ntt: turns.ratio(1, 0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thread_counts_double_up_to_the_cores() {
        assert_eq!(thread_counts(1), [1]);
        assert_eq!(thread_counts(2), [1, 2]);
        assert_eq!(thread_counts(6), [1, 2, 4, 6]);
        assert_eq!(thread_counts(8), [1, 2, 4, 8]);
    }
}
