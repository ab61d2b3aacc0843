//! What providers said, an attempt a row.
use super::{json, read, schema::payments};
use crate::payments::NextAction;
use database::{Conn, Result};
use diesel::prelude::*;
use kernel::{Money, Time};
use orders_api::OrderId;
use serde_json::Value;

/// A provider's word on an attempt.
#[derive(Clone, Debug)]
pub(crate) struct Payment {
    pub provider: String,
    pub reference: String,
    /// `action`, `pending`, `authorised`, `declined` or `voided`.
    pub status: &'static str,
    pub next: Option<NextAction>,
}

pub(crate) fn insert(tx: &mut Conn, order: OrderId, amount: Money, payment: &Payment, at: Time) -> Result<()> {
    diesel::insert_into(payments::table)
        .values((
            payments::order_id.eq(order),
            payments::provider.eq(&payment.provider),
            payments::reference.eq(&payment.reference),
            payments::status.eq(payment.status),
            payments::amount.eq(amount.amount),
            payments::currency.eq(amount.currency),
            payments::next_action.eq(payment.next.as_ref().map(json)),
            payments::created_at.eq(at),
            payments::updated_at.eq(at),
        ))
        .execute(tx)?;
    Ok(())
}

/// What is kept of an attempt's payment.
pub(crate) struct Kept {
    pub provider: String,
    pub status: String,
    /// What the buyer must do for it.
    pub next: Option<NextAction>,
}

pub(crate) fn of(conn: &mut Conn, order: OrderId) -> Result<Option<Kept>> {
    let found = payments::table.find(order).select((payments::provider, payments::status, payments::next_action));
    let found: Option<(String, String, Option<Value>)> = found.first(conn).optional()?;
    found.map(|(provider, status, next)| Ok(Kept { provider, status, next: next.map(read).transpose()? })).transpose()
}

pub(crate) fn void(tx: &mut Conn, order: OrderId, at: Time) -> Result<()> {
    let live = diesel::update(payments::table.find(order)).filter(payments::status.ne("declined"));
    live.set((payments::status.eq("voided"), payments::updated_at.eq(at))).execute(tx)?;
    Ok(())
}
