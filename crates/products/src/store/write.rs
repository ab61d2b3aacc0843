//! Products as they are written, whatever hangs on them included: many of them in a few statements.
use super::{
    CATALOGUE,
    schema::{prices, product_categories, product_prices, products, variants, words},
    stock, to_json,
};
use crate::domain::{
    product::{Product, Variant, options_key},
    stock::Kind,
    text,
};
use database::{Conn, Error, Result, Violates, chunks};
use diesel::prelude::*;
use kernel::{Currency, Minor, Time};
use products_api::{CategoryId, ProductId, VariantId};
use serde_json::Value;
use std::collections::BTreeSet;

#[derive(Insertable)]
#[diesel(table_name = products, treat_none_as_default_value = false)]
struct Row<'a> {
    id: ProductId,
    slug: &'a str,
    title: &'a str,
    title_key: String,
    description: &'a str,
    status: &'static str,
    options: Value,
    tags: Value,
    images: Value,
    version: i64,
    created_at: Time,
    updated_at: Time,
}

impl<'a> Row<'a> {
    fn of(product: &'a Product) -> Self {
        Self {
            id: product.id,
            slug: &product.slug,
            title: &product.title,
            title_key: text::sort_key(&product.title),
            description: &product.description,
            status: product.status.as_str(),
            options: to_json(&product.options),
            tags: to_json(&product.tags),
            images: to_json(&product.images),
            version: product.version,
            created_at: product.created_at,
            updated_at: product.updated_at,
        }
    }
}

#[derive(Insertable)]
#[diesel(table_name = variants, treat_none_as_default_value = false)]
struct VariantRow<'a> {
    id: VariantId,
    product_id: ProductId,
    position: i64,
    sku: Option<&'a str>,
    options_key: String,
    option_values: Value,
    track_stock: bool,
}

#[derive(Insertable)]
#[diesel(table_name = prices, treat_none_as_default_value = false)]
struct PriceRow {
    variant_id: VariantId,
    currency: Currency,
    amount: Minor,
    product_id: ProductId,
}

#[derive(Insertable)]
#[diesel(table_name = product_prices, treat_none_as_default_value = false)]
struct LowestRow {
    product_id: ProductId,
    currency: Currency,
    amount: Minor,
}

#[derive(Insertable)]
#[diesel(table_name = words, treat_none_as_default_value = false)]
struct WordRow {
    product_id: ProductId,
    word: String,
}

/// `false` when another product has the slug; nothing is written then.
pub(crate) fn insert_row(tx: &mut Conn, product: &Product) -> Result<bool> {
    let new = diesel::insert_into(products::table).values(Row::of(product)).on_conflict(products::slug).do_nothing();
    shown_anew(tx, product.id);
    Ok(new.execute(tx)? == 1)
}

/// A product is shown differently from now on, and may stand elsewhere in lists, or in others.
fn shown_anew(tx: &mut Conn, product: ProductId) {
    tx.touches(product.uuid());
    tx.touches(&CATALOGUE);
}

/// Rows of many products, none of which may exist: `taken` when one does.
pub(crate) fn insert_rows<E: From<Error>>(tx: &mut Conn, all: &[Product], taken: impl Fn() -> E) -> Result<(), E> {
    all.iter().for_each(|product| shown_anew(tx, product.id));
    let rows: Vec<_> = all.iter().map(Row::of).collect();
    for rows in chunks(&rows, 12) {
        diesel::insert_into(products::table).values(rows).execute(tx).violates("products_slug", taken())?;
    }
    Ok(())
}

/// The row of a product in its next version.
pub(crate) fn update_row<E: From<Error>>(tx: &mut Conn, product: &Product, taken: E) -> Result<(), E> {
    let row = Row::of(product);
    shown_anew(tx, product.id);
    diesel::update(products::table.find(product.id))
        .set((
            products::slug.eq(row.slug),
            products::title.eq(row.title),
            products::title_key.eq(row.title_key),
            products::description.eq(row.description),
            products::status.eq(row.status),
            products::options.eq(row.options),
            products::tags.eq(row.tags),
            products::images.eq(row.images),
            products::version.eq(row.version),
            products::updated_at.eq(row.updated_at),
        ))
        .execute(tx)
        .violates("products_slug", taken)?;
    Ok(())
}

/// A variant to be written: its product, and its place there.
pub(crate) struct Placed<'a> {
    pub product: ProductId,
    pub position: usize,
    pub variant: &'a Variant,
}

/// All variants of new products.
pub(crate) fn placed(all: &[Product]) -> Vec<Placed<'_>> {
    let of = |product: &ProductId, variants| {
        let product = *product;
        <[Variant]>::iter(variants).enumerate().map(move |(position, variant)| Placed { product, position, variant })
    };
    all.iter().flat_map(|product| of(&product.id, &product.variants)).collect()
}

/// New variants with their prices and stock, the ledger of which begins with `kind`; `taken` when their product has one with the same values.
pub(crate) fn insert_variants<E: From<Error>>(
    tx: &mut Conn,
    new: &[Placed<'_>],
    (kind, at): (Kind, Time),
    taken: impl Fn() -> E,
) -> Result<(), E> {
    new.iter().for_each(|placed| shown_anew(tx, placed.product));
    let row = |Placed { product, position, variant }: &Placed<'_>| (*product, *position as i64, variant.id);
    let rows: Vec<_> = new
        .iter()
        .map(|placed| {
            let (product_id, position, id) = row(placed);
            let Variant { sku, values, track_stock, .. } = placed.variant;
            let (options_key, option_values) = (options_key(values), to_json(values));
            let (sku, track_stock) = (sku.as_deref(), *track_stock);
            VariantRow { id, product_id, position, sku, options_key, option_values, track_stock }
        })
        .collect();
    for rows in chunks(&rows, 7) {
        diesel::insert_into(variants::table).values(rows).execute(tx).violates("variants_options", taken())?;
    }
    let stocked: Vec<_> = new.iter().map(|placed| (placed.variant.id, placed.variant.on_hand)).collect();
    stock::open(tx, &stocked, kind, at)?;
    insert_prices(tx, new)?;
    Ok(())
}

fn insert_prices(tx: &mut Conn, of: &[Placed<'_>]) -> Result<()> {
    let rows: Vec<_> = of
        .iter()
        .flat_map(|Placed { product, variant, .. }| {
            variant.prices.iter().map(|price| PriceRow {
                variant_id: variant.id,
                currency: price.currency,
                amount: price.amount,
                product_id: *product,
            })
        })
        .collect();
    for rows in chunks(&rows, 4) {
        diesel::insert_into(prices::table).values(rows).execute(tx)?;
    }
    Ok(())
}

/// What of existing variants may change: SKU, tracking, prices.
pub(crate) fn update_variants(tx: &mut Conn, changed: &[Placed<'_>]) -> Result<()> {
    for Placed { variant, product, .. } in changed {
        shown_anew(tx, *product);
        diesel::update(variants::table.find(variant.id))
            .set((variants::sku.eq(variant.sku.as_deref()), variants::track_stock.eq(variant.track_stock)))
            .execute(tx)?;
    }
    let ids: Vec<VariantId> = changed.iter().map(|placed| placed.variant.id).collect();
    for ids in chunks(&ids, 1) {
        diesel::delete(prices::table.filter(prices::variant_id.eq_any(ids))).execute(tx)?;
    }
    insert_prices(tx, changed)
}

/// What a product is found and sorted by.
pub(crate) struct Index {
    pub product: ProductId,
    pub words: BTreeSet<String>,
    pub lowest: Vec<(Currency, Minor)>,
}

impl Index {
    pub(crate) fn of(product: &Product, category_names: &[String]) -> Self {
        let lowest = product.lowest().into_iter().collect();
        Self { product: product.id, words: product.words(category_names), lowest }
    }
}

pub(crate) fn insert_index(tx: &mut Conn, all: &[Index]) -> Result<()> {
    let found: Vec<_> = all
        .iter()
        .flat_map(|of| of.words.iter().map(|word| WordRow { product_id: of.product, word: word.clone() }))
        .collect();
    for rows in chunks(&found, 2) {
        diesel::insert_into(words::table).values(rows).execute(tx)?;
    }
    let lowest: Vec<_> = all
        .iter()
        .flat_map(|of| {
            let row = |&(currency, amount): &_| LowestRow { product_id: of.product, currency, amount };
            of.lowest.iter().map(row)
        })
        .collect();
    for rows in chunks(&lowest, 3) {
        diesel::insert_into(product_prices::table).values(rows).execute(tx)?;
    }
    Ok(())
}

/// In place of what was there.
pub(crate) fn replace_index(tx: &mut Conn, all: &[Index]) -> Result<()> {
    all.iter().for_each(|index| shown_anew(tx, index.product));
    let ids: Vec<ProductId> = all.iter().map(|of| of.product).collect();
    for ids in chunks(&ids, 1) {
        diesel::delete(words::table.filter(words::product_id.eq_any(ids))).execute(tx)?;
        diesel::delete(product_prices::table.filter(product_prices::product_id.eq_any(ids))).execute(tx)?;
    }
    insert_index(tx, all)
}

pub(crate) fn insert_categories(tx: &mut Conn, product: ProductId, categories: &[CategoryId]) -> Result<()> {
    shown_anew(tx, product);
    let rows: Vec<_> = categories
        .iter()
        .map(|category| (product_categories::product_id.eq(product), product_categories::category_id.eq(*category)))
        .collect();
    if !rows.is_empty() {
        diesel::insert_into(product_categories::table).values(rows).execute(tx)?;
    }
    Ok(())
}

pub(crate) fn replace_categories(tx: &mut Conn, product: ProductId, categories: &[CategoryId]) -> Result<()> {
    shown_anew(tx, product);
    diesel::delete(product_categories::table.filter(product_categories::product_id.eq(product))).execute(tx)?;
    insert_categories(tx, product, categories)
}
