//! The gRPC handlers: messages to domain types, a call of a service, and back.

mod admin;
mod attest;
mod gallery;
mod matching;
mod session;

pub(crate) use admin::AdminHandler;
pub(crate) use attest::AttestHandler;
pub(crate) use gallery::GalleryHandler;
pub(crate) use matching::MatchingHandler;
pub(crate) use session::SessionHandler;

use crate::Error;
use crate::app::App;
use crate::status::{code, status};
use futures_util::Stream;
use std::pin::Pin;
use std::time::{Duration, Instant};
use tonic::{Code, Response, Status, Streaming};
use tyto_api::limits::MAX_MESSAGE_BYTES;

/// A stream of answers.
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Runs a call: counts and logs it, and makes a status of its error.
async fn call<T>(
    app: &App,
    method: &'static str,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<Response<T>, Status> {
    let started = Instant::now();
    let result = work.await;
    finish(app, method, started, result.as_ref().err());
    result.map(Response::new).map_err(|error| status(method, &error))
}

/// Counts and logs the end of a call. One that succeeded is in the counters; a line for each would cost as much as a
/// verification.
fn finish(app: &App, method: &'static str, started: Instant, error: Option<&Error>) {
    let (elapsed, code) = (started.elapsed(), error.map_or(Code::Ok, code));
    app.metrics.call(method, code, elapsed);
    let elapsed_us = elapsed.as_micros() as u64;
    if code == Code::Ok {
        tracing::debug!(method, elapsed_us, "call");
    } else {
        tracing::info!(method, code = crate::metrics::name(code), elapsed_us, "call");
    }
}

/// The next message of a request stream; an error if the caller is silent for too long.
async fn next<T>(app: &App, stream: &mut Streaming<T>) -> Result<Option<T>, Error> {
    let idle_s = app.config.limits.idle_stream_s;
    match tokio::time::timeout(Duration::from_secs(idle_s), stream.message()).await {
        Ok(message) => message.map_err(|status| match status.code() {
            Code::OutOfRange => Error::MessageTooLarge { max_bytes: MAX_MESSAGE_BYTES },
            Code::Internal => Error::MessageUndecodable,
            _ => Error::Broken(Box::new(status)),
        }),
        Err(_) => Err(Error::StreamIdle { idle_s }),
    }
}

/// The same for a stream that has no end of its own: it ends when the server shuts down.
async fn next_until_drained<T>(app: &App, stream: &mut Streaming<T>) -> Result<Option<T>, Error> {
    tokio::select! {
        // A message that is there is taken even then.
        biased;
        message = next(app, stream) => message,
        () = app.drained() => Err(Error::Draining),
    }
}
