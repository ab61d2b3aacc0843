//! What payment providers tell by themselves. An event is listened to when it is signed, and believed when its provider
//! says the same on being asked: so it may come first, twice, late or out of order.
use super::{
    Error, Service,
    changes::Wish,
    checkout::{Driver, Met, meet},
};
use crate::{
    domain::{cart::Holder, process::Task},
    payments::BadEvent,
    points::Point,
    store,
};
use database::{Conn, once::Once};
use kernel::Call;
use std::sync::Arc;

impl Service {
    /// Heard once this returns; what follows from it goes on in a task of its own.
    pub(crate) async fn payment_event(
        self: Arc<Self>,
        call: Call,
        provider: &str,
        header: &dyn Fn(&str) -> Option<String>,
        body: &[u8],
    ) -> Result<(), Error> {
        let provider = self.providers.get(provider).ok_or(Error::NotFound)?;
        let heard = provider.event(header, body, self.now()).map_err(|BadEvent(why)| {
            tracing::warn!(provider = provider.name(), why, "a payment event is not listened to");
            Error::BadEvent
        })?;
        let Some(heard) = heard else { return Ok(()) };
        Point::EventBegun.reach();
        let (service, name) = (Arc::clone(&self), provider.name());
        let listen = {
            let call = call.clone();
            async move { service.listen(call, name, heard).await }
        };
        self.within(&call, listen).await
    }

    async fn listen(
        self: Arc<Self>,
        call: Call,
        provider: &'static str,
        heard: crate::payments::Heard,
    ) -> Result<(), Error> {
        let id = heard.order;
        let find = move |conn: &mut Conn| store::orders::full(conn, id, Holder::ANYONE);
        let Some(order) = self.db.read(find).await? else {
            tracing::warn!(order = %id, reference = heard.reference, "a payment event names an order that is not here");
            return Ok(());
        };
        let driver = Driver::alone(&self, call.clone(), &order)?;
        let payment = order.order.payment.as_ref();
        let of_this = payment.is_some_and(|payment| {
            payment.provider == provider && payment.reference.as_ref().is_none_or(|known| *known == heard.reference)
        });
        if !of_this {
            let reference = heard.reference;
            tracing::warn!(order = %id, provider, reference, "a payment event is of another payment than the order's");
            return Ok(());
        }
        let word = match heard.word {
            Some(word) => Some(word),
            // Should it not answer, nothing is changed, and it tells again.
            None => driver.stands(&order.order).await?,
        };
        Point::EventLooked.reach();
        let Some(word) = word else { return Ok(()) };
        let terms = self.terms(&call);
        let met = self.db.write(move |tx: &mut Conn| meet(tx, id, &word, None, terms)).await?;
        Point::EventKept.reach();
        if let Met::Drive(held, payment) = met {
            let mut order = order;
            order.order.payment = Some(payment);
            let service = Arc::clone(&self);
            // Nobody waits for it: should it not come to its end, the worker drives it on.
            drop(self.tasks.spawn(async move {
                let ended = match held.task {
                    Task::Checkout => driver.drive(held, order).await.map(drop).map_err(|error| error.to_string()),
                    _ => {
                        let settled = service.settle(&call, held, order, Wish::Revert, Once::unkeyed()).await;
                        settled.map(drop).map_err(|error| error.to_string())
                    }
                };
                if let Err(error) = ended {
                    tracing::warn!(order = %id, error, "what a payment event led to waits for the worker");
                }
            }));
        }
        self.settled.notify_waiters();
        Ok(())
    }
}
