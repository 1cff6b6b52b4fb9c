//! Two services on one socket, told apart by the first part of the call's path.
//!
//! tonic's own router does this for any number of services, at the price of axum.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use tonic::{
    body::Body,
    codegen::{Service, http},
    server::NamedService,
};

/// Hands each call to the service that its path names; to the first when it names neither, which
/// then answers that it is not implemented.
#[derive(Debug, Clone)]
pub struct Pair<A, B> {
    first: A,
    second: B,
}

impl<A, B> Pair<A, B> {
    /// Two services as one.
    pub fn new(first: A, second: B) -> Self {
        Self { first, second }
    }
}

impl<A: NamedService, B> NamedService for Pair<A, B> {
    const NAME: &'static str = A::NAME;
}

type Answer = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

impl<A, B> Service<http::Request<Body>> for Pair<A, B>
where
    A: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    A::Future: Send + 'static,
    B: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>
        + NamedService,
    B::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // Generated services are always ready; both are asked because the call is not known yet.
        match self.first.poll_ready(cx) {
            Poll::Ready(Ok(())) => self.second.poll_ready(cx),
            other => other,
        }
    }

    fn call(&mut self, request: http::Request<Body>) -> Answer {
        let service = request
            .uri()
            .path()
            .trim_start_matches('/')
            .split('/')
            .next();
        if service == Some(B::NAME) {
            Box::pin(self.second.call(request))
        } else {
            Box::pin(self.first.call(request))
        }
    }
}
