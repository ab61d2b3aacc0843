//! What a driver left, driven on: after a crash, an outage, or a buyer who did not come back.
use super::{
    Error, Service,
    changes::Wish,
    checkout::{CheckoutError, Driver, Terms},
};
use crate::{
    domain::{
        cart::Holder,
        order::{FullOrder, Order},
        payment::Payment,
        process::{Task, asks},
    },
    payments::Provider,
    points::Point,
    store::{self, processes::Taken},
};
use database::{Conn, once::Once};
use futures_util::{StreamExt, stream::FuturesUnordered};
use kernel::{Call, Principal, Trace};
use orders_api::OrderId;
use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

/// How many are looked for at once, and how many are driven side by side.
const SOME: i64 = 256;
const AT_ONCE: usize = 32;
/// How long a turn that drives waits at most before it looks for more, and for how long it takes on more.
const LOOK: Duration = Duration::from_secs(1);
const TURN: Duration = Duration::from_secs(20);

impl Service {
    /// Drives on whatever is due, until nothing is. Several processes may do so at once: taking over is one guarded
    /// update. Whatever becomes due meanwhile has the next free place, so that what hangs holds up only its own.
    pub(crate) async fn drive_due(self: Arc<Self>) {
        let (mut driven, mut running) = (FuturesUnordered::new(), HashSet::new());
        let over = Instant::now() + TURN;
        let mut healthy = true;
        while healthy && Instant::now() < over {
            let now = self.now();
            match self.db.read(move |conn: &mut Conn| store::processes::due(conn, now, SOME)).await {
                Ok(due) => {
                    for order in due {
                        if driven.len() < AT_ONCE && running.insert(order) {
                            driven.push(Arc::clone(&self).resume(order));
                        }
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "processes of orders wait for the next turn");
                    healthy = false;
                }
            }
            match tokio::time::timeout(LOOK, driven.next()).await {
                Ok(None) => return,
                Ok(Some((order, taken))) => {
                    running.remove(&order);
                    healthy &= taken;
                }
                Err(_) => (), // look for more meanwhile
            }
        }
        while driven.next().await.is_some() {}
    }

    /// Takes one over and drives it, if it is still due. `false`: the database is not there.
    async fn resume(self: Arc<Self>, id: OrderId) -> (OrderId, bool) {
        let (lease, now, service) = (self.lease, self.now(), Arc::clone(&self));
        let unit = move |tx: &mut Conn| {
            let Some(taken) = store::processes::take_over(tx, id, lease, now)? else { return Ok(None) };
            let mut full = store::orders::full(tx, id, Holder::ANYONE)?;
            if let Some(full) = &mut full {
                service.with_payment(tx, full, &taken)?;
            }
            Ok::<_, database::Error>(full.map(|full| (taken, full)))
        };
        let taken = match self.db.write(unit).await {
            Ok(Some(taken)) => taken,
            Ok(None) => return (id, true),
            Err(error) => {
                tracing::warn!(order = %id, %error, "a process of an order waits for the next turn");
                return (id, false);
            }
        };
        Point::TakenOver.reach();
        let (taken, full) = taken;
        let (task, step, tries) = (taken.held.task, taken.held.step, taken.held.tries);
        let tasks = self.tasks.clone();
        let driven = tasks.spawn(self.drive_on(taken, full)).await;
        match driven {
            Ok(Ok(())) => {
                tracing::info!(order = %id, ?task, ?step, tries, "driven on what was left");
            }
            Ok(Err(error)) => {
                let asks = asks(task, step);
                tracing::warn!(order = %id, ?task, ?step, asks, tries, %error, "what was left cannot be ended yet");
            }
            Err(_) => (), // it panicked, which is told; its lease ends
        }
        (id, true)
    }

    async fn drive_on(self: Arc<Self>, taken: Taken, full: FullOrder) -> Result<(), Error> {
        let Taken { held, input, .. } = taken;
        let trace = Trace(full.order.id.uuid().as_u128());
        let call = Call::begin(Principal::Anonymous, trace, self.lease.0);
        if held.task == Task::Checkout {
            let driver = Driver::alone(&self, call, &full)?;
            return match driver.drive(held, full).await {
                Ok(_) | Err(CheckoutError::TooLate) => Ok(()),
                Err(CheckoutError::Other(Error::PaymentRefused(_))) => Ok(()),
                Err(CheckoutError::Other(error)) => Err(error),
                Err(_) => Ok(()), // its buyer's matter, who is gone
            };
        }
        let wish = Wish::read(held.task, input)?;
        match self.settle(&call, held, full, wish, Once::unkeyed()).await {
            Ok(_) | Err(Error::NotCancellable | Error::NotShippable | Error::PaymentRefused(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// An attempt of a version that wrote its payment later gets one now, so that it can be taken back.
    fn with_payment(&self, tx: &mut Conn, full: &mut FullOrder, taken: &Taken) -> database::Result<()> {
        let (order, Some(name)) = (&mut full.order, &taken.provider) else { return Ok(()) };
        if order.payment.is_none() {
            let asked = self.providers.asked_for(name, order.total());
            let reference = asked.and_then(|asked| asked.reference(order.id));
            let payment = Payment::begun(name, reference, order.total());
            store::payments::insert(tx, order.id, &payment, order.created_at)?;
            order.payment = Some(payment);
        }
        Ok(())
    }

    /// Who took an order's money.
    pub(super) fn provider_of(&self, order: &Order) -> Result<Arc<dyn Provider>, Error> {
        let payment = order.payment.as_ref().ok_or(Error::Unreadable)?;
        self.providers.asked_for(&payment.provider, payment.amount).ok_or_else(|| {
            let provider = payment.provider.as_str();
            tracing::error!(order = %order.id, provider, "it took an order's money, and payments.providers lacks it");
            Error::ProviderGone(provider.to_owned())
        })
    }

    pub(super) fn terms(&self, call: &Call) -> Terms {
        Terms { now: self.now(), lease: self.lease, hold_for: self.hold_for, trace: call.trace }
    }
}
