//! Whether a user is still one. Whoever writes in a user's name asks here first, and holds the row until the transaction
//! ends: so nothing is written for somebody who is just being forgotten.
use super::schema::customers;
use database::{Conn, Result};
use diesel::prelude::*;
use kernel::Time;
use users_api::UserId;

/// `false` once the account is gone.
pub(crate) fn stands(tx: &mut Conn, user: UserId) -> Result<bool> {
    known(tx, user)?;
    let row = customers::table.find(user).select(customers::forgotten_at).for_update();
    Ok(row.first::<Option<Time>>(tx)?.is_none())
}

/// The account is gone.
pub(crate) fn forget(tx: &mut Conn, user: UserId, at: Time) -> Result<()> {
    known(tx, user)?;
    let stands = diesel::update(customers::table.find(user)).filter(customers::forgotten_at.is_null());
    stands.set(customers::forgotten_at.eq(Some(at))).execute(tx)?;
    Ok(())
}

fn known(tx: &mut Conn, user: UserId) -> Result<()> {
    let row = (customers::user_id.eq(user), customers::forgotten_at.eq(None::<Time>));
    diesel::insert_into(customers::table).values(row).on_conflict(customers::user_id).do_nothing().execute(tx)?;
    Ok(())
}
