//! From cart to order, in steps that each can be asked for again (the table is `domain/process.rs`).
//!
//! Before the pivot everything goes back: void, release, `failed`, and the cart is open again. After it, only forward. An
//! outcome that stays unknown leaves the process to the worker; nothing is compensated by guess.
use super::{Attempt, By, CheckoutError, Met, Terms, book, meet, meet::paid_event};
use crate::{
    domain::{
        cart::{CartId, CartLine},
        order::{FullOrder, Order, OrderLine, PaymentStatus, Status},
        payment::{Payment, State},
        process::Step,
    },
    payments::{Means, Provider, Standing, Word},
    points::Point,
    service::{
        Error, Service,
        asking::{Answered, answered, answered_how, asked, for_step, reservation, told},
    },
    store::{self, processes::Held},
};
use database::{Conn, once::Once};
use kernel::{Call, CallError, Failure};
use orders_api::{OrderEvent, OrderId, OrderedLine};
use products_api::{ConfirmError, PriceNow, Reserve, ReserveError, ReserveLine};
use std::sync::Arc;

/// Whoever drives an attempt: the buyer's request, an event, the worker.
pub(crate) struct Driver {
    pub service: Arc<Service>,
    pub call: Call,
    pub provider: Arc<dyn Provider>,
    /// The buyer's own request brings them; without, an attempt whose money was never asked for goes back.
    pub means: Option<Means>,
    /// Keeps the answer in the transaction that makes it true.
    pub once: Once<Attempt>,
}

/// How far a driver came.
pub(crate) enum End {
    Attempt(Box<Attempt>),
    /// The attempt failed, its cart is open again.
    Failed,
    /// Somebody else drives it now.
    Elsewhere,
}

/// Why an attempt goes back, and what its buyer hears.
#[derive(Clone, Debug)]
enum Why {
    Declined(String),
    TooLate,
    /// The provider will not take it from this shop; its log says why.
    Refused,
    Failure(Failure),
    /// Nobody waits for an answer.
    Left,
}

/// For the buyer, who can do nothing about it.
const REFUSED: &str = "This payment is not taken here; nothing was moved. Pay another way.";

type Outcome = Result<End, CheckoutError>;

impl Driver {
    /// One that has nobody's means: it looks, and ends what another began.
    pub(crate) fn alone(service: &Arc<Service>, call: Call, order: &FullOrder) -> Result<Self, Error> {
        let provider = service.provider_of(&order.order)?;
        Ok(Self { service: Arc::clone(service), call, provider, means: None, once: Once::unkeyed() })
    }

    /// How the provider says that it stands, for whoever does not drive and waits no longer than its caller does.
    pub(crate) async fn stands(&self, order: &Order) -> Result<Option<Word>, Error> {
        let asked = asked(order)?;
        let time = self.service.lease.asking().min(self.call.time_left().unwrap_or_default());
        let looked = tokio::time::timeout(time, self.provider.look(&asked)).await;
        Ok(looked.unwrap_or(Err(Failure::UNAVAILABLE))?) // to look changes nothing
    }

    pub(crate) async fn drive(&self, held: Held, order: FullOrder) -> Outcome {
        let end = self.step(held, order).await;
        self.service.settled.notify_waiters();
        end
    }

    async fn step(&self, held: Held, order: FullOrder) -> Outcome {
        match (held.step, &self.means) {
            (Step::Secure, Some(means)) => self.secure(held, order, means).await,
            (Step::Secure, None) => self.go_back(held, order, Why::Left).await,
            (Step::Authorise | Step::Action, _) => self.look(held, order).await,
            (Step::Confirm, _) => self.confirm(held, order).await,
            (Step::Undo, _) => self.undo(held, order, Why::Left).await,
            (Step::Settle | Step::Done, _) => Ok(End::Elsewhere),
        }
    }

    /// Holds the goods, opens the payment, asks for the money.
    async fn secure(&self, held: Held, mut order: FullOrder, means: &Means) -> Outcome {
        let reserved = self.reserve(held, &order).await;
        Point::Reserved.reach();
        if let Err(error) = reserved.said {
            // A try that nobody heard of may come after this no: it must find that nothing may be held any more.
            let no = matches!(error, CallError::Domain(_));
            if no && reserved.doubtful && self.service.release(&self.call, held).await.is_err() {
                return Err(self.unknown(held).await);
            }
            return Err(self.not_reserved(held, &order, error).await);
        }
        let mut held = held;
        let mut asked = asked(&order.order)?;
        if asked.reference.is_none() {
            let opened = told(held.until, || self.provider.open(&asked)).await;
            Point::Opened.reach();
            let reference = match opened {
                Ok(reference) => reference,
                Err(Failure::Denied) => return self.go_back(held, order, Why::Refused).await,
                // Opening secures nothing: whatever became of it, the attempt can go back.
                Err(_) => return self.go_back(held, order, Why::Failure(Failure::UNAVAILABLE)).await,
            };
            match self.opened(held, &order, reference.clone()).await? {
                Some((on, payment)) => (held, order.order.payment) = (on, Some(payment)),
                None => return Ok(End::Elsewhere),
            }
            Point::OpenedKept.reach();
            asked.reference = Some(reference);
        }
        let word = told(held.until, || self.provider.authorise(&asked, means)).await;
        Point::Authorised.reach();
        match word {
            Ok(word) => self.hear(held, order, word).await,
            Err(Failure::Unknown) => Err(self.unknown(held).await),
            Err(Failure::Denied) => self.go_back(held, order, Why::Refused).await,
            Err(failure) => self.go_back(held, order, Why::Failure(failure)).await,
        }
    }

    /// The provider's name of the payment, written down before money is asked for.
    async fn opened(
        &self,
        held: Held,
        order: &FullOrder,
        reference: String,
    ) -> Result<Option<(Held, Payment)>, CheckoutError> {
        let (terms, id) = (self.terms(), order.order.id);
        let unit = move |tx: &mut Conn| {
            let Some(held) = store::processes::advance(tx, held, Step::Authorise, terms.lease)? else {
                return Ok(None);
            };
            let Some(payment) = store::payments::lock(tx, id)? else { return Ok(None) };
            let payment = Payment { reference: Some(reference.clone()), ..payment };
            store::payments::save(tx, id, &payment, terms.now)?;
            Ok::<_, database::Error>(Some((held, payment)))
        };
        self.write(held, unit).await
    }

    /// What became of money that was asked for: the provider knows.
    async fn look(&self, held: Held, order: FullOrder) -> Outcome {
        let asked = asked(&order.order)?;
        let looked = told(held.until, || self.provider.look(&asked)).await;
        Point::Looked.reach();
        match looked {
            Ok(Some(word)) => self.hear(held, order, word).await,
            Ok(None) => self.go_back(held, order, Why::TooLate).await,
            Err(_) => Err(self.unknown(held).await),
        }
    }

    /// The provider has spoken.
    async fn hear(&self, held: Held, order: FullOrder, word: Word) -> Outcome {
        let why = match &word.standing {
            Standing::Declined { reason } => Why::Declined(reason.clone()),
            Standing::Action(_) | Standing::Open | Standing::Voided => Why::TooLate,
            Standing::Pending | Standing::Authorised => Why::Left,
        };
        let (terms, id, once) = (self.terms(), order.order.id, self.once.clone());
        let mut order = order;
        let waits = order.clone();
        let unit = move |tx: &mut Conn| {
            let met = meet(tx, id, &word, Some(held), terms)?;
            if let Met::Waits(payment) = &met
                && let Some(next) = &payment.next
            {
                once.finish(tx, &Attempt::Action(with(waits.clone(), payment.clone()), next.clone()))?;
            }
            Ok::<_, database::Error>(met)
        };
        let met = self.write(held, unit).await?;
        Point::Met.reach();
        match met {
            Met::Drive(held, payment) => {
                order.order.payment = Some(payment);
                match held.step {
                    Step::Undo => self.undo(held, order, why).await,
                    _ => self.confirm(held, order).await,
                }
            }
            Met::Waits(payment) => match payment.next.clone() {
                Some(next) => Ok(End::Attempt(Box::new(Attempt::Action(with(order, payment), next)))),
                None => Ok(End::Elsewhere),
            },
            Met::Elsewhere | Met::Noted => Ok(End::Elsewhere),
        }
    }

    /// The pivot, and what follows it. Whatever fails from here on is asked for again, never taken back by guess.
    async fn confirm(&self, held: Held, order: FullOrder) -> Outcome {
        let call = for_step(&self.call, held);
        let stock = &self.service.neighbours.stock;
        let confirmed = answered(held.until, || stock.confirm(&call, reservation(held.order))).await;
        Point::Confirmed.reach();
        match confirmed {
            Ok(()) => self.place(held, order).await,
            Err(CallError::Domain(ConfirmError::Over)) => self.go_back(held, order, Why::TooLate).await,
            Err(_) => Err(self.unknown(held).await),
        }
    }

    /// The last transaction: numbered, told, answered.
    async fn place(&self, held: Held, order: FullOrder) -> Outcome {
        let (terms, once, lines) = (self.terms(), self.once.clone(), order.lines);
        let unit = move |tx: &mut Conn| {
            if !store::processes::finish(tx, held, terms.now)? {
                return Ok(None);
            }
            let busy = || database::Error::Unavailable("an attempt is driven, and its order not pending".into());
            // As it stands now: its provider may have told more while the goods were confirmed.
            let payment = store::payments::lock(tx, held.order)?.ok_or_else(busy)?;
            let status = payment.status(Status::Placed);
            let paid = payment.all_came();
            let order = store::orders::place(tx, held.order, status, paid, terms.now)?.ok_or_else(busy)?;
            let paid = paid.then(|| paid_event(&order, Some(&payment)));
            let events: Vec<_> = std::iter::once(placed_event(&order, &lines)).chain(paid).collect();
            database::outbox::publish(tx, &events, terms.now, terms.trace)?;
            let order = Order { payment: Some(payment), ..order };
            let answer = Attempt::Placed(FullOrder { order, lines: lines.clone() });
            once.finish(tx, &answer)?;
            Ok::<_, database::Error>(Some(answer))
        };
        let placed = self.write(held, unit).await?;
        Point::Placed.reach();
        Ok(placed.map_or(End::Elsewhere, |placed| End::Attempt(Box::new(placed))))
    }

    async fn reserve(&self, held: Held, order: &FullOrder) -> Answered<(), ReserveError> {
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
        let call = for_step(&self.call, held);
        answered_how(held.until, || self.service.neighbours.stock.reserve(&call, request.clone())).await
    }

    /// Nothing is held, and no money was asked for: the order fails and the cart opens, with today's prices where they
    /// moved.
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
            Err(Failure::Unknown) => return self.unknown(held).await, // perhaps held
            Err(failure) => (failure.into(), Vec::new()),
        };
        let (cart, terms, once) = (order.order.cart, self.terms(), self.once.clone());
        let unit = move |tx: &mut Conn| {
            if fail(tx, held, None, terms)? {
                reprice(tx, cart, &moved)?;
            }
            once.give_up(tx)
        };
        match self.write(held, unit).await {
            Ok(()) => {
                Point::Failed.reach();
                answer
            }
            Err(unknown) => unknown,
        }
    }

    /// Before the pivot. The step is written first: from then on no word of the provider leads forward.
    async fn go_back(&self, held: Held, order: FullOrder, why: Why) -> Outcome {
        let lease = self.service.lease;
        let unit = move |tx: &mut Conn| store::processes::advance(tx, held, Step::Undo, lease);
        let undo = self.write(held, unit).await?;
        Point::UndoKept.reach();
        match undo {
            Some(held) => self.undo(held, order, why).await,
            None => Ok(End::Elsewhere),
        }
    }

    /// Nothing stays secured, nothing held, the order fails, the cart opens. An answer that is kept (a declined card) is
    /// kept in the transaction that makes it true.
    async fn undo(&self, held: Held, order: FullOrder, why: Why) -> Outcome {
        let asked = asked(&order.order)?;
        let voided = told(held.until, || self.provider.void(&asked)).await;
        Point::Voided.reach();
        let Ok(word) = voided else { return Err(self.unknown(held).await) };
        match self.service.release(&self.call, held).await {
            Ok(()) => (),
            Err(error) => {
                if let Ok(no) = error.split() {
                    tracing::error!(order = %held.order, %no, "an attempt that was never placed cannot be released");
                }
                return Err(self.unknown(held).await);
            }
        }
        let (terms, once, kept) = (self.terms(), self.once.clone(), why.clone());
        let unit = move |tx: &mut Conn| {
            if !fail(tx, held, word.as_ref(), terms)? {
                return Ok(false);
            }
            match &kept {
                Why::Declined(reason) => once.finish(tx, &Attempt::Declined { reason: reason.clone() })?,
                Why::TooLate | Why::Refused | Why::Failure(_) | Why::Left => once.give_up(tx)?,
            }
            Ok::<_, database::Error>(true)
        };
        let failed = self.write(held, unit).await?;
        Point::Failed.reach();
        match (failed, why) {
            (false, _) => Ok(End::Elsewhere),
            (true, Why::Declined(reason)) => Ok(End::Attempt(Box::new(Attempt::Declined { reason }))),
            (true, Why::TooLate) => Err(CheckoutError::TooLate),
            (true, Why::Refused) => Err(Error::PaymentRefused(REFUSED.to_owned()).into()),
            (true, Why::Failure(failure)) => Err(failure.into()),
            (true, Why::Left) => Ok(End::Failed),
        }
    }

    /// What is under way and cannot be written is not undone by that: the worker goes on from what is written.
    async fn write<T: Send + 'static>(
        &self,
        held: Held,
        unit: impl Fn(&mut Conn) -> database::Result<T> + Send + Sync + 'static,
    ) -> Result<T, CheckoutError> {
        match self.service.db.write(unit).await {
            Ok(written) => Ok(written),
            Err(error) => {
                tracing::error!(order = %held.order, step = ?held.step, %error, "heard, and not written down yet");
                Err(self.unknown(held).await)
            }
        }
    }

    async fn unknown(&self, held: Held) -> CheckoutError {
        self.service.put_down(held, held.turn).await.into()
    }

    fn terms(&self) -> Terms {
        self.service.terms(&self.call)
    }
}

fn with(mut order: FullOrder, payment: Payment) -> FullOrder {
    order.order.payment = Some(payment);
    order
}

fn placed_event(order: &Order, lines: &[OrderLine]) -> OrderEvent {
    let line = |line: &OrderLine| OrderedLine { variant_id: line.variant, quantity: line.quantity };
    OrderEvent::Placed {
        order_id: order.id,
        number: order.number.unwrap_or_default(),
        user_id: order.user,
        total: order.total(),
        lines: lines.iter().map(line).collect(),
    }
}

/// Ends an attempt that came to nothing: the order fails, the cart opens. `word`: what its provider said to taking the
/// money back; `None` where none was asked for. `false`: somebody else drives it now.
fn fail(tx: &mut Conn, held: Held, word: Option<&Word>, terms: Terms) -> database::Result<bool> {
    let ended = match held.step {
        Step::Undo => store::processes::finish(tx, held, terms.now)?,
        _ => store::processes::leave(tx, held, terms.now)?,
    };
    if !ended {
        return Ok(false);
    }
    let order: OrderId = held.order;
    let mut status = PaymentStatus::Failed;
    let mut events = vec![OrderEvent::Failed { order_id: order }];
    if let Some(known) = store::payments::lock(tx, order)? {
        // The money was there, and the goods were gone by then: it came too late, and has gone back.
        let late = known.state == State::Authorised;
        let now = word.map_or_else(|| known.clone(), |word| known.heard(word));
        let now = Payment { late_at: if late { Some(terms.now) } else { now.late_at }, ..now };
        if late {
            events.push(OrderEvent::PaymentLate { order_id: order });
        }
        book(tx, order, &known, &now, By::Provider("Its checkout came to nothing."), terms)?;
        status = now.status(Status::Failed);
    }
    store::orders::fail(tx, order, status, terms.now)?;
    store::carts::open(tx, order, terms.now)?;
    database::outbox::publish(tx, &events, terms.now, terms.trace)?;
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
