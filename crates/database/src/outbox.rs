//! What happened, on its way out: events are written in the transaction of the change they tell of.
//!
//! So an event is told if, and only if, its change was kept. A relay delivers what is unpublished, at least once; it
//! never asks for "greater than the last", because positions are taken before they are committed.
use crate::{
    chunks::chunks,
    conn::Conn,
    error::{Error, Result},
    schema::outbox,
};
use diesel::{prelude::*, result::Error as Diesel};
use kernel::{Time, Trace};
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
    Ok(())
}
