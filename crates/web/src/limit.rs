//! How often one client may try credentials: a guess costs time, and guessing costs more than it gives.
//!
//! Counted in this process, by address. Behind a proxy the address is the last one of `X-Forwarded-For`, when the proxy
//! is one that the operator trusts; otherwise a client could name itself as it likes.
use crate::Problem;
use actix_web::{
    HttpRequest, HttpResponse, ResponseError,
    http::header::{HeaderMap, HeaderName, HeaderValue},
    web::Data,
};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter, clock::Clock, middleware::StateInformationMiddleware};
use kernel::Code;
use std::{net::IpAddr, num::NonZeroU32, sync::Arc};

type Limiter = governor::RateLimiter<
    IpAddr,
    governor::state::keyed::DefaultKeyedStateStore<IpAddr>,
    governor::clock::DefaultClock,
    StateInformationMiddleware,
>;

/// So many tries a minute and address; shared by every thread of a listener.
#[derive(Clone)]
pub struct Tries(Arc<Inner>);

struct Inner {
    limiter: Limiter,
    per_minute: NonZeroU32,
    trusted: Vec<IpAddr>,
    clock: governor::clock::DefaultClock,
}

/// Addresses that are remembered before old ones are forgotten.
const REMEMBERED: usize = 10_000;

impl Tries {
    /// `None` when nothing is limited.
    pub fn new(per_minute: u32, trusted: Vec<IpAddr>) -> Option<Self> {
        let per_minute = NonZeroU32::new(per_minute)?;
        let limiter: DefaultKeyedRateLimiter<IpAddr> = RateLimiter::keyed(Quota::per_minute(per_minute));
        let limiter = limiter.with_middleware::<StateInformationMiddleware>();
        Some(Self(Arc::new(Inner { limiter, per_minute, trusted, clock: governor::clock::DefaultClock::default() })))
    }

    fn client(&self, request: &HttpRequest) -> Option<IpAddr> {
        let peer = request.peer_addr()?.ip();
        if !self.0.trusted.contains(&peer) {
            return Some(peer);
        }
        let forwarded = request.headers().get_all("x-forwarded-for").last().and_then(|value| value.to_str().ok());
        forwarded.and_then(|all| all.rsplit(',').next()?.trim().parse().ok()).or(Some(peer))
    }

    /// What the answer must say of the limit, or the answer that refuses.
    fn take(&self, client: IpAddr) -> Result<Vec<(HeaderName, HeaderValue)>, HttpResponse> {
        let Inner { limiter, per_minute, clock, .. } = &*self.0;
        if limiter.len() > REMEMBERED {
            limiter.retain_recent();
        }
        match limiter.check_key(&client) {
            Ok(state) => Ok(headers(per_minute.get(), state.remaining_burst_capacity(), 60)),
            Err(until) => {
                let wait = until.wait_time_from(clock.now());
                let mut answer = Problem::from(Code::TooManyRequests).retry_after(wait).error_response();
                put(answer.headers_mut(), headers(per_minute.get(), 0, wait.as_secs() + 1));
                Err(answer)
            }
        }
    }
}

/// IETF's RateLimit fields: the policy, and what is left of it.
fn headers(per_minute: u32, left: u32, seconds: u64) -> Vec<(HeaderName, HeaderValue)> {
    let value = |text: String| HeaderValue::from_str(&text).expect("digits and quotes are a header");
    vec![
        (HeaderName::from_static("ratelimit-policy"), value(format!("\"tries\";q={per_minute};w=60"))),
        (HeaderName::from_static("ratelimit"), value(format!("\"tries\";r={left};t={seconds}"))),
    ]
}

pub(crate) fn put(into: &mut HeaderMap, headers: Vec<(HeaderName, HeaderValue)>) {
    headers.into_iter().for_each(|(name, value)| drop(into.insert(name, value)));
}

/// One try of whoever asks; nothing where nothing is limited.
pub(crate) fn try_one(request: &HttpRequest) -> Result<Vec<(HeaderName, HeaderValue)>, HttpResponse> {
    let tries = request.app_data::<Data<Option<Tries>>>().and_then(|tries| tries.as_ref().as_ref());
    match tries.and_then(|tries| Some((tries, tries.client(request)?))) {
        Some((tries, client)) => tries.take(client),
        None => Ok(Vec::new()),
    }
}
