//! Somebody between the sealing layer and the connection: sees what stands on the wire, and alters it.

use bytes::{BufMut as _, Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full, StreamBody};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, Request, Response, Uri};
use tonic::codegen::{Service, StdError};

/// The records of one direction of a call, without gRPC's framing.
pub(super) type Records = Vec<Vec<u8>>;

/// What is done to records.
pub(super) type Alter = Box<dyn Fn(Records) -> Records + Send + Sync>;

/// What is done to a call.
#[derive(Default)]
pub(super) struct Plan {
    /// To its request.
    pub(super) request: Option<Alter>,
    /// To its answer.
    pub(super) answer: Option<Alter>,
    /// Another method that it is sent to.
    pub(super) method: Option<&'static str>,
    /// Whether it is sent twice; the second answer is what the client gets.
    pub(super) twice: bool,
    /// The header that says that it is sealed is taken off.
    pub(super) bare: bool,
    /// Trailers in the place of the answer's.
    pub(super) trailers: Option<HeaderMap>,
}

/// What was seen.
#[derive(Default)]
struct Seen {
    requests: Vec<Records>,
    answers: Vec<Records>,
    bytes: Vec<u8>,
}

/// Somebody between.
#[derive(Clone, Default)]
pub(super) struct Between {
    plan: Arc<Mutex<Plan>>,
    seen: Arc<Mutex<Seen>>,
}

impl Between {
    /// Does this to every call from now on, but to handshakes.
    pub(super) fn plan(&self, plan: Plan) {
        *self.plan.lock().unwrap() = plan;
    }

    /// Everything that was on the wire of calls, headers included.
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.seen.lock().unwrap().bytes.clone()
    }

    /// The records of the last call, as they were before they were altered.
    pub(super) fn last(&self) -> (Records, Records) {
        let seen = self.seen.lock().unwrap();
        (seen.requests.last().cloned().unwrap(), seen.answers.last().cloned().unwrap_or_default())
    }

    pub(super) fn stand<S>(&self, channel: S) -> Altered<S> {
        Altered { channel, between: self.clone() }
    }

    fn note_headers(&self, headers: &HeaderMap) {
        let mut seen = self.seen.lock().unwrap();
        for (name, value) in headers {
            seen.bytes.extend_from_slice(name.as_str().as_bytes());
            seen.bytes.extend_from_slice(value.as_bytes());
        }
    }

    fn note(&self, records: &Records, is_request: bool) {
        let mut seen = self.seen.lock().unwrap();
        records.iter().for_each(|record| seen.bytes.extend_from_slice(record));
        if is_request { seen.requests.push(records.clone()) } else { seen.answers.push(records.clone()) }
    }
}

/// A channel with somebody in it. Calls are taken whole before they are passed on, handshakes are not touched.
#[derive(Clone)]
pub(super) struct Altered<S> {
    channel: S,
    between: Between,
}

impl<S> Service<Request<Body>> for Altered<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error: Into<StdError>, Future: Send>
        + Clone
        + Send
        + 'static,
{
    type Response = Response<Body>;
    type Error = StdError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, StdError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), StdError>> {
        self.channel.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if request.uri().path().starts_with("/tyto.session.") {
            let answer = self.channel.call(request);
            return Box::pin(async { answer.await.map_err(Into::into) });
        }
        let spare = self.channel.clone();
        let channel = std::mem::replace(&mut self.channel, spare);
        Box::pin(pass(channel, self.between.clone(), request))
    }
}

async fn pass<S>(mut channel: S, between: Between, request: Request<Body>) -> Result<Response<Body>, StdError>
where
    S: Service<Request<Body>, Response = Response<Body>, Error: Into<StdError>> + Clone,
{
    let (mut parts, body) = request.into_parts();
    let sent = records(&body.collect().await?.to_bytes());
    between.note_headers(&parts.headers);
    between.note(&sent, true);
    let twice = {
        let plan = between.plan.lock().unwrap();
        if let Some(method) = plan.method {
            let mut uri = parts.uri.clone().into_parts();
            uri.path_and_query = Some(method.parse().unwrap());
            parts.uri = Uri::from_parts(uri).unwrap();
        }
        if plan.bare {
            parts.headers.remove("tyto-sealed");
        }
        plan.twice
    };
    let sent = match &between.plan.lock().unwrap().request {
        Some(alter) => alter(sent),
        None => sent,
    };
    let mut spare = channel.clone();
    let again = Request::from_parts(parts.clone(), Body::new(whole(&sent)));
    let answer =
        channel.call(Request::from_parts(parts, Body::new(whole(&sent)))).await.map_err(Into::into)?;
    let answer = if twice {
        answer.into_body().collect().await?;
        std::future::poll_fn(|context| spare.poll_ready(context)).await.map_err(Into::into)?;
        spare.call(again).await.map_err(Into::into)?
    } else {
        answer
    };

    let (parts, body) = answer.into_parts();
    let collected = body.collect().await?;
    let trailers = collected.trailers().cloned();
    let answered = records(&collected.to_bytes());
    between.note_headers(&parts.headers);
    trailers.iter().for_each(|trailers| between.note_headers(trailers));
    between.note(&answered, false);
    let plan = between.plan.lock().unwrap();
    let answered = match &plan.answer {
        Some(alter) => alter(answered),
        None => answered,
    };
    let trailers = plan.trailers.clone().or(trailers);
    let data = framed(&answered);
    let frames = [http_body::Frame::data(data)].into_iter().chain(trailers.map(http_body::Frame::trailers));
    let body = StreamBody::new(tokio_stream::iter(frames.map(Ok::<_, Status>)));
    Ok(Response::from_parts(parts, Body::new(body)))
}

fn records(bytes: &[u8]) -> Records {
    let (mut rest, mut records) = (bytes, Records::new());
    while let [0, a, b, c, d, after @ ..] = rest {
        let (record, left) = after.split_at(u32::from_be_bytes([*a, *b, *c, *d]) as usize);
        records.push(record.to_vec());
        rest = left;
    }
    assert!(rest.is_empty(), "valid gRPC frames for whoever stands between");
    records
}

fn framed(records: &Records) -> Bytes {
    let mut out = BytesMut::new();
    for record in records {
        out.put_u8(0);
        out.put_u32(record.len() as u32);
        out.put_slice(record);
    }
    out.freeze()
}

fn whole(records: &Records) -> Full<Bytes> {
    Full::new(framed(records))
}
