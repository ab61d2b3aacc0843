//! What only one process may do at a time, by name: whoever has the lease, until it lets go or does not renew it.
//!
//! On SQLite one server has the data directory, so a lease is its own from the start: it need not wait for the end of
//! the time of one that died.
use crate::{backend::Db, conn::Conn, error::Result, meter::uncounted, now::Now, schema::leases};
use diesel::prelude::*;
use std::time::Duration;
use uuid::Uuid;

/// Takes or renews it. `false`: it is another's.
pub fn take(tx: &mut Conn, name: &str, owner: Uuid, span: Duration) -> Result<bool> {
    uncounted(|| {
        if hold(tx, name, owner, span)? {
            return Ok(true);
        }
        let until = Now.plus(span);
        let new = diesel::insert_into(leases::table)
            .values((leases::name.eq(name), leases::owner.eq(owner), leases::leased_until.eq(until)))
            .on_conflict_do_nothing()
            .execute(tx)?;
        if new == 1 {
            return Ok(true);
        }
        let alone = tx.db() == Db::Sqlite;
        let free = leases::leased_until.le(Now).or(diesel::dsl::sql::<diesel::sql_types::Bool>(if alone {
            "1 = 1"
        } else {
            "1 = 0"
        }));
        let taken = diesel::update(leases::table.find(name).filter(free))
            .set((leases::owner.eq(owner), leases::leased_until.eq(until)))
            .execute(tx)?;
        Ok(taken == 1)
    })
}

/// Renews it. `false`: another took it meanwhile. In the transaction of work that must be its owner's this is the fence:
/// whoever takes the lease waits for the end of that transaction.
pub fn hold(tx: &mut Conn, name: &str, owner: Uuid, span: Duration) -> Result<bool> {
    let held = leases::table.find(name).filter(leases::owner.eq(owner));
    let renewed = diesel::update(held).set(leases::leased_until.eq(Now.plus(span)));
    Ok(uncounted(|| renewed.execute(tx))? == 1)
}

/// Renews all that are `owner`'s.
pub fn renew(tx: &mut Conn, owner: Uuid, span: Duration) -> Result<()> {
    let held = leases::table.filter(leases::owner.eq(owner));
    diesel::update(held).set(leases::leased_until.eq(Now.plus(span))).execute(tx)?;
    Ok(())
}

/// Lets go of all that are `owner`'s.
pub fn release(tx: &mut Conn, owner: Uuid) -> Result<()> {
    uncounted(|| diesel::delete(leases::table.filter(leases::owner.eq(owner))).execute(tx))?;
    Ok(())
}

/// Lets go of one.
pub fn release_one(tx: &mut Conn, name: &str, owner: Uuid) -> Result<()> {
    let held = leases::table.find(name).filter(leases::owner.eq(owner));
    uncounted(|| diesel::delete(held).execute(tx))?;
    Ok(())
}

/// Who has leases now whose names begin so: a row a lease.
pub fn owners(conn: &mut Conn, prefix: &str) -> Result<Vec<(String, Uuid)>> {
    let live = leases::table.filter(leases::name.like(format!("{prefix}%")).and(leases::leased_until.gt(Now)));
    Ok(uncounted(|| live.order(leases::name).select((leases::name, leases::owner)).load(conn))?)
}
