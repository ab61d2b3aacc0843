//! A POST that changes the shop: its body, and how it is remembered when it carries an `Idempotency-Key`.
use crate::{
    Caller, Problem, Reply, body,
    edge::{current_request_id, within},
};
use actix_web::{FromRequest, HttpMessage, HttpRequest, HttpResponse, dev::Payload};
use bytes::Bytes;
use database::once::{Kept, Once};
use futures_util::future::LocalBoxFuture;
use kernel::{Code, Principal};
use serde::de::DeserializeOwned;
use std::{
    future::{Ready, ready},
    sync::Arc,
};

/// The `Idempotency-Key` of a request, or that it has none.
pub struct Keyed {
    key: Option<String>,
    /// Caller, method and path.
    scope: String,
}

impl FromRequest for Keyed {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(key(request).and_then(|key| Ok(Self { key, scope: scope(request)? })))
    }
}

impl Keyed {
    /// How the answer is kept: rendered by `reply` in the transaction of its effect. `request` is what another request
    /// with the same key must be equal to: its body, or a hash of it.
    pub fn once<A: 'static>(
        &self,
        request: &[u8],
        reply: impl Fn(&A) -> Reply + Send + Sync + 'static,
    ) -> Remembered<A> {
        // What is kept is rendered by a thread of the database, which knows no request.
        let id = current_request_id();
        let reply: Arc<dyn Fn(&A) -> Reply + Send + Sync> = Arc::new(move |answer| within(&id, || reply(answer)));
        let once = self.key.as_ref().map_or_else(Once::unkeyed, |key| {
            let reply = Arc::clone(&reply);
            Once::keyed(key, &self.scope, request, move |answer| reply(answer).to_bytes())
        });
        Remembered { once, reply }
    }
}

/// The JSON body of a POST, with its key.
pub struct Post<T> {
    pub body: T,
    bytes: Bytes,
    keyed: Keyed,
}

impl<T: DeserializeOwned + 'static> FromRequest for Post<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;
    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let keyed = Keyed::from_request(request, payload);
        let read = body::read(request, payload);
        Box::pin(async move {
            let (keyed, bytes) = (keyed.await?, read.await?);
            // A POST without a body may carry one of no members.
            let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
            Ok(Self { body: body::parse(text)?, bytes, keyed })
        })
    }
}

impl<T> Post<T> {
    /// As [`Keyed::once`], for this body.
    pub fn once<A: 'static>(&self, reply: impl Fn(&A) -> Reply + Send + Sync + 'static) -> Remembered<A> {
        self.keyed.once(&self.bytes, reply)
    }
}

/// Hands the service what it must keep and turns what it kept into an answer.
pub struct Remembered<A> {
    once: Once<A>,
    reply: Arc<dyn Fn(&A) -> Reply + Send + Sync>,
}

impl<A> Remembered<A> {
    pub fn handle(&self) -> Once<A> {
        self.once.clone()
    }
    pub fn answer(&self, kept: Kept<A>) -> HttpResponse {
        match kept {
            Kept::Fresh(answer) => (self.reply)(&answer).into(),
            Kept::Replayed(bytes) => match Reply::from_bytes(&bytes) {
                Some(reply) => reply.header("idempotent-replayed", "true").into(),
                None => actix_web::ResponseError::error_response(&Problem::internal("a kept answer cannot be read")),
            },
        }
    }
}

fn key(request: &HttpRequest) -> Result<Option<String>, Problem> {
    let Some(header) = request.headers().get("idempotency-key") else { return Ok(None) };
    let anonymous = matches!(caller(request)?.call.principal, Principal::Anonymous);
    let shortest = if anonymous { 16 } else { 1 };
    let fits = |key: &&str| (shortest..=255).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic());
    let key = header.to_str().ok().filter(fits);
    let detail = || format!("Idempotency-Key must have {shortest} to 255 visible ASCII characters.");
    key.map(|key| Some(key.to_owned())).ok_or_else(|| Problem::new(Code::InvalidHeader, detail()))
}

fn scope(request: &HttpRequest) -> Result<String, Problem> {
    let who = match caller(request)?.call.principal {
        Principal::User(user) => format!("user {}", user.subject()),
        Principal::Guest(cart) => format!("cart {:?}", cart.0),
        Principal::Anonymous => "anonymous".to_owned(),
    };
    Ok(format!("{who} {} {}", request.method(), request.path()))
}

fn caller(request: &HttpRequest) -> Result<Caller, Problem> {
    let admitted = request.extensions().get::<Caller>().cloned();
    admitted.ok_or_else(|| Problem::internal("a handler outside the table of routes asked who calls"))
}
