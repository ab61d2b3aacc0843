//! The keys that access tokens are signed with.
use super::schema::signing_keys::{self, dsl};
use crate::domain::keys;
use database::{Conn, Result};
use diesel::prelude::*;
use kernel::Time;

#[derive(Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = signing_keys, treat_none_as_default_value = false)]
pub(crate) struct SigningKey {
    pub id: String,
    pub pkcs8: Vec<u8>,
    pub public_key: Vec<u8>,
    pub created_at: Time,
    pub signs_from: Time,
}

/// Whatever is published, in the order in which they sign.
pub(crate) fn all(conn: &mut Conn) -> Result<Vec<SigningKey>> {
    Ok(signing_keys::table.order((dsl::signs_from, dsl::id)).select(SigningKey::as_select()).load(conn)?)
}

/// The one that signs now.
pub(crate) fn signing(conn: &mut Conn, now: Time) -> Result<SigningKey> {
    let mut all = all(conn)?;
    let which = keys::signing(&times(&all), now).ok_or(diesel::result::Error::NotFound)?;
    Ok(all.swap_remove(which))
}

/// Those whose last token has expired, and who signs no more; `kept` is for how long after that it is published.
pub(crate) fn outlived(conn: &mut Conn, now: Time, kept: std::time::Duration) -> Result<Vec<String>> {
    let all = all(conn)?;
    let gone = keys::outlived(&times(&all), now, kept);
    Ok(all.into_iter().take(gone).map(|key| key.id).collect())
}

fn times(keys: &[SigningKey]) -> Vec<Time> {
    keys.iter().map(|key| key.signs_from).collect()
}

pub(crate) fn insert(tx: &mut Conn, key: &SigningKey) -> Result<()> {
    diesel::insert_into(signing_keys::table).values(key).execute(tx)?;
    Ok(())
}

pub(crate) fn delete(tx: &mut Conn, ids: &[String]) -> Result<()> {
    diesel::delete(signing_keys::table.filter(dsl::id.eq_any(ids))).execute(tx)?;
    Ok(())
}

pub(crate) fn delete_all(tx: &mut Conn) -> Result<()> {
    diesel::delete(signing_keys::table).execute(tx)?;
    Ok(())
}
