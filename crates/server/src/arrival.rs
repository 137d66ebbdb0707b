//! When calls arrive, so that their wait can be told.

use std::task::{Context, Poll};
use std::time::Instant;
use tonic::Extensions;
use tonic::codegen::{Service, http};
use tower_layer::Layer;

/// When the server first knew of a call: its headers were read, its body was not.
#[derive(Clone, Copy)]
pub(crate) struct Arrival(Instant);

impl Arrival {
    /// The arrival of a call, or now if it did not come through the transport.
    pub(crate) fn of(extensions: &Extensions) -> Instant {
        extensions.get::<Self>().map_or_else(Instant::now, |arrival| arrival.0)
    }
}

/// Notes the arrival of every call.
#[derive(Clone, Copy)]
pub(crate) struct ArrivalLayer;

impl<S> Layer<S> for ArrivalLayer {
    type Service = NoteArrival<S>;

    fn layer(&self, inner: S) -> NoteArrival<S> {
        NoteArrival { inner, made: Instant::now() }
    }
}

/// The service of one call.
pub(crate) struct NoteArrival<S> {
    inner: S,
    made: Instant,
}

impl<S: Clone> Clone for NoteArrival<S> {
    /// The transport makes a clone for each call as soon as it has read the call's headers, and calls it when the call's
    /// task first runs: the wait for that is part of what is measured.
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), made: Instant::now() }
    }
}

impl<S: Service<http::Request<B>>, B> Service<http::Request<B>> for NoteArrival<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: http::Request<B>) -> Self::Future {
        request.extensions_mut().insert(Arrival(self.made));
        self.inner.call(request)
    }
}
