//! The connection, and when a call is repeated.

use crate::credential::Bearer;
use crate::{Config, Error};
use bytes::Bytes;
use prost::Message;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Response, Status, Streaming};
use tyto_api::limits::{MAX_CHUNK_BYTES, MAX_MESSAGE_BYTES};
use tyto_api::proto::admin::v1::admin_service_client::AdminServiceClient;
use tyto_api::proto::attest::v1::ListKeysRequest;
use tyto_api::proto::attest::v1::attest_service_client::AttestServiceClient;
use tyto_api::proto::gallery::v1::gallery_service_client::GalleryServiceClient;
use tyto_api::proto::gallery::v1::{ProvisionRequest, ProvisionResponse};
use tyto_api::proto::matching::v1::matching_service_client::MatchingServiceClient;
use tyto_pqc::random;
use tyto_sealed::Sealed;
use tyto_session::{KeyId, Name, SessionId, Suite};

/// Bytes in flight per stream and per connection: the answer to an identification among a million templates fits.
const STREAM_WINDOW_BYTES: u32 = 8 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 32 << 20;
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// The first pause before a repetition; it doubles up to the longest.
const FIRST_PAUSE_MS: u64 = 100;
const LONGEST_PAUSE_MS: u64 = 3_000;
/// Longest text of a server that an error keeps.
const MAX_STATUS_CHARS: usize = 300;

/// A connection whose calls are sealed if they are to be, and else carry the credential.
type Authorised = InterceptedService<Sealed<Channel>, Bearer>;

/// The services, over two connections.
#[derive(Clone, Debug)]
pub(crate) struct Rpc {
    pub(crate) admin: AdminServiceClient<Authorised>,
    pub(crate) attest: AttestServiceClient<Authorised>,
    pub(crate) gallery: GalleryServiceClient<Authorised>,
    pub(crate) matching: MatchingServiceClient<Authorised>,
    call_timeout: Duration,
    idle_timeout: Duration,
    max_attempts: u32,
}

/// Where the server is, and how it is spoken with.
fn endpoint(config: &Config) -> Result<Endpoint, Error> {
    let bad = || Error::Endpoint { endpoint: config.endpoint.clone() };
    if !config.endpoint.starts_with("http://") {
        return Err(bad());
    }
    Ok(Endpoint::from_shared(config.endpoint.clone())
        .map_err(|_| bad())?
        .connect_timeout(config.connect_timeout)
        .tcp_nodelay(true)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE))
}

async fn connect(config: &Config, endpoint: &Endpoint) -> Result<Channel, Error> {
    let failed = |error| Error::Connect { endpoint: config.endpoint.clone(), reason: deepest(&error) };
    endpoint.connect().await.map_err(failed)
}

/// What a handshake and a call under it showed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SessionPing {
    /// The session's id.
    pub session: SessionId,
    /// What the handshake agreed on.
    pub suite: Suite,
    /// The server that signed it.
    pub server: Name,
    /// Its key.
    pub key_id: KeyId,
    /// What the server takes the client for.
    pub principal: Name,
    /// How long the session lives from now, in milliseconds.
    pub lifetime_ms: u64,
    /// How many more calls it carries.
    pub calls_left: u32,
    /// From the first message of the handshake to the last.
    pub handshake: Duration,
    /// A sealed call and its answer.
    pub call: Duration,
}

/// Makes a session, and a call in it: what the server signs with.
///
/// # Errors
/// [`Error::NotSealed`] if the configuration has no servers that are trusted for it; [`Error::Endpoint`],
/// [`Error::Connect`], [`Error::Session`], [`Error::Rpc`], [`Error::Timeout`].
pub async fn ping(config: &Config) -> Result<SessionPing, Error> {
    let sealed = config.sealed.as_ref().ok_or(Error::NotSealed)?;
    let channel = connect(config, &endpoint(config)?).await?;
    let sessions = Arc::new(sealed.sessions(config.credential.as_ref()));
    let made = sessions.handshake(channel.clone()).await.map_err(Error::Session)?;
    sessions.set(made.session.clone()).await;
    let mut attest = AttestServiceClient::new(Sealed::new(channel, Some(sessions)));
    let began = Instant::now();
    let call = within("ListKeys", config.call_timeout, attest.list_keys(ListKeysRequest::default()));
    call.await?.map_err(rpc("ListKeys"))?;
    let session = made.session;
    Ok(SessionPing {
        session: session.id(),
        suite: session.suite(),
        server: session.server().clone(),
        key_id: session.server_key_id(),
        principal: session.principal().clone(),
        lifetime_ms: session.expires_at_ms().saturating_sub(tyto_sealed::now_ms()),
        calls_left: session.rpcs_left(),
        handshake: made.elapsed,
        call: began.elapsed(),
    })
}

impl Rpc {
    pub(crate) async fn connect(config: &Config) -> Result<Self, Error> {
        let endpoint = endpoint(config)?;
        let channel = connect(config, &endpoint).await?;
        let credential = config.credential.as_ref();
        let sessions = config.sealed.as_ref().map(|sealed| Arc::new(sealed.sessions(credential)));
        // A session proves the credential without sending it.
        let bearer = Bearer::new(credential.filter(|_| sessions.is_none()));
        let seal = |channel| Sealed::new(channel, sessions.clone());
        let channel = seal(channel);
        let admin = AdminServiceClient::with_interceptor(channel.clone(), bearer.clone())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        let attest = AttestServiceClient::with_interceptor(channel.clone(), bearer.clone())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        let gallery = GalleryServiceClient::with_interceptor(channel, bearer.clone())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        // On a connection of its own: an identification that waits for a synchronisation must not hold up its window.
        let matching = MatchingServiceClient::with_interceptor(seal(endpoint.connect_lazy()), bearer)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        Ok(Self {
            admin,
            attest,
            gallery,
            matching,
            call_timeout: config.call_timeout,
            idle_timeout: config.idle_timeout,
            max_attempts: config.max_attempts.max(1),
        })
    }

    pub(crate) fn max_attempts(&self) -> u32 {
        self.max_attempts
    }

    /// Waits for the one answer of a call.
    pub(crate) async fn answer<T>(
        &self,
        call: &'static str,
        future: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, Error> {
        within(call, self.call_timeout, future).await?.map(Response::into_inner).map_err(rpc(call))
    }

    /// Makes a call, and again the same way if it fails for a reason that may pass.
    pub(crate) async fn repeat<T, F>(
        &self,
        call: &'static str,
        mut attempt: impl FnMut(Self) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let mut attempts = 1;
        loop {
            match self.answer(call, attempt(self.clone())).await {
                Err(error) if error.is_transient() && attempts < self.max_attempts => {
                    tracing::debug!(call, attempts, "the call is repeated");
                    pause(attempts).await;
                    attempts += 1;
                }
                done => return done,
            }
        }
    }

    /// The next message of a streamed answer.
    pub(crate) async fn next<T>(
        &self,
        call: &'static str,
        stream: &mut Streaming<T>,
    ) -> Result<Option<T>, Error> {
        within(call, self.idle_timeout, stream.message()).await?.map_err(rpc(call))
    }

    /// Waits for a task that makes a call, as long as a call may take.
    pub(crate) async fn within_call<T>(
        &self,
        call: &'static str,
        task: impl Future<Output = T>,
    ) -> Result<T, Error> {
        within(call, self.call_timeout, task).await
    }

    /// Makes a provisioning call; whoever feeds the stream sees to its time-out.
    pub(crate) async fn provision(
        &self,
        call: &'static str,
        parts: ReceiverStream<ProvisionRequest>,
    ) -> Result<ProvisionResponse, Error> {
        let mut gallery = self.gallery.clone();
        gallery.provision(parts).await.map(Response::into_inner).map_err(rpc(call))
    }

    /// Hands one message of an upload to the transport; false if the call is over.
    pub(crate) async fn feed<T>(
        &self,
        call: &'static str,
        sender: &tokio::sync::mpsc::Sender<T>,
        message: T,
    ) -> Result<bool, Error> {
        Ok(within(call, self.idle_timeout, sender.send(message)).await?.is_ok())
    }
}

async fn within<T>(call: &'static str, limit: Duration, future: impl Future<Output = T>) -> Result<T, Error> {
    timeout(limit, future).await.map_err(|_| Error::Timeout { call, seconds: limit.as_secs() })
}

/// Pauses before repetition number `attempts`, a random half of it so that clients do not come back together.
pub(crate) async fn pause(attempts: u32) {
    let longest = (FIRST_PAUSE_MS << attempts.min(10)).min(LONGEST_PAUSE_MS);
    let [byte] = random::bytes().unwrap_or([128]);
    sleep(Duration::from_millis(longest / 2 + longest * u64::from(byte) / 512)).await;
}

fn rpc(call: &'static str) -> impl Fn(Status) -> Error {
    move |status| {
        let plain = status.message().chars().filter(|c| !c.is_control()).take(MAX_STATUS_CHARS);
        Error::Rpc { call, code: status.code(), message: plain.collect() }
    }
}

fn deepest(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

impl Error {
    /// Whether the call may succeed if it is made again. Says nothing about whether it had an effect.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Timeout { .. } | Self::Connect { .. } => true,
            Self::Rpc { code, .. } => matches!(
                code,
                Code::Unavailable
                    | Code::Unknown
                    | Code::Internal
                    | Code::Cancelled
                    | Code::Aborted
                    | Code::DeadlineExceeded
                    | Code::ResourceExhausted
            ),
            _ => false,
        }
    }

    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Rpc { code: Code::NotFound, .. })
    }
}

/// The pieces of an upload from `offset` on, each with the number of bytes that precede it. Nothing is copied.
pub(crate) fn chunks(bytes: &Bytes, offset: u64) -> impl Iterator<Item = (u64, Bytes)> + use<> {
    /// Leaves room for a few chunks in the stream's window.
    const CHUNK_BYTES: usize = 512 << 10;
    const { assert!(CHUNK_BYTES <= MAX_CHUNK_BYTES) };
    let bytes = bytes.clone();
    let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
    (start..bytes.len()).step_by(CHUNK_BYTES).map(move |at| {
        let end = (at + CHUNK_BYTES).min(bytes.len());
        (at as u64, bytes.slice(at..end))
    })
}

/// Bytes of a message as it is sent, without gRPC's five bytes of framing.
pub(crate) fn size(message: &impl Message) -> u64 {
    message.encoded_len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_the_rest_of_an_upload_exactly_once() {
        let bytes = Bytes::from((0..2_000_000_u32).map(|i| i as u8).collect::<Vec<_>>());
        for start in [0, 1, 524_288, 1_999_999, 2_000_000] {
            let mut at = start;
            for (offset, piece) in chunks(&bytes, start) {
                assert_eq!(offset, at);
                assert_eq!(piece, bytes[offset as usize..][..piece.len()]);
                assert!(!piece.is_empty() && piece.len() <= MAX_CHUNK_BYTES);
                at += piece.len() as u64;
            }
            assert_eq!(at, bytes.len() as u64);
        }
        assert_eq!(chunks(&bytes, u64::MAX).count(), 0);
    }

    #[test]
    fn a_servers_text_cannot_reach_the_terminal_with_control_characters() {
        let status = Status::not_found(format!("no\u{1b}[31m such\n{}", "x".repeat(1000)));
        let Error::Rpc { message, .. } = rpc("Verify")(status) else { panic!("an Rpc error") };
        assert!(message.starts_with("no[31m suchx") && message.chars().count() == MAX_STATUS_CHARS);
    }
}
