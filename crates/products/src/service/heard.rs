//! What products hears, and what it does about it. Each stands in the transaction that marks the event as handled, and
//! may come again, late, or before what it follows.
use super::{Products, Service};
use crate::store::{
    customers,
    purchases::{self, Changed},
};
use database::{Conn, Result};
use kernel::{Time, Trace};
use messaging::Listener;
use orders_api::{OrderEvent, OrderId, OrderedLine};
use products_api::{ProductId, ReviewEvent};
use std::{collections::BTreeMap, sync::Arc};
use users_api::{UserEvent, UserId};

/// When it was heard, and in the course of what it happened.
#[derive(Clone, Copy)]
pub(crate) struct Heard {
    pub at: Time,
    pub trace: Trace,
}

impl Products {
    /// An order makes its buyer a verified reviewer and counts towards best sellers; somebody whose account is gone is
    /// forgotten.
    pub fn listener(&self) -> Listener {
        let (orders, users) = (Arc::clone(&self.0), Arc::clone(&self.0));
        Listener::default()
            .on::<OrderEvent>(&["order.placed", "order.cancelled"], move |tx, event, envelope| {
                Ok(orders.hear_order(tx, event, envelope.trace())?)
            })
            .on::<UserEvent>(&["user.deleted"], move |tx, event, envelope| {
                Ok(users.hear_user(tx, event, envelope.trace())?)
            })
    }
}

impl Service {
    pub(crate) fn hear_order(&self, tx: &mut Conn, event: OrderEvent, trace: Trace) -> Result<()> {
        let heard = Heard { at: self.now(), trace };
        match event {
            OrderEvent::Placed { order_id, user_id, lines, .. } => placed(tx, order_id, user_id, &lines, heard),
            OrderEvent::Cancelled { order_id } => cancelled(tx, order_id, heard),
            _ => Ok(()),
        }
    }

    pub(crate) fn hear_user(&self, tx: &mut Conn, event: UserEvent, trace: Trace) -> Result<()> {
        match event {
            UserEvent::Deleted { user_id } => forgotten(tx, user_id, Heard { at: self.now(), trace }),
            UserEvent::Registered { .. } | UserEvent::Updated { .. } => Ok(()),
        }
    }
}

fn placed(tx: &mut Conn, order: OrderId, user: Option<UserId>, lines: &[OrderedLine], heard: Heard) -> Result<()> {
    // Heard before, be it as cancelled.
    if !purchases::hear(tx, order, heard.at)? {
        return Ok(());
    }
    let pieces = purchases::pieces(tx, lines)?;
    let user = match user {
        Some(user) if customers::stands(tx, user)? => Some(user),
        Some(_) | None => None,
    };
    purchases::insert(tx, order, user, &pieces)?;
    if let Some(user) = user {
        verify(tx, user, &pieces, heard)?;
    }
    purchases::sell(tx, &pieces, 1)
}

fn cancelled(tx: &mut Conn, order: OrderId, heard: Heard) -> Result<()> {
    // What was never heard of as placed will count for nothing when it is.
    if purchases::hear(tx, order, heard.at)? {
        return Ok(());
    }
    let (user, pieces) = purchases::of_order(tx, order)?;
    if let Some(user) = user {
        customers::stands(tx, user)?;
    }
    purchases::delete(tx, order)?;
    if let Some(user) = user {
        verify(tx, user, &pieces, heard)?;
    }
    purchases::sell(tx, &pieces, -1)
}

fn forgotten(tx: &mut Conn, user: UserId, heard: Heard) -> Result<()> {
    customers::forget(tx, user, heard.at)?;
    let event = |(review_id, product_id, version): Changed| ReviewEvent::Anonymised { review_id, product_id, version };
    let events: Vec<_> = purchases::forget(tx, user, heard.at)?.into_iter().map(event).collect();
    database::outbox::publish(tx, &events, heard.at, heard.trace)
}

/// What the user bought has changed by these.
fn verify(tx: &mut Conn, user: UserId, pieces: &BTreeMap<ProductId, i64>, heard: Heard) -> Result<()> {
    let event = |(review_id, product_id, version): Changed| ReviewEvent::Updated { review_id, product_id, version };
    let changed = purchases::verify(tx, user, pieces.keys(), heard.at)?;
    let events: Vec<_> = changed.into_iter().map(event).collect();
    database::outbox::publish(tx, &events, heard.at, heard.trace)
}
