//! What a domain was told by others, each event once; kept until it is handled, and a while longer.
//!
//! Order: events of one subject are handled in the order in which they came. One that waits for another try, or was
//! given up ("dead"), holds back the later ones of its subject, and nobody else's.
use crate::{
    conn::Conn,
    error::{Error, Result},
    executor::Database,
    meter::uncounted,
    now::Now,
    schema::{heard, inbox},
};
use diesel::{dsl::exists, prelude::*};
use kernel::Time;
use std::{collections::HashSet, time::Duration};
use uuid::Uuid;

/// An event as it came.
#[derive(Clone, Debug, PartialEq, Insertable)]
#[diesel(table_name = inbox, treat_none_as_default_value = false)]
pub struct Arrived {
    /// The same each time it is delivered.
    pub id: Uuid,
    pub kind: String,
    pub subject: String,
    /// The whole of it.
    pub event: serde_json::Value,
    pub received_at: Time,
    pub tries: i64,
}

/// Keeps what is new of `events`; how many those were.
pub fn keep(tx: &mut Conn, events: &[Arrived]) -> Result<usize> {
    let mut new = 0;
    for some in crate::chunks(events, 6) {
        new += uncounted(|| diesel::insert_into(inbox::table).values(some).on_conflict_do_nothing().execute(tx))?;
    }
    Ok(new)
}

/// How far a stream was kept.
pub fn heard_until(conn: &mut Conn, stream: &str) -> Result<Option<i64>> {
    Ok(uncounted(|| heard::table.find(stream).select(heard::position).first(conn).optional())?)
}

/// A stream was kept as far as this.
pub fn heard(tx: &mut Conn, stream: &str, position: i64) -> Result<()> {
    uncounted(|| {
        let moved = diesel::update(heard::table.find(stream)).set(heard::position.eq(position)).execute(tx)?;
        if moved == 0 {
            let first = (heard::stream.eq(stream), heard::position.eq(position));
            diesel::insert_into(heard::table).values(first).on_conflict_do_nothing().execute(tx)?;
        }
        Ok(())
    })
}

/// An event whose turn it is.
#[derive(Clone, Debug, PartialEq, Queryable, Selectable)]
#[diesel(table_name = inbox)]
pub struct Due {
    pub position: i64,
    pub kind: String,
    pub subject: String,
    pub event: serde_json::Value,
    pub tries: i64,
}

/// In order, of these kinds; none of a subject with an earlier event that waits, is dead, or is of another kind: that one
/// is for a process of another version.
pub fn due(conn: &mut Conn, kinds: &[&str], limit: i64) -> Result<Vec<Due>> {
    let earlier = diesel::alias!(inbox as earlier);
    let blocks = earlier
        .filter(earlier.field(inbox::subject).eq(inbox::subject))
        .filter(earlier.field(inbox::position).lt(inbox::position))
        .filter(earlier.field(inbox::handled_at).is_null())
        .filter(
            earlier
                .field(inbox::dead_at)
                .is_not_null()
                .or(earlier.field(inbox::due_at).gt(Now))
                .or(earlier.field(inbox::kind).ne_all(kinds)),
        );
    let due = inbox::table
        .filter(inbox::handled_at.is_null().and(inbox::dead_at.is_null()))
        .filter(inbox::due_at.is_null().or(inbox::due_at.le(Now)))
        .filter(inbox::kind.eq_any(kinds))
        .filter(diesel::dsl::not(exists(blocks)))
        .order(inbox::position)
        .limit(limit)
        .select(Due::as_select());
    Ok(uncounted(|| due.load(conn))?)
}

/// Their effects are in this transaction. Which of them: others were handled already.
pub fn handled(tx: &mut Conn, positions: &[i64]) -> Result<HashSet<i64>> {
    let mut ours = HashSet::with_capacity(positions.len());
    for some in crate::chunks(positions, 1) {
        let open = inbox::table.filter(inbox::position.eq_any(some));
        let open = open.filter(inbox::handled_at.is_null().and(inbox::dead_at.is_null()));
        let done = diesel::update(open).set((inbox::handled_at.eq(Now), inbox::error.eq(None::<String>)));
        let done = done.returning(inbox::position);
        ours.extend(uncounted(|| done.get_results::<i64>(tx))?);
    }
    Ok(ours)
}

/// It could not be handled: again after `again`, or, without, never by itself.
pub fn failed(tx: &mut Conn, position: i64, error: &str, again: Option<Duration>) -> Result<()> {
    let open = inbox::table.find(position).filter(inbox::handled_at.is_null());
    let told = (inbox::tries.eq(inbox::tries + 1), inbox::error.eq(Some(error)));
    uncounted(|| match again {
        Some(span) => diesel::update(open).set((told, inbox::due_at.eq(Now.plus(span)))).execute(tx),
        None => diesel::update(open).set((told, inbox::dead_at.eq(Now))).execute(tx),
    })?;
    Ok(())
}

/// How many wait to be handled, and since when the oldest of them; and how many are dead.
pub fn waiting(conn: &mut Conn) -> Result<(i64, Option<Time>, i64)> {
    let waits = inbox::table.filter(inbox::handled_at.is_null().and(inbox::dead_at.is_null()));
    let dead = inbox::table.filter(inbox::dead_at.is_not_null().and(inbox::handled_at.is_null()));
    uncounted(|| {
        let count = waits.count().get_result(conn)?;
        let first = waits.order(inbox::position).select(inbox::received_at).first(conn).optional()?;
        Ok((count, first, dead.count().get_result(conn)?))
    })
}

/// An event that was given up.
#[derive(Clone, Debug, PartialEq, Queryable, Selectable)]
#[diesel(table_name = inbox)]
pub struct Dead {
    pub id: Uuid,
    pub kind: String,
    pub subject: String,
    pub event: serde_json::Value,
    pub received_at: Time,
    pub tries: i64,
    pub error: Option<String>,
    pub dead_at: Option<Time>,
}

/// In the order in which they came.
pub fn dead(conn: &mut Conn, limit: i64) -> Result<Vec<Dead>> {
    let dead = inbox::table.filter(inbox::dead_at.is_not_null());
    Ok(uncounted(|| dead.order(inbox::position).limit(limit).select(Dead::as_select()).load(conn))?)
}

/// One of them.
pub fn dead_one(conn: &mut Conn, id: Uuid) -> Result<Option<Dead>> {
    let dead = inbox::table.filter(inbox::dead_at.is_not_null().and(inbox::id.eq(id)));
    Ok(uncounted(|| dead.select(Dead::as_select()).first(conn).optional())?)
}

/// How many later events wait behind dead ones of their subjects.
pub fn held_back(conn: &mut Conn) -> Result<i64> {
    let earlier = diesel::alias!(inbox as earlier);
    let blocks = earlier
        .filter(earlier.field(inbox::subject).eq(inbox::subject))
        .filter(earlier.field(inbox::position).lt(inbox::position))
        .filter(earlier.field(inbox::dead_at).is_not_null());
    let held = inbox::table.filter(inbox::handled_at.is_null().and(inbox::dead_at.is_null())).filter(exists(blocks));
    Ok(uncounted(|| held.count().get_result(conn))?)
}

/// Gives dead ones, or this one of them, another chance; how many those were.
pub fn redrive(tx: &mut Conn, only: Option<Uuid>) -> Result<usize> {
    let alive = (inbox::dead_at.eq(None::<Time>), inbox::due_at.eq(None::<Time>), inbox::tries.eq(0));
    uncounted(|| {
        let dead = inbox::table.filter(inbox::dead_at.is_not_null());
        Ok(match only {
            Some(id) => diesel::update(dead.filter(inbox::id.eq(id))).set(alive).execute(tx)?,
            None => diesel::update(dead).set(alive).execute(tx)?,
        })
    })
}

/// A dead one is not to be handled any more; what waited behind it goes on. `false`: it is not among the dead.
pub fn discard(tx: &mut Conn, id: Uuid) -> Result<bool> {
    let dead = inbox::table.filter(inbox::dead_at.is_not_null().and(inbox::id.eq(id)));
    let done = diesel::update(dead).set((inbox::dead_at.eq(None::<Time>), inbox::handled_at.eq(Now)));
    Ok(uncounted(|| done.execute(tx))? == 1)
}

/// Deletes what was handled longer than `keep` ago, some at a time; how many those were. What comes again after that
/// would be handled again, so it outlasts every broker's memory.
pub async fn purge(db: &Database, keep: Duration) -> Result<usize> {
    const SOME: i64 = 500;
    let some = move |tx: &mut Conn| {
        uncounted(|| {
            let old = inbox::table.filter(inbox::handled_at.lt(Now.minus(keep)));
            let old: Vec<i64> = old.order(inbox::handled_at).select(inbox::position).limit(SOME).load(tx)?;
            Ok::<_, Error>(diesel::delete(inbox::table.filter(inbox::position.eq_any(old))).execute(tx)?)
        })
    };
    let mut gone = 0;
    loop {
        let purged = db.write(some).await?;
        gone += purged;
        if purged < SOME as usize {
            return Ok(gone);
        }
    }
}
