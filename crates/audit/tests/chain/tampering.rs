//! Whatever is done to a chain is found, and the record named at which it was done.

use tyto_audit::{AuditAnchor, Chain, Problem};

use crate::cases::verify;
use crate::sample::{Pieces, Sample, sample};

/// Which record each byte of a segment belongs to: the first one for the head.
fn owners(segment: &[u8], first: u64) -> Vec<u64> {
    let pieces = Pieces::of(segment);
    let mut owners = vec![first; pieces.head.len()];
    for (record, number) in pieces.frames.iter().zip(first..) {
        owners.resize(owners.len() + 2 + record.0.len() + 32, number);
    }
    owners
}

#[test]
fn every_flipped_bit_is_found_and_its_record_named() {
    let Sample { segments, .. } = sample();
    let mut first = 0;
    for (at, segment) in segments.iter().enumerate() {
        let owners = owners(segment, first);
        assert_eq!(owners.len(), segment.len());
        for (byte, bit) in (0..segment.len()).flat_map(|byte| (0..8).map(move |bit| (byte, bit))) {
            let mut altered = segments.clone();
            altered[at][byte] ^= 1 << bit;
            // No anchor helps.
            let fault = verify(&altered, &[]).expect_err("a flipped bit");
            let head = Pieces::of(segment).head.len();
            if byte >= head {
                assert_eq!(fault.record, owners[byte], "segment {at}, byte {byte}, bit {bit}: {fault}");
            } else if at > 0 {
                assert_eq!(fault.record, first, "segment {at}, byte {byte}, bit {bit}: {fault}");
            }
        }
        first += Pieces::of(segment).frames.len() as u64;
    }
}

#[test]
fn a_chain_that_ends_early_is_found_by_every_later_anchor_and_by_none_before() {
    let Sample { segments, anchors } = sample();
    let sizes: Vec<usize> = segments.iter().map(Vec::len).collect();
    for cut in 0..sizes.iter().sum() {
        let (mut left, mut cut_segments) = (cut, Vec::new());
        for segment in &segments {
            let bytes = left.min(segment.len());
            left -= bytes;
            if bytes > 0 {
                cut_segments.push(segment[..bytes].to_vec());
            }
        }
        let whole: u64 = cut_segments
            .iter()
            .map(|segment| Chain::resume(segment).map_or(0, |r| r.chain.records() - r.header.first))
            .sum();
        let fault = verify(&cut_segments, &[anchors[12]]).expect_err("a shorter chain");
        assert_eq!(fault.record, whole, "{cut}: {fault}");
        if let Ok(summary) = verify(&cut_segments, &[anchors[whole as usize]]) {
            assert_eq!(summary.records, whole, "{cut}");
        }
    }
}

/// Each way to take one record out, put one in twice, or change two places, within a segment.
fn rearranged(pieces: &Pieces) -> Vec<(u64, &'static [&'static str], Pieces)> {
    let count = pieces.frames.len();
    let mut all = Vec::new();
    for at in 0..count {
        let mut shorter = pieces.clone();
        shorter.frames.remove(at);
        if at + 1 < count {
            all.push((at as u64, &["missing"][..], shorter));
        }
        for to in at + 1..=count {
            let mut longer = pieces.clone();
            longer.frames.insert(to, pieces.frames[at].clone());
            all.push((to as u64, &["repeated"][..], longer));
        }
        for with in at + 1..count {
            let mut swapped = pieces.clone();
            swapped.frames.swap(at, with);
            all.push((at as u64, &["moved"][..], swapped));
        }
    }
    all
}

#[test]
fn records_that_were_taken_out_repeated_or_moved_are_named() {
    let Sample { segments, .. } = sample();
    let mut first = 0;
    for (at, segment) in segments.iter().enumerate() {
        let pieces = Pieces::of(segment);
        for (place, checks, changed) in rearranged(&pieces) {
            let mut altered = segments.clone();
            altered[at] = changed.join();
            let fault = verify(&altered, &[]).expect_err("another order");
            assert_eq!(fault.record, first + place, "segment {at}: {fault}");
            assert!(checks.contains(&fault.problem.check()), "segment {at}: {fault}");
        }
        first += pieces.frames.len() as u64;
    }
}

#[test]
fn a_record_cut_from_the_end_of_a_segment_is_missing_where_the_next_begins() {
    let Sample { mut segments, .. } = sample();
    let mut pieces = Pieces::of(&segments[0]);
    pieces.frames.pop();
    segments[0] = pieces.join();
    let fault = verify(&segments, &[]).unwrap_err();
    assert_eq!((fault.record, fault.problem), (2, Problem::Missing { found: 3 }));
}

#[test]
fn one_anchor_is_enough_to_find_a_chain_that_was_written_anew() {
    let Sample { segments, anchors } = sample();
    let other = AuditAnchor { head: [1; 32], ..anchors[7] };
    let fault = verify(&segments, &[anchors[5], other, anchors[12]]).unwrap_err();
    assert_eq!((fault.record, fault.problem), (5, Problem::Anchor { records: 7 }));
}

#[test]
fn a_deletion_must_be_in_the_chain_and_reach_as_far() {
    let Sample { segments, .. } = sample();
    // The third segment says that records before 3 were deleted.
    assert_eq!(verify(&segments[1..], &[]).unwrap().first, 3);
    let fault = verify(&segments[2..], &[]).unwrap_err();
    assert_eq!((fault.record, fault.problem), (3, Problem::Beginning { first: 7 }));
    // Without that word nothing may be missing.
    let fault = verify(&segments[1..2], &[]).unwrap_err();
    assert_eq!((fault.record, fault.problem), (0, Problem::Beginning { first: 3 }));
}
