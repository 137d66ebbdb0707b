//! Handshakes with a running server, and how sessions follow each other.

use super::{Way, config, rig, sessions, start};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;
use tyto_api::proto::attest::v1::ListKeysRequest;
use tyto_api::proto::session::v1::handshake_request::Message as Sent;
use tyto_api::proto::session::v1::handshake_response::Message as Received;
use tyto_api::proto::session::v1::refusal::Reason;
use tyto_api::proto::session::v1::session_service_client::SessionServiceClient;
use tyto_api::proto::session::v1::{HandshakeRequest, HandshakeResponse};
use tyto_client::Client;
use tyto_session::{Credential, Name, Suite, Suites, TrustedServers};
use tyto_tests::rig::{Rig, keyring};

/// The messages of one handshake.
struct Talk {
    send: mpsc::Sender<HandshakeRequest>,
    answers: tonic::Streaming<HandshakeResponse>,
}

impl Talk {
    async fn with(rig: &Rig, hello: Vec<u8>) -> Self {
        let (send, requests) = mpsc::channel(4);
        let message = Some(Sent::ClientHello(hello.into()));
        send.send(HandshakeRequest { message }).await.unwrap();
        let mut service = SessionServiceClient::new(super::channel(rig).await);
        let answers = service.handshake(ReceiverStream::new(requests)).await.unwrap().into_inner();
        Self { send, answers }
    }

    async fn hears(&mut self) -> Received {
        self.answers.message().await.unwrap().unwrap().message.unwrap()
    }

    async fn server_hello(&mut self) -> Vec<u8> {
        match self.hears().await {
            Received::ServerHello(hello) => hello.to_vec(),
            other => panic!("{other:?}"),
        }
    }

    async fn says_finish(&mut self, finish: Vec<u8>) -> Received {
        let message = Some(Sent::ClientFinish(finish.into()));
        self.send.send(HandshakeRequest { message }).await.unwrap();
        self.hears().await
    }
}

fn is_refused(received: &Received, expected: Reason) -> bool {
    matches!(received, Received::Refusal(refusal) if refusal.reason() == expected)
}

fn now() -> u64 {
    tyto_sealed::now_ms()
}

fn one(rig: &Rig, suites: &[Suite]) -> tyto_session::Client {
    tyto_session::Client::new(rig.server.session_keys().clone(), Suites::new(suites).unwrap())
}

/// What the client says in one handshake is worth nothing in another, not even with the same hello.
#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_hello_leads_nowhere() {
    let rig = rig(|_| ()).await;
    let (client, hello) = one(&rig, &Suite::ALL).start(now()).unwrap();
    let mut first = Talk::with(&rig, hello.clone()).await;
    let answer = first.server_hello().await;
    let mut replayed = Talk::with(&rig, hello).await;
    let other = replayed.server_hello().await;
    assert_ne!(answer, other);
    let (client, finish) = client.receive(&answer, &Credential::None, now()).unwrap();
    // With the other session's id besides.
    let mut moved = finish.clone();
    moved[2..18].copy_from_slice(&other[36..52]);
    assert!(is_refused(&replayed.says_finish(moved).await, Reason::NoSession));
    let Received::Accepted(accepted) = first.says_finish(finish).await else { panic!("not accepted") };
    assert!(client.receive(&accepted, now()).is_ok());
}

/// One bit of each message, on its way in either direction.
#[tokio::test(flavor = "multi_thread")]
async fn an_altered_handshake_fails() {
    let rig = rig(|_| ()).await;
    let flip = |message: &[u8], at: usize| {
        let mut message = message.to_vec();
        let at = at * (message.len() - 1) / 4;
        message[at] ^= 1;
        message
    };
    for at in 0..5 {
        let (client, hello) = one(&rig, &Suite::ALL).start(now()).unwrap();
        let mut talk = Talk::with(&rig, flip(&hello, at)).await;
        match talk.hears().await {
            Received::ServerHello(answer) => {
                assert!(client.receive(&answer, &Credential::None, now()).is_err(), "hello {at}");
            }
            refusal => assert!(matches!(refusal, Received::Refusal(_)), "{refusal:?}"),
        }
        let (client, hello) = one(&rig, &Suite::ALL).start(now()).unwrap();
        let answer = Talk::with(&rig, hello).await.server_hello().await;
        assert!(client.receive(&flip(&answer, at), &Credential::None, now()).is_err(), "answer {at}");

        let (client, hello) = one(&rig, &Suite::ALL).start(now()).unwrap();
        let mut talk = Talk::with(&rig, hello).await;
        let answer = talk.server_hello().await;
        let (client, finish) = client.receive(&answer, &Credential::None, now()).unwrap();
        assert!(is_refused(&talk.says_finish(flip(&finish, at)).await, Reason::NoSession), "finish {at}");
        drop(client);

        let (client, hello) = one(&rig, &Suite::ALL).start(now()).unwrap();
        let mut talk = Talk::with(&rig, hello).await;
        let answer = talk.server_hello().await;
        let (client, finish) = client.receive(&answer, &Credential::None, now()).unwrap();
        let Received::Accepted(accepted) = talk.says_finish(finish).await else { panic!("not accepted") };
        assert!(client.receive(&flip(&accepted, at), now()).is_err(), "acceptance {at}");
    }
}

/// A key that is not the server's, a server that is not the one that is meant, and a service that is not.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_trusted_gets_no_call() {
    let (here, there) = (rig(|_| ()).await, rig(|_| ()).await);
    let key = tyto_pqc::mldsa::SigningKey::generate().unwrap().verifying_key().clone();
    let named = |audience: &str| TrustedServers::new(Name::new(audience).unwrap());
    let mut wrong_key = named("tyto");
    wrong_key.add(Name::new("tyto").unwrap(), key).unwrap();
    for trusted in [wrong_key, there.server.session_keys().clone(), named("tyto")] {
        let way = Way::with(&here, sessions(&trusted, &Suite::ALL)).await;
        let status = way.attest().list_keys(ListKeysRequest::default()).await.unwrap_err();
        assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
        assert!(way.between.bytes().is_empty(), "nothing was sent");
    }
    let way = Way::with(&here, sessions(&named("another service"), &Suite::ALL)).await;
    assert!(way.attest().list_keys(ListKeysRequest::default()).await.is_err());
}

/// The client's preference decides, and a refusal that was forged does not change it.
#[tokio::test(flavor = "multi_thread")]
async fn a_suite_cannot_be_downgraded() {
    let rig = rig(|_| ()).await;
    for suite in Suite::ALL {
        let sessions = sessions(rig.server.session_keys(), &[suite]);
        let made = sessions.handshake(super::channel(&rig).await).await.unwrap();
        assert_eq!(made.session.suite(), suite);
    }
    // As if somebody had said that the server knows no better one.
    let client = one(&rig, &[Suite::MlKem1024, Suite::MlKem768]);
    let (_, hello) = client.start_again(Suite::MlKem768, now()).unwrap();
    let heard = Talk::with(&rig, hello).await.hears().await;
    let Received::Refusal(refusal) = heard else { panic!("{heard:?}") };
    assert_eq!((refusal.reason(), refusal.suite), (Reason::OtherSuite, u32::from(Suite::MlKem1024.id())));
}

/// Sessions end by time and by count, and the next follows without the caller's notice.
#[tokio::test(flavor = "multi_thread")]
async fn sessions_follow_each_other() {
    let few = rig(|config| config.session.calls = 3).await;
    let way = Way::to(&few).await;
    let mut ids = std::collections::BTreeSet::new();
    for _ in 0..10 {
        way.attest().list_keys(ListKeysRequest::default()).await.unwrap();
        ids.insert(way.between.last().0[0][2..18].to_vec());
    }
    assert_eq!(ids.len(), 4, "three calls each");

    let short = rig(|config| config.session.lifetime_s = 5).await;
    let way = Way::to(&short).await;
    way.attest().list_keys(ListKeysRequest::default()).await.unwrap();
    let (expired, _) = way.between.last();
    tokio::time::sleep(std::time::Duration::from_millis(5100)).await;
    way.attest().list_keys(ListKeysRequest::default()).await.unwrap();
    assert_ne!(way.between.last().0[0][2..18], expired[0][2..18]);
}

/// A server that restarted knows no session: the call in hand fails, the next makes another.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_clients_start_over() {
    let mut rig = rig(|_| ()).await;
    let address = rig.server.local_addr();
    let mut settings = config(&rig, rig.endpoint());
    settings.max_attempts = 6;
    let client = Client::connect(settings, keyring()).await.unwrap();
    assert_eq!(client.galleries().await.unwrap().len(), 0);
    let directory = rig.directory;
    rig.server.shutdown().await.unwrap();
    let server = start(&directory, |config| config.listen = address).await;
    rig = Rig { server, directory };
    assert_eq!(client.galleries().await.unwrap().len(), 0, "repeated, in a new session");
    drop(rig);
}

/// One session for all calls of a client, however many begin at once.
#[tokio::test(flavor = "multi_thread")]
async fn calls_that_begin_together_share_a_session() {
    let rig = rig(|_| ()).await;
    let way = Way::to(&rig).await;
    let calls = (0..20).map(|_| {
        let mut attest = way.attest();
        tokio::spawn(async move { attest.list_keys(ListKeysRequest::default()).await.map(|_| ()) })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap().unwrap();
    }
    let made = way.sessions.handshake(super::channel(&rig).await).await.unwrap();
    assert_ne!(made.session.id().as_bytes(), &way.between.last().0[0][2..18], "this one is beside it");
}

/// What `tyto session ping` shows.
#[tokio::test(flavor = "multi_thread")]
async fn a_ping_says_what_was_agreed() {
    let rig = rig(|_| ()).await;
    let ping = tyto_client::ping(&config(&rig, rig.endpoint())).await.unwrap();
    assert_eq!(
        (ping.suite, ping.server.as_str(), ping.principal.as_str()),
        (Suite::MlKem768, "tyto", "anonymous")
    );
    assert_eq!(ping.calls_left, 4095);
    assert!(ping.lifetime_ms > 3_590_000 && ping.lifetime_ms <= 3_600_000);
    let text = rig.server.session_keys().to_text();
    assert!(text.contains(&ping.key_id.to_string()) && TrustedServers::parse(&text).is_ok());
    let mut unsealed = config(&rig, rig.endpoint());
    unsealed.sealed = None;
    assert!(matches!(tyto_client::ping(&unsealed).await, Err(tyto_client::Error::NotSealed)));
}

/// An API key authenticates a session by a MAC, and the calls in it: the key is never sent.
#[tokio::test(flavor = "multi_thread")]
async fn an_api_key_authenticates_a_session() {
    let directory = tempfile::TempDir::new().unwrap();
    let made = std::process::Command::new(env!("CARGO_BIN_EXE_tytod-under-test"))
        .args(["operator-key", "--name", "ada", "--data-dir"])
        .arg(directory.path().join("server"))
        .output()
        .unwrap();
    let text = String::from_utf8(made.stdout).unwrap();
    let key = tyto_access::ApiKey::parse(text.trim()).unwrap();
    let server = start(&directory, |config| config.access.required = true).await;
    let rig = Rig { server, directory };

    // Nobody in particular has a session and no rights in it.
    let way = Way::to(&rig).await;
    let status = way.attest().list_keys(ListKeysRequest::default()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated, "{status}");

    let with = |id: String, secret: &tyto_pqc::Secret32| {
        let client = one(&rig, &Suite::ALL);
        let key = std::sync::Arc::new(tyto_session::MacKey::derive(secret));
        let credential = Some((Name::new(&id).unwrap(), key));
        std::sync::Arc::new(tyto_sealed::ClientSessions::new(tyto_sealed::Keys { client, credential }))
    };
    let secret = key.session_secret();
    let way = Way::with(&rig, with(key.id().to_string(), &secret)).await;
    way.attest().list_keys(ListKeysRequest::default()).await.unwrap();
    let bytes = way.between.bytes();
    let digits = text.trim().rsplit('_').next().unwrap();
    assert!(!bytes.windows(16).any(|window| window == &digits.as_bytes()[..16]), "the key is not sent");
    // A wrong secret under the right id, and the right one under another.
    let wrong = tyto_pqc::Secret32::random().unwrap();
    for (id, secret) in [(key.id().to_string(), &wrong), ("00".repeat(8), &secret)] {
        let way = Way::with(&rig, with(id, secret)).await;
        assert!(way.attest().list_keys(ListKeysRequest::default()).await.is_err());
        assert!(way.between.bytes().is_empty(), "no call without a session");
    }
}
