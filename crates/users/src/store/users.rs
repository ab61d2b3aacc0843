//! The accounts themselves.
use super::schema::users;
use crate::domain::{
    account::{Email, User},
    roles::{Role, Roles},
};
use database::{Conn, Error, Result, Violates};
use diesel::prelude::*;
use kernel::{Cursor, Page, Time};
use users_api::UserId;

#[derive(Queryable, Selectable)]
#[diesel(table_name = users)]
struct Row {
    id: UserId,
    email: String,
    name: String,
    roles: String,
    version: i64,
    created_at: Time,
}
impl From<Row> for User {
    fn from(row: Row) -> Self {
        let Row { id, email, name, roles, version, created_at } = row;
        // A role that this version does not know gives no right.
        let roles = Roles::new(roles.split_whitespace().filter_map(|role| role.parse().ok()));
        Self { id, email: Email::stored(email), name, roles, version, created_at }
    }
}

/// `taken` when the address belongs to another account.
pub(crate) fn insert<E: From<Error>>(tx: &mut Conn, user: &User, password_hash: &str, taken: E) -> Result<(), E> {
    diesel::insert_into(users::table)
        .values((
            users::id.eq(user.id),
            users::email.eq(user.email.as_str()),
            users::email_key.eq(user.email.key()),
            users::name.eq(&user.name),
            users::password_hash.eq(password_hash),
            users::roles.eq(user.roles.to_string()),
            users::version.eq(user.version),
            users::created_at.eq(user.created_at),
            users::updated_at.eq(user.created_at),
        ))
        .execute(tx)
        .violates("users_email_key", taken)?;
    Ok(())
}

pub(crate) fn by_id(conn: &mut Conn, id: UserId) -> Result<Option<User>> {
    Ok(users::table.find(id).select(Row::as_select()).first(conn).optional()?.map(User::from))
}

pub(crate) fn by_ids(conn: &mut Conn, ids: Vec<UserId>) -> Result<Vec<User>> {
    let rows = users::table.filter(users::id.eq_any(ids)).order(users::id).select(Row::as_select()).load(conn)?;
    Ok(rows.into_iter().map(User::from).collect())
}

/// The account and the hash its password must match.
pub(crate) fn by_email(conn: &mut Conn, email: &Email) -> Result<Option<(User, String)>> {
    let found = users::table.filter(users::email_key.eq(email.key())).select((Row::as_select(), users::password_hash));
    let found: Option<(Row, String)> = found.first(conn).optional()?;
    Ok(found.map(|(row, hash)| (row.into(), hash)))
}

pub(crate) fn password_hash(conn: &mut Conn, id: UserId) -> Result<Option<String>> {
    Ok(users::table.find(id).select(users::password_hash).first(conn).optional()?)
}

/// What of an account is changed.
#[derive(Clone, Default, AsChangeset)]
#[diesel(table_name = users)]
pub(crate) struct Changes {
    pub email: Option<String>,
    pub email_key: Option<String>,
    pub name: Option<String>,
    pub password_hash: Option<String>,
    pub roles: Option<String>,
}

/// `None` when it is not there in this version. A version of `None` stands for any.
pub(crate) fn update<E: From<Error>>(
    tx: &mut Conn,
    id: UserId,
    expected: Option<i64>,
    changes: &Changes,
    at: Time,
    taken: E,
) -> Result<Option<User>, E> {
    let mut target = diesel::update(users::table.find(id)).into_boxed();
    if let Some(version) = expected {
        target = target.filter(users::version.eq(version));
    }
    let row = target
        .set((changes, users::version.eq(users::version + 1), users::updated_at.eq(at)))
        .returning(Row::as_returning())
        .get_result(tx)
        .optional()
        .violates("users_email_key", taken)?;
    Ok(row.map(User::from))
}

pub(crate) fn delete(tx: &mut Conn, id: UserId) -> Result<bool> {
    Ok(diesel::delete(users::table.find(id)).execute(tx)? == 1)
}

/// In the column of roles, an administrator's.
fn administrator() -> String {
    format!("%{}%", Role::Admin.as_str())
}

/// Whether there is one; locks nothing.
pub(crate) fn has_administrator(conn: &mut Conn) -> Result<bool> {
    let one = users::table.filter(users::roles.like(administrator())).select(users::id).limit(1);
    Ok(one.first::<UserId>(conn).optional()?.is_some())
}

/// Locks every administrator, so that two of them cannot leave at once, and tells who they are.
pub(crate) fn administrators(tx: &mut Conn) -> Result<Vec<UserId>> {
    Ok(users::table
        .filter(users::roles.like(administrator()))
        .order(users::id)
        .select(users::id)
        .for_update()
        .load(tx)?)
}

/// Newest first.
pub(crate) fn page(conn: &mut Conn, email: Option<&Email>, before: Option<UserId>, limit: usize) -> Result<Page<User>> {
    let mut rows = users::table.order(users::id.desc()).limit(limit as i64 + 1).select(Row::as_select()).into_boxed();
    if let Some(before) = before {
        rows = rows.filter(users::id.lt(before));
    }
    if let Some(email) = email {
        rows = rows.filter(users::email_key.eq(email.key()));
    }
    let users = rows.load(conn)?.into_iter().map(User::from).collect();
    Ok(Page::of(users, limit, |last: &User| Cursor::new(&("users", email.map(Email::key)), last.id.uuid())))
}
