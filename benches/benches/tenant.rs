//! The tenant's side, on one thread.

use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use std::num::NonZeroUsize;
use tyto_kernels::{NttPoly, Poly, forward_into, inverse_into};
use tyto_measure::timing::in_turn;
use tyto_scheme::{Layout, ParameterSet};
use tyto_tenant::block::OpenBlock;
use tyto_tenant::{Gallery, Metric, TenantKey};

fn gallery(dimension: u32, stride: u32) -> Gallery {
    let layout = Layout::new(ParameterSet::Exact41, dimension, stride).expect("a safe layout");
    let key = TenantKey::generate().expect("OS randomness");
    let (gallery, _) = Gallery::create(&key, "bench", layout, Metric::Cosine).expect("a gallery");
    gallery.with_threads(NonZeroUsize::MIN)
}

fn provisioning(_: &mut Criterion) {
    for (dimension, stride, blocks) in [(128, 1, 1), (512, 1, 1), (128, 128, 64)] {
        let gallery = gallery(dimension, stride);
        let chunks = gallery.layout().chunks();
        let (mut poly, mut ntt) = (Poly::zero(), NttPoly::zero());
        poly.as_mut_slice()[1] = 1;
        let turns = in_turn(
            21,
            [
                &mut || {
                    black_box(OpenBlock::provision_many(&gallery, blocks).expect("OS randomness"));
                },
                &mut || {
                    for _ in 0..chunks * blocks {
                        forward_into(black_box(&poly), &mut ntt);
                        inverse_into(black_box(&ntt), &mut poly);
                    }
                },
            ],
        );
        println!(
            "provisioning d={dimension} k={stride}: {:.1} us a block, its NTTs {:.1} us, ratio {:.2}",
            turns.fastest(0).as_secs_f64() * 1e6 / blocks as f64,
            turns.fastest(1).as_secs_f64() * 1e6 / blocks as f64,
            turns.ratio(0, 1)
        );
    }
}

criterion_group!(benches, provisioning);
criterion_main!(benches);
