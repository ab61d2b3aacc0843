//! What was bought, as orders told, and what follows from it: how much of a product was sold, and whose reviews are those
//! of a buyer.
//!
//! Locks are taken in one order: a customer, reviews in the order of their products, products in the order of their ids.
use super::{
    SOLD,
    schema::{heard_orders, products, purchases, reviews, variants},
};
use database::{Conn, Result, chunks};
use diesel::{dsl::exists, prelude::*};
use kernel::Time;
use orders_api::{OrderId, OrderedLine};
use products_api::{ProductId, ReviewId, VariantId};
use std::collections::{BTreeMap, HashMap};
use users_api::UserId;

/// Marks an order as heard of. `false` when it was before.
pub(crate) fn hear(tx: &mut Conn, order: OrderId, at: Time) -> Result<bool> {
    let row = (heard_orders::order_id.eq(order), heard_orders::heard_at.eq(at));
    let new = diesel::insert_into(heard_orders::table).values(row).on_conflict(heard_orders::order_id).do_nothing();
    Ok(new.execute(tx)? == 1)
}

/// How many pieces of each product these lines are.
pub(crate) fn pieces(conn: &mut Conn, lines: &[OrderedLine]) -> Result<BTreeMap<ProductId, i64>> {
    let ids: Vec<VariantId> = lines.iter().map(|line| line.variant_id).collect();
    let mut products = HashMap::new();
    for ids in chunks(&ids, 1) {
        let of = variants::table.filter(variants::id.eq_any(ids)).select((variants::id, variants::product_id));
        products.extend(of.load::<(VariantId, ProductId)>(conn)?);
    }
    let mut pieces = BTreeMap::new();
    for line in lines {
        if let Some(product) = products.get(&line.variant_id) {
            *pieces.entry(*product).or_default() += line.quantity;
        }
    }
    Ok(pieces)
}

#[derive(Insertable)]
#[diesel(table_name = purchases, treat_none_as_default_value = false)]
struct Row {
    order_id: OrderId,
    product_id: ProductId,
    user_id: Option<UserId>,
    quantity: i64,
}

pub(crate) fn insert(
    tx: &mut Conn,
    order: OrderId,
    user: Option<UserId>,
    pieces: &BTreeMap<ProductId, i64>,
) -> Result<()> {
    let row = |(product, quantity): (&ProductId, &i64)| Row {
        order_id: order,
        product_id: *product,
        user_id: user,
        quantity: *quantity,
    };
    let rows: Vec<_> = pieces.iter().map(row).collect();
    for rows in chunks(&rows, 4) {
        diesel::insert_into(purchases::table).values(rows).execute(tx)?;
    }
    Ok(())
}

/// What an order bought, and for whom.
pub(crate) fn of_order(conn: &mut Conn, order: OrderId) -> Result<(Option<UserId>, BTreeMap<ProductId, i64>)> {
    let rows = purchases::table.filter(purchases::order_id.eq(order));
    let columns = (purchases::user_id, purchases::product_id, purchases::quantity);
    let rows: Vec<(Option<UserId>, ProductId, i64)> = rows.select(columns).load(conn)?;
    let user = rows.first().and_then(|(user, ..)| *user);
    Ok((user, rows.into_iter().map(|(_, product, quantity)| (product, quantity)).collect()))
}

pub(crate) fn delete(tx: &mut Conn, order: OrderId) -> Result<()> {
    diesel::delete(purchases::table.filter(purchases::order_id.eq(order))).execute(tx)?;
    Ok(())
}

/// Adds so many pieces, times `sign`, to what was sold of each product.
pub(crate) fn sell(tx: &mut Conn, pieces: &BTreeMap<ProductId, i64>, sign: i64) -> Result<()> {
    tx.touches(&SOLD);
    for (product, quantity) in pieces {
        let product = diesel::update(products::table.find(product));
        product.set(products::sold.eq(products::sold + quantity * sign)).execute(tx)?;
    }
    Ok(())
}

/// A user bought this product, as far as is known here.
pub(crate) fn bought(conn: &mut Conn, user: UserId, product: ProductId) -> Result<bool> {
    let own = purchases::table.filter(purchases::user_id.eq(user)).filter(purchases::product_id.eq(product));
    Ok(diesel::select(exists(own)).get_result(conn)?)
}

/// A review that changed, its product, and its version now.
pub(crate) type Changed = (ReviewId, ProductId, i64);

/// The user's reviews of these products, brought to what is known of purchases; those that were not so before.
pub(crate) fn verify<'a>(
    tx: &mut Conn,
    user: UserId,
    products: impl Iterator<Item = &'a ProductId>,
    at: Time,
) -> Result<Vec<Changed>> {
    let mut changed = Vec::new();
    for product in products {
        let verified = bought(tx, user, *product)?;
        let own = reviews::table.filter(reviews::user_id.eq(user)).filter(reviews::product_id.eq(product));
        let set =
            (reviews::verified.eq(verified), reviews::version.eq(reviews::version + 1), reviews::updated_at.eq(at));
        let other = diesel::update(own).filter(reviews::verified.ne(verified)).set(set);
        let other = other.returning((reviews::id, reviews::product_id, reviews::version));
        changed.extend(other.get_results::<Changed>(tx)?);
    }
    Ok(changed)
}

/// Nobody's any more: the user's reviews, which it answers, and purchases.
pub(crate) fn forget(tx: &mut Conn, user: UserId, at: Time) -> Result<Vec<Changed>> {
    let set = (
        reviews::user_id.eq(None::<UserId>),
        reviews::author.eq(None::<String>),
        reviews::version.eq(reviews::version + 1),
        reviews::updated_at.eq(at),
    );
    let own = diesel::update(reviews::table.filter(reviews::user_id.eq(user))).set(set);
    let mut changed: Vec<Changed> =
        own.returning((reviews::id, reviews::product_id, reviews::version)).get_results(tx)?;
    changed.sort_unstable();
    diesel::update(purchases::table.filter(purchases::user_id.eq(user)))
        .set(purchases::user_id.eq(None::<UserId>))
        .execute(tx)?;
    Ok(changed)
}
