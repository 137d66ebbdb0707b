//! Sealing a stream of messages as it passes.

use core::pin::Pin;
use core::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame};
use tonic::codegen::http::{HeaderMap, HeaderValue};
use tonic::{Code, Status};
use tyto_session::{Kind, MAX_RECORD_BYTES, Sealer, TAG_BYTES};

use crate::frames::{Frames, PREFIX_BYTES, prefix};
use crate::{Error, metadata, now_ms};

/// Records are handed on when they are so many bytes, or when there is nothing more to seal for now.
const BATCH_BYTES: usize = 64 << 10;

/// What stands in the end record, and behind it.
pub(crate) enum Ends {
    /// Nothing.
    Request,
    /// The trailers of an answer; outside, that gRPC went well. They stand in the headers of an answer that has no
    /// messages.
    Answer(HeaderMap),
}

enum State {
    Streaming,
    /// Everything is sealed. What is left are the outer trailers.
    Ended(Option<HeaderMap>),
    Over,
}

/// A body whose messages become records.
pub(crate) struct SealBody<B> {
    inner: B,
    frames: Frames,
    sealer: Sealer,
    out: BytesMut,
    ends: Ends,
    state: State,
}

impl<B> SealBody<B> {
    /// A stream that begins with a head.
    pub(crate) fn new(inner: B, sealer: Sealer, head: &HeaderMap, ends: Ends) -> Result<Self, Error> {
        let frames = Frames::new(MAX_RECORD_BYTES);
        let mut body = Self { inner, frames, sealer, out: BytesMut::new(), ends, state: State::Streaming };
        body.seal(Kind::Head, &metadata::write(head)?)?;
        Ok(body)
    }

    /// Appends a record in a frame of its own: the one copy of the plaintext is where it is sealed.
    fn seal(&mut self, kind: Kind, plaintext: &[u8]) -> Result<(), Error> {
        let record_bytes = plaintext.len() + self.sealer.overhead();
        let head_bytes = self.sealer.overhead() - TAG_BYTES;
        let at = self.out.len();
        self.out.reserve(PREFIX_BYTES + record_bytes);
        self.out.extend_from_slice(&prefix(record_bytes));
        self.out.resize(at + PREFIX_BYTES + head_bytes, 0);
        self.out.extend_from_slice(plaintext);
        let (head, body) = self.out[at + PREFIX_BYTES..].split_at_mut(head_bytes);
        match self.sealer.seal_in_place(kind, body, now_ms()) {
            Ok(envelope) => {
                head.copy_from_slice(envelope.head.as_ref());
                self.out.extend_from_slice(&envelope.tag);
                Ok(())
            }
            Err(error) => {
                self.out.truncate(at);
                Err(error.into())
            }
        }
    }

    /// Seals what has arrived, up to a batch.
    fn seal_arrived(&mut self) -> Result<(), Error> {
        while self.out.len() < BATCH_BYTES
            && let Some(frame) = self.frames.next()?
        {
            self.seal(Kind::Data, &frame[PREFIX_BYTES..])?;
        }
        Ok(())
    }

    fn end(&mut self, trailers: Option<HeaderMap>) -> Result<(), Error> {
        if !self.frames.is_empty() {
            return Err(Error::Stream { what: "a message is cut off" });
        }
        let (plaintext, outer) = match &mut self.ends {
            Ends::Request => (Vec::new(), None),
            Ends::Answer(in_headers) => {
                let mut sealed = core::mem::take(in_headers);
                sealed.extend(trailers.unwrap_or_default());
                if !sealed.contains_key(Status::GRPC_STATUS) {
                    let lost = Status::unknown("the service gave no status");
                    lost.add_header(&mut sealed).map_err(|_| Error::Metadata)?;
                }
                let ok = HeaderMap::from_iter([(Status::GRPC_STATUS, HeaderValue::from_static("0"))]);
                (metadata::write(&sealed)?, Some(ok))
            }
        };
        self.seal(Kind::End, &plaintext)?;
        self.state = State::Ended(outer);
        Ok(())
    }

    /// What is done about an error of our own: an answer still ends with a status, if there is a record left for it.
    fn fail(&mut self, error: &Error) -> Result<(), Status> {
        let status = error.status();
        if matches!(self.ends, Ends::Answer(_)) && status.code() == Code::ResourceExhausted {
            let mut sealed = HeaderMap::new();
            let written = status.add_header(&mut sealed).and_then(|()| Ok(metadata::write(&sealed)?));
            self.seal(Kind::End, &written?)?;
            let ok = HeaderMap::from_iter([(Status::GRPC_STATUS, HeaderValue::from_static("0"))]);
            self.state = State::Ended(Some(ok));
            return Ok(());
        }
        self.state = State::Over;
        Err(status)
    }
}

impl<B: HttpBody<Data = Bytes, Error = Status> + Unpin> SealBody<B> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        loop {
            match &mut self.state {
                State::Streaming => {}
                State::Ended(_) if !self.out.is_empty() => return self.hand_on(),
                State::Ended(outer) => {
                    let outer = outer.take();
                    self.state = State::Over;
                    return Poll::Ready(outer.map(|trailers| Ok(Frame::trailers(trailers))));
                }
                State::Over => return Poll::Ready(None),
            }
            if let Err(error) = self.seal_arrived() {
                self.fail(&error)?;
                continue;
            }
            if self.out.len() >= BATCH_BYTES {
                return self.hand_on();
            }
            let ended = match Pin::new(&mut self.inner).poll_frame(context) {
                Poll::Pending if self.out.is_empty() => return Poll::Pending,
                Poll::Pending => return self.hand_on(),
                Poll::Ready(Some(Err(status))) => {
                    self.state = State::Over;
                    return Poll::Ready(Some(Err(status)));
                }
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(arrived) => {
                        self.frames.push(arrived);
                        continue;
                    }
                    Err(frame) => self.end(frame.into_trailers().ok()),
                },
                Poll::Ready(None) => self.end(None),
            };
            if let Err(error) = ended {
                self.fail(&error)?;
            }
        }
    }

    fn hand_on(&mut self) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Poll::Ready(Some(Ok(Frame::data(core::mem::take(&mut self.out).freeze()))))
    }
}

impl<B: HttpBody<Data = Bytes, Error = Status> + Unpin> HttpBody for SealBody<B> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.poll(context)
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.state, State::Over)
    }
}
