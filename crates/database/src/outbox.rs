//! What happened, on its way out: events are written in the transaction of the change they tell of.
//!
//! So an event is told if, and only if, its change was kept. A relay delivers what is unpublished, at least once; it
//! never asks for "greater than the last", because positions are taken before they are committed. Order within a subject
//! holds all the same: whoever changes an aggregate has its row before it takes a position, so the next one's position
//! comes later.
use crate::{
    backend::Db,
    chunks::chunks,
    conn::Conn,
    error::{Error, Result},
    executor::Database,
    meter::uncounted,
    now::Now,
    schema::{forgotten, outbox},
};
use diesel::{dsl::sql, prelude::*, result::Error as Diesel, sql_types::BigInt};
use kernel::{Time, Trace};
use std::time::Duration;
use uuid::Uuid;

#[derive(Insertable)]
#[diesel(table_name = outbox, treat_none_as_default_value = false)]
struct Row {
    id: Uuid,
    kind: &'static str,
    subject: Uuid,
    payload: serde_json::Value,
    trace: String,
    occurred_at: Time,
}
const COLUMNS: usize = 6;

/// Writes `events`, which happened `at` in the course of `trace` (kept as 32 hexadecimal digits); in their order, each
/// with an id of its own.
pub fn publish<E: kernel::Event>(tx: &mut Conn, events: &[E], at: Time, trace: Trace) -> Result<()> {
    let row = |event: &E| {
        Ok(Row {
            id: Uuid::now_v7(),
            kind: event.kind(),
            subject: event.subject(),
            payload: serde_json::to_value(event).map_err(|e| Error::Query(Diesel::SerializationError(e.into())))?,
            trace: format!("{:032x}", trace.0),
            occurred_at: at,
        })
    };
    let rows = events.iter().map(row).collect::<Result<Vec<_>>>()?;
    for rows in chunks(&rows, COLUMNS) {
        diesel::insert_into(outbox::table).values(rows).execute(tx)?;
    }
    tx.told |= !rows.is_empty();
    Ok(())
}

/// Aggregates fall into as many partitions, by the last digit of their ids, so that several processes may tell at once.
pub const PARTITIONS: i64 = 16;

/// An event that nobody was told of yet.
#[derive(Clone, Debug, PartialEq, Queryable, Selectable)]
#[diesel(table_name = outbox)]
pub struct Untold {
    pub position: i64,
    pub id: Uuid,
    pub kind: String,
    pub subject: Uuid,
    pub payload: serde_json::Value,
    /// 32 hexadecimal digits.
    pub trace: String,
    pub occurred_at: Time,
}

/// What is unpublished in these partitions, of these kinds and not of these subjects, in order of position; nothing of a
/// subject that has an earlier event of another kind.
pub fn untold(
    conn: &mut Conn,
    partitions: &[i64],
    kinds: &[&str],
    without: &[Uuid],
    limit: i64,
) -> Result<Vec<Untold>> {
    let earlier = diesel::alias!(outbox as earlier);
    let blocks = earlier
        .filter(earlier.field(outbox::published_at).is_null())
        .filter(earlier.field(outbox::subject).eq(outbox::subject))
        .filter(earlier.field(outbox::position).lt(outbox::position))
        .filter(earlier.field(outbox::kind).ne_all(kinds));
    let some = outbox::table
        .filter(outbox::published_at.is_null().and(outbox::kind.eq_any(kinds)))
        .filter(outbox::subject.ne_all(without))
        .filter(diesel::dsl::not(diesel::dsl::exists(blocks)))
        .order(outbox::position)
        .limit(limit)
        .select(Untold::as_select());
    let all = i64::try_from(partitions.len()).is_ok_and(|n| n == PARTITIONS);
    let partition = sql::<BigInt>(match conn.db() {
        Db::Sqlite => "instr('123456789ABCDEF', substr(hex(subject), 32, 1))",
        Db::Postgres => "(get_byte(uuid_send(subject), 15) & 15)::bigint",
    });
    uncounted(|| {
        let rows = if all { some.load(conn) } else { some.filter(partition.eq_any(partitions)).load(conn) };
        Ok(rows?)
    })
}

/// They were told, at `now`.
pub fn told(tx: &mut Conn, positions: &[i64], now: Time) -> Result<()> {
    for some in chunks(positions, 1) {
        let rows = outbox::table.filter(outbox::position.eq_any(some));
        uncounted(|| diesel::update(rows).set(outbox::published_at.eq(Some(now))).execute(tx))?;
    }
    Ok(())
}

/// One that is unpublished and of none of these kinds.
pub fn stranger(conn: &mut Conn, kinds: &[&str]) -> Result<Option<(Uuid, String)>> {
    let strange = outbox::table.filter(outbox::published_at.is_null().and(outbox::kind.ne_all(kinds)));
    Ok(strange.order(outbox::position).select((outbox::id, outbox::kind)).first(conn).optional()?)
}

/// How many are unpublished, and since when the oldest of them.
pub fn waiting(conn: &mut Conn) -> Result<(i64, Option<Time>)> {
    let unpublished = outbox::table.filter(outbox::published_at.is_null());
    uncounted(|| {
        let count = unpublished.count().get_result(conn)?;
        let first = unpublished.order(outbox::position).select(outbox::occurred_at).first(conn).optional()?;
        Ok((count, first))
    })
}

/// Whether anything of these kinds is unpublished.
pub fn is_waiting(conn: &mut Conn, kinds: &[&str]) -> Result<bool> {
    let unpublished = outbox::table.filter(outbox::published_at.is_null().and(outbox::kind.eq_any(kinds)));
    Ok(uncounted(|| unpublished.select(outbox::position).first::<i64>(conn).optional())?.is_some())
}

/// As [`forgotten_until`] calls it.
pub(crate) const OUTBOX: &str = "outbox";

/// Deletes what was published longer than `keep` ago, some at a time: the writer is never held up for long. Since when
/// the rest is complete is written down in the same transaction. How many those were.
pub async fn purge(db: &Database, keep: Duration) -> Result<usize> {
    const SOME: i64 = 500;
    let some = move |tx: &mut Conn| {
        uncounted(|| {
            let old = outbox::table.filter(outbox::published_at.lt(Now.minus(keep)));
            let old: Vec<(i64, Time)> =
                old.order(outbox::published_at).select((outbox::position, outbox::occurred_at)).limit(SOME).load(tx)?;
            if let Some(latest) = old.iter().map(|(_, at)| *at).max() {
                forget(tx, latest)?;
            }
            let positions: Vec<i64> = old.into_iter().map(|(position, _)| position).collect();
            Ok::<_, Error>(diesel::delete(outbox::table.filter(outbox::position.eq_any(positions))).execute(tx)?)
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

fn forget(tx: &mut Conn, until: Time) -> Result<()> {
    diesel::insert_into(forgotten::table)
        .values((forgotten::name.eq(OUTBOX), forgotten::until.eq(until)))
        .on_conflict_do_nothing()
        .execute(tx)?;
    diesel::update(forgotten::table.find(OUTBOX).filter(forgotten::until.lt(until)))
        .set(forgotten::until.eq(until))
        .execute(tx)?;
    Ok(())
}

/// Events that happened until then may have been deleted; later ones are all there. `None`: nothing was deleted yet.
pub fn forgotten_until(conn: &mut Conn) -> Result<Option<Time>> {
    Ok(uncounted(|| forgotten::table.find(OUTBOX).select(forgotten::until).first(conn).optional())?)
}
