//! What people do in a shop, a scene each. Any request may be the one that is not answered: all are asked again with
//! the same key, so each scene ends as if nobody had died.
use super::{World, list};
use serde_json::json;
use std::pin::Pin;
use testkit::unique;

pub(crate) type Scene = for<'w> fn(&'w World) -> Pin<Box<dyn Future<Output = ()> + 'w>>;

/// Those that wait for something come last: few points need them.
pub(crate) const ALL: &[Scene] = &[
    |world| Box::pin(buys(world)),
    |world| Box::pin(is_declined(world)),
    |world| Box::pin(gives_up(world)),
    |world| Box::pin(cancels(world)),
    |world| Box::pin(is_sent(world)),
    |world| Box::pin(is_restocked(world)),
    |world| Box::pin(two_want_the_last(world)),
    |world| Box::pin(waits_too_long(world)),
];

async fn buys(world: &World) {
    let variant = world.goods(10).await;
    let buyer = world.buyer(&variant, 3).await;
    let (bought, again) = (buyer.buys().await, buyer.buys().await);
    assert_eq!(bought.at("/id"), again.at("/id"), "one cart, one order");
    assert_eq!(world.stock(&variant).await, (10, 3));
}

async fn is_declined(world: &World) {
    let variant = world.goods(10).await;
    world.buyer(&variant, 3).await.pays("tok_declined").await.problem(402, "payment_declined");
    let path = format!("/v1/variants/{variant}/stock");
    let free = |answer: &testkit::Answer| answer.number("/reserved") == 0;
    world.until("nothing stays held", |shop| shop.anonymous().bearer(&world.admin).get(&path), free).await;
}

async fn gives_up(world: &World) {
    let variant = world.goods(10).await;
    let buyer = world.buyer(&variant, 3).await;
    let waits = buyer.pays("tok_action").await.expect(202);
    assert_eq!(waits.text("/status"), "pending");
    buyer.gives_up().await;
    assert_eq!(world.stock(&variant).await, (10, 0));
}

async fn cancels(world: &World) {
    let variant = world.goods(10).await;
    let buyer = world.buyer(&variant, 3).await;
    let (order, key) = (buyer.buys().await.text("/id"), unique("cancel"));
    let path = format!("/v1/orders/{order}/cancel");
    let cancelled = buyer.about("cancel", &path, |actor, path| actor.post(path, json!({})).key(&key)).await.expect(200);
    assert_eq!((cancelled.text("/status"), cancelled.text("/payment_status")), ("cancelled".into(), "voided".into()));
    assert_eq!(world.stock(&variant).await, (10, 0));
}

async fn is_sent(world: &World) {
    let variant = world.goods(10).await;
    let (order, key) = (world.buyer(&variant, 3).await.buys().await.text("/id"), unique("ship"));
    let path = format!("/v1/orders/{order}/shipments");
    let sent = world.ask_as_staff("ship", |staff| staff.post(&path, json!({})).key(&key)).await.expect(201);
    assert_eq!(list(&sent.at("/shipments")).len(), 1);
    assert_eq!(world.stock(&variant).await, (7, 0));
}

async fn is_restocked(world: &World) {
    let variant = world.goods(1).await;
    let (path, key) = (format!("/v1/variants/{variant}/stock-adjustments"), unique("restock"));
    world.ask_as_staff("restock", |staff| staff.post(&path, json!({ "delta": 4 })).key(&key)).await.expect(200);
    world.came_in(&variant, 4);
    assert_eq!(world.stock(&variant).await, (5, 0));
    let path = format!("/v1/variants/{variant}/stock");
    world.ask_as_staff("count", |staff| staff.put(&path, json!({ "on_hand": 7 }))).await.expect(200);
    world.came_in(&variant, 2);
    assert_eq!(world.stock(&variant).await, (7, 0));
}

async fn two_want_the_last(world: &World) {
    let variant = world.goods(1).await;
    let (one, other) = (world.buyer(&variant, 1).await, world.buyer(&variant, 1).await);
    let answers: [_; 2] = tokio::join!(one.pays("tok_ok"), other.pays("tok_ok")).into();
    let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| matches!(answer.status, 200 | 201));
    assert_eq!((won.len(), lost.len()), (1, 1), "one piece, one buyer: {lost:?}");
    lost.into_iter().for_each(|answer| drop(answer.problem(409, "out_of_stock")));
    assert_eq!(world.stock(&variant).await, (1, 1));
}

async fn waits_too_long(world: &World) {
    let variant = world.goods(10).await;
    let buyer = world.buyer(&variant, 3).await;
    buyer.pays("tok_action").await.expect(202);
    world.tamper("products", "UPDATE reservations SET expires_at = created_at WHERE state = 'held'").await;
    let path = format!("/v1/variants/{variant}/stock");
    let free = |answer: &testkit::Answer| answer.number("/reserved") == 0;
    world.until("what was held is free", |shop| shop.anonymous().bearer(&world.admin).get(&path), free).await;
    buyer.gives_up().await;
}
