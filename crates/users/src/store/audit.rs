//! What must hold of the tables of users, each recomputed in a statement of its own: so none reports what is merely
//! under way. How many were looked at is counted apart, and is as old as that.
use super::schema::{addresses, forgotten, outbox, refresh_tokens, sessions, users};
use crate::domain::account::{AddressId, Email, SessionId};
use database::{Conn, Result};
use diesel::{
    dsl::{count, exists, not},
    prelude::*,
};
use kernel::{Check, Time};
use ring::signature::{Ed25519KeyPair, KeyPair};
use users_api::UserId;
use uuid::Uuid;

/// As `users_api::UserEvent` calls them.
const REGISTERED: &str = "user.registered";
const DELETED: &str = "user.deleted";
/// Under which the outbox says until when its events may have been deleted.
const OUTBOX: &str = "outbox";

pub(crate) fn all(conn: &mut Conn, now: Time) -> Result<Vec<Check>> {
    Ok(vec![
        address_is_one_accounts(conn)?,
        address_is_folded(conn)?,
        session_has_account(conn)?,
        address_has_account(conn)?,
        token_has_session(conn)?,
        session_has_one_token(conn)?,
        key_signs(conn, now)?,
        account_was_told(conn)?,
        told_account_is_there(conn)?,
    ])
}

fn looked_at(check: Check, rows: i64) -> Check {
    Check { looked_at: rows.unsigned_abs(), ..check }
}

fn address_is_one_accounts(conn: &mut Conn) -> Result<Check> {
    let check = Check::new("users.address_is_one_accounts", "an email address, folded, belongs to one account");
    let mut check = looked_at(check, users::table.count().get_result(conn)?);
    let others = diesel::alias!(users as others);
    let same =
        others.on(others.field(users::email_key).eq(users::email_key).and(others.field(users::id).ne(users::id)));
    let twice = users::table.inner_join(same).select(users::id).distinct().order(users::id);
    for id in twice.load::<UserId>(conn)? {
        check.found(id, "another account has its address");
    }
    Ok(check)
}

fn address_is_folded(conn: &mut Conn) -> Result<Check> {
    let mut check = Check::new("users.address_is_folded", "an account is found by the folded form of its address");
    let all = users::table.order(users::id).select((users::id, users::email, users::email_key));
    for row in all.load_iter::<(UserId, String, String), _>(conn)? {
        let (id, email, key) = row?;
        check.looked_at += 1;
        if Email::stored(email).key() != key {
            check.found(id, "it is kept under another address than its own");
        }
    }
    Ok(check)
}

fn session_has_account(conn: &mut Conn) -> Result<Check> {
    let check = Check::new("users.session_has_account", "a session is of an account that is there");
    let mut check = looked_at(check, sessions::table.count().get_result(conn)?);
    let lost = sessions::table.left_join(users::table).filter(users::id.nullable().is_null());
    for (id, user) in
        lost.order(sessions::id).select((sessions::id, sessions::user_id)).load::<(SessionId, UserId)>(conn)?
    {
        check.found(id, format!("its account {user} is not there"));
    }
    Ok(check)
}

fn address_has_account(conn: &mut Conn) -> Result<Check> {
    let check = Check::new("users.address_has_account", "a postal address is of an account that is there");
    let mut check = looked_at(check, addresses::table.count().get_result(conn)?);
    let lost = addresses::table
        .left_join(users::table.on(users::id.eq(addresses::user_id)))
        .filter(users::id.nullable().is_null());
    for (id, user) in
        lost.order(addresses::id).select((addresses::id, addresses::user_id)).load::<(AddressId, UserId)>(conn)?
    {
        check.found(id, format!("its account {user} is not there"));
    }
    Ok(check)
}

/// By the session: a token's own hash is nobody's to see.
fn token_has_session(conn: &mut Conn) -> Result<Check> {
    let check = Check::new("users.token_has_session", "a refresh token is of a session that is there");
    let mut check = looked_at(check, refresh_tokens::table.count().get_result(conn)?);
    let lost = refresh_tokens::table.left_join(sessions::table).filter(sessions::id.nullable().is_null());
    for id in lost.order(refresh_tokens::session_id).select(refresh_tokens::session_id).load::<SessionId>(conn)? {
        check.found(id, "the session is not there, and a refresh token of it is");
    }
    Ok(check)
}

/// Using one makes the next in the same transaction, and only used ones are forgotten.
fn session_has_one_token(conn: &mut Conn) -> Result<Check> {
    let check = Check::new("users.session_has_one_token", "of a session's refresh tokens exactly one was not used yet");
    let mut check = looked_at(check, sessions::table.count().get_result(conn)?);
    let unused = refresh_tokens::session_id.eq(sessions::id).and(refresh_tokens::used_at.is_null());
    let heads = sessions::table
        .left_join(refresh_tokens::table.on(unused))
        .group_by(sessions::id)
        .having(count(refresh_tokens::hash.nullable()).ne(1))
        .order(sessions::id)
        .select((sessions::id, count(refresh_tokens::hash.nullable())));
    for (id, heads) in heads.load::<(SessionId, i64)>(conn)? {
        check.found(id, format!("{heads} of its refresh tokens were not used yet"));
    }
    Ok(check)
}

fn key_signs(conn: &mut Conn, now: Time) -> Result<Check> {
    let mut check = Check::new("users.key_signs", "where keys are, one signs now, and each is published as it signs");
    let keys: Vec<super::keys::SigningKey> = super::keys::all(conn)?;
    check.looked_at = keys.len() as u64;
    if !keys.is_empty() && keys.iter().all(|key| key.signs_from > now) {
        check.found("keys", "none of them signs yet");
    }
    for key in &keys {
        let published = Ed25519KeyPair::from_pkcs8(&key.pkcs8).ok();
        if published.is_none_or(|pair| pair.public_key().as_ref() != key.public_key) {
            check.found(&key.id, "what is published does not verify what it signs");
        }
    }
    Ok(check)
}

fn account_was_told(conn: &mut Conn) -> Result<Check> {
    let told = "an event tells of every account that is younger than the events that were deleted";
    let mut check = looked_at(Check::new("users.account_was_told", told), users::table.count().get_result(conn)?);
    let registered = outbox::subject.eq(users::id).and(outbox::kind.eq(REGISTERED));
    let gone = forgotten::table.find(OUTBOX);
    let untold = users::table
        .left_join(outbox::table.on(registered))
        .filter(
            outbox::position.nullable().is_null().and(not(exists(gone.filter(forgotten::until.ge(users::created_at))))),
        )
        .order(users::id)
        .select(users::id);
    for id in untold.load::<UserId>(conn)? {
        check.found(id, "no event tells of it");
    }
    Ok(check)
}

fn told_account_is_there(conn: &mut Conn) -> Result<Check> {
    let check = Check::new("users.told_account_is_there", "an account that events tell of is there, or was deleted");
    let registered = outbox::table.filter(outbox::kind.eq(REGISTERED));
    let mut check = looked_at(check, registered.count().get_result(conn)?);
    let gone_events = forgotten::table.find(OUTBOX);
    let deleted = diesel::alias!(outbox as deletions);
    let gone =
        deleted.on(deleted.field(outbox::subject).eq(outbox::subject).and(deleted.field(outbox::kind).eq(DELETED)));
    let lost = outbox::table
        .left_join(users::table.on(users::id.eq(outbox::subject)))
        .left_join(gone)
        .filter(
            outbox::kind.eq(REGISTERED).and(not(exists(gone_events.filter(forgotten::until.ge(outbox::occurred_at))))),
        )
        .filter(users::id.nullable().is_null())
        .filter(deleted.field(outbox::position).nullable().is_null())
        .order(outbox::subject)
        .select(outbox::subject);
    for id in lost.load::<Uuid>(conn)? {
        check.found(UserId::from(id), "it is not there, and no event tells that it was deleted");
    }
    Ok(check)
}
