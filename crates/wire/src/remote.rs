//! The caller's end.
use crate::{Link, Malformed, Rpc};
use guard::{Limits, Outbound, lost};
use kernel::{Call, CallError, Handle, Invoke, Method, Outcome};
use prost::Message;
use std::{marker::PhantomData, sync::Arc};

/// Whatever has an rpc in `W`'s .proto, carried out at the other end of a link.
pub struct Remote<W> {
    link: Arc<Link>,
    wire: PhantomData<fn() -> W>,
}

impl<M: Method, W: Rpc<M>> Invoke<M> for Remote<W> {
    async fn invoke(&self, call: Call, request: M::Request) -> Outcome<M> {
        let body = crate::put::<W, M::Request, W::In>(request).encode_to_vec().into();
        let reply = self.link.send(W::PATH, M::SPEC, &call, body).await?;
        let message = W::Out::decode(reply).map_err(|error| Malformed(error.to_string()));
        match message.and_then(crate::get::<W, Result<M::Answer, M::Error>, _>) {
            Ok(outcome) => outcome.map_err(CallError::Domain),
            // A newer version's, most likely: what it did is done, what it said is lost.
            Err(malformed) => {
                tracing::error!(path = W::PATH, %malformed, "an answer that this version cannot read");
                Err(lost(M::SPEC).into())
            }
        }
    }
}

/// The trait `T` of another process, as the module that `link` speaks for may use it.
pub fn remote<T: Handle<Outbound<Remote<W>>> + ?Sized, W>(link: &Arc<Link>, limits: Limits) -> Arc<T> {
    let next = Remote { link: Arc::clone(link), wire: PhantomData };
    T::handle(Outbound::new::<T>(next, link.peer().clone(), limits))
}
