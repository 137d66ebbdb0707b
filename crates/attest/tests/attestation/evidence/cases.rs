//! The cases.

use tyto_attest::log::empty_root;
use tyto_attest::{
    Bundle, Checkpoint, Content, LABEL_TREE_HEAD, LogState, Part, PreviousCheckpoint, Purpose, Statement,
    TreeHead, TrustRoot,
};

use super::make::*;
use super::roots::REVOKED_AT;
use super::{Case, EMPTY_CHECKPOINT, FIRST, Form, OLD_CHECKPOINT, signed_trust_root, trust_root};
use crate::world::{
    self, CHECKPOINT_AT, COSIGNED_AT, DECIDED_AT, INDEX, ISSUED_AT, SIZE, decision_key, log_id, log_key,
    new_root_key, root_key, unknown_log_key, witness_key,
};
use crate::{raw, sample};

/// How the protected header of a co-signature with ML-DSA-65 begins.
const COSIGNED_WITH_ML_DSA: &[u8] = &[0xa5, 1, 0x38, 0x30, 2, 0x81];

pub(crate) fn all() -> Vec<Case> {
    [
        accepted(),
        forms(),
        keys(),
        receipts(),
        heads(),
        cosignatures(),
        times(),
        decisions(),
        consistencies(),
        trust_roots(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn accepted() -> Vec<Case> {
    vec![
        Case::new("default", default_bundle),
        Case::of("default-without-clock", "default").at(None),
        Case::new("receipt-only", receipt_only),
        Case::new("without-receipt", || encoded(&without_receipt())),
        Case::new("with-decision", decided),
        Case::new("cosigned", cosigned),
        Case::new("cosigned-by-unknown", || cosigned_at(COSIGNED_AT, &sample::untrusted_key())),
        Case::new("cosigned-by-unknown-algorithm", || {
            // alg -49 of the co-signature, and one that is no algorithm here.
            cosigned_altered(&sample::untrusted_key(), COSIGNED_WITH_ML_DSA, &[0xa5, 1, 0x38, 0x63, 2, 0x81])
        }),
        Case::new("document", || {
            let document = sample::other_statements().remove(0).1.claim;
            encoded(&world::receipt_only(&Statement { claim: document, ..world::statement() }))
        }),
        Case::new("attestation", world::attestation),
        Case::new("decision", || world::decision([0xab; 32]).sign(&decision_key()).unwrap()),
        Case::new("checkpoint", || {
            Checkpoint::sign(world::head(b"the entry", SIZE), log_key()).unwrap().encode()
        }),
        Case::new(EMPTY_CHECKPOINT, || {
            let head = TreeHead { size: 0, root: empty_root(), ..world::head(b"the entry", SIZE) };
            Checkpoint::sign(head, log_key()).unwrap().encode()
        }),
        Case::new(OLD_CHECKPOINT, || {
            Checkpoint::sign(world::head(b"the entry", 6), log_key()).unwrap().encode()
        }),
    ]
}

fn forms() -> Vec<Case> {
    let bundle = Part::Bundle;
    vec![
        Case::new("trailing-byte", || [default_bundle(), vec![0]].concat())
            .rejected(bundle, "trailing-bytes"),
        Case::new("truncated", || default_bundle()[..9_000].to_vec()).rejected(bundle, "cbor"),
        Case::new("not-shortest", || spliced(default_bundle(), b"\x01\x01", &[0x18, 1, 1]))
            .rejected(bundle, "cbor"),
        Case::new("other-magic", || spliced(default_bundle(), b"tyto-bundle", b"tyto-burden"))
            .rejected(bundle, "field"),
        Case::new("version-2", || spliced(default_bundle(), b"bundle\x01", b"bundle\x02"))
            .rejected(bundle, "version"),
        Case::new("mode-3", || spliced(default_bundle(), b"bundle\x01\x01", b"bundle\x01\x03"))
            .rejected(bundle, "field"),
        Case::new("bare-statement", || {
            let keys = raw::array(&[]);
            let content = raw::bytes(&world::statement().encode().unwrap());
            let head = [raw::text("tyto-bundle"), raw::uint(1), raw::uint(2), content];
            raw::array(&[&head[..], &[raw::null(), keys, raw::null()]].concat())
        })
        .rejected(bundle, "field"),
        Case::new("receipt-trailing-byte", || altered(|b| b.receipt.as_mut().unwrap().push(0)))
            .rejected(Part::Receipt, "trailing-bytes"),
        Case::new("header-trailing-byte", || {
            let header = raw::bytes(&raw::map(&sample::protected_entries()));
            let longer = raw::bytes(&[raw::map(&sample::protected_entries()), vec![0]].concat());
            encoded(&world::bundle_of(spliced(world::attestation(), &header, &longer)))
        })
        .rejected(Part::ProtectedHeader, "trailing-bytes"),
        Case::new("statement-version-3", || {
            let mut entries = sample::entries();
            entries[0].1 = raw::uint(3);
            let protected = raw::map(&sample::protected_entries());
            encoded(&world::bundle_of(sample::sign_raw(&protected, &raw::map(&entries))))
        })
        .rejected(Part::Statement, "statement-version"),
        Case::new("attestation-critical-header", || {
            let mut header = sample::protected_entries();
            header.insert(1, (raw::uint(2), raw::array(&[raw::uint(99)])));
            let payload = world::statement().encode().unwrap();
            encoded(&world::bundle_of(sample::sign_raw(&raw::map(&header), &payload)))
        })
        .rejected(Part::ProtectedHeader, "critical-header"),
    ]
}

fn keys() -> Vec<Case> {
    let (envelope, checkpoint) = (Part::Envelope, Part::Checkpoint);
    vec![
        Case::new("one-key-too-few", || {
            let bundle = world::bundle();
            let one = raw::array(&[raw_entry(&bundle, 0)]);
            let two = raw::array(&[raw_entry(&bundle, 0), raw_entry(&bundle, 1)]);
            spliced(encoded(&bundle), &two, &one)
        })
        .rejected(Part::Bundle, "field"),
        Case::new("key-entry-of-another", || {
            altered(|b| b.keys[0] = world::entry(&decision_key(), Purpose::Attestation))
        })
        .rejected(envelope, "key-entry"),
        Case::new("key-entry-for-decisions", || altered(|b| b.keys[0].purpose = Purpose::Decision))
            .rejected(envelope, "key-entry"),
        Case::new("key-entries-swapped", || altered(|b| b.keys.swap(0, 1))).rejected(envelope, "key-entry"),
        Case::of("signer-unknown", "default").roots("signer-unknown").rejected(envelope, "key-id"),
        Case::of("signer-for-decisions", "default")
            .roots("signer-for-decisions")
            .rejected(envelope, "purpose"),
        Case::new("signature-altered", || {
            altered(|b| {
                let Content::Attestation(bytes) = &mut b.content else { panic!() };
                let last = bytes.len() - 1;
                flip(bytes, last);
                b.receipt = Some(world::receipt(bytes).encode());
            })
        })
        .rejected(envelope, "signature"),
        Case::new("attestation-algorithm-of-another-key", || {
            let mut header = sample::protected_entries();
            header[0].1 = raw::negative(-70_026);
            let payload = world::statement().encode().unwrap();
            encoded(&world::bundle_of(sample::sign_raw(&raw::map(&header), &payload)))
        })
        .rejected(envelope, "algorithm-of-key"),
        Case::of("log-unknown", "default").roots("log-unknown").rejected(checkpoint, "key-id"),
        Case::new("log-key-of-another", || raw_receipt(|r| r.key = unknown_log_key()))
            .rejected(checkpoint, "signature"),
        Case::new("checkpoint-by-witness", || {
            let attestation = world::attestation();
            let receipt = world::receipt_with(world::head(&attestation, SIZE), witness_key(), &attestation);
            let keys = vec![world::signer_entry(), world::entry(witness_key(), Purpose::Log)];
            let content = Content::Attestation(attestation);
            encoded(&Bundle { content, receipt: Some(receipt.encode()), keys, decision: None })
        })
        .rejected(checkpoint, "purpose"),
    ]
}

fn raw_entry(bundle: &Bundle, index: usize) -> Vec<u8> {
    let entry = &bundle.keys[index];
    let algorithm = raw::negative(entry.key.algorithm().cose_number());
    raw::array(&[algorithm, raw::uint(entry.purpose.number()), raw::bytes(entry.key.as_bytes())])
}

fn receipts() -> Vec<Case> {
    let (receipt, checkpoint) = (Part::Receipt, Part::Checkpoint);
    vec![
        Case::new("receipt-by-hand", || raw_receipt(|_| {})),
        Case::new("entry-altered", || {
            let mut bundle = world::receipt_only(&world::statement());
            let mut other = world::statement();
            other.issued_at_unix_ms += 1;
            bundle.content = Content::Statement(other.encode().unwrap());
            encoded(&bundle)
        })
        .rejected(receipt, "root"),
        Case::new("proof-too-short", || raw_receipt(|r| r.path.truncate(2)))
            .rejected(receipt, "proof-length"),
        Case::new("proof-too-long", || raw_receipt(|r| r.path.push([0; 32])))
            .rejected(receipt, "proof-length"),
        Case::new("proof-altered", || raw_receipt(|r| flip(&mut r.path[1], 7))).rejected(receipt, "root"),
        Case::new("proof-of-another-place", || raw_receipt(|r| r.proof[1] = raw::uint(INDEX - 1)))
            .rejected(receipt, "root"),
        Case::new("index-outside", || raw_receipt(|r| r.proof[1] = raw::uint(SIZE)))
            .rejected(receipt, "leaf-index"),
        Case::new("size-of-proof-differs", || raw_receipt(|r| r.proof[0] = raw::uint(SIZE + 1)))
            .rejected(receipt, "tree-size"),
        Case::new("payload-attached", || raw_receipt(|r| r.payload = raw::bytes(&r.root)))
            .rejected(receipt, "field"),
        Case::new("two-unprotected", || raw_receipt(|r| r.unprotected.push((raw::uint(4), raw::uint(0)))))
            .rejected(receipt, "field"),
        Case::new("checkpoint-algorithm-unknown", || raw_receipt(|r| r.protected[ALG].1 = raw::negative(-7)))
            .rejected(checkpoint, "algorithm"),
        Case::new("checkpoint-algorithm-of-another-key", || {
            raw_receipt(|r| r.protected[ALG].1 = raw::negative(-70_027))
        })
        .rejected(checkpoint, "algorithm-of-key"),
        Case::new("checkpoint-critical-header", || {
            let labels = raw::array(&[raw::negative(LABEL_TREE_HEAD), raw::negative(-70_199)]);
            raw_receipt(|r| r.protected[CRIT].1 = labels)
        })
        .rejected(checkpoint, "critical-header"),
        Case::new("checkpoint-without-critical", || raw_receipt(|r| drop(r.protected.remove(CRIT))))
            .rejected(checkpoint, "field"),
        Case::new("checkpoint-short-key-id", || raw_receipt(|r| r.protected[KID].1 = raw::bytes(&[1; 31])))
            .rejected(checkpoint, "field"),
        Case::new("checkpoint-other-type", || {
            raw_receipt(|r| r.protected[TYP].1 = raw::text("application/cbor"))
        })
        .rejected(checkpoint, "field"),
        Case::new("checkpoint-other-tree", || raw_receipt(|r| r.protected[VDS].1 = raw::uint(1)))
            .rejected(checkpoint, "field"),
        Case::new("checkpoint-algorithm-unknown-version-2", || {
            raw_receipt(|r| {
                r.protected[ALG].1 = raw::negative(-7);
                r.protected[HEAD].1 = raw_head(&world::head(&[], SIZE), 2);
            })
        })
        .rejected(checkpoint, "algorithm"),
        Case::new("checkpoint-version-2", || {
            raw_receipt(|r| r.protected[HEAD].1 = raw_head(&world::head(&[], SIZE), 2))
        })
        .rejected(checkpoint, "version"),
    ]
}

fn heads() -> Vec<Case> {
    let (checkpoint, statement) = (Part::Checkpoint, Part::Statement);
    vec![
        Case::new("checkpoint-of-another-log", || raw_headed(|head| head.log_id = [0x99; 32]))
            .rejected(Part::TrustRoot, "log-id"),
        Case::of("log-with-other-id", "default")
            .roots("log-with-other-id")
            .rejected(Part::TrustRoot, "log-id"),
        Case::new("statement-of-another-log", || {
            stated(|s| s.log = Some(LogState { log_id: [0x99; 32], previous_checkpoint: None }))
        })
        .rejected(statement, "log-id"),
        Case::new("previous-checkpoint-too-large", || {
            stated(|s| {
                let previous = PreviousCheckpoint { size: INDEX + 1, root: [0; 32] };
                s.log = Some(LogState { log_id: log_id(), previous_checkpoint: Some(previous) });
            })
        })
        .rejected(statement, "previous-checkpoint"),
        Case::new("root-of-head-differs", || raw_headed(|head| flip(&mut head.root, 0)))
            .rejected(Part::Receipt, "root"),
        Case::new("checkpoint-payload-differs", || {
            let checkpoint = Checkpoint::sign(world::head(b"the entry", SIZE), log_key()).unwrap();
            let (root, mut other) = (checkpoint.head().root, checkpoint.head().root);
            flip(&mut other, 31);
            // The payload is the later of the two places of the root: the header comes first.
            let bytes = checkpoint.encode();
            let header_end = bytes.windows(32).position(|window| window == root).unwrap() + 32;
            [&bytes[..header_end], &spliced(bytes[header_end..].to_vec(), &root, &other)].concat()
        })
        .rejected(checkpoint, "field"),
    ]
}

fn cosignatures() -> Vec<Case> {
    let part = Part::Cosignature;
    vec![
        Case::new("cosignature-of-another-checkpoint", || {
            cosigned_with(|checkpoint| {
                let head = TreeHead { size: SIZE + 1, ..*checkpoint.head() };
                let other = Checkpoint::sign(head, log_key()).unwrap();
                other.cosign(COSIGNED_AT, witness_key()).unwrap()
            })
        })
        .rejected(part, "signature"),
        Case::new("cosigned-by-signer", || cosigned_at(COSIGNED_AT, &sample::signing_key()))
            .rejected(part, "purpose"),
        Case::new("cosigned-with-unknown-algorithm", || {
            // alg -70027 of the co-signature, and one that is no algorithm here.
            let (known, unknown) = ([1, 0x3a, 0, 1, 0x11, 0x8a], [1, 0x3a, 0, 1, 0x38, 0x7e]);
            cosigned_altered(witness_key(), &known, &unknown)
        })
        .rejected(part, "algorithm-of-key"),
        Case::new("cosigned-by-unknown-malformed", || {
            let (known, unknown) = (&b"tyto.cosignature"[..], &b"tyto.countersign"[..]);
            cosigned_altered(&sample::untrusted_key(), known, unknown)
        })
        .rejected(part, "field"),
        Case::new("cosigned-long-before-checkpoint", || cosigned_at(CHECKPOINT_AT - 300_001, witness_key())),
        // Only co-signatures that count show that a checkpoint is older than a revocation.
        Case::of("log-revoked-cosigned-long-before-checkpoint", "cosigned-long-before-checkpoint")
            .roots("log-revoked")
            .rejected(Part::Checkpoint, "revoked"),
    ]
}

/// What revocations and expiries mean: the table of the format description.
fn times() -> Vec<Case> {
    let (statement, checkpoint) = (Part::Statement, Part::Checkpoint);
    vec![
        Case::of("revoked-after-checkpoint", "default").roots("signer-revoked-after-checkpoint"),
        Case::of("revoked-after-checkpoint-without-clock", "default")
            .roots("signer-revoked-after-checkpoint")
            .at(None),
        Case::of("revoked-before-checkpoint", "default")
            .roots("signer-revoked-before-checkpoint")
            .rejected(statement, "revoked"),
        Case::of("revoked-without-receipt", "without-receipt")
            .roots("signer-revoked-after-checkpoint")
            .rejected(statement, "revoked"),
        Case::of("revoked-without-receipt-or-clock", "without-receipt")
            .roots("signer-revoked-after-checkpoint")
            .at(None)
            .rejected(statement, "revoked"),
        Case::of("seen-before-revocation", "without-receipt")
            .roots("signer-revoked-after-checkpoint")
            .at(Some(REVOKED_AT - 1)),
        Case::of("seen-at-revocation", "without-receipt")
            .roots("signer-revoked-after-checkpoint")
            .at(Some(REVOKED_AT))
            .rejected(statement, "revoked"),
        Case::of("expired", "default").roots("signer-expired").rejected(statement, "expired"),
        Case::of("expired-before-checkpoint", "default")
            .roots("signer-expired-before-checkpoint")
            .rejected(statement, "expired"),
        Case::of("expired-without-clock", "without-receipt")
            .roots("signer-expired-before-checkpoint")
            .at(None),
        Case::of("expired-when-seen", "without-receipt")
            .roots("signer-expired-before-checkpoint")
            .rejected(statement, "expired"),
        Case::of("not-yet-valid", "default")
            .roots("signer-not-yet-valid")
            .rejected(statement, "not-yet-valid"),
        Case::of("log-revoked", "default").roots("log-revoked").rejected(checkpoint, "revoked"),
        Case::of("log-revoked-without-clock", "default")
            .roots("log-revoked")
            .at(None)
            .rejected(checkpoint, "revoked"),
        Case::of("log-revoked-seen-before", "default").roots("log-revoked").at(Some(REVOKED_AT - 1)),
        Case::of("log-revoked-cosigned-before", "cosigned").roots("log-revoked"),
        Case::of("log-revoked-witness-revoked", "cosigned")
            .roots("witness-revoked")
            .rejected(checkpoint, "revoked"),
        Case::of("log-expired-after-checkpoint", "default").roots("log-expired-after-checkpoint"),
        Case::of("log-expired-before-checkpoint", "default")
            .roots("log-expired-before-checkpoint")
            .rejected(checkpoint, "expired"),
        Case::of("log-not-yet-valid", "default")
            .roots("log-not-yet-valid")
            .rejected(checkpoint, "not-yet-valid"),
        Case::of("checkpoint-in-the-future", "default")
            .at(Some(CHECKPOINT_AT - 300_001))
            .rejected(checkpoint, "time-order"),
        Case::of("checkpoint-within-skew", "default").at(Some(CHECKPOINT_AT - 300_000)),
        Case::new("issued-after-checkpoint", || stated(|s| s.issued_at_unix_ms = CHECKPOINT_AT + 300_001))
            .rejected(statement, "time-order"),
        Case::of("attestation-in-the-future", "attestation")
            .at(Some(ISSUED_AT - 300_001))
            .rejected(statement, "time-order"),
    ]
}

fn decisions() -> Vec<Case> {
    let part = Part::Decision;
    vec![
        Case::new("decision-on-another", || {
            encoded(&world::decided(world::bundle(), |d| flip(&mut d.attestation_digest, 0)))
        })
        .rejected(part, "decision-digest"),
        Case::new("decision-altered", || {
            let mut bundle = world::decided(world::bundle(), |_| {});
            let bytes = bundle.decision.take().unwrap();
            bundle.decision = Some(spliced(bytes, b"tenant.example", b"tenant.exemple"));
            encoded(&bundle)
        })
        .rejected(part, "signature"),
        Case::new("decision-before-statement", || {
            encoded(&world::decided(world::bundle(), |d| d.decided_at_unix_ms = ISSUED_AT - 300_001))
        })
        .rejected(part, "time-order"),
        Case::new("decision-about-nobody", || {
            encoded(&world::decided(world::bundle(), |d| {
                (d.subject, d.outcome) = (None, tyto_attest::Outcome::NonMatch);
            }))
        }),
        Case::new("decision-without-subject", || {
            let mut bundle = world::bundle();
            decision_without_subject(&mut bundle);
            encoded(&bundle)
        })
        .rejected(part, "field"),
        Case::new("decision-of-another-tenant", || {
            encoded(&world::decided(world::bundle(), |d| d.tenant = "other.example".into()))
        })
        .rejected(part, "tenant"),
        Case::new("decision-on-document", || {
            let document = sample::other_statements().remove(0).1.claim;
            let statement = Statement { claim: document, ..world::statement() };
            encoded(&world::decided(world::receipt_only(&statement), |_| {}))
        })
        .rejected(part, "decision-kind"),
        Case::of("decision-expired-seen-before", "with-decision")
            .roots("decision-expired")
            .at(Some(REVOKED_AT - 1)),
        Case::of("decision-in-the-future", "with-decision")
            .at(Some(DECIDED_AT - 300_001))
            .rejected(part, "time-order"),
        Case::of("decision-revoked", "with-decision").roots("decision-revoked").rejected(part, "revoked"),
        Case::of("decision-expired", "with-decision").roots("decision-expired").rejected(part, "expired"),
        Case::new("decision-by-server", || {
            let mut bundle = world::bundle();
            let decision = world::decision(bundle.content.leaf_hash());
            bundle.decision = Some(decision.sign(&sample::signing_key()).unwrap());
            bundle.keys.push(world::entry(&sample::signing_key(), Purpose::Decision));
            encoded(&bundle)
        })
        .rejected(part, "purpose"),
    ]
}

fn consistencies() -> Vec<Case> {
    let part = Part::Receipt;
    let case = |name, make| Case::new(name, make).form(Form::Consistency);
    vec![
        case("consistency", || consistency(6, |_| {})),
        case("consistency-too-short", || consistency(6, |path| path.truncate(1)))
            .rejected(part, "proof-length"),
        case("consistency-wrong-old-root", || consistency(6, |path| flip(&mut path[0], 0)))
            .rejected(part, "old-root"),
        case("consistency-wrong-root", || consistency(6, |path| flip(path.last_mut().unwrap(), 0)))
            .rejected(part, "root"),
        case("consistency-from-another-size", || consistency(5, |_| {})).rejected(part, "tree-size"),
        case("consistency-from-nothing", consistency_from_nothing)
            .from(EMPTY_CHECKPOINT)
            .rejected(part, "leaf-index"),
        case("consistency-log-unknown", || consistency(6, |_| {}))
            .roots("log-unknown")
            .rejected(Part::Checkpoint, "key-id"),
    ]
}

fn trust_roots() -> Vec<Case> {
    let part = Part::TrustRoot;
    let case = |name, make| Case::new(name, make).form(Form::TrustRoot).at(None);
    let first = move |name, make| case(name, make).roots(FIRST);
    let update = move |name, make| case(name, make).roots("signer-revoked-after-checkpoint");
    vec![
        first("root-first", || signed_trust_root("main")),
        first("root-rotated", || signed_trust_root("rotated")),
        first("root-of-another", || {
            let other = unknown_log_key();
            TrustRoot::new("other".into(), ISSUED_AT, world::verifying(other)).sign(other, None).unwrap()
        })
        .rejected(part, "key-id"),
        first("root-altered", || spliced(signed_trust_root("main"), b"tyto.example", b"tyto.exemple"))
            .rejected(part, "signature"),
        first("root-rotated-without-old-signature", || {
            // Array, header of 42 bytes, empty map, signature of SLH-DSA-SHAKE-128s.
            const SIGNATURE: usize = 1 + (2 + 42) + 1 + (3 + 7856);
            let whole = signed_trust_root("rotated");
            let count = whole.len() - 2 * SIGNATURE - 1;
            [&whole[..count], &[0x81], &whole[count + 1..count + 1 + SIGNATURE]].concat()
        })
        .rejected(part, "field"),
        first("root-format-2", || {
            let payload_begins = [0xa7, 0x01, 0x01, 0x02];
            spliced(signed_trust_root("main"), &payload_begins, &[0xa7, 0x01, 0x02, 0x02])
        })
        .rejected(part, "version"),
        first("root-version-0", || {
            let payload_begins = [0xa7, 0x01, 0x01, 0x02, 0x01];
            spliced(signed_trust_root("main"), &payload_begins, &[0xa7, 0x01, 0x01, 0x02, 0x00])
        })
        .rejected(part, "field"),
        update("root-renamed", || newer_root(|roots| roots.name = "other.example".into()))
            .rejected(part, "root-regression"),
        update("root-issued-earlier", || {
            newer_root(|roots| roots.issued_at_unix_ms = world::roots().issued_at_unix_ms - 1)
        })
        .rejected(part, "root-regression"),
        case("root-last-revocation-withdrawn", || {
            newer_root_of("signer-revoked-at-the-end", |roots| {
                let mut record = roots.get(&sample::signing_key().verifying_key().key_id()).unwrap().clone();
                record.revocation = None;
                roots.insert(record);
            })
        })
        .roots("signer-revoked-at-the-end")
        .rejected(part, "root-regression"),
        update("root-of-another-tenant", || {
            newer_root(|roots| {
                let mut record = roots.get(&decision_key().verifying_key().key_id()).unwrap().clone();
                record.name = "other.example".into();
                roots.insert(record);
            })
        })
        .rejected(part, "root-regression"),
        update("root-newer", || newer_root(|_| {})),
        update("root-rotated-later", || {
            let mut roots = trust_root("signer-revoked-after-checkpoint").next_version(ISSUED_AT);
            roots.rotate(world::verifying(new_root_key()));
            roots.sign(new_root_key(), Some(root_key())).unwrap()
        }),
        update("root-same-version", || newer_root(|roots| roots.version = 1)).rejected(part, "root-version"),
        update("root-revocation-withdrawn", || {
            newer_root(|roots| {
                let mut record = roots.get(&sample::signing_key().verifying_key().key_id()).unwrap().clone();
                record.revocation = None;
                roots.insert(record);
            })
        })
        .rejected(part, "root-regression"),
        update("root-key-lost", || {
            let mut roots = trust_root("log-unknown");
            roots.version = 2;
            roots.sign(root_key(), None).unwrap()
        })
        .rejected(part, "root-regression"),
    ]
}
