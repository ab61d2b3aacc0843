use crate::{
    domain::account::{Device, Password, Session, SessionId},
    service::{Service, SessionTokens},
};
use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use kernel::{Id, Time};
use serde::{Deserialize, Serialize};
use users_api::Tokens as _;
use web::{Body, Caller, Paged, Problem, Reply};

/// An address and its password.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credentials {
    #[schema(max_length = 254)]
    email: String,
    #[schema(max_length = 256)]
    password: String,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Refresh {
    #[schema(max_length = 128)]
    refresh_token: String,
}

/// The access token goes into `Authorization: Bearer`; the refresh token works once.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Tokens)]
pub(crate) struct TokensBody {
    access_token: String,
    token_type: &'static str,
    /// Seconds.
    expires_in: u64,
    refresh_token: String,
}

impl From<SessionTokens> for TokensBody {
    fn from(SessionTokens { access, expires_in, refresh }: SessionTokens) -> Self {
        Self { access_token: access, token_type: "Bearer", expires_in, refresh_token: refresh }
    }
}

/// A place where one is signed in.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Session)]
pub(crate) struct SessionBody {
    #[schema(value_type = String)]
    id: SessionId,
    created_at: Time,
    used_at: Time,
    expires_at: Time,
    /// It is the session of the token that asks.
    current: bool,
}

/// Public keys (RFC 7517).
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Jwks {
    keys: Vec<Jwk>,
}

/// An Ed25519 key.
#[derive(Serialize, utoipa::ToSchema)]
struct Jwk {
    kty: &'static str,
    crv: &'static str,
    alg: &'static str,
    r#use: &'static str,
    kid: String,
    x: String,
}

/// Tokens are for their client alone: no cache keeps them.
fn private(status: u16, tokens: SessionTokens) -> HttpResponse {
    Reply::json(status, &TokensBody::from(tokens)).header("cache-control", "no-store").into()
}

pub(crate) async fn sign_in(service: Data<Service>, body: Body<Credentials>) -> Result<HttpResponse, Problem> {
    // An address that cannot be one is wrong in the same way, and as slowly, as one that nobody has.
    let tokens = service.sign_in(body.0.email.parse().ok(), Password::typed(&body.0.password)).await?;
    Ok(private(201, tokens))
}

pub(crate) async fn refresh(service: Data<Service>, body: Body<Refresh>) -> Result<HttpResponse, Problem> {
    Ok(private(200, service.refresh(&body.0.refresh_token).await?))
}

pub(crate) async fn list(service: Data<Service>, caller: Caller) -> Result<HttpResponse, Problem> {
    let mine = match &caller.call.principal {
        kernel::Principal::User(user) => Some(SessionId::from(user.session())),
        kernel::Principal::Anonymous | kernel::Principal::Guest(_) => None,
    };
    let body = |Session { id, created_at, used_at, expires_at }| SessionBody {
        id,
        created_at,
        used_at,
        expires_at,
        current: Some(id) == mine,
    };
    let items = service.sessions(&caller.call).await?.into_iter().map(body).collect();
    Ok(HttpResponse::Ok().json(Paged { items, next: None, count: None, count_capped: None }))
}

pub(crate) async fn sign_out(
    service: Data<Service>,
    caller: Caller,
    which: Path<String>,
) -> Result<HttpResponse, Problem> {
    let which = match which.as_str() {
        "current" => None,
        id => Some(id.parse::<Id<Device>>().map_err(|_| Problem::not_found())?),
    };
    service.sign_out(&caller.call, which).await?;
    Ok(HttpResponse::NoContent().finish())
}

pub(crate) async fn jwks(service: Data<Service>, caller: Caller) -> Result<HttpResponse, Problem> {
    let keys = service.keys(&caller.call, ()).await?;
    let keys = keys.into_iter().map(|key| Jwk {
        kty: "OKP",
        crv: "Ed25519",
        alg: "EdDSA",
        r#use: "sig",
        kid: key.id,
        x: URL_SAFE_NO_PAD.encode(key.key),
    });
    Ok(HttpResponse::Ok().insert_header(("cache-control", "public, max-age=60")).json(Jwks { keys: keys.collect() }))
}
