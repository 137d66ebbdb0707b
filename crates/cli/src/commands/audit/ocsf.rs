//! Records in the names of OCSF (Open Cybersecurity Schema Framework) 1.3. The table is in `docs/formats/audit.md`.

use std::net::SocketAddr;

use serde_json::{Map, Value, json};
use tonic::Code;
use tyto_audit::{Call, Event, Hash, RECORD_VERSION, Record};

use crate::output::hex;

const OCSF_VERSION: &str = "1.3.0";
const APPLICATION_ACTIVITY: u64 = 6;
const APPLICATION_LIFECYCLE: u64 = 6002;
const API_ACTIVITY: u64 = 6003;

/// Makes events of records, in their order.
pub(super) struct Exporter {
    chain_id: String,
    /// The newest start of the server: streams are numbered from there.
    start: u64,
}

impl Exporter {
    pub(super) fn new(chain_id: Hash) -> Self {
        Self { chain_id: hex(&chain_id), start: 0 }
    }

    /// One record as one event.
    pub(super) fn event(&mut self, record: &Record) -> Value {
        if matches!(record.event, Event::Start { .. }) {
            self.start = record.sequence;
        }
        let mut event = match record.event.call() {
            Some(call) => api_activity(call),
            None => lifecycle(&record.event),
        };
        let of_stream = record.event.call().and_then(|call| call.stream);
        let metadata = json!({
            "version": OCSF_VERSION,
            "product": { "name": "Tyto", "vendor_name": "Tyto", "feature": { "name": "audit log" } },
            "profiles": ["security_control"],
            "log_name": "tyto-audit",
            "log_version": RECORD_VERSION.to_string(),
            "sequence": record.sequence,
            "uid": format!("{}/{}", self.chain_id, record.sequence),
            "correlation_uid": of_stream.map(|stream| format!("{}/{}.{stream}", self.chain_id, self.start)),
            "event_code": record.event.kind(),
        });
        let (class, activity) = (number(&event["class_uid"]), number(&event["activity_id"]));
        event["metadata"] = without_nulls(metadata);
        event["category_uid"] = APPLICATION_ACTIVITY.into();
        event["category_name"] = "Application Activity".into();
        event["type_uid"] = (class * 100 + activity).into();
        event["time"] = record.time_unix_ms.into();
        event
    }
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

fn without_nulls(value: Value) -> Value {
    let Value::Object(fields) = value else { return value };
    let fields = fields.into_iter().filter(|(_, value)| !value.is_null());
    fields.map(|(name, value)| (name, without_nulls(value))).collect::<Map<_, _>>().into()
}

fn api_activity(call: &Call) -> Value {
    let (service, operation) = call.method.rsplit_once('/').unwrap_or(("", &call.method));
    let code = call.code.map(|code| Code::from(i32::from(code)));
    let denied = call.decision.reason();
    let (status_id, status) = match code {
        None => (0, "Unknown"),
        Some(Code::Ok) => (1, "Success"),
        Some(_) => (2, "Failure"),
    };
    let (activity_id, activity) = activity(operation);
    let (action_id, action) = if denied.is_some() { (2, "Denied") } else { (1, "Allowed") };
    let (severity_id, severity) = if denied.is_some() { (3, "Medium") } else { (1, "Informational") };
    without_nulls(json!({
        "class_uid": API_ACTIVITY,
        "class_name": "API Activity",
        "activity_id": activity_id,
        "activity_name": activity,
        "action_id": action_id,
        "action": action,
        "severity_id": severity_id,
        "severity": severity,
        "status_id": status_id,
        "status": status,
        "status_code": code.map(|code| format!("{code:?}")),
        "status_detail": denied,
        "duration": call.duration_us.map(|us| us / 1000),
        "actor": { "user": user(call) },
        "src_endpoint": source(call.peer.as_deref()),
        "api": {
            "operation": operation,
            "service": { "name": service },
            "response": call.code.map(|code| json!({ "code": code })),
        },
        "resources": resources(call),
        "unmapped": {
            "request_digest": call.request_digest.map(|digest| hex(&digest)),
            "answer_digest": call.answer_digest.map(|digest| hex(&digest)),
            "duration_us": call.duration_us,
            "stream": call.stream,
        },
    }))
}

/// OCSF wants a name where there is no uid.
fn user(call: &Call) -> Value {
    json!({
        "uid": call.principal.map(|id| hex(&id)),
        "name": call.principal.is_none().then_some("unauthenticated"),
        "credential_uid": call.credential,
        "org": call.tenant.map(|id| json!({ "uid": hex(&id) })),
    })
}

fn source(peer: Option<&str>) -> Value {
    match peer.map(|peer| (peer, peer.parse::<SocketAddr>())) {
        Some((_, Ok(address))) => json!({ "ip": address.ip().to_string(), "port": address.port() }),
        Some((name, Err(_))) => json!({ "name": name }),
        None => json!({ "name": "unknown" }),
    }
}

fn resources(call: &Call) -> Value {
    let ids = [("gallery", call.gallery), ("subject", call.subject)];
    let known = ids.into_iter().filter_map(|(kind, id)| Some(json!({ "type": kind, "uid": hex(&id?) })));
    let known: Vec<_> = known.collect();
    if known.is_empty() { Value::Null } else { known.into() }
}

/// What a method does, by the first word of its name.
fn activity(operation: &str) -> (u64, &'static str) {
    const WORDS: [(&str, (u64, &str)); 26] = [
        ("Create", (1, "Create")),
        ("Issue", (1, "Create")),
        ("Provision", (1, "Create")),
        ("Enrol", (1, "Create")),
        ("Upload", (1, "Create")),
        ("Attest", (1, "Create")),
        ("Open", (1, "Create")),
        ("Get", (2, "Read")),
        ("List", (2, "Read")),
        ("Describe", (2, "Read")),
        ("Fetch", (2, "Read")),
        ("Verify", (2, "Read")),
        ("Identify", (2, "Read")),
        ("Review", (2, "Read")),
        ("Export", (2, "Read")),
        ("Ping", (2, "Read")),
        ("Update", (3, "Update")),
        ("Set", (3, "Update")),
        ("Rotate", (3, "Update")),
        ("Grant", (3, "Update")),
        ("Approve", (3, "Update")),
        ("Delete", (4, "Delete")),
        ("Remove", (4, "Delete")),
        ("Revoke", (4, "Delete")),
        ("Destroy", (4, "Delete")),
        ("Close", (4, "Delete")),
    ];
    let known = WORDS.iter().find(|(word, _)| operation.starts_with(word));
    known.map_or((99, "Other"), |(_, activity)| *activity)
}

/// What the server says of its own log.
fn lifecycle(event: &Event) -> Value {
    let (activity_id, activity, severity_id, severity, unmapped) = match event {
        Event::Start { fail_closed, cut_bytes, .. } => {
            let mode = if *fail_closed { "fail-closed" } else { "best-effort" };
            (3, "Start", 1, "Informational", json!({ "mode": mode, "cut_bytes": cut_bytes }))
        }
        Event::Stop => (4, "Stop", 1, "Informational", json!({})),
        Event::Dropped { records } => (99, "Other", 4, "High", json!({ "dropped_records": records })),
        Event::Retention { kept_from } => {
            (99, "Other", 1, "Informational", json!({ "kept_from": kept_from }))
        }
        _ => (0, "Unknown", 0, "Unknown", json!({})),
    };
    let version = match event {
        Event::Start { software, .. } => Some(software.as_str()),
        _ => None,
    };
    without_nulls(json!({
        "class_uid": APPLICATION_LIFECYCLE,
        "class_name": "Application Lifecycle",
        "activity_id": activity_id,
        "activity_name": activity,
        "severity_id": severity_id,
        "severity": severity,
        "app": { "name": "tytod", "vendor_name": "Tyto", "version": version },
        "unmapped": unmapped,
    }))
}
