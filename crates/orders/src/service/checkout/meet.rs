//! Where the buyer's request, the provider's event and the worker meet: what the provider says is written down once, in
//! one transaction, and decides how the attempt goes on. Whoever comes first moves it; whoever comes second, or late, or
//! twice, finds it moved.
use crate::{
    domain::{
        order::{Order, Status, completed},
        payment::{Move, MoveId, MoveState, Payment, State, Way},
        process::{Step, Task},
    },
    payments::{Standing, Word},
    store::{
        self,
        orders::Turn,
        processes::{Held, Lease, New},
    },
};
use database::{Conn, Error, Result};
use kernel::{Id, Minor, Money, Time, Trace};
use orders_api::{OrderEvent, OrderId};
use std::time::Duration;

/// On which terms a word is taken.
#[derive(Clone, Copy)]
pub(crate) struct Terms {
    pub now: Time,
    pub lease: Lease,
    /// How long a buyer is waited for.
    pub hold_for: Duration,
    pub trace: Trace,
}

/// What a word led to.
pub(crate) enum Met {
    /// Whoever brought it drives on from here.
    Drive(Held, Payment),
    /// The buyer must do something first; nobody drives.
    Waits(Payment),
    /// Somebody else drives the attempt now.
    Elsewhere,
    /// It is written down, and nothing follows from it.
    Noted,
}

/// Where a word leads an attempt that stands at `step`. A driver's own answer always leads somewhere; a word that comes
/// from outside may be about a moment that is past.
fn leads_to(step: Step, standing: &Standing, driver: bool) -> Option<Step> {
    match (step, standing) {
        (Step::Secure | Step::Authorise | Step::Action, Standing::Authorised | Standing::Pending) => {
            Some(Step::Confirm)
        }
        (Step::Secure | Step::Authorise | Step::Action, Standing::Declined { .. } | Standing::Voided) => {
            Some(Step::Undo)
        }
        (Step::Secure | Step::Authorise, Standing::Action(_)) => Some(Step::Action),
        // its buyer has let the time pass
        (Step::Action, Standing::Action(_)) | (Step::Secure | Step::Authorise | Step::Action, Standing::Open) => {
            driver.then_some(Step::Undo)
        }
        (Step::Confirm | Step::Undo | Step::Settle | Step::Done, _) => None,
    }
}

/// Writes a word down. `by` is the driver who asked for it; `None` for an event, and for a buyer who comes back.
pub(crate) fn meet(tx: &mut Conn, order: OrderId, word: &Word, by: Option<Held>, terms: Terms) -> Result<Met> {
    let open = match by {
        Some(held) => Some(held),
        None => store::processes::open_of(tx, order)?,
    };
    let attempt = open.filter(|held| held.task == Task::Checkout);
    let next = attempt.and_then(|held| leads_to(held.step, &word.standing, by.is_some()));
    let mut moved = None;
    if let (Some(held), Some(next)) = (attempt, next) {
        // Leaving the step comes first: it locks the process, or tells that somebody else has left it.
        let held = if by.is_some() { Some(held) } else { store::processes::seize(tx, held, terms.lease)? };
        moved = match (held, next) {
            (None, _) => None,
            (Some(held), Step::Action) => store::processes::wait(tx, held, terms.now + terms.hold_for)?,
            (Some(held), next) => store::processes::advance(tx, held, next, terms.lease)?,
        };
        if moved.is_none() {
            return Ok(Met::Elsewhere);
        }
    }
    let known =
        store::payments::lock(tx, order)?.ok_or_else(|| Error::Unavailable("an order has no payment".into()))?;
    // Whoever began something since the look waits for this payment's lock, or had it first.
    if open.is_none() && store::processes::open_of(tx, order)?.is_some() {
        return Err(Error::Busy);
    }
    let mut heard = known.heard(word);
    match open.map(|held| held.task) {
        // Who takes all of it back writes down itself what that moved.
        Some(Task::Cancel | Task::Revert) => {
            heard = Payment {
                captured: known.captured,
                capture_asked: known.capture_asked,
                refunded: known.refunded,
                refund_asked: known.refund_asked,
                ..heard
            };
        }
        // Is it what is being moved just now, or did somebody move it there? Its provider tells again.
        Some(Task::Capture | Task::Refund) if heard.captured != known.captured || heard.refunded != known.refunded => {
            return Err(Error::Busy);
        }
        Some(Task::Checkout | Task::Ship | Task::Capture | Task::Refund) | None => (),
    }
    book(tx, order, &known, &heard, By::Provider(AT_THE_PROVIDER), terms)?;
    match (moved, open) {
        (Some(held), _) if held.step == Step::Action => Ok(Met::Waits(heard)),
        (Some(held), _) => Ok(Met::Drive(held, heard)),
        (None, Some(_)) => Ok(Met::Noted),
        (None, None) => after_the_end(tx, order, heard, terms),
    }
}

/// A word about an order that nothing is under way for.
fn after_the_end(tx: &mut Conn, id: OrderId, payment: Payment, terms: Terms) -> Result<Met> {
    let order = store::orders::lock(tx, id)?.ok_or_else(|| Error::Unavailable("a payment has no order".into()))?;
    let over = matches!(order.status, Status::Failed | Status::Cancelled);
    if over && payment.holds_money() {
        let provider = Some(payment.provider.as_str());
        let new = New { order: id, task: Task::Revert, provider, input: None, claim: None };
        let held = store::processes::begin(tx, new, terms.lease, terms.now, Error::Busy)?;
        return Ok(Met::Drive(held, payment));
    }
    follow(tx, id, &payment, terms)?;
    Ok(Met::Noted)
}

/// An order's status follows its payment's.
pub(crate) fn follow(tx: &mut Conn, id: OrderId, payment: &Payment, terms: Terms) -> Result<()> {
    let Some(order) = store::orders::lock(tx, id)?.filter(|order| order.status != Status::Pending) else {
        return Ok(());
    };
    let (paid, fulfilment) = (payment.status(order.status), order.fulfilment_status);
    let placed = order.status == Status::Placed;
    let status = if placed { completed(payment.all_came(), fulfilment) } else { order.status };
    let paid_at = order.paid_at.or_else(|| order.is_paid(status, Some(payment)).then_some(terms.now));
    if paid != order.payment_status || paid_at != order.paid_at {
        let cancel_reason = order.cancel_reason.as_deref();
        let turn = Turn { status, fulfilment, payment: paid, paid_at, cancel_reason };
        if store::orders::turn(tx, &order, &turn, terms.now)? {
            let events = turned(&order, &turn, Some(payment));
            database::outbox::publish(tx, &events, terms.now, terms.trace)?;
        }
    }
    Ok(())
}

/// What follows from a turn by itself, to be told in its transaction.
pub(crate) fn turned(order: &Order, turn: &Turn<'_>, payment: Option<&Payment>) -> Vec<OrderEvent> {
    let paid = (turn.paid_at != order.paid_at).then(|| paid_event(order, payment));
    let completed = turn.status == Status::Completed && order.status != Status::Completed;
    paid.into_iter().chain(completed.then_some(OrderEvent::Completed { order_id: order.id })).collect()
}

pub(crate) fn paid_event(order: &Order, payment: Option<&Payment>) -> OrderEvent {
    let came = |payment: &Payment| Money::new(payment.captured, payment.amount.currency);
    OrderEvent::Paid { order_id: order.id, amount: payment.map_or_else(|| order.total(), came) }
}

/// Why money moved.
pub(crate) enum By<'a> {
    /// A capture or refund that orders has asked for.
    Move { id: MoveId, reference: &'a str },
    /// The provider's word tells that it did; with the reason that is kept of it.
    Provider(&'static str),
}

/// Somebody did it there, not here.
const AT_THE_PROVIDER: &str = "Moved at the provider.";

/// Writes down how a payment stands now, with a move and an event for all that was moved since `known`.
pub(crate) fn book(
    tx: &mut Conn,
    order: OrderId,
    known: &Payment,
    now: &Payment,
    by: By<'_>,
    terms: Terms,
) -> Result<()> {
    if known == now {
        return Ok(());
    }
    store::payments::save(tx, order, now, terms.now)?;
    let currency = now.amount.currency;
    let grown = |now: Minor, known: Minor| now.minus(known).ok().filter(|by| *by.get() > 0);
    let moves =
        [(Way::Capture, grown(now.captured, known.captured)), (Way::Refund, grown(now.refunded, known.refunded))];
    let mut events = Vec::new();
    for (way, amount) in moves {
        let Some(amount) = amount else { continue };
        match by {
            By::Move { id, reference } => {
                store::payments::settle_move(tx, id, MoveState::Done, Some(reference), terms.now)?;
            }
            By::Provider(reason) => {
                let (id, reason) = (Id::new(), Some(reason.to_owned()));
                let wish = Move { id, way, amount, reason, state: MoveState::Done, created_at: terms.now };
                store::payments::add_move(tx, order, &wish)?;
            }
        }
        let amount = Money::new(amount, currency);
        events.push(match way {
            Way::Capture => OrderEvent::Captured { order_id: order, amount },
            Way::Refund => OrderEvent::Refunded { order_id: order, amount },
        });
    }
    if now.state == State::Voided && known.state == State::Authorised {
        events.push(OrderEvent::Voided { order_id: order });
    }
    database::outbox::publish(tx, &events, terms.now, terms.trace)
}
