//! Buying: what is asked for and what comes of it. [`attempt`](super::attempt) goes the steps.
use super::{
    Error, Service,
    attempt::{Run, undo},
    carts::refusal,
};
use crate::{
    domain::{
        cart::{CartId, FullCart, Holder},
        order::FullOrder,
    },
    payments::NextAction,
    store::{
        self,
        processes::{Step, Task},
    },
};
use database::{
    Conn,
    once::{Kept, Once, Refused},
};
use kernel::{Call, CallError, Code, Failure};
use orders_api::OrderId;
use products_api::{PriceNow, ReleaseError, ReservationId, Short};
use std::sync::Arc;

/// How the buyer pays. The token goes to the provider and nowhere else.
#[derive(Clone, Debug)]
pub(crate) struct Payment {
    pub provider: String,
    pub token: Option<String>,
}

/// What became of an attempt to buy.
#[derive(Clone, Debug)]
pub(crate) enum Attempt {
    /// This request placed it.
    Placed(FullOrder),
    /// Somebody else's did.
    Existing(FullOrder),
    /// The buyer must do something first.
    Action(FullOrder, NextAction),
    /// Kept: nothing was taken, the cart is open again.
    Declined { reason: String },
}

/// Why an attempt came to nothing, beside what any use case may meet.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CheckoutError {
    #[error("the cart is not complete")]
    Incomplete(Vec<&'static str>),
    #[error("there is no payment provider of this name; there are: {0}")]
    Provider(String),
    /// With the line of the cart that each stands for.
    #[error("not enough is left")]
    OutOfStock(Vec<(usize, Short)>),
    #[error("the hold ran out while the payment was made; nothing was taken")]
    TooLate,
    #[error("prices have moved")]
    Changed(Vec<(usize, PriceNow)>),
    #[error(transparent)]
    Other(#[from] Error),
}

impl From<database::Error> for CheckoutError {
    fn from(error: database::Error) -> Self {
        Self::Other(error.into())
    }
}
impl From<Refused> for CheckoutError {
    fn from(refused: Refused) -> Self {
        Self::Other(refused.into())
    }
}
impl From<Failure> for CheckoutError {
    fn from(failure: Failure) -> Self {
        Self::Other(failure.into())
    }
}

/// How often an unknown outcome is asked for again within a request.
const ASKS: usize = 3;
impl Service {
    /// Runs in a task of its own: a buyer who hangs up cancels nothing.
    pub(crate) async fn checkout(
        self: Arc<Self>,
        call: Call,
        cart: CartId,
        holder: Holder,
        payment: Payment,
        once: Once<Attempt>,
    ) -> Result<Kept<Attempt>, CheckoutError> {
        let provider =
            self.providers.get(&payment.provider).ok_or_else(|| CheckoutError::Provider(self.providers.names()))?;
        let tasks = self.tasks.clone();
        let run = Run { service: self, call, holder, provider, token: payment.token, once };
        let task = tasks.spawn(async move { run.attempt(cart).await });
        task.await.unwrap_or_else(|_| Err(Failure::Unknown.into()))
    }

    /// Gives up an attempt that waits for its buyer: void, release, and the cart is open again.
    pub(crate) async fn abandon(self: Arc<Self>, call: Call, id: CartId, holder: Holder) -> Result<FullCart, Error> {
        let tasks = self.tasks.clone();
        let task = tasks.spawn(async move { self.abandon_in_steps(&call, id, holder).await });
        task.await.unwrap_or(Err(Failure::Unknown.into()))
    }

    async fn abandon_in_steps(&self, call: &Call, id: CartId, holder: Holder) -> Result<FullCart, Error> {
        let cart = self.db.read(move |conn| store::carts::find(conn, id, holder)).await?.ok_or(Error::NotFound)?;
        let attempt = cart.order.ok_or(Error::NoCheckout)?;
        let lease = self.lease;
        let unit = move |tx: &mut Conn| {
            let Some(taken) = store::processes::take_over(tx, attempt, Task::Checkout, lease)? else {
                return Err(refusal(tx, id, holder)?);
            };
            if taken.held.step == Step::Confirm {
                return Err(Error::CartLocked); // past the pivot it may be: only forward
            }
            let undo = store::processes::advance(tx, taken.held, Step::Undo, lease)?.ok_or(Error::CartLocked)?;
            Ok((undo, taken.provider))
        };
        let none = |error| if matches!(error, Error::Stale) { Error::NoCheckout } else { error };
        let (held, provider) = self.db.write(unit).await.map_err(none)?;
        if let Some(provider) = provider.and_then(|name| self.providers.get(&name)) {
            let wish = wish(attempt);
            asked(|| provider.void(&wish)).await?;
        }
        self.release(call, attempt).await?;
        let (now, trace) = (self.now(), call.trace);
        self.db.write(move |tx| undo(tx, held, now, trace).map(drop)).await?;
        self.settled.notify_waiters();
        self.cart(id, holder).await
    }

    /// A release that is sure: once more while the outcome is unknown.
    pub(super) async fn release(&self, call: &Call, order: OrderId) -> Result<(), Failure> {
        match answered(|| self.neighbours.stock.release(call, reservation(order))).await {
            Ok(()) => Ok(()),
            Err(CallError::Domain(ReleaseError::Shipped)) => Err(Failure::Unknown),
            Err(error) => Err(error.split().err().unwrap_or(Failure::Unknown)),
        }
    }
}

/// The order's id is the reservation's too.
pub(super) fn reservation(order: OrderId) -> ReservationId {
    ReservationId::from(*order.uuid())
}

/// Asks again, with the same key, while the outcome is unknown. Once it was, a later refusal says nothing of the first
/// try: it stays unknown.
pub(super) async fn answered<T, E, F: Future<Output = Result<T, CallError<E>>>>(
    ask: impl Fn() -> F,
) -> Result<T, CallError<E>> {
    let first = ask().await;
    if !matches!(first, Err(CallError::Unknown)) {
        return first;
    }
    for _ in 1..ASKS {
        match ask().await {
            Err(CallError::Unknown | CallError::Unavailable { .. } | CallError::Denied) => (),
            known => return known,
        }
    }
    Err(CallError::Unknown)
}

pub(super) async fn asked<T, F: Future<Output = Result<T, Failure>>>(ask: impl Fn() -> F) -> Result<T, Failure> {
    let never = answered::<T, std::convert::Infallible, _>(|| async { ask().await.map_err(CallError::from) }).await;
    never.map_err(|error| match error.split() {
        Ok(never) => match never {},
        Err(failure) => failure,
    })
}

pub(super) fn wish(order: OrderId) -> crate::payments::Asked {
    let (zero, amount) = (kernel::Minor::ZERO, kernel::Money::new(kernel::Minor::ZERO, kernel::Currency::EUR));
    crate::payments::Asked {
        order,
        reference: None,
        amount,
        captured: zero,
        refunded: zero,
        since: kernel::Time::from_micros(0),
    }
}

/// The code an attempt's answer is documented with, where it is a problem.
pub(crate) const DECLINED: Code = Code::PaymentDeclined;

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    type Said = Result<u8, CallError<&'static str>>;

    /// What comes of these outcomes, one a try.
    fn outcome(said: &[Said]) -> Said {
        let left = RefCell::new(said.iter().rev().cloned().collect::<Vec<_>>());
        let asked = answered(|| std::future::ready(left.borrow_mut().pop().expect("asked no more often than this")));
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(asked)
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
}
