//! Buying: what is asked for and what comes of it. `request` is the buyer's way through it, `drive` goes the steps,
//! `meet` is where the provider's word is written down, whoever brings it.
mod drive;
mod meet;
mod request;

use super::{Error, Service, carts::refusal};
use crate::{
    domain::{
        cart::{CartId, FullCart, Holder},
        order::FullOrder,
        process::{Step, Task},
    },
    payments::{Means, NextAction},
    points::Point,
    store,
};
use database::{
    Conn,
    once::{Kept, Once, Refused},
};
use kernel::{Call, Code, Failure};
use products_api::{PriceNow, Short};
use std::sync::Arc;

pub(super) use drive::Driver;
pub(super) use meet::{By, Met, Terms, book, follow, meet, turned};

/// How the buyer pays. The means go to the provider and nowhere else.
#[derive(Clone, Debug)]
pub(crate) struct Payment {
    pub provider: String,
    pub means: Means,
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

impl Service {
    /// Runs in a task of its own: a buyer who hangs up, or whose time is over, cancels nothing.
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
        let service = Arc::clone(&self);
        let run = request::Run { service, call: call.clone(), holder, provider, means: payment.means, once };
        self.within(&call, async move { run.attempt(cart).await }).await
    }

    /// Gives up an attempt that waits for its buyer: void, release, and the cart is open again.
    pub(crate) async fn abandon(self: Arc<Self>, call: Call, id: CartId, holder: Holder) -> Result<FullCart, Error> {
        let service = Arc::clone(&self);
        let steps = {
            let call = call.clone();
            async move { service.abandon_in_steps(call, id, holder).await }
        };
        self.within(&call, steps).await
    }

    async fn abandon_in_steps(self: Arc<Self>, call: Call, id: CartId, holder: Holder) -> Result<FullCart, Error> {
        let lease = self.lease;
        let unit = move |tx: &mut Conn| {
            let cart = store::carts::find(tx, id, holder)?.ok_or(Error::NotFound)?;
            let attempt = cart.order.ok_or(Error::NoCheckout)?;
            let waits = store::processes::open_of(tx, attempt)?
                .filter(|held| held.task == Task::Checkout && held.step == Step::Action);
            let Some(waits) = waits else {
                // It may have ended since the cart was looked at.
                let cart = store::carts::find(tx, id, holder)?.ok_or(Error::NotFound)?;
                return Err(if cart.order.is_some() { refusal(tx, id, holder, None)? } else { Error::NoCheckout });
            };
            let seized = store::processes::seize(tx, waits, lease)?.ok_or(Error::CartLocked)?;
            let undo = store::processes::advance(tx, seized, Step::Undo, lease)?.ok_or(Error::CartLocked)?;
            let order = store::orders::full(tx, attempt, Holder::ANYONE)?.ok_or(Error::NoCheckout)?;
            Ok((undo, order))
        };
        let (held, order) = self.db.write(unit).await?;
        Point::AbandonKept.reach();
        let driver = Driver::alone(&self, call, &order)?;
        driver.drive(held, order).await.map_err(|error| match error {
            CheckoutError::Other(error) => error,
            _ => Failure::Unknown.into(),
        })?;
        self.cart(id, holder).await.map_err(Error::afterwards)
    }
}

/// The code an attempt's answer is documented with, where it is a problem.
pub(crate) const DECLINED: Code = Code::PaymentDeclined;
