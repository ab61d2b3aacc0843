//! Products does what it is asked for, and nobody hears of it: asked again, nothing is doubled and nothing lost.
use crate::stage::{Stage, counted, in_time, orders_of, refused, settled, until_counted};
use serde_json::json;
use testkit::{Answer, Cart, Domain, Goods, Shop, unique, until};

/// Ten pieces, and a stranger's cart with two of them.
pub(crate) async fn two_of_ten(shop: &Shop) -> (Goods, Cart, String) {
    let goods = shop.goods(500, 10).await;
    let cart = shop.guest_cart(&[(&goods.variant, 2)]).await;
    (goods, cart, unique("lost"))
}

/// Sends a checkout; its hold is heard of, and of nothing that comes after it.
pub(crate) async fn heard_of_the_hold_only(
    shop: &Shop,
    goods: &Goods,
    cart: &Cart,
    (card, key): (&str, &str),
) -> tokio::task::JoinHandle<Answer> {
    let network = shop.proxy(Domain::Products);
    network.hold_answers();
    let asking = tokio::spawn(in_time(cart.checkout(card).key(key)));
    until_counted(shop, &goods.variant, (10, 2)).await;
    network.swallow_answers();
    network.release_answers();
    asking
}

/// Reservations in this state.
pub(crate) fn reservations(shop: &Shop, state: &str) -> i64 {
    shop.number("products", &format!("SELECT count(*) AS number FROM reservations WHERE state = '{state}'"))
}

async fn is_bought_once(shop: &Shop, goods: &Goods, cart: &Cart, key: &str) {
    let bought = settled("it is bought", || cart.checkout("tok_ok").key(key)).await;
    assert!(matches!(bought.status, 200 | 201), "{}", bought.json());
    assert_eq!((bought.text("/status"), bought.text("/payment_status")), ("placed".into(), "authorised".into()));
    let orders = orders_of(shop, cart).await;
    assert_eq!((orders.len(), &orders[0]["id"]), (1, &bought.at("/id")));
    assert_eq!(counted(shop, &goods.variant).await, (10, 2));
    assert_eq!(reservations(shop, "held"), 0);
}

#[tokio::test]
async fn a_hold_that_nobody_heard_of_is_given_back() {
    let shop = Stage::Products.shop().await;
    let (goods, cart, key) = two_of_ten(&shop).await;
    shop.proxy(Domain::Products).swallow_answers();
    let asking = tokio::spawn(in_time(cart.checkout("tok_ok").key(&key)));
    until_counted(&shop, &goods.variant, (10, 2)).await;
    asking.await.unwrap().problem(503, "outcome_unknown");
    // Nobody asks: the worker does. The means of payment are gone, so it goes back.
    let back = "SELECT count(*) AS number FROM processes WHERE done_at IS NULL AND step = 'undo' AND tries >= 1";
    until("the worker goes back", async || (shop.number("orders", back) == 1).then_some(())).await;
    shop.proxy(Domain::Products).deliver_answers();
    until_counted(&shop, &goods.variant, (10, 0)).await;
    is_bought_once(&shop, &goods, &cart, &key).await;
}

#[tokio::test]
async fn a_hold_that_nobody_heard_of_expires() {
    let shop = Stage::Products.shop().await;
    let (goods, cart, key) = two_of_ten(&shop).await;
    let before = reservations(&shop, "expired");
    shop.proxy(Domain::Products).swallow_answers();
    let asking = tokio::spawn(in_time(cart.checkout("tok_ok").key(&key)));
    until_counted(&shop, &goods.variant, (10, 2)).await;
    // The minutes that it had are over, while its buyer still waits.
    let over =
        "UPDATE reservations SET expires_at = created_at WHERE state = 'held' RETURNING CAST(1 AS bigint) AS number";
    assert_eq!(shop.number("products", over), 1);
    until("it has expired", async || (reservations(&shop, "expired") == before + 1).then_some(())).await;
    asking.await.unwrap().problem(503, "outcome_unknown");
    shop.proxy(Domain::Products).deliver_answers();
    is_bought_once(&shop, &goods, &cart, &key).await;
}

#[tokio::test]
async fn a_confirmation_that_nobody_heard_of_is_asked_for_again() {
    let shop = Stage::Products.shop().await;
    let (goods, cart, key) = two_of_ten(&shop).await;
    let before = reservations(&shop, "confirmed");
    let asking = heard_of_the_hold_only(&shop, &goods, &cart, ("tok_ok", &key)).await;
    until("it is confirmed", async || (reservations(&shop, "confirmed") == before + 1).then_some(())).await;
    asking.await.unwrap().problem(503, "outcome_unknown");
    assert_eq!(orders_of(&shop, &cart).await.len(), 0, "it is not placed, and not failed");
    shop.proxy(Domain::Products).deliver_answers();
    is_bought_once(&shop, &goods, &cart, &key).await;
    assert_eq!(reservations(&shop, "confirmed"), before + 1);
}

#[tokio::test]
async fn a_release_that_nobody_heard_of_is_asked_for_again() {
    let shop = Stage::Products.shop().await;
    let (goods, cart, key) = two_of_ten(&shop).await;
    let asking = heard_of_the_hold_only(&shop, &goods, &cart, ("tok_no_money", &key)).await;
    until_counted(&shop, &goods.variant, (10, 0)).await;
    asking.await.unwrap().problem(503, "outcome_unknown");
    shop.proxy(Domain::Products).deliver_answers();
    let declined = settled("it is declined", || cart.checkout("tok_no_money").key(&key)).await;
    declined.problem(402, "payment_declined");
    assert_eq!(counted(&shop, &goods.variant).await, (10, 0));
    is_bought_once(&shop, &goods, &cart, &unique("another-card")).await;
}

#[tokio::test]
async fn a_cancellation_that_nobody_heard_of_is_asked_for_again() {
    let shop = Stage::Products.shop().await;
    let (goods, cart, key) = two_of_ten(&shop).await;
    let path = format!("/v1/orders/{}", cart.bought().await.text("/id"));
    let cancel = || cart.owner.post(&format!("{path}/cancel"), json!({})).key(&key);
    shop.proxy(Domain::Products).swallow_answers();
    refused(cancel(), "outcome_unknown").await;
    until_counted(&shop, &goods.variant, (10, 0)).await;
    let ship = shop.admin().await.post(&format!("{path}/shipments"), json!({}));
    ship.send().await.problem(409, "order_busy");
    shop.proxy(Domain::Products).deliver_answers();
    let cancelled = settled("it is cancelled", cancel).await.expect(200);
    assert_eq!((cancelled.text("/status"), cancelled.text("/payment_status")), ("cancelled".into(), "voided".into()));
    assert_eq!(counted(&shop, &goods.variant).await, (10, 0));
}

#[tokio::test]
async fn a_shipment_that_nobody_heard_of_is_asked_for_again() {
    let shop = Stage::Products.shop().await;
    let (goods, cart, key) = two_of_ten(&shop).await;
    let path = format!("/v1/orders/{}", cart.bought().await.text("/id"));
    let admin = shop.admin().await;
    let ship = || admin.post(&format!("{path}/shipments"), json!({ "carrier": "Post" })).key(&key);
    shop.proxy(Domain::Products).swallow_answers();
    refused(ship(), "outcome_unknown").await;
    until_counted(&shop, &goods.variant, (8, 0)).await;
    admin.post(&format!("{path}/cancel"), json!({})).send().await.problem(409, "order_busy");
    shop.proxy(Domain::Products).deliver_answers();
    let shipped = settled("it is shipped", ship).await.expect(201);
    assert_eq!(shipped.text("/fulfilment_status"), "fulfilled");
    assert_eq!(shipped.at("/shipments").as_array().unwrap().len(), 1);
    assert_eq!(counted(&shop, &goods.variant).await, (8, 0));
    admin.post(&format!("{path}/cancel"), json!({})).send().await.problem(409, "order_not_cancellable");
}
