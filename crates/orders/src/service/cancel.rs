//! Taking an order back: what is held goes free, what is secured is void, then it is cancelled.
use super::{
    Error, Service,
    checkout::{answered, asked, reservation},
};
use crate::{
    domain::{
        cart::Holder,
        order::{FullOrder, Status},
    },
    store::{
        self,
        processes::{Held, New, Step, Task},
    },
};
use database::{
    Conn,
    once::{Kept, Once},
};
use kernel::{Call, CallError, Failure};
use orders_api::{OrderEvent, OrderId};
use std::sync::Arc;

enum Begun {
    Replay(Vec<u8>),
    /// It is cancelled already: the same answer again.
    Already(FullOrder),
    Ours(Held, FullOrder, Option<String>),
}

impl Service {
    pub(crate) async fn cancel(
        self: Arc<Self>,
        call: Call,
        id: OrderId,
        holder: Holder,
        reason: Option<String>,
        once: Once<FullOrder>,
    ) -> Result<Kept<FullOrder>, Error> {
        let tasks = self.tasks.clone();
        let task = tasks.spawn(async move { self.cancel_in_steps(&call, id, holder, reason, once).await });
        task.await.unwrap_or(Err(Error::Neighbour(Failure::Unknown)))
    }

    async fn cancel_in_steps(
        &self,
        call: &Call,
        id: OrderId,
        holder: Holder,
        reason: Option<String>,
        once: Once<FullOrder>,
    ) -> Result<Kept<FullOrder>, Error> {
        let (held, full, provider) = match self.begin_cancel(id, holder, once.clone()).await? {
            Begun::Replay(bytes) => return Ok(Kept::Replayed(bytes)),
            Begun::Already(order) => return Ok(Kept::Fresh(order)),
            Begun::Ours(held, full, provider) => (held, full, provider),
        };
        let said = answered(|| self.neighbours.stock.release(call, reservation(id))).await;
        self.heard(held, &once, said, Error::NotCancellable).await?;
        if let Some(provider) = provider.and_then(|name| self.providers.get(&name)) {
            let wish = super::checkout::wish(id);
            asked(|| provider.void(&wish)).await?;
        }
        let (now, trace) = (self.now(), call.trace);
        let unit = move |tx: &mut Conn| {
            if !store::processes::finish(tx, held, now)? {
                return Err(Error::OrderBusy);
            }
            let order = store::orders::cancel(tx, id, reason.as_deref(), now)?.ok_or(Error::OrderBusy)?;
            store::payments::void(tx, id, now)?;
            database::outbox::publish(
                tx,
                &[OrderEvent::Cancelled { order_id: id, reason: reason.clone() }],
                now,
                trace,
            )?;
            let answer = FullOrder { order, lines: full.lines.clone() };
            once.finish(tx, &answer)?;
            Ok(Kept::Fresh(answer))
        };
        self.db.write(unit).await
    }

    async fn begin_cancel(&self, id: OrderId, holder: Holder, once: Once<FullOrder>) -> Result<Begun, Error> {
        let (now, lease) = (self.now(), self.lease);
        let unit = move |tx: &mut Conn| {
            if let Some(bytes) = once.begin::<Error>(tx, lease)? {
                return Ok(Begun::Replay(bytes));
            }
            let full = store::orders::full(tx, id, holder)?.ok_or(Error::NotFound)?;
            if full.order.status == Status::Cancelled {
                once.finish(tx, &full)?;
                return Ok(Begun::Already(full));
            }
            if !full.order.cancellable() {
                return Err(Error::NotCancellable);
            }
            let held = match store::processes::take_over(tx, id, Task::Cancel, lease)? {
                // Its driver is gone; what it asked for is asked for again.
                Some(taken) => taken.held,
                None => {
                    let new = New { order: id, task: Task::Cancel, step: Step::Settle, provider: None };
                    store::processes::begin(tx, new, lease, now, Error::OrderBusy)?
                }
            };
            // Another may have ended between the look and the lease; from here on nobody else changes the order.
            let full = FullOrder { order: store::orders::find(tx, id)?.ok_or(Error::NotFound)?, ..full };
            if full.order.status == Status::Cancelled {
                store::processes::finish(tx, held, now)?;
                once.finish(tx, &full)?;
                return Ok(Begun::Already(full));
            }
            if !full.order.cancellable() {
                return Err(Error::NotCancellable);
            }
            Ok(Begun::Ours(held, full, store::payments::of(tx, id)?.map(|payment| payment.provider)))
        };
        self.db.write(unit).await
    }

    /// What products said to a process that settles: it goes on; or it ends with nothing done, since this was the first
    /// to ask; or it stays for its lease, since an earlier driver may have been heard.
    pub(super) async fn heard<E>(
        &self,
        held: Held,
        once: &Once<FullOrder>,
        said: Result<(), CallError<E>>,
        refused: Error,
    ) -> Result<(), Error> {
        let Err(error) = said else { return Ok(()) };
        let answer = match error.split() {
            Ok(_) => refused,
            Err(failure) if failure == Failure::Unknown || !held.is_first() => return Err(Failure::Unknown.into()),
            Err(failure) => failure.into(),
        };
        self.leave(held, once).await?;
        Err(answer)
    }

    /// Nothing was done: the process ends, and the key is free.
    async fn leave(&self, held: Held, once: &Once<FullOrder>) -> Result<(), Error> {
        let (now, once) = (self.now(), once.clone());
        let unit = move |tx: &mut Conn| {
            store::processes::finish(tx, held, now)?;
            once.give_up(tx)
        };
        Ok(self.db.write(unit).await?)
    }
}
