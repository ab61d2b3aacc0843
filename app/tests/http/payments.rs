//! The money of an order: captured and given back, whole and in parts, and what its status says of it.
use crate::{events::written, goods::refused, shop};
use serde_json::{Value, json};
use testkit::{Actor, Answer, Cart, unique};

fn euro(cents: i64) -> Value {
    json!({ "amount": { "amount": cents, "currency": "EUR" } })
}

/// An order of ten euro, and the clerk who keeps its books.
struct Bought {
    cart: Cart,
    path: String,
    clerk: Actor,
}

async fn bought() -> Bought {
    bought_at(500).await
}

/// Two pieces of this price.
async fn bought_at(price: i64) -> Bought {
    let cart = shop().guest_cart(&[(&shop().goods(price, 5).await.variant, 2)]).await;
    let path = format!("/v1/orders/{}", cart.bought().await.text("/id"));
    Bought { cart, path, clerk: shop().staff().await }
}

impl Bought {
    async fn capture(&self, body: Value) -> Answer {
        self.clerk.post(&format!("{}/captures", self.path), body).send().await
    }
    async fn refund(&self, body: Value) -> Answer {
        self.clerk.post(&format!("{}/refunds", self.path), body).send().await
    }
    async fn ship(&self) -> Answer {
        self.clerk.post(&format!("{}/shipments", self.path), json!({})).send().await
    }
    async fn cancel(&self) -> Answer {
        self.cart.owner.post(&format!("{}/cancel", self.path), json!({})).send().await
    }
    /// How often it was told that the order is paid and that it is completed.
    fn told(&self) -> (i64, i64) {
        let id = self.path.rsplit('/').next().expect("a path");
        (written(shop(), "order.paid", id), written(shop(), "order.completed", id))
    }
    async fn show(&self) -> Answer {
        self.cart.owner.get(&self.path).send().await.expect(200)
    }
}

/// What its order says of its money: the status, what was captured, what was given back.
#[track_caller]
fn money(order: &Answer) -> (String, i64, i64) {
    let moved = |way: &str| order.number(&format!("/payment/{way}/amount"));
    (order.text("/payment_status"), moved("captured"), moved("refunded"))
}

/// The amounts of a list that are done.
#[track_caller]
fn done(order: &Answer, list: &str) -> Vec<i64> {
    let all = order.at(list);
    let all = all.as_array().expect("a list");
    assert!(all.iter().all(|each| each["status"] == "done"), "{all:?}");
    all.iter().map(|each| each["amount"]["amount"].as_i64().expect("an amount")).collect()
}

#[tokio::test]
async fn all_of_it_is_captured_when_no_amount_is_said() {
    let order = bought().await;
    let before = order.show().await;
    assert_eq!(money(&before), ("authorised".into(), 0, 0));
    let named = ["/payment/provider", "/payment/status"].map(|pointer| before.text(pointer));
    assert_eq!((named, before.number("/payment/amount/amount")), (["test".into(), "authorised".into()], 1000));
    assert_eq!((before.at("/captures"), before.at("/refunds")), (json!([]), json!([])));

    let captured = order.capture(json!({ "reason": "sent today" })).await.expect(201);
    assert_eq!(captured.header("location"), Some(order.path.as_str()));
    assert_eq!((money(&captured), done(&captured, "/captures")), (("paid".into(), 1000, 0), vec![1000]));
    assert_eq!(captured.text("/captures/0/reason"), "sent today");
    assert_eq!(captured.text("/status"), "placed");
    let shown = order.show().await;
    assert_eq!((shown.json(), shown.header("etag")), (captured.json(), captured.header("etag")));
    order.capture(json!({})).await.problem(409, "order_not_capturable");
    assert_eq!(order.show().await.json(), captured.json());
}

#[tokio::test]
async fn it_is_captured_in_parts_and_never_beyond() {
    let order = bought().await;
    assert_eq!(money(&order.capture(euro(300)).await.expect(201)), ("authorised".into(), 300, 0));
    order.capture(euro(701)).await.problem(409, "order_not_capturable");
    assert_eq!(money(&order.capture(euro(200)).await.expect(201)), ("authorised".into(), 500, 0));
    let rest = order.capture(json!({})).await.expect(201);
    assert_eq!((money(&rest), done(&rest, "/captures")), (("paid".into(), 1000, 0), vec![300, 200, 500]));
    order.capture(euro(1)).await.problem(409, "order_not_capturable");
}

#[tokio::test]
async fn it_is_given_back_in_parts_and_never_beyond() {
    let order = bought().await;
    order.refund(json!({})).await.problem(409, "order_not_refundable");
    order.capture(euro(600)).await.expect(201);
    order.refund(euro(601)).await.problem(409, "order_not_refundable");
    let part = order.refund(json!({ "amount": { "amount": 250, "currency": "EUR" }, "reason": "a scratch" })).await;
    let part = part.expect(201);
    assert_eq!(
        (money(&part), part.text("/refunds/0/reason")),
        (("partially_refunded".into(), 600, 250), "a scratch".into())
    );
    order.refund(euro(351)).await.problem(409, "order_not_refundable");
    let rest = order.refund(json!({})).await.expect(201);
    assert_eq!((money(&rest), done(&rest, "/refunds")), (("refunded".into(), 600, 600), vec![250, 350]));
    order.refund(json!({})).await.problem(409, "order_not_refundable");
    assert_eq!(order.show().await.json(), rest.json());
}

#[tokio::test]
async fn only_an_amount_of_the_orders_currency_is_moved() {
    let order = bought().await;
    order.capture(euro(500)).await.expect(201);
    let before = order.show().await;
    let yen = json!({ "amount": { "amount": 1, "currency": "JPY" } });
    refused(order.capture(yen.clone()).await, &[("/amount/currency", "not_usable")]);
    refused(order.refund(yen).await, &[("/amount/currency", "not_usable")]);
    for nothing in [0, -1] {
        refused(order.capture(euro(nothing)).await, &[("/amount/amount", "out_of_range")]);
        refused(order.refund(euro(nothing)).await, &[("/amount/amount", "out_of_range")]);
    }
    refused(order.refund(json!({ "reason": "x".repeat(501) })).await, &[("/reason", "too_long")]);
    assert_eq!(order.show().await.json(), before.json());
}

#[tokio::test]
async fn an_order_is_completed_once_it_is_sent_and_paid() {
    let order = bought().await;
    assert_eq!(order.capture(json!({})).await.expect(201).text("/status"), "placed");
    let sent = order.ship().await.expect(201);
    assert_eq!((sent.text("/status"), sent.text("/fulfilment_status")), ("completed".into(), "fulfilled".into()));

    let order = bought().await;
    order.capture(euro(400)).await.expect(201);
    assert_eq!(order.ship().await.expect(201).text("/status"), "placed");
    let paid = order.capture(json!({})).await.expect(201);
    assert_eq!((paid.text("/status"), money(&paid)), ("completed".into(), ("paid".into(), 1000, 0)));
    order.cancel().await.problem(409, "order_not_cancellable");
    assert_eq!(order.told(), (1, 1));
    // What came back is paid for, and the order stays what it was.
    let back = order.refund(euro(1000)).await.expect(201);
    assert_eq!((back.text("/status"), money(&back)), ("completed".into(), ("refunded".into(), 1000, 1000)));
    assert_eq!(order.told(), (1, 1));
}

#[tokio::test]
async fn that_all_of_the_money_came_is_told_once() {
    let order = bought().await;
    order.capture(euro(400)).await.expect(201);
    assert_eq!(order.told(), (0, 0));
    // Never `paid` by its status: some of it went back before the rest came.
    order.refund(euro(400)).await.expect(201);
    let all = order.capture(json!({})).await.expect(201);
    assert_eq!(money(&all), ("partially_refunded".into(), 1000, 400));
    assert_eq!(order.told(), (1, 0));
    order.ship().await.expect(201);
    order.refund(euro(600)).await.expect(201);
    assert_eq!(order.told(), (1, 1));
    // Nothing was to come: it is paid when it is placed.
    let free = bought_at(0).await;
    assert_eq!((free.show().await.text("/payment_status"), free.told()), ("paid".into(), (1, 0)));
    free.ship().await.expect(201);
    assert_eq!(free.told(), (1, 1));
    let cancelled = bought_at(0).await;
    cancelled.cancel().await.expect(200);
    assert_eq!(cancelled.told(), (1, 0));
}

#[tokio::test]
async fn a_cancellation_gives_back_what_was_captured_and_not_yet_refunded() {
    for (captured, refunded, expected) in
        [(None, None, vec![1000]), (Some(300), None, vec![300]), (None, Some(400), vec![400, 600])]
    {
        let order = bought().await;
        order.capture(captured.map_or(json!({}), euro)).await.expect(201);
        if let Some(part) = refunded {
            order.refund(euro(part)).await.expect(201);
        }
        let cancelled = order.cancel().await.expect(200);
        let all = captured.unwrap_or(1000);
        assert_eq!((cancelled.text("/status"), money(&cancelled)), ("cancelled".into(), ("refunded".into(), all, all)));
        assert_eq!(done(&cancelled, "/refunds"), expected);
        assert_eq!(order.show().await.json(), cancelled.json());
        order.capture(json!({})).await.problem(409, "order_not_capturable");
        order.refund(json!({})).await.problem(409, "order_not_refundable");
    }
}

#[tokio::test]
async fn who_pays_some_other_way_has_paid_when_staff_says_so() {
    let goods = shop().goods(500, 5).await;
    let by_hand = json!({ "payment": { "provider": "manual" } });
    let placed = async || {
        let cart = shop().guest_cart(&[(&goods.variant, 2)]).await;
        let order = cart.owner.post(&cart.path("/checkout"), by_hand.clone()).send().await.expect(201);
        assert_eq!((order.text("/status"), money(&order)), ("placed".into(), ("pending".into(), 0, 0)));
        Bought { cart, path: format!("/v1/orders/{}", order.text("/id")), clerk: shop().staff().await }
    };
    let order = placed().await;
    assert_eq!(money(&order.capture(euro(999)).await.expect(201)), ("pending".into(), 999, 0));
    assert_eq!(money(&order.capture(euro(1)).await.expect(201)), ("paid".into(), 1000, 0));
    assert_eq!(money(&order.refund(euro(1)).await.expect(201)), ("partially_refunded".into(), 1000, 1));
    assert_eq!(order.ship().await.expect(201).text("/status"), "completed");
    let cancelled = placed().await.cancel().await.expect(200);
    assert_eq!((money(&cancelled), cancelled.at("/refunds")), (("voided".into(), 0, 0), json!([])));
}

#[tokio::test]
async fn no_money_moves_for_an_order_that_is_not_placed() {
    let cart = shop().guest_cart(&[(&shop().goods(500, 5).await.variant, 1)]).await;
    cart.checkout("tok_declined").send().await.problem(402, "payment_declined");
    let staff = shop().staff().await;
    let pending = cart.checkout("tok_action").send().await.expect(202);
    assert_eq!(money(&pending), ("pending".into(), 0, 0));
    let path = format!("/v1/orders/{}", pending.text("/id"));
    cart.owner.delete(&cart.path("/checkout")).send().await.expect(200);
    let failed = cart.owner.get(&path).send().await.expect(200);
    assert_eq!((failed.text("/status"), money(&failed)), ("failed".into(), ("failed".into(), 0, 0)));
    for (what, code) in [("captures", "order_not_capturable"), ("refunds", "order_not_refundable")] {
        staff.post(&format!("{path}/{what}"), json!({})).send().await.problem(409, code);
    }
    let waits = cart.checkout("tok_action").send().await.expect(202).text("/id");
    for (what, code) in [("captures", "order_not_capturable"), ("refunds", "order_not_refundable")] {
        staff.post(&format!("/v1/orders/{waits}/{what}"), json!({})).send().await.problem(409, code);
    }
}

#[tokio::test]
async fn money_is_moved_once_for_a_key() {
    let order = bought().await;
    for (what, list) in [("captures", "/captures"), ("refunds", "/refunds")] {
        let key = unique("a-key-for-money");
        let ask = |cents| order.clerk.post(&format!("{}/{what}", order.path), euro(cents)).key(&key);
        let first = ask(200).send().await.expect(201);
        // Meanwhile it goes on.
        order.capture(euro(100)).await.expect(201);
        let again = ask(200).send().await.expect(201);
        assert_eq!((again.json(), again.header("idempotent-replayed")), (first.json(), Some("true")));
        ask(201).send().await.problem(422, "idempotency_key_reused");
        let moved = done(&order.show().await, list);
        assert_eq!(moved.iter().filter(|cents| **cents == 200).count(), 1, "{what}: {moved:?}");
    }
}
