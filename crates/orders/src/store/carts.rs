//! Carts and their lines.
use super::{
    json, read,
    schema::{cart_lines, carts},
    token,
};
use crate::domain::cart::{Cart, CartId, CartLine, FullCart, Holder, LineId};
use database::{Conn, Error, Result, Violates, chunks};
use diesel::{
    dsl::{AsSelect, Select},
    prelude::*,
    upsert::excluded,
};
use kernel::{Address, Currency, Minor, Time};
use orders_api::OrderId;
use products_api::VariantId;
use serde_json::Value;
use users_api::UserId;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = carts, treat_none_as_default_value = false)]
struct Row {
    id: CartId,
    token_hash: Option<Vec<u8>>,
    user_id: Option<UserId>,
    currency: Currency,
    locale: String,
    prices_include_tax: bool,
    email: Option<String>,
    shipping_address: Option<Value>,
    billing_address: Option<Value>,
    shipping_option: Option<String>,
    order_id: Option<OrderId>,
    version: i64,
    created_at: Time,
    updated_at: Time,
}
impl Row {
    fn read(self) -> Result<Cart> {
        Ok(Cart {
            id: self.id,
            token: token(self.token_hash),
            user: self.user_id,
            currency: self.currency,
            locale: self.locale,
            prices_include_tax: self.prices_include_tax,
            email: self.email,
            shipping_address: self.shipping_address.map(read).transpose()?,
            billing_address: self.billing_address.map(read).transpose()?,
            shipping_option: self.shipping_option,
            order: self.order_id,
            version: self.version,
            created_at: self.created_at,
        })
    }
}
impl From<&Cart> for Row {
    fn from(cart: &Cart) -> Self {
        Self {
            id: cart.id,
            token_hash: cart.token.map(|key| key.0.to_vec()),
            user_id: cart.user,
            currency: cart.currency,
            locale: cart.locale.clone(),
            prices_include_tax: cart.prices_include_tax,
            email: cart.email.clone(),
            shipping_address: cart.shipping_address.as_ref().map(json),
            billing_address: cart.billing_address.as_ref().map(json),
            shipping_option: cart.shipping_option.clone(),
            order_id: cart.order,
            version: cart.version,
            created_at: cart.created_at,
            updated_at: cart.created_at,
        }
    }
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = cart_lines, treat_none_as_default_value = false)]
struct LineRow {
    id: LineId,
    cart_id: CartId,
    variant_id: VariantId,
    title: String,
    sku: Option<String>,
    quantity: i64,
    unit_price: Minor,
}
impl From<LineRow> for CartLine {
    fn from(LineRow { id, variant_id: variant, title, sku, quantity, unit_price, .. }: LineRow) -> Self {
        Self { id, variant, title, sku, quantity, unit_price }
    }
}
const LINE_COLUMNS: usize = 7;

fn line_rows(cart: CartId, lines: &[CartLine]) -> Vec<LineRow> {
    let row = |line: &CartLine| LineRow {
        id: line.id,
        cart_id: cart,
        variant_id: line.variant,
        title: line.title.clone(),
        sku: line.sku.clone(),
        quantity: line.quantity,
        unit_price: line.unit_price,
    };
    lines.iter().map(row).collect()
}

/// The rows that `holder` may touch. Staff's rights do not reach into carts.
type Held<'a> = diesel::helper_types::IntoBoxed<'a, Select<carts::table, AsSelect<Row, database::Db>>, database::Db>;
fn held<'a>(id: CartId, holder: Holder) -> Held<'a> {
    let mine = carts::table.select(Row::as_select()).into_boxed().filter(carts::id.eq(id));
    match (holder.token, holder.user) {
        (Some(key), Some(user)) => mine.filter(carts::token_hash.eq(key.0.to_vec()).or(carts::user_id.eq(user))),
        (Some(key), None) => mine.filter(carts::token_hash.eq(key.0.to_vec())),
        (None, Some(user)) => mine.filter(carts::user_id.eq(user)),
        (None, None) => mine.filter(carts::order_id.is_null().and(carts::order_id.is_not_null())),
    }
}

pub(crate) fn insert(tx: &mut Conn, full: &FullCart) -> Result<()> {
    diesel::insert_into(carts::table).values(Row::from(&full.cart)).execute(tx)?;
    for rows in chunks(&line_rows(full.cart.id, &full.lines), LINE_COLUMNS) {
        diesel::insert_into(cart_lines::table).values(rows).execute(tx)?;
    }
    Ok(())
}

pub(crate) fn find(conn: &mut Conn, id: CartId, holder: Holder) -> Result<Option<Cart>> {
    held(id, holder).first(conn).optional()?.map(Row::read).transpose()
}

pub(crate) fn lines(conn: &mut Conn, cart: CartId) -> Result<Vec<CartLine>> {
    let rows =
        cart_lines::table.filter(cart_lines::cart_id.eq(cart)).order(cart_lines::id).select(LineRow::as_select());
    Ok(rows.load(conn)?.into_iter().map(CartLine::from).collect())
}

pub(crate) fn full(conn: &mut Conn, id: CartId, holder: Holder) -> Result<Option<FullCart>> {
    let Some(cart) = find(conn, id, holder)? else { return Ok(None) };
    Ok(Some(FullCart { lines: lines(conn, id)?, cart }))
}

/// What of a cart is changed. `Some(None)` empties.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    pub email: Option<Option<String>>,
    pub shipping_address: Option<Option<Address>>,
    pub billing_address: Option<Option<Address>>,
    pub shipping_option: Option<Option<String>>,
}

#[derive(AsChangeset)]
#[diesel(table_name = carts)]
struct Changeset {
    email: Option<Option<String>>,
    shipping_address: Option<Option<Value>>,
    billing_address: Option<Option<Value>>,
    shipping_option: Option<Option<String>>,
}

macro_rules! editable {
    ($id:expr, $holder:expr, $expected:expr) => {{
        let mut cart = diesel::update(carts::table.find($id)).filter(carts::order_id.is_null()).into_boxed();
        cart = match ($holder.token, $holder.user) {
            (Some(key), Some(user)) => cart.filter(carts::token_hash.eq(key.0.to_vec()).or(carts::user_id.eq(user))),
            (Some(key), None) => cart.filter(carts::token_hash.eq(key.0.to_vec())),
            (None, Some(user)) => cart.filter(carts::user_id.eq(user)),
            (None, None) => cart.filter(carts::order_id.is_not_null()),
        };
        match $expected {
            Some(version) => cart.filter(carts::version.eq(version)),
            None => cart,
        }
    }};
}

/// Takes an open cart for a change: a new version. `None` when it is not there, not the holder's, locked, or in another version.
pub(crate) fn touch(
    tx: &mut Conn,
    id: CartId,
    holder: Holder,
    expected: Option<i64>,
    changes: Changes,
    at: Time,
) -> Result<Option<Cart>> {
    let changes = Changeset {
        email: changes.email,
        shipping_address: changes.shipping_address.map(|address| address.as_ref().map(json)),
        billing_address: changes.billing_address.map(|address| address.as_ref().map(json)),
        shipping_option: changes.shipping_option,
    };
    let cart =
        editable!(id, holder, expected).set((changes, carts::version.eq(carts::version + 1), carts::updated_at.eq(at)));
    cart.returning(Row::as_returning()).get_result(tx).optional()?.map(Row::read).transpose()
}

/// Locks an open cart for an attempt: no edit passes until it is open again. `None` as in [`touch`].
pub(crate) fn lock(tx: &mut Conn, id: CartId, holder: Holder, attempt: OrderId, at: Time) -> Result<Option<Cart>> {
    let cart = editable!(id, holder, None::<i64>).set((carts::order_id.eq(attempt), carts::updated_at.eq(at)));
    cart.returning(Row::as_returning()).get_result(tx).optional()?.map(Row::read).transpose()
}

/// Opens the cart of an attempt that failed.
pub(crate) fn open(tx: &mut Conn, attempt: OrderId, at: Time) -> Result<()> {
    diesel::update(carts::table.filter(carts::order_id.eq(attempt)))
        .set((carts::order_id.eq(None::<OrderId>), carts::version.eq(carts::version + 1), carts::updated_at.eq(at)))
        .execute(tx)?;
    Ok(())
}

/// Adds pieces; a variant that is there already gets more of them, at today's price.
pub(crate) fn add<E: From<Error>>(tx: &mut Conn, cart: CartId, added: &[CartLine], too_many: E) -> Result<(), E> {
    diesel::insert_into(cart_lines::table)
        .values(line_rows(cart, added))
        .on_conflict((cart_lines::cart_id, cart_lines::variant_id))
        .do_update()
        .set((
            cart_lines::quantity.eq(cart_lines::quantity + excluded(cart_lines::quantity)),
            cart_lines::unit_price.eq(excluded(cart_lines::unit_price)),
            cart_lines::title.eq(excluded(cart_lines::title)),
            cart_lines::sku.eq(excluded(cart_lines::sku)),
        ))
        .execute(tx)
        .violates("cart_lines_quantity", too_many)?;
    Ok(())
}

pub(crate) fn set_quantity(tx: &mut Conn, cart: CartId, line: LineId, quantity: i64) -> Result<bool> {
    let line = diesel::update(cart_lines::table.find(line)).filter(cart_lines::cart_id.eq(cart));
    Ok(line.set(cart_lines::quantity.eq(quantity)).execute(tx)? == 1)
}

pub(crate) fn remove(tx: &mut Conn, cart: CartId, line: LineId) -> Result<bool> {
    Ok(diesel::delete(cart_lines::table.find(line).filter(cart_lines::cart_id.eq(cart))).execute(tx)? == 1)
}

/// Prices as they are now; what is no longer sold leaves the cart.
pub(crate) fn reprice(tx: &mut Conn, cart: CartId, moved: &[CartLine], gone: Vec<VariantId>) -> Result<()> {
    for rows in chunks(&line_rows(cart, moved), LINE_COLUMNS) {
        diesel::insert_into(cart_lines::table)
            .values(rows)
            .on_conflict((cart_lines::cart_id, cart_lines::variant_id))
            .do_update()
            .set(cart_lines::unit_price.eq(excluded(cart_lines::unit_price)))
            .execute(tx)?;
    }
    if !gone.is_empty() {
        let gone = cart_lines::table.filter(cart_lines::cart_id.eq(cart)).filter(cart_lines::variant_id.eq_any(gone));
        diesel::delete(gone).execute(tx)?;
    }
    Ok(())
}

/// Forgets carts that were last touched before `before` and never bought, a few at a time.
pub(crate) fn purge(tx: &mut Conn, before: Time) -> Result<usize> {
    let old = carts::table.filter(carts::updated_at.lt(before)).filter(carts::order_id.is_null());
    let old: Vec<CartId> = old.select(carts::id).order(carts::id).limit(500).load(tx)?;
    Ok(diesel::delete(carts::table.filter(carts::id.eq_any(old)).filter(carts::order_id.is_null())).execute(tx)?)
}
