//! What is asked for of a placed order: cancel, ship, capture, refund. One way for all: begin a process with what is asked
//! for, ask outside, and write the outcome down in one transaction. The worker goes the same way for whoever died.
mod settle;
mod wish;

use super::{Error, Service};
use crate::{
    domain::{cart::Holder, order::FullOrder},
    points::Point,
    store::{
        self,
        processes::{Held, New},
    },
};
use database::{
    Conn,
    once::{self, Kept, Once},
};
use kernel::Call;
use orders_api::OrderId;
use std::sync::Arc;

pub(crate) use wish::{Parcel, Part, Wish};

enum Begun {
    Replay(Vec<u8>),
    /// It is so already: the same answer again.
    Already(Box<FullOrder>),
    Ours(Held, Box<FullOrder>, Wish),
}

impl Service {
    /// Runs in a task of its own: whoever hangs up, or whose time is over, cancels nothing.
    pub(crate) async fn change(
        self: Arc<Self>,
        call: Call,
        id: OrderId,
        holder: Holder,
        wish: Wish,
        once: Once<FullOrder>,
    ) -> Result<Kept<FullOrder>, Error> {
        let (service, asker) = (Arc::clone(&self), call.clone());
        let steps = async move {
            Point::ChangeBegun.reach();
            let begun = service.begin_change(id, holder, wish, once.clone()).await?;
            match begun {
                Begun::Replay(bytes) => Ok(Kept::Replayed(bytes)),
                Begun::Already(order) => Ok(Kept::Fresh(*order)),
                Begun::Ours(held, full, wish) => {
                    wish.begin_kept();
                    service.settle(&asker, held, *full, wish, once).await.map(Kept::Fresh)
                }
            }
        };
        self.within(&call, steps).await
    }

    async fn begin_change(
        &self,
        id: OrderId,
        holder: Holder,
        wish: Wish,
        once: Once<FullOrder>,
    ) -> Result<Begun, Error> {
        let (now, lease) = (self.now(), self.lease);
        let unit = move |tx: &mut Conn| {
            if let Some(bytes) = once.begin::<Error>(tx, lease.0)? {
                return Ok(Begun::Replay(bytes));
            }
            let full = store::orders::full(tx, id, holder)?.ok_or(Error::NotFound)?;
            let claim = once.record();
            // The request with this key died, or its caller did not wait: what it began is what is asked for.
            let since = now.minus(once::KEPT);
            match claim.as_deref().map(|claim| store::processes::of_claim(tx, claim, since)).transpose()?.flatten() {
                Some(true) => {
                    // It may have ended between the two looks.
                    let full = store::orders::full(tx, id, holder)?.ok_or(Error::NotFound)?;
                    once.finish(tx, &full)?;
                    return Ok(Begun::Already(Box::new(full)));
                }
                Some(false) => return Err(once::Refused::InProgress.into()),
                None => (),
            }
            if wish.is_so(&full.order) {
                once.finish(tx, &full)?;
                return Ok(Begun::Already(Box::new(full)));
            }
            let wish = wish.clone().of(&full.order)?;
            let provider = full.order.payment.as_ref().map(|payment| payment.provider.clone());
            let input = Some(wish.written());
            let new = New { order: id, task: wish.task(), provider: provider.as_deref(), input, claim };
            let held = store::processes::begin(tx, new, lease, now, Error::OrderBusy)?;
            // Another may have ended between the look and the lease; from here on nobody else changes the order.
            let order = store::orders::find(tx, id)?.ok_or(Error::NotFound)?;
            let wish = match wish.is_so(&order) {
                true => Err(Error::OrderBusy),
                false => wish.of(&order),
            }?;
            if let Some(promised) = wish.promises(now) {
                store::payments::promise(tx, id, &promised, now, || wish.beyond())?;
            }
            Ok(Begun::Ours(held, Box::new(FullOrder { order, ..full }), wish))
        };
        self.db.write(unit).await
    }
}
