//! The engine: passes over a resident gallery on several threads, and verification.

use std::cell::Cell;
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use tyto_engine::{Block, BlockState, Comparison, Gallery, Located, Snapshot, Verification, match_all};
use tyto_kernels::{NttPoly, detect, forward, forward_into, inverse};
use tyto_scheme::segment::write_polynomials;
use tyto_scheme::{BlockId, GalleryId, GalleryParameters, KeyId, Layout, ParameterSet, reply};

use crate::gallery::RandomGallery;
use crate::machine::Machine;
use crate::numbers::Numbers;
use crate::report::{ThreadCurve, ThreadPoint, Threads, VerificationCost};
use crate::timing::{in_turn_for, repeats};
use crate::{Control, Error, Options};

/// Coordinates of a template.
const DIMENSION: u32 = 128;
/// Blocks that a thread's part of a pass is a multiple of.
const GRAIN: usize = 4;
/// The last-level cache of a machine that does not tell.
const UNKNOWN_CACHE_BYTES: u64 = 32 << 20;
/// Time of the shortest piece of work that is timed.
const PIECE: Duration = Duration::from_millis(4);
/// Rounds of each measurement.
const MIN_ROUNDS: usize = 3;

/// Times whole passes on each number of threads in turn.
fn scaling(gallery: &RandomGallery, threads: &[usize], budget: Duration) -> Result<ThreadCurve, Error> {
    gallery.check(detect(), 1);
    let blocks = gallery.snapshot().blocks().len();
    let queries = gallery.queries(1);
    let is_complete = Cell::new(true);
    let pass = |threads: usize| {
        let mut answered = 0;
        let threads = NonZeroUsize::new(threads).unwrap_or(NonZeroUsize::MIN);
        let flow = match_all(gallery.snapshot(), &queries, threads, |batch| {
            answered += black_box(batch).iter().map(Vec::len).sum::<usize>();
            ControlFlow::Continue(())
        });
        is_complete.set(is_complete.get() && flow.is_continue() && answered == blocks);
    };
    let passes = repeats(PIECE, || pass(1));
    let piece = |&threads: &usize| move || (0..passes).for_each(|_| pass(threads));
    let piece = &piece;
    let mut pieces: Vec<_> = threads.iter().map(piece).collect();
    let mut pieces: Vec<&mut dyn FnMut()> = pieces.iter_mut().map(|piece| piece as _).collect();
    let turns = in_turn_for(budget, MIN_ROUNDS, &mut pieces);
    if !is_complete.get() {
        return Err(Error::WrongResult { what: "a pass over the gallery" });
    }
    let compared = gallery.templates() as f64 * f64::from(passes);
    let point = |(index, &threads): (usize, &usize)| ThreadPoint {
        threads,
        comparisons_per_s: compared / turns.fastest(index).as_secs_f64(),
        speedup: turns.ratio(0, index),
    };
    let points = threads.iter().enumerate().map(point).collect();
    Ok(ThreadCurve { gallery_bytes: gallery.bytes() as u64, points })
}

/// 1, 2, 4 and so on, and all cores.
fn thread_counts(cores: usize) -> Vec<usize> {
    let powers = std::iter::successors(Some(1), |threads| Some(2 * threads));
    powers.take_while(|&threads| threads < cores).chain([cores]).collect()
}

/// The bytes of a gallery that every core gets the same part of and that fits `bytes`, if that can be; one grain for
/// every core else.
fn even_bytes(bytes: u64, cores: usize) -> Result<usize, Error> {
    let layout = Layout::identification(ParameterSet::Exact41, DIMENSION)?;
    let grain = GRAIN * Block::packed_bytes(&layout);
    Ok((bytes as usize / grain / cores).max(1) * cores * grain)
}

pub(crate) fn threads(options: &Options, machine: &Machine, control: &Control<'_>) -> Result<Threads, Error> {
    let counts = thread_counts(machine.cores);
    let last_level = machine.caches.last().map_or(UNKNOWN_CACHE_BYTES, |cache| cache.bytes);
    let curve = |bytes: u64, name: &str| {
        control.step(&format!("threads, {name}"))?;
        let gallery = RandomGallery::new(DIMENSION, even_bytes(bytes, machine.cores)?);
        scaling(&gallery, &counts, options.share(6))
    };
    let cached = curve((last_level / 4 * 3).min(options.gallery_bytes), "a gallery in the caches")?;
    let memory = curve(options.gallery_bytes, "a gallery in memory")?;
    Ok(Threads { dimension: DIMENSION as usize, cached, memory })
}

/// One block of the verification layout, both queries of a probe as they are sent, and the right answer.
struct Verified {
    snapshot: Arc<Snapshot>,
    query: Vec<u8>,
    template: Located,
    expected: [u16; 2],
}

impl Verified {
    fn new(numbers: &mut Numbers) -> Result<Self, Error> {
        let stride = DIMENSION;
        let parameters = GalleryParameters::new(GalleryId([1; 16]), 1, DIMENSION, stride, 0, KeyId([2; 16]))?;
        let layout = parameters.layout;
        let content = numbers.polys(layout.chunks());
        let probes = [numbers.polys(layout.chunks()), numbers.polys(layout.chunks())];
        let slot = layout.slots() as u16 - 1;
        let expected = probes.each_ref().map(|probe| {
            let mut sum = NttPoly::zero();
            content.iter().zip(probe).for_each(|(b, q)| sum.mul_add_assign(&forward(b), &forward(q)));
            reply::compress(&layout, &inverse(&sum))[usize::from(slot)]
        });
        let mut query = Vec::new();
        probes.iter().for_each(|probe| write_polynomials(probe, &mut query));
        let state = BlockState {
            id: BlockId([1; 16]),
            version: 1,
            changed_at: 1,
            record: [0; 40].into(),
            record_digest: [0; 32],
            entries: 0,
        };
        let block = Block::from_polynomials(&layout, state, content, &[], &[]);
        let gallery = Gallery::new(parameters, 1, Arc::from(*b"measured"), vec![block])?;
        let template = Located { ordinal: 0, slot };
        Ok(Self { snapshot: gallery.snapshot(), query, template, expected })
    }

    /// The server's whole work but the network: from the bytes of the request to the coefficients of the answer.
    fn verify(&self, verification: &mut Verification) -> Option<[u16; 2]> {
        let mut found = None;
        verification.read(self.snapshot.layout(), &self.query).ok()?;
        verification.compare(
            &self.snapshot,
            &[self.template],
            |Comparison { coefficient, check, .. }| {
                found = Some([coefficient, check]);
            },
        );
        found
    }
}

/// Times the server's part of a verification.
///
/// # Errors
/// [`Error::WrongResult`].
pub fn verification(budget: Duration) -> Result<VerificationCost, Error> {
    let mut numbers = Numbers(5);
    let verified = Verified::new(&mut numbers)?;
    let mut verification = Verification::new();
    let mut verify = || verified.verify(&mut verification) == Some(verified.expected);
    if !verify() {
        return Err(Error::WrongResult { what: "a verification" });
    }
    let (poly, mut transformed) = (numbers.poly(), NttPoly::zero());
    let calls = repeats(PIECE, || assert!(black_box(verify()), "it was right before"));
    let mut transforms = || (0..calls).for_each(|_| forward_into(black_box(&poly), &mut transformed));
    let mut verifications = || (0..calls).for_each(|_| assert!(black_box(verify()), "it was right before"));
    let turns = in_turn_for(budget, MIN_ROUNDS, &mut [&mut transforms, &mut verifications]);
    Ok(VerificationCost {
        dimension: DIMENSION as usize,
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

    #[test]
    fn every_core_gets_the_same_part_of_the_gallery() {
        let grain = even_bytes(1, 1).unwrap();
        assert_eq!(even_bytes(1, 3).unwrap(), 3 * grain);
        assert_eq!(even_bytes(7 * grain as u64, 2).unwrap(), 6 * grain);
    }
}
