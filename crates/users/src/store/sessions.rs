//! Sessions and the refresh tokens that carry them on.
use super::schema::{refresh_tokens, sessions, users};
use crate::domain::account::{Session, SessionId};
use database::{Conn, Result};
use diesel::prelude::*;
use kernel::Time;
use users_api::UserId;

#[derive(Queryable, Selectable)]
#[diesel(table_name = sessions)]
struct Row {
    id: SessionId,
    created_at: Time,
    used_at: Time,
    expires_at: Time,
}
impl From<Row> for Session {
    fn from(Row { id, created_at, used_at, expires_at }: Row) -> Self {
        Self { id, created_at, used_at, expires_at }
    }
}

pub(crate) fn insert(tx: &mut Conn, session: &Session, user: UserId, token: &[u8]) -> Result<()> {
    diesel::insert_into(sessions::table)
        .values((
            sessions::id.eq(session.id),
            sessions::user_id.eq(user),
            sessions::created_at.eq(session.created_at),
            sessions::used_at.eq(session.used_at),
            sessions::expires_at.eq(session.expires_at),
        ))
        .execute(tx)?;
    add_token(tx, session.id, token, session.created_at)
}

pub(crate) fn add_token(tx: &mut Conn, session: SessionId, token: &[u8], at: Time) -> Result<()> {
    diesel::insert_into(refresh_tokens::table)
        .values((
            refresh_tokens::hash.eq(token),
            refresh_tokens::session_id.eq(session),
            refresh_tokens::created_at.eq(at),
        ))
        .execute(tx)?;
    Ok(())
}

/// What is known of a refresh token.
pub(crate) struct Presented {
    pub session: SessionId,
    pub user: UserId,
    pub used: bool,
    /// Ended, or past its time.
    pub over: bool,
}

pub(crate) fn presented(tx: &mut Conn, token: &[u8], now: Time) -> Result<Option<Presented>> {
    let found = refresh_tokens::table
        .inner_join(sessions::table.inner_join(users::table))
        .filter(refresh_tokens::hash.eq(token))
        .select((sessions::id, users::id, refresh_tokens::used_at, sessions::ended_at, sessions::expires_at));
    let found: Option<(SessionId, UserId, Option<Time>, Option<Time>, Time)> = found.first(tx).optional()?;
    Ok(found.map(|(session, user, used, ended, expires)| Presented {
        session,
        user,
        used: used.is_some(),
        over: ended.is_some() || expires <= now,
    }))
}

/// `false` when somebody used it first.
pub(crate) fn use_token(tx: &mut Conn, token: &[u8], at: Time) -> Result<bool> {
    let unused = diesel::update(refresh_tokens::table.find(token)).filter(refresh_tokens::used_at.is_null());
    Ok(unused.set(refresh_tokens::used_at.eq(at)).execute(tx)? == 1)
}

pub(crate) fn touch(tx: &mut Conn, session: SessionId, at: Time, expires: Time) -> Result<()> {
    let session = diesel::update(sessions::table.find(session));
    session.set((sessions::used_at.eq(at), sessions::expires_at.eq(expires))).execute(tx)?;
    Ok(())
}

/// `false` when it is not this user's or has ended already.
pub(crate) fn end(tx: &mut Conn, session: SessionId, user: UserId, at: Time) -> Result<bool> {
    let open = diesel::update(sessions::table.find(session))
        .filter(sessions::user_id.eq(user))
        .filter(sessions::ended_at.is_null());
    Ok(open.set(sessions::ended_at.eq(at)).execute(tx)? == 1)
}

/// Ends all of a user's sessions but one: what a new password does.
pub(crate) fn end_others(tx: &mut Conn, keep: Option<SessionId>, user: UserId, at: Time) -> Result<()> {
    let mut open = diesel::update(sessions::table)
        .filter(sessions::user_id.eq(user))
        .filter(sessions::ended_at.is_null())
        .into_boxed();
    if let Some(keep) = keep {
        open = open.filter(sessions::id.ne(keep));
    }
    open.set(sessions::ended_at.eq(at)).execute(tx)?;
    Ok(())
}

/// Open sessions, newest first; the latest hundred.
pub(crate) fn open(conn: &mut Conn, user: UserId, now: Time) -> Result<Vec<Session>> {
    let rows = sessions::table
        .filter(sessions::user_id.eq(user))
        .filter(sessions::ended_at.is_null())
        .filter(sessions::expires_at.gt(now))
        .order(sessions::id.desc())
        .limit(100)
        .select(Row::as_select())
        .load(conn)?;
    Ok(rows.into_iter().map(Session::from).collect())
}

/// Forgets tokens that were used before `before`: to show one again is then as good as to show none.
pub(crate) fn purge_tokens(tx: &mut Conn, before: Time) -> Result<usize> {
    Ok(diesel::delete(refresh_tokens::table.filter(refresh_tokens::used_at.lt(before))).execute(tx)?)
}

/// Forgets sessions that were over before `before`, tokens included.
pub(crate) fn purge(tx: &mut Conn, before: Time) -> Result<usize> {
    Ok(diesel::delete(sessions::table.filter(sessions::expires_at.lt(before))).execute(tx)?)
}
