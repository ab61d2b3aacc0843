//! Scenes of money that moves after, or beside, the buyer's request.
use super::{World, list};
use serde_json::json;
use testkit::{Answer, unique};

/// The bank speaks before the buyer is back.
pub(crate) async fn is_confirmed_by_the_bank(world: &World) {
    let variant = world.goods(10).await;
    let buyer = world.buyer(&variant, 3).await;
    let order = buyer.pays("tok_action").await.expect(202).text("/id");
    says(world, &order, "authorised").await;
    let path = format!("/v1/orders/{order}");
    let placed = |answer: &Answer| answer.status == 200 && answer.text("/status") == "placed";
    world.until("it is placed", |shop| shop.anonymous().bearer(&world.admin).get(&path), placed).await;
    says(world, &order, "authorised").await;
    assert_eq!(buyer.buys().await.text("/id"), order, "told twice and asked again: one order");
    assert_eq!(world.stock(&variant).await, (10, 3));
}

/// The bank says no.
pub(crate) async fn is_refused_by_the_bank(world: &World) {
    let variant = world.goods(10).await;
    let order = world.buyer(&variant, 3).await.pays("tok_action").await.expect(202).text("/id");
    says(world, &order, "declined").await;
    let path = format!("/v1/variants/{variant}/stock");
    let free = |answer: &Answer| answer.number("/reserved") == 0;
    world.until("nothing stays held", |shop| shop.anonymous().bearer(&world.admin).get(&path), free).await;
}

/// The bank says yes when the hold is over.
pub(crate) async fn is_paid_too_late(world: &World) {
    let variant = world.goods(10).await;
    let order = world.buyer(&variant, 3).await.pays("tok_action").await.expect(202).text("/id");
    world.tamper("products", "UPDATE reservations SET expires_at = created_at WHERE state = 'held'").await;
    let path = format!("/v1/variants/{variant}/stock");
    let free = |answer: &Answer| answer.number("/reserved") == 0;
    world.until("what was held is free", |shop| shop.anonymous().bearer(&world.admin).get(&path), free).await;
    says(world, &order, "authorised").await;
    let path = format!("/v1/orders/{order}");
    let seen = |answer: &Answer| answer.at("/payment")["late_at"].is_string();
    world.until("staff see it", |shop| shop.anonymous().bearer(&world.admin).get(&path), seen).await;
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

async fn moved(world: &World, order: &str, what: &str, amount: i64) -> Answer {
    let (path, key) = (format!("/v1/orders/{order}/{what}"), unique(what));
    let body = json!({ "amount": { "amount": amount, "currency": "EUR" }, "reason": "a part of it" });
    world.ask_as_staff(what, |staff| staff.post(&path, body.clone()).key(&key)).await.expect(201)
}

/// An event of the test provider; as any, it may come twice.
async fn says(world: &World, order: &str, says: &str) {
    let body = json!({ "order": order, "says": says });
    let heard = world.ask("event", |shop| shop.anonymous().post("/v1/payment-events/test", body.clone())).await;
    assert!(matches!(heard.status, 200 | 202 | 204), "{}: {}", heard.what, heard.status);
}
