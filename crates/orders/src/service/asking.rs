//! Asking somebody outside in the name of a process: within its lease, and again while the outcome is unknown.
use super::{Error, Service};
use crate::{
    domain::order::Order,
    payments::Asked,
    points::Point,
    store::processes::{self, Held},
};
use database::Conn;
use kernel::{Call, CallError, Failure};
use orders_api::OrderId;
use products_api::ReservationId;
use std::{
    future::Future,
    time::{Duration, Instant},
};

/// How often an unknown outcome is asked for again by one driver.
const ASKS: usize = 3;
/// How long the worker leaves alone what it could not end, at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The order's id is the reservation's too.
pub(super) fn reservation(order: OrderId) -> ReservationId {
    ReservationId::from(*order.uuid())
}

/// What an order's provider is asked about.
pub(super) fn asked(order: &Order) -> Result<Asked, Error> {
    let payment = order.payment.as_ref().ok_or(Error::Unreadable)?;
    Ok(payment.asked(order.id, order.created_at))
}

/// The same call for one step: a process outlives the request that began it, but no step its lease.
pub(super) fn for_step(call: &Call, held: Held) -> Call {
    let mut call = call.clone();
    call.deadline = held.until;
    call
}

/// What was answered, and whether an earlier try of the same may be under way yet.
pub(super) struct Answered<T, E> {
    pub said: Result<T, CallError<E>>,
    pub doubtful: bool,
}

/// Asks again, with the same key, while the outcome is unknown. Once it was, a later refusal says nothing of the first
/// try: it stays unknown.
pub(super) async fn answered_how<T, E, F: Future<Output = Result<T, CallError<E>>>>(
    until: Instant,
    ask: impl Fn() -> F,
) -> Answered<T, E> {
    let in_time = || async { tokio::time::timeout_at(until.into(), ask()).await.unwrap_or(Err(CallError::Unknown)) };
    let said = in_time().await;
    if !matches!(said, Err(CallError::Unknown)) {
        return Answered { said, doubtful: false };
    }
    for _ in 1..ASKS {
        if Instant::now() >= until {
            break;
        }
        match in_time().await {
            Err(CallError::Unknown | CallError::Unavailable { .. } | CallError::Denied) => (),
            said => return Answered { said, doubtful: true },
        }
    }
    Answered { said: Err(CallError::Unknown), doubtful: true }
}

/// [`answered_how`], for what is the same however often it was asked.
pub(super) async fn answered<T, E, F: Future<Output = Result<T, CallError<E>>>>(
    until: Instant,
    ask: impl Fn() -> F,
) -> Result<T, CallError<E>> {
    answered_how(until, ask).await.said
}

/// The same of a payment provider, which has no errors of its own beside its words.
pub(super) async fn told<T, F: Future<Output = Result<T, Failure>>>(
    until: Instant,
    ask: impl Fn() -> F,
) -> Result<T, Failure> {
    let ask = || async { ask().await.map_err(CallError::from) };
    answered::<T, std::convert::Infallible, _>(until, ask).await.map_err(failure)
}

/// What is left of an error that is none of the domain's.
pub(super) fn failure(error: CallError<std::convert::Infallible>) -> Failure {
    match error.split() {
        Ok(never) => match never {},
        Err(failure) => failure,
    }
}

impl Service {
    /// Frees what is held for an order, or makes sure that nothing will be.
    pub(super) async fn release(&self, call: &Call, held: Held) -> Result<(), CallError<products_api::ReleaseError>> {
        let call = for_step(call, held);
        let said = answered(held.until, || self.neighbours.stock.release(&call, reservation(held.order))).await;
        match held.task {
            crate::domain::process::Task::Cancel => Point::CancelReleased.reach(),
            _ => Point::Released.reach(),
        }
        said
    }

    /// The outcome of a step stays unknown: the worker asks again, soon at first, then more and more seldom.
    pub(super) async fn put_down(&self, held: Held, turn: i64) -> Failure {
        let pause = match held.tries {
            0 => Duration::ZERO,
            tries => Duration::from_secs(1 << (tries - 1).clamp(0, 5)).min(LONGEST_PAUSE),
        };
        let unit = move |tx: &mut Conn| processes::put_down(tx, held, turn, pause);
        if let Err(error) = self.db.write(unit).await {
            tracing::warn!(order = %held.order, %error, "a process waits for the end of its lease");
        }
        Failure::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    type Said = Result<u8, CallError<&'static str>>;

    /// What comes of these outcomes, one a try.
    fn outcome(said: &[Said]) -> Said {
        let left = RefCell::new(said.iter().rev().cloned().collect::<Vec<_>>());
        let until = Instant::now() + Duration::from_secs(60);
        let asked =
            answered(until, || std::future::ready(left.borrow_mut().pop().expect("asked no more often than this")));
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(asked)
    }

    #[test]
    fn an_outcome_that_was_unknown_once_is_never_called_undone() {
        let unavailable = || Err(CallError::Unavailable { retry_after: None });
        assert_eq!(outcome(&[Ok(1)]), Ok(1));
        assert_eq!(outcome(&[unavailable()]), unavailable(), "surely without effect: not asked again");
        assert_eq!(outcome(&[Err(CallError::Unknown), Ok(2)]), Ok(2));
        assert_eq!(outcome(&[Err(CallError::Unknown), Err(CallError::Domain("no"))]), Err(CallError::Domain("no")));
        assert_eq!(outcome(&[Err(CallError::Unknown), unavailable(), Ok(3)]), Ok(3));
        assert_eq!(outcome(&[Err(CallError::Unknown), unavailable(), Err(CallError::Denied)]), Err(CallError::Unknown));
    }

    #[test]
    fn what_does_not_answer_in_time_is_unknown_and_not_asked_again() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let asked = RefCell::new(0);
        let said: Said = runtime.block_on(answered(Instant::now(), || {
            *asked.borrow_mut() += 1;
            std::future::pending()
        }));
        assert_eq!((said, *asked.borrow()), (Err(CallError::Unknown), 1));
    }
}
