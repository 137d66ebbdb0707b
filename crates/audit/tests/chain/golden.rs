//! The golden files of `vectors/audit`, which pin the format. They are made again byte for byte;
//! `TYTO_REGENERATE_VECTORS=1` writes them after a deliberate change of the format.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use tyto_audit::{AuditAnchor, Call, Event, Record, Verifier};

use crate::cases::{self, Case};
use crate::sample::sample;

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../vectors/audit")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn anchor(anchor: &AuditAnchor) -> Value {
    let AuditAnchor { chain_id, records, head } = anchor;
    json!({ "chain_id": hex(chain_id), "records": records, "head": hex(head) })
}

fn call(call: &Call) -> Value {
    json!({
        "tenant": call.tenant.map(|id| hex(&id)), "principal": call.principal.map(|id| hex(&id)),
        "credential": call.credential, "peer": call.peer, "method": call.method,
        "gallery": call.gallery.map(|id| hex(&id)), "subject": call.subject.map(|id| hex(&id)),
        "decision": call.decision.name(), "reason": call.decision.reason(), "code": call.code,
        "request_digest": call.request_digest.map(|digest| hex(&digest)),
        "answer_digest": call.answer_digest.map(|digest| hex(&digest)),
        "duration_us": call.duration_us, "stream": call.stream,
    })
}

fn record(record: &Record) -> Value {
    let event = match &record.event {
        Event::Start { software, fail_closed, cut_bytes } => {
            let mode = if *fail_closed { "fail-closed" } else { "best-effort" };
            json!({ "software": software, "mode": mode, "cut_bytes": cut_bytes })
        }
        Event::Dropped { records } => json!({ "records": records }),
        Event::Retention { kept_from } => json!({ "kept_from": kept_from }),
        event => event.call().map_or_else(|| json!({}), call),
    };
    json!({
        "sequence": record.sequence, "time_unix_ms": record.time_unix_ms, "kind": record.event.kind(),
        "event": event,
    })
}

/// All files by name: segments, each once, and the two lists.
fn files() -> BTreeMap<String, Vec<u8>> {
    let (mut files, mut listed) = (BTreeMap::new(), Vec::new());
    for Case { name, segments, anchors, rejected } in cases::all() {
        let mut names = Vec::new();
        for (at, bytes) in segments.iter().enumerate() {
            let known =
                files.iter().find(|(_, known)| *known == bytes).map(|(name, _): (&String, _)| name.clone());
            let file = known.unwrap_or_else(|| format!("{name}-{at}.audit"));
            files.insert(file.clone(), bytes.clone());
            names.push(file);
        }
        let anchors: Vec<_> = anchors.iter().map(anchor).collect();
        let mut case = json!({ "name": name, "segments": names, "anchors": anchors });
        case["verdict"] = if rejected.is_some() { "rejected" } else { "accepted" }.into();
        if let Some((record, check)) = rejected {
            (case["record"], case["check"]) = (record.into(), check.into());
        }
        listed.push(case);
    }
    let mut records = Vec::new();
    let mut verifier = Verifier::new(&[]);
    for segment in sample().segments {
        verifier.segment(&segment, |found| records.push(record(found))).unwrap();
    }
    let text = |value: &Value| (serde_json::to_string_pretty(value).unwrap() + "\n").into_bytes();
    files.insert("index.json".into(), text(&json!({ "cases": listed })));
    files.insert("records.json".into(), text(&json!({ "segments_of": "whole", "records": records })));
    files
}

#[test]
fn golden_files_are_made_again() {
    if std::env::var_os("TYTO_REGENERATE_VECTORS").is_some() {
        for (name, bytes) in files() {
            fs::write(directory().join(name), bytes).unwrap();
        }
    }
    let mut there: Vec<String> = fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "README.md" && name != "check.py")
        .collect();
    there.sort_unstable();
    let files = files();
    assert_eq!(there, files.keys().cloned().collect::<Vec<_>>());
    for (name, bytes) in files {
        assert_eq!(fs::read(directory().join(&name)).unwrap(), bytes, "{name}");
    }
}
