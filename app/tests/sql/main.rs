//! What each operation costs the database: `statements.txt`, on both databases alike but where a row names one.
//!
//! Counted are the statements and writing transactions of all domains together, without BEGIN, COMMIT and the records of
//! idempotency. More than the table says is a change for the worse; less asks to write it down.
mod allocations;
mod roles;

use serde_json::json;
use std::fmt;
use testkit::{Backend, Counters, Meter, Options, Request, Shop, held_against, product, unique};

const TABLE: &str = include_str!("statements.txt");

/// Documented, and without a row: an import goes on by itself after its answer, an export costs by its length, a stream
/// by its own.
const WITHOUT: &[&str] = &["POST /v1/imports", "GET /v1/exports/products", "GET /v1/events/stream"];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Cost {
    statements: u64,
    transactions: u64,
}

impl Cost {
    fn between(before: &Counters, after: &Counters) -> Self {
        let (statements, transactions) = after.since(before);
        Self { statements, transactions }
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} | {}", self.statements, self.transactions)
    }
}

/// A shop in which nobody else is at work, and nothing is ready.
fn quiet() -> Shop {
    // One connection a domain: which of several is taken, and has prepared a statement already, is chance.
    let env = [
        ("CLEAVE__PRODUCTS__SWEEP_SECONDS", "3600"),
        ("CLEAVE__PRODUCTS__READY__MIB", "0"),
        ("CLEAVE__DATABASE__THREADS", "1"),
        ("CLEAVE__DATABASE__READERS", "1"),
    ];
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    Shop::start(env!("CARGO_BIN_EXE_cleave"), Options { env, ..Options::default() })
}

async fn cost(shop: &Shop, request: impl AsyncFn() -> Request) -> Cost {
    Meter::new(shop, Cost::between).cost(request).await
}

#[tokio::test]
async fn no_operation_costs_more_than_the_table_says() {
    let shop = quiet();
    let mut meter = Meter::new(&shop, Cost::between);
    meter.everything().await;
    let rows = TABLE.lines().filter_map(|row| match row.split_once(": ") {
        Some(("sqlite", row)) => (shop.backend == Backend::Sqlite).then_some(row),
        Some(("postgres", row)) => (shop.backend == Backend::Postgres).then_some(row),
        _ => Some(row),
    });
    let table = rows.collect::<Vec<_>>().join("\n");
    held_against(&table, &meter.found, WITHOUT)
        .unwrap_or_else(|wrong| panic!("app/tests/sql/statements.txt:\n{wrong}"));
}

#[tokio::test]
async fn a_page_or_a_cart_of_a_hundred_costs_as_much_as_one_of_one() {
    let shop = quiet();
    let admin = shop.admin().await;
    let variants = shop.variants(101, 5, 1_000_000).await;
    let single = shop.goods(5, 1_000_000).await;
    let one = [(variants[0].as_str(), 1)];
    let hundred: Vec<_> = variants[..100].iter().map(|variant| (variant.as_str(), 1)).collect();
    let mut tasks = tokio::task::JoinSet::new();
    let slug = unique("hundred");
    admin.post("/v1/categories", json!({ "slug": slug, "name": "Hundred" })).send().await.expect(201);
    for _ in 0..100 {
        let mut body = product(&unique("Thing"), 1, 5, 5);
        body["categories"] = json!([slug]);
        let admin = admin.clone();
        tasks.spawn(async move { admin.post("/v1/products", body).send().await.expect(201) });
    }
    tasks.join_all().await;
    let anyone = shop.anonymous();
    let list = async |limit: usize| {
        cost(&shop, async || anyone.get(&format!("/v1/products?category={slug}&limit={limit}"))).await
    };
    let read = Cost { statements: 2, transactions: 0 };
    // What is picked is counted first there.
    let listed = if shop.backend == Backend::Sqlite { Cost { statements: 3, ..read } } else { read };
    assert_eq!((list(1).await, list(100).await), (listed, listed), "a list of products");
    let detail = async |id: String| cost(&shop, async || anyone.get(&format!("/v1/products/{id}"))).await;
    let wide = admin.post("/v1/products", product(&unique("Wide"), 100, 5, 5)).send().await.expect(201).text("/id");
    let details = (detail(single.product.clone()).await, detail(wide).await);
    assert_eq!(details.0, details.1, "a product");
    assert!(details.0.statements <= 2, "a product: {details:?}");

    let lines = |n| if n == 1 { &one[..] } else { &hundred[..] };
    let cart = async |n| shop.guest_cart(lines(n)).await;
    let create = async |n| {
        let lines: Vec<_> =
            lines(n).iter().map(|(variant, n)| json!({ "variant_id": variant, "quantity": n })).collect();
        let body = json!({ "currency": "EUR", "lines": lines });
        cost(&shop, async || anyone.post("/v1/carts", body.clone())).await
    };
    assert_eq!(create(1).await, create(100).await, "a new cart");
    let show = async |n| {
        let cart = cart(n).await;
        cost(&shop, async || cart.owner.get(&cart.path(""))).await
    };
    assert_eq!(show(1).await, show(100).await, "a cart");
    let add = async |n| cost(&shop, async || cart(n).await.add(&variants[100], 1).key(&unique("add-a-line"))).await;
    let added = (add(1).await, add(100).await);
    assert_eq!(added.0, added.1, "adding a line");
    assert!(added.0.statements <= 5, "adding a line: {added:?}");
    let buy = async |n| cost(&shop, async || cart(n).await.checkout("tok_ok").key(&unique("buy-a-cart"))).await;
    let bought = (buy(1).await, buy(100).await);
    assert_eq!(bought.0, bought.1, "a checkout");
    // Three are the payment's: it is written before anybody is asked for money, and locked when its provider's word is
    // written down and when the order is placed by it; one is the ledger's.
    assert!(bought.0.statements <= 20 && bought.0.transactions <= 5, "a checkout: {bought:?}");

    let ordered = async |n| {
        let cart = cart(n).await;
        let order = cart.bought().await.text("/id");
        (cart.owner, order)
    };
    let order = async |n| {
        let (owner, order) = ordered(n).await;
        cost(&shop, async || owner.get(&format!("/v1/orders/{order}"))).await
    };
    assert_eq!(order(1).await, order(100).await, "an order");
    let cancel = async |n| {
        cost(&shop, async || {
            let (owner, order) = ordered(n).await;
            owner.post(&format!("/v1/orders/{order}/cancel"), json!({}))
        })
        .await
    };
    assert_eq!(cancel(1).await, cancel(100).await, "a cancellation");
    let ship = async |n| {
        cost(&shop, async || admin.post(&format!("/v1/orders/{}/shipments", ordered(n).await.1), json!({}))).await
    };
    assert_eq!(ship(1).await, ship(100).await, "a shipment");
    let orders = async |n| cost(&shop, async || admin.get(&format!("/v1/orders?limit={n}"))).await;
    assert_eq!(orders(1).await, orders(10).await, "a list of orders");
}
