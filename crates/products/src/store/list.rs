//! The list of products. Keyset pages; the filters are subselects, so that a page reads its products and no more.
use super::{
    products::{Row, Types, columns, complete},
    sql::Sql,
};
use crate::domain::product::{Product, Status};
use database::{Conn, Result};
use diesel::{prelude::*, sql_types::BigInt};
use kernel::{BadCursor, Currency, Cursor, Minor, Page};
use products_api::ProductId;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Which products, and in what order. As a whole it binds a cursor.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Filter {
    /// `None`: whatever their status.
    pub status: Option<&'static str>,
    /// Folded; each begins some word of the product.
    pub words: Vec<String>,
    /// A category's slug; those directly below it are included.
    pub category: Option<String>,
    /// One of the product's prices lies in the range.
    pub price: Option<PriceRange>,
    pub sort: Sort,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct PriceRange {
    pub currency: Currency,
    pub min: Minor,
    pub max: Minor,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) enum Sort {
    Newest,
    Title,
    /// What most pieces were bought of first.
    BestSelling,
    /// By the lowest price; products without one in the currency are left out.
    Price(Currency),
    PriceDown(Currency),
}

/// Where a page stopped: the key of its sort, then the id.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Key {
    Newest(Uuid),
    Title(String, Uuid),
    Number(i64, Uuid),
}

/// Where a list goes on.
#[derive(Clone, Debug)]
pub(crate) struct After(Key);

impl Filter {
    pub(crate) fn after(&self, cursor: &str) -> Result<After, BadCursor> {
        let key: Key = Cursor::read(cursor, &("products", self))?;
        let fits = match self.sort {
            Sort::Newest => matches!(key, Key::Newest(_)),
            Sort::Title => matches!(key, Key::Title(..)),
            Sort::BestSelling | Sort::Price(_) | Sort::PriceDown(_) => matches!(key, Key::Number(..)),
        };
        if fits { Ok(After(key)) } else { Err(BadCursor) }
    }
    fn cursor(&self, last: &Product) -> Cursor {
        let id = *last.id.uuid();
        let key = match self.sort {
            Sort::Newest => Key::Newest(id),
            Sort::Title => Key::Title(crate::domain::text::sort_key(&last.title), id),
            Sort::BestSelling => Key::Number(last.sold, id),
            Sort::Price(currency) | Sort::PriceDown(currency) => {
                Key::Number(last.lowest().get(&currency).map_or(0, |amount| *amount.get()), id)
            }
        };
        Cursor::new(&("products", self), &key)
    }

    /// `FROM .. WHERE ..`, which the page and its count share.
    fn conditions<ST>(&self, sql: Sql<ST>) -> Sql<ST> {
        let sql = match self.sort {
            Sort::Newest | Sort::Title | Sort::BestSelling => sql.text(" FROM products p WHERE 1 = 1"),
            // CROSS: SQLite keeps the order of tables then, and reads the prices in theirs
            Sort::Price(currency) | Sort::PriceDown(currency) => sql
                .text(" FROM product_prices l CROSS JOIN products p WHERE p.id = l.product_id AND l.currency = ")
                .str(currency.code()),
        };
        let sql = match self.status {
            // as text: it selects an index, and a plan made for any status could not know
            Some("active") => sql.text(" AND p.status = 'active'"),
            Some(status) => sql.text(" AND p.status = ").str(status),
            None => sql,
        };
        let sql = self.words.iter().fold(sql, |sql, word| {
            sql.text(" AND p.id IN (SELECT w.product_id FROM words w WHERE w.word >= ")
                .str(word)
                .text(" AND w.word < ")
                .str(format!("{word}\u{10FFFF}"))
                .text(")")
        });
        let sql = match &self.category {
            Some(slug) => sql
                .text(
                    " AND p.id IN (SELECT x.product_id FROM product_categories x JOIN categories k \
                     ON k.id = x.category_id LEFT JOIN categories above ON above.id = k.parent_id WHERE k.slug = ",
                )
                .str(slug)
                .text(" OR above.slug = ")
                .str(slug)
                .text(")"),
            None => sql,
        };
        match self.price {
            Some(PriceRange { currency, min, max }) => sql
                .text(" AND EXISTS (SELECT 1 FROM prices r WHERE r.product_id = p.id AND r.currency = ")
                .str(currency.code())
                .text(" AND r.amount >= ")
                .int(*min.get())
                .text(" AND r.amount <= ")
                .int(*max.get())
                .text(")"),
            None => sql,
        }
    }

    fn onward<ST>(&self, sql: Sql<ST>, after: Option<After>) -> Sql<ST> {
        let sql = match (after.map(|After(key)| key), self.sort) {
            (None, _) => sql,
            (Some(Key::Newest(id)), _) => sql.text(" AND p.id < ").id(ProductId::from(id)),
            (Some(Key::Title(title, id)), _) => {
                sql.text(" AND (p.title_key, p.id) > (").str(title).text(", ").id(ProductId::from(id)).text(")")
            }
            (Some(Key::Number(sold, id)), Sort::BestSelling) => {
                sql.text(" AND (p.sold, p.id) < (").int(sold).text(", ").id(ProductId::from(id)).text(")")
            }
            (Some(Key::Number(amount, id)), Sort::PriceDown(_)) => {
                sql.text(" AND (l.amount, l.product_id) < (").int(amount).text(", ").id(ProductId::from(id)).text(")")
            }
            (Some(Key::Number(amount, id)), _) => {
                sql.text(" AND (l.amount, l.product_id) > (").int(amount).text(", ").id(ProductId::from(id)).text(")")
            }
        };
        sql.text(match self.sort {
            Sort::Newest => " ORDER BY p.id DESC",
            Sort::Title => " ORDER BY p.title_key, p.id",
            Sort::BestSelling => " ORDER BY p.sold DESC, p.id DESC",
            Sort::Price(_) => " ORDER BY l.amount, l.product_id",
            Sort::PriceDown(_) => " ORDER BY l.amount DESC, l.product_id DESC",
        })
    }
}

/// The limit that clients hardly ever change: only its statements are kept prepared.
const USUAL_LIMIT: usize = 20;

/// Two statements, and one that counts where that was asked.
pub(crate) fn page(
    conn: &mut Conn,
    filter: &Filter,
    after: Option<After>,
    limit: usize,
    count: bool,
) -> Result<Page<Product>> {
    let sql: Sql<Types> = filter.conditions(Sql::new(concat!("SELECT ", columns!())));
    let sql = filter.onward(sql, after).limit(limit + 1);
    let sql = if limit == USUAL_LIMIT && filter.words.len() < 3 { sql } else { sql.not_kept() };
    let mut rows: Vec<Row> = sql.load(conn)?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let items = complete(conn, rows)?;
    let next = items.last().filter(|_| more).map(|last| filter.cursor(last));
    let count = if count { Some(counted(conn, filter)?) } else { None };
    Ok(Page { items, next, count })
}

/// One too many says that there are more than are counted.
fn counted(conn: &mut Conn, filter: &Filter) -> Result<u64> {
    let sql = filter.conditions(Sql::<BigInt>::new("SELECT COUNT(*) FROM (SELECT 1 AS one"));
    let cap = usize::try_from(Page::<Product>::COUNT_CAP).unwrap_or(usize::MAX);
    let count: i64 = sql.limit(cap + 1).text(") counted").get_result(conn)?;
    Ok(count.unsigned_abs())
}

/// The next products after `after` in the order of ids, for the export.
pub(crate) fn following(conn: &mut Conn, after: Option<ProductId>, limit: usize) -> Result<Vec<Product>> {
    let sql: Sql<Types> = Sql::new(concat!("SELECT ", columns!(), " FROM products p"));
    let sql = match after {
        Some(id) => sql.text(" WHERE p.id > ").id(id),
        None => sql,
    };
    let rows = sql.text(" ORDER BY p.id").limit(limit).load(conn)?;
    complete(conn, rows)
}

impl From<Status> for &'static str {
    fn from(status: Status) -> Self {
        status.as_str()
    }
}
