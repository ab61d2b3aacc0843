//! The keys that access tokens are signed with.
use super::schema::signing_keys;
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
}

/// Newest first.
pub(crate) fn all(conn: &mut Conn) -> Result<Vec<SigningKey>> {
    Ok(signing_keys::table.order(signing_keys::created_at.desc()).select(SigningKey::as_select()).load(conn)?)
}

pub(crate) fn insert(tx: &mut Conn, key: &SigningKey) -> Result<()> {
    diesel::insert_into(signing_keys::table).values(key).execute(tx)?;
    Ok(())
}
