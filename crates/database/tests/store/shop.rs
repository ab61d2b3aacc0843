//! A small store to try the crate on.
use database::{Conn, Error, Result, Violates};
use diesel::{prelude::*, upsert::excluded};
use kernel::{Clock, Currency, Id, Minor, SystemClock, Time};
use serde_json::{Value, json};

diesel::table! {
    orders (id) {
        id -> Uuid,
        cart_id -> Uuid,
        status -> Text,
        currency -> Text,
        total -> BigInt,
        note -> Nullable<Text>,
        address -> Jsonb,
        placed_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
    }
}
diesel::table! {
    lines (order_id, position) {
        order_id -> Uuid,
        position -> Integer,
        variant_id -> Uuid,
        quantity -> BigInt,
        price -> BigInt,
    }
}
diesel::table! {
    stock (variant_id) {
        variant_id -> Uuid,
        on_hand -> BigInt,
        reserved -> BigInt,
    }
}
diesel::allow_tables_to_appear_in_same_query!(orders, lines, stock);

#[derive(Debug)]
pub(crate) enum Order {}
#[derive(Debug)]
pub(crate) enum Cart {}
#[derive(Debug)]
pub(crate) enum Variant {}

#[derive(Debug, Clone, PartialEq, Insertable, Queryable, Selectable)]
#[diesel(table_name = orders, treat_none_as_default_value = false)]
pub(crate) struct OrderRow {
    pub(crate) id: Id<Order>,
    pub(crate) cart_id: Id<Cart>,
    pub(crate) status: String,
    pub(crate) currency: Currency,
    pub(crate) total: Minor,
    pub(crate) note: Option<String>,
    pub(crate) address: Value,
    pub(crate) placed_at: Option<Time>,
    pub(crate) created_at: Time,
}
#[derive(Debug, Clone, PartialEq, Insertable, Queryable, Selectable)]
#[diesel(table_name = lines, treat_none_as_default_value = false)]
pub(crate) struct LineRow {
    pub(crate) order_id: Id<Order>,
    pub(crate) position: i32,
    pub(crate) variant_id: Id<Variant>,
    pub(crate) quantity: i64,
    pub(crate) price: Minor,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum PlaceError {
    #[error("this cart has an order already")]
    AlreadyPlaced,
    #[error("out of stock: {0}")]
    OutOfStock(usize),
    #[error("below zero or above what there is")]
    Oversold,
    #[error(transparent)]
    Database(#[from] Error),
}

pub(crate) fn order(lines: i32) -> (OrderRow, Vec<LineRow>) {
    let id = Id::new();
    let line = |position| LineRow {
        order_id: id,
        position,
        variant_id: Id::new(),
        quantity: 1,
        price: Minor::new(250).unwrap(),
    };
    let row = OrderRow {
        id,
        cart_id: Id::new(),
        status: "pending".into(),
        currency: "JPY".parse().unwrap(),
        total: Minor::new(i64::from(lines) * 250).unwrap(),
        note: None,
        address: json!({"street": "Ünter \"den\" Linden", "zip": ["1", null, 2.5]}),
        placed_at: None,
        created_at: SystemClock.now(),
    };
    (row, (0..lines).map(line).collect())
}

pub(crate) fn insert(tx: &mut Conn, order: &OrderRow, items: &[LineRow]) -> Result<(), PlaceError> {
    diesel::insert_into(orders::table)
        .values(order)
        .execute(tx)
        .violates("orders_cart_open", PlaceError::AlreadyPlaced)?;
    diesel::insert_into(lines::table).values(items).execute(tx).map_err(Error::from)?;
    Ok(())
}
pub(crate) fn place(tx: &mut Conn, order: Id<Order>, at: Time) -> Result<Option<OrderRow>> {
    Ok(diesel::update(orders::table.find(order))
        .filter(orders::status.eq("pending"))
        .set((orders::status.eq("placed"), orders::placed_at.eq(at)))
        .returning(OrderRow::as_returning())
        .get_result(tx)
        .optional()?)
}
pub(crate) fn page(conn: &mut Conn, before: Option<Id<Order>>, size: i64) -> Result<Vec<(OrderRow, Vec<LineRow>)>> {
    let mut newest = orders::table.select(OrderRow::as_select()).order(orders::id.desc()).limit(size).into_boxed();
    if let Some(before) = before {
        newest = newest.filter(orders::id.lt(before));
    }
    let found = newest.load(conn)?;
    let mut items = lines::table
        .filter(lines::order_id.eq_any(found.iter().map(|o| o.id)))
        .order((lines::order_id.desc(), lines::position))
        .select(LineRow::as_select())
        .load(conn)?
        .into_iter()
        .peekable();
    let with_lines = |order: OrderRow| {
        let id = order.id;
        (order, std::iter::from_fn(|| items.next_if(|l| l.order_id == id)).collect())
    };
    Ok(found.into_iter().map(with_lines).collect())
}

/// Sets what is on hand, whether or not the variant was known.
pub(crate) fn set_stock(tx: &mut Conn, variant: Id<Variant>, on_hand: i64) -> Result<()> {
    diesel::insert_into(stock::table)
        .values((stock::variant_id.eq(variant), stock::on_hand.eq(on_hand), stock::reserved.eq(0)))
        .on_conflict(stock::variant_id)
        .do_update()
        .set(stock::on_hand.eq(excluded(stock::on_hand)))
        .execute(tx)?;
    Ok(())
}
/// `false` when fewer than `n` are available.
pub(crate) fn reserve(tx: &mut Conn, variant: Id<Variant>, n: i64) -> Result<bool> {
    let updated = diesel::update(stock::table.find(variant))
        .filter((stock::on_hand - stock::reserved).ge(n))
        .set(stock::reserved.eq(stock::reserved + n))
        .execute(tx)?;
    Ok(updated == 1)
}
/// What the CHECK refuses when it is wrong.
pub(crate) fn set_reserved(tx: &mut Conn, variant: Id<Variant>, n: i64) -> QueryResult<usize> {
    diesel::update(stock::table.find(variant)).set(stock::reserved.eq(n)).execute(tx)
}
pub(crate) fn reserved(conn: &mut Conn, variant: Id<Variant>) -> Result<i64> {
    Ok(stock::table.find(variant).select(stock::reserved).first(conn)?)
}
pub(crate) async fn stocked(db: &database::Database, on_hand: i64) -> Id<Variant> {
    let variant = Id::new();
    db.write(move |tx| set_stock(tx, variant, on_hand)).await.unwrap();
    variant
}
