//! The golden files of `vectors/attestation`, which pin the format.
//!
//! Signing is randomised, so that the files were written once; `cargo test -p tyto-attest -- --ignored`
//! writes them anew after a deliberate change of the format.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use tyto_attest::{
    AttestationFile, ContentCheck, Statement, TrustedKeys, sign, verify_attestation, verify_file,
};

use crate::broken;
use crate::sample;

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

fn write_hex(name: &str, bytes: &[u8]) {
    let mut text = String::new();
    for b in bytes {
        write!(text, "{b:02x}").unwrap();
    }
    fs::write(directory().join(name), text + "\n").unwrap();
}

/// One line per broken example: name, form, name of the check that rejects it.
fn checks_table() -> String {
    let mut table = String::new();
    for broken in broken::all() {
        writeln!(table, "{}\t{}\t{}", broken.name, broken.form.name(), broken.error.check()).unwrap();
    }
    table
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
    let listed = read_text("rejected/checks.tsv");
    assert_eq!(listed, checks_table());
    for broken in broken::all() {
        let bytes = read_hex(&format!("rejected/{}.hex", broken.name));
        assert_eq!(broken.form.error(&bytes), Some(broken.error), "{}", broken.name);
    }
}

/// Writes the golden files anew, once, if that was asked for: `TYTO_REGENERATE_VECTORS=1`.
fn regenerate_if_asked() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    if std::env::var_os("TYTO_REGENERATE_VECTORS").is_some_and(|value| value == "1") {
        ONCE.call_once(write_golden_files);
    }
}

fn write_golden_files() {
    fs::create_dir_all(directory().join("rejected")).unwrap();
    for (name, statement, file) in
        [("full", sample::statement(), sample::file()), ("sparse", sample::sparse_statement(), sparse_file())]
    {
        write_hex(&format!("{name}.statement.hex"), &statement.encode().unwrap());
        write_hex(&format!("{name}.attestation.hex"), &file.attestation);
        write_hex(&format!("{name}.file.hex"), &file.encode().unwrap());
    }
    fs::write(directory().join("trusted-keys.txt"), sample::trusted_keys().to_text()).unwrap();
    for broken in broken::all() {
        write_hex(&format!("rejected/{}.hex", broken.name), &broken.bytes);
    }
    fs::write(directory().join("rejected/checks.tsv"), checks_table()).unwrap();
}
