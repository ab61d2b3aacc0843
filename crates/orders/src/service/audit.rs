//! Whether the books of orders agree with each other, and with what products holds for them.
use super::{Orders, Service};
use crate::{
    domain::order::{FulfilmentStatus, Status},
    store::audit::{self, ALWAYS, AT_REST, Bought},
};
use database::Conn;
use kernel::{Call, CallError, Check, Failure};
use orders_api::OrderId;
use products_api::{Holding, HoldingState, Holdings, MAX_HOLDINGS, ReservationId};
use std::{collections::BTreeMap, time::Duration};
use uuid::Uuid;

/// How long something may be due before it counts as left lying about.
const MINUTES: Duration = Duration::from_secs(120);
/// How often an order is looked at again that has just changed.
const LOOKS: usize = 10;

impl Orders {
    /// Recomputes every invariant from the tables, each at a moment of its own, so it may run beside traffic; then compares
    /// every order with its reservation. `at_rest` adds what only holds when nobody is buying.
    pub async fn audit(&self, call: &Call, at_rest: bool) -> Result<Vec<Check>, Failure> {
        let before = self.0.now().minus(MINUTES);
        let mut checks = Vec::new();
        for invariant in ALWAYS.iter().chain(at_rest.then_some(&AT_REST)) {
            checks.push(self.0.db.read(move |conn| invariant.check(conn, before)).await?);
        }
        checks.push(self.0.compare(call).await?);
        Ok(checks)
    }
}

impl Service {
    /// Every order with its reservation, and every reservation with its order, page by page in the order of their ids:
    /// they have the same ones.
    async fn compare(&self, call: &Call) -> Result<Check, Failure> {
        let holds = "what products holds for an order is what was bought: confirmed until it is sent, shipped then, and \
                     free when it failed or was cancelled";
        let mut check = Check::new("orders.goods_are_kept_for_orders", holds);
        let mut after: Option<ReservationId> = None;
        loop {
            let page = self.holdings(call, after, MAX_HOLDINGS).await?;
            // As many of either side as one page has, up to where both have been seen. A page may be short; only an empty
            // one is the end of it.
            let mut last = page.last().map(|holding| holding.reservation);
            let orders = self.bought(after, last, MAX_HOLDINGS).await?;
            if orders.len() == MAX_HOLDINGS {
                last = orders.keys().next_back().map(|order| ReservationId::from(*order.uuid()));
            }
            let seen = |holding: &Holding| last.is_none_or(|last| holding.reservation <= last);
            let page: Vec<Holding> = page.into_iter().filter(seen).collect();
            let mut held: BTreeMap<Uuid, Holding> = BTreeMap::new();
            held.extend(page.into_iter().map(|holding| (*holding.reservation.uuid(), holding)));
            let mut ids: Vec<Uuid> = orders.keys().map(|order| *order.uuid()).chain(held.keys().copied()).collect();
            ids.sort_unstable();
            ids.dedup();
            check.looked_at += ids.len() as u64;
            for id in ids {
                let suspect = wrong(orders.get(&OrderId::from(id)), held.get(&id)).is_some();
                if suspect && let Some(why) = self.still_wrong(call, id).await? {
                    check.found(OrderId::from(id), why);
                }
            }
            after = last;
            if after.is_none() {
                return Ok(check);
            }
        }
    }

    /// Looked at alone: an order that is the same before and after its reservation was read has not moved meanwhile.
    async fn still_wrong(&self, call: &Call, id: Uuid) -> Result<Option<String>, Failure> {
        let before_it = id.as_u128().checked_sub(1).map(Uuid::from_u128).map(ReservationId::from);
        for _ in 0..LOOKS {
            let first = self.one(id, before_it).await?;
            let held = self.holdings(call, before_it, 1).await?;
            let held = held.into_iter().find(|holding| *holding.reservation.uuid() == id);
            if first == self.one(id, before_it).await? {
                return Ok(wrong(first.as_ref(), held.as_ref()));
            }
        }
        Ok(None) // it is being worked on
    }

    async fn one(&self, id: Uuid, before_it: Option<ReservationId>) -> Result<Option<Bought>, Failure> {
        Ok(self.bought(before_it, Some(id.into()), 1).await?.remove(&OrderId::from(id)))
    }

    async fn bought(
        &self,
        after: Option<ReservationId>,
        last: Option<ReservationId>,
        limit: usize,
    ) -> Result<BTreeMap<OrderId, Bought>, Failure> {
        let order = |id: ReservationId| OrderId::from(*id.uuid());
        let (after, last) = (after.map(order), last.map(order));
        Ok(self.db.read(move |conn: &mut Conn| audit::bought(conn, after, last, limit as i64)).await?)
    }

    async fn holdings(&self, call: &Call, after: Option<ReservationId>, limit: usize) -> Result<Vec<Holding>, Failure> {
        let asked = self.neighbours.stock.holdings(call, Holdings { after, limit }).await;
        asked.map_err(|error| match error {
            CallError::Domain(_) => Failure::Unknown, // the limit is products' own
            error => error.split().err().unwrap_or(Failure::Unknown),
        })
    }
}

/// What is wrong between an order and its reservation.
fn wrong(order: Option<&Bought>, held: Option<&Holding>) -> Option<String> {
    let is = held.map(|holding| holding.state);
    let Some(order) = order else {
        let of_nobody = matches!(is, Some(HoldingState::Held | HoldingState::Confirmed | HoldingState::Shipped));
        return of_nobody.then(|| format!("{} for an order that is not there", name(is)));
    };
    if order.open || order.status == Status::Pending {
        return None; // it is being worked on
    }
    let right = match (order.status, order.fulfilment) {
        (Status::Failed | Status::Cancelled, _) => {
            matches!(is, None | Some(HoldingState::Released | HoldingState::Expired))
        }
        (_, FulfilmentStatus::Unfulfilled) => is == Some(HoldingState::Confirmed),
        (_, FulfilmentStatus::Partial | FulfilmentStatus::Fulfilled) => is == Some(HoldingState::Shipped),
    };
    if !right {
        let (status, goods) = (order.status.as_str(), order.fulfilment.as_str());
        return Some(format!("the order is {status} and {goods}, its goods are {}", name(is)));
    }
    let lines_matter = matches!(is, Some(HoldingState::Confirmed | HoldingState::Shipped));
    let differ = held.is_some_and(|holding| lines_matter && holding.lines != order.lines);
    differ.then(|| "other goods, or other pieces, are held than were bought".to_owned())
}

fn name(state: Option<HoldingState>) -> &'static str {
    match state {
        None => "not held at all",
        Some(HoldingState::Held) => "held",
        Some(HoldingState::Confirmed) => "confirmed",
        Some(HoldingState::Shipped) => "shipped",
        Some(HoldingState::Released) => "released",
        Some(HoldingState::Expired) => "expired",
    }
}
