//! The kernels: transforms, and matching on one thread by backend, dimension, number of probes and size of gallery.

use std::hint::black_box;
use std::time::{Duration, Instant};

use tyto_kernels::{
    Backend, MATCH_BATCH, MAX_PROBES, N, NttPoly, PackedBlock, PackedQuery, Poly, detect, forward_into,
    inverse_into, match_blocks, plain_sum, supported,
};

use crate::gallery::RandomGallery;
use crate::numbers::Numbers;
use crate::report::{Matching, Ntt, SizePoint, Sizes};
use crate::timing::{Turns, in_turn_for, repeats};
use crate::{Control, Error, Options};

/// The dimensions that are measured.
pub const DIMENSIONS: [u32; 5] = [64, 128, 256, 512, 1024];
/// Those of a quick run.
const QUICK_DIMENSIONS: [u32; 2] = [64, 128];
/// Probes of one pass.
pub const PROBES: [usize; 2] = [1, MAX_PROBES];
/// Coordinates of a template where sizes are compared: its blocks are small enough for a second-level cache.
const SIZES_DIMENSION: u32 = 64;
/// Time of the shortest piece of work that is timed.
const PIECE: Duration = Duration::from_millis(4);
/// Time that one pass should not take much longer than. Slower backends pass over a part of the gallery.
const LONGEST_PASS: Duration = Duration::from_millis(250);
/// Part of a gallery that a pass reads at least: no cache holds it.
const LEAST_PASS_BYTES: usize = 128 << 20;
/// Blocks from which the time of a pass is estimated.
const TRIED_BLOCKS: usize = 8;
/// Rounds of each measurement.
const MIN_ROUNDS: usize = 3;

/// Times the transform and its inverse.
///
/// # Errors
/// [`Error::WrongResult`].
pub fn transforms(budget: Duration) -> Result<Ntt, Error> {
    let original = Numbers(1).poly();
    let (mut poly, mut transformed) = (Poly::zero(), NttPoly::zero());
    forward_into(&original, &mut transformed);
    inverse_into(&transformed, &mut poly);
    if poly.as_slice() != original.as_slice() {
        return Err(Error::WrongResult { what: "the transform and its inverse" });
    }
    let input = transformed.clone();
    let calls = repeats(PIECE, || forward_into(black_box(&original), &mut transformed));
    let turns = in_turn_for(
        budget,
        MIN_ROUNDS,
        &mut [
            &mut || (0..calls).for_each(|_| forward_into(black_box(&original), &mut transformed)),
            &mut || (0..calls).for_each(|_| inverse_into(black_box(&input), &mut poly)),
        ],
    );
    let us = |index| 1e6 * turns.fastest(index).as_secs_f64() / f64::from(calls);
    Ok(Ntt { forward_us: us(0), inverse_us: us(1) })
}

/// One backend and number of probes on the first blocks of a gallery, batch by batch as the server does it.
struct Pass<'a> {
    backend: Backend,
    blocks: &'a [&'a PackedBlock],
    queries: Vec<&'a PackedQuery>,
    products: Vec<NttPoly>,
}

impl<'a> Pass<'a> {
    fn new(backend: Backend, blocks: &'a [&'a PackedBlock], queries: Vec<&'a PackedQuery>) -> Self {
        let products = vec![NttPoly::zero(); MATCH_BATCH * queries.len()];
        Self { backend, blocks, queries, products }
    }

    fn run(&mut self) {
        for blocks in self.blocks.chunks(MATCH_BATCH) {
            let products = &mut self.products[..blocks.len() * self.queries.len()];
            match_blocks(self.backend, blocks, &self.queries, products);
        }
        black_box(&mut self.products);
    }

    /// Shortens the pass to about [`LONGEST_PASS`].
    fn shorten(&mut self) {
        let all = self.blocks;
        self.blocks = &all[..all.len().min(TRIED_BLOCKS)];
        let started = Instant::now();
        self.run();
        let each = started.elapsed().as_secs_f64() / self.blocks.len() as f64;
        let least = LEAST_PASS_BYTES.div_ceil(all[0].bytes());
        let blocks = (LONGEST_PASS.as_secs_f64() / each) as usize;
        self.blocks = &all[..all.len().min(blocks.max(least))];
    }

    fn bytes(&self) -> usize {
        self.blocks.iter().map(|block| block.bytes()).sum()
    }

    /// The figures, given the time of one pass and its ratio to that of a plain sum over `all_bytes`.
    fn figures(&self, dimension: usize, turns: &Turns, index: usize, all_bytes: usize) -> Matching {
        let (bytes, templates) = (self.bytes() as f64, (self.blocks.len() * N) as f64);
        let seconds = turns.fastest(index).as_secs_f64();
        Matching {
            backend: self.backend.to_string(),
            dimension,
            probes: self.queries.len(),
            bytes_per_template: bytes / templates,
            pass_bytes: self.bytes() as u64,
            comparisons_per_s: templates * self.queries.len() as f64 / seconds,
            bytes_per_s: bytes / seconds,
            plain_sum_bytes_per_s: all_bytes as f64 / turns.fastest(0).as_secs_f64(),
            share_of_plain_sum: turns.ratio(0, index) * bytes / all_bytes as f64,
        }
    }
}

/// Times every backend and number of probes, in turn with a plain sum over the same memory.
fn matching_in(gallery: &RandomGallery, budget: Duration) -> Vec<Matching> {
    let blocks = gallery.blocks();
    let mut passes = Vec::new();
    for backend in supported() {
        for probes in PROBES {
            gallery.check(backend, probes);
            let mut pass = Pass::new(backend, &blocks, gallery.queries(probes));
            pass.shorten();
            passes.push(pass);
        }
    }
    let mut sum = || {
        black_box(plain_sum(detect(), black_box(&blocks)));
    };
    let turns = {
        let mut pieces: Vec<_> = passes.iter_mut().map(|pass| || pass.run()).collect();
        let pieces = pieces.iter_mut().map(|piece| piece as &mut dyn FnMut());
        let mut pieces: Vec<&mut dyn FnMut()> = std::iter::once(&mut sum as _).chain(pieces).collect();
        in_turn_for(budget, MIN_ROUNDS, &mut pieces)
    };
    let dimension = gallery.snapshot().layout().dimension();
    let figures = |(pass, index): (&Pass<'_>, usize)| pass.figures(dimension, &turns, index, gallery.bytes());
    passes.iter().zip(1..).map(figures).collect()
}

pub(crate) fn matching(options: &Options, control: &Control<'_>) -> Result<Vec<Matching>, Error> {
    let dimensions = if options.is_quick { &QUICK_DIMENSIONS[..] } else { &DIMENSIONS };
    let budget = options.share(30) / dimensions.len() as u32;
    let mut figures = Vec::new();
    for &dimension in dimensions {
        control.step(&format!("matching, {dimension} dimensions"))?;
        let gallery = RandomGallery::new(dimension, options.gallery_bytes as usize);
        figures.extend(matching_in(&gallery, budget));
    }
    Ok(figures)
}

/// Times galleries of one block, two, four and so on, with the best backend.
pub(crate) fn sizes(options: &Options, control: &Control<'_>) -> Result<Sizes, Error> {
    control.step("sizes of the gallery")?;
    let gallery = RandomGallery::new(SIZES_DIMENSION, options.gallery_bytes as usize);
    let blocks = gallery.blocks();
    let counts = block_counts(blocks.len());
    let budget = options.share(12) / counts.len() as u32;
    let mut points = Vec::new();
    for &count in &counts {
        control.step("sizes of the gallery")?;
        points.push(size_point(&gallery, &blocks[..count], budget));
    }
    Ok(Sizes {
        dimension: gallery.snapshot().layout().dimension(),
        bytes_per_template: blocks[0].bytes() as f64 / N as f64,
        probes: MAX_PROBES,
        points,
    })
}

fn size_point(gallery: &RandomGallery, blocks: &[&PackedBlock], budget: Duration) -> SizePoint {
    let mut one = Pass::new(detect(), blocks, gallery.queries(1));
    let mut many = Pass::new(detect(), blocks, gallery.queries(MAX_PROBES));
    let bytes = one.bytes();
    let sum = || {
        black_box(plain_sum(detect(), black_box(blocks)));
    };
    let times = [repeats(PIECE, sum), repeats(PIECE, || one.run()), repeats(PIECE, || many.run())];
    let mut sums = || (0..times[0]).for_each(|_| sum());
    let mut ones = || (0..times[1]).for_each(|_| one.run());
    let mut manys = || (0..times[2]).for_each(|_| many.run());
    let turns = in_turn_for(budget, MIN_ROUNDS, &mut [&mut sums, &mut ones, &mut manys]);
    let rate = |index: usize| bytes as f64 * f64::from(times[index]) / turns.fastest(index).as_secs_f64();
    SizePoint {
        gallery_bytes: bytes as u64,
        plain_sum_bytes_per_s: rate(0),
        one_probe_bytes_per_s: rate(1),
        probes_bytes_per_s: rate(2),
    }
}

/// 1, 2, 4 and so on, and all.
fn block_counts(all: usize) -> Vec<usize> {
    std::iter::successors(Some(1), |count| Some(2 * count))
        .take_while(|&count| count < all)
        .chain([all])
        .collect()
}
