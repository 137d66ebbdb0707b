//! Opening a stream of records as it passes.

use core::future::poll_fn;
use core::ops::Range;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame};
use tonic::Status;
use tonic::codegen::http::HeaderMap;
use tyto_session::{Kind, Opener};

use crate::frames::{Frames, PREFIX_BYTES, prefix};
use crate::{Error, metadata, now_ms};

/// Whose stream it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Requests,
    Answers,
}

enum State {
    Streaming,
    /// The end was opened: the trailers are handed on when the transport is at its end too.
    Ended(Option<HeaderMap>),
    Over,
}

/// A body whose records become messages.
pub(crate) struct OpenBody<B> {
    inner: B,
    frames: Frames,
    opener: Opener,
    side: Side,
    state: State,
}

impl<B> OpenBody<B> {
    /// What follows the head. An opener at its end has nothing more to come.
    pub(crate) fn new(inner: B, frames: Frames, opener: Opener, side: Side) -> Self {
        Self { inner, frames, opener, side, state: State::Streaming }
    }

    /// Opens a record in place: a message with its prefix, or none at the end.
    fn open(&mut self, frame: Bytes) -> Result<Option<Bytes>, Error> {
        let mut frame = alone(frame);
        let opened = self.opener.open(&mut frame[PREFIX_BYTES..], now_ms())?;
        let Range { start, end } = opened.plaintext;
        match opened.kind {
            Kind::Head => Err(Error::Stream { what: "a head that is not first" }),
            Kind::Data => {
                // The prefix stands right before the message, where the record's head was.
                frame[start..start + PREFIX_BYTES].copy_from_slice(&prefix(end - start));
                Ok(Some(frame.freeze().slice(start..PREFIX_BYTES + end)))
            }
            Kind::End => {
                let plaintext = &frame[PREFIX_BYTES + start..PREFIX_BYTES + end];
                self.state = State::Ended(match self.side {
                    Side::Requests if plaintext.is_empty() => None,
                    Side::Requests => return Err(Error::Stream { what: "a request's end says something" }),
                    Side::Answers => Some(status_of(metadata::read(plaintext)?)?),
                });
                Ok(None)
            }
        }
    }
}

/// The trailers of an answer, which must have one status.
fn status_of(trailers: HeaderMap) -> Result<HeaderMap, Error> {
    if trailers.get_all(Status::GRPC_STATUS).iter().count() == 1 {
        Ok(trailers)
    } else {
        Err(Error::Stream { what: "an answer's end has no status" })
    }
}

/// The frame's bytes, to be written to: they are copied only if somebody else has them too.
pub(crate) fn alone(frame: Bytes) -> BytesMut {
    frame.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]))
}

impl<B: HttpBody<Data = Bytes, Error = Status> + Unpin> OpenBody<B> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        loop {
            match &mut self.state {
                State::Streaming => {
                    while let Some(frame) = self.frames.next()? {
                        if let Some(message) = self.open(frame)? {
                            return Poll::Ready(Some(Ok(Frame::data(message))));
                        }
                        // After the end there is nothing.
                        if !self.frames.is_empty() {
                            return Poll::Ready(Some(Err(tyto_session::Error::StreamOver.into())));
                        }
                    }
                    if matches!(self.state, State::Ended(_)) {
                        continue;
                    }
                    match ready!(Pin::new(&mut self.inner).poll_frame(context)) {
                        Some(Ok(frame)) => match frame.into_data() {
                            Ok(arrived) => self.frames.push(arrived),
                            Err(_) => return Poll::Ready(Some(Err(tyto_session::Error::Truncated.into()))),
                        },
                        Some(Err(status)) => {
                            return Poll::Ready(Some(Err(Error::Connection(status.message().to_owned()))));
                        }
                        None => return Poll::Ready(Some(Err(tyto_session::Error::Truncated.into()))),
                    }
                }
                State::Ended(trailers) => {
                    if let Some(Ok(frame)) = ready!(Pin::new(&mut self.inner).poll_frame(context))
                        && let Ok(more) = frame.into_data()
                    {
                        if more.is_empty() {
                            continue;
                        }
                        return Poll::Ready(Some(Err(tyto_session::Error::StreamOver.into())));
                    }
                    let trailers = trailers.take();
                    self.state = State::Over;
                    return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
                }
                State::Over => return Poll::Ready(None),
            }
        }
    }
}

impl<B: HttpBody<Data = Bytes, Error = Status> + Unpin> HttpBody for OpenBody<B> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = ready!(self.poll(context));
        Poll::Ready(polled.map(|result| {
            result.map_err(|error| {
                self.state = State::Over;
                tracing::debug!(%error, "a sealed stream was broken off");
                error.status()
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.state, State::Over)
    }
}

/// The first frame of a body; none if it ends before.
pub(crate) async fn first<B>(body: &mut B, frames: &mut Frames) -> Result<Option<Bytes>, Error>
where
    B: HttpBody<Data = Bytes, Error = Status> + Unpin,
{
    loop {
        if let Some(frame) = frames.next()? {
            return Ok(Some(frame));
        }
        match poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(arrived) => frames.push(arrived),
                Err(_) => return Ok(None),
            },
            Some(Err(status)) => return Err(Error::Connection(status.message().to_owned())),
            None => return Ok(None),
        }
    }
}
