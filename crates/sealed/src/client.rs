//! The client's side: sessions, and a channel whose calls are sealed in them.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::codegen::http::{HeaderValue, Request, Response};
use tonic::codegen::{Service, StdError};
use tonic::{Code, Status};
use tyto_api::proto::session::v1::handshake_request::Message as Sent;
use tyto_api::proto::session::v1::handshake_response::Message as Received;
use tyto_api::proto::session::v1::session_service_client::SessionServiceClient;
use tyto_api::proto::session::v1::{HandshakeRequest, HandshakeResponse, Refusal, refusal::Reason};
use tyto_session::{
    ACCEPTED_BYTES, Client, ClientSession, Credential, Kind, MAX_HANDSHAKE_MS, MAX_RECORD_BYTES,
    MAX_RECORD_OVERHEAD, MacKey, Name, Opener, Sealer, SessionId, Suite,
};

use crate::body::{Ends, OpenBody, SealBody, Side, alone, first};
use crate::frames::{Frames, PREFIX_BYTES};
use crate::metadata::{self, MAX_METADATA_BYTES};
use crate::{Error, REFUSAL, SEALED, START_OVER, is_open, now_ms};

/// Longest message of a handshake, with what surrounds it in protobuf.
const MAX_HANDSHAKE_MESSAGE_BYTES: usize = tyto_session::MAX_SERVER_HELLO_BYTES + 64;
const _: () = assert!(ACCEPTED_BYTES < MAX_HANDSHAKE_MESSAGE_BYTES);

/// Whom a client believes, and what it proves itself with.
#[derive(Debug)]
pub struct Keys {
    /// Service, servers and suites.
    pub client: Client,
    /// Id and MAC key of an API key. Without it the client is nobody.
    pub credential: Option<(Name, Arc<MacKey>)>,
}

/// A handshake that was made.
#[derive(Clone, Debug)]
pub struct Handshake {
    /// The session.
    pub session: Arc<ClientSession>,
    /// From the first message to the last.
    pub elapsed: Duration,
}

/// The session of a client, which is followed by another when it is used up. Its channels share it.
#[derive(Debug)]
pub struct Sessions {
    keys: Keys,
    /// Held during a handshake: calls that come meanwhile use its session.
    current: Mutex<Option<Arc<ClientSession>>>,
}

impl Sessions {
    /// No session yet: the first call makes one.
    pub fn new(keys: Keys) -> Self {
        Self { keys, current: Mutex::default() }
    }

    /// Makes a session over `channel`, beside the one that calls use.
    ///
    /// # Errors
    /// [`Error::Session`], [`Error::Handshake`], [`Error::Connection`].
    pub async fn handshake<S: Transport>(&self, channel: S) -> Result<Handshake, Error> {
        let limit = Duration::from_millis(MAX_HANDSHAKE_MS);
        let made = tokio::time::timeout(limit, self.exchange(channel)).await;
        made.map_err(|_| Error::Session(tyto_session::Error::HandshakeExpired))?
    }

    /// Has calls use a session.
    pub async fn set(&self, session: Arc<ClientSession>) {
        *self.current.lock().await = Some(session);
    }

    /// One handshake, and once more with another suite if the server asks for it.
    async fn exchange<S: Transport>(&self, channel: S) -> Result<Handshake, Error> {
        let began = Instant::now();
        let mut service = SessionServiceClient::new(channel)
            .max_decoding_message_size(MAX_HANDSHAKE_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_HANDSHAKE_MESSAGE_BYTES);
        let mut other = None;
        loop {
            let (state, hello) = match other {
                None => self.keys.client.start(now_ms())?,
                Some(suite) => self.keys.client.start_again(suite, now_ms())?,
            };
            let (send, requests) = mpsc::channel(2);
            say(&send, Sent::ClientHello(hello.into())).await?;
            let mut answers = service
                .handshake(ReceiverStream::new(requests))
                .await
                .map_err(|status| failed(&status))?
                .into_inner();
            let server_hello =
                match answers.message().await.map_err(|status| failed(&status))?.and_then(message) {
                    Some(Received::ServerHello(hello)) => hello,
                    Some(Received::Refusal(refusal)) => {
                        let suite = wanted(&refusal).filter(|_| other.is_none()).ok_or(refused(&refusal))?;
                        other = Some(suite);
                        continue;
                    }
                    _ => return Err(Error::Handshake { reason: "no ServerHello" }),
                };
            let credential = match &self.keys.credential {
                None => Credential::None,
                Some((id, key)) => Credential::Mac { id, key },
            };
            let (state, finish) = state.receive(&server_hello, &credential, now_ms())?;
            say(&send, Sent::ClientFinish(finish.into())).await?;
            drop(send);
            let session = match answers.message().await.map_err(|status| failed(&status))?.and_then(message) {
                Some(Received::Accepted(accepted)) => state.receive(&accepted, now_ms())?,
                Some(Received::Refusal(refusal)) => return Err(refused(&refusal)),
                _ => return Err(Error::Handshake { reason: "no Accepted" }),
            };
            return Ok(Handshake { session: Arc::new(session), elapsed: began.elapsed() });
        }
    }

    /// Begins an RPC, in a new session if there is none that carries it.
    async fn begin<S: Transport>(
        &self,
        channel: S,
        method: &str,
    ) -> Result<(SessionId, Sealer, Opener), Error> {
        use tyto_session::Error::{SessionExhausted, SessionExpired};
        let mut current = self.current.lock().await;
        if let Some(session) = &*current {
            match session.begin(method, now_ms()) {
                Ok((sealer, opener)) => return Ok((session.id(), sealer, opener)),
                Err(SessionExpired | SessionExhausted) => *current = None,
                Err(error) => return Err(error.into()),
            }
        }
        let session = self.handshake(channel).await?.session;
        tracing::debug!(session = %session.id(), server = %session.server(), "a session begins");
        let (sealer, opener) = session.begin(method, now_ms())?;
        let id = session.id();
        *current = Some(session);
        Ok((id, sealer, opener))
    }

    /// Forgets a session that the server does not know. The next call makes another.
    async fn forget(&self, id: SessionId) {
        let mut current = self.current.lock().await;
        if current.as_ref().is_some_and(|session| session.id() == id) {
            *current = None;
        }
    }
}

fn message(response: HandshakeResponse) -> Option<Received> {
    response.message
}

async fn say(send: &mpsc::Sender<HandshakeRequest>, message: Sent) -> Result<(), Error> {
    let closed = |_| Error::Handshake { reason: "the server hung up" };
    send.send(HandshakeRequest { message: Some(message) }).await.map_err(closed)
}

fn failed(status: &Status) -> Error {
    Error::Connection(format!("{}: {}", status.code().description(), status.message()))
}

/// The suite that a refusal asks for. Whether the server knows no better one is checked when it has signed that.
fn wanted(refusal: &Refusal) -> Option<Suite> {
    let suite = u16::try_from(refusal.suite).ok().and_then(Suite::from_id);
    suite.filter(|_| refusal.reason() == Reason::OtherSuite)
}

fn refused(refusal: &Refusal) -> Error {
    Error::Handshake {
        reason: match refusal.reason() {
            Reason::Busy => "the server is busy",
            Reason::OtherSuite => "the server wants a suite that is not allowed here",
            Reason::NoSession | Reason::Unspecified => "the server refused",
        },
    }
}

/// What calls travel over.
pub trait Transport:
    Service<Request<Body>, Response = Response<Body>, Error: Into<StdError>, Future: Send>
    + Clone
    + Send
    + 'static
{
}

impl<S> Transport for S where
    S: Service<Request<Body>, Response = Response<Body>, Error: Into<StdError>, Future: Send>
        + Clone
        + Send
        + 'static
{
}

/// A channel whose calls are sealed, or one that leaves them as they are.
#[derive(Clone, Debug)]
pub struct Sealed<S> {
    channel: S,
    sessions: Option<Arc<Sessions>>,
}

impl<S> Sealed<S> {
    /// Seals the calls of a channel in these sessions. Without them, calls pass as they are.
    pub fn new(channel: S, sessions: Option<Arc<Sessions>>) -> Self {
        Self { channel, sessions }
    }
}

impl<S: Transport> Service<Request<Body>> for Sealed<S> {
    type Response = Response<Body>;
    type Error = StdError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, StdError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), StdError>> {
        self.channel.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let sessions = self.sessions.clone().filter(|_| !is_open(request.uri().path()));
        let Some(sessions) = sessions else {
            let answer = self.channel.call(request);
            return Box::pin(async { answer.await.map_err(Into::into) });
        };
        // The one that is ready makes the call.
        let spare = self.channel.clone();
        let channel = core::mem::replace(&mut self.channel, spare);
        Box::pin(call(channel, sessions, request))
    }
}

async fn call<S: Transport>(
    mut channel: S,
    sessions: Arc<Sessions>,
    request: Request<Body>,
) -> Result<Response<Body>, StdError> {
    let (mut parts, body) = request.into_parts();
    let begun = sessions.begin(channel.clone(), parts.uri.path()).await;
    let (session, sealer, mut opener) = begun.map_err(|error| error.status())?;
    let sealed = metadata::split(&mut parts.headers);
    parts.headers.insert(SEALED, HeaderValue::from_static("1"));
    let body = SealBody::new(body, sealer, &sealed, Ends::Request).map_err(|error| error.status())?;
    let answer = channel.call(Request::from_parts(parts, Body::new(body))).await.map_err(Into::into)?;

    let (mut parts, mut body) = answer.into_parts();
    if !parts.headers.contains_key(SEALED) {
        if parts.headers.get(REFUSAL).is_some_and(|refusal| refusal == START_OVER) {
            sessions.forget(session).await;
        }
        return Err(not_sealed(&parts.headers).into());
    }
    let mut frames = Frames::new(MAX_METADATA_BYTES + MAX_RECORD_OVERHEAD);
    let head = async {
        let frame = first(&mut body, &mut frames).await?.ok_or(Error::NotSealed)?;
        let mut frame = alone(frame);
        let opened = opener.open(&mut frame[PREFIX_BYTES..], now_ms())?;
        if opened.kind != Kind::Head {
            return Err(Error::Stream { what: "it does not begin with a head" });
        }
        metadata::read(&frame[PREFIX_BYTES..][opened.plaintext])
    };
    let head = head.await.map_err(|error| error.status())?;
    metadata::join(&mut parts.headers, head);
    frames.set_max_bytes(MAX_RECORD_BYTES + MAX_RECORD_OVERHEAD);
    let body = OpenBody::new(body, frames, opener, Side::Answers);
    Ok(Response::from_parts(parts, Body::new(body)))
}

/// An answer that nobody sealed is no word of the service's. That a deadline has passed can be said by anyone who lets it
/// pass.
fn not_sealed(headers: &tonic::codegen::http::HeaderMap) -> Status {
    match Status::from_header_map(headers).map(|status| status.code()) {
        Some(Code::DeadlineExceeded | Code::Cancelled) => Status::deadline_exceeded("the call was cut off"),
        _ => Error::NotSealed.status(),
    }
}
