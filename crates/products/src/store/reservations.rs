//! Promises of stock. Whoever changes several rows of stock locks them in the order of variants first, and a
//! reservation's own row before any of stock: so two of them never wait for each other.
use super::{
    schema::{reservation_lines, reservations, stock},
    sql::Sql,
};
use crate::domain::stock::{Level, Offer, state};
use database::{Conn, Now, Result, chunks};
use diesel::{
    prelude::*,
    sql_types::{BigInt, Bool, Nullable, Text, Uuid as SqlUuid},
};
use kernel::{Currency, Minor, Time};
use products_api::{ReservationId, ReserveLine, VariantId};
use std::{collections::HashMap, time::Duration};

/// `false` when there is one of this id. It expires by the database's clock.
pub(crate) fn hold(tx: &mut Conn, id: ReservationId, hold_for: Duration, at: Time) -> Result<bool> {
    let new = Sql::<diesel::sql_types::Untyped>::new(
        "INSERT INTO reservations (id, state, expires_at, created_at, updated_at) VALUES (",
    )
    .id(id)
    .text(", 'held', ")
    .later(hold_for)
    .text(", ")
    .at(at)
    .text(", ")
    .at(at)
    .text(") ON CONFLICT (id) DO NOTHING");
    Ok(new.execute(tx)? == 1)
}

/// A mark that nothing may be held under this id any more; `false` when something is or was.
pub(crate) fn tombstone(tx: &mut Conn, id: ReservationId, at: Time) -> Result<bool> {
    let row = (
        reservations::id.eq(id),
        reservations::state.eq(state::RELEASED),
        reservations::expires_at.eq(None::<Time>),
        reservations::created_at.eq(at),
        reservations::updated_at.eq(at),
    );
    let new = diesel::insert_into(reservations::table).values(row).on_conflict(reservations::id).do_nothing();
    Ok(new.execute(tx)? == 1)
}

pub(crate) fn state(conn: &mut Conn, id: ReservationId) -> Result<Option<String>> {
    Ok(reservations::table.find(id).select(reservations::state).first(conn).optional()?)
}

/// Moves from any of `from` to `to` and takes the expiry away; `false` when it stood elsewhere.
pub(crate) fn advance(tx: &mut Conn, id: ReservationId, from: &[&str], to: &str, at: Time) -> Result<bool> {
    let standing = diesel::update(reservations::table.find(id)).filter(reservations::state.eq_any(from));
    let moved = standing.set((
        reservations::state.eq(to),
        reservations::expires_at.eq(None::<Time>),
        reservations::updated_at.eq(at),
    ));
    Ok(moved.execute(tx)? == 1)
}

type OfferTypes = (SqlUuid, BigInt, BigInt, Bool, Text, Nullable<BigInt>);

/// How these variants stand and what they cost, their stock locked in the order of variants.
pub(crate) fn offers(
    tx: &mut Conn,
    variants: impl IntoIterator<Item = VariantId>,
    currency: Currency,
) -> Result<HashMap<VariantId, Offer>> {
    let sql = Sql::<OfferTypes>::new(
        "SELECT s.variant_id, s.on_hand, s.reserved, v.track_stock, p.status, r.amount FROM stock s \
         JOIN variants v ON v.id = s.variant_id JOIN products p ON p.id = v.product_id \
         LEFT JOIN prices r ON r.variant_id = s.variant_id AND r.currency = ",
    )
    .str(currency.code())
    .text(" WHERE s.variant_id")
    .among(variants)
    .text(" ORDER BY s.variant_id")
    .lock(" FOR UPDATE OF s");
    let rows: Vec<(VariantId, i64, i64, bool, String, Option<Minor>)> = sql.load(tx)?;
    let offer = |(variant, on_hand, reserved, tracked, status, price): (_, _, _, _, String, _)| {
        let level = Level { variant, on_hand, reserved };
        (variant, Offer { level, tracked, sold: status == "active", price })
    };
    Ok(rows.into_iter().map(offer).collect())
}

#[derive(Insertable)]
#[diesel(table_name = reservation_lines, treat_none_as_default_value = false)]
struct LineRow {
    reservation_id: ReservationId,
    variant_id: VariantId,
    quantity: i64,
    counted: bool,
}

/// `counted`: of a variant whose stock is tracked.
pub(crate) fn add_lines(
    tx: &mut Conn,
    id: ReservationId,
    lines: &[ReserveLine],
    counted: impl Fn(VariantId) -> bool,
) -> Result<()> {
    let row = |line: &ReserveLine| LineRow {
        reservation_id: id,
        variant_id: line.variant,
        quantity: line.quantity,
        counted: counted(line.variant),
    };
    let mut rows: Vec<_> = lines.iter().map(row).collect();
    rows.sort_unstable_by_key(|row| row.variant_id);
    for rows in chunks(&rows, 4) {
        diesel::insert_into(reservation_lines::table).values(rows).execute(tx)?;
    }
    Ok(())
}

/// Reserves what the counted lines say where that much is available; how many lines that were.
pub(crate) fn take(tx: &mut Conn, id: ReservationId) -> Result<usize> {
    let sql: Sql = Sql::new(
        "UPDATE stock SET reserved = stock.reserved + l.quantity FROM reservation_lines l WHERE l.reservation_id = ",
    );
    let sql = sql
        .id(id)
        .text(" AND l.counted AND l.variant_id = stock.variant_id AND stock.on_hand - stock.reserved >= l.quantity");
    Ok(sql.execute(tx)?)
}

/// Frees what these reservations hold; together, since two may hold of one variant.
pub(crate) fn free(tx: &mut Conn, ids: &[ReservationId]) -> Result<()> {
    lock_stock(tx, ids)?;
    let sql: Sql = Sql::new(
        "UPDATE stock SET reserved = stock.reserved - l.quantity FROM (SELECT variant_id, \
         CAST(SUM(quantity) AS bigint) AS quantity FROM reservation_lines WHERE counted AND reservation_id",
    );
    sql.among(ids.iter().copied()).text(" GROUP BY variant_id) l WHERE l.variant_id = stock.variant_id").execute(tx)?;
    Ok(())
}

/// What was reserved leaves the house.
pub(crate) fn take_out(tx: &mut Conn, id: ReservationId) -> Result<()> {
    lock_stock(tx, &[id])?;
    let sql: Sql = Sql::new(
        "UPDATE stock SET on_hand = stock.on_hand - l.quantity, reserved = stock.reserved - l.quantity \
         FROM reservation_lines l WHERE l.reservation_id = ",
    );
    sql.id(id).text(" AND l.counted AND l.variant_id = stock.variant_id").execute(tx)?;
    Ok(())
}

fn lock_stock(tx: &mut Conn, ids: &[ReservationId]) -> Result<()> {
    let lines = reservation_lines::table
        .filter(reservation_lines::reservation_id.eq_any(ids))
        .filter(reservation_lines::counted)
        .select(reservation_lines::variant_id);
    let rows = stock::table.filter(stock::variant_id.eq_any(lines)).order(stock::variant_id);
    rows.select(stock::variant_id).for_update().load::<VariantId>(tx)?;
    Ok(())
}

/// Holds past their time, a hundred at most; those that somebody else is just moving are left to them.
pub(crate) fn due(tx: &mut Conn) -> Result<Vec<ReservationId>> {
    let due = reservations::table
        .filter(reservations::state.eq(state::HELD))
        .filter(reservations::expires_at.le(Now))
        .order(reservations::id)
        .limit(100);
    Ok(due.select(reservations::id).for_update().skip_locked().load(tx)?)
}

/// The same, of these variants.
pub(crate) fn due_of(tx: &mut Conn, variants: &[VariantId]) -> Result<Vec<ReservationId>> {
    let lines = reservation_lines::table
        .filter(reservation_lines::variant_id.eq_any(variants))
        .select(reservation_lines::reservation_id);
    let due = reservations::table
        .filter(reservations::state.eq(state::HELD))
        .filter(reservations::expires_at.le(Now))
        .filter(reservations::id.eq_any(lines))
        .order(reservations::id)
        .limit(1000);
    Ok(due.select(reservations::id).for_update().skip_locked().load(tx)?)
}

/// Ends these holds, if they still are: the guard decides against a confirmation, not the clock.
pub(crate) fn expire(tx: &mut Conn, ids: &[ReservationId], at: Time) -> Result<Vec<ReservationId>> {
    let held = diesel::update(reservations::table)
        .filter(reservations::id.eq_any(ids))
        .filter(reservations::state.eq(state::HELD))
        .filter(reservations::expires_at.le(Now));
    let ended = held.set((
        reservations::state.eq(state::EXPIRED),
        reservations::expires_at.eq(None::<Time>),
        reservations::updated_at.eq(at),
    ));
    let mut ids: Vec<ReservationId> = ended.returning(reservations::id).get_results(tx)?;
    ids.sort_unstable();
    Ok(ids)
}
