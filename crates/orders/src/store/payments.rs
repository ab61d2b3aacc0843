//! The money of each order. What was promised to be moved is counted before it is asked for (`payments_captured`,
//! `payments_refunded`), so that no two wishes together go beyond what was paid.
use super::{
    json, read,
    schema::{payment_moves, payments},
    wrong,
};
use crate::{
    domain::payment::{Move, MoveId, MoveState, Payment, Way},
    payments::NextAction,
};
use database::{Conn, Error, Result, Violates};
use diesel::prelude::*;
use kernel::{Currency, Minor, Money, Time};
use orders_api::OrderId;
use serde_json::Value;

#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = payments, treat_none_as_default_value = false, treat_none_as_null = true)]
pub(super) struct Row {
    provider: String,
    reference: Option<String>,
    status: String,
    amount: Minor,
    currency: Currency,
    next_action: Option<Value>,
    reason: Option<String>,
    captured: Minor,
    capture_asked: Minor,
    refunded: Minor,
    refund_asked: Minor,
    released: Minor,
    late_at: Option<Time>,
}

impl From<&Payment> for Row {
    fn from(payment: &Payment) -> Self {
        Self {
            provider: payment.provider.clone(),
            reference: payment.reference.clone(),
            status: payment.state.as_str().into(),
            amount: payment.amount.amount,
            currency: payment.amount.currency,
            next_action: payment.next.as_ref().map(json),
            reason: payment.reason.clone(),
            captured: payment.captured,
            capture_asked: payment.capture_asked,
            refunded: payment.refunded,
            refund_asked: payment.refund_asked,
            released: payment.released,
            late_at: payment.late_at,
        }
    }
}
impl Row {
    pub(super) fn read(self) -> Result<Payment> {
        Ok(Payment {
            provider: self.provider,
            reference: self.reference,
            state: self.status.parse().map_err(wrong)?,
            amount: Money::new(self.amount, self.currency),
            captured: self.captured,
            capture_asked: self.capture_asked,
            refunded: self.refunded,
            refund_asked: self.refund_asked,
            released: self.released,
            next: self.next_action.map(read::<NextAction>).transpose()?,
            reason: self.reason,
            late_at: self.late_at,
            moves: Vec::new(),
        })
    }
}

pub(crate) fn insert(tx: &mut Conn, order: OrderId, payment: &Payment, at: Time) -> Result<()> {
    let times = (payments::order_id.eq(order), payments::created_at.eq(at), payments::updated_at.eq(at));
    let new = diesel::insert_into(payments::table).values((times, Row::from(payment)));
    new.on_conflict(payments::order_id).do_nothing().execute(tx)?;
    Ok(())
}

/// An order's payment, its row locked until the transaction ends.
pub(crate) fn lock(tx: &mut Conn, order: OrderId) -> Result<Option<Payment>> {
    let row = payments::table.find(order).select(Row::as_select()).for_update();
    row.first(tx).optional()?.map(Row::read).transpose()
}

/// Writes what is known of it now. The caller holds its lock.
pub(crate) fn save(tx: &mut Conn, order: OrderId, payment: &Payment, at: Time) -> Result<()> {
    let row = diesel::update(payments::table.find(order));
    row.set((Row::from(payment), payments::updated_at.eq(at))).execute(tx)?;
    Ok(())
}

/// Promises a capture or a refund; `beyond` when that much is not there to be moved. The statement decides.
pub(crate) fn promise<E: From<Error>>(
    tx: &mut Conn,
    order: OrderId,
    wish: &Move,
    at: Time,
    beyond: impl Fn() -> E,
) -> Result<(), E> {
    let amount = *wish.amount.get();
    let one = match wish.way {
        Way::Capture => diesel::update(payments::table.find(order))
            .filter(payments::capture_asked.le(payments::amount - payments::released - amount))
            .set((payments::capture_asked.eq(payments::capture_asked + amount), payments::updated_at.eq(at)))
            .execute(tx)
            .violates("payments_captured", beyond())?,
        Way::Refund => diesel::update(payments::table.find(order))
            .filter(payments::refund_asked.le(payments::captured - amount))
            .set((payments::refund_asked.eq(payments::refund_asked + amount), payments::updated_at.eq(at)))
            .execute(tx)
            .violates("payments_refunded", beyond())?,
    };
    if one != 1 {
        return Err(beyond());
    }
    Ok(add_move(tx, order, wish)?)
}

/// What was promised will not be moved.
pub(crate) fn unpromise(tx: &mut Conn, order: OrderId, wish: &Move, at: Time) -> Result<()> {
    let amount = *wish.amount.get();
    let row = diesel::update(payments::table.find(order));
    match wish.way {
        Way::Capture => row
            .set((payments::capture_asked.eq(payments::capture_asked - amount), payments::updated_at.eq(at)))
            .execute(tx)?,
        Way::Refund => row
            .set((payments::refund_asked.eq(payments::refund_asked - amount), payments::updated_at.eq(at)))
            .execute(tx)?,
    };
    Ok(())
}

pub(crate) fn add_move(tx: &mut Conn, order: OrderId, wish: &Move) -> Result<()> {
    diesel::insert_into(payment_moves::table)
        .values((
            payment_moves::id.eq(wish.id),
            payment_moves::order_id.eq(order),
            payment_moves::kind.eq(wish.way.as_str()),
            payment_moves::amount.eq(wish.amount),
            payment_moves::reason.eq(&wish.reason),
            payment_moves::state.eq(wish.state.as_str()),
            payment_moves::created_at.eq(wish.created_at),
            payment_moves::settled_at.eq((wish.state != MoveState::Asked).then_some(wish.created_at)),
        ))
        .execute(tx)?;
    Ok(())
}

/// What became of a promised move. Only one that is still asked for is settled; `false` otherwise.
pub(crate) fn settle_move(
    tx: &mut Conn,
    id: MoveId,
    state: MoveState,
    reference: Option<&str>,
    at: Time,
) -> Result<bool> {
    let asked =
        diesel::update(payment_moves::table.find(id)).filter(payment_moves::state.eq(MoveState::Asked.as_str())).set((
            payment_moves::state.eq(state.as_str()),
            payment_moves::reference.eq(reference),
            payment_moves::settled_at.eq(Some(at)),
        ));
    Ok(asked.execute(tx)? == 1)
}
