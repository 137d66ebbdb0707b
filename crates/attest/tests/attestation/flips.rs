//! No bit of a bundle can change.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tyto_attest::{Existence, TrustRoot, verify};

use crate::golden::read_bytes;
use crate::world::{CHECKPOINT_AT, COSIGNED_AT, INDEX, NOW, statement};

/// The normal run flips one bit in this many, at places that move through the bytes; with `TYTO_SOAK=1` or
/// `TYTO_ALL_BIT_FLIPS=1` every bit is flipped.
const SAMPLE: usize = 61;

#[test]
fn any_flipped_bit_of_a_bundle_is_rejected() {
    let asked = |name| std::env::var_os(name).is_some_and(|value| value == "1");
    let step = if asked("TYTO_SOAK") || asked("TYTO_ALL_BIT_FLIPS") { 1 } else { SAMPLE };
    let roots = TrustRoot::open(&read_bytes("roots/main.cbor"), None).unwrap();
    for name in ["default", "receipt-only", "with-decision"] {
        let bundle = read_bytes(&format!("evidence/{name}.cbor"));
        assert!(verify(&bundle, &roots, Some(NOW)).is_accepted(), "{name}");
        let (next, flipped) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let flip_some = || {
            let mut altered = bundle.clone();
            loop {
                let bit = next.fetch_add(step, Ordering::Relaxed);
                if bit >= 8 * bundle.len() {
                    return;
                }
                altered[bit / 8] ^= 1 << (bit % 8);
                let verdict = verify(&altered, &roots, Some(NOW));
                altered[bit / 8] ^= 1 << (bit % 8);
                assert!(!verdict.is_accepted(), "{name}: accepted with bit {bit} flipped");
                flipped.fetch_add(1, Ordering::Relaxed);
            }
        };
        thread::scope(|scope| {
            for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
                scope.spawn(flip_some);
            }
        });
        let flipped = flipped.into_inner();
        assert_eq!(flipped, (8 * bundle.len()).div_ceil(step));
        println!("{name}: {flipped} of {} bits flipped, each rejected", 8 * bundle.len());
    }
}

#[test]
fn a_bundle_of_the_default_algorithms_is_small() {
    let bundle = read_bytes("evidence/default.cbor");
    // The path of a log of a billion entries has 30 hashes where this one has 4.
    assert!(bundle.len() + 26 * 34 < 16_000, "{} bytes", bundle.len());
}

#[test]
fn a_verdict_lists_what_was_checked() {
    let roots = TrustRoot::open(&read_bytes("roots/main.cbor"), None).unwrap();
    let verdict = verify(&read_bytes("evidence/default.cbor"), &roots, Some(NOW));
    let shown: Vec<_> = verdict.checks.iter().map(ToString::to_string).collect();
    let expected = [
        "bundle: format",
        "envelope: format",
        "envelope: key-entry",
        "envelope: key-id",
        "envelope: algorithm-of-key",
        "envelope: purpose",
        "envelope: signature",
        "statement: format",
        "receipt: format",
        "receipt: root",
        "checkpoint: key-entry",
        "checkpoint: key-id",
        "checkpoint: algorithm-of-key",
        "checkpoint: purpose",
        "checkpoint: signature",
        "checkpoint: log-id",
        "checkpoint: not-yet-valid",
        "checkpoint: expired",
        "checkpoint: revoked",
        "checkpoint: time-order",
        "statement: log-id",
        "statement: previous-checkpoint",
        "statement: time-order",
        "statement: not-yet-valid",
        "statement: expired",
        "statement: revoked",
    ];
    assert_eq!(shown, expected);
    let verified = verdict.outcome.unwrap();
    assert_eq!(verified.statement.unwrap(), statement());
    assert_eq!(verified.log.unwrap().index, Some(INDEX));
    assert_eq!(verified.existence, Existence::Log { by_unix_ms: CHECKPOINT_AT });
}

#[test]
fn co_signatures_count_only_if_they_are_believed() {
    use tyto_attest::CosignatureStatus::{Counts, NotBelieved, UnknownKey};
    // The witness's key was revoked at the very time that the co-signature claims.
    let cases = [
        ("cosigned", "main", NOW, Counts),
        ("cosigned", "witness-revoked", COSIGNED_AT - 1, NotBelieved),
        ("cosigned-by-unknown", "main", NOW, UnknownKey),
    ];
    for (name, roots, at, status) in cases {
        let roots = TrustRoot::open(&read_bytes(&format!("roots/{roots}.cbor")), None).unwrap();
        let verdict = verify(&read_bytes(&format!("evidence/{name}.cbor")), &roots, Some(at));
        assert_eq!(verdict.outcome.unwrap().log.unwrap().cosignatures[0].status, status, "{name}");
    }
}
