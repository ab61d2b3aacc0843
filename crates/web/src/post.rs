//! A POST that changes the shop: its body, and how it is remembered when it carries an `Idempotency-Key`.
use crate::{Caller, Problem, Reply, body};
use actix_web::{FromRequest, HttpMessage, HttpRequest, HttpResponse, dev::Payload};
use bytes::Bytes;
use database::once::{Kept, Once};
use futures_util::future::LocalBoxFuture;
use kernel::{Code, Principal};
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// The body of a POST, with the key that makes a repeated request the same one.
pub struct Post<T> {
    pub body: T,
    request: Request,
}

struct Request {
    bytes: Bytes,
    key: Option<String>,
    /// Caller, method and path.
    scope: String,
}

impl<T: DeserializeOwned + 'static> FromRequest for Post<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;
    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (key, scope) = (key(request), scope(request));
        let read = body::read(request, payload);
        Box::pin(async move {
            let request = Request { key: key?, scope: scope?, bytes: read.await? };
            // A POST without a body may carry one of no members.
            let text: &[u8] = if request.bytes.is_empty() { b"{}" } else { &request.bytes };
            Ok(Self { body: body::parse(text)?, request })
        })
    }
}

impl<T> Post<T> {
    /// How the answer is kept: rendered by `reply` in the transaction of its effect.
    pub fn once<A: 'static>(&self, reply: impl Fn(&A) -> Reply + Send + Sync + 'static) -> Remembered<A> {
        let reply: Arc<dyn Fn(&A) -> Reply + Send + Sync> = Arc::new(reply);
        let Request { bytes, key, scope } = &self.request;
        let once = key.as_ref().map_or_else(Once::unkeyed, |key| {
            let reply = Arc::clone(&reply);
            Once::keyed(key, scope, bytes, move |answer| reply(answer).to_bytes())
        });
        Remembered { once, reply }
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
