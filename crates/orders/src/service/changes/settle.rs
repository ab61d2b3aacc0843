//! Asks outside for what was begun, and writes down what came of it.
use super::{Part, Wish};
use crate::{
    domain::{
        cart::Holder,
        order::{FulfilmentStatus, FullOrder, Order, PaymentStatus, Shipment, Status, completed},
        payment::{MoveId, MoveState, Payment},
    },
    payments::{Asked, Moved, Part as Asking, Standing, Word},
    points::Point,
    service::{
        Error, Service,
        asking::{answered, asked, for_step, reservation, told},
        checkout::{By, Terms, book, follow, turned},
    },
    store::{self, orders::Turn, processes::Held},
};
use database::{Conn, once::Once};
use kernel::{Call, CallError, Failure, Minor, Money};
use orders_api::OrderEvent;

/// What was said outside.
#[derive(Clone)]
enum Said {
    /// products did it; nobody was asked for money.
    Done,
    /// The provider took the money back; `None` where there was none to take back.
    Voided(Option<Word>),
    /// There was nothing to take back any more.
    NothingCame(Word),
    Moved {
        reference: String,
        released: Minor,
    },
}

/// Why nothing was written.
enum NotDone {
    /// Somebody said no: the process ends, and nothing is changed.
    Refused(Error),
    /// Surely nothing was done.
    Failed(Failure),
    /// Perhaps something was, or a part of it: asked again. With the turn to ask with.
    Unknown(i64),
}

impl Service {
    /// The order as it is afterwards.
    pub(crate) async fn settle(
        &self,
        call: &Call,
        held: Held,
        full: FullOrder,
        wish: Wish,
        once: Once<FullOrder>,
    ) -> Result<FullOrder, Error> {
        let outcome = match &wish {
            Wish::Cancel { .. } => self.take_back(call, held, &full.order).await,
            Wish::Ship { .. } => self.send_off(call, held).await,
            Wish::Capture { id, part } => self.capture(held, &full.order, *id, part.amount).await,
            Wish::Refund { id, part } => self.refund(held, &full.order, *id, part.amount).await,
            Wish::Revert => self.revert(held, &full.order).await,
        };
        let error = match outcome {
            Ok(said) => return self.write_down(call, held, wish, said, once).await,
            // An earlier driver may have been heard.
            Err(NotDone::Failed(_)) if !held.is_first() => return Err(self.put_down(held, held.turn).await.into()),
            Err(NotDone::Unknown(turn)) => return Err(self.put_down(held, turn).await.into()),
            Err(NotDone::Refused(error)) => error,
            Err(NotDone::Failed(failure)) => failure.into(),
        };
        match self.leave(call, held, wish, once).await {
            Ok(()) => Err(error),
            // It is still under way, and will be asked for again.
            Err(_) => Err(self.put_down(held, held.turn).await.into()),
        }
    }

    async fn take_back(&self, call: &Call, held: Held, order: &Order) -> Result<Said, NotDone> {
        // Before the goods are let go: whoever has the money must be there to be asked.
        if order.payment.is_some() {
            self.provider_of(order).map_err(|_| NotDone::Failed(Failure::UNAVAILABLE))?;
        }
        match self.release(call, held).await.map_err(CallError::split) {
            Ok(()) => (),
            Err(Ok(_)) => return Err(NotDone::Refused(Error::NotCancellable)),
            Err(Err(Failure::Unknown)) => return Err(NotDone::Unknown(held.turn)),
            Err(Err(failure)) => return Err(NotDone::Failed(failure)),
        }
        // The goods are free: from here on it is only a matter of asking until the money is, too.
        let voided = self.void(held, order).await;
        Point::CancelVoided.reach();
        voided
    }

    async fn void(&self, held: Held, order: &Order) -> Result<Said, NotDone> {
        if order.payment.is_none() {
            return Ok(Said::Voided(None));
        }
        let unknown = |_| NotDone::Unknown(held.turn);
        let (provider, asked) = (self.provider_of(order).map_err(unknown)?, asked(order).map_err(unknown)?);
        told(held.until, || provider.void(&asked)).await.map(Said::Voided).map_err(|_| NotDone::Unknown(held.turn))
    }

    async fn revert(&self, held: Held, order: &Order) -> Result<Said, NotDone> {
        // The word that began this may be of before the money was taken back: then nothing came late. Only the first to
        // ask can tell: to a later one it may be his own doing.
        if held.is_first()
            && let (Ok(provider), Ok(asked)) = (self.provider_of(order), asked(order))
            && let Ok(Some(word)) = told(held.until, || provider.look(&asked)).await
            && word.standing == Standing::Voided
            && word.captured == word.refunded
        {
            return Ok(Said::NothingCame(word));
        }
        let voided = self.void(held, order).await;
        Point::RevertAsked.reach();
        voided
    }

    async fn send_off(&self, call: &Call, held: Held) -> Result<Said, NotDone> {
        let call = for_step(call, held);
        let said = answered(held.until, || self.neighbours.stock.ship(&call, reservation(held.order))).await;
        Point::ShipAsked.reach();
        match said.map_err(CallError::split) {
            Ok(()) => Ok(Said::Done),
            Err(Ok(_)) => Err(NotDone::Refused(Error::NotShippable)),
            Err(Err(Failure::Unknown)) => Err(NotDone::Unknown(held.turn)),
            Err(Err(failure)) => Err(NotDone::Failed(failure)),
        }
    }

    async fn capture(&self, held: Held, order: &Order, id: MoveId, amount: Option<Money>) -> Result<Said, NotDone> {
        let provider = self.provider_of(order).map_err(|_| NotDone::Failed(Failure::UNAVAILABLE))?;
        let (asked, part) = wanted(held, order, id, amount)?;
        let said = told(held.until, || provider.capture(&asked, &part)).await;
        Point::CaptureAsked.reach();
        moved(held, said)
    }

    async fn refund(&self, held: Held, order: &Order, id: MoveId, amount: Option<Money>) -> Result<Said, NotDone> {
        let provider = self.provider_of(order).map_err(|_| NotDone::Failed(Failure::UNAVAILABLE))?;
        let (asked, part) = wanted(held, order, id, amount)?;
        let said = told(held.until, || provider.refund(&asked, &part)).await;
        Point::RefundAsked.reach();
        moved(held, said)
    }

    /// The last transaction.
    async fn write_down(
        &self,
        call: &Call,
        held: Held,
        wish: Wish,
        said: Said,
        once: Once<FullOrder>,
    ) -> Result<FullOrder, Error> {
        let (terms, settled) = (self.terms(call), wish.clone());
        let unit = move |tx: &mut Conn| {
            if !store::processes::finish(tx, held, terms.now)? {
                // Somebody else took it over, and writes down what was done here.
                return Err(Failure::Unknown.into());
            }
            write_down(tx, held, &wish, &said, terms)?;
            let full = store::orders::full(tx, held.order, Holder::ANYONE)?.ok_or(Error::NotFound)?;
            once.finish(tx, &full)?;
            Ok(full)
        };
        let full = match self.db.write(unit).await {
            Ok(full) => full,
            // Asked for and not written: asked for again.
            Err(Error::Database(error)) => {
                tracing::error!(order = %held.order, %error, "done outside, and not written yet");
                return Err(self.put_down(held, held.turn).await.into());
            }
            Err(error) => return Err(error),
        };
        settled.settle_kept();
        Ok(full)
    }

    /// Nothing was done: the process ends, what was promised is free again, and so is the key.
    async fn leave(&self, call: &Call, held: Held, wish: Wish, once: Once<FullOrder>) -> Result<(), Error> {
        let terms = self.terms(call);
        let unit = move |tx: &mut Conn| {
            if !store::processes::leave(tx, held, terms.now)? {
                // Somebody else took it over, and may do it yet.
                return Err(Error::from(Failure::Unknown));
            }
            if let Some(promised) = wish.promises(terms.now)
                && store::payments::settle_move(tx, promised.id, MoveState::Refused, None, terms.now)?
            {
                store::payments::unpromise(tx, held.order, &promised, terms.now)?;
            }
            // What its provider told meanwhile is the order's, too.
            if let Some(payment) = store::payments::lock(tx, held.order)? {
                follow(tx, held.order, &payment, terms)?;
            }
            Ok(once.give_up(tx)?)
        };
        self.db.write(unit).await
    }
}

/// The wish as its provider is asked for it.
fn wanted(held: Held, order: &Order, id: MoveId, amount: Option<Money>) -> Result<(Asked, Asking), NotDone> {
    let unreadable = || NotDone::Failed(Failure::UNAVAILABLE);
    let asked = asked(order).map_err(|_| unreadable())?;
    let amount = amount.ok_or_else(unreadable)?;
    Ok((asked, Asking { id: *id.uuid(), amount: amount.amount, turn: held.turn }))
}

fn moved(held: Held, said: Result<Moved, Failure>) -> Result<Said, NotDone> {
    match said {
        Ok(Moved::Done { reference, released }) => Ok(Said::Moved { reference, released }),
        Ok(Moved::Refused { reason }) => Err(NotDone::Refused(Error::PaymentRefused(reason))),
        Ok(Moved::Again) => Err(NotDone::Unknown(held.turn + 1)),
        Err(Failure::Unknown) => Err(NotDone::Unknown(held.turn)),
        Err(failure) => Err(NotDone::Failed(failure)),
    }
}

fn write_down(tx: &mut Conn, held: Held, wish: &Wish, said: &Said, terms: Terms) -> Result<(), Error> {
    let known = store::payments::lock(tx, held.order)?;
    let order = store::orders::lock(tx, held.order)?.ok_or(Error::NotFound)?;
    let payment = match &known {
        Some(known) => {
            let (now, by) = after(known, wish, said, terms)?;
            book(tx, held.order, known, &now, by, terms)?;
            Some(now)
        }
        None => None,
    };
    let (mut status, mut fulfilment) = (order.status, order.fulfilment_status);
    let mut cancel_reason = order.cancel_reason.as_deref();
    let mut events = Vec::new();
    match wish {
        Wish::Cancel { reason } => {
            (status, cancel_reason) = (Status::Cancelled, reason.as_deref());
            events.push(OrderEvent::Cancelled { order_id: order.id });
        }
        Wish::Ship { shipment, parcel } => {
            fulfilment = FulfilmentStatus::Fulfilled;
            let (carrier, tracking_number) = (parcel.carrier.clone(), parcel.tracking_number.clone());
            let sent = Shipment { id: *shipment, carrier, tracking_number, created_at: terms.now };
            store::orders::add_shipment(tx, order.id, &sent)?;
            events.push(OrderEvent::Shipped { order_id: order.id });
        }
        Wish::Revert if !matches!(said, Said::NothingCame(_)) => {
            events.push(OrderEvent::PaymentLate { order_id: order.id });
        }
        Wish::Revert | Wish::Capture { .. } | Wish::Refund { .. } => (),
    }
    let paid = payment.as_ref().map_or(order.payment_status, |payment| payment.status(status));
    if status == Status::Placed {
        let all_came = payment.as_ref().map_or(paid == PaymentStatus::Paid, Payment::all_came);
        status = completed(all_came, fulfilment);
    }
    let paid_at = order.paid_at.or_else(|| order.is_paid(status, payment.as_ref()).then_some(terms.now));
    let turn = Turn { status, fulfilment, payment: paid, paid_at, cancel_reason };
    events.extend(turned(&order, &turn, payment.as_ref()));
    if !store::orders::turn(tx, &order, &turn, terms.now)? {
        return Err(Error::OrderBusy);
    }
    Ok(database::outbox::publish(tx, &events, terms.now, terms.trace)?)
}

fn moved_by(part: &Part) -> Minor {
    part.amount.map(|amount| amount.amount).unwrap_or_default()
}

/// The payment afterwards, and the move that it was.
fn after<'a>(known: &Payment, wish: &Wish, said: &'a Said, terms: Terms) -> Result<(Payment, By<'a>), Error> {
    let late = matches!(wish, Wish::Revert) && !matches!(said, Said::NothingCame(_));
    let late_at = if late { Some(terms.now) } else { known.late_at };
    let known = Payment { late_at, ..known.clone() };
    let why = if matches!(wish, Wish::Revert) { "It came too late." } else { "The order was cancelled." };
    Ok(match (wish, said) {
        (Wish::Capture { id, part }, Said::Moved { reference, released }) => {
            let captured = known.captured.plus(moved_by(part))?;
            let now = Payment { captured, released: known.released.plus(*released)?, ..known };
            (now, By::Move { id: *id, reference })
        }
        (Wish::Refund { id, part }, Said::Moved { reference, .. }) => {
            let refunded = known.refunded.plus(moved_by(part))?;
            (Payment { refunded, ..known }, By::Move { id: *id, reference })
        }
        (_, Said::Voided(Some(word)) | Said::NothingCame(word)) => (known.heard(word), By::Provider(why)),
        (_, Said::Voided(None) | Said::Done | Said::Moved { .. }) => (known, By::Provider(why)),
    })
}
