//! What is left of a user whose account is gone. What was bought, what it cost and how it was paid stays; who that was, and
//! where it went, does not.
use super::schema::{carts, forgotten_users, orders, processes};
use crate::domain::order::Status;
use database::{Conn, Result};
use diesel::{
    dsl::{exists, not},
    prelude::*,
};
use kernel::Time;
use orders_api::OrderId;
use serde_json::Value;
use users_api::UserId;

/// Nothing more happens to these that would need to know whose they are.
const ENDED: [&str; 3] = [Status::Completed.as_str(), Status::Cancelled.as_str(), Status::Failed.as_str()];
/// So many orders in one transaction.
const AT_ONCE: i64 = 100;

/// The account is gone.
pub(crate) fn note(tx: &mut Conn, user: UserId, at: Time) -> Result<()> {
    let row = (forgotten_users::user_id.eq(user), forgotten_users::heard_at.eq(at));
    let new = diesel::insert_into(forgotten_users::table).values(row).on_conflict(forgotten_users::user_id);
    new.do_nothing().execute(tx)?;
    Ok(())
}

/// Somebody of whom something can be forgotten now; or, heard of before `before`, of whom there is nothing left.
pub(crate) fn due(conn: &mut Conn, before: Time) -> Result<Option<UserId>> {
    let of = orders::user_id.eq(forgotten_users::user_id.nullable());
    let own = carts::user_id.eq(forgotten_users::user_id.nullable());
    let ended = exists(orders::table.filter(of).filter(orders::status.eq_any(ENDED)));
    let open = exists(carts::table.filter(own).filter(carts::order_id.is_null()));
    let nothing = not(exists(orders::table.filter(of))).and(not(exists(carts::table.filter(own))));
    let over = forgotten_users::heard_at.lt(before).and(nothing);
    let due = forgotten_users::table.filter(ended.or(open).or(over));
    Ok(due.select(forgotten_users::user_id).first(conn).optional()?)
}

/// Forgets whose these orders were: a few at a time, in the order of their ids; which, it answers.
pub(crate) fn anonymise(tx: &mut Conn, user: UserId, at: Time) -> Result<Vec<OrderId>> {
    let ended = orders::table.filter(orders::user_id.eq(user)).filter(orders::status.eq_any(ENDED));
    let ids = ended.select(orders::id).order(orders::id).limit(AT_ONCE).for_no_key_update();
    let ids: Vec<OrderId> = ids.load(tx)?;
    if ids.is_empty() {
        return Ok(ids);
    }
    diesel::update(orders::table.filter(orders::id.eq_any(ids.clone())))
        .set((
            orders::user_id.eq(None::<UserId>),
            orders::token_hash.eq(None::<Vec<u8>>),
            orders::email.eq(""),
            orders::shipping_address.eq(Value::Null),
            orders::billing_address.eq(None::<Value>),
            // In the buyer's own words.
            orders::cancel_reason.eq(None::<String>),
            orders::anonymised_at.eq(Some(at)),
            orders::version.eq(orders::version + 1),
        ))
        .execute(tx)?;
    let over = processes::table.filter(processes::order_id.eq_any(ids.clone()).and(processes::done_at.is_not_null()));
    diesel::update(over).set(processes::input.eq(None::<Value>)).execute(tx)?;
    diesel::delete(carts::table.filter(carts::order_id.eq_any(ids.iter().copied().map(Some).collect::<Vec<_>>())))
        .execute(tx)?;
    Ok(ids)
}

/// The carts that no order holds, with what lies in them.
pub(crate) fn empty(tx: &mut Conn, user: UserId) -> Result<()> {
    let open = carts::table.filter(carts::user_id.eq(user)).filter(carts::order_id.is_null());
    diesel::delete(open).execute(tx)?;
    Ok(())
}

/// Nothing here names them any more, and nothing will. Does nothing where something does.
pub(crate) fn done(tx: &mut Conn, user: UserId, before: Time) -> Result<()> {
    let of = orders::user_id.eq(user);
    let own = carts::user_id.eq(user);
    let nothing = not(exists(orders::table.filter(of))).and(not(exists(carts::table.filter(own))));
    let noted = diesel::delete(forgotten_users::table.find(user)).filter(forgotten_users::heard_at.lt(before));
    noted.filter(nothing).execute(tx)?;
    Ok(())
}
