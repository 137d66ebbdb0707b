//! One broken attestation or file for each rejection.

use tyto_attest::digest::DigestKind;
use tyto_attest::{
    AttestationFile, CborProblem, Error, FieldProblem, HeaderLabel, Part, verify_attestation, verify_file,
};

use crate::raw;
use crate::sample;

/// Whether the bytes are an attestation or a file around one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Attestation,
    File,
}

impl Form {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Attestation => "attestation",
            Self::File => "file",
        }
    }

    pub(crate) fn error(self, bytes: &[u8]) -> Option<Error> {
        let keys = sample::trusted_keys();
        match self {
            Self::Attestation => verify_attestation(bytes, &keys).err(),
            Self::File => AttestationFile::parse(bytes).and_then(|file| verify_file(&file, &keys)).err(),
        }
    }
}

/// A broken example: name, bytes, and what must be said about it.
pub(crate) struct Broken {
    pub(crate) name: &'static str,
    pub(crate) form: Form,
    pub(crate) bytes: Vec<u8>,
    pub(crate) error: Error,
}

type Entries = Vec<(Vec<u8>, Vec<u8>)>;
type Case = (&'static str, Vec<u8>, Error);

pub(crate) fn all() -> Vec<Broken> {
    let attestations =
        [envelopes(), headers(), signatures(), statements(), claims(), statement_maps()].concat();
    let with_form = |form| move |(name, bytes, error): Case| Broken { name, form, bytes, error };
    attestations
        .into_iter()
        .map(with_form(Form::Attestation))
        .chain(files().into_iter().map(with_form(Form::File)))
        .collect()
}

const INVALID: Error = Error::InvalidSignature { part: Part::Envelope };

fn cbor(part: Part, at_byte: usize, problem: CborProblem) -> Error {
    Error::Cbor { part, at_byte, problem }
}

fn field(part: Part, field: &'static str, problem: FieldProblem) -> Error {
    Error::Field { part, field, problem }
}

fn envelopes() -> Vec<Case> {
    let part = Part::Envelope;
    let good = sample::sign_raw(&raw::map(&sample::protected_entries()), &raw::map(&sample::entries()));
    let end = good.len();
    let protected = raw::bytes(&raw::map(&sample::protected_entries()));
    let payload = raw::bytes(&raw::map(&sample::entries()));
    let signature = good[end - 3312..].to_vec();
    let empty = raw::map(&[]);
    let envelope = |unprotected: &[u8]| sample::envelope(&protected, unprotected, &payload, &signature);
    let unprotected_at = end - signature.len() - payload.len() - 1;
    let three = raw::array(&[protected.clone(), empty.clone(), payload.clone()]);
    vec![
        (
            "too-large",
            raw::bytes(&vec![0; 6142]),
            Error::TooLarge { part, actual_bytes: 6145, max_bytes: 6144 },
        ),
        ("truncated", good[..end - 1].to_vec(), cbor(part, end - 1, CborProblem::Truncated)),
        ("trailing-byte", [&good[..], &[0]].concat(), Error::TrailingBytes { part, at_byte: end }),
        ("not-shortest", [&[0xd8, 18], &good[1..]].concat(), cbor(part, 0, CborProblem::NotShortest)),
        (
            "indefinite-array",
            [&[good[0], 0x9f], &good[2..], &[0xff]].concat(),
            cbor(part, 1, CborProblem::IndefiniteLength),
        ),
        (
            "unsorted-keys",
            envelope(&raw::map(&[(raw::uint(2), empty.clone()), (raw::uint(1), empty.clone())])),
            cbor(part, unprotected_at + 3, CborProblem::UnsortedKeys),
        ),
        (
            "duplicate-key",
            envelope(&raw::map(&[(raw::uint(1), raw::null()), (raw::uint(1), raw::null())])),
            cbor(part, unprotected_at + 3, CborProblem::DuplicateKey),
        ),
        (
            "too-deep",
            envelope(&[&[0x81; 6][..], &[0x80]].concat()),
            cbor(part, unprotected_at + 6, CborProblem::TooDeep { max_depth: 8 }),
        ),
        (
            "floating-point",
            envelope(&[0xf9, 0, 0]),
            cbor(part, unprotected_at, CborProblem::Unsupported { initial_byte: 0xf9 }),
        ),
        ("text-not-utf8", envelope(&[0x61, 0xff]), cbor(part, unprotected_at, CborProblem::InvalidUtf8)),
        ("no-tag", good[1..].to_vec(), field(part, "tag", FieldProblem::WrongType)),
        ("wrong-tag", [&[0xd1], &good[1..]].concat(), field(part, "tag", FieldProblem::UnknownValue)),
        (
            "three-items",
            raw::tag(18, &three),
            field(part, "COSE_Sign1", FieldProblem::WrongLength { expected: 4, actual: 3 }),
        ),
        (
            "unprotected-not-empty",
            envelope(&raw::map(&[(raw::uint(4), raw::bytes(b"kid"))])),
            field(part, "unprotected", FieldProblem::WrongLength { expected: 0, actual: 1 }),
        ),
        (
            "detached-payload",
            sample::envelope(&protected, &empty, &raw::null(), &signature),
            field(part, "payload", FieldProblem::WrongType),
        ),
    ]
}

fn headers() -> Vec<Case> {
    let part = Part::ProtectedHeader;
    let signed = |entries: &Entries| sample::sign_raw(&raw::map(entries), &raw::map(&sample::entries()));
    let good = sample::protected_entries();
    let replaced = |index: usize, value: Vec<u8>| {
        let mut entries = sample::protected_entries();
        entries[index].1 = value;
        signed(&entries)
    };
    let untrusted = sample::untrusted_key().verifying_key().key_id();
    let critical = |label: Vec<u8>| {
        let mut entries = sample::protected_entries();
        entries.insert(1, (raw::uint(2), raw::array(&[label])));
        entries
    };
    vec![
        (
            "header-trailing-byte",
            sample::sign_raw(&[raw::map(&good), vec![0]].concat(), &raw::map(&sample::entries())),
            Error::TrailingBytes { part, at_byte: raw::map(&good).len() },
        ),
        (
            "algorithm-ml-dsa-44",
            replaced(0, raw::negative(-48)),
            Error::UnknownAlgorithm { part, algorithm: -48 },
        ),
        (
            "algorithm-as-text",
            replaced(0, raw::text("ML-DSA-65")),
            field(part, "alg", FieldProblem::WrongType),
        ),
        ("no-algorithm", signed(&good[1..].to_vec()), field(part, "alg", FieldProblem::Missing)),
        (
            "no-type",
            signed(&good[..2].to_vec()),
            field(part, "protected", FieldProblem::WrongLength { expected: 3, actual: 2 }),
        ),
        (
            "extra-header",
            signed(&[&good[..], &[(raw::uint(17), raw::null())]].concat()),
            field(part, "protected", FieldProblem::WrongLength { expected: 3, actual: 4 }),
        ),
        (
            "critical-header",
            signed(&critical(raw::uint(99))),
            Error::UnknownCriticalHeader { part, label: HeaderLabel::Int(99) },
        ),
        (
            "critical-header-text",
            signed(&critical(raw::text("x"))),
            Error::UnknownCriticalHeader { part, label: HeaderLabel::Text },
        ),
        (
            "algorithm-of-another-key",
            replaced(0, raw::negative(-70_026)),
            Error::AlgorithmMismatch {
                part: Part::Envelope,
                key_id: sample::signing_key().verifying_key().key_id(),
                claimed: -70_026,
            },
        ),
        (
            "short-key-id",
            replaced(1, raw::bytes(&[1; 31])),
            field(part, "kid", FieldProblem::WrongLength { expected: 32, actual: 31 }),
        ),
        (
            "other-type",
            replaced(2, raw::text("application/cbor")),
            field(part, "typ", FieldProblem::UnknownValue),
        ),
        (
            "unknown-key-id",
            replaced(1, raw::bytes(&untrusted)),
            Error::UnknownKey { part: Part::Envelope, key_id: untrusted },
        ),
    ]
}

fn signatures() -> Vec<Case> {
    let protected = raw::map(&sample::protected_entries());
    let payload = raw::map(&sample::entries());
    let good = sample::sign_raw(&protected, &payload);
    let signature = &good[good.len() - 3309..];
    let envelope = |payload: &[u8], signature: &[u8]| {
        sample::envelope(
            &raw::bytes(&protected),
            &raw::map(&[]),
            &raw::bytes(payload),
            &raw::bytes(signature),
        )
    };
    let mut altered = sample::entries();
    altered[2].1 = raw::uint(4);
    let other = sample::untrusted_key().sign(&sample::to_sign(&protected, &payload)).unwrap();
    vec![
        ("altered-statement", envelope(&raw::map(&altered), signature), INVALID),
        ("short-signature", envelope(&payload, &signature[..3308]), INVALID),
        ("no-signature", envelope(&payload, &[]), INVALID),
        ("signature-of-another-key", envelope(&payload, &other), INVALID),
        (
            "signature-of-the-bare-payload",
            envelope(&payload, &sample::signing_key().sign(&payload).unwrap()),
            INVALID,
        ),
    ]
}

/// Rightly signed payloads.
fn signed(payload: &[u8]) -> Vec<u8> {
    sample::sign_raw(&raw::map(&sample::protected_entries()), payload)
}

/// The sample statement with the value under one key replaced.
fn replaced(key: usize, value: Vec<u8>) -> Vec<u8> {
    let mut entries = sample::entries();
    entries[key - 1].1 = value;
    signed(&raw::map(&entries))
}

/// The sample statement with the value under one key of the claim replaced.
fn claimed(key: usize, value: Vec<u8>) -> Vec<u8> {
    let mut claim = sample::claim_entries();
    claim[key - 1].1 = value;
    signed(&raw::map(&sample::entries_with(&claim)))
}

/// Rightly signed statements with one wrong value.
fn statements() -> Vec<Case> {
    let at = |name, problem| field(Part::Statement, name, problem);
    let wrong_length = |expected, actual| FieldProblem::WrongLength { expected, actual };
    vec![
        ("statement-version-1", replaced(1, raw::uint(1)), Error::UnknownStatementVersion { version: 1 }),
        (
            "issuer-too-long",
            replaced(2, raw::text(&"i".repeat(257))),
            at("issuer", FieldProblem::TooLong { max_bytes: 256, actual_bytes: 257 }),
        ),
        ("issuer-null", replaced(2, raw::null()), at("issuer", FieldProblem::WrongType)),
        (
            "issued-at-negative",
            replaced(3, raw::negative(-1)),
            at("issued_at_unix_ms", FieldProblem::WrongType),
        ),
        (
            "audience-control-character",
            replaced(4, raw::text("border\u{1b}[31m")),
            at("audience", FieldProblem::ControlCharacter),
        ),
        ("nonce-short", replaced(5, raw::bytes(&[0x4e; 31])), at("nonce", wrong_length(32, 31))),
        ("principal-bytes", replaced(6, raw::bytes(b"kiosk")), at("principal", FieldProblem::WrongType)),
        ("kind-unknown", replaced(7, raw::text("forget")), at("kind", FieldProblem::UnknownValue)),
        ("claim-of-another-kind", replaced(7, raw::text("document")), at("claim", wrong_length(3, 13))),
        ("log-id-short", replaced(10, raw::bytes(&[1; 31])), at("log_id", wrong_length(32, 31))),
        ("log-id-missing", replaced(10, raw::null()), at("previous_checkpoint", FieldProblem::NotNull)),
        (
            "previous-checkpoint-without-root",
            replaced(11, raw::array(&[raw::uint(3)])),
            at("previous_checkpoint", wrong_length(2, 1)),
        ),
    ]
}

/// Rightly signed statements with one wrong value in the claim.
fn claims() -> Vec<Case> {
    let at = |name, problem| field(Part::Statement, name, problem);
    let wrong_length = |expected, actual| FieldProblem::WrongLength { expected, actual };
    vec![
        (
            "parameter-set-too-large",
            claimed(1, raw::uint(65_536)),
            at("parameter_set", FieldProblem::OutOfRange { max: 65_535, actual: 65_536 }),
        ),
        (
            "mask-epoch-too-large",
            claimed(3, raw::uint(1 << 32)),
            at("mask_epoch", FieldProblem::OutOfRange { max: (1 << 32) - 1, actual: 1 << 32 }),
        ),
        (
            "more-blocks-than-there-are",
            claimed(6, raw::uint(6)),
            at("blocks_matched", FieldProblem::OutOfRange { max: 5, actual: 6 }),
        ),
        ("ticket-id-long", claimed(8, raw::bytes(&[1; 17])), at("ticket_id", wrong_length(16, 17))),
        ("result-digest-null", claimed(12, raw::null()), at("result_digest", FieldProblem::WrongType)),
        (
            "reply-bits-too-large",
            claimed(13, raw::uint(256)),
            at("reply_bits", FieldProblem::OutOfRange { max: 255, actual: 256 }),
        ),
    ]
}

/// Rightly signed payloads that are not a map of the entries of this version.
fn statement_maps() -> Vec<Case> {
    let at = |name, problem| field(Part::Statement, name, problem);
    let wrong_length = |expected, actual| FieldProblem::WrongLength { expected, actual };
    let entries = sample::entries();
    let mut longer = entries.clone();
    longer.push((raw::uint(13), raw::null()));
    let mut renamed = entries.clone();
    renamed[11].0 = raw::uint(13);
    let mut swapped = entries.clone();
    swapped.swap(0, 1);
    let swapped_at = 1 + swapped[0].0.len() + swapped[0].1.len();
    vec![
        ("payload-not-a-map", signed(&raw::text("payload")), at("statement", FieldProblem::WrongType)),
        ("payload-empty", signed(&[]), cbor(Part::Statement, 0, CborProblem::Truncated)),
        ("statement-empty-map", signed(&raw::map(&[])), at("version", FieldProblem::Missing)),
        ("statement-without-last", signed(&raw::map(&entries[..11])), at("statement", wrong_length(12, 11))),
        ("statement-with-extra-entry", signed(&raw::map(&longer)), at("statement", wrong_length(12, 13))),
        ("statement-with-other-key", signed(&raw::map(&renamed)), at("claim", FieldProblem::Missing)),
        (
            "statement-unsorted",
            signed(&raw::map(&swapped)),
            cbor(Part::Statement, swapped_at, CborProblem::UnsortedKeys),
        ),
    ]
}

/// Files, in which the attestation itself is right.
fn files() -> Vec<Case> {
    let at = |name, problem| field(Part::File, name, problem);
    let attestation = sample::file().attestation;
    let items = || {
        vec![
            raw::text("tyto-attestation"),
            raw::uint(1),
            raw::bytes(&attestation),
            raw::bytes(&sample::SALT),
            raw::bytes(sample::REQUEST),
            raw::bytes(sample::RESULT),
        ]
    };
    let replaced = |index: usize, item: Vec<u8>| {
        let mut items = items();
        items[index] = item;
        raw::array(&items)
    };
    let whole = raw::array(&items());
    let altered = sample::bit_flips(&attestation).last().unwrap();
    vec![
        ("file-other-magic", replaced(0, raw::text("tyto")), at("magic", FieldProblem::UnknownValue)),
        ("file-version-2", replaced(1, raw::uint(2)), Error::UnknownFileVersion { version: 2 }),
        (
            "file-without-result",
            raw::array(&items()[..5]),
            at("file", FieldProblem::WrongLength { expected: 6, actual: 5 }),
        ),
        (
            "file-trailing-byte",
            [&whole[..], &[0]].concat(),
            Error::TrailingBytes { part: Part::File, at_byte: whole.len() },
        ),
        (
            "file-short-salt",
            replaced(3, raw::bytes(&[1; 31])),
            at("salt", FieldProblem::WrongLength { expected: 32, actual: 31 }),
        ),
        ("file-altered-attestation", replaced(2, raw::bytes(&altered)), INVALID),
        (
            "file-other-salt",
            replaced(3, raw::bytes(&[1; 32])),
            Error::DigestMismatch { kind: DigestKind::Request },
        ),
        (
            "file-other-request",
            replaced(4, raw::bytes(b"another request")),
            Error::DigestMismatch { kind: DigestKind::Request },
        ),
        (
            "file-other-result",
            replaced(5, raw::bytes(&sample::RESULT[1..])),
            Error::DigestMismatch { kind: DigestKind::Result },
        ),
    ]
}

#[test]
fn each_rejection_names_its_check() {
    for broken in all() {
        assert_eq!(broken.form.error(&broken.bytes), Some(broken.error), "{}", broken.name);
    }
}
