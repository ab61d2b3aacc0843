//! What there is of each variant.
use super::schema::stock;
use crate::domain::stock::Level;
use database::{Conn, Error, Result, Violates};
use diesel::prelude::*;
use products_api::VariantId;

#[derive(Queryable, Selectable)]
#[diesel(table_name = stock)]
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

pub(crate) fn level(conn: &mut Conn, variant: VariantId) -> Result<Option<Level>> {
    Ok(stock::table.find(variant).select(Row::as_select()).first(conn).optional()?.map(Level::from))
}

/// Counted: `below` when more is reserved than that.
pub(crate) fn set<E: From<Error>>(
    tx: &mut Conn,
    variant: VariantId,
    on_hand: i64,
    below: E,
) -> Result<Option<Level>, E> {
    let counted = diesel::update(stock::table.find(variant)).set(stock::on_hand.eq(on_hand));
    let row = counted.returning(Row::as_returning()).get_result(tx).optional();
    Ok(row.violates("stock_not_oversold", below)?.map(Level::from))
}

/// More or fewer by `delta`: `below` when more is reserved than would be left.
pub(crate) fn adjust<E: From<Error>>(
    tx: &mut Conn,
    variant: VariantId,
    delta: i64,
    below: E,
) -> Result<Option<Level>, E> {
    let moved = diesel::update(stock::table.find(variant)).set(stock::on_hand.eq(stock::on_hand + delta));
    let row = moved.returning(Row::as_returning()).get_result(tx).optional();
    Ok(row.violates("stock_not_oversold", below)?.map(Level::from))
}
