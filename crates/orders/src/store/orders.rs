//! Orders, their lines, money and shipments.
use super::{
    json, payments as money, read,
    schema::{order_lines, orders, payments, shipments},
    token, wrong,
};
use crate::domain::{
    cart::{CartId, Holder, LineId},
    order::{FulfilmentStatus, FullOrder, Order, OrderLine, PaymentStatus, Shipment, Status},
    payment::{Move, Payment},
    totals::Totals,
};
use database::{Conn, Db, Result, chunks};
use diesel::{
    dsl::{IntoBoxed, LeftJoin, sql},
    expression::SqlLiteral,
    prelude::*,
    sql_types::{BigInt, Nullable, Text},
};
use kernel::{Currency, Cursor, Minor, Page, Time};
use orders_api::OrderId;
use products_api::VariantId;
use serde::Deserialize;
use serde_json::Value;
use users_api::UserId;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = orders, treat_none_as_default_value = false)]
struct Row {
    id: OrderId,
    number: Option<i64>,
    cart_id: CartId,
    token_hash: Option<Vec<u8>>,
    user_id: Option<UserId>,
    status: String,
    payment_status: String,
    fulfilment_status: String,
    currency: Currency,
    locale: String,
    prices_include_tax: bool,
    email: String,
    shipping_address: Value,
    billing_address: Option<Value>,
    shipping_option: Value,
    subtotal: Minor,
    discount: Minor,
    shipping: Minor,
    tax: Minor,
    total: Minor,
    cancel_reason: Option<String>,
    version: i64,
    created_at: Time,
    updated_at: Time,
    placed_at: Option<Time>,
    paid_at: Option<Time>,
}
impl Row {
    fn read(self) -> Result<Order> {
        let Self { subtotal, discount, shipping, tax, total, .. } = self;
        Ok(Order {
            id: self.id,
            number: self.number,
            cart: self.cart_id,
            token: token(self.token_hash),
            user: self.user_id,
            status: self.status.parse().map_err(wrong)?,
            payment_status: self.payment_status.parse().map_err(wrong)?,
            fulfilment_status: self.fulfilment_status.parse().map_err(wrong)?,
            currency: self.currency,
            locale: self.locale,
            prices_include_tax: self.prices_include_tax,
            email: self.email,
            shipping_address: read(self.shipping_address)?,
            billing_address: self.billing_address.map(read).transpose()?,
            shipping_option: read(self.shipping_option)?,
            totals: Totals { subtotal, discount, shipping, tax, total },
            cancel_reason: self.cancel_reason,
            version: self.version,
            created_at: self.created_at,
            placed_at: self.placed_at,
            paid_at: self.paid_at,
            shipments: Vec::new(),
            payment: None,
        })
    }
}
impl From<&Order> for Row {
    fn from(order: &Order) -> Self {
        let Totals { subtotal, discount, shipping, tax, total } = order.totals;
        Self {
            id: order.id,
            number: order.number,
            cart_id: order.cart,
            token_hash: order.token.map(|key| key.0.to_vec()),
            user_id: order.user,
            status: order.status.as_str().into(),
            payment_status: order.payment_status.as_str().into(),
            fulfilment_status: order.fulfilment_status.as_str().into(),
            currency: order.currency,
            locale: order.locale.clone(),
            prices_include_tax: order.prices_include_tax,
            email: order.email.clone(),
            shipping_address: json(&order.shipping_address),
            billing_address: order.billing_address.as_ref().map(json),
            shipping_option: json(&order.shipping_option),
            subtotal,
            discount,
            shipping,
            tax,
            total,
            cancel_reason: order.cancel_reason.clone(),
            version: order.version,
            created_at: order.created_at,
            updated_at: order.created_at,
            placed_at: order.placed_at,
            paid_at: order.paid_at,
        }
    }
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = order_lines, treat_none_as_default_value = false)]
struct LineRow {
    order_id: OrderId,
    position: i32,
    id: LineId,
    variant_id: VariantId,
    title: String,
    sku: Option<String>,
    quantity: i64,
    unit_price: Minor,
    discount: Minor,
    tax: Minor,
    total: Minor,
}
const LINE_COLUMNS: usize = 11;

fn line_row(order: OrderId, position: usize, line: &OrderLine) -> LineRow {
    let OrderLine { id, variant, title, sku, quantity, unit_price, discount, tax, total } = line.clone();
    let position = i32::try_from(position).expect("a cart has 1,000 lines at most");
    LineRow {
        order_id: order,
        position,
        id,
        variant_id: variant,
        title,
        sku,
        quantity,
        unit_price,
        discount,
        tax,
        total,
    }
}
impl From<LineRow> for OrderLine {
    fn from(row: LineRow) -> Self {
        let LineRow { id, variant_id: variant, title, sku, quantity, unit_price, discount, tax, total, .. } = row;
        Self { id, variant, title, sku, quantity, unit_price, discount, tax, total }
    }
}

pub(crate) fn insert(tx: &mut Conn, full: &FullOrder) -> Result<()> {
    diesel::insert_into(orders::table).values(Row::from(&full.order)).execute(tx)?;
    let rows: Vec<_> = full.lines.iter().enumerate().map(|(n, line)| line_row(full.order.id, n, line)).collect();
    for rows in chunks(&rows, LINE_COLUMNS) {
        diesel::insert_into(order_lines::table).values(rows).execute(tx)?;
    }
    Ok(())
}

pub(crate) fn find(conn: &mut Conn, id: OrderId) -> Result<Option<Order>> {
    let (moved, sent) = (moved(conn.db()), sent(conn.db()));
    let order = orders::table.left_join(payments::table).filter(orders::id.eq(id));
    let found: Option<Whole> =
        order.select((Row::as_select(), Option::<money::Row>::as_select(), moved, sent)).first(conn).optional()?;
    found.map(whole).transpose()
}

/// The same, its row locked until the transaction ends; not against those who only name it (a process that is begun).
pub(crate) fn lock(tx: &mut Conn, id: OrderId) -> Result<Option<Order>> {
    let row = orders::table.find(id).select(Row::as_select()).for_no_key_update();
    row.first(tx).optional()?.map(Row::read).transpose()
}

/// The order with its lines, if it is the holder's.
pub(crate) fn full(conn: &mut Conn, id: OrderId, holder: Holder) -> Result<Option<FullOrder>> {
    let Some(order) = find(conn, id)?.filter(|order| holder.holds(order.user, order.token)) else { return Ok(None) };
    let lines = lines_of(conn, vec![id])?.into_iter().map(|(_, line)| line).collect();
    Ok(Some(FullOrder { order, lines }))
}

fn lines_of(conn: &mut Conn, ids: Vec<OrderId>) -> Result<Vec<(OrderId, OrderLine)>> {
    let rows = order_lines::table
        .filter(order_lines::order_id.eq_any(ids))
        .order((order_lines::order_id.desc(), order_lines::position));
    let rows = rows.select(LineRow::as_select()).load(conn)?;
    Ok(rows.into_iter().map(|row| (row.order_id, row.into())).collect())
}

/// Which orders a list shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    /// `None`: everybody's.
    pub user: Option<UserId>,
    /// `None`: all but pending and failed.
    pub status: Option<Status>,
}

impl Filter {
    /// What a cursor of this list is bound to.
    pub(crate) fn binding(&self) -> (&'static str, Option<uuid::Uuid>, Option<&'static str>) {
        ("orders", self.user.map(|user| *user.uuid()), self.status.map(Status::as_str))
    }
}

type Boxed<'a> = IntoBoxed<'a, LeftJoin<orders::table, payments::table>, Db>;
fn filtered<'a>(filter: &Filter) -> Boxed<'a> {
    let mut rows = orders::table.left_join(payments::table).into_boxed();
    if let Some(user) = filter.user {
        rows = rows.filter(orders::user_id.eq(user));
    }
    match filter.status {
        Some(status) => rows.filter(orders::status.eq(status.as_str())),
        None => rows.filter(orders::status.ne_all([Status::Pending.as_str(), Status::Failed.as_str()])),
    }
}

/// Newest first.
pub(crate) fn page(
    conn: &mut Conn,
    filter: &Filter,
    before: Option<OrderId>,
    limit: usize,
    count: bool,
) -> Result<Page<FullOrder>> {
    let mut rows = filtered(filter).order(orders::id.desc()).limit(limit as i64 + 1);
    if let Some(before) = before {
        rows = rows.filter(orders::id.lt(before));
    }
    let (moved, sent) = (moved(conn.db()), sent(conn.db()));
    let found: Vec<Whole> =
        rows.select((Row::as_select(), Option::<money::Row>::as_select(), moved, sent)).load(conn)?;
    let found = found.into_iter().map(whole).collect::<Result<Vec<_>>>()?;
    let cursor = |last: &Order| Cursor::new(&filter.binding(), last.id.uuid());
    let page = Page::of(found, limit, cursor);
    let mut lines = lines_of(conn, page.items.iter().map(|order| order.id).collect())?.into_iter().peekable();
    let mut page = page.map(|order| {
        let id = order.id;
        let lines = std::iter::from_fn(|| lines.next_if(|(of, _)| *of == id)).map(|(_, line)| line).collect();
        FullOrder { order, lines }
    });
    if count {
        let capped = filtered(filter).select(orders::id).limit(Page::<Order>::COUNT_CAP as i64 + 1);
        page.count = Some(capped.load::<OrderId>(conn)?.len() as u64);
    }
    Ok(page)
}

/// The latest placed orders of each user, newest first.
pub(crate) fn latest(conn: &mut Conn, users: Vec<UserId>, limit: usize) -> Result<Vec<Order>> {
    let mine = orders::table.filter(orders::user_id.eq_any(users));
    let placed = mine.filter(orders::status.ne_all([Status::Pending.as_str(), Status::Failed.as_str()]));
    // Each user's rank, so that one busy user cannot crowd out the rest; counted no further than asked for.
    let rank = sql::<diesel::sql_types::Bool>(
        "(SELECT count(*) FROM (SELECT 1 FROM orders newer WHERE newer.user_id = orders.user_id AND newer.id > orders.id \
         AND newer.status NOT IN ('pending', 'failed') LIMIT ",
    )
    .bind::<BigInt, _>(limit as i64)
    .sql(") AS ahead) < ")
    .bind::<BigInt, _>(limit as i64);
    let rows = placed.filter(rank).order(orders::id.desc()).select(Row::as_select()).load(conn)?;
    rows.into_iter().map(Row::read).collect()
}

/// Placed: from here on it is an order, and `paid` when nothing more is to come. `None` when it is not pending any more.
pub(crate) fn place(tx: &mut Conn, id: OrderId, payment: PaymentStatus, paid: bool, at: Time) -> Result<Option<Order>> {
    // A sequence on PostgreSQL; on SQLite there is one writer, so the next number is the largest and one.
    let number = |text: &str| sql::<Nullable<BigInt>>(text);
    let placed = (
        orders::status.eq(Status::Placed.as_str()),
        orders::payment_status.eq(payment.as_str()),
        orders::placed_at.eq(at),
        orders::paid_at.eq(paid.then_some(at)),
    );
    let row = |number| {
        diesel::update(orders::table.find(id))
            .filter(orders::status.eq(Status::Pending.as_str()))
            .set((
                placed,
                orders::number.eq(number),
                orders::version.eq(orders::version + 1),
                orders::updated_at.eq(at),
            ))
            .returning(Row::as_returning())
    };
    let text = match tx.db() {
        Db::Sqlite => "(SELECT coalesce(max(number), 1000) + 1 FROM orders)",
        Db::Postgres => "nextval('order_numbers')",
    };
    row(number(text)).get_result(tx).optional()?.map(Row::read).transpose()
}

/// An attempt that came to nothing. `false` when it is not pending any more.
pub(crate) fn fail(tx: &mut Conn, id: OrderId, payment: PaymentStatus, at: Time) -> Result<bool> {
    let pending = diesel::update(orders::table.find(id)).filter(orders::status.eq(Status::Pending.as_str()));
    let failed = (orders::status.eq(Status::Failed.as_str()), orders::payment_status.eq(payment.as_str()));
    let since = (orders::ended_at.eq(at), orders::updated_at.eq(at));
    Ok(pending.set((failed, orders::version.eq(orders::version + 1), since)).execute(tx)? == 1)
}

/// What becomes of an order that is placed.
pub(crate) struct Turn<'a> {
    pub status: Status,
    pub fulfilment: FulfilmentStatus,
    pub payment: PaymentStatus,
    pub paid_at: Option<Time>,
    pub cancel_reason: Option<&'a str>,
}

/// Writes it. `false` when the order is not in the version that was looked at.
pub(crate) fn turn(tx: &mut Conn, order: &Order, turn: &Turn<'_>, at: Time) -> Result<bool> {
    let same = diesel::update(orders::table.find(order.id)).filter(orders::version.eq(order.version));
    let set = (
        orders::status.eq(turn.status.as_str()),
        orders::fulfilment_status.eq(turn.fulfilment.as_str()),
        orders::payment_status.eq(turn.payment.as_str()),
        orders::paid_at.eq(turn.paid_at),
        orders::cancel_reason.eq(turn.cancel_reason),
        (turn.status != order.status).then_some(orders::ended_at.eq(at)),
    );
    Ok(same.set((set, orders::version.eq(orders::version + 1), orders::updated_at.eq(at))).execute(tx)? == 1)
}

pub(crate) fn add_shipment(tx: &mut Conn, order: OrderId, shipment: &Shipment) -> Result<()> {
    diesel::insert_into(shipments::table)
        .values((
            shipments::id.eq(shipment.id),
            shipments::order_id.eq(order),
            shipments::carrier.eq(&shipment.carrier),
            shipments::tracking_number.eq(&shipment.tracking_number),
            shipments::created_at.eq(shipment.created_at),
        ))
        .execute(tx)?;
    Ok(())
}

/// An order's shipments as one text beside its row, so that they cost no statement of their own.
fn sent(db: Db) -> SqlLiteral<Nullable<Text>> {
    sql(match db {
        Db::Sqlite => {
            "(SELECT json_group_array(json_object('id', hex(s.id), 'carrier', s.carrier, \
             'tracking_number', s.tracking_number, 'micros', s.created_at) ORDER BY s.id) \
             FROM shipments s WHERE s.order_id = orders.id)"
        }
        Db::Postgres => {
            "(SELECT CAST(json_agg(json_build_object('id', s.id, 'carrier', s.carrier, \
             'tracking_number', s.tracking_number, \
             'micros', CAST(extract(epoch FROM s.created_at) * 1000000 AS bigint)) ORDER BY s.id) AS text) \
             FROM shipments s WHERE s.order_id = orders.id)"
        }
    })
}

/// An order's captures and refunds, the same way.
fn moved(db: Db) -> SqlLiteral<Nullable<Text>> {
    sql(match db {
        Db::Sqlite => {
            "(SELECT json_group_array(json_object('id', hex(m.id), 'way', m.kind, 'amount', m.amount, \
             'reason', m.reason, 'state', m.state, 'micros', m.created_at) ORDER BY m.id) \
             FROM payment_moves m WHERE m.order_id = orders.id)"
        }
        Db::Postgres => {
            "(SELECT CAST(json_agg(json_build_object('id', m.id, 'way', m.kind, 'amount', m.amount, \
             'reason', m.reason, 'state', m.state, \
             'micros', CAST(extract(epoch FROM m.created_at) * 1000000 AS bigint)) ORDER BY m.id) AS text) \
             FROM payment_moves m WHERE m.order_id = orders.id)"
        }
    })
}

#[derive(Deserialize)]
struct Moved {
    id: uuid::Uuid,
    way: String,
    amount: Minor,
    reason: Option<String>,
    state: String,
    micros: i64,
}

impl Moved {
    fn read(self) -> Result<Move> {
        let Self { id, way, amount, reason, state, micros } = self;
        let (way, state) = (way.parse().map_err(wrong)?, state.parse().map_err(wrong)?);
        Ok(Move { id: id.into(), way, amount, reason, state, created_at: Time::from_micros(micros) })
    }
}

#[derive(Deserialize)]
struct Sent {
    id: uuid::Uuid,
    carrier: Option<String>,
    tracking_number: Option<String>,
    micros: i64,
}

type Whole = (Row, Option<money::Row>, Option<String>, Option<String>);

fn whole((row, payment, moved, sent): Whole) -> Result<Order> {
    let sent: Vec<Sent> = sent.map_or(Ok(Vec::new()), |text| serde_json::from_str(&text)).map_err(wrong)?;
    let moved: Vec<Moved> = moved.map_or(Ok(Vec::new()), |text| serde_json::from_str(&text)).map_err(wrong)?;
    let moves = moved.into_iter().map(Moved::read).collect::<Result<Vec<_>>>()?;
    let payment = payment.map(money::Row::read).transpose()?.map(|payment| Payment { moves, ..payment });
    let shipment = |Sent { id, carrier, tracking_number, micros }| Shipment {
        id: id.into(),
        carrier,
        tracking_number,
        created_at: Time::from_micros(micros),
    };
    Ok(Order { shipments: sent.into_iter().map(shipment).collect(), payment, ..row.read()? })
}
