//! A verification allocates nothing. In a binary of its own, because counting replaces the allocator.

use std::sync::Arc;
use tyto_engine::{Block, BlockState, Filled, Gallery, Verification, prepare_query};
use tyto_kernels::{Poly, modq};
use tyto_scheme::query::QueryPolynomials;
use tyto_scheme::{BlockId, Delta, GalleryId, GalleryParameters, KeyId, Layout, Pseudonym};

const SUBJECT: Pseudonym = Pseudonym([3; 16]);

fn poly(seed: u64) -> Poly {
    let mut poly = Poly::zero();
    poly.as_mut_slice().iter_mut().zip(0..).for_each(|(x, i)| *x = modq::pow(5 + seed, 1000 + i));
    poly
}

fn delta(layout: &Layout, seed: u16) -> Delta {
    Delta::new(layout, (0..layout.padded_dimension() as u16).map(|i| (i * 7 + seed) % 2039).collect())
        .unwrap()
}

/// A gallery with one block and one template.
fn gallery(dimension: u32, stride: u32) -> Gallery {
    let parameters =
        GalleryParameters::new(GalleryId([1; 16]), 1, dimension, stride, 0, KeyId([2; 16])).unwrap();
    let layout = parameters.layout;
    let state = BlockState {
        id: BlockId([1; 16]),
        version: 1,
        changed_at: 2,
        record: Arc::from([0; 40]),
        record_digest: [0; 32],
        entries: 0,
    };
    let filled = Filled { slot: 1, subject: SUBJECT, delta: delta(&layout, 1) };
    let polynomials = (0..layout.chunks() as u64).map(poly).collect();
    let block = Block::from_polynomials(&layout, state, polynomials, &[filled], &[]);
    Gallery::new(parameters, 2, Arc::from(*b"manifest"), vec![block]).unwrap()
}

#[test]
fn a_verification_allocates_nothing_from_the_packed_query_to_the_coefficients() {
    for (dimension, stride) in [(128, 128), (512, 512), (128, 16), (4, 1)] {
        let gallery = gallery(dimension, stride);
        let layout = gallery.parameters().layout;
        let query = |seed: u64| (0..layout.chunks() as u64).map(|c| poly(seed + c)).collect::<Vec<_>>();
        let queries = vec![query(10), query(20)];
        let bytes = QueryPolynomials::new(queries.clone()).to_bytes();
        let (mut verification, mut located) = (Verification::new(), Vec::new());
        let mut verify = || {
            let snapshot = gallery.locate(SUBJECT, &mut located);
            verification.read(&layout, &bytes).unwrap();
            let mut found = None;
            verification.compare(&snapshot, &located, |comparison| found = Some(comparison));
            found.unwrap()
        };
        // The first one makes the tables and takes the memory that the next ones use.
        let first = verify();
        let mut second = None;
        let counted = allocation_counter::measure(|| second = Some(verify()));
        assert_eq!(second, Some(first));
        assert_eq!((counted.count_total, counted.count_current), (0, 0), "d={dimension} k={stride}");

        // A ticket's prepared queries are handed over, so that they are freed here and nothing is taken.
        let tickets = || queries.iter().map(|query| prepare_query(query)).collect::<Vec<_>>();
        let deltas = [delta(&layout, 5), delta(&layout, 6)];
        let (snapshot, mut found) = (gallery.snapshot(), None);
        let prepared = tickets();
        let counted = allocation_counter::measure(|| {
            verification.use_ticket(&layout, prepared, &deltas);
            verification.compare(&snapshot, &located, |comparison| found = Some(comparison));
        });
        assert_eq!(counted.count_total, 0, "d={dimension} k={stride}");
        assert!(found.is_some() && found != Some(first));
    }
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocation_counter::measure(|| drop(Poly::zero())).count_total, 1);
}
