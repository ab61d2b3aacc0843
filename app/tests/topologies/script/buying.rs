//! Carts, checkouts, orders, and what becomes of them.
use super::{catalogue::Goods, nothing};
use crate::{
    pair::{Pair, Seen, Who},
    script::people::People,
};
use serde_json::{Value, json};
use testkit::{address, pay};

/// A cart with everything that a checkout needs.
pub(crate) struct Cart {
    pub path: String,
    pub owner: Who,
    pub line: String,
}

/// Whoever has no account becomes the cart's guest.
pub(crate) async fn cart(pair: &mut Pair, who: &Who, variant: &str, quantity: i64) -> Cart {
    let lines = json!([{ "variant_id": variant, "quantity": quantity }]);
    let made = pair.send(who.post("/v1/carts", json!({ "currency": "EUR", "lines": lines }))).await.expect(201);
    let owner = made.body["token"].as_str().map_or_else(|| who.clone(), Who::guest);
    let path = format!("/v1/carts/{}", made.text("/id"));
    let change = json!({ "email": "buyer@test.example", "shipping_address": address() });
    pair.send(owner.patch(&path, change)).await.expect(200);
    let line = format!("{path}/lines/{}", made.text("/lines/0/id"));
    Cart { path, owner, line }
}

impl Cart {
    pub(crate) async fn checkout(&self, pair: &mut Pair, token: &str) -> Seen {
        pair.send(self.owner.post(&format!("{}/checkout", self.path), pay(token))).await
    }
    /// The order's path.
    pub(crate) async fn bought(&self, pair: &mut Pair) -> String {
        format!("/v1/orders/{}", self.checkout(pair, "tok_ok").await.expect(201).text("/id"))
    }
}

pub(crate) async fn script(pair: &mut Pair, people: &People, goods: &Goods) {
    carts(pair, people, goods).await;
    checkouts(pair, people, goods).await;
    orders(pair, people, goods).await;
}

async fn carts(pair: &mut Pair, People { anyone, customer, admin, .. }: &People, goods: &Goods) {
    let body = |variant: &str| json!({ "currency": "EUR", "lines": [{ "variant_id": variant, "quantity": 1 }] });
    pair.twice(anyone.post("/v1/carts", body(&goods.variant)), "a-guest's-cart-0001").await.expect(201);
    for variant in [goods.yen.as_str(), &nothing("var"), "nonsense"] {
        pair.send(anyone.post("/v1/carts", body(variant))).await.expect(422);
    }
    for who in [anyone, customer] {
        let Cart { path, owner, line } = cart(pair, who, &goods.variant, 1).await;
        let tag = pair.send(owner.get(&path)).await.expect(200).tag();
        pair.send(owner.get(&path).header("if-none-match", &tag)).await.expect(304);
        pair.send(owner.get(&format!("{path}/shipping-options"))).await.expect(200);
        let rename = owner.patch(&path, json!({ "email": "other@test.example" })).header("if-match", &tag);
        pair.send(rename.clone()).await.expect(200);
        pair.send(rename).await.problem(412, "version_mismatch");
        pair.send(owner.patch(&path, json!({ "shipping_option_id": "by-pigeon" }))).await.problem(422, "invalid");
        let add = |variant: &str| owner.post(&format!("{path}/lines"), json!({ "variant_id": variant, "quantity": 2 }));
        pair.twice(add(&goods.variant), "a-line-of-a-cart-0001").await.expect(200);
        pair.send(add(&goods.yen)).await.problem(422, "invalid");
        let lines = owner.patch(&line, json!({ "quantity": 3 }));
        pair.send(lines.clone()).await.expect(200);
        pair.send(lines.header("if-match", &tag)).await.problem(412, "version_mismatch");
        pair.send(owner.patch(&line, json!({ "quantity": 0 }))).await.problem(422, "invalid");
        pair.send(owner.delete(&line).header("if-match", &tag)).await.problem(412, "version_mismatch");
        pair.send(owner.delete(&line).header("if-match", "nonsense")).await.problem(400, "invalid_header");
        for stranger in [anyone, admin, &Who::guest("a token that is wrong")] {
            pair.send(stranger.get(&path)).await.problem(404, "not_found");
            pair.send(stranger.delete(&line)).await.problem(404, "not_found");
        }
        pair.send(owner.delete(&line)).await.expect(200);
        pair.send(owner.delete(&line)).await.problem(404, "not_found");
        let empty = pair.send(owner.post(&format!("{path}/checkout"), pay("tok_ok"))).await;
        empty.problem(422, "cart_incomplete");
    }
}

async fn checkouts(pair: &mut Pair, People { anyone, customer, clerk, .. }: &People, goods: &Goods) {
    for who in [anyone, customer] {
        let open = cart(pair, who, &goods.variant, 1).await;
        let (checkout, owner) = (format!("{}/checkout", open.path), &open.owner);
        pair.send(owner.delete(&checkout)).await.problem(409, "no_checkout");
        open.checkout(pair, "tok_declined").await.problem(402, "payment_declined");
        pair.send(owner.post(&checkout, json!({ "payment": { "provider": "barter", "token": "x" } })))
            .await
            .expect(422);
        open.checkout(pair, "tok_action").await.expect(202);
        open.checkout(pair, "tok_ok").await.expect(202);
        pair.send(owner.patch(&open.path, json!({ "email": null }))).await.problem(409, "cart_locked");
        pair.send(owner.patch(&open.line, json!({ "quantity": 9 }))).await.problem(409, "cart_locked");
        pair.send(owner.delete(&open.line)).await.problem(409, "cart_locked");
        let more = json!({ "variant_id": goods.variant, "quantity": 1 });
        pair.send(owner.post(&format!("{}/lines", open.path), more)).await.problem(409, "cart_locked");
        pair.send(owner.delete(&checkout)).await.expect(200);
        let paid = pair.twice(owner.post(&checkout, pay("tok_ok")), "a-checkout-0001").await.expect(201);
        open.checkout(pair, "tok_ok").await.expect(200);
        pair.send(owner.delete(&checkout)).await.problem(409, "cart_completed");
        let order = format!("/v1/orders/{}", paid.text("/id"));
        let tag = pair.send(owner.get(&order)).await.expect(200).tag();
        pair.send(owner.get(&order).header("if-none-match", &tag)).await.expect(304);
    }
    let manual = cart(pair, anyone, &goods.variant, 1).await;
    let by_hand = json!({ "payment": { "provider": "manual" } });
    pair.send(manual.owner.post(&format!("{}/checkout", manual.path), by_hand)).await.expect(201);
    let greedy = cart(pair, anyone, &goods.last, 2).await;
    greedy.checkout(pair, "tok_ok").await.problem(409, "out_of_stock");
    let late = cart(pair, anyone, &goods.last, 1).await;
    let prices = json!({ "prices": [{ "amount": 2999, "currency": "EUR" }] });
    pair.send(clerk.patch(&format!("/v1/variants/{}", goods.last), prices)).await.expect(200);
    late.checkout(pair, "tok_ok").await.problem(409, "cart_changed");
    late.checkout(pair, "tok_ok").await.expect(201);
}

async fn orders(pair: &mut Pair, people: &People, goods: &Goods) {
    let People { anyone, customer, clerk, .. } = people;
    let order = cart(pair, customer, &goods.variant, 1).await.bought(pair).await;
    let change = |who: &Who, order: &str, what: &str, body: Value| who.post(&format!("{order}/{what}"), body);
    let held = json!({ "on_hand": 0 });
    pair.send(clerk.put(&format!("/v1/variants/{}/stock", goods.variant), held)).await.problem(409, "below_reserved");
    pair.send(anyone.get(&order)).await.problem(404, "not_found");
    let reason = json!({ "reason": "changed my mind" });
    pair.twice(change(customer, &order, "cancel", reason), "a-cancellation-0001").await.expect(200);
    pair.send(change(customer, &order, "cancel", json!({}))).await.expect(200);
    pair.send(change(clerk, &order, "shipments", json!({}))).await.problem(409, "order_not_shippable");
    let order = cart(pair, customer, &goods.variant, 2).await.bought(pair).await;
    pair.send(change(customer, &order, "shipments", json!({}))).await.problem(403, "forbidden");
    let shipment = json!({ "carrier": "Post", "tracking_number": "1" });
    pair.twice(change(clerk, &order, "shipments", json!({ "carrier": "Post" })), "a-shipment-0001").await.expect(201);
    pair.send(change(clerk, &order, "shipments", shipment)).await;
    pair.send(change(customer, &order, "cancel", json!({}))).await.problem(409, "order_not_cancellable");
    money(pair, people, goods).await;
    for query in ["", "?limit=1", "?count=true", "?status=pending", "?status=placed", "?status=nonsense"] {
        for who in [customer, clerk, anyone] {
            pair.send(who.get(&format!("/v1/orders{query}"))).await;
        }
    }
    let first = pair.send(clerk.get("/v1/orders?limit=2")).await.expect(200).text("/next");
    pair.send(clerk.get(&format!("/v1/orders?limit=2&cursor={first}"))).await.expect(200);
    for who in [customer, clerk, anyone] {
        pair.send(who.get("/v1/storefront/account")).await;
    }
}

/// Captures, refunds, and what a provider tells.
async fn money(pair: &mut Pair, People { anyone, customer, clerk, admin, .. }: &People, goods: &Goods) {
    let order = cart(pair, customer, &goods.variant, 2).await.bought(pair).await;
    let part = |amount: i64, currency: &str| json!({ "amount": { "amount": amount, "currency": currency } });
    let (captures, refunds) = (format!("{order}/captures"), format!("{order}/refunds"));
    for path in [&captures, &refunds] {
        for who in [anyone, customer] {
            pair.send(who.post(path, json!({}))).await;
        }
        pair.send(clerk.post(path, part(1, "JPY"))).await.problem(422, "invalid");
        pair.send(clerk.post(path, part(0, "EUR"))).await.problem(422, "invalid");
    }
    pair.send(clerk.post(&refunds, json!({}))).await.problem(409, "order_not_refundable");
    pair.send(clerk.post(&captures, part(1_000_000, "EUR"))).await.problem(409, "order_not_capturable");
    pair.twice(clerk.post(&captures, part(100, "EUR")), "a-capture-0001").await.expect(201);
    pair.send(admin.post(&captures, json!({ "reason": "the rest" }))).await.expect(201);
    pair.send(clerk.post(&captures, json!({}))).await.problem(409, "order_not_capturable");
    pair.twice(clerk.post(&refunds, part(100, "EUR")), "a-refund-0001").await.expect(201);
    pair.send(clerk.post(&refunds, part(1_000_000, "EUR"))).await.problem(409, "order_not_refundable");
    pair.send(clerk.post(&refunds, json!({ "reason": "all of it" }))).await.expect(201);
    for who in [customer, clerk] {
        pair.send(who.get(&order)).await.expect(200);
    }

    let told = |order: &str, says: &str| {
        let order = order.rsplit('/').next().unwrap_or_default();
        anyone.post("/v1/payment-events/test", json!({ "order": order, "says": says }))
    };
    pair.send(told(&nothing("order"), "authorised")).await.expect(204);
    pair.send(told(&order, "nonsense")).await.problem(400, "invalid_event");
    for provider in ["barter", "manual"] {
        let path = format!("/v1/payment-events/{provider}");
        pair.send(anyone.post(&path, json!({ "order": nothing("order"), "says": "authorised" }))).await;
    }
    let waits = cart(pair, customer, &goods.variant, 1).await;
    let order = format!("/v1/orders/{}", waits.checkout(pair, "tok_action").await.expect(202).text("/id"));
    pair.send(told(&order, "authorised")).await.expect(204);
    pair.until(customer.get(&order), |order| order["status"] == "placed").await.expect(200);
    pair.send(told(&order, "authorised")).await.expect(204);
    waits.checkout(pair, "tok_ok").await.expect(200);
}
