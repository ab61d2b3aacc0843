//! Who drove it is dead, products did what it was asked for, and is away just when it is asked again: nobody calls that
//! undone.
use crate::{
    lost::{heard_of_the_hold_only, reservations, two_of_ten},
    stage::{Stage, comes_again, counted, in_time, is_open, orders_of, settled, until_counted},
};
use serde_json::json;
use testkit::{Answer, Domain, Request, Shop, until};
use tokio::task::JoinHandle;

/// What products did is done, and `asking` has not heard of it: its driver dies, and products is away when the worker asks
/// it again.
async fn nobody_knows(shop: &mut Shop, asking: JoinHandle<Answer>, task: &str, ask: impl Fn() -> Request) {
    shop.kill_module("orders");
    comes_again(&asking.await.unwrap().problem(503, "outcome_unknown"));
    shop.kill_module("products");
    shop.proxy(Domain::Products).deliver_answers();
    shop.resume_module("orders");
    // Whoever comes meanwhile hears that it is under way, or not known: neither that it is done nor that it is not. The
    // second time after the worker has put it down and taken it up anew.
    for times in 1..=2 {
        let taken = format!(
            "SELECT count(*) AS number FROM processes WHERE done_at IS NULL AND kind = '{task}' AND tries >= {times}"
        );
        until("the worker asks in vain", async || (shop.number("orders", &taken) == 1).then_some(())).await;
        let told = in_time(ask()).await;
        assert!(is_open(&told) && told.json()["code"] != "unavailable", "{}: {}", told.what, told.json());
        assert_eq!(shop.number("orders", &taken), 1, "it stays");
    }
    shop.resume_module("products");
}

#[tokio::test]
async fn a_cancellation_that_was_left_behind_is_never_called_undone() {
    let mut shop = Stage::Others.shop().await;
    let (goods, cart, key) = two_of_ten(&shop).await;
    let path = format!("/v1/orders/{}", cart.bought().await.text("/id"));
    let cancel = || cart.owner.post(&format!("{path}/cancel"), json!({})).key(&key);
    shop.proxy(Domain::Products).swallow_answers();
    let asking = tokio::spawn(in_time(cancel()));
    until_counted(&shop, &goods.variant, (10, 0)).await;
    nobody_knows(&mut shop, asking, "cancel", cancel).await;
    let cancelled = settled("it is cancelled", cancel).await.expect(200);
    assert_eq!((cancelled.text("/status"), cancelled.text("/payment_status")), ("cancelled".into(), "voided".into()));
    assert_eq!(counted(&shop, &goods.variant).await, (10, 0));
}

#[tokio::test]
async fn a_shipment_that_was_left_behind_is_never_called_undone() {
    let mut shop = Stage::Others.shop().await;
    let (goods, cart, key) = two_of_ten(&shop).await;
    let path = format!("/v1/orders/{}", cart.bought().await.text("/id"));
    let admin = shop.admin().await;
    let ship = || admin.post(&format!("{path}/shipments"), json!({})).key(&key);
    shop.proxy(Domain::Products).swallow_answers();
    let asking = tokio::spawn(in_time(ship()));
    until_counted(&shop, &goods.variant, (8, 0)).await;
    nobody_knows(&mut shop, asking, "ship", ship).await;
    let shipped = settled("it is shipped", ship).await.expect(201);
    assert_eq!(shipped.at("/shipments").as_array().unwrap().len(), 1);
    assert_eq!(counted(&shop, &goods.variant).await, (8, 0));
}

#[tokio::test]
async fn a_checkout_that_was_left_behind_at_its_pivot_is_never_called_undone() {
    let mut shop = Stage::Others.shop().await;
    let (goods, cart, key) = two_of_ten(&shop).await;
    let before = reservations(&shop, "confirmed");
    let asking = heard_of_the_hold_only(&shop, &goods, &cart, ("tok_ok", &key)).await;
    until("it is confirmed", async || (reservations(&shop, "confirmed") == before + 1).then_some(())).await;
    let checkout = || cart.checkout("tok_ok").key(&key);
    nobody_knows(&mut shop, asking, "checkout", checkout).await;
    let bought = settled("it is bought", checkout).await;
    assert!(matches!(bought.status, 200 | 201), "{}", bought.json());
    assert_eq!(orders_of(&shop, &cart).await.len(), 1);
    assert_eq!((counted(&shop, &goods.variant).await, reservations(&shop, "confirmed")), ((10, 2), before + 1));
}
