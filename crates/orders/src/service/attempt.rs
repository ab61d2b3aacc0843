//! From cart to order, in steps that each can be asked for again (DESIGN section 7).
//!
//! `begin` (lock the cart, write a pending order) -> reserve -> authorise -> `secured` -> confirm, the pivot -> `placed`.
//! Before the pivot everything goes back: void, release, `failed`, and the cart is open again. After it, only forward.
//! An outcome that stays unknown leaves the process to its lease; nothing is compensated by guess.
use super::{
    Error, Service,
    checkout::{Attempt, CheckoutError, answered, asked, reservation},
};
use crate::{
    domain::{
        cart::{CartId, CartLine, FullCart, Holder},
        order::{FullOrder, Order, PaymentStatus, Status},
    },
    payments::{Asked, Means, NextAction, Provider, Standing},
    store::{
        self,
        payments::Payment as Taken,
        processes::{Held, New, Step, Task},
    },
};
use database::{
    Conn,
    once::{Kept, Once},
};
use kernel::{Call, CallError, Failure, Id, Trace};
use orders_api::{OrderEvent, OrderId};
use products_api::{ConfirmError, PriceNow, Reserve, ReserveError, ReserveLine};
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

/// The whole attempt, as its driver sees it.
pub(super) struct Run {
    pub service: Arc<Service>,
    pub call: Call,
    pub holder: Holder,
    pub provider: Arc<dyn Provider>,
    pub token: Option<String>,
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
                    let outcome = self.drive(held, *order).await;
                    self.service.settled.notify_waiters();
                    return outcome.map(Kept::Fresh);
                }
            }
        }
    }

    /// The first transaction: the key is claimed, the cart locked, the order and its process written.
    async fn begin(&self, cart: CartId) -> Result<Begun, CheckoutError> {
        let (once, holder, now) = (self.once.clone(), self.holder, self.service.now());
        let (id, shipping): (OrderId, _) = (Id::new(), self.service.shipping.clone());
        let (user, provider, lease) = (holder.user, self.provider.name(), self.service.lease);
        let unit = move |tx: &mut Conn| {
            if let Some(bytes) = once.begin::<NotBegun>(tx, lease)? {
                return Ok(Begun::Replay(bytes));
            }
            let Some(cart) = store::carts::lock(tx, cart, holder, id, now)? else {
                let there = store::carts::find(tx, cart, holder)?.ok_or(Error::NotFound)?;
                return Err(NotBegun::Theirs(there.order.ok_or(Error::CartLocked)?));
            };
            let full = FullCart { lines: store::carts::lines(tx, cart.id)?, cart };
            let order = pending(id, &full, user, &shipping, now)?;
            store::orders::insert(tx, &order)?;
            let new = New { order: id, task: Task::Checkout, step: Step::Secure, provider: Some(provider) };
            let held = store::processes::begin(tx, new, lease, now, Error::OrderBusy)?;
            Ok(Begun::Ours(held, Box::new(order)))
        };
        match self.service.db.write(unit).await {
            Err(NotBegun::Theirs(order)) => Ok(Begun::Theirs(order)),
            Err(NotBegun::Failed(error)) => Err(error),
            Ok(begun) => Ok(begun),
        }
    }

    /// Somebody's attempt: its end, or `None` when it failed and the cart is free again.
    async fn wait_for(&self, id: OrderId) -> Result<Option<Attempt>, CheckoutError> {
        let unit = move |conn: &mut Conn| {
            let anyone = Holder { user: None, token: None, staff: true };
            let order = store::orders::full(conn, id, anyone)?
                .ok_or_else(|| database::Error::Unavailable("a cart names an order that is not there".into()))?;
            let under_way =
                if order.order.status == Status::Pending { store::processes::step_of(conn, id)? } else { None };
            let next = match under_way {
                Some((Step::Action, _)) => store::payments::of(conn, id)?.and_then(|payment| payment.next),
                _ => None,
            };
            let free = next.is_none() && under_way.is_some_and(|(_, free)| free);
            Ok::<_, database::Error>((order, next, free))
        };
        loop {
            // Before looking, so that an end between the look and the wait is not missed.
            let mut settled = std::pin::pin!(self.service.settled.notified());
            settled.as_mut().enable();
            let (order, next, free) = self.service.db.read(unit).await?;
            match (order.order.status, next) {
                (Status::Failed, _) => return Ok(None),
                (Status::Pending, Some(next)) => return Ok(Some(Attempt::Action(order, next))),
                (Status::Pending, None) if free => {
                    if let Some(ended) = self.resume(order).await? {
                        return Ok(ended);
                    }
                }
                (Status::Pending, None) => (),
                _ => return Ok(Some(Attempt::Existing(order))),
            }
            if self.call.time_left().is_none() {
                return Err(Error::CartLocked.into());
            }
            let _ = tokio::time::timeout(LOOK, settled).await; // either way: look again
        }
    }

    /// Drives an attempt whose driver is gone: back before the pivot, forward from it on. `None`: somebody else does.
    async fn resume(&self, order: FullOrder) -> Result<Option<Option<Attempt>>, CheckoutError> {
        let (id, lease) = (order.order.id, self.service.lease);
        let unit = move |tx: &mut Conn| {
            let taken = store::processes::take_over(tx, id, Task::Checkout, lease)?;
            Ok::<_, database::Error>((taken, store::payments::of(tx, id)?))
        };
        let (Some(taken), payment) = self.service.db.write(unit).await? else { return Ok(None) };
        let provider = taken.provider.and_then(|name| self.service.providers.get(&name));
        let (service, call, holder) = (Arc::clone(&self.service), self.call.clone(), self.holder);
        let provider = provider.unwrap_or_else(|| Arc::clone(&self.provider));
        // The answer is nobody's in particular: the key of the request that died keeps none.
        let run = Self { service, call, holder, provider, token: None, once: Once::unkeyed() };
        let secured = payment.is_some_and(|payment| payment.status == "authorised");
        let status = if secured { PaymentStatus::Authorised } else { PaymentStatus::Pending };
        let ended = match taken.held.step {
            Step::Confirm => match run.confirm(taken.held, order, status).await? {
                Attempt::Placed(order) => Some(Attempt::Existing(order)),
                other => Some(other),
            },
            Step::Secure | Step::Action | Step::Undo | Step::Settle | Step::Done => {
                run.go_back(taken.held, None).await?;
                None
            }
        };
        run.service.settled.notify_waiters();
        Ok(Some(ended))
    }

    async fn drive(&self, held: Held, order: FullOrder) -> Result<Attempt, CheckoutError> {
        if let Err(error) = self.reserve(&order).await {
            return Err(self.not_reserved(held, &order, error).await);
        }
        let total = order.order.total();
        let id = order.order.id;
        let (zero, since) = (kernel::Minor::ZERO, order.order.created_at);
        let wish = Asked { order: id, reference: None, amount: total, captured: zero, refunded: zero, since };
        let means = Means { token: self.token.clone(), return_url: None };
        let said = match asked(|| self.provider.authorise(&wish, &means)).await {
            Ok(said) => said,
            Err(Failure::Unknown) => return Err(Failure::Unknown.into()), // the process stays, and is asked about again
            Err(failure) => {
                self.go_back(held, None).await?;
                return Err(failure.into());
            }
        };
        let reference = said.reference;
        let (taken, status) = match said.standing {
            Standing::Declined { reason } => {
                let taken = self.taken(reference, "declined", None);
                let declined = Attempt::Declined { reason };
                self.go_back(held, Some((taken, total, declined.clone()))).await?;
                return Ok(declined);
            }
            Standing::Action(next) => {
                let taken = self.taken(reference, "action", Some(next.clone()));
                let waits = Attempt::Action(order, next);
                self.secured(held, taken, total, Step::Action, Some(waits.clone())).await?;
                return Ok(waits);
            }
            Standing::Pending | Standing::Open | Standing::Voided => {
                (self.taken(reference, "pending", None), PaymentStatus::Pending)
            }
            Standing::Authorised => (self.taken(reference, "authorised", None), PaymentStatus::Authorised),
        };
        let held = match self.secured(held, taken, total, Step::Confirm, None).await {
            Err(CheckoutError::Other(Error::OrderBusy)) => {
                // Somebody went back meanwhile, perhaps before the provider spoke: what it secured is not kept.
                asked(|| self.provider.void(&wish)).await?;
                return Err(Error::OrderBusy.into());
            }
            secured => secured?,
        };
        self.confirm(held, order, status).await
    }

    /// The pivot, and what follows it. Whatever fails from here on is asked for again, never taken back by guess.
    async fn confirm(&self, held: Held, order: FullOrder, status: PaymentStatus) -> Result<Attempt, CheckoutError> {
        let id = order.order.id;
        match answered(|| self.service.neighbours.stock.confirm(&self.call, reservation(id))).await {
            Ok(()) => self.placed(held, order, status).await.map_err(|error| {
                tracing::error!(order = %id, %error, "confirmed, and not placed yet");
                Failure::Unknown.into()
            }),
            Err(CallError::Domain(ConfirmError::Over)) => {
                self.go_back(held, None).await?;
                Err(CheckoutError::TooLate)
            }
            Err(_) => Err(Failure::Unknown.into()),
        }
    }

    fn taken(&self, reference: String, status: &'static str, next: Option<NextAction>) -> Taken {
        Taken { provider: self.provider.name().to_owned(), reference, status, next }
    }

    async fn reserve(&self, order: &FullOrder) -> Result<(), CallError<ReserveError>> {
        let lines = order.lines.iter().map(|line| ReserveLine {
            variant: line.variant,
            quantity: line.quantity,
            unit_price: line.unit_price,
        });
        let request = Reserve {
            reservation: reservation(order.order.id),
            currency: order.order.currency,
            lines: lines.collect(),
            hold_for: self.service.hold_for,
        };
        answered(|| self.service.neighbours.stock.reserve(&self.call, request.clone())).await
    }

    /// Nothing is held: the order fails and the cart opens, with today's prices where they moved.
    async fn not_reserved(&self, held: Held, order: &FullOrder, error: CallError<ReserveError>) -> CheckoutError {
        let place = |variant| order.lines.iter().position(|line| line.variant == variant).unwrap_or_default();
        let (answer, moved) = match error.split() {
            Ok(ReserveError::OutOfStock { short }) => (
                CheckoutError::OutOfStock(short.into_iter().map(|short| (place(short.variant), short)).collect()),
                Vec::new(),
            ),
            Ok(ReserveError::Changed { prices: moved }) => {
                let answer = CheckoutError::Changed(moved.iter().map(|now| (place(now.variant), *now)).collect());
                (answer, moved)
            }
            Ok(ReserveError::Over | ReserveError::Invalid) => (CheckoutError::TooLate, Vec::new()),
            Err(Failure::Unknown) => return Failure::Unknown.into(), // perhaps held: left to the lease
            Err(failure) => (failure.into(), Vec::new()),
        };
        let (cart, now, trace, once) = (order.order.cart, self.service.now(), self.call.trace, self.once.clone());
        let unit = move |tx: &mut Conn| {
            if undo(tx, held, now, trace)? {
                reprice(tx, cart, &moved)?;
            }
            once.give_up(tx)
        };
        match self.service.db.write(unit).await {
            Ok(()) => answer,
            Err(error) => error.into(),
        }
    }

    /// Before the pivot: nothing stays secured, nothing held, the order fails, the cart opens. An answer that is kept
    /// (a declined card) is kept in the transaction that says so.
    async fn go_back(
        &self,
        held: Held,
        declined: Option<(Taken, kernel::Money, Attempt)>,
    ) -> Result<(), CheckoutError> {
        let order = held.order;
        let wish = super::checkout::wish(order);
        asked(|| self.provider.void(&wish)).await?;
        self.service.release(&self.call, order).await?;
        let (now, trace, once) = (self.service.now(), self.call.trace, self.once.clone());
        let unit = move |tx: &mut Conn| {
            if !undo(tx, held, now, trace)? {
                return Err(Error::OrderBusy);
            }
            match &declined {
                Some((taken, total, answer)) => {
                    store::payments::insert(tx, order, *total, taken, now)?;
                    once.finish(tx, answer)?;
                }
                None => {
                    store::payments::void(tx, order, now)?;
                    once.give_up(tx)?;
                }
            }
            Ok(())
        };
        Ok(self.service.db.write(unit).await?)
    }

    /// Reserved, and the provider has spoken: kept, with the step that comes next.
    async fn secured(
        &self,
        held: Held,
        taken: Taken,
        total: kernel::Money,
        next: Step,
        answer: Option<Attempt>,
    ) -> Result<Held, CheckoutError> {
        let (now, once) = (self.service.now(), self.once.clone());
        // Who waits for the buyer needs no lease: whoever comes next may take it over.
        let lease = if next == Step::Action { Duration::ZERO } else { self.service.lease };
        let unit = move |tx: &mut Conn| {
            let held = store::processes::advance(tx, held, next, lease)?.ok_or(Error::OrderBusy)?;
            store::payments::insert(tx, held.order, total, &taken, now)?;
            if let Some(answer) = &answer {
                once.finish(tx, answer)?;
            }
            Ok(held)
        };
        self.service.db.write(unit).await.map_err(|error: Error| error.into())
    }

    /// The last transaction: numbered, told, answered.
    async fn placed(&self, held: Held, order: FullOrder, payment: PaymentStatus) -> Result<Attempt, CheckoutError> {
        let (now, trace, once) = (self.service.now(), self.call.trace, self.once.clone());
        let lines = order.lines;
        let unit = move |tx: &mut Conn| {
            if !store::processes::finish(tx, held, now)? {
                return Err(Error::OrderBusy);
            }
            let order = store::orders::place(tx, held.order, payment, now)?.ok_or(Error::OrderBusy)?;
            database::outbox::publish(tx, &[placed_event(&order)], now, trace)?;
            let answer = Attempt::Placed(FullOrder { order, lines: lines.clone() });
            once.finish(tx, &answer)?;
            Ok(answer)
        };
        self.service.db.write(unit).await.map_err(|error: Error| error.into())
    }
}

fn placed_event(order: &Order) -> OrderEvent {
    OrderEvent::Placed {
        order_id: order.id,
        number: order.number.unwrap_or_default(),
        user_id: order.user,
        total: order.total(),
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

/// Ends a process that goes back: the order fails, the cart opens. `false`: somebody else drives it now.
pub(super) fn undo(tx: &mut Conn, held: Held, now: kernel::Time, trace: Trace) -> database::Result<bool> {
    if !store::processes::finish(tx, held, now)? {
        return Ok(false);
    }
    store::orders::fail(tx, held.order, now)?;
    store::payments::void(tx, held.order, now)?;
    store::carts::open(tx, held.order, now)?;
    database::outbox::publish(tx, &[OrderEvent::Failed { order_id: held.order }], now, trace)?;
    Ok(true)
}

fn reprice(tx: &mut Conn, cart: CartId, moved: &[PriceNow]) -> database::Result<()> {
    let lines = store::carts::lines(tx, cart)?;
    let price = |line: &CartLine| moved.iter().find(|now| now.variant == line.variant)?.price;
    let repriced: Vec<_> =
        lines.iter().filter_map(|line| Some(CartLine { unit_price: price(line)?, ..line.clone() })).collect();
    let gone = moved.iter().filter(|now| now.price.is_none()).map(|now| now.variant).collect();
    store::carts::reprice(tx, cart, &repriced, gone)
}
