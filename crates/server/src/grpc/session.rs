//! Handshakes of sealed sessions.

use crate::app::App;
use crate::grpc::Answers;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status, Streaming};
use tyto_api::proto::session::v1::handshake_request::Message as Received;
use tyto_api::proto::session::v1::handshake_response::Message as Sent;
use tyto_api::proto::session::v1::refusal::Reason;
use tyto_api::proto::session::v1::session_service_server::SessionService;
use tyto_api::proto::session::v1::{HandshakeRequest, HandshakeResponse, Refusal};
use tyto_session::{Error, MAX_HANDSHAKE_MS, Refusal as NotAdmitted};

/// Handshakes.
pub(crate) struct SessionHandler(pub(crate) Arc<App>);

/// As it is counted.
const METHOD: &str = "Handshake";

type Answer = Result<HandshakeResponse, Status>;

#[tonic::async_trait]
impl SessionService for SessionHandler {
    type HandshakeStream = Answers<HandshakeResponse>;

    async fn handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        let (send, answers) = mpsc::channel(2);
        match self.0.handshakes.clone().try_acquire_owned() {
            Ok(permit) => {
                let handshake = handshake(self.0.clone(), request.into_inner(), send, permit);
                tokio::spawn(handshake);
            }
            Err(_) => _ = send.try_send(Ok(refusal(Reason::Busy, 0))),
        }
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }
}

async fn handshake(
    app: Arc<App>,
    requests: Streaming<HandshakeRequest>,
    send: mpsc::Sender<Answer>,
    _permit: OwnedSemaphorePermit,
) {
    let began = Instant::now();
    let limit = Duration::from_millis(MAX_HANDSHAKE_MS);
    let result = tokio::time::timeout(limit, steps(&app, requests, &send)).await;
    let error = match result {
        Ok(Ok(())) => return app.metrics.call(METHOD, Code::Ok, began.elapsed()),
        Ok(Err(error)) => error,
        Err(_) => Error::HandshakeExpired,
    };
    app.metrics.call(METHOD, Code::Unauthenticated, began.elapsed());
    // Detail is for the log; the other side learns that there is no session.
    tracing::info!(%error, "a handshake failed");
    let told = match error {
        Error::OtherSuite { best } => refusal(Reason::OtherSuite, best.id()),
        Error::NotAdmitted(NotAdmitted::Full | NotAdmitted::Undecided) => refusal(Reason::Busy, 0),
        _ => refusal(Reason::NoSession, 0),
    };
    // Nobody may be there any more.
    let _ = send.send(Ok(told)).await;
}

async fn steps(
    app: &App,
    mut requests: Streaming<HandshakeRequest>,
    send: &mpsc::Sender<Answer>,
) -> Result<(), Error> {
    let Some(Received::ClientHello(hello)) = next(&mut requests).await else {
        return Err(Error::Truncated);
    };
    let (state, hello) = app.sessions.answer(&hello)?;
    say(send, Sent::ServerHello(hello.into())).await?;
    let Some(Received::ClientFinish(finish)) = next(&mut requests).await else {
        return Err(Error::Truncated);
    };
    let accepted = app.sessions.accept(state, &finish).await?;
    say(send, Sent::Accepted(accepted.into())).await
}

async fn next(requests: &mut Streaming<HandshakeRequest>) -> Option<Received> {
    requests.message().await.ok().flatten()?.message
}

async fn say(send: &mpsc::Sender<Answer>, message: Sent) -> Result<(), Error> {
    let message = HandshakeResponse { message: Some(message) };
    send.send(Ok(message)).await.map_err(|_| Error::Truncated)
}

fn refusal(reason: Reason, suite: u16) -> HandshakeResponse {
    let refusal = Refusal { reason: reason.into(), suite: suite.into() };
    HandshakeResponse { message: Some(Sent::Refusal(refusal)) }
}
