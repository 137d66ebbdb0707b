//! The record: one thing that happened.

use std::borrow::Cow;

use tyto_attest::cbor::{Reader, Writer};
use tyto_attest::{FieldProblem, check_text};

use crate::Error;
use crate::map::{self, Entries, EntryWriter, field, line};

/// Version of the record, its first entry.
pub const RECORD_VERSION: u64 = 1;

/// Longest record.
pub const MAX_RECORD_BYTES: usize = 2048;

/// The largest status code of gRPC.
const MAX_CODE: u64 = 16;

const ENTRIES: usize = 5;
const CALL_ENTRIES: usize = 14;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its place in the chain, from 0.
    pub sequence: u64,
    /// When it was written, by the server's clock: milliseconds since 1970-01-01T00:00:00Z. Never before the record
    /// before it.
    pub time_unix_ms: u64,
    /// What happened.
    pub event: Event,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A call came and went, or was denied.
    Call(Call),
    /// A call with a stream of messages began.
    Begin(Call),
    /// It ended.
    End(Call),
    /// The server started.
    Start {
        /// What runs.
        software: String,
        /// Whether calls are answered only once their records are durable.
        fail_closed: bool,
        /// Bytes that lay behind the last whole record and were put aside: what a crash left of one.
        cut_bytes: u64,
    },
    /// The server stopped in good order.
    Stop,
    /// Records could not be written and are lost.
    Dropped {
        /// How many.
        records: u64,
    },
    /// What lies before was deleted because the space or the time for it was over.
    Retention {
        /// The first record that is kept.
        kept_from: u64,
    },
}

/// A call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The tenant of who called, if that is known.
    pub tenant: Option<[u8; 16]>,
    /// Who called, if that is known.
    pub principal: Option<[u8; 16]>,
    /// The name of the credential by which the caller was known.
    pub credential: Option<Cow<'static, str>>,
    /// Where the connection came from: address and port.
    pub peer: Option<String>,
    /// The method: `package.Service/Method`.
    pub method: Cow<'static, str>,
    /// The gallery that it was about.
    pub gallery: Option<[u8; 16]>,
    /// The subject that it was about, by the pseudonym that the tenant's key makes of the name.
    pub subject: Option<[u8; 16]>,
    /// Whether it was allowed.
    pub decision: Decision,
    /// Status code of gRPC; absent where a stream begins.
    pub code: Option<u8>,
    /// The salted digest of the request in the statement that was issued about the call.
    pub request_digest: Option<[u8; 32]>,
    /// The salted digest in that statement of what came of it: the result, or the gallery's state afterwards.
    pub answer_digest: Option<[u8; 32]>,
    /// How long it took, in microseconds; absent where a stream begins.
    pub duration_us: Option<u64>,
    /// What the records of one stream have in common, since the server's start; absent otherwise.
    pub stream: Option<u64>,
}

/// Whether a call was allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It was.
    Allowed,
    /// It was not.
    Denied {
        /// Why: the name of the check that failed.
        reason: Cow<'static, str>,
    },
}

impl Decision {
    /// Its name in a record.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied { .. } => "denied",
        }
    }

    /// Why it was denied, if it was.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Allowed => None,
            Self::Denied { reason } => Some(reason),
        }
    }
}

impl Event {
    /// Its name in a record.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Call(_) => "call",
            Self::Begin(_) => "begin",
            Self::End(_) => "end",
            Self::Start { .. } => "start",
            Self::Stop => "stop",
            Self::Dropped { .. } => "dropped",
            Self::Retention { .. } => "retention",
        }
    }

    /// The call, if it is about one.
    pub fn call(&self) -> Option<&Call> {
        match self {
            Self::Call(call) | Self::Begin(call) | Self::End(call) => Some(call),
            _ => None,
        }
    }

    fn write(&self, w: &mut Writer) {
        match self {
            Self::Call(call) | Self::Begin(call) | Self::End(call) => call.write(w),
            Self::Start { software, fail_closed, cut_bytes } => {
                let mut entries = EntryWriter::open(w, 3);
                entries.next().text(software);
                entries.next().text(if *fail_closed { "fail-closed" } else { "best-effort" });
                entries.next().uint(*cut_bytes);
            }
            Self::Stop => {
                EntryWriter::open(w, 0);
            }
            Self::Dropped { records: number } | Self::Retention { kept_from: number } => {
                EntryWriter::open(w, 1).next().uint(*number);
            }
        }
    }

    fn read(kind: &str, reader: &mut Reader<'_>) -> Result<Self, Error> {
        let one = |reader| Entries::expect(reader, "event", 1);
        Ok(match kind {
            "call" => Self::Call(Call::read(reader)?),
            "begin" => Self::Begin(Call::read(reader)?),
            "end" => Self::End(Call::read(reader)?),
            "start" => {
                let mut entries = Entries::expect(reader, "event", 3)?;
                Self::Start {
                    software: entries.next("software", line)?,
                    fail_closed: entries.next("mode", |r| match r.text()? {
                        "fail-closed" => Ok(true),
                        "best-effort" => Ok(false),
                        _ => Err(FieldProblem::UnknownValue),
                    })?,
                    cut_bytes: entries.next("cut_bytes", Reader::uint)?,
                }
            }
            "stop" => {
                Entries::expect(reader, "event", 0)?;
                Self::Stop
            }
            "dropped" => Self::Dropped { records: one(reader)?.next("records", Reader::uint)? },
            "retention" => Self::Retention { kept_from: one(reader)?.next("kept_from", Reader::uint)? },
            _ => return Err(field("kind")(FieldProblem::UnknownValue)),
        })
    }

    /// The rules that the types do not hold.
    fn check(&self) -> Result<(), Error> {
        // What a record of this kind has: an end, a stream.
        let (ended, streamed, call) = match self {
            Self::Call(call) => (true, false, call),
            Self::Begin(call) => (false, true, call),
            Self::End(call) => (true, true, call),
            Self::Start { software, .. } => return check_text(software).map_err(field("software")),
            Self::Stop | Self::Dropped { .. } | Self::Retention { .. } => return Ok(()),
        };
        let presence = [
            ("code", call.code.is_some(), ended),
            ("duration_us", call.duration_us.is_some(), ended),
            ("stream", call.stream.is_some(), streamed),
        ];
        for (name, is, ought) in presence {
            if is != ought {
                let problem = if ought { FieldProblem::WrongType } else { FieldProblem::NotNull };
                return Err(field(name)(problem));
            }
        }
        call.check()
    }
}

impl Call {
    fn write(&self, w: &mut Writer) {
        let mut entries = EntryWriter::open(w, CALL_ENTRIES);
        entries.bytes_or_null(self.tenant.as_ref().map(<[u8; 16]>::as_slice));
        entries.bytes_or_null(self.principal.as_ref().map(<[u8; 16]>::as_slice));
        entries.text_or_null(self.credential.as_deref());
        entries.text_or_null(self.peer.as_deref());
        entries.next().text(&self.method);
        entries.bytes_or_null(self.gallery.as_ref().map(<[u8; 16]>::as_slice));
        entries.bytes_or_null(self.subject.as_ref().map(<[u8; 16]>::as_slice));
        entries.next().text(self.decision.name());
        entries.text_or_null(self.decision.reason());
        entries.uint_or_null(self.code.map(u64::from));
        entries.bytes_or_null(self.request_digest.as_ref().map(<[u8; 32]>::as_slice));
        entries.bytes_or_null(self.answer_digest.as_ref().map(<[u8; 32]>::as_slice));
        entries.uint_or_null(self.duration_us);
        entries.uint_or_null(self.stream);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let mut entries = Entries::expect(reader, "event", CALL_ENTRIES)?;
        let tenant = entries.optional("tenant", Reader::bytes_exact)?;
        let principal = entries.optional("principal", Reader::bytes_exact)?;
        let credential = entries.optional("credential", line)?.map(Cow::Owned);
        let peer = entries.optional("peer", line)?;
        let method = entries.next("method", line)?.into();
        let gallery = entries.optional("gallery", Reader::bytes_exact)?;
        let subject = entries.optional("subject", Reader::bytes_exact)?;
        let decision = entries.next("decision", Reader::text)?;
        let reason = entries.optional("reason", line)?;
        let decision = match (decision, reason) {
            ("allowed", None) => Decision::Allowed,
            ("denied", Some(reason)) => Decision::Denied { reason: reason.into() },
            ("allowed", Some(_)) => return Err(field("reason")(FieldProblem::NotNull)),
            ("denied", None) => return Err(field("reason")(FieldProblem::WrongType)),
            _ => return Err(field("decision")(FieldProblem::UnknownValue)),
        };
        Ok(Self {
            tenant,
            principal,
            credential,
            peer,
            method,
            gallery,
            subject,
            decision,
            code: entries.optional("code", code)?,
            request_digest: entries.optional("request_digest", Reader::bytes_exact)?,
            answer_digest: entries.optional("answer_digest", Reader::bytes_exact)?,
            duration_us: entries.optional("duration_us", Reader::uint)?,
            stream: entries.optional("stream", Reader::uint)?,
        })
    }

    fn check(&self) -> Result<(), Error> {
        let texts = [
            ("credential", self.credential.as_deref()),
            ("peer", self.peer.as_deref()),
            ("method", Some(&*self.method)),
            ("reason", self.decision.reason()),
        ];
        for (name, text) in texts {
            check_text(text.unwrap_or_default()).map_err(field(name))?;
        }
        match self.code.map(u64::from) {
            Some(actual) if actual > MAX_CODE => {
                Err(field("code")(FieldProblem::OutOfRange { max: MAX_CODE, actual }))
            }
            _ => Ok(()),
        }
    }
}

fn code(reader: &mut Reader<'_>) -> Result<u8, FieldProblem> {
    let actual = reader.uint()?;
    u8::try_from(actual).map_err(|_| FieldProblem::OutOfRange { max: MAX_CODE, actual })
}

impl Record {
    /// One map of deterministic CBOR.
    ///
    /// # Errors
    /// [`Error::Field`] if a text is too long or has control characters, or what the kind of event needs is missing.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        encode(self.sequence, self.time_unix_ms, &self.event)
    }

    /// Reads what [`Record::encode`] wrote, and nothing else.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = map::open(bytes, MAX_RECORD_BYTES)?;
        let (mut map, entries) = Entries::open(&mut reader, "record")?;
        let version = map.next("version", Reader::uint)?;
        if version != RECORD_VERSION {
            return Err(Error::UnknownVersion { version });
        }
        map::length("record", ENTRIES, entries)?;
        let sequence = map.next("sequence", Reader::uint)?;
        let time_unix_ms = map.next("time_unix_ms", Reader::uint)?;
        let kind = map.next("kind", Reader::text)?;
        let event = Event::read(kind, map.nested("event")?)?;
        event.check()?;
        Ok(Self { sequence, time_unix_ms, event })
    }
}

/// The bytes of the record of an event.
pub(crate) fn encode(sequence: u64, time_unix_ms: u64, event: &Event) -> Result<Vec<u8>, Error> {
    event.check()?;
    let mut w = Writer::default();
    let mut entries = EntryWriter::open(&mut w, ENTRIES);
    entries.next().uint(RECORD_VERSION);
    entries.next().uint(sequence);
    entries.next().uint(time_unix_ms);
    entries.next().text(event.kind());
    event.write(entries.next());
    Ok(w.finish())
}
