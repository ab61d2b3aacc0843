//! How often one client may try credentials: a guess costs time, and guessing costs more than it gives.
//!
//! Counted in this process, by address. Behind proxies that the operator trusts the address is the last one of
//! `X-Forwarded-For` that is no such proxy; otherwise a client could name itself as it likes.
use crate::Problem;
use actix_web::{
    HttpRequest,
    http::header::{HeaderMap, HeaderName, HeaderValue},
    web::Data,
};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter, clock::Clock, middleware::StateInformationMiddleware};
use kernel::Code;
use std::{
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

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
    seen: AtomicU32,
}

/// Tries after which addresses that have all of theirs again are forgotten.
const REMEMBERED: u32 = 10_000;

impl Tries {
    /// `None` when nothing is limited.
    pub fn new(per_minute: u32, trusted: Vec<IpAddr>) -> Option<Self> {
        let per_minute = NonZeroU32::new(per_minute)?;
        let limiter: DefaultKeyedRateLimiter<IpAddr> = RateLimiter::keyed(Quota::per_minute(per_minute));
        let limiter = limiter.with_middleware::<StateInformationMiddleware>();
        Some(Self(Arc::new(Inner {
            limiter,
            per_minute,
            trusted,
            clock: governor::clock::DefaultClock::default(),
            seen: AtomicU32::new(0),
        })))
    }

    fn client(&self, request: &HttpRequest) -> Option<IpAddr> {
        self.address(request).map(household)
    }

    fn address(&self, request: &HttpRequest) -> Option<IpAddr> {
        let peer = request.peer_addr()?.ip();
        if !self.0.trusted.contains(&peer) {
            return Some(peer);
        }
        let forwarded: Vec<&HeaderValue> = request.headers().get_all("x-forwarded-for").collect();
        let hops = forwarded.into_iter().rev().flat_map(|value| value.to_str().unwrap_or_default().rsplit(','));
        // What is no address was written by nobody who is trusted.
        let mut hops = hops.map_while(|hop| hop.trim().parse().ok());
        hops.find(|hop| !self.0.trusted.contains(hop)).or(Some(peer))
    }

    fn take(&self, client: IpAddr) -> Try {
        let Inner { limiter, per_minute, clock, .. } = &*self.0;
        // Old ones are forgotten now and then, since each look goes through all of them.
        if self.0.seen.fetch_add(1, Relaxed) % REMEMBERED == REMEMBERED - 1 {
            limiter.retain_recent();
        }
        match limiter.check_key(&client) {
            Ok(state) => {
                Try { headers: headers(per_minute.get(), state.remaining_burst_capacity(), 60), refused: None }
            }
            Err(until) => {
                let wait = until.wait_time_from(clock.now());
                let refused = Some(Problem::from(Code::TooManyRequests).retry_after(wait));
                Try { headers: headers(per_minute.get(), 0, wait.as_secs() + 1), refused }
            }
        }
    }
}

/// What became of a try: what the answer must say of the limit, and whether it is refused.
#[derive(Default)]
pub(crate) struct Try {
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) refused: Option<Problem>,
}

/// Whoever has an IPv6 address has 2^64 of them.
fn household(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        v4 => v4,
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
pub(crate) fn try_one(request: &HttpRequest) -> Try {
    let tries = request.app_data::<Data<Option<Tries>>>().and_then(|tries| tries.as_ref().as_ref());
    let asked = tries.and_then(|tries| Some(tries.take(tries.client(request)?)));
    asked.unwrap_or_default()
}
