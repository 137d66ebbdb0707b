//! What holds for all inputs, or for very many.

use std::sync::OnceLock;

use proptest::prelude::*;
use tyto_attest::{
    AttestationFile, Bundle, Checkpoint, Claim, ConsistencyReceipt, CosignatureStatus, MatchResult, Receipt,
    Statement, TrustRoot, TrustedKeys, verify, verify_attestation, verify_file,
};

use crate::golden::read_bytes;
use crate::sample;
use crate::world::NOW;

#[test]
fn any_flipped_bit_of_an_attestation_is_rejected() {
    let keys = sample::trusted_keys();
    let attestation = sample::file().attestation;
    for (bit, flipped) in sample::bit_flips(&attestation).enumerate() {
        assert!(verify_attestation(&flipped, &keys).is_err(), "bit {bit}");
    }
}

#[test]
fn any_flipped_bit_of_a_file_with_its_contents_is_rejected() {
    let keys = sample::trusted_keys();
    let file = sample::file().encode().unwrap();
    for (bit, flipped) in sample::bit_flips(&file).enumerate() {
        let verified = AttestationFile::parse(&flipped).and_then(|file| verify_file(&file, &keys));
        assert!(verified.is_err(), "bit {bit}");
    }
}

#[test]
fn any_beginning_of_an_attestation_is_rejected() {
    let keys = sample::trusted_keys();
    let attestation = sample::file().attestation;
    for length in 0..attestation.len() {
        assert!(verify_attestation(&attestation[..length], &keys).is_err(), "{length} bytes");
    }
}

/// Bytes that look like CBOR often enough to reach deep into the readers.
fn cbor_like() -> impl Strategy<Value = Vec<u8>> {
    let head = prop_oneof![
        Just(0xd2_u8),
        Just(0x84),
        Just(0x86),
        Just(0xb8),
        Just(0x58),
        Just(0x60),
        Just(0xf6),
        0x00..0x20_u8,
        any::<u8>(),
    ];
    prop::collection::vec(head, 0..200)
}

/// A text that a statement may have.
fn text() -> impl Strategy<Value = String> {
    "\\PC{0,60}".prop_filter("no control characters, at most 256 bytes", |t| {
        t.len() <= 256 && !t.chars().any(char::is_control)
    })
}

fn statements() -> impl Strategy<Value = Statement> {
    let texts = (text(), text(), prop::option::of(text()), text(), prop::option::of(text()));
    let numbers =
        (any::<u64>(), any::<u16>(), any::<u32>(), any::<u64>(), any::<u64>(), any::<u64>(), any::<u8>());
    let ids = (any::<[u8; 32]>(), any::<[u8; 16]>(), prop::option::of(any::<[u8; 16]>()), any::<[u8; 32]>());
    (texts, numbers, ids).prop_map(|(texts, numbers, ids)| Statement {
        issuer: texts.0,
        audience: texts.1,
        principal: texts.2,
        software_version: texts.3,
        build_digest: texts.4,
        issued_at_unix_ms: numbers.0,
        nonce: Some(ids.0),
        claim: Claim::Match(MatchResult {
            parameter_set: numbers.1,
            mask_epoch: numbers.2,
            manifest_version: numbers.3,
            blocks_matched: numbers.4.min(numbers.5),
            blocks_total: numbers.4.max(numbers.5),
            reply_bits: numbers.6,
            gallery_id: ids.1,
            ticket_id: ids.2,
            result_digest: ids.3,
            ..sample::match_result()
        }),
        ..sample::statement()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_panic(bytes in prop_oneof![cbor_like(), prop::collection::vec(any::<u8>(), 0..300)]) {
        prop_assert!(verify_attestation(&bytes, &TrustedKeys::new()).is_err());
        // What is accepted at all is written in one way only.
        if let Ok(file) = AttestationFile::parse(&bytes) {
            prop_assert_eq!(file.encode().unwrap(), bytes.clone());
        }
        if let Ok(bundle) = Bundle::parse(&bytes) {
            prop_assert_eq!(bundle.encode().unwrap(), bytes.clone());
        }
        prop_assert!(Checkpoint::parse(&bytes).is_err());
        prop_assert!(Receipt::parse(&bytes).is_err());
        prop_assert!(ConsistencyReceipt::parse(&bytes).is_err());
        prop_assert!(TrustRoot::open(&bytes, None).is_err());
        if let Ok(statement) = Statement::decode(&bytes) {
            prop_assert_eq!(statement.encode().unwrap(), bytes);
        }
    }

    #[test]
    fn no_altered_statement_panics_or_reads_back_differently(
        at in any::<prop::sample::Index>(),
        removed in 0..4_usize,
        inserted in prop::collection::vec(any::<u8>(), 0..4),
    ) {
        let mut bytes = sample::statement().encode().unwrap();
        let start = at.index(bytes.len());
        let end = bytes.len().min(start + removed);
        bytes.splice(start..end, inserted);
        if let Ok(statement) = Statement::decode(&bytes) {
            prop_assert_eq!(statement.encode().unwrap(), bytes);
        }
    }

    #[test]
    fn no_altered_file_panics_or_reads_back_differently(
        at in 0..80_usize,
        removed in 0..4_usize,
        inserted in prop::collection::vec(any::<u8>(), 0..4),
    ) {
        let small = AttestationFile { attestation: vec![1; 20], ..sample_file() };
        let mut bytes = small.encode().unwrap();
        bytes.splice(at..at + removed, inserted);
        if let Ok(file) = AttestationFile::parse(&bytes) {
            prop_assert_eq!(file.encode().unwrap(), bytes);
        }
    }

    #[test]
    fn no_altered_evidence_is_accepted(
        at in any::<prop::sample::Index>(),
        removed in 0..4_usize,
        inserted in prop::collection::vec(any::<u8>(), 0..4),
        form in 0..4_usize,
    ) {
        static FILES: OnceLock<(TrustRoot, [Vec<u8>; 4])> = OnceLock::new();
        let (roots, files) = FILES.get_or_init(|| {
            let names = ["with-decision", "cosigned", "checkpoint", "decision"];
            let files = names.map(|name| read_bytes(&format!("evidence/{name}.cbor")));
            (TrustRoot::open(&read_bytes("roots/main.cbor"), None).unwrap(), files)
        });
        let mut bytes = files[form].clone();
        let start = at.index(bytes.len());
        let end = bytes.len().min(start + removed);
        bytes.splice(start..end, inserted);
        if bytes != files[form] && let Ok(verified) = verify(&bytes, roots, Some(NOW)).outcome {
            // Whoever passes a file on can make a co-signature one of an unknown key: it no longer counts.
            let log = verified.log.unwrap();
            prop_assert_eq!((form, log.cosignatures.len()), (1, 1));
            prop_assert_eq!(log.cosignatures[0].status, CosignatureStatus::UnknownKey);
        }
    }

    #[test]
    fn every_statement_survives_its_encoding(statement in statements()) {
        let bytes = statement.encode().unwrap();
        prop_assert_eq!(Statement::decode(&bytes), Ok(statement));
    }
}

fn sample_file() -> AttestationFile {
    AttestationFile {
        attestation: Vec::new(),
        salt: sample::SALT,
        request: Some(sample::REQUEST.to_vec()),
        result: Some(sample::RESULT.to_vec()),
    }
}
