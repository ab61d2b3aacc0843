//! The buyer's way through a checkout: begin an attempt and drive it, or wait for whoever drives the one there is.
use super::{Attempt, CheckoutError, Driver, Met, drive::End, meet};
use crate::{
    domain::{
        cart::{CartId, FullCart, Holder},
        order::{FullOrder, Status},
        payment::{Payment, State},
        process::{Step, Task},
    },
    payments::{Means, Provider},
    points::Point,
    service::{Error, Service},
    store::{
        self,
        processes::{Held, New},
    },
};
use database::{
    Conn,
    once::{Kept, Once},
};
use kernel::{Call, Failure, Id};
use orders_api::OrderId;
use std::{sync::Arc, time::Duration};
use users_api::UserId;

/// How long a waiting request sleeps at most before it looks again; an attempt of its own process wakes it at once.
const LOOK: Duration = Duration::from_millis(100);

enum Begun {
    Replay(Vec<u8>),
    Ours(Held, Box<FullOrder>),
    /// Somebody's attempt holds the cart.
    Theirs(OrderId),
}

/// Why the first transaction kept nothing, the claim of the key included.
enum NotBegun {
    Theirs(OrderId),
    Failed(CheckoutError),
}

impl<E: Into<CheckoutError>> From<E> for NotBegun {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// One request.
pub(super) struct Run {
    pub service: Arc<Service>,
    pub call: Call,
    pub holder: Holder,
    pub provider: Arc<dyn Provider>,
    pub means: Means,
    pub once: Once<Attempt>,
}

impl Run {
    pub(super) async fn attempt(self, cart: CartId) -> Result<Kept<Attempt>, CheckoutError> {
        loop {
            match self.begin(cart).await? {
                Begun::Replay(bytes) => return Ok(Kept::Replayed(bytes)),
                Begun::Theirs(order) => {
                    if let Some(ended) = self.wait_for(order).await? {
                        return Ok(Kept::Fresh(ended));
                    }
                }
                Begun::Ours(held, order) => {
                    let id = order.order.id;
                    let (service, call) = (Arc::clone(&self.service), self.call.clone());
                    let (means, once) = (Some(self.means.clone()), self.once.clone());
                    let provider = service.provider_of(&order.order)?;
                    let driver = Driver { service, call, provider, means, once };
                    return match driver.drive(held, *order).await? {
                        End::Attempt(attempt) => Ok(Kept::Fresh(*attempt)),
                        End::Elsewhere | End::Failed => match self.ours(id).await {
                            Err(CheckoutError::Other(error)) => Err(error.afterwards().into()),
                            known => known.map(Kept::Fresh),
                        },
                    };
                }
            }
        }
    }

    /// The first transaction: the key is claimed, the cart locked, the order, its payment and its process written.
    async fn begin(&self, cart: CartId) -> Result<Begun, CheckoutError> {
        Point::CheckoutBegun.reach();
        let (once, holder, terms) = (self.once.clone(), self.holder, self.service.terms(&self.call));
        let (id, shipping): (OrderId, _) = (Id::new(), self.service.shipping.clone());
        let (user, service, provider) = (holder.user, Arc::clone(&self.service), self.provider.name());
        let unit = move |tx: &mut Conn| {
            if let Some(bytes) = once.begin::<NotBegun>(tx, terms.lease.0)? {
                return Ok(Begun::Replay(bytes));
            }
            let Some(cart) = store::carts::lock(tx, cart, holder, id, terms.now)? else {
                let there = store::carts::find(tx, cart, holder)?.ok_or(Error::NotFound)?;
                return Err(NotBegun::Theirs(there.order.ok_or(Error::CartLocked)?));
            };
            let full = FullCart { lines: store::carts::lines(tx, cart.id)?, cart };
            let mut order = pending(id, &full, user, &shipping, terms.now)?;
            store::orders::insert(tx, &order)?;
            let asked = service.providers.asked_for(provider, order.order.total());
            let reference = asked.and_then(|asked| asked.reference(id));
            let payment = Payment::begun(provider, reference, order.order.total());
            store::payments::insert(tx, id, &payment, terms.now)?;
            let new = New { order: id, task: Task::Checkout, provider: Some(provider), input: None, claim: None };
            let held = store::processes::begin(tx, new, terms.lease, terms.now, Error::OrderBusy)?;
            order.order.payment = Some(payment);
            Ok(Begun::Ours(held, Box::new(order)))
        };
        let begun = self.service.db.write(unit).await;
        Point::CheckoutKept.reach();
        match begun {
            Err(NotBegun::Theirs(order)) => Ok(Begun::Theirs(order)),
            Err(NotBegun::Failed(error)) => Err(error),
            Ok(begun) => Ok(begun),
        }
    }

    /// Somebody's attempt: its end, or `None` when it failed and the cart is free again.
    async fn wait_for(&self, id: OrderId) -> Result<Option<Attempt>, CheckoutError> {
        let mut looked = false;
        loop {
            // Before looking, so that an end between the look and the wait is not missed.
            let mut settled = std::pin::pin!(self.service.settled.notified());
            settled.as_mut().enable();
            let (order, step) = self.service.standing(id).await?;
            match (order.order.status, step) {
                (Status::Failed, _) => return Ok(None),
                (Status::Pending, Some(Step::Action)) => {
                    let next = order.order.payment.as_ref().and_then(|payment| payment.next.clone());
                    if !looked {
                        looked = true;
                        if let Some(ended) = self.back_from_action(order).await? {
                            return Ok(Some(ended));
                        }
                        continue;
                    }
                    // None: its step was read after it was written, and the order before.
                    if let Some(next) = next {
                        return Ok(Some(Attempt::Action(order, next)));
                    }
                }
                (Status::Pending, _) => (),
                _ => return Ok(Some(Attempt::Existing(order))),
            }
            if self.call.time_left().is_none() {
                return Err(Error::CartLocked.into());
            }
            let _ = tokio::time::timeout(LOOK, settled).await; // either way: look again
        }
    }

    /// The buyer is back from what had to be done first: the provider knows how it ended. `None`: look again.
    async fn back_from_action(&self, order: FullOrder) -> Result<Option<Attempt>, CheckoutError> {
        let driver = Driver::alone(&self.service, self.call.clone(), &order)?;
        let looked = driver.stands(&order.order).await;
        Point::BackLooked.reach();
        let Ok(Some(word)) = looked else { return Ok(None) };
        let (id, terms) = (order.order.id, self.service.terms(&self.call));
        let met = self.service.db.write(move |tx: &mut Conn| meet(tx, id, &word, None, terms)).await?;
        Point::BackKept.reach();
        let Met::Drive(held, payment) = met else { return Ok(None) };
        let mut order = order;
        order.order.payment = Some(payment);
        match driver.drive(held, order).await {
            Ok(End::Attempt(attempt)) => Ok(Some(match *attempt {
                Attempt::Placed(order) => Attempt::Existing(order),
                other => other,
            })),
            Ok(End::Failed | End::Elsewhere) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// This request's own attempt, which somebody else has driven on meanwhile: an event, or the worker.
    async fn ours(&self, id: OrderId) -> Result<Attempt, CheckoutError> {
        let attempt = match self.wait_for(id).await? {
            Some(Attempt::Existing(order)) => Attempt::Placed(order),
            Some(other) => other,
            None => {
                let (order, _) = self.service.standing(id).await?;
                let payment = order.order.payment.filter(|payment| payment.state == State::Declined);
                let reason = payment.and_then(|payment| payment.reason);
                // Given up elsewhere, or too late: nothing was taken, and the cart is open.
                Attempt::Declined { reason: reason.ok_or(Failure::UNAVAILABLE)? }
            }
        };
        let (once, answer) = (self.once.clone(), attempt.clone());
        self.service.db.write(move |tx: &mut Conn| once.finish(tx, &answer)).await?;
        Ok(attempt)
    }
}

impl Service {
    /// An attempt, and the step of what is under way for it.
    async fn standing(&self, id: OrderId) -> Result<(FullOrder, Option<Step>), CheckoutError> {
        let unit = move |conn: &mut Conn| {
            let order = store::orders::full(conn, id, Holder::ANYONE)?
                .ok_or_else(|| database::Error::Unavailable("a cart names an order that is not there".into()))?;
            let pending = order.order.status == Status::Pending;
            let step = if pending { store::processes::step_of(conn, id)? } else { None };
            Ok::<_, database::Error>((order, step))
        };
        Ok(self.db.read(unit).await?)
    }
}

fn pending(
    id: OrderId,
    full: &FullCart,
    user: Option<UserId>,
    shipping: &crate::ShippingSettings,
    now: kernel::Time,
) -> Result<FullOrder, CheckoutError> {
    let missing = full.missing(shipping);
    match shipping.chosen(&full.cart) {
        Some(option) if missing.is_empty() => {
            FullOrder::of(id, full, user, option, now).map_err(|_| Error::TooExpensive.into())
        }
        _ => Err(CheckoutError::Incomplete(missing)),
    }
}
