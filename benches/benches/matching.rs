//! Identification on the server: the transforms, the match kernel of every backend, and whole passes, each beside
//! the speed at which the same memory can be read.

use std::hint::black_box;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::time::Duration;

use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use tyto_benches::smoke;
use tyto_engine::match_all;
use tyto_kernels::{
    MATCH_BATCH, MAX_PROBES, N, NttPoly, Poly, Q, detect, forward_into, inverse_into, match_blocks, supported,
};
use tyto_measure::gallery::{RandomGallery, huge_page_bytes};

const DIMENSIONS: [u32; 5] = [64, 128, 256, 512, 1024];

/// Bytes of the gallery: far more than any cache, or next to nothing in smoke mode.
fn gallery_bytes() -> usize {
    if smoke() { 1 << 20 } else { 1 << 30 }
}

/// Rounds of a rate that is printed.
fn rounds() -> usize {
    if smoke() { 1 } else { 11 }
}

fn mebibytes(bytes: usize) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn transforms(criterion: &mut Criterion) {
    let mut p = Poly::zero();
    p.as_mut_slice().iter_mut().zip(1_u64..).for_each(|(x, i)| *x = i.pow(3) * 65_537 % Q);
    let (mut values, mut back) = (NttPoly::zero(), Poly::zero());
    forward_into(&p, &mut values);
    inverse_into(&values, &mut back);
    assert!(back == p, "there and back");
    let mut group = criterion.benchmark_group("ntt");
    group.throughput(Throughput::Elements(N as u64));
    group.bench_function("forward", |bench| bench.iter(|| forward_into(black_box(&p), &mut values)));
    group.bench_function("inverse", |bench| bench.iter(|| inverse_into(black_box(&values), &mut back)));
    group.finish();
}

fn identification(criterion: &mut Criterion) {
    for dimension in DIMENSIONS {
        let gallery = RandomGallery::new(dimension, gallery_bytes());
        let blocks = gallery.blocks();
        println!(
            "d={dimension}: {:.0} MiB of blocks, {:.0} MiB of the process in huge pages",
            mebibytes(gallery.bytes()),
            huge_page_bytes().map_or(f64::NAN, mebibytes)
        );
        let mut group = criterion.benchmark_group(format!("d={dimension}"));
        group.sample_size(10).sampling_mode(SamplingMode::Flat);
        group.warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_secs(2));
        for probes in [1, MAX_PROBES] {
            let queries = gallery.queries(probes);
            let mut out = vec![NttPoly::zero(); MATCH_BATCH * probes];
            group.throughput(Throughput::Elements((gallery.templates() * probes) as u64));
            for backend in supported() {
                gallery.check(backend, probes);
                println!("{}", gallery.kernel_rate(backend, probes, rounds()));
                group.bench_function(format!("match/{backend}/probes={probes}"), |bench| {
                    bench.iter(|| {
                        for batch in blocks.chunks(MATCH_BATCH) {
                            match_blocks(backend, batch, &queries, &mut out[..batch.len() * probes]);
                        }
                    });
                });
            }
            println!("{}", gallery.pass_rate(probes, NonZeroUsize::MIN, rounds()));
            group.bench_function(format!("pass/{}/probes={probes}", detect()), |bench| {
                bench.iter(|| {
                    match_all(gallery.snapshot(), &queries, NonZeroUsize::MIN, |batch| {
                        black_box(batch);
                        ControlFlow::Continue(())
                    })
                });
            });
        }
        group.finish();
    }
}

/// From cache, where the threads do not share the memory's speed: 16 blocks, as many as fit, so that each thread has as
/// many as the other.
fn threads(_: &mut Criterion) {
    let gallery = RandomGallery::new(128, if smoke() { 1 << 20 } else { 20 << 20 });
    gallery.check(detect(), 1);
    let two = NonZeroUsize::new(2).expect("not 0");
    for probes in [1, MAX_PROBES] {
        let speedup = gallery.speedup(probes, two, if smoke() { 1 } else { 201 });
        println!("d=128 {} probes={probes} two threads from cache: {speedup:.2} times one", detect());
    }
}

criterion_group!(benches, transforms, threads, identification);
criterion_main!(benches);
