//! The list of products. Keyset pages; the filters are subselects, so that a page reads its products and no more.
use super::{
    picks::{How, Pick},
    products::{Row, Types, columns, complete},
    sql::Sql,
};
use crate::domain::product::{Product, Status};
use database::{Conn, Result};
use diesel::{
    prelude::*,
    sql_types::{BigInt, Text, Uuid as SqlUuid},
};
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

    /// What of it is looked up elsewhere.
    fn picks(&self) -> impl Iterator<Item = Pick<'_>> {
        let words = self.words.iter().map(|word| Pick::Word(word));
        words.chain(self.category.iter().map(|slug| Pick::Category(slug)))
    }

    /// `FROM .. WHERE ..`, whatever is picked.
    fn of_all<ST>(&self, sql: Sql<ST>) -> Sql<ST> {
        let sql = match self.sort {
            Sort::Newest | Sort::Title | Sort::BestSelling => sql.text(" FROM products p WHERE 1 = 1"),
            // CROSS: SQLite keeps the order of tables then, and reads the prices in theirs
            Sort::Price(currency) | Sort::PriceDown(currency) => sql
                .text(" FROM product_prices l CROSS JOIN products p WHERE p.id = l.product_id AND l.currency = ")
                .str(currency.code()),
        };
        match self.status {
            // as text: it selects an index, and a plan made for any status could not know
            Some("active") => sql.text(" AND p.status = 'active'"),
            Some(status) => sql.text(" AND p.status = ").str(status),
            None => sql,
        }
    }

    /// `FROM .. WHERE ..`, which the page and its count share.
    fn conditions<ST>(&self, sql: Sql<ST>, how: &[How]) -> Sql<ST> {
        let sql = self.picks().zip(how).fold(self.of_all(sql), |sql, (pick, how)| pick.condition(*how, sql));
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

    /// The columns of its key, and how they run.
    fn order(&self) -> Order {
        let (columns, order_by, down) = match self.sort {
            Sort::Newest => ("p.id", " ORDER BY p.id DESC", true),
            Sort::Title => ("(p.title_key, p.id)", " ORDER BY p.title_key, p.id", false),
            Sort::BestSelling => ("(p.sold, p.id)", " ORDER BY p.sold DESC, p.id DESC", true),
            Sort::Price(_) => ("(l.amount, l.product_id)", " ORDER BY l.amount, l.product_id", false),
            Sort::PriceDown(_) => ("(l.amount, l.product_id)", " ORDER BY l.amount DESC, l.product_id DESC", true),
        };
        Order { columns, order_by, down }
    }

    fn onward<ST>(&self, sql: Sql<ST>, after: Option<&After>) -> Sql<ST> {
        let Order { columns, down, .. } = self.order();
        match after {
            Some(After(key)) => key.bind(sql.text(" AND ").text(columns).text(if down { " < " } else { " > " })),
            None => sql,
        }
    }

    /// As far as a key, and with it.
    fn until<ST>(&self, sql: Sql<ST>, last: Option<&Key>) -> Sql<ST> {
        let Order { columns, down, .. } = self.order();
        match last {
            Some(key) => key.bind(sql.text(" AND ").text(columns).text(if down { " >= " } else { " <= " })),
            None => sql,
        }
    }

    /// The key of the product that is the last of so many, whatever is picked; `None` where there are fewer.
    fn key_after(&self, conn: &mut Conn, after: Option<&After>, many: usize) -> Result<Option<Key>> {
        let order_by = self.order().order_by;
        macro_rules! last {
            ($types:ty, $columns:literal) => {{
                let sql: Sql<$types> = self.onward(self.of_all(Sql::new(concat!("SELECT ", $columns))), after);
                sql.text(order_by).limit(1).offset(many - 1).get_result(conn).optional()?
            }};
        }
        Ok(match self.sort {
            Sort::Newest => last!(SqlUuid, "p.id").map(Key::Newest),
            Sort::Title => last!((Text, SqlUuid), "p.title_key, p.id").map(|(title, id)| Key::Title(title, id)),
            Sort::BestSelling => last!((BigInt, SqlUuid), "p.sold, p.id").map(|(sold, id)| Key::Number(sold, id)),
            Sort::Price(_) | Sort::PriceDown(_) => {
                last!((BigInt, SqlUuid), "l.amount, l.product_id").map(|(amount, id)| Key::Number(amount, id))
            }
        })
    }
}

struct Order {
    columns: &'static str,
    order_by: &'static str,
    /// From the greatest key on.
    down: bool,
}

impl Key {
    fn bind<ST>(&self, sql: Sql<ST>) -> Sql<ST> {
        match self {
            Self::Newest(id) => sql.id(ProductId::from(*id)),
            Self::Title(title, id) => sql.text("(").str(title).text(", ").id(ProductId::from(*id)).text(")"),
            Self::Number(number, id) => sql.text("(").int(*number).text(", ").id(ProductId::from(*id)).text(")"),
        }
    }
}

/// The limit that clients hardly ever change: only its statements are kept prepared.
const USUAL_LIMIT: usize = 20;

/// So many products are walked through for a page of what most products are picked by, before it is looked up whole.
const WALKED: usize = 1000;

/// Two statements, and one that counts where that was asked. On SQLite one more where something is picked, to know how
/// many that is, and up to three where it is many.
pub(crate) fn page(
    conn: &mut Conn,
    filter: &Filter,
    after: Option<After>,
    limit: usize,
    count: bool,
) -> Result<Page<Product>> {
    let after = after.as_ref();
    let how = How::of(conn, &filter.picks().collect::<Vec<_>>())?;
    // Nothing is rare in it: as a rule a page is full after a few products. Where it is not (the word is of the oldest ones
    // only, say), all of them are listed after so many.
    let walks = !how.is_empty() && how.iter().all(|how| *how == How::Probed);
    let last = if walks { filter.key_after(conn, after, WALKED)? } else { None };
    let mut rows = some(conn, filter, (after, last.as_ref()), &how, limit + 1)?;
    if last.is_some() && rows.len() <= limit {
        rows = some(conn, filter, (after, None), &how.iter().map(|_| How::Listed).collect::<Vec<_>>(), limit + 1)?;
    }
    let more = rows.len() > limit;
    rows.truncate(limit);
    let items = complete(conn, rows)?;
    let next = items.last().filter(|_| more).map(|last| filter.cursor(last));
    let count = if count { Some(counted(conn, filter)?) } else { None };
    Ok(Page { items, next, count })
}

/// The first products after one key, as far as the other.
fn some(
    conn: &mut Conn,
    filter: &Filter,
    (after, last): (Option<&After>, Option<&Key>),
    how: &[How],
    limit: usize,
) -> Result<Vec<Row>> {
    let sql: Sql<Types> = filter.conditions(Sql::new(concat!("SELECT ", columns!())), how);
    let sql = filter.until(filter.onward(sql, after), last).text(filter.order().order_by).limit(limit);
    let sql = if limit == USUAL_LIMIT + 1 && how.len() < 3 { sql } else { sql.not_kept() };
    Ok(sql.load(conn)?)
}

/// One too many says that there are more than are counted.
fn counted(conn: &mut Conn, filter: &Filter) -> Result<u64> {
    let listed: Vec<How> = filter.picks().map(|_| How::Listed).collect();
    let sql = filter.conditions(Sql::<BigInt>::new("SELECT COUNT(*) FROM (SELECT 1 AS one"), &listed);
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
