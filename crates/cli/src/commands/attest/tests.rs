use std::path::{Path, PathBuf};

use serde_json::Value;
use tyto_client::attest::{TrustRoot, TrustedKeys};

use super::{evidence, file};
use crate::connection::read_trusted_keys;
use crate::shown::Fields;
use crate::{Error, Exit, trust};

/// The golden files of the attestation format.
fn vector(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/attestation")).join(name)
}

/// The bytes of a golden file.
fn bytes(name: &str) -> Vec<u8> {
    if Path::new(name).extension().is_none_or(|extension| extension != "hex") {
        return std::fs::read(vector(name)).unwrap();
    }
    let text = std::fs::read_to_string(vector(name)).unwrap();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    text.trim().as_bytes().chunks(2).map(byte).collect()
}

fn keys() -> TrustedKeys {
    read_trusted_keys(&vector("trusted-keys.txt")).unwrap()
}

fn roots(name: &str) -> TrustRoot {
    trust::open(&vector(name), None).unwrap()
}

fn json(fields: &Fields) -> Value {
    serde_json::to_value(fields).unwrap()
}

fn names(value: &Value) -> Vec<&String> {
    value.as_object().unwrap().keys().collect()
}

#[test]
fn golden_files_verify_and_can_be_inspected() {
    for name in ["full.file.hex", "sparse.file.hex"] {
        let bytes = bytes(name);
        let verified = json(&file::verify(&bytes, &keys(), None).unwrap());
        let inspected = json(&file::inspect(&bytes).unwrap());
        assert_eq!((&verified["verified"], &inspected["verified"]), (&true.into(), &false.into()));
        assert_eq!(verified["statement"], inspected["statement"], "{name}");
        assert_eq!(verified["signing_key"], inspected["signing_key"]);
    }
}

#[test]
fn other_audiences_and_altered_files_are_refused() {
    let full = bytes("full.file.hex");
    let found = json(&file::verify(&full, &keys(), None).unwrap())["statement"]["audience"].clone();
    assert!(file::verify(&full, &keys(), found.as_str()).is_ok());
    let other = file::verify(&full, &keys(), Some("somebody else")).unwrap_err();
    assert_eq!(Exit::of(&Error::in_file("f")(other)), Exit::Refused);
    for name in ["file-other-request", "file-altered-attestation", "file-trailing-byte"] {
        let error = file::verify(&bytes(&format!("rejected/{name}.hex")), &keys(), None).unwrap_err();
        assert_eq!(Exit::of(&error), Exit::Refused, "{name}: {error:?}");
        assert!(error.describe().starts_with("check `"), "{}", error.describe());
    }
}

#[test]
fn json_has_the_documented_fields() {
    let inspected = json(&file::inspect(&bytes("full.file.hex")).unwrap());
    assert_eq!(
        names(&inspected),
        ["attestation_bytes", "evidence", "request", "result", "signing_key", "statement", "verified"]
    );
    assert_eq!(inspected["request"], "unchecked");
    assert_eq!(inspected["statement"]["operation"], "identify");
    assert_eq!(names(&inspected["statement"]).len(), 24);
}

/// Every case of the golden index, by the name of the check and the part that fails.
#[test]
fn golden_evidence_gets_its_verdict() {
    let index: Value = serde_json::from_slice(&bytes("index.json")).unwrap();
    let cases = index["cases"].as_array().unwrap();
    let cases: Vec<_> = cases.iter().filter(|case| case["form"] == "evidence").collect();
    assert!(cases.len() > 80, "{} cases", cases.len());
    for case in cases {
        let bytes = bytes(case["file"].as_str().unwrap());
        let roots = roots(case["roots"].as_str().unwrap());
        let judged = evidence::judge(&bytes, &roots, case["at_unix_ms"].as_u64(), None);
        let shown = json(&judged.fields);
        let accepted = case["verdict"] == "accepted";
        assert_eq!(shown["verified"], accepted, "{}", case["name"]);
        assert_eq!(shown["rejection"].is_null(), accepted);
        assert_eq!(shown["rejection"]["check"], case["check"], "{}", case["name"]);
        assert_eq!(shown["rejection"]["part"], case["part"], "{}", case["name"]);
        match judged.rejection {
            None => assert!(!shown["checks"].as_array().unwrap().is_empty()),
            Some(error) => {
                assert_eq!(Exit::of(&error), Exit::Refused);
                let check = case["check"].as_str().unwrap();
                assert!(error.describe().starts_with(&format!("check `{check}` failed: ")));
            }
        }
    }
}

#[test]
fn a_bundle_proves_what_its_parts_say() {
    let (bytes, roots) = (bytes("evidence/with-decision.cbor"), roots("roots/main.cbor"));
    let judged = json(&evidence::judge(&bytes, &roots, Some(1_790_001_000_123), None).fields);
    assert_eq!((&judged["evidence"], &judged["existence"]["known_by"]), (&"bundle".into(), &"log".into()));
    assert_eq!(judged["decision"]["outcome"], "match");
    let inspected = json(&evidence::inspect(&bytes).unwrap());
    assert_eq!(inspected["verified"], false);
    assert_eq!(inspected["statement"], judged["statement"]);
    let decision = &inspected["decision"];
    assert_eq!(decision["signing_key"], judged["decision"]["signing_key"]);
    assert_eq!(decision["decision"]["tenant"], judged["decision"]["tenant"]);
    assert_eq!(inspected["receipt"]["receipt"]["checkpoint"]["root"], judged["log"]["root"]);
    assert_eq!(inspected["keys"].as_array().unwrap().len(), 3);

    let audience = judged["statement"]["audience"].as_str().unwrap();
    let decided_for = judged["decision"]["audience"].as_str().unwrap();
    let judge = |audience| evidence::judge(&bytes, &roots, None, Some(audience));
    assert_eq!(judge(audience).rejection.is_none(), audience == decided_for);
    let other = judge("somebody else");
    assert_eq!(json(&other.fields)["rejection"]["check"], "audience");
    assert_eq!(Exit::of(&other.rejection.unwrap()), Exit::Refused);
}

#[test]
fn a_decision_that_fails_never_counts_as_verified() {
    let bytes = bytes("evidence/with-decision.cbor");
    let expired = roots("roots/decision-expired.cbor");
    let judged = json(&evidence::judge(&bytes, &expired, Some(1_790_001_000_123), None).fields);
    assert_eq!((&judged["verified"], &judged["rejection"]["part"]), (&false.into(), &"decision".into()));
    assert_eq!(judged["rejection"]["check"], "expired");
    assert!(judged["decision"].is_null() && judged["statement"].is_null());
    let rest = &judged["without_decision"];
    assert_eq!(names(rest), ["existence", "log", "signing_key", "statement"]);
    assert_eq!(rest["statement"]["kind"], "identify");

    let valid =
        json(&evidence::judge(&bytes, &roots("roots/main.cbor"), Some(1_790_001_000_123), None).fields);
    assert_eq!((&valid["verified"], valid["without_decision"].is_null()), (&true.into(), true));
}

#[test]
fn an_attestation_file_is_judged_by_a_trust_root_too() {
    let roots = roots("roots/main.cbor");
    let judge = |name: &str| evidence::judge(&bytes(name), &roots, Some(1_790_001_000_123), None);
    let whole = json(&judge("full.file.hex").fields);
    assert_eq!((&whole["verified"], &whole["evidence"]), (&true.into(), &"attestation-file".into()));
    let altered = json(&judge("rejected/file-other-request.hex").fields);
    assert_eq!(altered["rejection"]["check"], "digest");
}

#[test]
fn every_form_of_evidence_can_be_inspected() {
    let cases = [
        ("evidence/default.cbor", "bundle", "identify"),
        ("evidence/receipt-only.cbor", "bundle", "identify"),
        ("evidence/attestation.cbor", "attestation", "identify"),
        ("full.statement.hex", "statement", "identify"),
        ("document.statement.hex", "statement", "document"),
        ("enrol.statement.hex", "statement", "enrol"),
        ("key-change.statement.hex", "statement", "key-change"),
        ("audit-anchor.statement.hex", "statement", "audit-anchor"),
    ];
    for (name, kind, claim) in cases {
        let shown = json(&evidence::inspect(&bytes(name)).unwrap());
        assert_eq!(
            (&shown["evidence"], &shown["statement"]["kind"]),
            (&kind.into(), &claim.into()),
            "{name}"
        );
    }
    let checkpoint = json(&evidence::inspect(&bytes("evidence/checkpoint.cbor")).unwrap());
    assert!(checkpoint["checkpoint"]["size"].is_u64());
    let consistency = json(&evidence::inspect(&bytes("evidence/consistency.cbor")).unwrap());
    assert_eq!(consistency["evidence"], "consistency-receipt");
    assert!(consistency["receipt"]["old_size"].is_u64());
    let error = evidence::inspect(&bytes("evidence/truncated.cbor")).unwrap_err();
    assert_eq!(error.check(), "cbor");
}
