//! The layers under which the RPCs of Tyto travel in sealed sessions: [`Sealed`] around a client's channel, and
//! [`SealedLayer`] around a server's routes. Neither callers nor services know of them.
//!
//! A call that is sealed is valid gRPC for whoever stands between, and says nothing but its method, its deadline and its
//! sizes: each record lies in a frame of its own, the HTTP headers are the same for all calls, and the status in the outer
//! trailers is 0. Headers, messages, status and trailers of the call are in the records. `docs/formats/session.md` has the
//! bytes, `tyto-session` the cryptography.
//!
//! Handshakes, health and reflection are never sealed ([`is_open`]).

mod body;
mod client;
mod clock;
mod error;
mod frames;
mod metadata;
mod server;
#[cfg(test)]
mod tests;

pub use client::{Handshake, Keys, Sealed, Sessions as ClientSessions, Transport};
pub use clock::now_ms;
pub use error::Error;
pub use server::{
    Anonymous, Credentials, Known, OpenedService, OwnedVerifier, Policy, SealedCaller, SealedLayer, Sessions,
};

use tonic::codegen::http::HeaderName;

/// A header of calls that are sealed, and of their answers.
pub const SEALED: HeaderName = HeaderName::from_static("tyto-sealed");

/// A header of answers that are not: what the server asks of the client.
pub const REFUSAL: HeaderName = HeaderName::from_static("tyto-sealed-refusal");

/// Value of [`REFUSAL`]: nothing is known of the session, and another is needed.
pub(crate) const START_OVER: &str = "start-over";

/// Value of [`REFUSAL`]: the call must be sealed.
pub(crate) const REQUIRED: &str = "required";

/// What travels as it is: it must work before there is a session, or says nothing that needs one.
const OPEN: [&str; 3] = ["/grpc.health.", "/grpc.reflection.", "/tyto.session."];

/// Whether calls of this method path are never sealed.
pub fn is_open(method: &str) -> bool {
    OPEN.iter().any(|prefix| method.starts_with(prefix))
}
