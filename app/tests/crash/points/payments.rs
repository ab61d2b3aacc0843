//! Scenes of money that moves after, or beside, the buyer's request.
use super::world::{TEST_WARY, World, list};
use serde_json::json;
use testkit::{Answer, unique};

/// The bank tells before the buyer is back, and tells it twice.
pub(crate) async fn is_confirmed_by_the_bank(world: &World) {
    let variant = world.goods(10).await;
    let buyer = world.buyer(&variant, 3).await;
    let (order, intent) = buyer.is_sent_to_the_bank().await;
    world.stripe.bank_confirms(&intent);
    world.stripe_tells(&intent).await;
    world.until_order(&order, "placed").await;
    world.stripe_tells(&intent).await;
    assert_eq!(buyer.comes_back().await.text("/id"), order, "told twice and asked again: one order");
    assert_eq!(world.stock(&variant).await, (10, 3));
}

/// Nobody tells: the buyer is back, and the provider is asked.
pub(crate) async fn is_back_from_the_bank(world: &World) {
    let variant = world.goods(10).await;
    let buyer = world.buyer(&variant, 3).await;
    let (order, intent) = buyer.is_sent_to_the_bank().await;
    world.stripe.bank_confirms(&intent);
    assert_eq!(buyer.comes_back().await.text("/id"), order);
    assert_eq!(buyer.comes_back().await.text("/id"), order);
    world.stripe_tells(&intent).await;
    assert_eq!(world.stock(&variant).await, (10, 3));
}

/// The provider tells of money before anybody here has heard that there is any.
pub(crate) async fn is_told_first(world: &World) {
    let variant = world.goods(10).await;
    let buyer = world.buyer(&variant, 3).await;
    let before = world.stripe.secured();
    let told = async {
        let secured = || world.stripe.secured().into_iter().find(|intent| !before.contains(intent));
        let intent = testkit::until("money is secured", async || secured()).await;
        world.stripe_tells(&intent).await;
    };
    let (bought, ()) = tokio::join!(buyer.buys(), told);
    assert_eq!(buyer.buys().await.text("/id"), bought.text("/id"));
    assert_eq!(world.stock(&variant).await, (10, 3));
}

/// The bank says no.
pub(crate) async fn is_refused_by_the_bank(world: &World) {
    let variant = world.goods(10).await;
    let buyer = world.buyer(&variant, 3).await;
    let (order, intent) = buyer.is_sent_to_the_bank().await;
    world.stripe.bank_refuses(&intent);
    world.stripe_tells(&intent).await;
    world.until_free(&variant).await;
    world.until_order(&order, "failed").await;
}

/// The same of the test provider, whose events bring its word.
pub(crate) async fn is_refused_in_a_test(world: &World) {
    let variant = world.goods(10).await;
    let order = world.buyer(&variant, 3).await.pays(TEST_WARY).await.expect(202).text("/id");
    world.test_bank_says(&order, "declined").await;
    world.until_free(&variant).await;
    world.until_order(&order, "failed").await;
}

/// The bank says yes when the hold is over: nothing stays secured.
pub(crate) async fn is_confirmed_too_late(world: &World) {
    let variant = world.goods(10).await;
    let (order, intent) = world.buyer(&variant, 3).await.is_sent_to_the_bank().await;
    world.holds_end().await;
    world.until_free(&variant).await;
    world.stripe.bank_confirms(&intent);
    world.stripe_tells(&intent).await;
    world.until_order(&order, "failed").await;
}

/// Money comes when the order has failed: it goes back, and staff see it.
pub(crate) async fn is_paid_after_all(world: &World) {
    let variant = world.goods(10).await;
    let buyer = world.buyer(&variant, 3).await;
    let (order, intent) = buyer.is_sent_to_the_bank().await;
    buyer.gives_up().await;
    world.until_order(&order, "failed").await;
    world.stripe.secures_after_all(&intent);
    world.stripe_tells(&intent).await;
    let path = format!("/v1/orders/{order}");
    world.until("staff see it", &path, |order| order.at("/payment/late_at").is_string()).await;
    world.stripe_tells(&intent).await;
    assert_eq!(world.stock(&variant).await, (10, 0));
}

/// In two parts, then some of it back.
pub(crate) async fn is_captured_and_refunded(world: &World) {
    let variant = world.goods(10).await;
    let order = world.buyer(&variant, 3).await.buys().await;
    let (id, total) = (order.text("/id"), order.number("/totals/total/amount"));
    moved(world, &id, "captures", total - 500).await;
    moved(world, &id, "captures", 500).await;
    let refunded = moved(world, &id, "refunds", 700).await;
    let amount = |what: &str| refunded.number(&format!("/payment/{what}/amount"));
    assert_eq!((amount("captured"), amount("refunded")), (total, 700));
    assert_eq!((list(&refunded.at("/captures")).len(), list(&refunded.at("/refunds")).len()), (2, 1));
}

/// What was captured goes back, and the rest is let go of.
pub(crate) async fn is_cancelled_when_some_is_captured(world: &World) {
    let variant = world.goods(10).await;
    let (order, key) = (world.buyer(&variant, 3).await.buys().await.text("/id"), unique("cancel"));
    moved(world, &order, "captures", 500).await;
    let path = format!("/v1/orders/{order}/cancel");
    let cancelled = world.ask_as_staff("cancel", |staff| staff.post(&path, json!({})).key(&key)).await.expect(200);
    let amount = |what: &str| cancelled.number(&format!("/payment/{what}/amount"));
    assert_eq!((cancelled.text("/status"), amount("captured"), amount("refunded")), ("cancelled".into(), 500, 500));
    assert_eq!(world.stock(&variant).await, (10, 0));
}

async fn moved(world: &World, order: &str, what: &str, amount: i64) -> Answer {
    let (path, key) = (format!("/v1/orders/{order}/{what}"), unique(what));
    let body = json!({ "amount": { "amount": amount, "currency": "EUR" }, "reason": "a part of it" });
    world.ask_as_staff(what, |staff| staff.post(&path, body.clone()).key(&key)).await.expect(201)
}
