//! The callee's end: one tonic service a trait, its routes found by walking the trait's methods.
//!
//! In this order: is the peer listed for the trait; is its token believed; can the request be read; then `Inbound`.
use crate::{
    Malformed, Rpc,
    listen::{Origin, PEER},
    status,
};
use bytes::{Buf, BufMut, Bytes};
use guard::{Inbound, Verify};
use kernel::{Call, CallError, Contract, Each, Failure, Invoke, Method, Peer, To, Visit};
use prost::Message;
use std::{
    collections::HashMap,
    convert::Infallible,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tonic::{
    Request, Response, Status,
    body::Body,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    server::{Grpc, NamedService},
};
use tracing::Instrument;

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type Handler = Box<dyn Fn(Call, Bytes) -> Boxed<Result<Bytes, Status>> + Send + Sync>;

/// The largest message that is read.
const MESSAGE: usize = 4 << 20;

/// Collects a handler for each method that [`Each`] shows.
pub struct Routes<W, I> {
    handlers: HashMap<&'static str, Handler>,
    invoke: I,
    wire: PhantomData<fn() -> W>,
}

impl<M: Method, W: Rpc<M>, I: Invoke<M> + Clone> Visit<M> for Routes<W, I> {
    fn visit(&mut self) {
        let invoke = self.invoke.clone();
        let handler: Handler = Box::new(move |call, body| {
            let invoke = invoke.clone();
            let (peer, trace) = (call.peer().0.clone(), format!("{:032x}", call.trace.0));
            let span = tracing::info_span!("serve", service = M::SPEC.service, method = M::SPEC.method, %peer, trace);
            let work = async move {
                let message = W::In::decode(body).map_err(|error| Malformed(error.to_string()));
                let read = message.and_then(crate::get::<W, M::Request, _>);
                let request = read.map_err(|malformed| Status::invalid_argument(malformed.to_string()))?;
                let outcome = invoke.invoke(status::keyed(call, M::key(&request)), request).await;
                let outcome = match outcome.map_err(CallError::split) {
                    Ok(answer) => Ok(answer),
                    Err(Ok(domain)) => Err(domain),
                    Err(Err(failure)) => return Err(status::refusal(failure)),
                };
                Ok(crate::put::<W, Result<M::Answer, M::Error>, W::Out>(outcome).encode_to_vec().into())
            };
            Box::pin(work.instrument(span))
        });
        self.handlers.insert(W::PATH, handler);
    }
}

/// What every service of a process shares.
#[derive(Clone)]
pub(crate) struct Admission {
    pub verify: Arc<dyn Verify>,
    /// The longest that a peer may ask a call to take.
    pub longest: Duration,
}

/// A trait as tonic serves it.
pub(crate) struct Served<T: ?Sized>(Arc<Shared>, PhantomData<fn() -> Box<T>>);

struct Shared {
    service: &'static str,
    handlers: HashMap<&'static str, Handler>,
    lists: Box<dyn Fn(&Peer) -> bool + Send + Sync>,
    admission: Admission,
}

impl<T: ?Sized> Clone for Served<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0), PhantomData)
    }
}

pub(crate) fn served<T, W>(inbound: Inbound<To<T>>, admission: Admission) -> Served<T>
where
    T: Each<Routes<W, Inbound<To<T>>>> + ?Sized,
    W: 'static,
{
    let lists = inbound.clone();
    let mut routes = Routes { handlers: HashMap::new(), invoke: inbound, wire: PhantomData };
    T::each(&mut routes);
    let lists = Box::new(move |peer: &Peer| lists.lists(peer));
    let shared = Shared { service: T::SERVICE, handlers: routes.handlers, lists, admission };
    Served(Arc::new(shared), PhantomData)
}

impl<T: Contract + ?Sized> NamedService for Served<T> {
    const NAME: &'static str = T::SERVICE;
}

impl Shared {
    /// Who calls, when it may call this trait: asked before anything that it sends is read.
    fn peer(&self, request: &http::Request<Body>) -> Option<Peer> {
        let origin = request.extensions().get::<Origin>()?;
        let said = || request.headers().get(PEER)?.to_str().ok().map(Peer::from);
        let peer = if origin.encrypted { origin.peer.clone() } else { said() };
        let listed = peer.clone().filter(|peer| (self.lists)(peer));
        if listed.is_none() {
            let peer = peer.as_ref().map_or("nobody", |peer| &*peer.0);
            tracing::warn!(service = self.service, peer, address = %origin.address, "call denied");
        }
        listed
    }

    async fn answer(&self, path: &str, peer: Peer, request: Request<Bytes>) -> Result<Response<Bytes>, Status> {
        let handler = self.handlers.get(path).ok_or_else(|| Status::unimplemented("no such method"))?;
        let Admission { verify, longest } = &self.admission;
        let call = status::arrive(request.metadata(), peer, &**verify, *longest).await.map_err(status::refusal)?;
        handler(call, request.into_inner()).await.map(Response::new)
    }
}

impl<T: Contract + ?Sized> tower::Service<http::Request<Body>> for Served<T> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Boxed<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let shared = Arc::clone(&self.0);
        let Some(peer) = shared.peer(&request) else {
            let refused = status::refusal(Failure::Denied).into_http();
            return Box::pin(async move { Ok(refused) });
        };
        Box::pin(async move {
            let path = request.uri().path().to_owned();
            let answer = tower::service_fn(move |request: Request<Bytes>| {
                let (shared, peer, path) = (Arc::clone(&shared), peer.clone(), path.clone());
                async move { shared.answer(&path, peer, request).await }
            });
            Ok(Grpc::new(Raw).max_decoding_message_size(MESSAGE).unary(answer, request).await)
        })
    }
}

/// gRPC frames around bytes that are already a message.
#[derive(Clone, Copy)]
pub(crate) struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;
    fn encoder(&mut self) -> Self {
        *self
    }
    fn decoder(&mut self) -> Self {
        *self
    }
}
impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;
    fn encode(&mut self, item: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(item);
        Ok(())
    }
}
impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;
    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}
