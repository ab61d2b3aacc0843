//! Promises of stock. Whoever changes several rows of stock locks them in the order of variants first, and a
//! reservation's own row before any of stock: so two of them never wait for each other.
use super::{
    schema::{reservation_lines, reservations},
    sql::Sql,
};
use crate::domain::stock::{Level, Offer, state};
use database::{Conn, Error, Result, chunks};
use diesel::{
    prelude::*,
    result::Error as Diesel,
    sql_types::{BigInt, Bool, Nullable, Text, Uuid as SqlUuid},
};
use kernel::{Currency, Minor, Time};
use products_api::{Holding, HoldingState, MAX_LINES, ReservationId, StockLine, VariantId};
use std::{collections::HashMap, time::Duration};

/// `false` when there is one of this id. Time passes by the shop's clock, so whoever injects one can make it pass.
pub(crate) fn hold(tx: &mut Conn, id: ReservationId, hold_for: Duration, at: Time) -> Result<bool> {
    begin(tx, id, state::HELD, Some(at + hold_for), at)
}

/// A mark that nothing may be held under this id any more; `false` when something is or was.
pub(crate) fn tombstone(tx: &mut Conn, id: ReservationId, at: Time) -> Result<bool> {
    begin(tx, id, state::RELEASED, None, at)
}

fn begin(tx: &mut Conn, id: ReservationId, state: &str, expires_at: Option<Time>, at: Time) -> Result<bool> {
    let row = (
        reservations::id.eq(id),
        reservations::state.eq(state),
        reservations::expires_at.eq(expires_at),
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

/// Each variant once. `counted`: of a variant whose stock is tracked.
pub(crate) fn add_lines(
    tx: &mut Conn,
    id: ReservationId,
    lines: &[StockLine],
    counted: impl Fn(VariantId) -> bool,
) -> Result<()> {
    let row = |&StockLine { variant_id, quantity }: &_| LineRow {
        reservation_id: id,
        variant_id,
        quantity,
        counted: counted(variant_id),
    };
    let rows: Vec<_> = lines.iter().map(row).collect();
    for rows in chunks(&rows, 4) {
        diesel::insert_into(reservation_lines::table).values(rows).execute(tx)?;
    }
    Ok(())
}

/// What is written down under a reservation, in the order of variants.
pub(crate) fn lines(conn: &mut Conn, id: ReservationId) -> Result<Vec<StockLine>> {
    let lines = reservation_lines::table.filter(reservation_lines::reservation_id.eq(id));
    let columns = (reservation_lines::variant_id, reservation_lines::quantity);
    let rows: Vec<(VariantId, i64)> = lines.order(reservation_lines::variant_id).select(columns).load(conn)?;
    Ok(rows.into_iter().map(|(variant_id, quantity)| StockLine { variant_id, quantity }).collect())
}

type HoldingTypes = (SqlUuid, Text, Nullable<SqlUuid>, Nullable<BigInt>);

/// The most lines that one answer brings: it must fit into a message. More than any one reservation has.
const MOST_LINES: usize = 20 * MAX_LINES;

/// Reservations after `after` in the order of ids, each with all of its lines: `limit` at most, fewer where they have very
/// many lines, none only at the end. One statement, so they stand as they stood together.
pub(crate) fn holdings(conn: &mut Conn, after: Option<ReservationId>, limit: usize) -> Result<Vec<Holding>> {
    let sql = Sql::<HoldingTypes>::new(
        "SELECT r.id, r.state, l.variant_id, l.quantity FROM (SELECT id, state FROM reservations",
    );
    let sql = match after {
        Some(id) => sql.text(" WHERE id > ").id(id),
        None => sql,
    };
    let rows: Vec<(ReservationId, String, Option<VariantId>, Option<i64>)> = sql
        .text(" ORDER BY id")
        .limit(limit)
        .text(") r LEFT JOIN reservation_lines l ON l.reservation_id = r.id ORDER BY r.id, l.variant_id")
        .limit(MOST_LINES + 1)
        .not_kept()
        .load(conn)?;
    let cut = rows.len() > MOST_LINES;
    let mut all: Vec<Holding> = Vec::new();
    for (reservation, state, variant, quantity) in rows {
        let line = variant.zip(quantity).map(|(variant_id, quantity)| StockLine { variant_id, quantity });
        match all.last_mut().filter(|last| last.reservation == reservation) {
            Some(same) => same.lines.extend(line),
            None => {
                let state = known(&state).ok_or_else(|| Error::Query(Diesel::DeserializationError(state.into())))?;
                all.push(Holding { reservation, state, lines: line.into_iter().collect() });
            }
        }
    }
    if cut {
        all.pop(); // perhaps without its last lines
    }
    Ok(all)
}

fn known(state: &str) -> Option<HoldingState> {
    Some(match state {
        state::HELD => HoldingState::Held,
        state::CONFIRMED => HoldingState::Confirmed,
        state::SHIPPED => HoldingState::Shipped,
        state::RELEASED => HoldingState::Released,
        state::EXPIRED => HoldingState::Expired,
        _ => return None,
    })
}

/// Holds past their time, a hundred at most; those that somebody else is just moving are left to them.
pub(crate) fn due(tx: &mut Conn, at: Time) -> Result<Vec<ReservationId>> {
    let due = reservations::table
        .filter(reservations::state.eq(state::HELD))
        .filter(reservations::expires_at.le(at))
        .order(reservations::id)
        .limit(100);
    Ok(due.select(reservations::id).for_update().skip_locked().load(tx)?)
}

/// The same, of these variants; waits for whoever is just moving one of them, as its goods may be free then.
pub(crate) fn due_of(tx: &mut Conn, variants: &[VariantId], at: Time) -> Result<Vec<ReservationId>> {
    let lines = reservation_lines::table
        .filter(reservation_lines::variant_id.eq_any(variants))
        .select(reservation_lines::reservation_id);
    let due = reservations::table
        .filter(reservations::state.eq(state::HELD))
        .filter(reservations::expires_at.le(at))
        .filter(reservations::id.eq_any(lines))
        .order(reservations::id)
        .limit(1000);
    Ok(due.select(reservations::id).for_update().load(tx)?)
}

/// Ends these holds, if they still are: the guard decides against a confirmation, not the clock.
pub(crate) fn expire(tx: &mut Conn, ids: &[ReservationId], at: Time) -> Result<Vec<ReservationId>> {
    let held = diesel::update(reservations::table)
        .filter(reservations::id.eq_any(ids))
        .filter(reservations::state.eq(state::HELD))
        .filter(reservations::expires_at.le(at));
    let ended = held.set((
        reservations::state.eq(state::EXPIRED),
        reservations::expires_at.eq(None::<Time>),
        reservations::updated_at.eq(at),
    ));
    let mut ids: Vec<ReservationId> = ended.returning(reservations::id).get_results(tx)?;
    ids.sort_unstable();
    Ok(ids)
}
