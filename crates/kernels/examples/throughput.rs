//! How near the match comes to the speed of memory: one thread, blocks far larger than the caches.
//!
//! Usage: `cargo run --example throughput -p tyto-kernels [megabytes] [polynomials]`

use std::hint::black_box;
use std::time::Instant;

use tyto_kernels::{
    N, NttPoly, PackedBlock, PackedQuery, Poly, Q, forward, inverse_into, match_blocks, supported,
};

const PASSES: usize = 7;

fn argument(n: usize, default: usize) -> usize {
    std::env::args().nth(n).map_or(default, |text| text.parse().expect("a number"))
}

/// The shortest of a few passes, in seconds.
fn fastest(mut pass: impl FnMut()) -> f64 {
    let time = |()| {
        let start = Instant::now();
        pass();
        start.elapsed().as_secs_f64()
    };
    std::iter::repeat_n((), PASSES).map(time).fold(f64::INFINITY, f64::min)
}

fn main() {
    let (megabytes, polynomials) = (argument(1, 700), argument(2, 128));
    let mut values = 1u64;
    let mut random = || {
        let mut p = Poly::zero();
        p.as_mut_slice().fill_with(|| {
            values = values.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (values >> 20) % Q
        });
        forward(&p)
    };
    let (mut block, mut query) = (PackedBlock::new(polynomials), PackedQuery::new(polynomials));
    for c in 0..polynomials {
        block.set(c, &random());
        query.set(c, &random());
    }
    let blocks = vec![block.clone(); (megabytes * 1_000_000).div_ceil(block.bytes())];
    let blocks: Vec<_> = blocks.iter().collect();
    let bytes = blocks.len() * block.bytes();
    println!("{} blocks of {polynomials} polynomials, {:.0} MB", blocks.len(), bytes as f64 / 1e6);

    let words = vec![1u64; bytes / 8];
    let read = bytes as f64
        / fastest(|| {
            black_box(words.iter().copied().fold(0, u64::wrapping_add));
        });
    println!("plain sum over as many bytes: {:.1} GB/s", read / 1e9);

    let mut out = vec![NttPoly::zero(); blocks.len()];
    for backend in supported() {
        let rate = bytes as f64 / fastest(|| match_blocks(backend, &blocks, &[&query], &mut out));
        let slots = (blocks.len() * N) as f64 * rate / bytes as f64;
        println!(
            "{backend}: {:.1} GB/s, {:.0} % of the plain sum, {:.1} million slots/s",
            rate / 1e9,
            100.0 * rate / read,
            slots / 1e6
        );
        let cached =
            fastest(|| (0..100).for_each(|_| match_blocks(backend, &blocks[..1], &[&query], &mut out[..1])));
        println!("{backend}, one block again and again: {:.1} GB/s", 100e-9 * block.bytes() as f64 / cached);
    }
    let mut poly = Poly::zero();
    let inverse = fastest(|| out.iter().for_each(|out| inverse_into(out, &mut poly)));
    println!("inverse NTT: {:.2} us", 1e6 * inverse / out.len() as f64);
    let (mut sum, a, b) = (NttPoly::zero(), random(), random());
    let mul_add = fastest(|| (0..1000).for_each(|_| sum.mul_add_assign(&a, &b)));
    println!("multiply-add of polynomials: {:.2} us", 1e3 * mul_add);
    let mut reply = Vec::with_capacity(N);
    let round = fastest(|| {
        (0..1000).for_each(|_| {
            reply.clear();
            tyto_kernels::round_reply(&poly, 1, 14, 3, &mut reply);
        });
    });
    println!("reply rounding: {:.2} us", 1e3 * round);
}
