//! The journal: every event that was heard, in the order in which it was written.
use super::schema::{journal, journal_head};
use database::{Conn, Result, chunks};
use diesel::prelude::*;
use kernel::Time;
use messaging::EventId;
use std::collections::HashMap;

/// The one row of its head.
const HEAD: i64 = 1;
const SOME: i64 = 1000;

/// Takes so many positions; the first of them. Nobody else takes one before this transaction has ended.
fn take(tx: &mut Conn, many: i64) -> Result<i64> {
    let first = (journal_head::id.eq(HEAD), journal_head::position.eq(many), journal_head::purged.eq(0));
    let taken = diesel::insert_into(journal_head::table)
        .values(first)
        .on_conflict(journal_head::id)
        .do_update()
        .set(journal_head::position.eq(journal_head::position + many))
        .returning(journal_head::position);
    let last: i64 = taken.get_result(tx)?;
    Ok(last - many + 1)
}

/// Where the journal stands; it stays there until this transaction has ended.
pub(crate) fn hold(tx: &mut Conn) -> Result<i64> {
    let none = (journal_head::id.eq(HEAD), journal_head::position.eq(0), journal_head::purged.eq(0));
    diesel::insert_into(journal_head::table).values(none).on_conflict_do_nothing().execute(tx)?;
    Ok(journal_head::table.find(HEAD).select(journal_head::position).for_update().first(tx)?)
}

/// An event as it is written down.
pub(crate) struct New {
    pub event: EventId,
    pub kind: String,
    pub envelope: String,
}

#[derive(Insertable)]
#[diesel(table_name = journal, treat_none_as_default_value = false)]
struct Row<'a> {
    position: i64,
    event_id: EventId,
    kind: &'a str,
    envelope: &'a str,
    recorded_at: Time,
}
const COLUMNS: usize = 5;
impl<'a> Row<'a> {
    fn of(position: i64, New { event, kind, envelope }: &'a New, recorded_at: Time) -> Self {
        Self { position, event_id: *event, kind, envelope, recorded_at }
    }
}

/// In their order; the positions of those that the journal did not have yet.
pub(crate) fn append(tx: &mut Conn, events: &[New], now: Time) -> Result<HashMap<EventId, i64>> {
    let first = take(tx, events.len() as i64)?;
    let rows: Vec<Row<'_>> = (first..).zip(events).map(|(position, new)| Row::of(position, new, now)).collect();
    let mut written = HashMap::with_capacity(rows.len());
    for rows in chunks(&rows, COLUMNS) {
        let new = diesel::insert_into(journal::table).values(rows).on_conflict(journal::event_id).do_nothing();
        written.extend(new.returning((journal::event_id, journal::position)).get_results::<(EventId, i64)>(tx)?);
    }
    Ok(written)
}

/// How far the journal goes, and up to where it is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reach {
    pub head: i64,
    pub purged: i64,
}

pub(crate) fn reach(conn: &mut Conn) -> Result<Reach> {
    let row = journal_head::table.find(HEAD).select((journal_head::position, journal_head::purged)).first(conn);
    Ok(row.optional()?.map_or(Reach::default(), |(head, purged)| Reach { head, purged }))
}

#[derive(Clone, Debug, PartialEq, Eq, Queryable)]
pub(crate) struct Recorded {
    pub position: i64,
    pub kind: String,
    pub envelope: String,
}

/// What stands after `after` and up to `head`, of these kinds where some are named.
pub(crate) fn between(
    conn: &mut Conn,
    after: i64,
    head: i64,
    kinds: Option<&[String]>,
    limit: i64,
) -> Result<Vec<Recorded>> {
    let mut rows = journal::table
        .filter(journal::position.gt(after).and(journal::position.le(head)))
        .order(journal::position)
        .limit(limit)
        .select((journal::position, journal::kind, journal::envelope))
        .into_boxed();
    if let Some(kinds) = kinds {
        rows = rows.filter(journal::kind.eq_any(kinds.to_vec()));
    }
    Ok(rows.load(conn)?)
}

/// Deletes some of what was recorded before; how many.
pub(crate) fn purge(tx: &mut Conn, before: Time) -> Result<bool> {
    let old: Vec<i64> = journal::table
        .filter(journal::recorded_at.lt(before))
        .order(journal::position)
        .limit(SOME)
        .select(journal::position)
        .load(tx)?;
    let Some(last) = old.last() else { return Ok(false) };
    // Whatever stands before the last one goes with it: positions are gone up to one of them, without holes.
    diesel::update(journal_head::table.find(HEAD)).set(journal_head::purged.eq(*last)).execute(tx)?;
    diesel::delete(journal::table.filter(journal::position.le(*last))).execute(tx)?;
    Ok(old.len() as i64 == SOME)
}
