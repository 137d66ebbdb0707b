//! The record layer: one AES-256-GCM record per message, numbered within its RPC and direction, with an explicit end.

use core::ops::Range;

use tyto_pqc::gcm;
use zeroize::Zeroizing;

use crate::error::{Error, Part};
use crate::limits::{MAX_KEY_BLOCKS, MAX_METHOD_BYTES, MAX_RECORD_BYTES, RPC_GRACE_MS};
use crate::name::{RpcId, SessionId};
use crate::redacted;
use crate::schedule::{AnswerSecret, NODE_RANDOM_BYTES};
use crate::suite::Suite;
use crate::wire::{Reader, VERSION};

/// Length of the tag at the end of a record.
pub const TAG_BYTES: usize = gcm::TAG_BYTES;

/// Most bytes before the ciphertext of a record.
pub const MAX_HEAD_BYTES: usize = FirstRequest::HEAD_BYTES;

/// Most bytes by which a record is longer than its plaintext.
pub const MAX_RECORD_OVERHEAD: usize = MAX_HEAD_BYTES + TAG_BYTES;

/// Version and kind, which every record begins with.
const HEAD_BYTES: usize = 2;

const DATA: u8 = 0x10;
const END: u8 = 0x11;
const HEAD: u8 = 0x12;

/// What a record carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What comes before the messages: metadata.
    Head,
    /// A message of the stream.
    Data,
    /// The end of the stream, with whatever the service says about it: a status. Nothing may follow.
    End,
}

impl Kind {
    const fn id(self) -> u8 {
        match self {
            Self::Head => HEAD,
            Self::Data => DATA,
            Self::End => END,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    ClientToServer,
    ServerToClient,
}

/// What all records of one RPC have in common.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) suite: Suite,
    pub(crate) session: SessionId,
    pub(crate) rpc: RpcId,
    pub(crate) method: Box<str>,
    /// When the session expires.
    pub(crate) expires_at_ms: u64,
}

impl Context {
    pub(crate) fn check_method(method: &str) -> Result<(), Error> {
        if method.is_empty() || method.len() > MAX_METHOD_BYTES {
            return Err(Error::Method { actual_bytes: method.len() });
        }
        Ok(())
    }
}

const KIND_AT: usize = 4;
const COUNTER_AT: usize = 5 + SessionId::BYTES + RpcId::BYTES;

/// One direction of one RPC: the key, and where the count stands.
pub(crate) struct Lane {
    key: gcm::Key,
    /// Associated data; kind and counter are put in place for each record.
    aad: Vec<u8>,
    counter: u64,
    blocks: u64,
    last_ms: u64,
}

impl Lane {
    pub(crate) fn new(key: gcm::Key, rpc: &Context, direction: Direction) -> Self {
        let mut aad = vec![VERSION];
        aad.extend_from_slice(&rpc.suite.id().to_le_bytes());
        aad.push(match direction {
            Direction::ClientToServer => 0,
            Direction::ServerToClient => 1,
        });
        aad.push(0);
        aad.extend_from_slice(rpc.session.as_bytes());
        aad.extend_from_slice(rpc.rpc.as_bytes());
        aad.extend_from_slice(&0_u64.to_le_bytes());
        aad.extend_from_slice(rpc.method.as_bytes());
        let last_ms = rpc.expires_at_ms.saturating_add(RPC_GRACE_MS);
        Self { key, aad, counter: 0, blocks: 0, last_ms }
    }

    /// Takes the next number: the nonce, or an error if key or session have done their service.
    fn advance(
        &mut self,
        kind: Kind,
        plaintext_bytes: usize,
        now_ms: u64,
    ) -> Result<[u8; gcm::NONCE_BYTES], Error> {
        if now_ms >= self.last_ms {
            return Err(Error::SessionExpired);
        }
        check_length(plaintext_bytes)?;
        // The blocks of both, one for the lengths and one for the mask of the tag (SP 800-38D section 7.1).
        let blocks = (self.aad.len().div_ceil(16) + plaintext_bytes.div_ceil(16) + 2) as u64;
        if blocks > MAX_KEY_BLOCKS - self.blocks {
            return Err(Error::KeyExhausted);
        }
        self.aad[KIND_AT] = kind.id();
        self.aad[COUNTER_AT..COUNTER_AT + 8].copy_from_slice(&self.counter.to_le_bytes());
        let mut nonce = [0; gcm::NONCE_BYTES];
        nonce[gcm::NONCE_BYTES - 8..].copy_from_slice(&self.counter.to_be_bytes());
        self.blocks += blocks;
        self.counter = self.counter.checked_add(1).ok_or(Error::KeyExhausted)?;
        Ok(nonce)
    }

    fn seal(&mut self, kind: Kind, plaintext: &mut [u8], now_ms: u64) -> Result<[u8; TAG_BYTES], Error> {
        let nonce = self.advance(kind, plaintext.len(), now_ms)?;
        Ok(self.key.seal_in_place(nonce, &self.aad, plaintext)?)
    }

    /// Opens what follows `head` in a record: where the plaintext stands then.
    pub(crate) fn open(
        &mut self,
        kind: Kind,
        head: usize,
        record: &mut [u8],
        now_ms: u64,
    ) -> Result<Range<usize>, Error> {
        let sealed = &mut record[head..];
        let nonce = self.advance(kind, sealed.len().saturating_sub(TAG_BYTES), now_ms)?;
        let opened = self.key.open_in_place(nonce, &self.aad, sealed);
        let length = opened.map_err(|_| Error::RecordRefused)?;
        Ok(head..head + length)
    }

    #[cfg(test)]
    pub(crate) fn set_used(&mut self, counter: u64, blocks: u64) {
        (self.counter, self.blocks) = (counter, blocks);
    }
}

fn check_length(plaintext_bytes: usize) -> Result<(), Error> {
    if plaintext_bytes > MAX_RECORD_BYTES {
        return Err(Error::RecordTooLong { actual_bytes: plaintext_bytes, max_bytes: MAX_RECORD_BYTES });
    }
    Ok(())
}

/// Reads the version and the kind that every record begins with.
fn read_kind(record: &[u8]) -> Result<(Kind, Reader<'_>), Error> {
    let kind = match record.get(1) {
        Some(&HEAD) => Kind::Head,
        Some(&END) => Kind::End,
        _ => Kind::Data,
    };
    Ok((kind, Reader::new(Part::Record, record, kind.id())?))
}

/// The ids that the first record of an RPC's requests begins with.
pub(crate) struct FirstRequest {
    pub(crate) kind: Kind,
    pub(crate) session: SessionId,
    pub(crate) rpc: RpcId,
}

impl FirstRequest {
    pub(crate) const HEAD_BYTES: usize = HEAD_BYTES + SessionId::BYTES + RpcId::BYTES;

    pub(crate) fn read(record: &[u8]) -> Result<Self, Error> {
        let (kind, mut reader) = read_kind(record)?;
        let session = SessionId::from_bytes(reader.array("session id")?);
        let rpc = RpcId::from_bytes(reader.array("rpc id")?);
        Ok(Self { kind, session, rpc })
    }
}

/// The session that the first record of an RPC names: what to look up. Nothing is checked but its form.
///
/// # Errors
/// [`Error::Malformed`], [`Error::Version`].
pub fn session_of(first_record: &[u8]) -> Result<SessionId, Error> {
    FirstRequest::read(first_record).map(|first| first.session)
}

/// The bytes before the ciphertext of a record.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    bytes: [u8; MAX_HEAD_BYTES],
    length: usize,
}

impl Head {
    fn new(kind: Kind, prelude: &[u8]) -> Self {
        let mut head = Self { bytes: [0; MAX_HEAD_BYTES], length: HEAD_BYTES + prelude.len() };
        head.bytes[..HEAD_BYTES].copy_from_slice(&[VERSION, kind.id()]);
        head.bytes[HEAD_BYTES..head.length].copy_from_slice(prelude);
        head
    }
}

impl AsRef<[u8]> for Head {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// What surrounds a ciphertext: the record is `head || ciphertext || tag`.
#[derive(Clone, Copy, Debug)]
pub struct Envelope {
    /// What comes before.
    pub head: Head,
    /// What comes after.
    pub tag: [u8; TAG_BYTES],
}

/// Seals the records of one direction of one RPC, in their order.
pub struct Sealer {
    /// None once the stream is over.
    lane: Option<Lane>,
    /// What only the first record has.
    prelude: Vec<u8>,
}

redacted!(Sealer);

impl Sealer {
    pub(crate) fn new(lane: Lane, prelude: Vec<u8>) -> Self {
        Self { lane: Some(lane), prelude }
    }

    /// By how many bytes the next record will be longer than its plaintext.
    pub fn overhead(&self) -> usize {
        HEAD_BYTES + self.prelude.len() + TAG_BYTES
    }

    /// Turns the plaintext into the ciphertext of the next record, in place.
    ///
    /// # Errors
    /// [`Error::RecordTooLong`]; the stream can go on, and end. [`Error::StreamOver`] after the end or another error;
    /// [`Error::SessionExpired`], [`Error::KeyExhausted`].
    pub fn seal_in_place(
        &mut self,
        kind: Kind,
        plaintext: &mut [u8],
        now_ms: u64,
    ) -> Result<Envelope, Error> {
        check_length(plaintext.len())?;
        let mut lane = self.lane.take().ok_or(Error::StreamOver)?;
        let tag = lane.seal(kind, plaintext, now_ms)?;
        let head = Head::new(kind, &core::mem::take(&mut self.prelude));
        if kind != Kind::End {
            self.lane = Some(lane);
        }
        Ok(Envelope { head, tag })
    }

    /// The next record, with a copy of the plaintext.
    ///
    /// # Errors
    /// As for [`Sealer::seal_in_place`].
    pub fn seal(&mut self, kind: Kind, plaintext: &[u8], now_ms: u64) -> Result<Vec<u8>, Error> {
        check_length(plaintext.len())?;
        // At its final size from the start: growing it later could leave plaintext in freed memory.
        let mut record = Zeroizing::new(Vec::with_capacity(plaintext.len() + self.overhead()));
        let head_bytes = HEAD_BYTES + self.prelude.len();
        record.resize(head_bytes, 0);
        record.extend_from_slice(plaintext);
        let envelope = self.seal_in_place(kind, &mut record[head_bytes..], now_ms)?;
        record[..head_bytes].copy_from_slice(envelope.head.as_ref());
        record.extend_from_slice(&envelope.tag);
        Ok(core::mem::take(&mut record))
    }

    #[cfg(test)]
    pub(crate) fn lane(&mut self) -> &mut Lane {
        self.lane.as_mut().unwrap()
    }
}

/// A record that was opened in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// What it carries.
    pub kind: Kind,
    /// Where in the record the plaintext is.
    pub plaintext: Range<usize>,
}

/// Opens the records of one direction of one RPC, in their order.
pub struct Opener(State);

redacted!(Opener);

enum State {
    /// The first record brings what the key is made with.
    First {
        secret: AnswerSecret,
        rpc: Context,
    },
    Live(Lane),
    Ended,
    Broken,
}

impl Opener {
    /// Of a client: the answers to an RPC.
    pub(crate) fn answers(secret: AnswerSecret, rpc: Context) -> Self {
        Self(State::First { secret, rpc })
    }

    /// Of a server: what follows the first record.
    pub(crate) fn after_first(lane: Lane, kind: Kind) -> Self {
        Self(if kind == Kind::End { State::Ended } else { State::Live(lane) })
    }

    /// Opens the next record in place.
    ///
    /// # Errors
    /// [`Error::RecordRefused`] if it is not the next one; [`Error::StreamOver`] after the end or an error;
    /// [`Error::Malformed`], [`Error::Version`], [`Error::SessionExpired`], [`Error::RecordTooLong`],
    /// [`Error::KeyExhausted`]. After an error nothing more is opened, and nothing of the RPC may be believed that is not
    /// meant to be used in parts.
    pub fn open(&mut self, record: &mut [u8], now_ms: u64) -> Result<Opened, Error> {
        // Whatever goes wrong from here on, the stream is over.
        let state = core::mem::replace(&mut self.0, State::Broken);
        let (kind, mut lane, head) = match state {
            State::First { secret, rpc } => {
                let (kind, mut reader) = read_kind(record)?;
                let node: [u8; NODE_RANDOM_BYTES] = reader.array("node random")?;
                let key = secret.key(&node)?;
                (kind, Lane::new(key, &rpc, Direction::ServerToClient), HEAD_BYTES + NODE_RANDOM_BYTES)
            }
            State::Live(lane) => (read_kind(record)?.0, lane, HEAD_BYTES),
            State::Ended | State::Broken => return Err(Error::StreamOver),
        };
        let plaintext = lane.open(kind, head, record, now_ms)?;
        self.0 = if kind == Kind::End { State::Ended } else { State::Live(lane) };
        Ok(Opened { kind, plaintext })
    }

    /// Whether the end record was opened.
    pub fn has_ended(&self) -> bool {
        matches!(self.0, State::Ended)
    }

    /// Ends the stream, when no more records come.
    ///
    /// # Errors
    /// [`Error::Truncated`] unless the last record was the end.
    pub fn finish(self) -> Result<(), Error> {
        if self.has_ended() { Ok(()) } else { Err(Error::Truncated) }
    }

    #[cfg(test)]
    pub(crate) fn lane(&mut self) -> &mut Lane {
        match &mut self.0 {
            State::Live(lane) => lane,
            _ => panic!("no lane"),
        }
    }
}
