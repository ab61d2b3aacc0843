//! Products as they are read: one statement for products, one for all that hangs on them.
use super::sql::Sql;
use crate::domain::{
    product::{Choice, Image, Named, Product, Status, Variant},
    review::Rating,
};
use database::{Conn, Error, Json, Result};
use diesel::{
    prelude::*,
    result::Error as Diesel,
    sql_types::{BigInt, Bool, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid},
};
use kernel::{Currency, Minor, Money, Time};
use products_api::{ProductId, VariantId};
use std::collections::HashMap;

/// The columns of [`Row`], of a products table called `p`.
macro_rules! columns {
    () => {
        "p.id, p.slug, p.title, p.description, p.status, p.options, p.tags, p.images, p.version, p.created_at, \
         p.updated_at, p.review_count, p.mark_sum, p.sold, (SELECT string_agg(c.slug, ' ' ORDER BY c.slug) FROM product_categories pc \
         JOIN categories c ON c.id = pc.category_id WHERE pc.product_id = p.id)"
    };
}
pub(super) use columns;

pub(super) type Types = (
    SqlUuid,
    Text,
    Text,
    Text,
    Text,
    Jsonb,
    Jsonb,
    Jsonb,
    BigInt,
    Timestamptz,
    Timestamptz,
    BigInt,
    BigInt,
    BigInt,
    Nullable<Text>,
);

#[derive(Queryable)]
pub(super) struct Row {
    pub id: ProductId,
    slug: String,
    title: String,
    description: String,
    status: String,
    options: Json<Vec<Choice>>,
    tags: Json<Vec<String>>,
    images: Json<Vec<Image>>,
    version: i64,
    created_at: Time,
    updated_at: Time,
    review_count: i64,
    mark_sum: i64,
    sold: i64,
    categories: Option<String>,
}

impl Row {
    pub(super) fn product(self, variants: Vec<Variant>) -> Result<Product> {
        let status = self.status.parse();
        Ok(Product {
            id: self.id,
            slug: self.slug,
            title: self.title,
            description: self.description,
            status: status.map_err(|why: &str| Error::Query(Diesel::DeserializationError(why.into())))?,
            options: self.options.0,
            categories: self.categories.unwrap_or_default().split_whitespace().map(str::to_owned).collect(),
            tags: self.tags.0,
            images: self.images.0,
            variants,
            rating: Rating { count: self.review_count, sum: self.mark_sum },
            sold: self.sold,
            version: self.version,
            created_at: self.created_at,
            updated_at: self.updated_at,
        })
    }
}

/// A product by its id or slug.
pub(crate) fn one(conn: &mut Conn, named: &Named) -> Result<Option<Product>> {
    read(conn, named, "")
}

/// The same, and nobody else changes it until the transaction ends.
pub(crate) fn locked(tx: &mut Conn, named: &Named) -> Result<Option<Product>> {
    read(tx, named, " FOR UPDATE OF p")
}

fn read(conn: &mut Conn, named: &Named, lock: &'static str) -> Result<Option<Product>> {
    let found: Sql<Types> = match named {
        Named::Id(id) => Sql::new(concat!("SELECT ", columns!(), " FROM products p WHERE p.id = ")).id(*id),
        Named::Slug(slug) => Sql::new(concat!("SELECT ", columns!(), " FROM products p WHERE p.slug = ")).str(slug),
    };
    let Some(row) = found.lock(lock).get_result::<Row>(conn).optional()? else { return Ok(None) };
    let variants = variants(conn, &[row.id])?.remove(&row.id);
    row.product(variants.unwrap_or_default()).map(Some)
}

/// The id of a product that is there, and shown to everybody unless `all` are.
pub(crate) fn seen(conn: &mut Conn, named: &Named, all: bool) -> Result<Option<ProductId>> {
    use super::schema::products;
    let found = products::table.select((products::id, products::status)).into_boxed();
    let found = match named {
        Named::Id(id) => found.filter(products::id.eq(*id)),
        Named::Slug(slug) => found.filter(products::slug.eq(slug)),
    };
    let found: Option<(ProductId, String)> = found.first(conn).optional()?;
    Ok(found.filter(|(_, status)| all || status == Status::Active.as_str()).map(|(id, _)| id))
}

/// The products of these ids, in their order.
pub(super) fn complete(conn: &mut Conn, rows: Vec<Row>) -> Result<Vec<Product>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    let mut variants = variants(conn, &ids)?;
    rows.into_iter()
        .map(|row| {
            let own = variants.remove(&row.id).unwrap_or_default();
            row.product(own)
        })
        .collect()
}

/// Which product a variant is of.
pub(crate) fn of_variant(conn: &mut Conn, variant: VariantId) -> Result<Option<ProductId>> {
    use super::schema::variants;
    Ok(variants::table.find(variant).select(variants::product_id).first(conn).optional()?)
}

type VariantTypes = (SqlUuid, SqlUuid, Nullable<Text>, Jsonb, Bool, BigInt, BigInt, Nullable<Text>, Nullable<BigInt>);

#[derive(Queryable)]
struct VariantRow {
    product: ProductId,
    id: VariantId,
    sku: Option<String>,
    values: Json<Vec<String>>,
    track_stock: bool,
    on_hand: i64,
    reserved: i64,
    currency: Option<Currency>,
    amount: Option<Minor>,
}

/// The variants of these products, each with its prices and stock, in their order.
fn variants(conn: &mut Conn, products: &[ProductId]) -> Result<HashMap<ProductId, Vec<Variant>>> {
    let rows: Vec<VariantRow> = Sql::<VariantTypes>::new(
        "SELECT v.product_id, v.id, v.sku, v.option_values, v.track_stock, s.on_hand, s.reserved, r.currency, r.amount \
         FROM variants v JOIN stock s ON s.variant_id = v.id LEFT JOIN prices r ON r.variant_id = v.id \
         WHERE v.product_id",
    )
    .among(products.iter().copied())
    .text(" ORDER BY v.product_id, v.position, v.id, r.currency")
    .load(conn)?;
    let mut of: HashMap<ProductId, Vec<Variant>> = HashMap::new();
    for VariantRow { product, id, sku, values, track_stock, on_hand, reserved, currency, amount } in rows {
        let price = currency.zip(amount).map(|(currency, amount)| Money::new(amount, currency));
        let all = of.entry(product).or_default();
        match all.last_mut().filter(|last| last.id == id) {
            Some(same) => same.prices.extend(price),
            None => {
                let prices = price.into_iter().collect();
                all.push(Variant { id, sku, values: values.0, prices, track_stock, on_hand, reserved });
            }
        }
    }
    Ok(of)
}

type QuoteTypes = (SqlUuid, SqlUuid, Text, Text, Jsonb, Nullable<Text>, Nullable<Text>, Nullable<BigInt>);

#[derive(Queryable)]
struct QuoteRow {
    variant: VariantId,
    product: ProductId,
    title: String,
    status: String,
    values: Json<Vec<String>>,
    sku: Option<String>,
    currency: Option<Currency>,
    amount: Option<Minor>,
}

/// What these variants are and cost; what is not known is left out.
pub(crate) fn quotes(conn: &mut Conn, variants: &[VariantId]) -> Result<Vec<products_api::Quote>> {
    let rows: Vec<QuoteRow> = Sql::<QuoteTypes>::new(
        "SELECT v.id, p.id, p.title, p.status, v.option_values, v.sku, r.currency, r.amount FROM variants v \
         JOIN products p ON p.id = v.product_id LEFT JOIN prices r ON r.variant_id = v.id WHERE v.id",
    )
    .among(variants.iter().copied())
    .text(" ORDER BY v.id, r.currency")
    .load(conn)?;
    let mut quotes: Vec<products_api::Quote> = Vec::new();
    for QuoteRow { variant, product, title, status, values, sku, currency, amount } in rows {
        let price = currency.zip(amount).map(|(currency, amount)| Money::new(amount, currency));
        match quotes.last_mut().filter(|last| last.variant == variant) {
            Some(same) => same.prices.extend(price),
            None => {
                let title = crate::domain::stock::title(&title, &values.0);
                let (sold, prices) = (status == "active", price.into_iter().collect());
                quotes.push(products_api::Quote { variant, product, title, sku, prices, sold });
            }
        }
    }
    Ok(quotes)
}

/// Products by their slugs, for the import: locked, so that what it compares is what it changes.
pub(crate) fn by_slugs(tx: &mut Conn, slugs: &[String], lock: bool) -> Result<Vec<Product>> {
    use super::schema::products;
    let found = products::table.filter(products::slug.eq_any(slugs)).order(products::id).select(products::id);
    let ids: Vec<ProductId> = if lock { found.for_update().load(tx)? } else { found.load(tx)? };
    by_ids(tx, &ids)
}

/// Products by their ids, in the order of ids.
pub(crate) fn by_ids(conn: &mut Conn, ids: &[ProductId]) -> Result<Vec<Product>> {
    let rows = Sql::<Types>::new(concat!("SELECT ", columns!(), " FROM products p WHERE p.id"))
        .among(ids.iter().copied())
        .text(" ORDER BY p.id")
        .load(conn)?;
    complete(conn, rows)
}
