//! The server's side: the kernels, and the engine's two ways of matching.

use std::sync::Arc;

use tyto_engine::{Block, BlockState, Gallery, Located, Verification, prepare_query, read_queries};
use tyto_kernels::{
    Backend, MAX_PROBES, N, NttPoly, PACKED_POLY_BYTES, PackedBlock, Poly, Q, forward, inverse, match_blocks,
    pack, supported,
};
use tyto_scheme::query::Kind;
use tyto_scheme::segment::write_polynomials;
use tyto_scheme::{BlockId, GalleryId, GalleryParameters, KeyId, Layout, ParameterSet, reply};

use crate::counted::path;

/// Coordinates of a template.
pub(crate) const DIMENSION: u32 = 128;

/// Blocks that are matched at once: fewer than a server takes, so that counting does not take long.
const BLOCKS: usize = 8;

/// Numbers that are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn poly(&mut self) -> Poly {
        let mut poly = Poly::zero();
        poly.as_mut_slice().fill_with(|| {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (self.0 >> 20) % Q
        });
        poly
    }

    fn polys(&mut self, count: usize) -> Vec<Poly> {
        (0..count).map(|_| self.poly()).collect()
    }
}

/// Counts all paths of this file.
pub(crate) fn paths() {
    let mut numbers = Numbers(1);
    transforms(&mut numbers);
    packing(&mut numbers);
    identification(&mut numbers);
    verification(&mut numbers);
}

fn transforms(numbers: &mut Numbers) {
    let poly = numbers.poly();
    let transformed = forward(&poly);
    path(
        "ntt/forward",
        || (),
        |()| forward(&poly),
        |out| assert!(inverse(out).as_slice() == poly.as_slice()),
    );
    path("ntt/inverse", || (), |()| inverse(&transformed), |out| assert!(out.as_slice() == poly.as_slice()));
    let layout = Layout::identification(ParameterSet::Exact41, DIMENSION).expect("a safe layout");
    path(
        "reply/round and pack",
        || (),
        |()| reply::pack(&layout, &reply::compress(&layout, &poly)),
        |out| assert_eq!(out.len(), N * usize::from(layout.reply_bits()) / 8),
    );
}

fn packing(numbers: &mut Numbers) {
    let poly = numbers.poly();
    let mut packed = vec![0; PACKED_POLY_BYTES];
    pack::pack(poly.as_slice(), &mut packed);
    path(
        "polynomial/pack",
        || vec![0; PACKED_POLY_BYTES],
        |mut out| {
            pack::pack(poly.as_slice(), &mut out);
            out
        },
        |out| assert!(*out == packed),
    );
    path(
        "polynomial/unpack",
        Poly::zero,
        |mut out| {
            pack::unpack(&packed, &mut out).expect("a packed polynomial");
            out
        },
        |out| assert!(out.as_slice() == poly.as_slice()),
    );
}

fn identification(numbers: &mut Numbers) {
    let (content, probe) = (numbers.polys(DIMENSION as usize), numbers.polys(DIMENSION as usize));
    let mut block = PackedBlock::new(DIMENSION as usize);
    content.iter().enumerate().for_each(|(c, poly)| block.set(c, &forward(poly)));
    let blocks = [&block; BLOCKS];
    let query = prepare_query(&probe);
    let expected = content.iter().zip(&probe).fold(NttPoly::zero(), |mut sum, (b, q)| {
        sum.mul_add_assign(&forward(b), &forward(q));
        sum
    });
    let expected = inverse(&expected);
    for backend in supported().into_iter().filter(|backend| !is_unknown_to_callgrind(*backend)) {
        for probes in [1, MAX_PROBES] {
            let name = format!("match/{backend}, probes in one pass: {probes}");
            let queries = vec![&query; probes];
            path(
                &name,
                || vec![NttPoly::zero(); BLOCKS * probes],
                |mut out| {
                    match_blocks(backend, &blocks, &queries, &mut out);
                    out
                },
                |out| assert!(out.iter().all(|out| inverse(out).as_slice() == expected.as_slice())),
            );
        }
    }
    let layout = Layout::identification(ParameterSet::Exact41, DIMENSION).expect("a safe layout");
    let mut sent = Vec::new();
    write_polynomials(&probe, &mut sent);
    path(
        "query/read",
        || (),
        |()| read_queries(&layout, Kind::Identify, &sent).expect("our own form"),
        |out| assert!(out.len() == 1 && inverse(&out[0].get(5)).as_slice() == probe[5].as_slice()),
    );
}

/// Whether the list of paths would depend on the machine: valgrind knows AVX2 at most.
fn is_unknown_to_callgrind(backend: Backend) -> bool {
    backend == Backend::Avx512Ifma
}

fn verification(numbers: &mut Numbers) {
    let stride = DIMENSION;
    let parameters = GalleryParameters::new(GalleryId([1; 16]), 1, DIMENSION, stride, 0, KeyId([2; 16]));
    let parameters = parameters.expect("a safe layout");
    let layout = parameters.layout;
    let state = BlockState {
        id: BlockId([1; 16]),
        version: 1,
        changed_at: 1,
        record: Arc::new([1; 40]),
        record_digest: [1; 32],
        entries: 0,
    };
    let content = numbers.polys(layout.chunks());
    let block = Block::from_polynomials(&layout, state, content.clone(), &[], &[]);
    let gallery = Gallery::new(parameters, 1, Arc::from(*b"manifest"), vec![block]).expect("one block");
    let snapshot = gallery.snapshot();
    let probes = [numbers.polys(layout.chunks()), numbers.polys(layout.chunks())];
    let mut query = Vec::new();
    probes.iter().for_each(|probe| write_polynomials(probe, &mut query));
    let template = Located { ordinal: 0, slot: 5 };
    let expected = probes.each_ref().map(|probe| {
        let mut product = forward(&content[0]);
        product.mul_assign(&forward(&probe[0]));
        reply::compress(&layout, &inverse(&product))[usize::from(template.slot)]
    });
    path(
        "verification/both queries",
        // Its memory is there from an earlier call, as it is in a server.
        || {
            let mut verification = Verification::new();
            verification.read(&layout, &query).expect("a query");
            verification
        },
        |mut verification| {
            let mut found = [0; 2];
            verification.read(&layout, &query).expect("a query");
            verification.compare(&snapshot, &[template], |compared| {
                found = [compared.coefficient, compared.check];
            });
            found
        },
        |found| assert_eq!(*found, expected),
    );
}
