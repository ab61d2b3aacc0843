//! What people do in a shop, a scene each, and where the shop dies meanwhile. Any request may be the one that is not
//! answered: all are asked again with the same key, so each scene ends as if nobody had died.
use super::{
    payments::*,
    world::{BAD, GOOD, World, list},
};
use serde_json::json;
use std::pin::Pin;
use testkit::unique;

pub(crate) struct Scene {
    pub name: &'static str,
    pub play: for<'w> fn(&'w World) -> Pin<Box<dyn Future<Output = ()> + 'w>>,
    /// Where it is cut off: one play each. Several with ` > ` between them: one after another in one play.
    pub cuts: &'static [&'static str],
}

macro_rules! scenes {
    ($($play:ident: $($cut:literal),+;)+) => {
        &[$(Scene { name: stringify!($play), play: |world| Box::pin($play(world)), cuts: &[$($cut),+] }),+]
    };
}

/// A play each: between them they come to every point there is.
pub(crate) const ALL: &[Scene] = scenes! {
    buys:
        "orders.checkout.begin.begun", "orders.checkout.begin.kept", "products.reserve.begun", "products.reserve.kept",
        "orders.checkout.reserve.asked", "orders.checkout.open.asked", "orders.checkout.open.kept",
        "orders.checkout.authorise.asked", "orders.checkout.meet.kept", "products.confirm.begun",
        "products.confirm.kept", "orders.checkout.confirm.asked", "orders.checkout.place.kept",
        "orders.checkout.begin.kept > products.tombstone.kept",
        "orders.checkout.reserve.asked > orders.checkout.undo.kept",
        "orders.checkout.open.asked > orders.checkout.void.asked",
        "orders.checkout.open.kept > orders.checkout.look.asked",
        "orders.checkout.authorise.asked > orders.worker.take_over.kept > orders.checkout.look.asked",
        "orders.checkout.confirm.asked > orders.worker.take_over.kept > orders.checkout.place.kept";
    is_told_first: "orders.checkout.authorise.asked > orders.event.meet.kept", "orders.event.look.asked";
    is_declined:
        "orders.checkout.void.asked", "products.release.begun", "products.release.kept",
        "orders.checkout.release.asked", "orders.checkout.fail.kept";
    cannot_open: "orders.checkout.undo.kept";
    two_want_the_last: "orders.checkout.fail.kept";
    gives_up: "orders.checkout.abandon.kept", "orders.checkout.abandon.kept > orders.checkout.release.asked";
    lets_the_time_pass:
        "products.sweep.begun", "products.sweep.kept", "orders.checkout.look.asked",
        "orders.worker.take_over.kept > orders.checkout.void.asked";
    takes_what_another_let_go_of: "products.free_due.begun", "products.free_due.kept";
    cancels:
        "orders.change.begin.begun", "orders.cancel.begin.kept", "products.release.begun", "products.release.kept",
        "orders.cancel.release.asked", "orders.cancel.void.asked", "orders.cancel.settle.kept";
    is_cancelled_when_some_is_captured: "orders.cancel.release.asked", "orders.cancel.void.asked";
    is_sent:
        "orders.ship.begin.kept", "products.ship.begun", "products.ship.kept", "orders.ship.ship.asked",
        "orders.ship.settle.kept";
    is_captured_and_refunded:
        "orders.capture.begin.kept", "orders.capture.capture.asked", "orders.capture.settle.kept",
        "orders.refund.begin.kept", "orders.refund.refund.asked", "orders.refund.settle.kept";
    is_confirmed_by_the_bank: "orders.event.hear.begun", "orders.event.look.asked", "orders.event.meet.kept";
    is_back_from_the_bank: "orders.checkout.back.asked", "orders.checkout.back.kept";
    is_refused_by_the_bank: "orders.event.meet.kept";
    is_refused_in_a_test: "orders.event.hear.begun";
    is_confirmed_too_late: "orders.checkout.undo.kept", "orders.checkout.void.asked";
    is_paid_after_all: "orders.event.meet.kept", "orders.revert.void.asked", "orders.revert.settle.kept";
    is_restocked:
        "products.count.begun", "products.count.kept", "products.adjust.begun", "products.adjust.kept";
};

async fn buys(world: &World) {
    let variant = world.goods(10).await;
    let buyer = world.buyer(&variant, 3).await;
    let (bought, again) = (buyer.buys().await, buyer.buys().await);
    assert_eq!(bought.at("/id"), again.at("/id"), "one cart, one order");
    assert_eq!(world.stock(&variant).await, (10, 3));
}

async fn is_declined(world: &World) {
    let variant = world.goods(10).await;
    world.buyer(&variant, 3).await.pays(BAD).await.problem(402, "payment_declined");
    world.until_free(&variant).await;
}

/// Its provider fails before there is anything to pay.
async fn cannot_open(world: &World) {
    let variant = world.goods(10).await;
    let buyer = world.buyer(&variant, 3).await;
    world.stripe_fails("POST /v1/payment_intents");
    buyer.buys().await;
    assert_eq!((world.stripe.faults_left(), world.stock(&variant).await), (0, (10, 3)));
}

async fn gives_up(world: &World) {
    let variant = world.goods(10).await;
    let buyer = world.buyer(&variant, 3).await;
    buyer.is_sent_to_the_bank().await;
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
    let answers: [_; 2] = tokio::join!(one.pays(GOOD), other.pays(GOOD)).into();
    let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| matches!(answer.status, 200 | 201));
    assert_eq!((won.len(), lost.len()), (1, 1), "one piece, one buyer: {lost:?}");
    lost.into_iter().for_each(|answer| drop(answer.problem(409, "out_of_stock")));
    assert_eq!(world.stock(&variant).await, (1, 1));
}

/// First what is held is free, then the attempt is over.
async fn lets_the_time_pass(world: &World) {
    let variant = world.goods(10).await;
    let (order, _) = world.buyer(&variant, 3).await.is_sent_to_the_bank().await;
    world.holds_end().await;
    world.until_free(&variant).await;
    world.buyers_stay_away().await;
    world.until_order(&order, "failed").await;
}

/// The sweeper may have been there first: then it is played again.
async fn takes_what_another_let_go_of(world: &World) {
    for _ in 0..5 {
        let variant = world.goods(3).await;
        let (one, other) = (world.buyer(&variant, 3).await, world.buyer(&variant, 3).await);
        let (order, _) = one.is_sent_to_the_bank().await;
        world.holds_end().await;
        other.buys().await;
        assert_eq!(world.stock(&variant).await, (3, 3));
        one.gives_up().await;
        world.until_order(&order, "failed").await;
        if world.left().is_empty() {
            return;
        }
    }
}
