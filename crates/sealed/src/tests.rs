//! Both layers on each other, with no network between: who is known to a service, and when clients start over.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::codegen::http::{HeaderMap, Request, Response};
use tower_layer::Layer as _;
use tyto_pqc::Secret32;
use tyto_pqc::mldsa::SigningKey;
use tyto_session::{
    Client, Credential, CredentialId, MacKey, MemoryAdmission, Name, Room, Server, SessionLimits, Suites,
    TrustedServers,
};

use crate::server::OwnedVerifier;
use crate::*;

const METHOD: &str = "/tyto.test.v1.Test/Echo";

/// Answers with what it got, and remembers who called.
#[derive(Clone, Default)]
struct Echo(Arc<Mutex<Vec<Seen>>>);

/// Who called, and with which headers.
type Seen = (Option<SealedCaller>, HeaderMap);

impl Service<Request<Body>> for Echo {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (parts, body) = request.into_parts();
        self.0.lock().unwrap().push((parts.extensions.get().cloned(), parts.headers));
        let mut answer = Response::new(body);
        answer.headers_mut().insert("x-answered", "yes".parse().unwrap());
        Box::pin(async { Ok(answer) })
    }
}

/// API keys by id.
#[derive(Default)]
struct Keys(Mutex<HashMap<Name, Secret32>>);

impl Credentials for Keys {
    fn find<'a>(&'a self, id: &'a CredentialId) -> Pin<Box<dyn Future<Output = Option<Known>> + Send + 'a>> {
        let CredentialId::Mac(id) = id else { return Box::pin(async { None }) };
        let keys = self.0.lock().unwrap();
        let known = keys.get(id).map(|secret| Known {
            verifier: OwnedVerifier::Mac(MacKey::derive(secret)),
            principal: name("acme"),
            limits: SessionLimits::new(60, 3).unwrap(),
            not_after_ms: None,
        });
        Box::pin(async { known })
    }
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

struct World {
    sessions: Arc<Sessions>,
    keys: Arc<Keys>,
    client: Client,
    echo: Echo,
}

fn world(anonymous: bool) -> World {
    let key = SigningKey::generate().unwrap();
    let mut trusted = TrustedServers::new(name("service"));
    trusted.add(name("server"), key.verifying_key().clone()).unwrap();
    let server = Server::new(name("service"), name("server"), key, Suites::default()).unwrap();
    let admission =
        MemoryAdmission::new(Room { rpcs: 1000, rpcs_per_principal: 1000, sessions_per_principal: 2 })
            .unwrap();
    let limits = SessionLimits::new(60, 3).unwrap();
    let anonymous = anonymous.then(|| Anonymous { principal: name("anonymous"), limits });
    let keys = Arc::new(Keys::default());
    let policy = Policy { is_required: true, anonymous };
    let sessions = Arc::new(Sessions::new(server, admission, policy, keys.clone()));
    World { sessions, keys, client: Client::new(trusted, Suites::default()), echo: Echo::default() }
}

type Joined = Sealed<OpenedService<Echo>>;

impl World {
    async fn session(
        &self,
        credential: &Credential<'_>,
    ) -> Result<tyto_session::ClientSession, tyto_session::Error> {
        let (client, hello) = self.client.start(now_ms())?;
        let (server, hello) = self.sessions.answer(&hello)?;
        let (client, finish) = client.receive(&hello, credential, now_ms())?;
        let accepted = self.sessions.accept(server, &finish).await?;
        client.receive(&accepted, now_ms())
    }

    /// A channel that goes straight to the service, in this session.
    async fn channel(&self, session: tyto_session::ClientSession) -> Joined {
        let keys = client::Keys { client: self.client.clone(), credential: None };
        let sessions = Arc::new(ClientSessions::new(keys));
        sessions.set(Arc::new(session)).await;
        Sealed::new(SealedLayer(self.sessions.clone()).layer(self.echo.clone()), Some(sessions))
    }
}

fn request(messages: &[&[u8]]) -> Request<Body> {
    let framed: Vec<u8> =
        messages.iter().flat_map(|message| [&frames::prefix(message.len())[..], message].concat()).collect();
    let mut request = Request::new(Body::new(Full::new(Bytes::from(framed)).map_err(|never| match never {})));
    *request.uri_mut() = METHOD.parse().unwrap();
    request.headers_mut().insert("x-asked", "this".parse().unwrap());
    request
}

async fn call(channel: &mut Joined, messages: &[&[u8]]) -> Result<(HeaderMap, Vec<u8>, HeaderMap), Status> {
    let answer =
        channel.call(request(messages)).await.map_err(|error| *error.downcast::<Status>().unwrap())?;
    let (parts, body) = answer.into_parts();
    let collected = body.collect().await?;
    let trailers = collected.trailers().cloned().unwrap_or_default();
    Ok((parts.headers, collected.to_bytes().to_vec(), trailers))
}

#[tokio::test]
async fn messages_and_headers_arrive_as_they_were_sent() {
    let world = world(true);
    let mut channel = world.channel(world.session(&Credential::None).await.unwrap()).await;
    let long = vec![7; 3 << 20];
    let messages: [&[u8]; 5] = [b"", b"one", &long, &long[..70_000], b"last"];
    let (headers, echoed, trailers) = call(&mut channel, &messages).await.unwrap();
    let expected = request(&messages).into_body().collect().await.unwrap().to_bytes();
    assert!(echoed == expected, "{} bytes of {}", echoed.len(), expected.len());
    assert_eq!(headers.get("x-answered").unwrap(), "yes");
    // The service gave none.
    assert_eq!(trailers.get("grpc-status").unwrap(), "2");
    let (caller, headers) = world.echo.0.lock().unwrap().remove(0);
    assert_eq!(headers.get("x-asked").unwrap(), "this");
    let caller = caller.unwrap();
    assert_eq!((caller.credential, caller.principal), (CredentialId::None, name("anonymous")));
}

/// The service learns who calls, by whatever the session began with.
#[tokio::test]
async fn a_service_sees_the_credential_of_the_session() {
    let world = world(false);
    let secret = Secret32::random().unwrap();
    let (id, key) = (name("key-1"), MacKey::derive(&secret));
    let credential = Credential::Mac { id: &id, key: &key };
    let refused = |result: Result<_, _>| assert_eq!(result.err(), Some(tyto_session::Error::ClientProof));
    refused(world.session(&credential).await.map(|_| ()));
    world.keys.0.lock().unwrap().insert(id.clone(), secret);
    let mut channel = world.channel(world.session(&credential).await.unwrap()).await;
    call(&mut channel, &[b"one"]).await.unwrap();
    let (caller, _) = world.echo.0.lock().unwrap().remove(0);
    let caller = caller.unwrap();
    assert_eq!((caller.credential, caller.principal), (CredentialId::Mac(id.clone()), name("acme")));
    // A wrong key, an unknown one, and nobody where nobody may come in.
    let wrong = MacKey::derive(&Secret32::random().unwrap());
    refused(world.session(&Credential::Mac { id: &id, key: &wrong }).await.map(|_| ()));
    refused(world.session(&Credential::Mac { id: &name("key-2"), key: &key }).await.map(|_| ()));
    refused(world.session(&Credential::None).await.map(|_| ()));
}

/// A session that its principal's third has displaced, and one that is used up at the server.
#[tokio::test]
async fn a_session_that_is_unknown_is_forgotten() {
    let world = world(true);
    let mut oldest = world.channel(world.session(&Credential::None).await.unwrap()).await;
    call(&mut oldest, &[b"one"]).await.unwrap();
    for _ in 0..2 {
        world.session(&Credential::None).await.unwrap();
    }
    assert_eq!(world.sessions.len(), 2);
    let status = call(&mut oldest, &[b"one"]).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unavailable, "{status}");
    // The next call begins with a handshake, of which there is only an echo here.
    let status = call(&mut oldest, &[b"one"]).await.unwrap_err();
    assert!(status.message().contains("ServerHello"), "{status}");
    let calls = world.echo.0.lock().unwrap();
    assert_eq!(calls.iter().filter(|(caller, _)| caller.is_some()).count(), 1, "the first, and nothing else");
}
