//! Who calls, and whether the route is theirs to call: decided before anything of the body is read.
use crate::{
    Edge, Problem,
    limit::{self, Try},
};
use actix_web::{
    Error, FromRequest, HttpMessage, HttpRequest, ResponseError,
    body::BoxBody,
    dev::{Payload, ServiceRequest, ServiceResponse},
    middleware::Next,
    web::Data,
};
use guard::{Unverified, Verify};
use kernel::{Call, CartKey, Code, Needs, Principal, token::Rejected};
use sha2::{Digest, Sha256};
use std::{
    future::{Ready, ready},
    sync::Arc,
    time::Duration,
};

/// How long a request may take, all of its calls included.
#[derive(Clone, Copy, Debug)]
pub struct Patience(pub Duration);

/// The admitted caller of a handler.
#[derive(Clone)]
pub struct Caller {
    pub call: Call,
    /// The cart whose token was shown, whether or not the caller is signed in as well.
    pub cart: Option<CartKey>,
}

impl FromRequest for Caller {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let admitted = request.extensions().get::<Self>().cloned();
        ready(admitted.ok_or_else(|| Problem::internal("a handler outside the table of routes asked who calls")))
    }
}

/// Stands before the handler of a route that needs `needs`.
pub(crate) async fn admit(
    needs: Needs,
    tries: bool,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let Try { headers, refused } = if tries { limit::try_one(request.request()) } else { Try::default() };
    let admitted = match refused {
        Some(problem) => Err(problem),
        None => caller(needs, request.request()).await,
    };
    let mut answer = match admitted {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.call(request).await?
        }
        Err(problem) => request.into_response(problem.error_response()),
    };
    limit::put(answer.headers_mut(), headers);
    Ok(answer)
}

async fn caller(needs: Needs, request: &HttpRequest) -> Result<Caller, Problem> {
    let verify = request
        .app_data::<Data<dyn Verify>>()
        .map(|data| Arc::clone(data))
        .ok_or_else(|| Problem::internal("no verifier is configured"))?;
    let Patience(patience) =
        *request.app_data::<Patience>().ok_or_else(|| Problem::internal("nobody said how long a request may take"))?;
    let cart = cart_key(request)?;
    let principal = match (bearer(request)?, cart) {
        (Some(token), _) => Principal::User(verify.verify(token).await.map_err(refused)?),
        (None, Some(cart)) => Principal::Guest(cart),
        (None, None) => Principal::Anonymous,
    };
    let now = verify.clock().now();
    if !guard::holds(needs, &principal, now) {
        return Err(match principal {
            // It was good when it was verified, a moment ago.
            Principal::User(user) if !user.live(now) => Code::TokenExpired.into(),
            Principal::User(_) => Code::Forbidden.into(),
            Principal::Anonymous | Principal::Guest(_) => Code::Unauthenticated.into(),
        });
    }
    let trace = request.extensions().get::<Edge>().map(|edge| edge.trace);
    let trace = trace.ok_or_else(|| Problem::internal("a route stands outside the edge"))?;
    Ok(Caller { call: Call::begin(principal, trace, patience), cart })
}

fn bearer(request: &HttpRequest) -> Result<Option<&str>, Problem> {
    let Some(header) = request.headers().get("authorization") else { return Ok(None) };
    let token = header.to_str().ok().and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    token
        .map(Some)
        .ok_or_else(|| Problem::new(Code::InvalidToken, "The Authorization header must be: Bearer <access token>."))
}

fn cart_key(request: &HttpRequest) -> Result<Option<CartKey>, Problem> {
    let Some(header) = request.headers().get("x-cart-token") else { return Ok(None) };
    let plain = header.to_str().ok().filter(|text| (1..=128).contains(&text.len()));
    let token = plain.ok_or_else(|| Problem::new(Code::InvalidHeader, "X-Cart-Token is not a cart's token."))?;
    Ok(Some(CartKey(Sha256::digest(token).into())))
}

fn refused(why: Unverified) -> Problem {
    match why {
        Unverified::Rejected(Rejected::Expired) => Code::TokenExpired.into(),
        Unverified::Rejected(Rejected::UnknownKey | Rejected::Invalid) => Code::InvalidToken.into(),
        Unverified::Failure(failure) => failure.into(),
    }
}
