//! A chain with records of every kind, and what takes segments apart and puts them together by hand.

use std::borrow::Cow;

use tyto_audit::{AuditAnchor, Call, Chain, Decision, Event, Hash};
use tyto_pqc::digest::sha3_256;

pub(crate) const CHAIN_ID: Hash = *b"an audit chain's 32 random bytes";
/// Time of the first record; each is a second after the one before.
pub(crate) const BEGUN: u64 = 1_785_000_000_000;

/// A call with every field present.
pub(crate) fn full_call() -> Call {
    Call {
        tenant: Some([0x11; 16]),
        principal: Some([0x22; 16]),
        credential: Some("kiosk-7 (Zürich)".into()),
        peer: Some("[2001:db8::7]:50123".into()),
        method: "tyto.matching.v1.MatchingService/Verify".into(),
        gallery: Some(*b"gallery-example!"),
        subject: Some([0x33; 16]),
        decision: Decision::Allowed,
        code: Some(0),
        request_digest: Some([0x44; 32]),
        answer_digest: Some([0x55; 32]),
        duration_us: Some(70_000),
        stream: None,
    }
}

/// A call with everything absent that may be.
pub(crate) fn sparse_call() -> Call {
    Call {
        tenant: None,
        principal: None,
        credential: None,
        peer: None,
        gallery: None,
        subject: None,
        request_digest: None,
        answer_digest: None,
        duration_us: Some(0),
        ..full_call()
    }
}

fn denied() -> Call {
    let decision = Decision::Denied { reason: Cow::Borrowed("role") };
    Call { decision, code: Some(7), request_digest: None, answer_digest: None, ..full_call() }
}

fn identify(code: Option<u8>) -> Call {
    let method = "tyto.matching.v1.MatchingService/Identify".into();
    Call { method, code, duration_us: code.map(|_| 1_234), stream: Some(300), subject: None, ..full_call() }
}

/// Events of every kind.
pub(crate) fn events() -> Vec<Event> {
    vec![
        Event::Start { software: "tytod 0.1.0".into(), fail_closed: true, cut_bytes: 0 },
        Event::Call(full_call()),
        Event::Call(sparse_call()),
        Event::Begin(identify(None)),
        Event::Call(denied()),
        Event::End(identify(Some(14))),
        Event::Dropped { records: 70_000 },
        Event::Stop,
        Event::Start { software: "tytod 0.1.0".into(), fail_closed: false, cut_bytes: 17 },
        Event::Retention { kept_from: 3 },
        Event::Call(full_call()),
        Event::Stop,
    ]
}

/// Records of each segment of the sample.
const SEGMENTS: [usize; 3] = [3, 4, 5];

/// Segments, and the anchors that there are after each record.
pub(crate) struct Sample {
    pub(crate) segments: Vec<Vec<u8>>,
    /// One for each number of records, from none.
    pub(crate) anchors: Vec<AuditAnchor>,
}

/// The sample chain.
pub(crate) fn sample() -> Sample {
    sample_of(CHAIN_ID)
}

/// The same under another id.
pub(crate) fn sample_of(id: Hash) -> Sample {
    let mut chain = Chain::new(id);
    let (mut segments, mut anchors) = (Vec::new(), vec![chain.anchor()]);
    let mut events = events().into_iter();
    for records in SEGMENTS {
        let mut bytes = chain.segment().encode();
        for event in events.by_ref().take(records) {
            let now = BEGUN + 1000 * chain.records();
            chain.append(now, &event, &mut bytes).unwrap();
            anchors.push(chain.anchor());
        }
        segments.push(bytes);
    }
    Sample { segments, anchors }
}

/// A segment in pieces.
#[derive(Clone)]
pub(crate) struct Pieces {
    /// With its length before it.
    pub(crate) head: Vec<u8>,
    /// Records, each with its hash.
    pub(crate) frames: Vec<(Vec<u8>, Hash)>,
}

impl Pieces {
    pub(crate) fn of(segment: &[u8]) -> Self {
        let length = |at: usize| usize::from(u16::from_be_bytes([segment[at], segment[at + 1]]));
        let mut at = 2 + length(0);
        let head = segment[..at].to_vec();
        let mut frames = Vec::new();
        while at < segment.len() {
            let end = at + 2 + length(at);
            frames.push((segment[at + 2..end].to_vec(), segment[end..end + 32].try_into().unwrap()));
            at = end + 32;
        }
        Self { head, frames }
    }

    pub(crate) fn join(&self) -> Vec<u8> {
        let mut bytes = self.head.clone();
        for (record, hash) in &self.frames {
            bytes.extend_from_slice(&(record.len() as u16).to_be_bytes());
            bytes.extend_from_slice(record);
            bytes.extend_from_slice(hash);
        }
        bytes
    }

    /// Writes all hashes anew, as someone does who has the files.
    pub(crate) fn hash_anew(&mut self, chain_id: &Hash, before: &Hash) {
        let mut before = *before;
        for (record, hash) in &mut self.frames {
            *hash = sha3_256(&[b"\x14tyto/v1/audit-record", chain_id, &before, record]);
            before = *hash;
        }
    }
}
