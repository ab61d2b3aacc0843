//! How often each operation asks a domain in another process: `remote-calls.txt`, of a shop that is split. Every such
//! call costs a hundred local ones, so none may come unnoticed.
use crate::start;
use serde_json::json;
use std::{collections::BTreeMap, fmt};
use testkit::{Counters, Meter, Request, Shop, Topology, held_against, unique};

const TABLE: &str = include_str!("remote-calls.txt");

/// Calls of all processes together, and which.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Calls {
    all: u64,
    by_method: BTreeMap<String, u64>,
}

impl Calls {
    fn between(before: &Counters, after: &Counters) -> Self {
        let by_method = after.calls_since(before);
        Self { all: by_method.values().sum(), by_method }
    }
}

impl fmt::Display for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.all)?;
        let each = self.by_method.iter().map(|(method, count)| match count {
            1 => method.clone(),
            _ => format!("{method} x{count}"),
        });
        let each: Vec<String> = each.map(|text| text.replacen("cleave.", "", 1).replacen(".v1.", ".", 1)).collect();
        if each.is_empty() { Ok(()) } else { write!(f, " | {}", each.join(", ")) }
    }
}

/// A split shop whose processes hold users' keys already: they are asked for once a process, not once a request.
async fn split() -> Shop {
    let shop = start(Topology::Split, &[("CLEAVE__PRODUCTS__SWEEP_SECONDS", "3600")]);
    let admin = shop.admin().await;
    for path in ["/v1/users/me", "/v1/products", "/v1/orders", "/v1/storefront/account"] {
        admin.get(path).send().await.expect(200);
    }
    shop
}

#[tokio::test]
async fn no_operation_makes_more_remote_calls_than_the_table_says() {
    let shop = split().await;
    let admin = shop.admin().await;
    // Processes that start together miss each other at first.
    let before = shop.counters().await.retries;
    let mut meter = Meter::new(&shop, Calls::between);
    meter.everything().await;
    let file = || format!("Handle,Title,Variant Price\n{},Thing,5.00\n", unique("import"));
    let import = async || admin.request(reqwest::Method::POST, "/v1/imports").body("text/csv", file());
    meter.measure("POST /v1/imports", import).await;
    meter.measure("GET /v1/exports/products", async || admin.get("/v1/exports/products?currency=EUR")).await;
    let table = held_against(TABLE, &meter.found, &["GET /v1/events/stream"]);
    table.unwrap_or_else(|wrong| panic!("app/tests/topologies/remote-calls.txt:\n{wrong}"));
    let limits = [
        ("GET /v1/storefront/products/{slug}", 2),
        ("POST /v1/carts/{id}/checkout", 4),
        ("POST /v1/carts/{id}/checkout, by somebody signed in", 4),
        ("GET /v1/storefront/account", 3),
    ];
    for (operation, most) in limits {
        let calls = &meter.found[operation];
        assert!((1..=most).contains(&calls.all), "{operation}: {calls}, and at most {most} are meant");
    }
    assert_eq!(shop.counters().await.retries, before, "nothing was tried twice");
}

#[tokio::test]
async fn a_hundred_lines_take_as_many_remote_calls_as_one() {
    let shop = split().await;
    let variants = shop.variants(100, 5, 1_000_000).await;
    let lines = |count| variants[..count].iter().map(|variant| (variant.as_str(), 1)).collect::<Vec<_>>();
    let cart = async |count| shop.guest_cart(&lines(count)).await;
    let create = async |count| {
        let lines: Vec<_> = lines(count).iter().map(|(id, n)| json!({ "variant_id": id, "quantity": n })).collect();
        let body = json!({ "currency": "EUR", "lines": lines });
        cost(&shop, async || shop.anonymous().post("/v1/carts", body.clone())).await
    };
    assert_eq!(create(1).await, create(100).await, "a new cart");
    let buy = async |count| cost(&shop, async || cart(count).await.checkout("tok_ok")).await;
    let (one, hundred) = (buy(1).await, buy(100).await);
    assert_eq!(one, hundred, "a checkout");
    assert!((1..=4).contains(&one.all), "a checkout: {one}");
    let cancel = async |count| {
        cost(&shop, async || {
            let cart = cart(count).await;
            let order = cart.bought().await.text("/id");
            cart.owner.post(&format!("/v1/orders/{order}/cancel"), json!({}))
        })
        .await
    };
    assert_eq!(cancel(1).await, cancel(100).await, "a cancellation");
}

async fn cost(shop: &Shop, request: impl AsyncFn() -> Request) -> Calls {
    Meter::new(shop, Calls::between).cost(request).await
}
