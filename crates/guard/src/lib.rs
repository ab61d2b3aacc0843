//! Policy, once, for every method of every trait, local or remote.
//!
//! `caller -> Outbound -> (nothing, or a wire) -> Inbound -> service`. Both halves run on both paths, so policy cannot
//! exist on one only. It never looks into a request: whose an order is, the domain decides.
mod meter;
mod verify;

pub use verify::{Unverified, Verify};

use kernel::{
    Call, Clock, Contract, Effect, Failure, Handle, Invoke, Method, Needs, Outcome, Peer, Principal, Spec, Time, To,
};
use meter::Meters;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::Semaphore, time::timeout_at};
use tracing::Instrument;

const BUSY: Failure = Failure::Unavailable { retry_after: Some(Duration::from_secs(1)) };

/// How many calls at once. Beyond it a call is refused at once, without effect, rather than queued.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Per handle: what one module may ask of one trait at once.
    pub outbound: usize,
    /// Per trait: how much work at once, whoever asks.
    pub inbound: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { outbound: 512, inbound: 1024 }
    }
}

/// The caller's half: who calls, how long, how many at once, seen by whom.
pub struct Outbound<N> {
    next: N,
    peer: Peer,
    limit: Semaphore,
    meters: Meters,
}

impl<N> Outbound<N> {
    /// Before what carries out `T`'s methods.
    pub fn new<T: Contract + ?Sized>(next: N, peer: Peer, limits: Limits) -> Self {
        Self { next, peer, limit: Semaphore::new(limits.outbound), meters: Meters::of(T::METHODS) }
    }
}

impl<M: Method, N: Invoke<M>> Invoke<M> for Outbound<N> {
    async fn invoke(&self, call: Call, request: M::Request) -> Outcome<M> {
        let call = leave(call, M::SPEC, self.peer.clone(), M::key(&request))?;
        let _permit = self.limit.try_acquire().map_err(|_| BUSY)?;
        let span = tracing::debug_span!("call", service = M::SPEC.service, method = M::SPEC.method);
        let (started, deadline) = (Instant::now(), call.deadline);
        let outcome = match timeout_at(deadline.into(), self.next.invoke(call, request)).instrument(span).await {
            Ok(outcome) => outcome,
            Err(_) => Err(lost(M::SPEC).into()),
        };
        self.meters.record(M::SPEC, &outcome, started.elapsed());
        outcome
    }
}

/// The callee's half: may this peer, may this user, is there time; then the work, which a caller's hanging up does not
/// stop when it changes something.
#[derive(Clone)]
pub struct Inbound<N> {
    next: N,
    /// Who boundaries.toml lets call this trait.
    peers: Arc<[Peer]>,
    clock: Arc<dyn Clock>,
    /// Held by the work, not by who waits for it: hanging up makes no room.
    limit: Arc<Semaphore>,
}

impl<N> Inbound<N> {
    /// Whether `peer` may call this trait at all: a wire asks before it reads what the peer sends.
    pub fn lists(&self, peer: &Peer) -> bool {
        self.peers.contains(peer)
    }
}

impl<M: Method, N: Invoke<M> + Clone> Invoke<M> for Inbound<N> {
    async fn invoke(&self, call: Call, request: M::Request) -> Outcome<M> {
        admit(M::SPEC, &self.peers, &call, self.clock.now())?;
        let permit = Arc::clone(&self.limit).try_acquire_owned().map_err(|_| BUSY)?;
        let (next, deadline) = (self.next.clone(), call.deadline);
        let work = async move {
            let _permit = permit;
            next.invoke(call, request).await
        };
        let outcome = if M::SPEC.effect == Effect::read {
            timeout_at(deadline.into(), work).await.ok()
        } else {
            let task = tokio::spawn(work.in_current_span());
            // A panic is the callee's: the caller learns no more of it than across a wire.
            timeout_at(deadline.into(), task).await.ok().and_then(Result::ok)
        };
        outcome.unwrap_or_else(|| Err(lost(M::SPEC).into()))
    }
}

/// A hop leaves the callee less than the caller has, so that an answer at the last moment still arrives. Who the caller
/// acts for goes along only where the method asks for a user: the rest goes by the peer's right alone, and a token that
/// runs out on the way stops nothing. A guest's cart is the edge's matter and goes nowhere.
#[expect(clippy::disallowed_methods, reason = "a handle says which module it was handed to")]
fn leave(mut call: Call, spec: &Spec, peer: Peer, key: Option<kernel::Key>) -> Result<Call, Failure> {
    let left = call.time_left().ok_or(Failure::UNAVAILABLE)?;
    call.deadline -= (left / 20).min(Duration::from_millis(50));
    let for_a_user = matches!(spec.needs, Needs::User | Needs::Permission(_));
    if !(for_a_user && matches!(call.principal, Principal::User(_))) {
        call.principal = Principal::Anonymous;
    }
    Ok(call.from_peer(peer, key))
}

fn admit(spec: &Spec, peers: &[Peer], call: &Call, now: Time) -> Result<(), Failure> {
    if !peers.contains(call.peer()) || !holds(spec.needs, &call.principal, now) {
        tracing::warn!(service = spec.service, method = spec.method, peer = %call.peer().0, "call denied");
        return Err(Failure::Denied);
    }
    call.time_left().map(drop).ok_or(Failure::UNAVAILABLE)
}

/// Whether who calls holds what is needed: the same rule for a trait's method and for an HTTP route.
pub fn holds(needs: Needs, principal: &Principal, now: Time) -> bool {
    let user = match principal {
        Principal::User(user) => Some(user),
        Principal::Anonymous | Principal::Guest(_) => None,
    };
    match needs {
        Needs::Nothing | Needs::Peer => true,
        Needs::User => user.is_some_and(|user| user.live(now)),
        Needs::Permission(name) => user.is_some_and(|user| user.may(name, now)),
    }
}

/// What no answer means: a read surely changed nothing.
pub fn lost(spec: &Spec) -> Failure {
    match spec.effect {
        Effect::read => Failure::UNAVAILABLE,
        Effect::idempotent | Effect::once => Failure::Unknown,
    }
}

/// Puts the callee's half before a service, once a process: every handle to it shares the limit.
pub fn inbound<T: ?Sized>(service: Arc<T>, peers: &[Peer], clock: Arc<dyn Clock>, limits: Limits) -> Inbound<To<T>> {
    Inbound { next: To(service), peers: peers.into(), clock, limit: Arc::new(Semaphore::new(limits.inbound)) }
}

/// The service behind `inbound`, in this process, as `peer` sees it.
pub fn local<T: Handle<Outbound<Inbound<To<T>>>> + ?Sized>(
    peer: Peer,
    inbound: Inbound<To<T>>,
    limits: Limits,
) -> Arc<T> {
    T::handle(Outbound::new::<T>(inbound, peer, limits))
}
