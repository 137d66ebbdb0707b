//! The golden files of `vectors/attestation`, which pin the format.
//!
//! Signing is randomised, so that the files were written once; `TYTO_REGENERATE_VECTORS=1` writes them anew
//! after a deliberate change of the format.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use tyto_attest::{
    AttestationFile, ContentCheck, Statement, TrustRoot, TrustedKeys, sign, verify_attestation, verify_file,
};

use crate::evidence::{self, Case, FIRST, Form, Source};
use crate::{broken, sample, world};

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../vectors/attestation")
}

fn read_text(name: &str) -> String {
    regenerate_if_asked();
    fs::read_to_string(directory().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn read_hex(name: &str) -> Vec<u8> {
    let text = read_text(name);
    let digits: Vec<u8> = text.trim_end().chars().map(|c| c.to_digit(16).unwrap() as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

pub(crate) fn read_bytes(name: &str) -> Vec<u8> {
    regenerate_if_asked();
    fs::read(directory().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, b| {
        write!(text, "{b:02x}").unwrap();
        text
    })
}

fn write_hex(name: &str, bytes: &[u8]) {
    fs::write(directory().join(name), hex(bytes) + "\n").unwrap();
}

/// Every case with its verdict, for other implementations.
fn index() -> String {
    let mut cases = Vec::new();
    for (name, form) in ["full", "sparse"].into_iter().flat_map(|n| [(n, "attestation"), (n, "file")]) {
        cases.push(json!({
            "name": format!("{name}-{form}"), "form": form, "file": format!("{name}.{form}.hex"),
            "keys": "trusted-keys.txt", "verdict": "accepted",
        }));
    }
    for broken in broken::all() {
        cases.push(json!({
            "name": broken.name, "form": broken.form.name(), "file": format!("rejected/{}.hex", broken.name),
            "keys": "trusted-keys.txt", "verdict": "rejected",
            "part": broken.error.part().unwrap().to_string(), "check": broken.error.check(),
        }));
    }
    cases.extend(evidence::all().iter().map(case_of_evidence));
    serde_json::to_string_pretty(&json!({ "cases": cases })).unwrap() + "\n"
}

fn case_of_evidence(case: &Case) -> Value {
    let mut shown = json!({ "name": case.name, "file": case.file(), "at_unix_ms": case.at });
    let roots = format!("roots/{}.cbor", case.roots);
    match case.form {
        Form::Evidence => shown["form"] = "evidence".into(),
        Form::Consistency => {
            shown["form"] = "consistency".into();
            shown["old"] = format!("evidence/{}.cbor", case.old).into();
        }
        Form::TrustRoot => shown["form"] = "trust-root".into(),
    }
    if case.roots == FIRST {
        shown["pinned"] = hex(&world::root_key().verifying_key().key_id()).into();
    } else {
        shown["roots"] = roots.into();
    }
    shown["verdict"] = if case.rejected_by.is_some() { "rejected" } else { "accepted" }.into();
    if let Some((part, check)) = case.rejected_by {
        shown["part"] = part.to_string().into();
        shown["check"] = check.into();
    }
    shown
}

fn sparse_file() -> AttestationFile {
    AttestationFile {
        attestation: sign(&sample::sparse_statement(), &sample::signing_key()).unwrap(),
        request: None,
        result: None,
        ..sample::file()
    }
}

#[test]
fn golden_statements_encode_to_the_same_bytes() {
    for (name, statement) in [("full", sample::statement()), ("sparse", sample::sparse_statement())] {
        let bytes = read_hex(&format!("{name}.statement.hex"));
        assert_eq!(Statement::decode(&bytes).as_ref(), Ok(&statement), "{name}");
        assert_eq!(statement.encode().unwrap(), bytes, "{name}");
    }
    for (name, statement) in sample::other_statements() {
        let bytes = read_hex(&format!("{name}.statement.hex"));
        assert_eq!(Statement::decode(&bytes).as_ref(), Ok(&statement), "{name}");
        assert_eq!(statement.encode().unwrap(), bytes, "{name}");
    }
}

#[test]
fn golden_attestations_and_files_verify() {
    let keys = TrustedKeys::parse(&read_text("trusted-keys.txt")).unwrap();
    assert_eq!(keys, sample::trusted_keys());
    assert_eq!(keys.to_text(), read_text("trusted-keys.txt"));
    let cases = [
        ("full", sample::statement(), ContentCheck::Matches),
        ("sparse", sample::sparse_statement(), ContentCheck::Absent),
    ];
    for (name, statement, contents) in cases {
        let attestation = read_hex(&format!("{name}.attestation.hex"));
        assert_eq!(verify_attestation(&attestation, &keys).as_ref(), Ok(&statement), "{name}");

        let bytes = read_hex(&format!("{name}.file.hex"));
        let file = AttestationFile::parse(&bytes).unwrap();
        assert_eq!(file.attestation, attestation, "{name}");
        assert_eq!(file.encode().unwrap(), bytes, "{name}");
        let verified = verify_file(&file, &keys).unwrap();
        assert_eq!((verified.request, verified.result), (contents, contents), "{name}");
    }
}

#[test]
fn golden_rejections_are_rejected_for_their_reason() {
    for broken in broken::all() {
        let bytes = read_hex(&format!("rejected/{}.hex", broken.name));
        assert_eq!(broken.form.error(&bytes), Some(broken.error), "{}", broken.name);
    }
}

#[test]
fn golden_evidence_gets_its_verdict() {
    let cases = evidence::all();
    for case in &cases {
        let rejection = case.rejection(&read_bytes(&case.file()), read_bytes);
        let found = rejection.as_ref().map(|error| (error.part().unwrap(), error.check()));
        assert_eq!(found, case.rejected_by, "{}: {rejection:?}", case.name);
    }
    let checks: BTreeSet<_> =
        cases.iter().filter_map(|case| case.rejected_by).map(|(_, check)| check).collect();
    assert_eq!(checks.len(), 28, "of checks that reject at least one case: {checks:?}");
}

#[test]
fn golden_trust_roots_say_what_they_are_made_of() {
    for name in evidence::ROOTS {
        let opened = TrustRoot::open(&read_bytes(&format!("roots/{name}.cbor")), None);
        assert_eq!(opened, Ok(evidence::trust_root(name)), "{name}");
    }
}

#[test]
fn the_index_lists_every_case_and_every_file() {
    assert_eq!(read_text("index.json"), index());
    let listed = |folder: &str| fs::read_dir(directory().join(folder)).unwrap().count();
    let made = evidence::all().iter().filter(|case| matches!(case.source, Source::Made(_))).count();
    assert_eq!((listed("evidence"), listed("rejected")), (made, broken::all().len()));
    assert_eq!(listed("roots"), evidence::ROOTS.len());
}

/// Writes the golden files anew, once, if that was asked for: `TYTO_REGENERATE_VECTORS=1`.
fn regenerate_if_asked() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    if std::env::var_os("TYTO_REGENERATE_VECTORS").is_some_and(|value| value == "1") {
        ONCE.call_once(write_golden_files);
    }
}

fn write_golden_files() {
    for folder in ["rejected", "evidence", "roots"] {
        let folder = directory().join(folder);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder).unwrap();
    }
    for (name, statement, file) in
        [("full", sample::statement(), sample::file()), ("sparse", sample::sparse_statement(), sparse_file())]
    {
        write_hex(&format!("{name}.statement.hex"), &statement.encode().unwrap());
        write_hex(&format!("{name}.attestation.hex"), &file.attestation);
        write_hex(&format!("{name}.file.hex"), &file.encode().unwrap());
    }
    for (name, statement) in sample::other_statements() {
        write_hex(&format!("{name}.statement.hex"), &statement.encode().unwrap());
    }
    fs::write(directory().join("trusted-keys.txt"), sample::trusted_keys().to_text()).unwrap();
    for broken in broken::all() {
        write_hex(&format!("rejected/{}.hex", broken.name), &broken.bytes);
    }
    for name in evidence::ROOTS {
        fs::write(directory().join(format!("roots/{name}.cbor")), evidence::signed_trust_root(name)).unwrap();
    }
    for case in evidence::all() {
        if let Source::Made(make) = case.source {
            fs::write(directory().join(case.file()), make()).unwrap();
        }
    }
    fs::write(directory().join("index.json"), index()).unwrap();
}
