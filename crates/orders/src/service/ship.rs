//! Sending an order, all of it: what was confirmed leaves the stock, then the order says so.
use super::{
    Error, Service,
    checkout::{answered, reservation},
};
use crate::{
    domain::{
        cart::Holder,
        order::{FullOrder, Order, Shipment},
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
use kernel::{Call, Failure, Id};
use orders_api::{OrderEvent, OrderId};
use std::sync::Arc;

/// Who carries it, and how it can be followed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parcel {
    pub carrier: Option<String>,
    pub tracking_number: Option<String>,
}

enum Begun {
    Replay(Vec<u8>),
    Ours(Held, Box<FullOrder>),
}

impl Service {
    pub(crate) async fn ship(
        self: Arc<Self>,
        call: Call,
        id: OrderId,
        holder: Holder,
        parcel: Parcel,
        once: Once<FullOrder>,
    ) -> Result<Kept<FullOrder>, Error> {
        let tasks = self.tasks.clone();
        let task = tasks.spawn(async move { self.ship_in_steps(&call, id, holder, parcel, once).await });
        task.await.unwrap_or(Err(Error::Neighbour(Failure::Unknown)))
    }

    async fn ship_in_steps(
        &self,
        call: &Call,
        id: OrderId,
        holder: Holder,
        parcel: Parcel,
        once: Once<FullOrder>,
    ) -> Result<Kept<FullOrder>, Error> {
        let (held, full) = match self.begin_ship(id, holder, once.clone()).await? {
            Begun::Replay(bytes) => return Ok(Kept::Replayed(bytes)),
            Begun::Ours(held, full) => (held, *full),
        };
        let said = answered(|| self.neighbours.stock.ship(call, reservation(id))).await;
        self.heard(held, &once, said, Error::NotShippable).await?;
        let (now, trace) = (self.now(), call.trace);
        let status = full.order.shipped_status();
        let Parcel { carrier, tracking_number } = parcel;
        let shipment = Shipment { id: Id::new(), carrier, tracking_number, created_at: now };
        let unit = move |tx: &mut Conn| {
            if !store::processes::finish(tx, held, now)? {
                return Err(Error::OrderBusy);
            }
            let order = store::orders::ship(tx, id, status, now)?.ok_or(Error::OrderBusy)?;
            store::orders::add_shipment(tx, id, &shipment)?;
            let order = Order { shipments: vec![shipment.clone()], ..order };
            database::outbox::publish(tx, &[OrderEvent::Shipped { order_id: id }], now, trace)?;
            let answer = FullOrder { order, lines: full.lines.clone() };
            once.finish(tx, &answer)?;
            Ok(Kept::Fresh(answer))
        };
        self.db.write(unit).await
    }

    async fn begin_ship(&self, id: OrderId, holder: Holder, once: Once<FullOrder>) -> Result<Begun, Error> {
        let (now, lease) = (self.now(), self.lease);
        let unit = move |tx: &mut Conn| {
            if let Some(bytes) = once.begin::<Error>(tx, lease)? {
                return Ok(Begun::Replay(bytes));
            }
            let full = store::orders::full(tx, id, holder)?.ok_or(Error::NotFound)?;
            if !full.order.shippable() {
                return Err(Error::NotShippable);
            }
            let held = match store::processes::take_over(tx, id, Task::Ship, lease)? {
                // Its driver is gone; what it asked for is asked for again.
                Some(taken) => taken.held,
                None => {
                    let new = New { order: id, task: Task::Ship, step: Step::Settle, provider: None };
                    store::processes::begin(tx, new, lease, now, Error::OrderBusy)?
                }
            };
            // Another may have ended between the look and the lease; from here on nobody else changes the order.
            let order = store::orders::find(tx, id)?.filter(Order::shippable).ok_or(Error::NotShippable)?;
            Ok(Begun::Ours(held, Box::new(FullOrder { order, ..full })))
        };
        self.db.write(unit).await
    }
}
