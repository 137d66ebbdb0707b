//! Opens a record for each call and closes it before the answer leaves.

use super::{Audit, Notes, Place};
use crate::Error;
use crate::status;
use http_body::Frame;
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, ready};
use std::time::Instant;
use tonic::body::Body;
use tonic::codegen::http::{self, HeaderMap, HeaderValue};
use tonic::codegen::{Bytes, Service};
use tonic::transport::server::TcpConnectInfo;
use tonic::{Code, Extensions, Status};
use tower_layer::Layer;
use tyto_api::{Method, methods};
use tyto_audit::{Call, Event};

/// What is not recorded: health and reflection, which anyone may ask.
const NOT_RECORDED: &str = "/grpc.";

static METHODS: LazyLock<HashMap<String, Method>> =
    LazyLock::new(|| methods().into_iter().map(|method| (format!("/{}", method.name), method)).collect());

/// Whatever else is called. Its name is the caller's to choose, and not repeated.
static UNKNOWN: LazyLock<Method> = LazyLock::new(|| Method {
    name: "unknown".to_owned(),
    is_request_streamed: false,
    is_answer_streamed: false,
});

/// Records every call of the services.
#[derive(Clone)]
pub(crate) struct AuditLayer(pub(crate) Arc<Audit>);

impl<S> Layer<S> for AuditLayer {
    type Service = Audited<S>;

    fn layer(&self, inner: S) -> Audited<S> {
        Audited { inner, audit: self.0.clone() }
    }
}

/// The service of one call.
#[derive(Clone)]
pub(crate) struct Audited<S> {
    inner: S,
    audit: Arc<Audit>,
}

type Answer<E> = Pin<Box<dyn Future<Output = Result<http::Response<Body>, E>> + Send>>;

impl<S, B> Service<http::Request<B>> for Audited<S>
where
    S: Service<http::Request<B>, Response = http::Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = S::Error;
    type Future = Answer<S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: http::Request<B>) -> Self::Future {
        let path = request.uri().path();
        let is_recorded = self.audit.is_on() && !path.starts_with(NOT_RECORDED);
        // The one that is ready serves this call.
        let next = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, next);
        if !is_recorded {
            return Box::pin(inner.call(request));
        }
        let method = METHODS.get(path).unwrap_or_else(|| &UNKNOWN);
        let audit = self.audit.clone();
        Box::pin(async move {
            let peer = request.extensions().get().and_then(TcpConnectInfo::remote_addr);
            let call = Recorded { audit, method: &method.name, peer: peer.map(|peer| peer.to_string()) };
            let open = match Open::begin(call).await {
                Ok(open) => open,
                Err(error) => return Ok(status::status("audit", &error).into_http()),
            };
            request.extensions_mut().insert(open.notes.clone());
            request.extensions_mut().insert(open.call.clone());
            let answer = inner.call(request).await?;
            Ok(open.answered(answer, method.is_answer_streamed).await)
        })
    }
}

/// A call, as all its records name it.
#[derive(Clone)]
struct Recorded {
    audit: Arc<Audit>,
    method: &'static str,
    peer: Option<String>,
}

/// A record that is not written yet. One that is dropped is that of a call whose caller went away.
pub(crate) struct Open {
    call: Recorded,
    notes: Notes,
    begun: Instant,
    place: Option<Place>,
    is_whole: bool,
}

impl Open {
    async fn begin(call: Recorded) -> Result<Self, Error> {
        let place = Some(call.audit.place().await?);
        Ok(Self { call, notes: Notes::default(), begun: Instant::now(), place, is_whole: false })
    }

    /// The record of one message of a stream of changes. None where there is no audit log.
    ///
    /// # Errors
    /// [`Error::AuditUnavailable`].
    pub(crate) async fn message(extensions: &Extensions) -> Result<Option<Self>, Error> {
        let Some(call) = extensions.get::<Recorded>().cloned() else { return Ok(None) };
        let place = Some(call.audit.place().await?);
        let notes = Notes::of(extensions);
        Ok(Some(Self { call, notes, begun: Instant::now(), place, is_whole: true }))
    }

    /// Writes the record of a message.
    ///
    /// # Errors
    /// [`Error::AuditUnavailable`].
    pub(crate) async fn finish(self, error: Option<&Error>) -> Result<(), Error> {
        let notes = self.notes.clone();
        let written = self.end(error.map_or(Code::Ok, status::code)).await;
        notes.next_message();
        written
    }

    /// Writes the record of a call before its answer leaves, or makes the answer write it at its end.
    async fn answered(self, answer: http::Response<Body>, is_streamed: bool) -> http::Response<Body> {
        let code = answer.headers().get(Status::GRPC_STATUS).map(|code| Code::from_bytes(code.as_bytes()));
        if is_streamed && code.is_none() {
            return answer.map(|inner| Body::new(AuditedBody { inner, open: Some(self), ending: None }));
        }
        match self.end(code.unwrap_or(Code::Ok)).await {
            Ok(()) => answer,
            Err(error) => status::status("audit", &error).into_http(),
        }
    }

    async fn end(mut self, code: Code) -> Result<(), Error> {
        let Some(place) = self.place.take() else { return Ok(()) };
        let event = self.event(code);
        self.call.audit.write(place, event).await
    }

    fn event(&self, code: Code) -> Event {
        let stream = self.notes.stream().filter(|_| !self.is_whole);
        let call = Call {
            code: Some(code as i32 as u8),
            duration_us: Some(self.begun.elapsed().as_micros() as u64),
            stream,
            ..self.notes.call(self.call.method, self.call.peer.clone())
        };
        if stream.is_some() { Event::End(call) } else { Event::Call(call) }
    }
}

#[cfg(test)]
impl Open {
    /// That of a call of nobody.
    pub(super) async fn of_test(audit: Arc<Audit>) -> Self {
        let call = Recorded { audit, method: "tyto.test.v1.Test/Call", peer: None };
        Self::begin(call).await.expect("a place")
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            let event = self.event(Code::Cancelled);
            self.call.audit.submit(place, event);
        }
    }
}

/// Records that a call with a stream of messages begins: who, and about what, is known, and nothing is computed yet.
///
/// # Errors
/// [`Error::AuditUnavailable`].
pub(crate) async fn begin(extensions: &Extensions) -> Result<(), Error> {
    let Some(Recorded { audit, method, peer }) = extensions.get::<Recorded>().cloned() else { return Ok(()) };
    let notes = Notes::of(extensions);
    let place = audit.place().await?;
    let stream = audit.stream();
    let call = Call { stream: Some(stream), ..notes.call(method, peer) };
    // Whatever becomes of this record, the last one says that the stream ended.
    notes.begun(stream);
    audit.write(place, Event::Begin(call)).await
}

/// An answer of many messages, whose record is written before its end is sent.
struct AuditedBody {
    inner: Body,
    open: Option<Open>,
    ending: Option<Pin<Box<dyn Future<Output = HeaderMap> + Send>>>,
}

impl http_body::Body for AuditedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        loop {
            if let Some(ending) = &mut self.ending {
                let trailers = ready!(ending.as_mut().poll(context));
                self.ending = None;
                return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
            }
            let frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
            let trailers = match frame {
                Some(Ok(frame)) => match frame.into_trailers() {
                    Ok(trailers) => trailers,
                    Err(frame) => return Poll::Ready(Some(Ok(frame))),
                },
                other => return Poll::Ready(other),
            };
            let Some(open) = self.open.take() else {
                return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
            };
            self.ending = Some(Box::pin(ended(open, trailers)));
        }
    }
}

/// The end of an answer, once it is recorded.
async fn ended(open: Open, trailers: HeaderMap) -> HeaderMap {
    let code =
        trailers.get(Status::GRPC_STATUS).map_or(Code::Unknown, |code| Code::from_bytes(code.as_bytes()));
    match open.end(code).await {
        Ok(()) => trailers,
        Err(error) => {
            let status = status::status("audit", &error);
            let mut trailers = HeaderMap::new();
            trailers.insert(Status::GRPC_STATUS, HeaderValue::from(status.code() as i32));
            trailers
        }
    }
}
