//! One cart's money, moved by many at once.
use crate::{at_once, shop, with};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use testkit::{Actor, Answer, Cart, Request, unique, until};

type Make = Box<dyn Fn() -> Request + Send>;

/// Sells for 2000 cents, four pieces of ten.
const TOTAL: i64 = 2000;

fn euro(amount: i64) -> Value {
    json!({ "amount": amount, "currency": "EUR" })
}
/// Moves some of an order's money, under a key when there is one.
fn moves(staff: &Actor, order: &str, what: &str, amount: i64, key: Option<&str>) -> Make {
    let (staff, path, key) = (staff.clone(), format!("/v1/orders/{order}/{what}"), key.map(str::to_owned));
    let body = json!({ "amount": euro(amount), "reason": "a race" });
    Box::new(move || {
        let asked = staff.post(&path, body.clone());
        key.iter().fold(asked, |asked, key| asked.key(key))
    })
}
/// The bank's word on an order.
fn authorised(order: &str) -> Make {
    let body = json!({ "order": order, "says": "authorised" });
    Box::new(move || shop().anonymous().post("/v1/payment-events/test", body.clone()))
}
async fn shown(staff: &Actor, order: &str) -> Answer {
    staff.get(&format!("/v1/orders/{order}")).send().await.expect(200)
}
fn paid(order: &Answer, what: &str) -> i64 {
    order.number(&format!("/payment/{what}/amount"))
}
/// Whoever is refused hears one of these; anything else is no answer.
fn refused_with(answers: &[Answer], codes: &[&str]) {
    for answer in answers.iter().filter(|answer| answer.status >= 400) {
        assert!(codes.contains(&answer.text("/code").as_str()), "{}: {}", answer.what, answer.json());
    }
}
/// The orders that were named in an answer.
fn orders(answers: &[Answer]) -> BTreeSet<String> {
    answers.iter().filter(|answer| answer.status < 300).map(|answer| answer.text("/id")).collect()
}
/// Nothing that changes an order is left under way, of this test or of its neighbours.
async fn at_rest() {
    let open = "SELECT count(*) AS number FROM processes WHERE done_at IS NULL AND kind <> 'checkout'";
    until("no change of an order is under way", async || (shop().number("orders", open) == 0).then_some(())).await;
}
/// Captures what was bought by twenty at once, half of them under one key: no cent more than its total.
async fn is_captured_once(staff: &Actor, order: &str) {
    let key = unique("capture");
    let asks = (0..20).map(|n| moves(staff, order, "captures", TOTAL, (n % 2 == 0).then_some(&*key)));
    let answers = at_once(asks).await;
    assert!(!with(&answers, 201).is_empty());
    refused_with(&answers, &["order_busy", "idempotency_in_progress", "order_not_capturable"]);
    at_rest().await;
    let order = shown(staff, order).await;
    assert_eq!((paid(&order, "captured"), order.at("/captures").as_array().map(Vec::len)), (TOTAL, Some(1)));
}

#[tokio::test]
async fn a_cart_that_two_hundred_buy_at_once_is_paid_once() {
    let staff = shop().staff().await;
    let goods = shop().goods(500, 10).await;
    let cart = shop().guest_cart(&[(&goods.variant, 4)]).await;
    let buyer = cart.clone();
    let answers = at_once((0..200).map(move |_| {
        let cart = buyer.clone();
        move || cart.checkout("tok_ok")
    }))
    .await;
    refused_with(&answers, &["order_busy"]);
    let made = orders(&answers);
    assert_eq!((made.len(), with(&answers, 201).len()), (1, 1));
    let order = made.first().expect("one");
    is_captured_once(&staff, order).await;
    assert_eq!(shop().stock(&goods.variant).await, (10, 4, 6));
}

#[tokio::test]
async fn the_bank_and_two_hundred_returning_buyers_make_one_order() {
    let staff = shop().staff().await;
    let goods = shop().goods(500, 10).await;
    let cart = shop().guest_cart(&[(&goods.variant, 4)]).await;
    let order = cart.checkout("tok_action").send().await.expect(202).text("/id");
    let mut all: Vec<Make> = Vec::new();
    for n in 0..200 {
        let cart = cart.clone();
        all.push(Box::new(move || cart.checkout("tok_action")));
        if n % 50 == 25 {
            all.push(authorised(&order));
        }
    }
    let answers = at_once(all).await;
    let (events, completes): (Vec<_>, Vec<_>) = answers.into_iter().partition(|a| a.what.contains("payment-events"));
    assert!(events.iter().all(|event| event.status < 300), "{:?}", events.iter().map(|e| e.status).collect::<Vec<_>>());
    refused_with(&completes, &["order_busy"]);
    assert_eq!(orders(&completes), BTreeSet::from([order.clone()]));
    until("it is placed", async || (shown(&staff, &order).await.text("/status") == "placed").then_some(())).await;
    is_captured_once(&staff, &order).await;
    assert_eq!(shop().stock(&goods.variant).await, (10, 4, 6));
}

/// The order that a cart's checkout is becoming, before anybody was told of it.
async fn begun(staff: &Actor, cart: &Cart) -> String {
    until("the checkout has begun", async || {
        let list = staff.get("/v1/orders?status=pending&limit=100").send().await.expect(200).at("/items");
        let of_it = list.as_array().expect("a list").iter().find(|order| order["cart_id"] == cart.id.as_str()).cloned();
        of_it.map(|order| order["id"].as_str().expect("text").to_owned())
    })
    .await
}

#[tokio::test]
async fn the_banks_word_may_be_there_before_anybody_was_answered() {
    let staff = shop().staff().await;
    for _ in 0..5 {
        let goods = shop().goods(500, 10).await;
        let cart = shop().guest_cart(&[(&goods.variant, 4)]).await;
        let early = async {
            let order = begun(&staff, &cart).await;
            authorised(&order)().send().await.expect(204);
            order
        };
        let buyer = cart.clone();
        let completes = at_once((0..50).map(move |_| {
            let cart = buyer.clone();
            move || cart.checkout("tok_action")
        }));
        let (order, answers) = tokio::join!(early, completes);
        refused_with(&answers, &["order_busy"]);
        assert_eq!(orders(&answers), BTreeSet::from([order.clone()]));
        until("it is placed", async || (shown(&staff, &order).await.text("/status") == "placed").then_some(())).await;
        is_captured_once(&staff, &order).await;
        assert_eq!(shop().stock(&goods.variant).await, (10, 4, 6));
    }
}

#[tokio::test]
async fn refunds_at_once_never_give_back_more_than_was_taken() {
    let staff = shop().staff().await;
    for _ in 0..3 {
        let goods = shop().goods(500, 10).await;
        let order = shop().guest_cart(&[(&goods.variant, 4)]).await.bought().await.text("/id");
        moves(&staff, &order, "captures", 1500, None)().send().await.expect(201);
        let answers = at_once((0..12).map(|_| moves(&staff, &order, "refunds", 400, None))).await;
        refused_with(&answers, &["order_busy", "order_not_refundable"]);
        at_rest().await;
        let given = with(&answers, 201).len();
        assert!((1..=3).contains(&given), "{given} refunds of 400 of 1500");
        let order = shown(&staff, &order).await;
        assert_eq!(paid(&order, "refunded"), 400 * given as i64);
        assert_eq!(order.at("/refunds").as_array().map(Vec::len), Some(given));
    }
}

#[tokio::test]
async fn of_cancel_ship_and_capture_only_what_goes_together_happens() {
    let staff = shop().staff().await;
    for _ in 0..10 {
        let goods = shop().goods(500, 10).await;
        let order = shop().guest_cart(&[(&goods.variant, 4)]).await.bought().await.text("/id");
        let [cancel, ship]: [Make; 2] = ["cancel", "shipments"].map(|what| {
            let (staff, path) = (staff.clone(), format!("/v1/orders/{order}/{what}"));
            Box::new(move || staff.post(&path, json!({}))) as Make
        });
        let answers = at_once([cancel, ship, moves(&staff, &order, "captures", TOTAL, None)]).await;
        at_rest().await;
        let now = shown(&staff, &order).await;
        let done: Vec<_> = answers.iter().map(|answer| answer.status < 300).collect();
        let (cancelled, shipped, captured) = (done[0], done[1], done[2]);
        assert!(done.contains(&true), "{}", now.json());
        assert!(!(cancelled && shipped), "{}", now.json());
        let status = match (cancelled, shipped && captured) {
            (true, _) => "cancelled",
            (false, true) => "completed",
            (false, false) => "placed",
        };
        assert_eq!(now.text("/status"), status);
        assert_eq!(now.text("/fulfilment_status"), if shipped { "fulfilled" } else { "unfulfilled" });
        assert_eq!(paid(&now, "captured"), if captured { TOTAL } else { 0 });
        // What was taken for an order that is cancelled is given back, all of it.
        assert_eq!(paid(&now, "refunded"), if captured && cancelled { TOTAL } else { 0 });
        let stock = if shipped {
            (6, 0, 6)
        } else if cancelled {
            (10, 0, 10)
        } else {
            (10, 4, 6)
        };
        assert_eq!(shop().stock(&goods.variant).await, stock);
    }
}
