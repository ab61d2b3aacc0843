//! A request with an Idempotency-Key has its effect once, and the same answer every time.
use crate::{at_once, shop, with};
use reqwest::{Method, header::HeaderMap};
use serde_json::{Value, json};
use testkit::{Actor, Answer, Options, Request, Shop, address, pay, product, unique, until};

/// A request that may carry a key, and how its effects are counted.
struct Keyed {
    actor: Actor,
    path: String,
    body: Value,
    /// Valid as well, and not the same; null where there is none.
    other: Value,
    domain: &'static str,
    effects: &'static str,
}

impl Keyed {
    fn send(&self, key: &str) -> Request {
        request(&self.actor, &self.path, &self.body).key(key)
    }
}

/// A body that is text is a file's.
fn request(actor: &Actor, path: &str, body: &Value) -> Request {
    match body {
        Value::String(file) => actor.request(Method::POST, path).body("text/csv", file.clone()),
        body => actor.post(path, body.clone()),
    }
}

/// The operations that the OpenAPI document gives an Idempotency-Key.
fn operations() -> Vec<String> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
    let text = std::fs::read_to_string(file).expect("docs/openapi.json is checked in");
    let document: Value = serde_json::from_str(&text).expect("JSON");
    let paths = document["paths"].as_object().expect("paths");
    let keyed = |operation: &Value| {
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        parameters.into_iter().any(|parameter| parameter["name"] == "Idempotency-Key")
    };
    paths.iter().filter(|(_, methods)| methods.get("post").is_some_and(keyed)).map(|(path, _)| path.clone()).collect()
}

/// A new valid request to the operation.
async fn valid(shop: &Shop, operation: &str) -> Keyed {
    let admin = shop.admin().await;
    let goods = shop.goods(100, 10).await;
    let cart = shop.guest_cart(&[(&goods.variant, 1)]).await;
    let keyed = |actor: &Actor, path: String, body: Value, other: Value, domain, effects| Keyed {
        actor: actor.clone(),
        path,
        body,
        other,
        domain,
        effects,
    };
    let line = |quantity: i64| json!({ "variant_id": goods.variant, "quantity": quantity });
    let plain = operation.to_owned();
    match operation {
        "/v1/carts" => keyed(
            &shop.anonymous(),
            plain,
            json!({ "currency": "EUR", "lines": [line(1)] }),
            json!({ "currency": "EUR" }),
            "orders",
            "SELECT count(*) AS number FROM carts",
        ),
        "/v1/carts/{id}/lines" => keyed(
            &cart.owner,
            cart.path("/lines"),
            line(1),
            line(2),
            "orders",
            "SELECT CAST(sum(quantity) AS bigint) AS number FROM cart_lines",
        ),
        "/v1/carts/{id}/checkout" => keyed(
            &cart.owner,
            cart.path("/checkout"),
            pay("tok_ok"),
            pay("tok_declined"),
            "orders",
            "SELECT count(*) AS number FROM orders",
        ),
        "/v1/orders/{id}/cancel" => keyed(
            &cart.owner,
            format!("/v1/orders/{}/cancel", cart.bought().await.text("/id")),
            json!({}),
            json!({ "reason": "another" }),
            "orders",
            "SELECT count(*) AS number FROM orders WHERE status = 'cancelled'",
        ),
        "/v1/orders/{id}/captures" => keyed(
            &admin,
            format!("/v1/orders/{}/captures", cart.bought().await.text("/id")),
            json!({ "amount": { "amount": 40, "currency": "EUR" } }),
            json!({ "amount": { "amount": 60, "currency": "EUR" } }),
            "orders",
            "SELECT count(*) AS number FROM payment_moves WHERE kind = 'capture' AND state = 'done'",
        ),
        "/v1/orders/{id}/refunds" => {
            let order = format!("/v1/orders/{}", cart.bought().await.text("/id"));
            admin.post(&format!("{order}/captures"), json!({})).send().await.expect(201);
            keyed(
                &admin,
                format!("{order}/refunds"),
                json!({ "reason": "scratched" }),
                json!({ "amount": { "amount": 60, "currency": "EUR" } }),
                "orders",
                "SELECT count(*) AS number FROM payment_moves WHERE kind = 'refund' AND state = 'done'",
            )
        }
        "/v1/orders/{id}/shipments" => keyed(
            &admin,
            format!("/v1/orders/{}/shipments", cart.bought().await.text("/id")),
            json!({ "carrier": "Post" }),
            json!({}),
            "orders",
            "SELECT count(*) AS number FROM shipments",
        ),
        "/v1/products" => keyed(
            &admin,
            plain,
            product(&unique("Thing"), 2, 5, 5),
            product(&unique("Thing"), 1, 5, 5),
            "products",
            "SELECT count(*) AS number FROM products",
        ),
        "/v1/products/{product}/variants" => {
            let made = json!({ "title": unique("Thing"), "options": [{ "name": "Color", "values": ["Red", "Blue"] }], "variants": [{ "options": { "Color": "Red" } }] });
            let made = admin.post("/v1/products", made).send().await.expect(201);
            let variant = |sku: &str| json!({ "sku": sku, "options": { "Color": "Blue" } });
            keyed(
                &admin,
                format!("/v1/products/{}/variants", made.text("/id")),
                variant(&unique("sku")),
                variant(&unique("sku")),
                "products",
                "SELECT count(*) AS number FROM variants",
            )
        }
        "/v1/products/{product}/reviews" => keyed(
            &shop.customer().await,
            format!("/v1/products/{}/reviews", goods.product),
            json!({ "mark": 4, "text": "It glows." }),
            json!({ "mark": 5 }),
            "products",
            "SELECT count(*) AS number FROM reviews",
        ),
        "/v1/reviews/{id}/moderation" => {
            let reviews = format!("/v1/products/{}/reviews", goods.product);
            let review = shop.customer().await.post(&reviews, json!({ "mark": 4 })).send().await.expect(201);
            keyed(
                &admin,
                format!("/v1/reviews/{}/moderation", review.text("/id")),
                json!({ "status": "published" }),
                json!({ "status": "rejected" }),
                "products",
                "SELECT count(*) AS number FROM reviews WHERE status = 'published'",
            )
        }
        "/v1/categories" => keyed(
            &admin,
            plain,
            json!({ "slug": unique("category"), "name": "Category" }),
            json!({ "slug": unique("category"), "name": "Category" }),
            "products",
            "SELECT count(*) AS number FROM categories",
        ),
        "/v1/variants/{id}/stock-adjustments" => keyed(
            &admin,
            format!("/v1/variants/{}/stock-adjustments", goods.variant),
            json!({ "delta": 1 }),
            json!({ "delta": 2 }),
            "products",
            "SELECT CAST(sum(on_hand) AS bigint) AS number FROM stock",
        ),
        "/v1/imports" => {
            let file = |title: &str| json!(format!("Handle,Title,Variant Price\n{},{title},5.00\n", unique("import")));
            keyed(
                &admin,
                format!("{operation}?currency=EUR"),
                file("One"),
                file("Another"),
                "products",
                "SELECT count(*) AS number FROM imports",
            )
        }
        "/v1/users" => {
            let user = |email: String| json!({ "email": email, "password": "a customer's password", "name": "K" });
            keyed(
                &shop.anonymous(),
                plain,
                user(format!("{}@test.example", unique("key"))),
                user(format!("{}@test.example", unique("key"))),
                "users",
                "SELECT count(*) AS number FROM users",
            )
        }
        "/v1/users/me/addresses" => {
            let mut other = address();
            other["city"] = json!("Hamburg");
            keyed(&shop.customer().await, plain, address(), other, "users", "SELECT count(*) AS number FROM addresses")
        }
        "/v1/webhook-endpoints" => keyed(
            &admin,
            plain,
            json!({ "url": "https://hooks.invalid/", "events": ["order.shipped"] }),
            json!({ "url": "https://hooks.invalid/", "events": ["order.*"] }),
            "webhooks",
            "SELECT count(*) AS number FROM endpoints",
        ),
        "/v1/webhook-endpoints/{id}/secret" => keyed(
            &admin,
            format!("/v1/webhook-endpoints/{}/secret", shop.webhook_endpoint().await),
            json!({}),
            json!({ "overlap_hours": 1 }),
            "webhooks",
            "SELECT CAST(sum(version) AS bigint) AS number FROM endpoints",
        ),
        "/v1/webhook-endpoints/{id}/test" => keyed(
            &admin,
            format!("/v1/webhook-endpoints/{}/test", shop.webhook_endpoint().await),
            json!({}),
            Value::Null,
            "webhooks",
            "SELECT count(*) AS number FROM deliveries WHERE kind = 'webhook.test'",
        ),
        "/v1/webhook-deliveries/{id}/redeliver" => {
            let id = shop.webhook_delivery().await;
            let tried = async || {
                let log = admin.get(&format!("/v1/webhook-deliveries/{id}")).send().await.expect(200);
                (log.number("/delivery/attempts") > 0).then_some(())
            };
            until("it is not under way", tried).await;
            keyed(
                &admin,
                format!("/v1/webhook-deliveries/{id}/redeliver"),
                json!({}),
                Value::Null,
                "webhooks",
                "SELECT CAST(sum(redelivered) AS bigint) AS number FROM deliveries",
            )
        }
        "/v1/notices/{id}/acknowledge" => {
            let id = shop.notice();
            shop.corrupt("webhooks", "UPDATE notices SET acknowledged_at = NULL, acknowledged_by = NULL");
            keyed(
                &admin,
                format!("/v1/notices/{id}/acknowledge"),
                json!({}),
                Value::Null,
                "webhooks",
                "SELECT count(*) AS number FROM notices WHERE acknowledged_at IS NOT NULL",
            )
        }
        unknown => panic!("{unknown} takes an Idempotency-Key: build a valid request to it here"),
    }
}

/// What a replay repeats.
fn repeated(answer: &Answer) -> (u16, Vec<Option<String>>, &[u8]) {
    let header = |name: &&str| answer.headers.get(*name).map(|value| value.to_str().expect("text").to_owned());
    (answer.status, ["content-type", "location", "etag"].iter().map(header).collect(), &answer.bytes)
}
fn replayed(headers: &HeaderMap) -> bool {
    headers.get("idempotent-replayed").is_some_and(|value| value == "true")
}

#[tokio::test]
async fn every_keyed_post_has_one_effect_and_one_answer() {
    // Its own shop: effects are counted, so nobody else may be at work.
    let shop = Shop::start(env!("CARGO_BIN_EXE_cleave"), Options::default());
    let operations = operations();
    assert!(operations.len() >= 11, "{operations:?}");
    for operation in operations {
        let keyed = valid(&shop, &operation).await;
        let (key, count) = (unique("a-key-of-its-own"), || shop.number(keyed.domain, keyed.effects));
        let before = count();
        let first = keyed.send(&key).send().await;
        assert!((200..300).contains(&first.status), "{operation}: {}", first.json());
        assert!(!replayed(&first.headers), "{operation}");
        for _ in 0..2 {
            let again = keyed.send(&key).send().await;
            assert_eq!(repeated(&again), repeated(&first), "{operation}");
            assert!(replayed(&again.headers), "{operation}");
        }
        if !keyed.other.is_null() {
            let other = request(&keyed.actor, &keyed.path, &keyed.other).key(&key).send().await;
            other.problem(422, "idempotency_key_reused");
        }
        assert_eq!(count(), before + 1, "{operation}");

        let keyed = valid(&shop, &operation).await;
        let (key, before) = (unique("a-key-of-twins"), shop.number(keyed.domain, keyed.effects));
        let twins = at_once((0..4).map(|_| {
            let (actor, path, body, key) = (keyed.actor.clone(), keyed.path.clone(), keyed.body.clone(), key.clone());
            move || request(&actor, &path, &body).key(&key)
        }))
        .await;
        let first = twins.iter().find(|twin| twin.status < 300).unwrap_or_else(|| panic!("{operation}: no twin"));
        for twin in &twins {
            match twin.status {
                409 => assert_eq!(twin.text("/code"), "idempotency_in_progress", "{operation}"),
                _ => assert_eq!(repeated(twin), repeated(first), "{operation}"),
            }
        }
        assert_eq!(twins.iter().filter(|twin| twin.status < 300 && !replayed(&twin.headers)).count(), 1, "{operation}");
        assert_eq!(shop.number(keyed.domain, keyed.effects), before + 1, "{operation}");
    }
}

#[tokio::test]
async fn a_declined_payment_is_replayed_as_declined() {
    let goods = shop().goods(5, 5).await;
    let cart = shop().guest_cart(&[(&goods.variant, 1)]).await;
    let key = unique("declined");
    let first = cart.checkout("tok_declined").key(&key).send().await.problem(402, "payment_declined");
    let again = cart.checkout("tok_declined").key(&key).send().await;
    assert_eq!(repeated(&again), repeated(&first));
    assert!(replayed(&again.headers));
    cart.checkout("tok_ok").key(&unique("accepted")).send().await.expect(201);
    // Also when the cart has long become an order.
    assert_eq!(repeated(&cart.checkout("tok_declined").key(&key).send().await), repeated(&first));
}

#[tokio::test]
async fn an_answer_without_effect_is_not_kept() {
    let (goods, key) = (shop().goods(5, 0).await, unique("not-kept"));
    let cart = shop().anonymous().cart(&[(&goods.variant, 1)]).await;
    cart.checkout("tok_ok").key(&key).send().await.problem(422, "cart_incomplete");
    let cart = cart.ready().await;
    cart.checkout("tok_ok").key(&key).send().await.problem(409, "out_of_stock");
    let admin = shop().admin().await;
    let path = format!("/v1/variants/{}/stock", goods.variant);
    admin.put(&path, json!({ "on_hand": 1 })).send().await.expect(200);
    let placed = cart.checkout("tok_ok").key(&key).send().await.expect(201);
    assert!(!replayed(&placed.headers));
    // A body that is not valid takes no key either.
    let key = unique("not-kept");
    let invalid = json!({ "title": "", "variants": [] });
    admin.post("/v1/products", invalid).key(&key).send().await.problem(422, "invalid");
    admin.post("/v1/products", product(&unique("Thing"), 1, 5, 5)).key(&key).send().await.expect(201);
}

#[tokio::test]
async fn what_waits_for_its_buyer_is_replayed_and_what_is_given_up_is_not_bought() {
    let (goods, key) = (shop().goods(5, 5).await, unique("action"));
    let cart = shop().guest_cart(&[(&goods.variant, 1)]).await;
    let first = cart.checkout("tok_action").key(&key).send().await.expect(202);
    let again = cart.checkout("tok_action").key(&key).send().await;
    assert_eq!(repeated(&again), repeated(&first));
    cart.owner.delete(&cart.path("/checkout")).send().await.expect(200);
    assert_eq!(repeated(&cart.checkout("tok_action").key(&key).send().await), repeated(&first));
    assert_eq!(shop().stock(&goods.variant).await, (5, 0, 5));
}

#[tokio::test]
async fn an_answer_is_replayed_even_when_its_goods_are_gone() {
    let (goods, key) = (shop().goods(5, 5).await, unique("gone-in-between"));
    let anyone = shop().anonymous();
    let body = json!({ "currency": "EUR", "lines": [{ "variant_id": goods.variant, "quantity": 1 }] });
    let made = anyone.post("/v1/carts", body.clone()).key(&key).send().await.expect(201);
    let owner = anyone.clone().cart_token(&made.text("/token"));
    let (line, lines) = (body["lines"][0].clone(), format!("/v1/carts/{}/lines", made.text("/id")));
    let added = owner.post(&lines, line.clone()).key(&key).send().await.expect(200);
    shop().admin().await.delete(&format!("/v1/products/{}", goods.product)).send().await.expect(204);
    assert_eq!(repeated(&anyone.post("/v1/carts", body).key(&key).send().await), repeated(&made));
    assert_eq!(repeated(&owner.post(&lines, line).key(&key).send().await), repeated(&added));
}

#[tokio::test]
async fn the_key_of_another_caller_is_another_key() {
    let (one, other, key) = (shop().customer().await, shop().customer().await, unique("the-same-key"));
    let mine = one.post("/v1/users/me/addresses", address()).key(&key).send().await.expect(201);
    let theirs = other.post("/v1/users/me/addresses", address()).key(&key).send().await.expect(201);
    assert!(!replayed(&theirs.headers));
    assert_ne!(mine.at("/id"), theirs.at("/id"));
    // Nor is it the same on another path.
    let goods = shop().goods(5, 5).await;
    let (first, second) = (one.cart(&[]).await, one.cart(&[]).await);
    first.add(&goods.variant, 1).key(&key).send().await.expect(200);
    let added = second.add(&goods.variant, 1).key(&key).send().await.expect(200);
    assert!(!replayed(&added.headers));
}

#[tokio::test]
async fn a_key_that_could_be_anybodys_is_refused() {
    let anyone = shop().anonymous();
    let cart = |key: &str| anyone.post("/v1/carts", json!({ "currency": "EUR" })).header("idempotency-key", key);
    for key in ["", "fifteen-letters", "sixteen letters and spaces", "schlüssel-aus-sechzehn", &"k".repeat(256)] {
        cart(key).send().await.problem(400, "invalid_header");
    }
    cart(&unique("sixteen-letters")).send().await.expect(201);
    let customer = shop().customer().await;
    let address = |key: &str| customer.post("/v1/users/me/addresses", address()).header("idempotency-key", key);
    address("1").send().await.expect(201);
    for key in ["", "a key", "clé"] {
        address(key).send().await.problem(400, "invalid_header");
    }
}

#[tokio::test]
async fn what_is_kept_shows_neither_key_nor_body() {
    let goods = shop().goods(5, 5).await;
    let (email, key, token) = (unique("clear"), unique("hidden-key"), unique("tok_hidden"));
    let body = json!({ "currency": "EUR", "lines": [{ "variant_id": goods.variant, "quantity": 1 }] });
    let made = shop().anonymous().post("/v1/carts", body).key(&key).send().await.expect(201);
    let cart_token = made.text("/token");
    let owner = shop().anonymous().cart_token(&cart_token);
    let path = format!("/v1/carts/{}", made.text("/id"));
    let who = json!({ "email": format!("{email}@test.example"), "shipping_address": address() });
    owner.patch(&path, who).send().await.expect(200);
    owner.post(&format!("{path}/checkout"), pay(&token)).key(&key).send().await.expect(402);
    assert!(shop().holds("orders", &email), "what is kept in the clear is found");
    for secret in [&key, &token, &cart_token] {
        assert!(!shop().holds("orders", secret), "{secret} is in the database");
    }
}

#[tokio::test]
async fn simultaneous_checkouts_with_keys_of_their_own_are_one_order() {
    let goods = shop().goods(5, 50).await;
    let cart = shop().guest_cart(&[(&goods.variant, 1)]).await;
    let answers = at_once((0..20).map(|_| {
        let (cart, key) = (cart.clone(), unique("each-its-own"));
        move || cart.checkout("tok_ok").key(&key)
    }))
    .await;
    assert_eq!((with(&answers, 201).len(), with(&answers, 200).len()), (1, 19));
    assert_eq!(shop().stock(&goods.variant).await, (50, 1, 49));
}
