//! The way to a domain that runs elsewhere: bytes there and back, compiled once for every method of every trait.
use crate::{
    pool::{Dial, Place, Pool, Seat},
    retry::{Breaker, Budget},
    serve::Raw,
    status,
};
use bytes::Bytes;
use guard::lost;
use http::uri::PathAndQuery;
use kernel::{Call, Effect, Failure, Peer, Spec};
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;
use tonic::{Request, client::Grpc};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

/// How patient a caller is with a domain that runs elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Tries of a call that may be repeated, the first included.
    pub tries: u32,
    /// What part of a further try each call earns, in hundredths.
    pub retry_percent: u32,
    /// Failures in a row after which a domain is left alone,
    pub breaker_failures: u32,
    /// and for how long.
    pub breaker_pause: Duration,
    /// How often names are resolved anew.
    pub resolve: Duration,
}

/// One module's way to a domain.
pub struct Link {
    pool: Arc<Pool>,
    breaker: Breaker,
    budget: Budget,
    tries: u32,
}

/// A try that had less time than this says nothing of the callee when it comes back too late.
const FAIR: Duration = Duration::from_millis(500);

/// What became of one try.
enum Sent {
    Answered(Bytes),
    /// The callee itself said so: it is there.
    Refused(Failure),
    /// It did not come back from there.
    Broken(Failure),
    /// It never left, or had too little time to tell anything of the callee.
    Untold(Failure),
}

impl Link {
    /// On the runtime that this is called on. Connects when it is first used.
    pub fn open(place: Place, dial: Dial, settings: Settings) -> Arc<Self> {
        Arc::new(Self {
            pool: Pool::open(place, dial, settings.resolve),
            breaker: Breaker::new(settings.breaker_failures, settings.breaker_pause),
            budget: Budget::new(settings.retry_percent),
            tries: settings.tries,
        })
    }

    /// The domain at its other end.
    pub fn callee(&self) -> &'static str {
        self.pool.dial().callee
    }

    /// The module that it speaks for.
    pub fn peer(&self) -> &Peer {
        &self.pool.dial().peer
    }

    pub(crate) async fn send(
        &self,
        path: &'static str,
        spec: &Spec,
        call: &Call,
        body: Bytes,
    ) -> Result<Bytes, Failure> {
        metrics::counter!("cleave_remote_calls_total", "service" => spec.service, "method" => spec.method).increment(1);
        self.budget.earn();
        let tries = if spec.effect == Effect::once { 1 } else { self.tries };
        let mut failure = Failure::UNAVAILABLE;
        for tried in 1..=tries {
            if let Err(pause) = self.breaker.admit() {
                return Err(worse(failure, Failure::Unavailable { retry_after: Some(pause) }));
            }
            let sent = self.send_once(path, spec, call, body.clone()).await;
            match &sent {
                Sent::Answered(_) | Sent::Refused(_) => self.note(true),
                Sent::Broken(_) => self.note(false),
                Sent::Untold(_) => (),
            }
            let decided = match sent {
                Sent::Answered(answer) => return Ok(answer),
                Sent::Refused(why) | Sent::Broken(why) | Sent::Untold(why) => why,
            };
            failure = worse(failure, decided);
            let pause = match decided {
                Failure::Denied => break,
                Failure::Unavailable { retry_after: Some(after) } => after,
                Failure::Unavailable { retry_after: None } | Failure::Unknown => Duration::from_millis(10 << tried),
            };
            let in_time = call.time_left().is_some_and(|left| left > pause);
            if tried == tries || !in_time || !self.budget.spend() {
                break;
            }
            metrics::counter!("cleave_remote_retries_total", "service" => spec.service, "method" => spec.method)
                .increment(1);
            tokio::time::sleep(pause).await;
        }
        Err(failure)
    }

    fn note(&self, came_back: bool) {
        if self.breaker.note(came_back) {
            let domain = self.callee();
            match came_back {
                true => tracing::info!(domain, "it answers again"),
                false => tracing::warn!(domain, "it is left alone for a while: call after call did not come back"),
            }
        }
    }

    async fn send_once(&self, path: &'static str, spec: &Spec, call: &Call, body: Bytes) -> Sent {
        let Some(left) = call.time_left() else { return Sent::Untold(Failure::UNAVAILABLE) };
        let Ok(seat) = timeout(left, self.pool.seat()).await else { return Sent::Broken(Failure::UNAVAILABLE) };
        let mut request = Request::new(body);
        if let Err(failure) = status::depart(call, request.metadata_mut()) {
            return Sent::Untold(failure);
        }
        // What is left now: the callee must not believe in time that was spent waiting for an address.
        let Some(left) = call.time_left() else { return Sent::Untold(Failure::UNAVAILABLE) };
        self.pool.dial().introduce(request.metadata_mut());
        request.set_timeout(left);
        let mut grpc = Grpc::new(seat.channel());
        let sent = async {
            if let Err(error) = grpc.ready().await {
                self.failed(&seat, &tonic::Status::from_error(error.into()));
                return Sent::Broken(Failure::UNAVAILABLE);
            }
            match grpc.unary(request, PathAndQuery::from_static(path), Raw).await {
                Ok(answer) => Sent::Answered(answer.into_inner()),
                Err(status) => {
                    let failure = status::failure(spec, &status);
                    if status::is_ours(&status) {
                        return Sent::Refused(failure);
                    }
                    self.failed(&seat, &status);
                    Sent::Broken(failure)
                }
            }
        };
        let late = if left < FAIR { Sent::Untold(lost(spec)) } else { Sent::Broken(lost(spec)) };
        timeout(left, sent).await.unwrap_or(late)
    }

    fn failed(&self, seat: &Seat, status: &tonic::Status) {
        seat.failed();
        tracing::debug!(domain = self.callee(), why = status::why(status), "a call did not come back");
    }

    /// Asks whether `service` is served there. `Err` says why not, for an operator.
    pub async fn probe(&self, service: &str, patience: Duration) -> Result<(), String> {
        let asked = async {
            let seat = self.pool.seat().await;
            let mut request = Request::new(HealthCheckRequest { service: service.to_owned() });
            self.pool.dial().introduce(request.metadata_mut());
            let answer = HealthClient::new(seat.channel()).check(request).await;
            match answer.map(|answer| answer.into_inner().status()) {
                Ok(ServingStatus::Serving) => Ok(()),
                Ok(_) => Err("it says that it is not serving".to_owned()),
                Err(status) if status.code() == tonic::Code::NotFound => Err(format!("it does not serve {service}")),
                Err(status) => {
                    seat.failed();
                    Err(status::why(&status))
                }
            }
        };
        timeout(patience, asked).await.unwrap_or_else(|_| Err("no answer in time".to_owned()))
    }
}

/// A later refusal does not undo what an earlier try may have done.
fn worse(before: Failure, now: Failure) -> Failure {
    if before == Failure::Unknown { before } else { now }
}
