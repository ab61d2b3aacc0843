//! What there is of each variant, and the ledger that says why.
//!
//! Every change of `stock` goes through this file, and each writes its movements in the same transaction: so a variant's
//! movements always add up to its row. The tables are named here and nowhere else (a test looks). Rows are locked before
//! their movements are numbered, so the movements of one variant are numbered as they happened. Whatever makes less of a
//! variant available tells here when that is low.
use super::{
    schema::{reservation_lines, variants},
    sql::Sql,
};
use crate::domain::stock::{Counted, Kind, Level, Movement};
use database::{Conn, Error, Result, Violates, chunks};
use diesel::{
    prelude::*,
    sql_types::{BigInt, Uuid as SqlUuid},
};
use kernel::{BadCursor, Cursor, Page, Time, Trace};
use products_api::{ReservationId, StockEvent, StockLine, VariantId};

diesel::table! {
    stock (variant_id) {
        variant_id -> Uuid,
        on_hand -> BigInt,
        reserved -> BigInt,
    }
}
diesel::table! {
    stock_movements (position) {
        position -> BigInt,
        variant_id -> Uuid,
        on_hand -> BigInt,
        reserved -> BigInt,
        kind -> Text,
        reservation_id -> Nullable<Uuid>,
        reason -> Nullable<Text>,
        at -> Timestamptz,
    }
}
diesel::allow_tables_to_appear_in_same_query!(stock, reservation_lines);

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = stock, treat_none_as_default_value = false)]
struct Row {
    variant_id: VariantId,
    on_hand: i64,
    reserved: i64,
}
impl From<Row> for Level {
    fn from(Row { variant_id, on_hand, reserved }: Row) -> Self {
        Self { variant: variant_id, on_hand, reserved }
    }
}

/// When something happens to stock, in the course of what, and how few of a variant are low.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Occasion {
    pub at: Time,
    pub trace: Trace,
    /// So many or fewer; with 0 nothing is ever low.
    pub low: i64,
}

impl Occasion {
    /// Whether what is available fell from above what is low, when `taken` were and now `left` are not.
    const fn is_fall(self, taken: i64, left: i64) -> bool {
        self.low > 0 && left <= self.low && left + taken > self.low
    }
    /// Tells of these variants, and how many of each are left.
    fn tell_low(self, tx: &mut Conn, fallen: &[(VariantId, i64)]) -> Result<()> {
        let event = |&(variant_id, available): &_| StockEvent::Low { variant_id, available, threshold: self.low };
        let events: Vec<_> = fallen.iter().map(event).collect();
        database::outbox::publish(tx, &events, self.at, self.trace)
    }
}

/// What staff or a new variant does to what is on hand.
#[derive(Insertable)]
#[diesel(table_name = stock_movements, treat_none_as_default_value = false)]
struct Entry<'a> {
    variant_id: VariantId,
    on_hand: i64,
    reserved: i64,
    kind: &'static str,
    reservation_id: Option<ReservationId>,
    reason: Option<&'a str>,
    at: Time,
}
const COLUMNS: usize = 7;

impl<'a> Entry<'a> {
    fn new(variant_id: VariantId, on_hand: i64, kind: Kind, reason: Option<&'a str>, at: Time) -> Self {
        Self { variant_id, on_hand, reserved: 0, kind: kind.as_str(), reservation_id: None, reason, at }
    }
}

pub(crate) fn level(conn: &mut Conn, variant: VariantId) -> Result<Option<Level>> {
    Ok(stock::table.find(variant).select(Row::as_select()).first(conn).optional()?.map(Level::from))
}

/// The stock of new variants: what there is of each.
pub(super) fn open(tx: &mut Conn, new: &[(VariantId, i64)], kind: Kind, at: Time) -> Result<()> {
    let row = |&(variant_id, on_hand): &(VariantId, i64)| Row { variant_id, on_hand, reserved: 0 };
    let rows: Vec<_> = new.iter().map(row).collect();
    for rows in chunks(&rows, 3) {
        diesel::insert_into(stock::table).values(rows).execute(tx)?;
    }
    let stocked = new.iter().filter(|(_, on_hand)| *on_hand != 0);
    let entries: Vec<_> = stocked.map(|&(variant, on_hand)| Entry::new(variant, on_hand, kind, None, at)).collect();
    for entries in chunks(&entries, COLUMNS) {
        diesel::insert_into(stock_movements::table).values(entries).execute(tx)?;
    }
    Ok(())
}

/// Counted: `below` when more is reserved than that. A count that finds what was known changes nothing.
pub(crate) fn set<E: From<Error>>(
    tx: &mut Conn,
    variant: VariantId,
    on_hand: i64,
    occasion: Occasion,
    below: E,
) -> Result<Option<Counted>, E> {
    let known = stock::table.find(variant).select(Row::as_select()).for_update().first(tx).optional();
    let Some(known) = known.map_err(Error::from)?.map(Level::from) else { return Ok(None) };
    if known.on_hand == on_hand {
        return Ok(Some(Counted { level: known, changed: false }));
    }
    let entry = Entry::new(variant, on_hand - known.on_hand, Kind::Counted, None, occasion.at);
    Ok(moved(tx, &entry, occasion, below)?.map(|level| Counted { level, changed: true }))
}

/// More or fewer by `delta`: `below` when more is reserved than would be left.
pub(crate) fn adjust<E: From<Error>>(
    tx: &mut Conn,
    variant: VariantId,
    delta: i64,
    reason: Option<&str>,
    occasion: Occasion,
    below: E,
) -> Result<Option<Level>, E> {
    moved(tx, &Entry::new(variant, delta, Kind::Adjusted, reason, occasion.at), occasion, below)
}

fn moved<E: From<Error>>(tx: &mut Conn, entry: &Entry<'_>, occasion: Occasion, below: E) -> Result<Option<Level>, E> {
    let changed =
        diesel::update(stock::table.find(entry.variant_id)).set(stock::on_hand.eq(stock::on_hand + entry.on_hand));
    let row = changed.returning(Row::as_returning()).get_result(tx).optional();
    let Some(row) = row.violates("stock_not_oversold", below)? else { return Ok(None) };
    diesel::insert_into(stock_movements::table).values(entry).execute(tx).map_err(Error::from)?;
    tx.touches(entry.variant_id.uuid());
    let level = Level::from(row);
    let left = level.available();
    if occasion.is_fall(-entry.on_hand, left) && is_tracked(tx, level.variant)? {
        occasion.tell_low(tx, &[(level.variant, left)])?;
    }
    Ok(Some(level))
}

fn is_tracked(tx: &mut Conn, variant: VariantId) -> Result<bool> {
    Ok(variants::table.find(variant).select(variants::track_stock).first(tx)?)
}

/// Reserves what the counted lines of a reservation, which are among `lines` (in the order of variants), say where that much is available; how many
/// lines that were. The rows are locked already ([`super::reservations::offers`]).
pub(crate) fn reserve(tx: &mut Conn, id: ReservationId, lines: &[StockLine], occasion: Occasion) -> Result<usize> {
    let sql = Sql::<(SqlUuid, BigInt)>::new(
        "UPDATE stock SET reserved = stock.reserved + l.quantity FROM reservation_lines l WHERE l.reservation_id = ",
    );
    let sql = sql
        .id(id)
        .text(" AND l.counted AND l.variant_id = stock.variant_id AND stock.on_hand - stock.reserved >= l.quantity")
        .text(" RETURNING stock.variant_id, stock.on_hand - stock.reserved");
    let left: Vec<(VariantId, i64)> = sql.load(tx)?;
    left.iter().for_each(|(variant, _)| tx.touches(variant.uuid()));
    if !left.is_empty() {
        write_down(tx, &[id], Kind::Reserved, occasion.at)?;
    }
    let taken = |variant| lines.binary_search_by_key(&variant, |line| line.variant_id).map(|n| lines[n].quantity);
    let fell = |&(variant, left): &_| taken(variant).is_ok_and(|taken| occasion.is_fall(taken, left));
    let mut fallen: Vec<_> = left.iter().copied().filter(fell).collect();
    fallen.sort_unstable();
    occasion.tell_low(tx, &fallen)?;
    Ok(left.len())
}

/// Frees what these reservations hold; together, since two may hold of one variant.
pub(crate) fn free(tx: &mut Conn, ids: &[ReservationId], kind: Kind, at: Time) -> Result<()> {
    lock(tx, ids)?;
    let sql: Sql = Sql::new(
        "UPDATE stock SET reserved = stock.reserved - l.quantity FROM (SELECT variant_id, \
         CAST(SUM(quantity) AS bigint) AS quantity FROM reservation_lines WHERE counted AND reservation_id",
    );
    sql.among(ids.iter().copied()).text(" GROUP BY variant_id) l WHERE l.variant_id = stock.variant_id").execute(tx)?;
    write_down(tx, ids, kind, at)
}

/// What was reserved leaves the house.
pub(crate) fn take_out(tx: &mut Conn, id: ReservationId, at: Time) -> Result<()> {
    lock(tx, &[id])?;
    let sql: Sql = Sql::new(
        "UPDATE stock SET on_hand = stock.on_hand - l.quantity, reserved = stock.reserved - l.quantity \
         FROM reservation_lines l WHERE l.reservation_id = ",
    );
    sql.id(id).text(" AND l.counted AND l.variant_id = stock.variant_id").execute(tx)?;
    write_down(tx, &[id], Kind::Shipped, at)
}

/// The rows that these reservations have a part of, in the order of variants: they will be shown differently.
fn lock(tx: &mut Conn, ids: &[ReservationId]) -> Result<()> {
    let variants = reservation_lines::table
        .filter(reservation_lines::reservation_id.eq_any(ids))
        .filter(reservation_lines::counted)
        .select(reservation_lines::variant_id);
    let rows = stock::table.filter(stock::variant_id.eq_any(variants));
    let variants: Vec<VariantId> = rows.order(stock::variant_id).select(stock::variant_id).for_update().load(tx)?;
    variants.iter().for_each(|variant| tx.touches(variant.uuid()));
    Ok(())
}

/// The movements of these reservations: each of their counted lines, times what the kind does to both columns.
fn write_down(tx: &mut Conn, ids: &[ReservationId], kind: Kind, at: Time) -> Result<()> {
    let (on_hand, reserved) = kind.of_a_piece();
    let sql: Sql = Sql::new(
        "INSERT INTO stock_movements (variant_id, on_hand, reserved, kind, reservation_id, at) \
         SELECT variant_id, quantity * ",
    );
    sql.int(on_hand)
        .text(", quantity * ")
        .int(reserved)
        .text(", ")
        .str(kind.as_str())
        .text(", reservation_id, ")
        .at(at)
        .text(" FROM reservation_lines WHERE counted AND reservation_id")
        .among(ids.iter().copied())
        .text(" ORDER BY reservation_id, variant_id")
        .execute(tx)?;
    Ok(())
}

#[derive(Queryable)]
struct MovementRow {
    position: i64,
    on_hand: i64,
    reserved: i64,
    kind: String,
    reservation_id: Option<ReservationId>,
    reason: Option<String>,
    at: Time,
}

/// Where a list of movements stopped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct After(i64);

impl After {
    /// The cursor of a list of the movements of `variant`.
    pub(crate) fn read(variant: VariantId, cursor: &str) -> Result<Self, BadCursor> {
        Cursor::read(cursor, &("stock-movements", variant.uuid())).map(Self)
    }
}

/// What happened to a variant's stock, newest first; one statement, and one that counts where that was asked.
pub(crate) fn movements(
    conn: &mut Conn,
    variant: VariantId,
    after: Option<After>,
    limit: usize,
    count: bool,
) -> Result<Page<Movement>> {
    use stock_movements as m;
    let rows =
        m::table.filter(m::variant_id.eq(variant)).filter(m::position.lt(after.map_or(i64::MAX, |after| after.0)));
    let rows = rows.order(m::position.desc()).limit(i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1));
    let columns = (m::position, m::on_hand, m::reserved, m::kind, m::reservation_id, m::reason, m::at);
    let rows: Vec<MovementRow> = rows.select(columns).load(conn)?;
    let cursor = |last: &MovementRow| Cursor::new(&("stock-movements", variant.uuid()), &last.position);
    let page = Page::of(rows, limit, cursor).map(|row| Movement {
        kind: row.kind,
        on_hand: row.on_hand,
        reserved: row.reserved,
        reservation: row.reservation_id,
        reason: row.reason,
        at: row.at,
    });
    let count = if count { Some(counted(conn, variant)?) } else { None };
    Ok(Page { count, ..page })
}

/// One too many says that there are more than are counted.
fn counted(conn: &mut Conn, variant: VariantId) -> Result<u64> {
    let cap = usize::try_from(Page::<Movement>::COUNT_CAP).unwrap_or(usize::MAX);
    let sql = Sql::<BigInt>::new("SELECT COUNT(*) FROM (SELECT 1 AS one FROM stock_movements WHERE variant_id = ")
        .id(variant);
    let count: i64 = sql.limit(cap + 1).text(") counted").get_result(conn)?;
    Ok(count.unsigned_abs())
}
