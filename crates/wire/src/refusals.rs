//! Calls that cannot even be read: told, since nobody of this shop makes them.
//!
//! Tonic answers some of them before any service of ours is reached, so this stands before all of them. Who may not call,
//! or for whom, is told where it is decided.
use crate::listen::Origin;
use std::{
    pin::Pin,
    task::{Context, Poll},
};
use tonic::{Code, Status, body::Body};

#[derive(Clone, Copy)]
pub(crate) struct Refusals;

impl<S> tower::Layer<S> for Refusals {
    type Service = Told<S>;
    fn layer(&self, next: S) -> Told<S> {
        Told(next)
    }
}

#[derive(Clone)]
pub(crate) struct Told<S>(S);

impl<S> tower::Service<http::Request<Body>> for Told<S>
where
    S: tower::Service<http::Request<Body>, Response = http::Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let (origin, path) = (request.extensions().get::<Origin>().cloned(), request.uri().path().to_owned());
        let answering = self.0.call(request);
        Box::pin(async move {
            let answer = answering.await?;
            if let Some(status) = Status::from_header_map(answer.headers())
                && matches!(status.code(), Code::InvalidArgument | Code::OutOfRange | Code::Unimplemented)
            {
                let (peer, address) = origin.map(|origin| (origin.peer, origin.address)).unzip();
                let peer = peer.flatten();
                let peer = peer.as_ref().map_or("nobody", |peer| &*peer.0);
                tracing::warn!(path, peer, ?address, why = status.message(), "call refused");
            }
            Ok(answer)
        })
    }
}
