//! What each operation costs the database: `statements.txt`, on both databases alike.
//!
//! Counted are the statements and writing transactions of all domains together, without BEGIN, COMMIT and the records of
//! idempotency. More than the table says fails; less asks to write it down.
mod roles;

use reqwest::Method;
use serde_json::{Value, json};
use std::{collections::BTreeMap, fmt::Write};
use testkit::{Options, Request, Shop, address, pay, product, unique, until};

const TABLE: &str = include_str!("statements.txt");

/// Documented, and without a row: an import goes on by itself after its answer, an export costs by its length.
const WITHOUT: &[&str] = &["POST /v1/imports", "GET /v1/exports/products"];

type Cost = (u64, u64);

/// A shop in which nobody else is at work.
fn quiet() -> Shop {
    let env = [("CLEAVE__PRODUCTS__SWEEP_SECONDS", "3600")];
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    Shop::start(env!("CARGO_BIN_EXE_cleave"), Options { env, ..Options::default() })
}

/// Statements and transactions of a request that succeeds; the least of three, for workers may be at work too.
async fn cost(shop: &Shop, request: impl AsyncFn() -> Request) -> Cost {
    let mut least = (u64::MAX, u64::MAX);
    for _ in 0..3 {
        let request = request().await;
        let before = shop.counters().await;
        let answer = request.send().await;
        assert!(answer.status < 400, "{}: {}", answer.what, answer.json());
        let (statements, transactions) = shop.counters().await.since(&before);
        least = (least.0.min(statements), least.1.min(transactions));
    }
    least
}

/// The table: what an operation may cost.
fn table() -> BTreeMap<&'static str, Cost> {
    let row = |line: &'static str| {
        let mut cells = line.split('|').map(str::trim);
        let mut cell = || cells.next().unwrap_or_else(|| panic!("not a row: {line}"));
        let operation = cell();
        let mut number = || cell().parse().unwrap_or_else(|_| panic!("not a number: {line}"));
        (operation, (number(), number()))
    };
    TABLE.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(row).collect()
}

fn documented() -> Vec<String> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
    let text = std::fs::read_to_string(file).expect("docs/openapi.json is checked in");
    let document: Value = serde_json::from_str(&text).expect("JSON");
    let methods = |(path, methods): (&String, &Value)| {
        let names = methods.as_object().expect("methods").keys();
        names.map(|method| format!("{} {path}", method.to_ascii_uppercase())).collect::<Vec<_>>()
    };
    document["paths"].as_object().expect("paths").iter().flat_map(methods).collect()
}

#[tokio::test]
async fn no_operation_costs_more_than_the_table_says() {
    let shop = quiet();
    let found = everything(&shop).await;
    let (table, mut wrong) = (table(), String::new());
    for (operation, cost) in &found {
        match table.get(operation.as_str()) {
            None => writeln!(wrong, "not in the table: {operation} | {} | {}", cost.0, cost.1),
            Some(known) if cost.0 > known.0 || cost.1 > known.1 => {
                writeln!(wrong, "costs more than {known:?}: {operation} | {} | {}", cost.0, cost.1)
            }
            Some(known) if cost != known => {
                writeln!(wrong, "costs less, update the table: {operation} | {} | {}", cost.0, cost.1)
            }
            Some(_) => Ok(()),
        }
        .expect("text");
    }
    for operation in table.keys().filter(|operation| !found.contains_key(**operation)) {
        writeln!(wrong, "in the table, and not measured: {operation}").expect("text");
    }
    for operation in documented().iter().filter(|operation| !table.contains_key(operation.as_str())) {
        if !WITHOUT.contains(&operation.as_str()) {
            writeln!(wrong, "documented, and not in the table: {operation}").expect("text");
        }
    }
    assert!(wrong.is_empty(), "app/tests/sql/statements.txt:\n{wrong}");
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
    assert_eq!((list(1).await, list(100).await), ((2, 0), (2, 0)), "a list of products");
    let detail = async |id: String| cost(&shop, async || anyone.get(&format!("/v1/products/{id}"))).await;
    let wide = admin.post("/v1/products", product(&unique("Wide"), 100, 5, 5)).send().await.expect(201).text("/id");
    let details = (detail(single.product.clone()).await, detail(wide).await);
    assert_eq!(details.0, details.1, "a product");
    assert!(details.0.0 <= 2, "a product: {details:?}");

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
    assert!(added.0.0 <= 5, "adding a line: {added:?}");
    let buy = async |n| cost(&shop, async || cart(n).await.checkout("tok_ok").key(&unique("buy-a-cart"))).await;
    let bought = (buy(1).await, buy(100).await);
    assert_eq!(bought.0, bought.1, "a checkout");
    assert!(bought.0.0 <= 16 && bought.0.1 <= 5, "a checkout: {bought:?}");

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

/// Every operation, measured.
async fn everything(shop: &Shop) -> BTreeMap<String, Cost> {
    let mut found = BTreeMap::new();
    catalogue(shop, &mut found).await;
    carts(shop, &mut found).await;
    orders(shop, &mut found).await;
    users(shop, &mut found).await;
    found
}

macro_rules! measure {
    ($shop:expr, $found:expr, $operation:literal, $request:expr) => {
        $found.insert($operation.to_owned(), cost($shop, async || $request).await);
    };
}

async fn catalogue(shop: &Shop, found: &mut BTreeMap<String, Cost>) {
    let (admin, anyone, goods) = (shop.admin().await, shop.anonymous(), shop.goods(5, 100).await);
    let path = format!("/v1/products/{}", goods.product);
    let variant = format!("/v1/variants/{}", goods.variant);
    let slug = anyone.get(&path).send().await.expect(200).text("/slug");
    measure!(shop, found, "GET /v1/products", anyone.get("/v1/products"));
    measure!(shop, found, "GET /v1/products?count=true", anyone.get("/v1/products?count=true"));
    measure!(shop, found, "GET /v1/products?q=&sort=price", anyone.get("/v1/products?q=thing&sort=price&currency=EUR"));
    measure!(shop, found, "GET /v1/products/{product}", anyone.get(&path));
    measure!(shop, found, "GET /v1/storefront/products/{slug}", anyone.get(&format!("/v1/storefront/products/{slug}")));
    measure!(shop, found, "GET /v1/categories", anyone.get("/v1/categories"));
    measure!(shop, found, "POST /v1/products", admin.post("/v1/products", product(&unique("Thing"), 3, 5, 5)));
    measure!(shop, found, "PATCH /v1/products/{product}", admin.patch(&path, json!({ "title": unique("Thing") })));
    measure!(shop, found, "DELETE /v1/products/{product}", {
        admin.delete(&format!("/v1/products/{}", shop.goods(5, 5).await.product))
    });
    measure!(shop, found, "POST /v1/products/{product}/variants", {
        let options = json!([{ "name": "Color", "values": ["Red", "Blue"] }]);
        let body =
            json!({ "title": unique("Thing"), "options": options, "variants": [{ "options": { "Color": "Red" } }] });
        let id = admin.post("/v1/products", body).send().await.expect(201).text("/id");
        admin.post(&format!("/v1/products/{id}/variants"), json!({ "options": { "Color": "Blue" } }))
    });
    measure!(shop, found, "POST /v1/categories", {
        admin.post("/v1/categories", json!({ "slug": unique("category"), "name": "Category" }))
    });
    measure!(shop, found, "PATCH /v1/variants/{id}", admin.patch(&variant, json!({ "sku": unique("sku") })));
    let file = format!("Handle,Title,Variant Price\n{},Thing,5.00\n", unique("import"));
    let started = admin.request(Method::POST, "/v1/imports?currency=EUR").body("text/csv", file);
    let import = format!("/v1/imports/{}", started.send().await.expect(202).text("/id"));
    until("the import is done", async || (admin.get(&import).send().await.text("/status") == "done").then_some(()))
        .await;
    measure!(shop, found, "GET /v1/imports/{id}", admin.get(&import));
    measure!(shop, found, "GET /v1/variants/{id}/stock", admin.get(&format!("{variant}/stock")));
    measure!(
        shop,
        found,
        "PUT /v1/variants/{id}/stock",
        admin.put(&format!("{variant}/stock"), json!({ "on_hand": 90 }))
    );
    measure!(shop, found, "POST /v1/variants/{id}/stock-adjustments", {
        admin.post(&format!("{variant}/stock-adjustments"), json!({ "delta": 1 }))
    });
}

async fn carts(shop: &Shop, found: &mut BTreeMap<String, Cost>) {
    let (anyone, goods) = (shop.anonymous(), shop.goods(5, 1_000).await);
    let cart = shop.guest_cart(&[(&goods.variant, 1)]).await;
    let line = cart.path(&format!("/lines/{}", cart.made.text("/lines/0/id")));
    let body = json!({ "currency": "EUR", "lines": [{ "variant_id": goods.variant, "quantity": 1 }] });
    let ready = async || shop.guest_cart(&[(&goods.variant, 1)]).await;
    measure!(shop, found, "POST /v1/carts", anyone.post("/v1/carts", body.clone()));
    measure!(shop, found, "GET /v1/carts/{id}", cart.owner.get(&cart.path("")));
    measure!(shop, found, "PATCH /v1/carts/{id}", cart.change(json!({ "shipping_address": address() })));
    measure!(shop, found, "GET /v1/carts/{id}/shipping-options", cart.owner.get(&cart.path("/shipping-options")));
    measure!(shop, found, "POST /v1/carts/{id}/lines", cart.add(&goods.variant, 1).key(&unique("add-a-line")));
    measure!(shop, found, "PATCH /v1/carts/{id}/lines/{line}", cart.owner.patch(&line, json!({ "quantity": 2 })));
    measure!(shop, found, "DELETE /v1/carts/{id}/lines/{line}", {
        let cart = ready().await;
        cart.owner.delete(&cart.path(&format!("/lines/{}", cart.made.text("/lines/0/id"))))
    });
    measure!(shop, found, "POST /v1/carts/{id}/checkout", ready().await.checkout("tok_ok").key(&unique("buy-a-cart")));
    measure!(shop, found, "POST /v1/carts/{id}/checkout, again", {
        let cart = ready().await;
        cart.bought().await;
        cart.checkout("tok_ok").key(&unique("buy-a-cart"))
    });
    measure!(shop, found, "POST /v1/carts/{id}/checkout, by somebody signed in", {
        let cart = shop.admin().await.cart(&[(&goods.variant, 1)]).await.ready().await;
        cart.owner.post(&cart.path("/checkout"), pay("tok_ok")).key(&unique("buy-a-cart"))
    });
    measure!(shop, found, "POST /v1/carts/{id}/checkout, for the buyer to act", ready().await.checkout("tok_action"));
    measure!(shop, found, "DELETE /v1/carts/{id}/checkout", {
        let cart = ready().await;
        cart.checkout("tok_action").send().await.expect(202);
        cart.owner.delete(&cart.path("/checkout"))
    });
}

async fn orders(shop: &Shop, found: &mut BTreeMap<String, Cost>) {
    let (admin, goods) = (shop.admin().await, shop.goods(5, 1_000).await);
    let placed = async || {
        let cart = shop.guest_cart(&[(&goods.variant, 1)]).await;
        (format!("/v1/orders/{}", cart.bought().await.text("/id")), cart.owner)
    };
    measure!(shop, found, "GET /v1/orders", admin.get("/v1/orders"));
    measure!(shop, found, "GET /v1/orders?count=true", admin.get("/v1/orders?count=true"));
    let (path, owner) = placed().await;
    measure!(shop, found, "GET /v1/orders/{id}", owner.get(&path));
    measure!(shop, found, "POST /v1/orders/{id}/cancel", {
        let (path, owner) = placed().await;
        owner.post(&format!("{path}/cancel"), json!({}))
    });
    measure!(shop, found, "POST /v1/orders/{id}/shipments", {
        admin.post(&format!("{}/shipments", placed().await.0), json!({ "carrier": "Post" }))
    });
    measure!(shop, found, "GET /v1/storefront/account", admin.get("/v1/storefront/account"));
}

async fn users(shop: &Shop, found: &mut BTreeMap<String, Cost>) {
    let (admin, anyone, customer) = (shop.admin().await, shop.anonymous(), shop.customer().await);
    let id = customer.get("/v1/users/me").send().await.expect(200).text("/id");
    let who = || json!({ "email": format!("{}@test.example", unique("user")), "password": "a customer's password", "name": "U" });
    let session = |who: &Value| json!({ "email": who["email"], "password": who["password"] });
    let addresses = "/v1/users/me/addresses";
    measure!(shop, found, "POST /v1/users", anyone.post("/v1/users", who()));
    measure!(shop, found, "GET /v1/users", admin.get("/v1/users"));
    measure!(shop, found, "GET /v1/users/me", customer.get("/v1/users/me"));
    measure!(shop, found, "PATCH /v1/users/me", customer.patch("/v1/users/me", json!({ "name": "Anew" })));
    measure!(
        shop,
        found,
        "PATCH /v1/users/{id}",
        admin.patch(&format!("/v1/users/{id}"), json!({ "roles": ["staff"] }))
    );
    measure!(shop, found, "GET /v1/users/me/addresses", customer.get(addresses));
    measure!(shop, found, "POST /v1/users/me/addresses", customer.post(addresses, address()));
    let one = customer.post(addresses, address()).send().await.expect(201).text("/id");
    measure!(shop, found, "GET /v1/users/me/addresses/{id}", customer.get(&format!("{addresses}/{one}")));
    measure!(shop, found, "PUT /v1/users/me/addresses/{id}", customer.put(&format!("{addresses}/{one}"), address()));
    measure!(shop, found, "DELETE /v1/users/me/addresses/{id}", {
        let one = customer.post(addresses, address()).send().await.expect(201).text("/id");
        customer.delete(&format!("{addresses}/{one}"))
    });
    measure!(shop, found, "POST /v1/sessions", {
        let who = who();
        anyone.post("/v1/users", who.clone()).send().await.expect(201);
        anyone.post("/v1/sessions", session(&who))
    });
    measure!(shop, found, "POST /v1/sessions/refresh", {
        let who = who();
        anyone.post("/v1/users", who.clone()).send().await.expect(201);
        let token = anyone.post("/v1/sessions", session(&who)).send().await.expect(201).text("/refresh_token");
        anyone.post("/v1/sessions/refresh", json!({ "refresh_token": token }))
    });
    measure!(shop, found, "GET /v1/sessions", customer.get("/v1/sessions"));
    measure!(shop, found, "DELETE /v1/sessions/{id}", shop.customer().await.delete("/v1/sessions/current"));
    measure!(shop, found, "DELETE /v1/users/me", shop.customer().await.delete("/v1/users/me"));
    measure!(shop, found, "GET /.well-known/jwks.json", anyone.get("/.well-known/jwks.json"));
}
