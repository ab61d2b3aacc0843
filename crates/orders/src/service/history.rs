//! What orders tells others. The guard stands before it; whose orders they are, is decided here.
use super::{READ, Service};
use crate::{domain::order::Order, store};
use kernel::{Call, CallError, Failure, async_trait};
use orders_api::{Latest, LatestError, MAX_LATEST, MAX_USERS, OrderHistory, OrderSummary};

#[async_trait]
impl OrderHistory for Service {
    async fn latest(&self, call: &Call, request: Latest) -> Result<Vec<OrderSummary>, CallError<LatestError>> {
        let Latest { mut users, limit } = request;
        if users.len() > MAX_USERS || !(1..=MAX_LATEST).contains(&limit) {
            return Err(CallError::Domain(LatestError::OutOfRange));
        }
        let holder = self.holder(call, None, READ);
        users.retain(|user| holder.staff || holder.user == Some(*user));
        let orders =
            self.db.read(move |conn| store::orders::latest(conn, users, limit)).await.map_err(Failure::from)?;
        Ok(orders.into_iter().filter_map(summary).collect())
    }
}

fn summary(order: Order) -> Option<OrderSummary> {
    Some(OrderSummary {
        id: order.id,
        user: order.user?,
        number: order.number,
        status: order.status.as_str().into(),
        payment_status: order.payment_status.as_str().into(),
        fulfilment_status: order.fulfilment_status.as_str().into(),
        total: order.total(),
        placed_at: order.placed_at,
    })
}
