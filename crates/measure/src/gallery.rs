//! Identification over a random gallery, beside the speed at which the same memory can be read.

use std::fmt;
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::Arc;

use tyto_engine::{Block, BlockState, Gallery, Snapshot, match_all, prepare_query};
use tyto_kernels::{
    Backend, MATCH_BATCH, MAX_PROBES, NttPoly, PackedBlock, PackedQuery, Poly, Q, detect, inverse,
    match_blocks, plain_sum,
};
use tyto_scheme::{BlockId, GalleryId, GalleryParameters, KeyId, ParameterSet, reply};

use crate::timing::in_turn;

/// `SplitMix64`: a benchmark needs variety, not secrecy, and the same work on every run.
struct Rng(u64);

impl Rng {
    fn poly(&mut self) -> Poly {
        let mut poly = Poly::zero();
        poly.as_mut_slice().fill_with(|| {
            self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            (z ^ (z >> 31)) % Q
        });
        poly
    }
}

/// A resident gallery of the identification layout, full of random ciphertexts, and random queries for it.
///
/// Ciphertexts are uniform to whoever has no key, so a match costs the same as one of real templates.
pub struct RandomGallery {
    snapshot: Arc<Snapshot>,
    queries: Vec<PackedQuery>,
}

impl RandomGallery {
    /// A gallery of at least `min_bytes` of blocks for templates of `dimension` coordinates, with
    /// [`MAX_PROBES`] queries. Takes one or two seconds per GiB.
    ///
    /// # Panics
    /// If there is no layout of this dimension, or `min_bytes` is 0.
    pub fn new(dimension: u32, min_bytes: usize) -> Self {
        let set = ParameterSet::Exact41.id();
        let parameters =
            GalleryParameters::new(GalleryId([1; 16]), set.into(), dimension, 1, 0, KeyId([2; 16]))
                .expect("a layout");
        let layout = &parameters.layout;
        let mut rng = Rng(u64::from(dimension));
        let mut polynomials: Vec<_> = (0..layout.chunks()).map(|_| rng.poly()).collect();
        let block = |number: usize| {
            // All blocks differ in all polynomials; drawing them all would take longer than measuring.
            polynomials.rotate_left(1);
            polynomials[0] = rng.poly();
            Block::from_polynomials(layout, state(number), polynomials.clone(), &[], &[])
        };
        let count = min_bytes.div_ceil(Block::packed_bytes(layout));
        let blocks = (0..count).map(block).collect();
        let gallery = Gallery::new(parameters, 1, Arc::new([]), blocks).expect("ids differ");
        let query = |_| prepare_query(&(0..layout.chunks()).map(|_| rng.poly()).collect::<Vec<_>>());
        Self { snapshot: gallery.snapshot(), queries: (0..MAX_PROBES).map(query).collect() }
    }

    /// What [`match_all`] takes.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// The first `probes` queries.
    ///
    /// # Panics
    /// If `probes` is more than [`MAX_PROBES`].
    pub fn queries(&self, probes: usize) -> Vec<&PackedQuery> {
        self.queries[..probes].iter().collect()
    }

    /// What the kernels take.
    pub fn blocks(&self) -> Vec<&PackedBlock> {
        self.snapshot.blocks().iter().map(|block| block.packed()).collect()
    }

    /// Slots of all blocks: templates that one query is compared with.
    pub fn templates(&self) -> usize {
        self.snapshot.blocks().len() * self.snapshot.layout().slots()
    }

    /// Bytes that a pass reads of the gallery, padding included.
    pub fn bytes(&self) -> usize {
        self.snapshot.blocks().iter().map(|block| block.packed().bytes()).sum()
    }

    fn dimension(&self) -> usize {
        self.snapshot.layout().dimension()
    }

    /// Checks that the kernels of `backend` and [`match_all`] give what plain ring arithmetic gives, on the first
    /// blocks and the last.
    ///
    /// # Panics
    /// If they do not.
    pub fn check(&self, backend: Backend, probes: usize) {
        let blocks = self.blocks();
        let queries = self.queries(probes);
        let last = blocks.len() - 1;
        let of_interest = [0, last / 2, last];
        let expected: Vec<Vec<_>> =
            of_interest.iter().map(|&b| queries.iter().map(|q| product(blocks[b], q)).collect()).collect();
        let picked = of_interest.map(|b| blocks[b]);
        let mut out = vec![NttPoly::zero(); picked.len() * probes];
        match_blocks(backend, &picked, &queries, &mut out);
        assert!(out.iter().eq(expected.iter().flatten()), "{backend}: the products are those of the ring");
        let layout = self.snapshot.layout();
        let mut seen = 0;
        let flow = match_all(&self.snapshot, &queries, NonZeroUsize::MIN, |batch| {
            for (p, replies) in batch.iter().enumerate() {
                for reply in replies {
                    seen += 1;
                    if let Some(i) = of_interest.iter().position(|&b| b == reply.ordinal) {
                        let coefficients = reply::compress(layout, &inverse(&expected[i][p]));
                        assert!(
                            reply.packed == reply::pack(layout, &coefficients),
                            "a reply is the product's"
                        );
                    }
                }
            }
            ControlFlow::Continue(())
        });
        assert!(flow.is_continue() && seen == blocks.len() * probes, "every block answers every query");
    }

    /// The rate of the match kernel alone, on one thread.
    ///
    /// # Panics
    /// If `probes` is not within 1 to [`MAX_PROBES`], `rounds` is 0, or the CPU cannot run `backend`.
    pub fn kernel_rate(&self, backend: Backend, probes: usize, rounds: usize) -> Rate {
        let blocks = self.blocks();
        let queries = self.queries(probes);
        let mut out = vec![NttPoly::zero(); MATCH_BATCH * probes];
        let mut pass = || {
            for batch in blocks.chunks(MATCH_BATCH) {
                match_blocks(backend, batch, &queries, &mut out[..batch.len() * probes]);
            }
        };
        self.rate(backend.to_string(), probes, rounds, &mut pass)
    }

    /// The rate of a whole pass: match, inverse transforms and replies, on some threads.
    ///
    /// # Panics
    /// If `probes` is not within 1 to [`MAX_PROBES`], or `rounds` is 0.
    pub fn pass_rate(&self, probes: usize, threads: NonZeroUsize, rounds: usize) -> Rate {
        let queries = self.queries(probes);
        let mut pass = || {
            let flow = match_all(&self.snapshot, &queries, threads, |batch| {
                black_box(batch);
                ControlFlow::Continue(())
            });
            assert!(flow.is_continue(), "nothing ends a pass");
        };
        let threads = if threads.get() == 1 { String::new() } else { format!(" threads={threads}") };
        self.rate(format!("{} pass{threads}", detect()), probes, rounds, &mut pass)
    }

    /// How many times faster a pass is on `threads` threads than on one.
    ///
    /// # Panics
    /// If `probes` is not within 1 to [`MAX_PROBES`], or `rounds` is 0.
    pub fn speedup(&self, probes: usize, threads: NonZeroUsize, rounds: usize) -> f64 {
        let queries = self.queries(probes);
        let pass = |threads| {
            let flow = match_all(&self.snapshot, &queries, threads, |batch| {
                black_box(batch);
                ControlFlow::Continue(())
            });
            assert!(flow.is_continue(), "nothing ends a pass");
        };
        in_turn(rounds, [&mut || pass(NonZeroUsize::MIN), &mut || pass(threads)]).ratio(0, 1)
    }

    fn rate(&self, what: String, probes: usize, rounds: usize, pass: &mut dyn FnMut()) -> Rate {
        let blocks = self.blocks();
        let best = detect();
        let mut sum = || {
            black_box(plain_sum(best, black_box(&blocks)));
        };
        let turns = in_turn(rounds, [pass, &mut sum]);
        let bytes = self.bytes() as f64;
        let seconds = |index: usize| turns.fastest(index).as_secs_f64();
        Rate {
            dimension: self.dimension(),
            what,
            probes,
            comparisons_per_second: (self.templates() * probes) as f64 / seconds(0),
            bytes_per_template: bytes / self.templates() as f64,
            bytes_per_second: bytes / seconds(0),
            plain_bytes_per_second: bytes / seconds(1),
            share_of_plain: turns.ratio(1, 0),
        }
    }
}

/// Bytes of this process that lie in huge pages, as Linux counts them; nothing elsewhere.
pub fn huge_page_bytes() -> Option<usize> {
    let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").ok()?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("AnonHugePages:"))?;
    line.trim().strip_suffix(" kB")?.parse::<usize>().ok().map(|kib| kib << 10)
}

/// The speed of identification, and of a plain read of the same memory on one thread in the same run.
#[derive(Clone, Debug)]
pub struct Rate {
    /// Coordinates of a template.
    pub dimension: usize,
    /// What ran: the backend, and "pass" if it was a whole pass with its replies.
    pub what: String,
    /// Queries that shared the pass.
    pub probes: usize,
    /// Templates compared with a query, per second, in the fastest round.
    pub comparisons_per_second: f64,
    /// Memory that a template takes.
    pub bytes_per_template: f64,
    /// Bytes of the gallery read per second, in the fastest round.
    pub bytes_per_second: f64,
    /// The same for a plain sum ([`plain_sum`]).
    pub plain_bytes_per_second: f64,
    /// Time of the plain sum over that of the match: the median over the rounds.
    pub share_of_plain: f64,
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "d={} {} probes={}: {:.1} M/s, {:.0} B/template, {:.1} GB/s, plain read {:.1} GB/s, {:.0} %",
            self.dimension,
            self.what,
            self.probes,
            self.comparisons_per_second / 1e6,
            self.bytes_per_template,
            self.bytes_per_second / 1e9,
            self.plain_bytes_per_second / 1e9,
            100.0 * self.share_of_plain
        )
    }
}

fn state(number: usize) -> BlockState {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.to_le_bytes());
    BlockState {
        id: BlockId(id),
        version: 1,
        changed_at: 1,
        record: Arc::new([]),
        record_digest: [0; 32],
        entries: 0,
    }
}

/// A block times a query, one polynomial after the other.
fn product(block: &PackedBlock, query: &PackedQuery) -> NttPoly {
    let mut sum = NttPoly::zero();
    for c in 0..block.polynomials() {
        sum.mul_add_assign(&block.get(c), &query.get(c));
    }
    sum
}

#[cfg(test)]
mod tests {
    use tyto_kernels::supported;

    use super::*;

    #[test]
    fn a_small_gallery_is_checked_and_timed_by_every_backend() {
        let gallery = RandomGallery::new(3, 1 << 20);
        assert!(gallery.bytes() >= 1 << 20);
        let [first, second] = [0, 1].map(|b| gallery.blocks()[b].get(1));
        assert!(first != second);
        for backend in supported() {
            gallery.check(backend, 3);
            let rate = gallery.kernel_rate(backend, 3, 1);
            assert!(rate.comparisons_per_second > 0.0 && rate.plain_bytes_per_second > 0.0);
        }
        let line = gallery.pass_rate(MAX_PROBES, NonZeroUsize::new(2).expect("not 0"), 1).to_string();
        assert!(line.starts_with("d=3 ") && line.contains(" pass threads=2 probes=8: "), "{line}");
    }
}
