//! What requests cost, measured from outside: a request for every operation, and a table that says what each may cost.
use crate::{Counters, Request, Shop, address, document::operations, pay, product, unique, until};
use reqwest::Method;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    time::Duration,
};

const TIMES: usize = 4;
/// So many looks are taken when no two of them agree.
const LOOKS: usize = 20;
/// For so long nothing is counted where nobody is at work.
const STILL: Duration = Duration::from_millis(4);

/// A cost of which the least of several is what a request takes: the whole of it where it has an order.
pub trait Least {
    #[must_use]
    fn least(self, other: Self) -> Self;
}
impl<C: Ord> Least for C {
    fn least(self, other: Self) -> Self {
        self.min(other)
    }
}

/// Measures requests to a shop in which nobody else is at work.
pub struct Meter<'a, C> {
    pub shop: &'a Shop,
    /// The cost, by what was counted before and after.
    pub of: fn(&Counters, &Counters) -> C,
    client: reqwest::Client,
    /// By operation.
    pub found: BTreeMap<String, C>,
}

impl<'a, C: Least> Meter<'a, C> {
    pub fn new(shop: &'a Shop, of: fn(&Counters, &Counters) -> C) -> Self {
        Self { shop, of, client: reqwest::Client::new(), found: BTreeMap::new() }
    }
    /// What a request costs that succeeds: the least of a few, for what began before may still be at work. Always as
    /// many, so that lists are as long whenever they are measured.
    pub async fn cost(&self, request: impl AsyncFn() -> Request) -> C {
        let mut least = None;
        for _ in 0..TIMES {
            let request = request().await;
            let waiting = self.shop.workers_wait();
            let before = self.settled().await;
            let answer = request.send().await;
            assert!(answer.status < 400, "{}: {}", answer.what, answer.json());
            let cost = (self.of)(&before, &self.settled().await);
            drop(waiting);
            least = Some(match least {
                Some(least) => cost.least(least),
                None => cost,
            });
        }
        least.expect("measured at least once")
    }
    /// What was counted, once nothing more is.
    async fn settled(&self) -> Counters {
        let mut last = self.shop.counters_by(&self.client).await;
        for _ in 0..LOOKS {
            tokio::time::sleep(STILL).await;
            let now = self.shop.counters_by(&self.client).await;
            if std::mem::replace(&mut last, now.clone()) == now {
                break;
            }
        }
        last
    }
    pub async fn measure(&mut self, operation: &str, request: impl AsyncFn() -> Request) {
        let cost = self.cost(request).await;
        self.found.insert(operation.to_owned(), cost);
    }
    /// Measures every operation, but for imports and exports: one goes on after its answer, the other costs by its
    /// length.
    pub async fn everything(&mut self) {
        catalogue(self).await;
        reviews(self).await;
        carts(self).await;
        orders(self).await;
        users(self).await;
        webhooks(self).await;
    }
}

/// Holds what was found against a table, a line an operation: `operation | cost`. What the table does not say fails,
/// and so does a documented operation that it leaves out, but for those `without` a row.
pub fn held_against<C: Display>(table: &str, found: &BTreeMap<String, C>, without: &[&str]) -> Result<(), String> {
    let rows = table.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let rows: BTreeMap<&str, &str> = rows.filter_map(|row| row.split_once(" | ")).collect();
    let found: BTreeMap<&str, String> = found.iter().map(|(name, cost)| (name.as_str(), cost.to_string())).collect();
    let mut wrong = Vec::new();
    for name in rows.keys().copied().chain(found.keys().copied()).collect::<BTreeSet<_>>() {
        match (rows.get(name), found.get(name)) {
            (None, Some(cost)) => wrong.push(format!("not in the table: {name} | {cost}")),
            (Some(_), None) => wrong.push(format!("in the table, and not measured: {name}")),
            (Some(row), Some(cost)) if row != cost => wrong.push(format!("the table says {row}: {name} | {cost}")),
            _ => (),
        }
    }
    let documented = operations().into_iter().map(|operation| operation.name());
    let missing = documented.filter(|name| !rows.contains_key(name.as_str()) && !without.contains(&name.as_str()));
    wrong.extend(missing.map(|name| format!("documented, and not in the table: {name}")));
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

macro_rules! measure {
    ($meter:expr, $operation:literal, $request:expr) => {
        $meter.measure($operation, async || $request).await;
    };
}

async fn catalogue<C: Least>(meter: &mut Meter<'_, C>) {
    let shop = meter.shop;
    let (admin, anyone, goods) = (shop.admin().await, shop.anonymous(), shop.goods(5, 100).await);
    let path = format!("/v1/products/{}", goods.product);
    let variant = format!("/v1/variants/{}", goods.variant);
    let slug = anyone.get(&path).send().await.expect(200).text("/slug");
    measure!(meter, "GET /v1/products", anyone.get("/v1/products"));
    measure!(meter, "GET /v1/products?count=true", anyone.get("/v1/products?count=true"));
    measure!(meter, "GET /v1/products?q=&sort=price", anyone.get("/v1/products?q=thing&sort=price&currency=EUR"));
    measure!(meter, "GET /v1/products/{product}", anyone.get(&path));
    measure!(meter, "GET /v1/storefront/products/{slug}", anyone.get(&format!("/v1/storefront/products/{slug}")));
    measure!(meter, "GET /v1/categories", anyone.get("/v1/categories"));
    measure!(meter, "POST /v1/products", admin.post("/v1/products", product(&unique("Thing"), 3, 5, 5)));
    measure!(meter, "PATCH /v1/products/{product}", admin.patch(&path, json!({ "title": unique("Thing") })));
    measure!(meter, "DELETE /v1/products/{product}", {
        admin.delete(&format!("/v1/products/{}", shop.goods(5, 5).await.product))
    });
    measure!(meter, "POST /v1/products/{product}/variants", {
        let options = json!([{ "name": "Color", "values": ["Red", "Blue"] }]);
        let body =
            json!({ "title": unique("Thing"), "options": options, "variants": [{ "options": { "Color": "Red" } }] });
        let id = admin.post("/v1/products", body).send().await.expect(201).text("/id");
        admin.post(&format!("/v1/products/{id}/variants"), json!({ "options": { "Color": "Blue" } }))
    });
    measure!(meter, "POST /v1/categories", {
        admin.post("/v1/categories", json!({ "slug": unique("category"), "name": "Category" }))
    });
    measure!(meter, "PATCH /v1/variants/{id}", admin.patch(&variant, json!({ "sku": unique("sku") })));
    let file = format!("Handle,Title,Variant Price\n{},Thing,5.00\n", unique("import"));
    let started = admin.request(Method::POST, "/v1/imports?currency=EUR").body("text/csv", file);
    let import = format!("/v1/imports/{}", started.send().await.expect(202).text("/id"));
    until("the import is done", async || (admin.get(&import).send().await.text("/status") == "done").then_some(()))
        .await;
    measure!(meter, "GET /v1/imports/{id}", admin.get(&import));
    measure!(meter, "GET /v1/variants/{id}/stock", admin.get(&format!("{variant}/stock")));
    let on_hand = std::cell::Cell::new(90);
    measure!(meter, "PUT /v1/variants/{id}/stock", {
        on_hand.set(on_hand.get() + 1); // a count that finds what is known writes nothing
        admin.put(&format!("{variant}/stock"), json!({ "on_hand": on_hand.get() }))
    });
    measure!(meter, "POST /v1/variants/{id}/stock-adjustments", {
        admin.post(&format!("{variant}/stock-adjustments"), json!({ "delta": 1 }))
    });
    measure!(meter, "GET /v1/variants/{id}/stock-movements", admin.get(&format!("{variant}/stock-movements")));
    measure!(meter, "GET /v1/variants/{id}/stock-movements?count=true", {
        admin.get(&format!("{variant}/stock-movements?count=true"))
    });
}

async fn reviews<C: Least>(meter: &mut Meter<'_, C>) {
    let shop = meter.shop;
    let (admin, anyone, goods) = (shop.admin().await, shop.anonymous(), shop.goods(5, 100).await);
    let path = format!("/v1/products/{}/reviews", goods.product);
    let author = shop.customer().await;
    let one = author.post(&path, json!({ "mark": 4 })).send().await.expect(201).text("/id");
    let one = format!("/v1/reviews/{one}");
    let (mark, verdict) = (std::cell::Cell::new(0), std::cell::Cell::new("published"));
    measure!(meter, "POST /v1/products/{product}/reviews", {
        shop.customer().await.post(&path, json!({ "mark": 5, "text": "It glows." }))
    });
    measure!(meter, "POST /v1/reviews/{id}/moderation", {
        let next = if verdict.get() == "published" { "rejected" } else { "published" };
        admin.post(&format!("{one}/moderation"), json!({ "status": verdict.replace(next) }))
    });
    measure!(meter, "GET /v1/products/{product}/reviews", anyone.get(&path));
    measure!(meter, "GET /v1/products/{product}/reviews?count=true", anyone.get(&format!("{path}?count=true")));
    measure!(meter, "GET /v1/reviews/{id}", author.get(&one));
    measure!(meter, "PATCH /v1/reviews/{id}", {
        mark.set(mark.get() % 5 + 1); // the same again writes nothing
        author.patch(&one, json!({ "mark": mark.get() }))
    });
    measure!(meter, "DELETE /v1/reviews/{id}", {
        let author = shop.customer().await;
        let other = author.post(&path, json!({ "mark": 1 })).send().await.expect(201).text("/id");
        author.delete(&format!("/v1/reviews/{other}"))
    });
}

async fn carts<C: Least>(meter: &mut Meter<'_, C>) {
    let shop = meter.shop;
    let (anyone, goods) = (shop.anonymous(), shop.goods(5, 1_000).await);
    let cart = shop.guest_cart(&[(&goods.variant, 1)]).await;
    let line = cart.path(&format!("/lines/{}", cart.made.text("/lines/0/id")));
    let body = json!({ "currency": "EUR", "lines": [{ "variant_id": goods.variant, "quantity": 1 }] });
    let ready = async || shop.guest_cart(&[(&goods.variant, 1)]).await;
    measure!(meter, "POST /v1/carts", anyone.post("/v1/carts", body.clone()));
    measure!(meter, "GET /v1/carts/{id}", cart.owner.get(&cart.path("")));
    measure!(meter, "PATCH /v1/carts/{id}", cart.change(json!({ "shipping_address": address() })));
    measure!(meter, "GET /v1/carts/{id}/shipping-options", cart.owner.get(&cart.path("/shipping-options")));
    measure!(meter, "POST /v1/carts/{id}/lines", cart.add(&goods.variant, 1).key(&unique("add-a-line")));
    measure!(meter, "PATCH /v1/carts/{id}/lines/{line}", cart.owner.patch(&line, json!({ "quantity": 2 })));
    measure!(meter, "DELETE /v1/carts/{id}/lines/{line}", {
        let cart = ready().await;
        cart.owner.delete(&cart.path(&format!("/lines/{}", cart.made.text("/lines/0/id"))))
    });
    measure!(meter, "POST /v1/carts/{id}/checkout", ready().await.checkout("tok_ok").key(&unique("buy-a-cart")));
    measure!(meter, "POST /v1/carts/{id}/checkout, again", {
        let cart = ready().await;
        cart.bought().await;
        cart.checkout("tok_ok").key(&unique("buy-a-cart"))
    });
    measure!(meter, "POST /v1/carts/{id}/checkout, by somebody signed in", {
        let cart = shop.admin().await.cart(&[(&goods.variant, 1)]).await.ready().await;
        cart.owner.post(&cart.path("/checkout"), pay("tok_ok")).key(&unique("buy-a-cart"))
    });
    measure!(meter, "POST /v1/carts/{id}/checkout, for the buyer to act", ready().await.checkout("tok_action"));
    measure!(meter, "DELETE /v1/carts/{id}/checkout", {
        let cart = ready().await;
        cart.checkout("tok_action").send().await.expect(202);
        cart.owner.delete(&cart.path("/checkout"))
    });
}

async fn orders<C: Least>(meter: &mut Meter<'_, C>) {
    let shop = meter.shop;
    let (admin, goods) = (shop.admin().await, shop.goods(5, 1_000).await);
    let placed = async || {
        let cart = shop.guest_cart(&[(&goods.variant, 1)]).await;
        (format!("/v1/orders/{}", cart.bought().await.text("/id")), cart.owner)
    };
    measure!(meter, "GET /v1/orders", admin.get("/v1/orders"));
    measure!(meter, "GET /v1/orders?count=true", admin.get("/v1/orders?count=true"));
    let (path, owner) = placed().await;
    measure!(meter, "GET /v1/orders/{id}", owner.get(&path));
    measure!(meter, "POST /v1/orders/{id}/cancel", {
        let (path, owner) = placed().await;
        owner.post(&format!("{path}/cancel"), json!({}))
    });
    measure!(meter, "POST /v1/orders/{id}/shipments", {
        admin.post(&format!("{}/shipments", placed().await.0), json!({ "carrier": "Post" }))
    });
    let part = json!({ "amount": { "amount": 1, "currency": "EUR" } });
    measure!(meter, "POST /v1/orders/{id}/captures", {
        admin.post(&format!("{}/captures", placed().await.0), part.clone()).key(&unique("capture"))
    });
    measure!(meter, "POST /v1/orders/{id}/refunds", {
        let path = placed().await.0;
        admin.post(&format!("{path}/captures"), json!({})).send().await.expect(201);
        admin.post(&format!("{path}/refunds"), part.clone()).key(&unique("refund"))
    });
    // Of an order that is placed: it tells nothing new.
    measure!(meter, "POST /v1/payment-events/{provider}", {
        let order = placed().await.0.replace("/v1/orders/", "");
        shop.anonymous().post("/v1/payment-events/test", json!({ "order": order, "says": "authorised" }))
    });
    measure!(meter, "GET /v1/storefront/account", admin.get("/v1/storefront/account"));
}

async fn users<C: Least>(meter: &mut Meter<'_, C>) {
    let shop = meter.shop;
    let (admin, anyone, customer) = (shop.admin().await, shop.anonymous(), shop.customer().await);
    let id = customer.get("/v1/users/me").send().await.expect(200).text("/id");
    let who = || json!({ "email": format!("{}@test.example", unique("user")), "password": "a customer's password", "name": "U" });
    let session = |who: &Value| json!({ "email": who["email"], "password": who["password"] });
    let addresses = "/v1/users/me/addresses";
    measure!(meter, "POST /v1/users", anyone.post("/v1/users", who()));
    measure!(meter, "GET /v1/users", admin.get("/v1/users"));
    measure!(meter, "GET /v1/users/me", customer.get("/v1/users/me"));
    measure!(meter, "PATCH /v1/users/me", customer.patch("/v1/users/me", json!({ "name": "Anew" })));
    measure!(meter, "PATCH /v1/users/{id}", admin.patch(&format!("/v1/users/{id}"), json!({ "roles": ["staff"] })));
    measure!(meter, "GET /v1/users/me/addresses", customer.get(addresses));
    measure!(meter, "POST /v1/users/me/addresses", customer.post(addresses, address()));
    let one = customer.post(addresses, address()).send().await.expect(201).text("/id");
    measure!(meter, "GET /v1/users/me/addresses/{id}", customer.get(&format!("{addresses}/{one}")));
    measure!(meter, "PUT /v1/users/me/addresses/{id}", customer.put(&format!("{addresses}/{one}"), address()));
    measure!(meter, "DELETE /v1/users/me/addresses/{id}", {
        let one = customer.post(addresses, address()).send().await.expect(201).text("/id");
        customer.delete(&format!("{addresses}/{one}"))
    });
    measure!(meter, "POST /v1/sessions", {
        let who = who();
        anyone.post("/v1/users", who.clone()).send().await.expect(201);
        anyone.post("/v1/sessions", session(&who))
    });
    measure!(meter, "POST /v1/sessions/refresh", {
        let who = who();
        anyone.post("/v1/users", who.clone()).send().await.expect(201);
        let token = anyone.post("/v1/sessions", session(&who)).send().await.expect(201).text("/refresh_token");
        anyone.post("/v1/sessions/refresh", json!({ "refresh_token": token }))
    });
    measure!(meter, "GET /v1/sessions", customer.get("/v1/sessions"));
    measure!(meter, "DELETE /v1/sessions/{id}", shop.customer().await.delete("/v1/sessions/current"));
    measure!(meter, "DELETE /v1/users/me", shop.customer().await.delete("/v1/users/me"));
    measure!(meter, "GET /.well-known/jwks.json", anyone.get("/.well-known/jwks.json"));
}

async fn webhooks<C: Least>(meter: &mut Meter<'_, C>) {
    let (shop, admin) = (meter.shop, meter.shop.admin().await);
    let all = "/v1/webhook-endpoints";
    let new = || json!({ "url": "https://hooks.invalid/", "events": ["order.shipped", "stock.*"] });
    let one = format!("{all}/{}", shop.webhook_endpoint().await);
    let delivery = format!("/v1/webhook-deliveries/{}", shop.webhook_delivery().await);
    let again = format!("{delivery}/redeliver");
    measure!(meter, "GET /v1/webhook-endpoints", admin.get(all));
    measure!(meter, "POST /v1/webhook-endpoints", admin.post(all, new()));
    measure!(meter, "GET /v1/webhook-endpoints/{id}", admin.get(&one));
    measure!(meter, "PATCH /v1/webhook-endpoints/{id}", { admin.patch(&one, json!({ "description": unique("why") })) });
    measure!(meter, "DELETE /v1/webhook-endpoints/{id}", {
        let made = admin.post(all, new()).send().await.expect(201);
        admin.delete(&format!("{all}/{}", made.text("/endpoint/id")))
    });
    measure!(meter, "POST /v1/webhook-endpoints/{id}/secret", admin.post(&format!("{one}/secret"), json!({})));
    measure!(meter, "POST /v1/webhook-endpoints/{id}/test", admin.post(&format!("{one}/test"), json!({})));
    measure!(meter, "GET /v1/webhook-endpoints/{id}/deliveries", admin.get(&format!("{one}/deliveries")));
    measure!(meter, "GET /v1/webhook-deliveries/{id}", admin.get(&delivery));
    measure!(meter, "POST /v1/webhook-deliveries/{id}/redeliver", {
        until("it is not under way", async || {
            let log = admin.get(&delivery).send().await.expect(200);
            (log.number("/delivery/attempts") > log.number("/delivery/redelivered")).then_some(())
        })
        .await;
        admin.post(&again, json!({}))
    });
    measure!(meter, "GET /v1/notices", admin.get("/v1/notices?open=true"));
    measure!(meter, "POST /v1/notices/{id}/acknowledge", {
        let id = shop.notice();
        shop.corrupt("webhooks", "UPDATE notices SET acknowledged_at = NULL, acknowledged_by = NULL");
        admin.post(&format!("/v1/notices/{id}/acknowledge"), json!({}))
    });
}
