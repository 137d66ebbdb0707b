//! Finds out who makes a call, before any of it is read.

use super::report;
use crate::Error;
use crate::app::App;
use crate::audit::Notes;
use crate::status::status;
use futures_util::future::{Either, Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};
use tonic::codegen::{Service, http};
use tower_layer::Layer;
use tyto_access::policy::{Scope, rule_of};
use tyto_access::{Caller, Denial};

/// Puts a [`Caller`] into the extensions of every call, unless a layer before has. A call that brings a wrong credential
/// ends here, and one that brings none where one is required, unless the table of rights has it open.
#[derive(Clone)]
pub(crate) struct AuthenticateLayer(pub(crate) Arc<App>);

impl<S> Layer<S> for AuthenticateLayer {
    type Service = Authenticate<S>;

    fn layer(&self, inner: S) -> Authenticate<S> {
        Authenticate { inner, app: self.0.clone() }
    }
}

/// The service of one call.
#[derive(Clone)]
pub(crate) struct Authenticate<S> {
    inner: S,
    app: Arc<App>,
}

impl<S, B, R> Service<http::Request<B>> for Authenticate<S>
where
    S: Service<http::Request<B>, Response = http::Response<R>>,
    R: Default,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<S::Response, S::Error>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: http::Request<B>) -> Self::Future {
        match authenticate(&self.app, &mut request) {
            Ok(()) => Either::Left(self.inner.call(request)),
            Err(denial) => {
                let status = status("Authenticate", &Error::Denied(denial));
                Either::Right(ready(Ok(status.into_http())))
            }
        }
    }
}

fn authenticate<B>(app: &App, request: &mut http::Request<B>) -> Result<(), Denial> {
    let method = request.uri().path().trim_start_matches('/');
    let open = rule_of(method).is_some_and(|rule| rule.scope == Scope::Open);
    if open || request.extensions().get::<Caller>().is_some() {
        return Ok(());
    }
    let caller = {
        let authority = request.uri().authority().map(http::uri::Authority::as_str);
        app.access.caller(authority, request.headers(), request.extensions())
    };
    match caller.and_then(|caller| caller.ok_or(Denial::NoCredential)) {
        Ok(caller) => {
            Notes::of(request.extensions()).caller(&caller);
            request.extensions_mut().insert(caller);
            Ok(())
        }
        Err(denial) => {
            // What is not in the table may be anything: it is not repeated in a log.
            let method = rule_of(method).map_or("unknown", |rule| rule.method);
            report::decided(app, request.extensions(), None, method, None, Some(denial));
            Err(denial)
        }
    }
}
