//! The key, the statements and the contents that the tests and the golden files share.

use tyto_attest::digest::{DigestKind, blocks_root, salted};
use tyto_attest::{
    AttestationFile, AuditAnchor, CONTENT_TYPE, Claim, Document, DocumentDigest, GalleryChange,
    GalleryOperation, KeyChange, KeyOperation, LogState, MatchResult, Operation, PreviousCheckpoint,
    Statement, TrustedKeys,
};
use tyto_pqc::mldsa::SigningKey;

use crate::raw;

pub(crate) const SALT: [u8; 32] = *b"a salt of thirty-two plain bytes";
pub(crate) const ISSUED_AT: u64 = 1_790_000_000_123;
pub(crate) const REQUEST: &[u8] = b"example request";
pub(crate) const RESULT: &[u8] = &[0xc3; 300];
pub(crate) const GALLERY_STATE: &[u8] = b"example gallery state";
pub(crate) const RECORDS: &[u8] = b"example block records";

pub(crate) const BLOCKS: [([u8; 16], u64); 5] =
    [([0xb1; 16], 3), ([0xb2; 16], 1), ([0xb3; 16], 1), ([0xb4; 16], 0xff_ffff_ffff), ([0xb5; 16], 7)];

/// The key with the seed 00 01 02 .. 1f. Everyone knows it: for vectors only.
pub(crate) fn signing_key() -> SigningKey {
    key_with_seed(std::array::from_fn(|i| i as u8))
}

/// A key that no list of the tests trusts.
pub(crate) fn untrusted_key() -> SigningKey {
    key_with_seed([0xee; 32])
}

pub(crate) fn key_with_seed(seed: [u8; 32]) -> SigningKey {
    // PKCS#8 with the seed alternative of RFC 9881 section 6, up to the seed.
    const HEADER: [u8; 22] = [
        0x30, 0x34, 0x02, 0x01, 0x00, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03,
        0x12, 0x04, 0x22, 0x80, 0x20,
    ];
    SigningKey::from_pkcs8(&[&HEADER[..], &seed].concat()).unwrap()
}

pub(crate) fn trusted_keys() -> TrustedKeys {
    [signing_key().verifying_key().clone()].into_iter().collect()
}

pub(crate) const LOG_ID: [u8; 32] = [0x10; 32];

/// A statement in which every field is present, with integers of each encoded length.
pub(crate) fn statement() -> Statement {
    Statement {
        issuer: "tytod.example".into(),
        issued_at_unix_ms: ISSUED_AT,
        audience: "border-control.example".into(),
        nonce: Some([0x4e; 32]),
        principal: Some("kiosk-7 (Zürich)".into()),
        software_version: "tytod 0.1.0".into(),
        build_digest: Some("sha256:0f1e2d3c".into()),
        log: Some(LogState {
            log_id: LOG_ID,
            previous_checkpoint: Some(PreviousCheckpoint { size: 3, root: [0xcc; 32] }),
        }),
        claim: Claim::Match(match_result()),
    }
}

pub(crate) fn match_result() -> MatchResult {
    MatchResult {
        operation: Operation::Identify,
        parameter_set: 1,
        gallery_id: *b"gallery-example!",
        mask_epoch: 70_000,
        manifest_version: 300,
        blocks_root: blocks_root(&BLOCKS),
        blocks_matched: 5,
        blocks_total: 5,
        ticket_id: Some([0x71; 16]),
        request_digest: salted(DigestKind::Request, &SALT, REQUEST),
        gallery_state_digest: salted(DigestKind::GalleryState, &SALT, GALLERY_STATE),
        records_digest: salted(DigestKind::Records, &SALT, RECORDS),
        result_digest: salted(DigestKind::Result, &SALT, RESULT),
        reply_bits: 14,
    }
}

/// A statement with everything absent that may be, and extreme numbers and texts.
pub(crate) fn sparse_statement() -> Statement {
    Statement {
        issuer: String::new(),
        issued_at_unix_ms: u64::MAX,
        audience: "a".repeat(256),
        nonce: None,
        principal: None,
        build_digest: None,
        log: None,
        claim: Claim::Match(MatchResult {
            operation: Operation::Verify,
            parameter_set: u16::MAX,
            mask_epoch: u32::MAX,
            manifest_version: 0,
            blocks_root: blocks_root(&[]),
            blocks_matched: 0,
            blocks_total: u64::MAX,
            ticket_id: None,
            reply_bits: 255,
            ..match_result()
        }),
        ..statement()
    }
}

/// One statement of each other kind of claim.
pub(crate) fn other_statements() -> Vec<(&'static str, Statement)> {
    let claims = [
        (
            "document",
            Claim::Document(Document {
                digest: DocumentDigest::new("sha3-512", &[0xd0; 64]).unwrap(),
                label: Some("contract.pdf".into()),
            }),
        ),
        (
            "enrol",
            Claim::Gallery(GalleryChange {
                operation: GalleryOperation::Enrol,
                gallery_id: *b"gallery-example!",
                manifest_version: 301,
                items: 2,
                request_digest: [0x21; 32],
                gallery_state_digest: [0x22; 32],
            }),
        ),
        (
            "key-change",
            Claim::Key(KeyChange {
                operation: KeyOperation::Activate,
                key_id: [0x23; 32],
                roots_version: Some(2),
            }),
        ),
        (
            "audit-anchor",
            Claim::Audit(AuditAnchor { chain_id: [0x24; 32], records: 70_000, head: [0x25; 32] }),
        ),
    ];
    claims.into_iter().map(|(name, claim)| (name, Statement { claim, ..statement() })).collect()
}

type Entries = Vec<(Vec<u8>, Vec<u8>)>;

/// The entries of the map that encodes [`statement`], written by hand.
pub(crate) fn entries() -> Entries {
    entries_with(&claim_entries())
}

/// The same with another claim.
pub(crate) fn entries_with(claim: &Entries) -> Entries {
    let values = vec![
        raw::uint(2),
        raw::text("tytod.example"),
        raw::uint(ISSUED_AT),
        raw::text("border-control.example"),
        raw::bytes(&[0x4e; 32]),
        raw::text("kiosk-7 (Zürich)"),
        raw::text("identify"),
        raw::text("tytod 0.1.0"),
        raw::text("sha256:0f1e2d3c"),
        raw::bytes(&LOG_ID),
        raw::array(&[raw::uint(3), raw::bytes(&[0xcc; 32])]),
        raw::map(claim),
    ];
    (1..).map(raw::uint).zip(values).collect()
}

/// The entries of the map under the last key of [`entries`].
pub(crate) fn claim_entries() -> Entries {
    let result = match_result();
    let values = vec![
        raw::uint(1),
        raw::bytes(b"gallery-example!"),
        raw::uint(70_000),
        raw::uint(300),
        raw::bytes(&result.blocks_root),
        raw::uint(5),
        raw::uint(5),
        raw::bytes(&[0x71; 16]),
        raw::bytes(&result.request_digest),
        raw::bytes(&result.gallery_state_digest),
        raw::bytes(&result.records_digest),
        raw::bytes(&result.result_digest),
        raw::uint(14),
    ];
    (1..).map(raw::uint).zip(values).collect()
}

/// The entries of the protected header, written by hand.
pub(crate) fn protected_entries() -> Vec<(Vec<u8>, Vec<u8>)> {
    vec![
        (raw::uint(1), raw::negative(-49)),
        (raw::uint(4), raw::bytes(&signing_key().verifying_key().key_id())),
        (raw::uint(16), raw::text(CONTENT_TYPE)),
    ]
}

/// `Sig_structure`, written by hand: the bytes that are signed.
pub(crate) fn to_sign(protected: &[u8], payload: &[u8]) -> Vec<u8> {
    raw::array(&[raw::text("Signature1"), raw::bytes(protected), raw::bytes(&[]), raw::bytes(payload)])
}

/// Signs any bytes as payload under any protected header.
pub(crate) fn sign_raw(protected: &[u8], payload: &[u8]) -> Vec<u8> {
    let signature = signing_key().sign(&to_sign(protected, payload)).unwrap();
    envelope(&raw::bytes(protected), &raw::map(&[]), &raw::bytes(payload), &raw::bytes(&signature))
}

/// `COSE_Sign1` of four encoded items.
pub(crate) fn envelope(protected: &[u8], unprotected: &[u8], payload: &[u8], signature: &[u8]) -> Vec<u8> {
    raw::tag(18, &raw::array(&[protected, unprotected, payload, signature].map(<[u8]>::to_vec)))
}

pub(crate) fn file() -> AttestationFile {
    AttestationFile {
        attestation: tyto_attest::sign(&statement(), &signing_key()).unwrap(),
        salt: SALT,
        request: Some(REQUEST.to_vec()),
        result: Some(RESULT.to_vec()),
    }
}

/// Every copy of `bytes` in which one bit is flipped.
pub(crate) fn bit_flips(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    (0..8 * bytes.len()).map(|bit| {
        let mut flipped = bytes.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        flipped
    })
}
