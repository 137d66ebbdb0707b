//! Chains that hold, and one that does not for each check.

use tyto_audit::{AuditAnchor, Fault, Summary, Verifier};

use crate::sample::{CHAIN_ID, Pieces, Sample, sample, sample_of};

/// A chain with anchors, and what is wrong with it.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) segments: Vec<Vec<u8>>,
    pub(crate) anchors: Vec<AuditAnchor>,
    /// The first bad record and the check that failed.
    pub(crate) rejected: Option<(u64, &'static str)>,
}

/// Goes through segments.
pub(crate) fn verify(segments: &[Vec<u8>], anchors: &[AuditAnchor]) -> Result<Summary, Fault> {
    let mut verifier = Verifier::new(anchors);
    for segment in segments {
        verifier.segment(segment, |_| {})?;
    }
    verifier.finish()
}

/// All cases.
pub(crate) fn all() -> Vec<Case> {
    let Sample { segments, anchors } = sample();
    let case = |name, rejected| Case { name, segments: segments.clone(), anchors: anchors.clone(), rejected };
    let mut cases = vec![
        case("whole", None),
        Case { anchors: Vec::new(), ..case("without-anchors", None) },
        Case { segments: segments[1..].to_vec(), ..case("retained", None) },
    ];
    // Broken ones have two anchors each, so that other checks come first.
    let few = vec![anchors[5], anchors[12]];
    let mut broken = |name, record, check, change: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let mut segments = segments.clone();
        change(&mut segments);
        cases.push(Case { name, segments, anchors: few.clone(), rejected: Some((record, check)) });
    };
    // A middle segment taken apart, changed, and put together.
    let second = |segments: &mut Vec<Vec<u8>>, change: &dyn Fn(&mut Pieces)| {
        let mut pieces = Pieces::of(&segments[1]);
        change(&mut pieces);
        segments[1] = pieces.join();
    };
    broken("head", 3, "head", &|s| s[1][3] ^= 1);
    broken("head-place", 4, "head", &|s| {
        // The place of the first record: the last number before the hash.
        let place = Pieces::of(&s[1]).head.len() - 35;
        s[1][place] ^= 7;
        s.remove(0);
    });
    broken("foreign-segment", 3, "chain", &|s| s[1] = sample_of([0xee; 32]).segments.remove(1));
    broken("link", 3, "link", &|s| {
        let end = Pieces::of(&s[1]).head.len() - 1;
        s[1][end] ^= 1;
    });
    broken("incomplete", 11, "incomplete", &|s| {
        s[2].pop();
    });
    broken("altered", 4, "altered", &|s| second(s, &|p| p.frames[1].0[40] ^= 1));
    broken("altered-number", 4, "altered", &|s| second(s, &|p| p.frames[1].0[4] ^= 9));
    broken("record", 6, "record", &|s| {
        second(s, &|p| {
            let before = p.frames[2].1;
            p.frames[3].0.push(0);
            let mut last = Pieces { head: Vec::new(), frames: p.frames.split_off(3) };
            last.hash_anew(&CHAIN_ID, &before);
            p.frames.extend(last.frames);
        });
    });
    broken("missing", 4, "missing", &|s| {
        second(s, &|p| {
            p.frames.remove(1);
        });
    });
    broken("missing-segment", 3, "missing", &|s| {
        s.remove(1);
    });
    broken("moved", 4, "moved", &|s| second(s, &|p| p.frames.swap(1, 2)));
    broken("repeated", 5, "repeated", &|s| second(s, &|p| p.frames.insert(2, p.frames[1].clone())));
    broken("repeated-segment", 7, "repeated", &|s| s.insert(2, s[1].clone()));
    broken("time-order", 5, "time-order", &|s| {
        second(s, &|p| {
            // The time's last byte but three: 65 seconds back.
            p.frames[2].0[12] -= 1;
            let mut rest = Pieces { head: Vec::new(), frames: p.frames.split_off(2) };
            rest.hash_anew(&CHAIN_ID, &p.frames[1].1);
            p.frames.extend(rest.frames);
        });
    });
    broken("beginning", 3, "beginning", &|s| {
        s.drain(..2);
    });
    broken("anchor", 0, "anchor", &|s| {
        let mut pieces = Pieces::of(&s[0]);
        pieces.frames[1].0[40] ^= 1;
        pieces.hash_anew(&CHAIN_ID, &[0; 32]);
        let mut before = pieces.frames[2].1;
        s[0] = pieces.join();
        for segment in &mut s[1..] {
            let mut pieces = Pieces::of(segment);
            let end = pieces.head.len() - 32;
            pieces.head[end..].copy_from_slice(&before);
            pieces.hash_anew(&CHAIN_ID, &before);
            before = pieces.frames.last().unwrap().1;
            *segment = pieces.join();
        }
    });
    broken("cut-off", 11, "cut-off", &|s| {
        let mut pieces = Pieces::of(&s[2]);
        pieces.frames.pop();
        s[2] = pieces.join();
    });
    broken("empty", 0, "cut-off", &Vec::clear);
    cases.push(Case { segments: Vec::new(), anchors: Vec::new(), ..case("nothing", Some((0, "empty"))) });
    let anchors = vec![sample_of([0xee; 32]).anchors[5]];
    cases.push(Case { anchors, ..case("foreign-anchor", Some((0, "chain"))) });
    cases
}

#[test]
fn every_case_has_its_verdict() {
    for case in all() {
        let found = verify(&case.segments, &case.anchors);
        let found = found.as_ref().err().map(|fault| (fault.record, fault.problem.check()));
        assert_eq!(found, case.rejected, "{}", case.name);
    }
}

#[test]
fn every_check_has_a_case() {
    // The names in docs/formats/audit.md.
    let checks = [
        "head",
        "chain",
        "link",
        "incomplete",
        "altered",
        "record",
        "missing",
        "moved",
        "repeated",
        "time-order",
        "beginning",
        "anchor",
        "cut-off",
        "empty",
    ];
    for check in checks {
        let rejected = |case: &Case| case.rejected.is_some_and(|(_, by)| by == check);
        assert!(all().iter().any(rejected), "{check}");
    }
}

#[test]
fn what_holds_is_summed_up() {
    let Sample { segments, anchors } = sample();
    let whole = verify(&segments, &anchors).unwrap();
    assert_eq!((whole.first, whole.records, whole.anchors, whole.confirmed), (0, 12, 13, Some(12)));
    assert_eq!((whole.dropped, whole.starts, whole.denied), (70_000, 2, 1));
    assert_eq!((whole.chain_id, whole.head), (CHAIN_ID, anchors[12].head));
    let retained = verify(&segments[1..], &anchors[..8]).unwrap();
    assert_eq!((retained.first, retained.anchors, retained.anchors_before), (3, 5, 3));
    assert_eq!(retained.confirmed, Some(7), "an anchor confirms all that is kept before it");
    assert_eq!(verify(&segments, &[]).unwrap().confirmed, None);
}
