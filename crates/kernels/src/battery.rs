//! One battery of tests, instantiated for every backend, against definitions in wide integers.

use crate::backend::{Kernel, with_kernel};
use crate::coefficient::tests::gives_the_coefficients_of_the_inverse_transform;
use crate::matching::Tiling;
use crate::reply::MAX_REPLY_BITS;
use crate::{
    Backend, LANES, MATCH_BATCH, MAX_POLYNOMIALS, MAX_PROBES, N, NttPoly, PackedBlock, PackedQuery, Poly, Q,
    forward, inverse, match_blocks, modq, supported,
};

/// `SplitMix64`: the tests need variety, not secrecy, and the same values on every run.
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn below_q(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % Q
    }

    pub(crate) fn poly(&mut self) -> Poly {
        let mut p = Poly::zero();
        p.as_mut_slice().fill_with(|| self.below_q());
        p
    }

    fn ntt(&mut self, fill: Fill) -> NttPoly {
        let mut p = NttPoly::zero();
        p.values_mut().fill_with(|| match fill {
            Fill::All(x) => x,
            Fill::Random => self.below_q(),
            Fill::Extremes => [0, 1, Q - 1, Q / 2, (1 << 40) - 1, 1 << 40][self.below_q() as usize % 6],
        });
        p
    }
}

#[derive(Clone, Copy, Debug)]
enum Fill {
    All(u64),
    Random,
    Extremes,
}

const FILLS: [Fill; 5] = [Fill::All(0), Fill::All(1), Fill::All(Q - 1), Fill::Random, Fill::Extremes];

/// Around the four chains of sums, the eight lanes, the ends of runs of groups, and the usual dimensions.
const COUNTS: [usize; 18] = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 127, 128, 129, 255, 256, 257, 513];

/// The same polynomials packed and plain.
struct Case {
    packed: PackedBlock,
    plain: Vec<NttPoly>,
}

impl Case {
    fn block(rng: &mut Rng, count: usize, fill: Fill) -> Self {
        let plain: Vec<_> = (0..count).map(|_| rng.ntt(fill)).collect();
        let mut packed = PackedBlock::new(count);
        for (c, p) in plain.iter().enumerate() {
            packed.set(c, p);
        }
        Self { packed, plain }
    }
}

fn query(rng: &mut Rng, count: usize, fill: Fill) -> (PackedQuery, Vec<NttPoly>) {
    let plain: Vec<_> = (0..count).map(|_| rng.ntt(fill)).collect();
    let mut packed = PackedQuery::new(count);
    for (c, p) in plain.iter().enumerate() {
        packed.set(c, p);
    }
    (packed, plain)
}

/// One block, one query.
pub(crate) fn match_block(backend: Backend, block: &PackedBlock, query: &PackedQuery, out: &mut NttPoly) {
    match_blocks(backend, &[block], &[query], std::slice::from_mut(out));
}

/// The definition of the match: sums of exact products, reduced by division.
fn expected(block: &[NttPoly], query: &[NttPoly]) -> NttPoly {
    let mut sums = vec![0u128; N];
    for (b, q) in block.iter().zip(query) {
        for ((sum, b), q) in sums.iter_mut().zip(b.values()).zip(q.values()) {
            *sum += u128::from(*b) * u128::from(*q);
        }
    }
    let mut out = NttPoly::zero();
    for (o, sum) in out.values_mut().iter_mut().zip(sums) {
        *o = (sum % u128::from(Q)) as u64;
    }
    out
}

fn matches_every_count(backend: Backend) {
    let mut rng = Rng(1);
    for count in COUNTS {
        let fills = if count > 17 { &FILLS[2..4] } else { &FILLS[..] };
        for &block_fill in fills {
            for &query_fill in fills {
                let block = Case::block(&mut rng, count, block_fill);
                let (packed, plain) = query(&mut rng, count, query_fill);
                let mut out = NttPoly::constant(7);
                match_block(backend, &block.packed, &packed, &mut out);
                assert!(
                    out == expected(&block.plain, &plain),
                    "{count} polynomials, {block_fill:?} by {query_fill:?}"
                );
            }
        }
    }
}

/// The lazy sums at their bound: the most terms in one go, every value the largest, or the largest whose low limb is
/// the largest, in limbs of 32 bits and of 21.
fn matches_the_largest_sums(backend: Backend) {
    const LARGEST: [u64; 3] = [Q - 1, (1 << 41) - (1 << 32) - 1, (1 << 41) - (1 << 21) - 1];
    for value in LARGEST {
        let mut block = PackedBlock::new(MAX_POLYNOMIALS);
        (0..MAX_POLYNOMIALS).for_each(|c| block.set(c, &NttPoly::constant(value)));
        for factor in LARGEST {
            let mut query = PackedQuery::new(MAX_POLYNOMIALS);
            (0..MAX_POLYNOMIALS).for_each(|c| query.set(c, &NttPoly::constant(factor)));
            let products = MAX_POLYNOMIALS as u128 * u128::from(value) * u128::from(factor);
            let total = (products % u128::from(Q)) as u64;
            // From the largest sums on.
            let bytes = block.bytes_from(3, 0);
            let lanes = query.row(3, 0, MAX_POLYNOMIALS);
            let (mut one, mut four) = ([Q - 1; LANES], [[Q - 1; LANES]; 4]);
            with_kernel!(backend, kernel => {
                let [a, b, c, d] = four.each_mut();
                kernel.match_group([bytes; 2], [lanes; 2], 0, [[a, b], [c, d]]);
                kernel.match_group([bytes], [lanes], 0, [[&mut one]]);
            });
            let expected = modq::add(total, Q - 1);
            assert_eq!(one, [expected; LANES], "{value} by {factor}");
            assert_eq!(four, [[expected; LANES]; 4], "{value} by {factor}");
            let mut out = NttPoly::zero();
            match_block(backend, &block, &query, &mut out);
            assert!(out == NttPoly::constant(total), "{value} by {factor}");
        }
    }
}

fn matches_every_batch(backend: Backend) {
    let mut rng = Rng(2);
    for count in [1, 5, 16] {
        for batch in (0..=9).chain(MATCH_BATCH - 1..=MATCH_BATCH + 5) {
            matches_all_with_all(backend, &mut rng, count, batch, 1);
        }
    }
}

/// Around the boundaries of tiles, and with every remainder of the blocks that a kernel takes at once.
fn matches_every_number_of_probes(backend: Backend) {
    let mut rng = Rng(11);
    for probes in 1..=MAX_PROBES {
        for batch in [1, 2, 3, 4, 7] {
            matches_all_with_all(backend, &mut rng, 5, batch, probes);
        }
        let tile = Tiling::new(MAX_POLYNOMIALS, probes).polynomials;
        for count in [tile - 1, tile, tile + 1, 2 * tile + 1].into_iter().filter(|count| *count < 400) {
            matches_all_with_all(backend, &mut rng, count, 1, probes);
        }
        matches_all_with_all(backend, &mut rng, 70, MATCH_BATCH + 1, probes);
    }
}

fn matches_all_with_all(backend: Backend, rng: &mut Rng, count: usize, blocks: usize, probes: usize) {
    let cases: Vec<_> = (0..blocks).map(|_| Case::block(rng, count, Fill::Random)).collect();
    let queries: Vec<_> = (0..probes).map(|_| query(rng, count, Fill::Random)).collect();
    let packed_blocks: Vec<_> = cases.iter().map(|case| &case.packed).collect();
    let packed_queries: Vec<_> = queries.iter().map(|(packed, _)| packed).collect();
    let mut out = vec![NttPoly::constant(7); blocks * probes];
    match_blocks(backend, &packed_blocks, &packed_queries, &mut out);
    let pairs = cases.iter().flat_map(|case| queries.iter().map(move |query| (case, query)));
    for (i, (out, (case, (_, query)))) in out.iter().zip(pairs).enumerate() {
        assert!(
            *out == expected(&case.plain, query),
            "result {i} of {blocks} blocks and {probes} probes, {count} polynomials"
        );
    }
}

/// Through both domains: the kernel on NTTs gives the sum of negacyclic products.
fn matches_in_the_coefficient_domain(backend: Backend) {
    let mut rng = Rng(3);
    let count = 2;
    let (mut block, mut query) = (PackedBlock::new(count), PackedQuery::new(count));
    let mut sum = Poly::zero();
    for c in 0..count {
        let (y, x) = (rng.poly(), rng.poly());
        block.set(c, &forward(&y));
        query.set(c, &forward(&x));
        sum.add_assign(&negacyclic(&y, &x));
    }
    let mut out = NttPoly::zero();
    match_block(backend, &block, &query, &mut out);
    assert!(inverse(&out) == sum);
}

fn multiplies_pointwise(backend: Backend) {
    let mut rng = Rng(4);
    for fill in FILLS {
        for other in FILLS {
            let (sum, a, b) = (rng.ntt(other), rng.ntt(fill), rng.ntt(other));
            let c = b.values()[5];
            let at = |i: usize| {
                (u128::from(sum.values()[i]), u128::from(a.values()[i]), u128::from(b.values()[i]))
            };
            let (mut product, mut added, mut scaled) = (a.clone(), sum.clone(), sum.clone());
            with_kernel!(backend, kernel => {
                kernel.mul_assign(product.values_mut(), b.values());
                kernel.mul_add_assign(added.values_mut(), a.values(), b.values());
                kernel.mul_scalar_add_assign(scaled.values_mut(), a.values(), c);
            });
            for i in 0..N {
                let (s, x, y) = at(i);
                let q = u128::from(Q);
                assert_eq!(u128::from(product.values()[i]), x * y % q);
                assert_eq!(u128::from(added.values()[i]), (s + x * y) % q);
                assert_eq!(u128::from(scaled.values()[i]), (s + x * u128::from(c)) % q);
            }
        }
    }
}

/// Every width, around every boundary that the rounding has at that width.
fn rounds_replies(backend: Backend) {
    let mut rng = Rng(10);
    for bits in 1..=MAX_REPLY_BITS {
        for t_inv in [1, Q - 1, modq::inv(2039), 0] {
            let mut r = rng.poly();
            if t_inv == 1 {
                for (i, x) in r.as_mut_slice().iter_mut().enumerate() {
                    // Around (step + 1/2) * Q / 2^bits, where the reply goes from `step` to `step + 1`, for
                    // the lowest steps and the highest.
                    let low = i as u128 / 8 % (1 << bits);
                    let step = if i % 2 == 0 { low } else { (1 << bits) - 1 - low };
                    let boundary = ((2 * step + 1) * u128::from(Q)) >> (bits + 1);
                    *x = (boundary as u64 + i as u64 / 2 % 4).saturating_sub(1).min(Q - 1);
                }
            }
            let mut out = [0xAAAA; N];
            with_kernel!(backend, kernel => kernel.round_reply(r.as_slice(), bits, t_inv, &mut out));
            for (found, &x) in out.iter().zip(r.as_slice()) {
                let scaled = u128::from(x) * u128::from(t_inv) % u128::from(Q);
                let expected = ((scaled << bits) + u128::from(Q / 2)) / u128::from(Q) % (1 << bits);
                assert_eq!(u128::from(*found), expected, "{x} times {t_inv} at {bits} bits");
            }
        }
    }
}

/// Every place of the packed form with the values around the modulus, among random ones.
fn unpacks(backend: Backend) {
    let mut rng = Rng(12);
    let p = rng.poly();
    for i in (0..N).step_by(37).chain([N - 2, N - 1]) {
        for (value, below) in [(0, true), (Q - 1, true), (Q, false), (Q + 1, false), ((1 << 41) - 1, false)] {
            let mut p = p.clone();
            p.as_mut_slice()[i] = value;
            let mut bytes = [0; crate::PACKED_POLY_BYTES];
            crate::pack::pack(p.as_slice(), &mut bytes);
            let mut out = [7; N];
            let found = with_kernel!(backend, kernel => kernel.unpack(&bytes, &mut out));
            assert_eq!(found, below, "{value} at {i}");
            assert!(out == *p.as_slice(), "{value} at {i}");
        }
    }
}

fn sums_every_word(backend: Backend) {
    let mut rng = Rng(13);
    for count in [1, 2, 3] {
        let case = Case::block(&mut rng, count, Fill::Random);
        let all = case.packed.as_lanes();
        for lines in [0, 1, 7, 8, 9, 15, 16, 17, all.len()] {
            let expected = all[..lines].iter().flat_map(|line| line.0).fold(0, u64::wrapping_add);
            assert_eq!(with_kernel!(backend, kernel => kernel.sum(&all[..lines])), expected);
        }
    }
}

/// Instantiates checks, each a function of a backend, for every backend: as a test in a module of its own.
macro_rules! for_each_backend {
    (@ $backend:ident $module:ident { $($check:ident,)* }) => {
        mod $module {
            use super::*;
            $(#[test]
            fn $check() {
                // The only way out: a test of what `INSTANTIATED` has answers for what is supported.
                if Backend::$backend.is_supported() {
                    super::$check(Backend::$backend);
                }
            })*
        }
    };
    ($checks:tt) => {
        /// Backends that the battery is instantiated for.
        const INSTANTIATED: &[Backend] = &[Backend::Portable, Backend::Avx2, Backend::Avx512Ifma];

        $crate::battery::for_each_backend!(@ Portable portable $checks);
        $crate::battery::for_each_backend!(@ Avx2 avx2 $checks);
        $crate::battery::for_each_backend!(@ Avx512Ifma avx512ifma $checks);
    };
}
pub(crate) use for_each_backend;

for_each_backend!({
    matches_every_count,
    matches_the_largest_sums,
    matches_every_batch,
    matches_every_number_of_probes,
    matches_in_the_coefficient_domain,
    multiplies_pointwise,
    rounds_replies,
    sums_every_word,
    unpacks,
    gives_the_coefficients_of_the_inverse_transform,
});

#[test]
fn every_supported_backend_runs() {
    let ran: Vec<_> = INSTANTIATED.iter().copied().filter(|backend| backend.is_supported()).collect();
    let names: Vec<_> = ran.iter().map(ToString::to_string).collect();
    println!("backends that ran: {}", names.join(", "));
    assert_eq!(ran, supported());
    let in_use = crate::detect().to_string();
    let forced = std::env::var("TYTO_BACKEND");
    assert_eq!(in_use, forced.unwrap_or_else(|_| names[names.len() - 1].clone()));

    // A second opinion about the CPU, lest the detection itself be wrong and leave a backend out.
    if let Ok(info) = std::fs::read_to_string("/proc/cpuinfo")
        && let Some(flags) = info.lines().find(|line| line.starts_with("flags"))
    {
        let has = |name| flags.split_whitespace().any(|flag| flag == name);
        let needed = ["avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512vbmi", "avx512ifma"];
        assert_eq!(needed.into_iter().all(has), ran.contains(&Backend::Avx512Ifma));
        assert_eq!(has("avx2"), ran.contains(&Backend::Avx2));
    }
}

/// This program's tests in a process of their own, with a backend forced. Those that name their backend ran already.
fn rerun(forced: &str) -> std::process::Output {
    let program = std::env::current_exe().expect("the tests are a program");
    let mut tests = std::process::Command::new(program);
    tests.env("TYTO_BACKEND", forced).args(["--skip", "forced", "--skip", "slab::"]);
    for module in INSTANTIATED {
        tests.args(["--skip", &format!("battery::{module}::")]);
    }
    tests.output().expect("it runs again")
}

#[test]
fn everything_works_with_a_forced_backend() {
    for backend in supported() {
        let output = rerun(&backend.to_string());
        assert!(output.status.success(), "{backend}: {}", String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn an_unknown_forced_backend_is_refused() {
    let output = rerun("avx3");
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("TYTO_BACKEND is \"avx3\", but this CPU can run [Portable"), "{text}");
}

/// The definition of the ring's product, in N^2 steps.
pub(crate) fn negacyclic(a: &Poly, b: &Poly) -> Poly {
    let q = u128::from(Q);
    let mut wide = vec![0u128; 2 * N];
    for (i, &x) in a.as_slice().iter().enumerate() {
        for (w, &y) in wide[i..].iter_mut().zip(b.as_slice()) {
            *w += u128::from(x) * u128::from(y);
        }
    }
    let mut out = Poly::zero();
    for (i, o) in out.as_mut_slice().iter_mut().enumerate() {
        *o = ((wide[i] % q + q - wide[i + N] % q) % q) as u64;
    }
    out
}

fn filled(x: u64) -> Poly {
    let mut p = Poly::zero();
    p.as_mut_slice().fill(x);
    p
}

fn monomial(i: usize, x: u64) -> Poly {
    let mut p = Poly::zero();
    p.as_mut_slice()[i] = x;
    p
}

#[test]
fn ntt_products_are_negacyclic_products() {
    let mut rng = Rng(5);
    let inputs = [
        rng.poly(),
        rng.poly(),
        filled(Q - 1),
        filled(1),
        Poly::zero(),
        monomial(N - 1, Q - 1),
        monomial(1, Q / 2),
    ];
    for (i, a) in inputs.iter().enumerate() {
        for b in &inputs[i..] {
            let mut product = forward(a);
            product.mul_assign(&forward(b));
            assert!(inverse(&product) == negacyclic(a, b));
        }
    }
}

#[test]
fn ntt_goes_there_and_back_reduced() {
    let mut rng = Rng(6);
    for p in [rng.poly(), filled(Q - 1), filled(0), monomial(0, Q - 1), monomial(N - 1, Q - 1)] {
        let there = forward(&p);
        assert!(there.values().iter().all(|&x| x < Q));
        assert!(inverse(&there) == p);
    }
    // Extremes in the NTT domain too.
    for fill in FILLS {
        let values = rng.ntt(fill);
        let back = inverse(&values);
        assert!(back.as_slice().iter().all(|&x| x < Q));
        assert!(forward(&back) == values);
    }
}

#[test]
fn shift_multiplies_by_a_power_of_x() {
    let p = Rng(7).poly();
    for i in [0, 1, 2, 7, 8, N / 2, N - 1] {
        assert!(p.shift(i) == negacyclic(&p, &monomial(i, 1)), "shift by {i}");
    }
    assert!(Poly::zero().shift(3) == Poly::zero());
}

#[test]
fn constants_are_the_same_in_every_slot() {
    for c in [0, 1, 2039, Q - 1] {
        assert!(NttPoly::constant(c) == forward(&monomial(0, c)));
    }
}

#[test]
fn sums_and_differences_agree_in_both_domains() {
    let mut rng = Rng(8);
    let (a, b) = (rng.poly(), rng.poly());
    let (mut sum, mut difference) = (a.clone(), a.clone());
    sum.add_assign(&b);
    difference.sub_assign(&b);
    for i in 0..N {
        assert_eq!(sum.as_slice()[i], (a.as_slice()[i] + b.as_slice()[i]) % Q);
        assert_eq!(difference.as_slice()[i], (a.as_slice()[i] + Q - b.as_slice()[i]) % Q);
    }
    let (mut ntt_sum, mut ntt_difference) = (forward(&a), forward(&a));
    ntt_sum.add_assign(&forward(&b));
    ntt_difference.sub_assign(&forward(&b));
    assert!(inverse(&ntt_sum) == sum && inverse(&ntt_difference) == difference);
    assert!(sum != difference && a == a.clone());
}

#[test]
fn packed_forms_keep_polynomials_apart() {
    let mut rng = Rng(9);
    for count in [1, 2, 3, 9] {
        let block = Case::block(&mut rng, count, Fill::Extremes);
        let (query, query_plain) = query(&mut rng, count, Fill::Extremes);
        for changed in 0..count {
            let addend = rng.ntt(Fill::Random);
            let (mut new_block, mut new_query) = (block.packed.clone(), query.clone());
            new_block.add(changed, &addend);
            new_query.add(changed, &addend);
            new_query.add_constant(changed, Q - 3);
            for (c, (in_block, in_query)) in block.plain.iter().zip(&query_plain).enumerate() {
                let (mut in_block, mut in_query) = (in_block.clone(), in_query.clone());
                if c == changed {
                    in_block.add_assign(&addend);
                    in_query.add_assign(&addend);
                    in_query.add_assign(&NttPoly::constant(Q - 3));
                }
                assert!(new_block.get(c) == in_block && new_query.get(c) == in_query);
                assert!(block.packed.get(c) == block.plain[c]);
            }
        }
        let padding = block.packed.bytes() - count * crate::PACKED_POLY_BYTES;
        assert!((23..23 + 64).contains(&padding));
        assert_eq!(block.packed.bytes_from(0, 0).as_ptr().align_offset(64), 0);
        assert_eq!(query.bytes(), count * N * 8);
    }
}

#[test]
#[should_panic(expected = "polynomials of block and query")]
fn a_query_of_another_dimension_is_refused() {
    match_block(Backend::Portable, &PackedBlock::new(2), &PackedQuery::new(3), &mut NttPoly::zero());
}

#[test]
fn content_stays_out_of_debug_output() {
    assert_eq!(format!("{:?} {:?}", filled(41), NttPoly::constant(41)), "Poly(..) NttPoly(..)");
}
