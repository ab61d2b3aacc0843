//! Old orders, written straight into the tables: a shop that has sold for a year, without waiting for a year.
//!
//! Each is like an order that the shop has placed itself, bought with its cart, paid, captured, sent and completed: every
//! row that such an order leaves is there, in orders and in products, but for events, which are deleted when they are as
//! old. So `cleave audit` finds nothing, and indexes are as large as they would be. One every half minute, a month ago and
//! before; every second is a guest's. The shop must not run meanwhile.
use super::checkout::psql::Psql;
use crate::error::{Context, Result};
use rusqlite::Connection;
use std::{fmt::Write, path::Path};

/// Where the tables are.
pub(super) enum Books<'a> {
    /// The databases of orders and of products, which may be the same.
    Postgres { psql: &'a Psql<'a>, orders: &'a str, products: &'a str },
    /// The folders with their files, which may be the same.
    Sqlite { orders: &'a Path, products: &'a Path },
}

/// Micros between two orders.
const GAP: u64 = 30_000_000;
const USERS: usize = 100_000;

/// `count` orders of what the shop sells. It must hold an order that it placed itself, of one line.
pub(super) fn fill(books: &Books<'_>, count: usize) -> Result<()> {
    let goods = books.ask(PRODUCTS, GOODS)?;
    let goods: Vec<&str> = goods.lines().filter(|line| !line.is_empty()).collect();
    let last = books.ask(PRODUCTS, books.a_month_ago())?;
    let last: u64 = last.trim().parse().context("the database tells no time")?;
    for (domain, statements) in [(ORDERS, OF_ORDERS), (PRODUCTS, OF_PRODUCTS)] {
        let mut text = books.begin(domain);
        text.push_str(&filled(books, &goods, count, last)?);
        for statement in statements {
            let _ = writeln!(text, "{};", books.words(statement));
        }
        text.push_str(books.end(domain));
        books.run(domain, &text).context(format_args!("cannot fill {domain}"))?;
    }
    Ok(())
}

const ORDERS: &str = "orders";
const PRODUCTS: &str = "products";

/// What is sold, as `variant|product` in hexadecimal digits.
const GOODS: &str = "SELECT HEX(v.id) || '|' || HEX(v.product_id) FROM variants v JOIN products p ON p.id = v.product_id \
                     WHERE v.track_stock AND p.status = 'active' ORDER BY v.id";

/// The order that all are like.
const LIKE: &str = "(SELECT * FROM orders WHERE status = 'placed' AND user_id IS NOT NULL ORDER BY number LIMIT 1) t";
const LINE: &str = "JOIN order_lines l ON l.order_id = t.id AND l.position = 0";

/// `f` is the table of [`filled`]. `LIKE`, `LINE` are those above, `TRUE` is how a column says so.
const OF_ORDERS: &[&str] = &[
    "INSERT INTO carts (id, token_hash, user_id, currency, locale, prices_include_tax, email, shipping_address, \
     billing_address, shipping_option, order_id, version, created_at, updated_at) SELECT f.cart_id, f.token, f.user_id, \
     c.currency, c.locale, c.prices_include_tax, f.email, c.shipping_address, c.billing_address, c.shipping_option, \
     f.order_id, c.version, f.at, f.at FROM filled f CROSS JOIN LIKE JOIN carts c ON c.id = t.cart_id ORDER BY f.n",
    "INSERT INTO cart_lines (id, cart_id, variant_id, title, sku, quantity, unit_price) SELECT f.line_id, f.cart_id, \
     f.variant_id, l.title, l.sku, l.quantity, l.unit_price FROM filled f CROSS JOIN LIKE LINE ORDER BY f.n",
    "INSERT INTO orders (id, number, cart_id, token_hash, user_id, status, payment_status, fulfilment_status, currency, \
     locale, prices_include_tax, email, shipping_address, billing_address, shipping_option, subtotal, discount, shipping, \
     tax, total, version, created_at, updated_at, placed_at, paid_at, ended_at) SELECT f.order_id, m.number + f.n, \
     f.cart_id, f.token, f.user_id, 'completed', 'paid', 'fulfilled', t.currency, t.locale, t.prices_include_tax, f.email, \
     t.shipping_address, t.billing_address, t.shipping_option, t.subtotal, t.discount, t.shipping, t.tax, t.total, 4, \
     f.at, f.at, f.at, f.at, f.at FROM filled f CROSS JOIN LIKE CROSS JOIN (SELECT MAX(number) AS number FROM orders) m \
     ORDER BY f.n",
    "INSERT INTO order_lines (order_id, position, id, variant_id, title, sku, quantity, unit_price, discount, tax, total) \
     SELECT f.order_id, 0, f.line_id, f.variant_id, l.title, l.sku, l.quantity, l.unit_price, l.discount, l.tax, l.total \
     FROM filled f CROSS JOIN LIKE LINE ORDER BY f.n",
    "INSERT INTO payments (order_id, provider, reference, status, amount, currency, created_at, updated_at, captured, \
     capture_asked) SELECT f.order_id, 'test', 'test_old_' || f.n, 'authorised', t.total, t.currency, f.at, f.at, t.total, \
     t.total FROM filled f CROSS JOIN LIKE ORDER BY f.n",
    "INSERT INTO payment_moves (id, order_id, kind, amount, state, reference, created_at, settled_at) SELECT f.move_id, \
     f.order_id, 'capture', t.total, 'done', 'test_move_' || f.n, f.at, f.at FROM filled f CROSS JOIN LIKE ORDER BY f.n",
    "INSERT INTO processes (id, order_id, kind, step, provider, epoch, lease_until, created_at, done_at) \
     SELECT f.process_id, f.order_id, 'checkout', 'done', 'test', 1, f.at, f.at, f.at FROM filled f ORDER BY f.n",
    "INSERT INTO processes (id, order_id, kind, step, epoch, lease_until, created_at, done_at) \
     SELECT f.ship_id, f.order_id, 'ship', 'done', 1, f.at, f.at, f.at FROM filled f ORDER BY f.n",
    "INSERT INTO processes (id, order_id, kind, step, provider, epoch, lease_until, created_at, done_at) \
     SELECT f.capture_id, f.order_id, 'capture', 'done', 'test', 1, f.at, f.at, f.at FROM filled f ORDER BY f.n",
    "INSERT INTO shipments (id, order_id, carrier, tracking_number, created_at) SELECT f.move_id, f.order_id, 'DHL', \
     'T' || f.n, f.at FROM filled f ORDER BY f.n",
    FORGOTTEN,
];

const OF_PRODUCTS: &[&str] = &[
    "INSERT INTO reservations (id, state, created_at, updated_at) SELECT f.order_id, 'shipped', f.at, f.at FROM filled f \
     ORDER BY f.n",
    "INSERT INTO reservation_lines (reservation_id, variant_id, quantity, counted) SELECT f.order_id, f.variant_id, 1, TRUE \
     FROM filled f ORDER BY f.n",
    "INSERT INTO stock_movements (variant_id, on_hand, reserved, kind, reservation_id, at) SELECT f.variant_id, \
     k.on_hand, k.reserved, k.kind, f.order_id, f.at FROM filled f CROSS JOIN (SELECT 0 AS on_hand, 1 AS reserved, \
     'reserved' AS kind UNION ALL SELECT -1, -1, 'shipped') k ORDER BY f.n, k.kind",
    "UPDATE stock SET on_hand = stock.on_hand - s.n FROM (SELECT variant_id, COUNT(*) AS n FROM filled GROUP BY variant_id) s \
     WHERE s.variant_id = stock.variant_id",
    "INSERT INTO purchases (order_id, product_id, user_id, quantity) SELECT f.order_id, f.product_id, f.user_id, 1 \
     FROM filled f ORDER BY f.n",
    "UPDATE products SET sold = products.sold + s.n FROM (SELECT product_id, COUNT(*) AS n FROM filled GROUP BY product_id) s \
     WHERE s.product_id = products.id",
    "INSERT INTO heard_orders (order_id, heard_at) SELECT f.order_id, f.at FROM filled f ORDER BY f.n",
    FORGOTTEN,
];

/// What was told of them was deleted since.
const FORGOTTEN: &str = "INSERT INTO forgotten (name, until) SELECT 'outbox', MAX(f.at) FROM filled f WHERE f.n > 0 \
                         ON CONFLICT (name) DO UPDATE SET until = excluded.until";

/// A table of what the rows of an order share, one row an order.
fn filled(books: &Books<'_>, goods: &[&str], count: usize, last: u64) -> Result<String> {
    let mut listed = Vec::with_capacity(goods.len());
    for (number, line) in goods.iter().enumerate() {
        let (variant, product) = line.split_once('|').context(format_args!("goods that read otherwise: {line}"))?;
        listed.push(format!("({number}, {}, {})", books.hex(variant), books.hex(product)));
    }
    if listed.is_empty() {
        return Err("a shop that sells nothing has no orders".into());
    }
    // Ids are of their time, like the shop's own.
    let at = format!("({last} - ({count} - s.n) * {GAP})");
    let id = |kind: u32| books.id(&format!("({at} / 1000)"), kind, "s.n");
    let user = books.id(&format!("({last} / 1000 - 100000000000)"), 9, &format!("(s.n % {USERS})"));
    let table = format!(
        "CREATE TEMP TABLE goods (i bigint PRIMARY KEY, variant_id {blob}, product_id {blob});\n\
         INSERT INTO goods VALUES {};\n\
         CREATE TEMP TABLE filled AS WITH RECURSIVE s(n) AS {} SELECT s.n AS n, {} AS order_id, {} AS cart_id, \
         {} AS line_id, {} AS process_id, {} AS ship_id, {} AS capture_id, {} AS move_id, \
         CASE WHEN s.n % 2 = 0 THEN {user} END AS user_id, CASE WHEN s.n % 2 = 1 THEN {} END AS token, \
         'old-' || s.n || '@shop.example' AS email, {} AS at, g.variant_id, g.product_id \
         FROM s JOIN goods g ON g.i = s.n % {} ORDER BY s.n;\n",
        listed.join(", "),
        books.series(count),
        id(0),
        id(1),
        id(2),
        id(3),
        id(4),
        id(5),
        id(6),
        books.token("s.n"),
        books.time(&at),
        listed.len(),
        blob = if books.is_sqlite() { "blob" } else { "uuid" },
    );
    Ok(table)
}

/// Where the databases' words differ.
impl Books<'_> {
    fn is_sqlite(&self) -> bool {
        matches!(self, Self::Sqlite { .. })
    }
    fn words(&self, statement: &str) -> String {
        let yes = if self.is_sqlite() { "1" } else { "true" };
        statement
            .replace(" TRUE", &format!(" {yes}"))
            .replace(" LIKE", &format!(" {LIKE}"))
            .replace(" LINE", &format!(" {LINE}"))
    }
    fn hex(&self, digits: &str) -> String {
        if self.is_sqlite() { format!("x'{digits}'") } else { format!("'{digits}'::uuid") }
    }
    /// As a UUID of version 7.
    fn id(&self, millis: &str, kind: u32, number: &str) -> String {
        if self.is_sqlite() {
            return format!("unhex(printf('%012x7%03x800{kind}%012x', {millis}, {number} & 4095, {number}))");
        }
        let digits = |value: &str, width: u32| format!("lpad(to_hex(({value})::bigint), {width}, '0')");
        let (time, middle) = (digits(millis, 12), digits(&format!("{number} & 4095"), 3));
        format!("({time} || '7' || {middle} || '800{kind}' || {})::uuid", digits(number, 12))
    }
    fn token(&self, number: &str) -> String {
        if self.is_sqlite() {
            format!("unhex(printf('%064x', {number}))")
        } else {
            format!("decode(lpad(to_hex(({number})::bigint), 64, '0'), 'hex')")
        }
    }
    fn time(&self, micros: &str) -> String {
        if self.is_sqlite() {
            micros.to_owned()
        } else {
            format!("(timestamptz 'epoch' + {micros} * interval '1 microsecond')")
        }
    }
    fn series(&self, count: usize) -> String {
        if self.is_sqlite() {
            format!("(SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {count})")
        } else {
            format!("(SELECT generate_series(1, {count}::bigint))")
        }
    }
    fn a_month_ago(&self) -> &'static str {
        if self.is_sqlite() {
            "SELECT (unixepoch() - 31 * 86400) * 1000000"
        } else {
            "SELECT (extract(epoch FROM now())::bigint - 31 * 86400) * 1000000"
        }
    }
    /// Nothing of this has to survive, and whatever a key refers to is written as well.
    fn begin(&self, domain: &str) -> String {
        match self {
            Self::Sqlite { .. } => "PRAGMA synchronous = OFF; PRAGMA foreign_keys = OFF; BEGIN;\n".into(),
            Self::Postgres { .. } => format!(
                "SET search_path TO {domain}; SET synchronous_commit TO off; SET session_replication_role TO replica; \
                 SET work_mem TO '128MB'; BEGIN;\n"
            ),
        }
    }
    /// PostgreSQL would look at its new rows by itself after a minute.
    fn end(&self, domain: &str) -> &'static str {
        match self {
            Self::Sqlite { .. } => "COMMIT; PRAGMA wal_checkpoint(TRUNCATE);\n",
            Self::Postgres { .. } if domain == ORDERS => {
                "SELECT setval('order_numbers', MAX(number)) FROM orders; COMMIT; VACUUM ANALYZE;\n"
            }
            Self::Postgres { .. } => "COMMIT; VACUUM ANALYZE;\n",
        }
    }

    fn ask(&self, domain: &str, query: &str) -> Result<String> {
        match self {
            Self::Sqlite { .. } => {
                let connection = self.opened(domain)?;
                let mut query = connection.prepare(query).context("cannot ask SQLite")?;
                let rows = query.query_map([], |row| Ok(cell(row.get_ref(0)?)));
                let rows = rows.and_then(Iterator::collect::<rusqlite::Result<Vec<String>>>);
                Ok(rows.context("cannot ask SQLite")?.join("\n"))
            }
            Self::Postgres { psql, .. } => {
                let query = query.replace("HEX(v.id)", "v.id").replace("HEX(v.product_id)", "v.product_id");
                psql.run(self.database(domain), &format!("SET search_path TO {domain}; {query};"))
            }
        }
    }
    fn run(&self, domain: &str, statements: &str) -> Result<()> {
        match self {
            Self::Sqlite { .. } => self.opened(domain)?.execute_batch(statements).context("SQLite"),
            Self::Postgres { psql, .. } => psql.run(self.database(domain), statements).map(drop),
        }
    }
    fn database<'b>(&'b self, domain: &'b str) -> &'b str {
        match self {
            Self::Postgres { orders, .. } if domain == ORDERS => orders,
            Self::Postgres { products, .. } => products,
            Self::Sqlite { .. } => domain,
        }
    }
    fn opened(&self, domain: &str) -> Result<Connection> {
        let folder = match self {
            Self::Sqlite { orders, .. } if domain == ORDERS => orders,
            Self::Sqlite { products, .. } => products,
            Self::Postgres { .. } => return Err("no file of SQLite".into()),
        };
        let file = folder.join(format!("{domain}.db"));
        Connection::open(&file).context(format_args!("cannot open {}", file.display()))
    }
}

fn cell(value: rusqlite::types::ValueRef<'_>) -> String {
    match value {
        rusqlite::types::ValueRef::Integer(number) => number.to_string(),
        rusqlite::types::ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nowhere() -> Books<'static> {
        Books::Sqlite { orders: Path::new("nowhere"), products: Path::new("nowhere") }
    }

    #[test]
    fn ids_are_of_their_time_and_of_version_7() {
        let books = nowhere();
        let connection = Connection::open_in_memory().unwrap();
        let id = |n: u32| {
            let select = format!("SELECT hex({})", books.id("1767225600000", 2, &n.to_string()));
            connection.query_row(&select, [], |row| row.get::<_, String>(0)).unwrap()
        };
        assert_eq!(id(5000), "019B76DAA80073888002000000001388");
        assert_eq!((id(1).len(), &id(1)[12..13]), (32, "7"));
    }

    #[test]
    fn every_order_has_goods_a_holder_and_a_time() {
        let connection = Connection::open_in_memory().unwrap();
        let goods = ["00000000000070008000000000000001|00000000000070008000000000000002"];
        let text = filled(&nowhere(), &goods, 1000, 1_767_225_600_000_000).unwrap();
        connection.execute_batch(&text).unwrap();
        let whole = "SELECT count(*), count(DISTINCT order_id), count(DISTINCT cart_id), max(at), \
                     sum(user_id IS NULL), sum((user_id IS NULL) = (token IS NULL)) FROM filled";
        let told: [i64; 6] = connection
            .query_row(whole, [], |row| {
                Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?])
            })
            .unwrap();
        assert_eq!(told, [1000, 1000, 1000, 1_767_225_600_000_000, 500, 0]);
    }
}
