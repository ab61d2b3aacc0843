//! Users' addresses.
use super::schema::addresses;
use crate::domain::account::{AddressId, SavedAddress};
use database::{Conn, Json, Result};
use diesel::prelude::*;
use kernel::{Address, Time};
use serde_json::Value;
use users_api::UserId;

#[derive(Queryable, Selectable)]
#[diesel(table_name = addresses)]
struct Row {
    id: AddressId,
    address: Json<Address>,
    version: i64,
    created_at: Time,
}
impl From<Row> for SavedAddress {
    fn from(Row { id, address, version, created_at }: Row) -> Self {
        Self { id, address: address.0, version, created_at }
    }
}

fn json(address: &Address) -> Value {
    serde_json::to_value(address).expect("an address is plain data")
}

/// All of them, in the order they were added; a user has at most 100.
pub(crate) fn all(conn: &mut Conn, user: UserId) -> Result<Vec<SavedAddress>> {
    let mine = addresses::table.filter(addresses::user_id.eq(user)).order(addresses::id);
    Ok(mine.select(Row::as_select()).load(conn)?.into_iter().map(SavedAddress::from).collect())
}

pub(crate) fn one(conn: &mut Conn, user: UserId, id: AddressId) -> Result<Option<SavedAddress>> {
    let mine = addresses::table.find(id).filter(addresses::user_id.eq(user));
    Ok(mine.select(Row::as_select()).first(conn).optional()?.map(SavedAddress::from))
}

pub(crate) fn count(conn: &mut Conn, user: UserId) -> Result<i64> {
    Ok(addresses::table.filter(addresses::user_id.eq(user)).count().get_result(conn)?)
}

pub(crate) fn insert(tx: &mut Conn, user: UserId, saved: &SavedAddress) -> Result<()> {
    diesel::insert_into(addresses::table)
        .values((
            addresses::id.eq(saved.id),
            addresses::user_id.eq(user),
            addresses::address.eq(json(&saved.address)),
            addresses::version.eq(saved.version),
            addresses::created_at.eq(saved.created_at),
        ))
        .execute(tx)?;
    Ok(())
}

/// `None` when it is not this user's, or not in this version.
pub(crate) fn replace(
    tx: &mut Conn,
    user: UserId,
    id: AddressId,
    expected: Option<i64>,
    address: &Address,
) -> Result<Option<SavedAddress>> {
    let mut mine = diesel::update(addresses::table.find(id)).filter(addresses::user_id.eq(user)).into_boxed();
    if let Some(version) = expected {
        mine = mine.filter(addresses::version.eq(version));
    }
    let changed = mine.set((addresses::address.eq(json(address)), addresses::version.eq(addresses::version + 1)));
    Ok(changed.returning(Row::as_returning()).get_result(tx).optional()?.map(SavedAddress::from))
}

pub(crate) fn delete(tx: &mut Conn, user: UserId, id: AddressId) -> Result<bool> {
    Ok(diesel::delete(addresses::table.find(id).filter(addresses::user_id.eq(user))).execute(tx)? == 1)
}
