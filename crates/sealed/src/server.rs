//! The server's side: sessions, and a layer whose calls are opened in them.

use core::future::{Future, ready};
use core::pin::Pin;
use core::task::{Context, Poll};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::codegen::http::{HeaderMap, HeaderValue, Request, Response};
use tonic::{Code, Status};
use tower_layer::Layer;
use tyto_session::{
    AdmittedRpc, Claim, CredentialId, HelloAnswered, Kind, MAX_RECORD_BYTES, MAX_RECORD_OVERHEAD,
    MemoryAdmission, Name, Refusal, ServerSession, SessionId, SessionLimits, Verifier, session_of,
};

use crate::body::{Ends, OpenBody, SealBody, Side, alone, first};
use crate::frames::{Frames, PREFIX_BYTES};
use crate::metadata::{self, MAX_METADATA_BYTES};
use crate::{Error, REFUSAL, REQUIRED, SEALED, START_OVER, is_open, now_ms};

/// How long a sealed call may take to bring its head.
const HEAD_WAIT: Duration = Duration::from_secs(30);

/// What a server knows of a credential.
pub struct Known {
    /// What its proofs are checked with.
    pub verifier: OwnedVerifier,
    /// What its client is accepted as.
    pub principal: Name,
    /// How much its sessions carry.
    pub limits: SessionLimits,
    /// When it expires, in Unix milliseconds.
    pub not_after_ms: Option<u64>,
}

/// What proofs are checked with.
#[derive(Debug)]
pub enum OwnedVerifier {
    /// The MAC key of an API key.
    Mac(tyto_session::MacKey),
}

impl OwnedVerifier {
    fn as_ref(&self) -> Verifier<'_> {
        match self {
            Self::Mac(key) => Verifier::Mac(key),
        }
    }
}

/// Where credentials are looked up.
pub trait Credentials: Send + Sync {
    /// What is known of a credential; nothing if there is none, or it is not to be believed now.
    fn find<'a>(&'a self, id: &'a CredentialId) -> Pin<Box<dyn Future<Output = Option<Known>> + Send + 'a>>;
}

/// No credentials: whoever claims one is refused.
impl Credentials for () {
    fn find<'a>(&'a self, _: &'a CredentialId) -> Pin<Box<dyn Future<Output = Option<Known>> + Send + 'a>> {
        Box::pin(ready(None))
    }
}

/// What clients without a credential are accepted as.
#[derive(Clone, Debug)]
pub struct Anonymous {
    /// Their one name.
    pub principal: Name,
    /// How much a session of theirs carries.
    pub limits: SessionLimits,
}

/// Which calls must be sealed, and who may have sessions.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Whether calls that are not sealed are refused.
    pub is_required: bool,
    /// Clients without a credential; refused if none.
    pub anonymous: Option<Anonymous>,
}

/// Who makes a sealed call: in the extensions of its request. The credential was good when the session began; whether it
/// still is, is for whoever authorises the call to look up.
#[derive(Clone, Debug)]
pub struct SealedCaller {
    /// The session.
    pub session: SessionId,
    /// What was proven when it began.
    pub credential: CredentialId,
    /// What the client was accepted as.
    pub principal: Name,
}

/// The sessions of a server.
pub struct Sessions {
    server: tyto_session::Server,
    admission: MemoryAdmission,
    policy: Policy,
    credentials: Arc<dyn Credentials>,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    sessions: HashMap<SessionId, Arc<ServerSession>>,
    by_end: BTreeSet<(u64, SessionId)>,
}

impl Table {
    fn insert(&mut self, session: ServerSession, now_ms: u64) {
        while let Some(&(end, id)) = self.by_end.first()
            && end <= now_ms
        {
            self.remove(id);
        }
        self.by_end.insert((session.expires_at_ms(), session.id()));
        self.sessions.insert(session.id(), Arc::new(session));
    }

    fn remove(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.remove(&id) {
            self.by_end.remove(&(session.expires_at_ms(), id));
        }
    }
}

impl Sessions {
    /// No session yet.
    pub fn new(
        server: tyto_session::Server,
        admission: MemoryAdmission,
        policy: Policy,
        credentials: Arc<dyn Credentials>,
    ) -> Self {
        Self { server, admission, policy, credentials, table: Mutex::default() }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // No step panics half-way.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many sessions there are, some of which may have expired.
    pub fn len(&self) -> usize {
        self.table().sessions.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Answers a `ClientHello`.
    ///
    /// # Errors
    /// As [`tyto_session::Server::answer`].
    pub fn answer(&self, hello: &[u8]) -> Result<(HelloAnswered, Vec<u8>), tyto_session::Error> {
        self.server.answer(hello, now_ms())
    }

    /// Accepts a client by its `ClientFinish`: the session begins, and the client is told.
    ///
    /// # Errors
    /// As the steps of the handshake.
    pub async fn accept(&self, state: HelloAnswered, finish: &[u8]) -> Result<Vec<u8>, tyto_session::Error> {
        let claim = state.receive(finish, now_ms())?;
        let accepted = match claim.credential() {
            CredentialId::None => {
                let anonymous = self.policy.anonymous.as_ref().ok_or(tyto_session::Error::ClientProof)?;
                let (principal, limits) = (anonymous.principal.clone(), anonymous.limits);
                claim.accept_anonymous(principal, limits, &self.admission, now_ms())
            }
            _ => self.accept_known(claim).await,
        }?;
        let mut table = self.table();
        accepted.displaced.into_iter().for_each(|id| table.remove(id));
        table.insert(accepted.session, now_ms());
        Ok(accepted.message)
    }

    async fn accept_known(&self, claim: Claim) -> Result<tyto_session::Acceptance, tyto_session::Error> {
        let known = self.credentials.find(claim.credential()).await;
        let verifier = known.as_ref().map_or(Verifier::Unknown, |known| known.verifier.as_ref());
        let authenticated = claim.verify(&verifier, now_ms())?;
        let Known { principal, limits, not_after_ms, .. } = known.ok_or(tyto_session::Error::ClientProof)?;
        authenticated.accept(principal, limits, not_after_ms, &self.admission, now_ms())
    }

    /// Opens the first record of a call, and admits it.
    fn admit(
        &self,
        method: &str,
        frame: Bytes,
    ) -> Result<(Arc<ServerSession>, AdmittedRpc<bytes::BytesMut>), Error> {
        let mut record = alone(frame);
        record.advance(PREFIX_BYTES);
        let id = session_of(&record)?;
        let unknown = tyto_session::Error::NotAdmitted(Refusal::UnknownSession);
        let session = self.table().sessions.get(&id).cloned().ok_or(unknown)?;
        let now_ms = now_ms();
        let rpc = session.receive(method, record, now_ms)?.admit(&self.admission, now_ms)?;
        if rpc.opened.kind != Kind::Head {
            return Err(Error::Stream { what: "it does not begin with a head" });
        }
        Ok((session, rpc))
    }
}

/// Opens the calls of sealed sessions, and seals their answers.
#[derive(Clone)]
pub struct SealedLayer(pub Arc<Sessions>);

impl<S> Layer<S> for SealedLayer {
    type Service = OpenedService<S>;

    fn layer(&self, inner: S) -> OpenedService<S> {
        OpenedService { inner, sessions: self.0.clone() }
    }
}

/// A service whose calls may be sealed.
#[derive(Clone)]
pub struct OpenedService<S> {
    inner: S,
    sessions: Arc<Sessions>,
}

impl<S> Service<Request<Body>> for OpenedService<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Future: Send, Error: Send> + Clone + Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let is_sealed = request.headers().contains_key(SEALED);
        if is_open(request.uri().path()) || !(is_sealed || self.sessions.policy.is_required) {
            return Box::pin(self.inner.call(request));
        }
        if !is_sealed {
            let status = Status::failed_precondition("this server takes calls in sealed sessions only");
            return Box::pin(ready(Ok(refuse(&status, Some(REQUIRED)))));
        }
        let spare = self.inner.clone();
        let inner = core::mem::replace(&mut self.inner, spare);
        Box::pin(serve(inner, self.sessions.clone(), request))
    }
}

async fn serve<S>(
    mut inner: S,
    sessions: Arc<Sessions>,
    request: Request<Body>,
) -> Result<Response<Body>, S::Error>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    let (mut parts, mut body) = request.into_parts();
    let mut frames = Frames::new(MAX_METADATA_BYTES + MAX_RECORD_OVERHEAD);
    let admitted = match tokio::time::timeout(HEAD_WAIT, first(&mut body, &mut frames)).await {
        Ok(Ok(Some(frame))) => sessions.admit(parts.uri.path(), frame),
        Ok(Ok(None)) | Err(_) => Err(tyto_session::Error::Truncated.into()),
        Ok(Err(error)) => Err(error),
    };
    let opened = admitted.and_then(|(session, rpc)| {
        let head = metadata::read(&rpc.first_record[rpc.opened.plaintext.clone()])?;
        Ok((session, rpc, head))
    });
    let (session, rpc, head) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            tracing::info!(method = parts.uri.path(), %error, "a sealed call is refused");
            return Ok(refused(&error));
        }
    };
    metadata::join(&mut parts.headers, head);
    parts.extensions.insert(SealedCaller {
        session: session.id(),
        credential: session.credential().clone(),
        principal: session.principal().clone(),
    });
    drop(session);
    frames.set_max_bytes(MAX_RECORD_BYTES + MAX_RECORD_OVERHEAD);
    let body = OpenBody::new(body, frames, rpc.requests, Side::Requests);
    let answer = inner.call(Request::from_parts(parts, Body::new(body))).await?;

    let (mut parts, body) = answer.into_parts();
    let sealed = metadata::split(&mut parts.headers);
    parts.headers.insert(SEALED, HeaderValue::from_static("1"));
    // An answer without messages has its status in the headers.
    let has_status = sealed.contains_key(Status::GRPC_STATUS);
    let (head, end) = if has_status { (HeaderMap::new(), sealed) } else { (sealed, HeaderMap::new()) };
    Ok(match SealBody::new(body, rpc.answers, &head, Ends::Answer(end)) {
        Ok(body) => Response::from_parts(parts, Body::new(body)),
        Err(error) => refused(&error),
    })
}

/// What the client is told when its call was not opened: whether another session would help, and nothing else.
fn refused(error: &Error) -> Response<Body> {
    use tyto_session::Error::{NotAdmitted, OtherSession, SessionExhausted, SessionExpired};
    let starts_over = matches!(
        error,
        Error::Session(
            SessionExpired
                | SessionExhausted
                | OtherSession
                | NotAdmitted(Refusal::UnknownSession | Refusal::Exhausted)
        )
    );
    let status = Status::new(Code::Unavailable, "the sealed call was not opened");
    refuse(&status, starts_over.then_some(START_OVER))
}

fn refuse(status: &Status, refusal: Option<&'static str>) -> Response<Body> {
    let mut answer = Response::new(Body::empty());
    let headers = answer.headers_mut();
    headers.insert(tonic::codegen::http::header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    // Code and text are our own, and are headers.
    let _ = status.add_header(headers);
    if let Some(refusal) = refusal {
        headers.insert(REFUSAL, HeaderValue::from_static(refusal));
    }
    answer
}
