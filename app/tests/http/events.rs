//! What a payment provider tells, and when: while its buyer is at the bank, twice, together with the buyer, and too late.
use crate::{shop, shop_with};
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Answer, Cart, Request, Shop, pay, unique, until};

const EVENTS: &str = "/v1/payment-events/test";

/// The test provider's word about an order.
fn tells(shop: &Shop, order: &str, says: &str) -> Request {
    shop.anonymous().post(EVENTS, json!({ "order": order, "says": says }))
}

/// Three of ten pieces, whose buyer is at the bank; the order that waits for it.
async fn at_the_bank(shop: &Shop) -> (String, Cart, String) {
    let variant = shop.goods(500, 10).await.variant;
    let cart = shop.guest_cart(&[(&variant, 3)]).await;
    let waits = cart.checkout("tok_action").send().await.expect(202);
    assert_eq!((waits.text("/status"), waits.text("/payment_status")), ("pending".into(), "pending".into()));
    assert_eq!((waits.text("/payment/status"), waits.text("/next_action/type")), ("action".into(), "redirect".into()));
    assert!(waits.text("/next_action/url").starts_with("https://"));
    assert_eq!(shop.stock(&variant).await, (10, 3, 7));
    (variant, cart, waits.text("/id"))
}

async fn shown(cart: &Cart, order: &str) -> Answer {
    cart.owner.get(&format!("/v1/orders/{order}")).send().await.expect(200)
}

async fn until_it_is(cart: &Cart, order: &str, status: &str) -> Answer {
    until(&format!("the order is {status}"), async || {
        Some(shown(cart, order).await).filter(|order| order.text("/status") == status)
    })
    .await
}

/// How many events of this kind the shop has written about an order.
pub(crate) fn written(shop: &Shop, kind: &str, order: &str) -> i64 {
    let of = format!("kind = '{kind}' AND CAST(payload AS text) LIKE '%{order}%'");
    shop.number("orders", &format!("SELECT count(*) AS number FROM outbox WHERE {of}"))
}

/// The cart is its buyer's again, and can be bought.
async fn is_open_again(cart: &Cart) {
    cart.change(json!({ "email": "again@test.example" })).send().await.expect(200);
    let bought = cart.bought().await;
    assert_eq!((bought.text("/status"), bought.text("/email")), ("placed".into(), "again@test.example".into()));
}

/// Money that came after the end is given back, and staff sees that it did.
async fn is_given_back(shop: &Shop, cart: &Cart, order: &str, status: &str) {
    let late = until("the money is given back", async || {
        Some(shown(cart, order).await).filter(|order| order.at("/payment/late_at") != Value::Null)
    })
    .await;
    assert_eq!((late.text("/status"), late.text("/payment/status")), (status.into(), "voided".into()));
    assert_eq!(late.at("/payment/captured"), late.at("/payment/refunded"));
    assert_eq!(written(shop, "order.payment_late", order), 1);
    assert_eq!(written(shop, "order.placed", order), i64::from(status == "cancelled"));
    let staff = shop.staff().await;
    let path = format!("/v1/orders/{order}");
    assert_eq!(staff.get(&path).send().await.expect(200).at("/payment/late_at"), late.at("/payment/late_at"));
}

#[tokio::test]
async fn the_banks_yes_places_the_order() {
    let (variant, cart, order) = at_the_bank(shop()).await;
    assert!(tells(shop(), &order, "authorised").send().await.expect(204).bytes.is_empty());
    let placed = until_it_is(&cart, &order, "placed").await;
    assert_eq!((placed.text("/payment_status"), placed.text("/cart_id")), ("authorised".into(), cart.id.clone()));
    assert!(placed.text("/number").parse::<u64>().is_ok_and(|number| number > 1000));
    assert_eq!(shop().stock(&variant).await, (10, 3, 7));
    // Told again, and by somebody who is mistaken: nothing is changed by it.
    for says in ["authorised", "declined", "authorised"] {
        tells(shop(), &order, says).send().await.expect(204);
        assert_eq!(shown(&cart, &order).await.json(), placed.json(), "{says}");
    }
    assert_eq!(cart.checkout("tok_ok").send().await.expect(200).json(), placed.json());
    assert_eq!(written(shop(), "order.placed", &order), 1);
}

#[tokio::test]
async fn the_banks_no_opens_the_cart() {
    let (variant, cart, order) = at_the_bank(shop()).await;
    tells(shop(), &order, "declined").send().await.expect(204);
    let failed = until_it_is(&cart, &order, "failed").await;
    assert_eq!((failed.text("/payment_status"), failed.text("/payment/status")), ("failed".into(), "declined".into()));
    tells(shop(), &order, "declined").send().await.expect(204);
    assert_eq!(shown(&cart, &order).await.json(), failed.json());
    assert_eq!(shop().stock(&variant).await, (10, 0, 10));
    is_open_again(&cart).await;
    assert_eq!(shop().stock(&variant).await, (10, 3, 7));
    assert_eq!(written(shop(), "order.failed", &order), 1);
}

#[tokio::test]
async fn a_buyer_who_comes_back_hears_how_it_stands() {
    let (_, cart, order) = at_the_bank(shop()).await;
    // Nothing is said yet, whatever is shown for it this time.
    for token in ["tok_action", "tok_ok", "tok_declined"] {
        let waits = cart.checkout(token).send().await.expect(202);
        assert_eq!((waits.text("/id"), waits.text("/next_action/type")), (order.clone(), "redirect".into()));
    }
    tells(shop(), &order, "authorised").send().await.expect(204);
    let back = until("it is bought", async || {
        Some(cart.checkout("tok_action").send().await).filter(|answer| answer.status != 202)
    })
    .await;
    assert_eq!((back.expect(200).text("/id"), 1), (order.clone(), written(shop(), "order.placed", &order)));
}

#[tokio::test]
async fn the_buyer_and_the_event_together_are_one_order() {
    for _ in 0..5 {
        let (variant, cart, order) = at_the_bank(shop()).await;
        let (first, second, back, other) = tokio::join!(
            tells(shop(), &order, "authorised").send(),
            tells(shop(), &order, "authorised").send(),
            cart.checkout("tok_ok").key(&unique("back")).send(),
            cart.checkout("tok_action").send(),
        );
        for told in [first, second] {
            told.expect(204);
        }
        for back in [back, other] {
            assert!(matches!(back.status, 200 | 202), "{}", back.json());
            assert_eq!(back.text("/id"), order);
        }
        until_it_is(&cart, &order, "placed").await;
        assert_eq!((written(shop(), "order.placed", &order), shop().stock(&variant).await), (1, (10, 3, 7)));
    }
}

#[tokio::test]
async fn money_for_an_attempt_that_was_given_up_goes_back() {
    let (variant, cart, order) = at_the_bank(shop()).await;
    cart.owner.delete(&cart.path("/checkout")).send().await.expect(200);
    let failed = shown(&cart, &order).await;
    assert_eq!((failed.text("/status"), failed.text("/payment/status")), ("failed".into(), "voided".into()));
    assert_eq!(failed.at("/payment/late_at"), Value::Null);
    tells(shop(), &order, "authorised").send().await.expect(204);
    is_given_back(shop(), &cart, &order, "failed").await;
    assert_eq!(shop().stock(&variant).await, (10, 0, 10));
    is_open_again(&cart).await;
}

#[tokio::test]
async fn money_after_a_no_or_a_cancellation_goes_back() {
    let (_, cart, order) = at_the_bank(shop()).await;
    tells(shop(), &order, "declined").send().await.expect(204);
    until_it_is(&cart, &order, "failed").await;
    tells(shop(), &order, "authorised").send().await.expect(204);
    is_given_back(shop(), &cart, &order, "failed").await;

    let (variant, cart, order) = at_the_bank(shop()).await;
    tells(shop(), &order, "authorised").send().await.expect(204);
    until_it_is(&cart, &order, "placed").await;
    cart.owner.post(&format!("/v1/orders/{order}/cancel"), json!({})).send().await.expect(200);
    tells(shop(), &order, "authorised").send().await.expect(204);
    is_given_back(shop(), &cart, &order, "cancelled").await;
    assert_eq!(shop().stock(&variant).await, (10, 0, 10));
}

#[tokio::test]
async fn a_buyer_who_does_not_come_back_in_time_has_bought_nothing() {
    // A shop of its own: its clock is not the tests', so what waits there is made to have waited long enough.
    let shop = shop_with(&[("CLEAVE__PRODUCTS__SWEEP_SECONDS", "1")]);
    let (variant, cart, order) = at_the_bank(&shop).await;
    let over = "SET expires_at = created_at WHERE state = 'held' RETURNING CAST(1 AS bigint) AS number";
    assert_eq!(shop.number("products", &format!("UPDATE reservations {over}")), 1);
    until("the hold expires", async || (shop.stock(&variant).await == (10, 0, 10)).then_some(())).await;
    assert_eq!(shown(&cart, &order).await.text("/status"), "pending", "the other clock is not over yet");
    let over = "SET wake_at = created_at WHERE step = 'action' RETURNING CAST(1 AS bigint) AS number";
    assert_eq!(shop.number("orders", &format!("UPDATE processes {over}")), 1);
    let failed = until_it_is(&cart, &order, "failed").await;
    assert_eq!((failed.text("/payment_status"), failed.text("/payment/status")), ("failed".into(), "voided".into()));
    assert_eq!(written(&shop, "order.failed", &order), 1);
    tells(&shop, &order, "authorised").send().await.expect(204);
    is_given_back(&shop, &cart, &order, "failed").await;
    is_open_again(&cart).await;
}

#[tokio::test]
async fn a_yes_for_a_hold_that_has_run_out_goes_back() {
    let shop = shop_with(&[("CLEAVE__PRODUCTS__SWEEP_SECONDS", "1")]);
    let (variant, cart, order) = at_the_bank(&shop).await;
    let over = "SET expires_at = created_at WHERE state = 'held' RETURNING CAST(1 AS bigint) AS number";
    assert_eq!(shop.number("products", &format!("UPDATE reservations {over}")), 1);
    until("the hold expires", async || (shop.stock(&variant).await == (10, 0, 10)).then_some(())).await;
    tells(&shop, &order, "authorised").send().await.expect(204);
    let failed = until_it_is(&cart, &order, "failed").await;
    assert_eq!((failed.text("/payment_status"), failed.text("/payment/status")), ("failed".into(), "voided".into()));
    assert_eq!((written(&shop, "order.placed", &order), shop.stock(&variant).await), (0, (10, 0, 10)));
    is_open_again(&cart).await;
}

#[tokio::test]
async fn what_is_no_event_is_told_so_and_what_concerns_nobody_is_heard() {
    tells(shop(), "order_01h455vb4pex5vsknk084sn02q", "authorised").send().await.expect(204);
    let anyone = shop().anonymous();
    let sent = json!({ "order": "order_01h455vb4pex5vsknk084sn02q", "says": "authorised" });
    for provider in ["barter", "stripe", "Test"] {
        let path = format!("/v1/payment-events/{provider}");
        anyone.post(&path, sent.clone()).send().await.problem(404, "not_found");
    }
    // Nobody tells by itself what was paid by hand.
    anyone.post("/v1/payment-events/manual", sent).send().await.problem(400, "invalid_event");
    for body in ["", "nonsense", "[]", "{}", r#"{"order":"order_1","says":"authorised"}"#] {
        let request = anyone.request(Method::POST, EVENTS).body("application/json", body);
        request.send().await.problem(400, "invalid_event");
    }
    let (_, cart, order) = at_the_bank(shop()).await;
    tells(shop(), &order, "perhaps").send().await.problem(400, "invalid_event");
    assert_eq!(shown(&cart, &order).await.text("/status"), "pending");
}

#[tokio::test]
async fn a_buyer_is_sent_back_to_a_page_only() {
    let cart = shop().guest_cart(&[(&shop().goods(500, 5).await.variant, 1)]).await;
    let ask = |url: &str| {
        let mut body = pay("tok_action");
        body["payment"]["return_url"] = json!(url);
        cart.owner.post(&cart.path("/checkout"), body).send()
    };
    for url in ["", "/bought", "http://shop.example/bought", "https://", "https:///x", "javascript://localhost/%0a"] {
        let refused = ask(url).await.problem(422, "invalid");
        assert_eq!(refused.text("/errors/0/pointer"), "/payment/return_url", "{url}");
    }
    ask("https://shop.example/bought?cart=1").await.expect(202);
    ask("http://localhost:3000/bought").await.expect(202);
}
