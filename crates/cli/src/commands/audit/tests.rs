use std::path::{Path, PathBuf};

use clap::Parser as _;
use serde_json::{Value, json};
use tyto_audit::{Call, Decision, Event, Record, Verifier};

use super::ocsf::Exporter;
use super::{Command, run};
use crate::args::{self, Cli};
use crate::{Error, Exit};

/// The golden files of the audit log's format.
fn vector(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/audit")).join(name)
}

/// The segments of a golden case, in a directory of their own.
fn directory(case: &str) -> tempfile::TempDir {
    let index: Value = serde_json::from_slice(&std::fs::read(vector("index.json")).unwrap()).unwrap();
    let case = index["cases"].as_array().unwrap().iter().find(|found| found["name"] == case).unwrap();
    let directory = tempfile::tempdir().unwrap();
    for (at, segment) in case["segments"].as_array().unwrap().iter().enumerate() {
        let to = directory.path().join(format!("{at:020}.audit"));
        std::fs::copy(vector(segment.as_str().unwrap()), to).unwrap();
    }
    directory
}

fn command(line: &str, directory: &Path) -> Command {
    let words = ["tyto", "audit"].into_iter().chain(line.split(' '));
    let words = words.map(|word| if word == "DIR" { directory.to_str().unwrap() } else { word });
    let Ok(Cli { command: args::Command::Audit(command), .. }) = Cli::try_parse_from(words) else {
        panic!("{line}");
    };
    command
}

#[test]
fn golden_chains_are_judged_as_they_are_listed() {
    let index: Value = serde_json::from_slice(&std::fs::read(vector("index.json")).unwrap()).unwrap();
    for case in index["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let directory = directory(name);
        let outcome = run(&command("verify DIR --json", directory.path()));
        // Without anchors, what only they show is not found.
        let by_anchor = matches!(case["check"].as_str(), Some("anchor" | "cut-off" | "chain"));
        match outcome {
            Ok(exit) => assert!(case["verdict"] == "accepted" || by_anchor, "{name}: {exit:?}"),
            Err(error) => {
                assert_eq!(Exit::of(&error), Exit::Refused, "{name}");
                assert_eq!(case["verdict"], "rejected", "{name}: {}", error.describe());
            }
        }
    }
}

#[test]
fn an_export_ends_before_the_first_bad_record_and_says_so() {
    let directory = directory("altered");
    let out = directory.path().join("out.jsonl");
    let line = format!("export DIR --out {}", out.display());
    let error = run(&command(&line, directory.path())).unwrap_err();
    assert!(matches!(&error, Error::InFile { source, .. } if matches!(**source, Error::AuditRejected(_))));
    let lines = std::fs::read_to_string(&out).unwrap();
    let events: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let numbers: Vec<_> =
        events.iter().map(|event| event["metadata"]["sequence"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [0, 1, 2, 3]);
    let absent = command("export absent", directory.path());
    assert_eq!(Exit::of(&run(&absent).unwrap_err()), Exit::BadInput);
}

#[test]
fn calls_have_the_names_of_ocsf() {
    let mut exporter = Exporter::new([0xab; 32]);
    let mut events = Vec::new();
    let mut verifier = Verifier::new(&[]);
    for name in ["whole-0.audit", "whole-1.audit", "whole-2.audit"] {
        let bytes = std::fs::read(vector(name)).unwrap();
        verifier.segment(&bytes, |record| events.push(exporter.event(record))).unwrap();
    }
    let call = &events[1];
    assert_eq!(call["time"], 1_785_000_001_000_u64);
    for (field, expected) in [
        ("/class_uid", json!(6003)),
        ("/category_uid", json!(6)),
        ("/activity_id", json!(2)),
        ("/type_uid", json!(600_302)),
        ("/status_id", json!(1)),
        ("/action_id", json!(1)),
        ("/duration", json!(70)),
        ("/actor/user/uid", json!("22".repeat(16))),
        ("/actor/user/org/uid", json!("11".repeat(16))),
        ("/actor/user/credential_uid", json!("kiosk-7 (Zürich)")),
        ("/src_endpoint/ip", json!("2001:db8::7")),
        ("/src_endpoint/port", json!(50123)),
        ("/api/service/name", json!("tyto.matching.v1.MatchingService")),
        ("/api/operation", json!("Verify")),
        ("/api/response/code", json!(0)),
        ("/metadata/product/name", json!("Tyto")),
        ("/metadata/sequence", json!(1)),
        ("/unmapped/request_digest", json!("44".repeat(32))),
    ] {
        assert_eq!(call.pointer(field), Some(&expected), "{field} in {call}");
    }
    let denied = &events[4];
    assert_eq!((&denied["action"], &denied["status_detail"]), (&json!("Denied"), &json!("role")));
    assert_eq!((&denied["status"], &denied["status_code"]), (&json!("Failure"), &json!("PermissionDenied")));
    // A stream's two records have one name.
    let (begin, end) = (&events[3]["metadata"], &events[5]["metadata"]);
    assert_eq!(begin["correlation_uid"], end["correlation_uid"]);
    assert_eq!((&begin["event_code"], &end["event_code"]), (&json!("begin"), &json!("end")));
    assert_eq!(events[3]["status"], "Unknown");
    assert_eq!((&events[0]["class_uid"], &events[0]["activity_name"]), (&json!(6002), &json!("Start")));
    assert_eq!(events[6]["unmapped"]["dropped_records"], 70_000);
}

#[test]
fn a_caller_that_nobody_knows_has_a_name_in_the_export() {
    let call = Call {
        tenant: None,
        principal: None,
        credential: None,
        peer: None,
        method: "Nonsense".into(),
        gallery: None,
        subject: None,
        decision: Decision::Denied { reason: "no-credential".into() },
        code: Some(16),
        request_digest: None,
        answer_digest: None,
        duration_us: Some(10),
        stream: None,
    };
    let record = Record { sequence: 7, time_unix_ms: 9, event: Event::Call(call) };
    let event = Exporter::new([0; 32]).event(&record);
    assert_eq!(event["actor"], json!({ "user": { "name": "unauthenticated" } }));
    assert_eq!(event["src_endpoint"], json!({ "name": "unknown" }));
    assert_eq!((&event["activity_id"], &event["type_uid"]), (&json!(99), &json!(600_399)));
    assert_eq!(event.get("resources"), None);
}
