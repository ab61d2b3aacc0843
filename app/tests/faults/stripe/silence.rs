//! Stripe fails, is silent, too slow or away: every answer comes in time, and the worker ends what was left, once.
use super::{TOTAL, Till, VISA, euro, known, pays};
use serde_json::json;
use std::time::Duration;
use testkit::{
    Topology,
    stripe::{Book, Fault},
};

/// At every step of a payment, so often each.
async fn goes_wrong(topology: Topology, fault: Fault, times: usize) {
    let till = Till::opens(topology);
    for step in ["POST /v1/payment_intents", "/confirm"] {
        let (cart, before) = (till.cart().await, till.books());
        // it may meet more than one attempt of the same buyer
        (0..times).for_each(|_| till.stripe.next(step, fault));
        let bought = known(step, async || pays(&cart, VISA)).await;
        till.stripe.is_well();
        assert!(matches!(bought.status, 200 | 201), "{step}: {}", bought.json());
        assert_eq!(till.book(&bought.text("/id")), Book { intents: 1, authorised: TOTAL, ..Book::default() }, "{step}");
        till.shop.settled().await;
        assert_eq!(till.books().authorised, before.authorised + TOTAL, "{step}: nothing beside the one order");
    }
    let order = till.order().await;
    for (step, what, amount) in [("/capture", "captures", 700), ("POST /v1/refunds", "refunds", 300)] {
        (0..times).for_each(|_| till.stripe.next(step, fault));
        known(step, async || till.about(&order, what, euro(amount)).await).await.expect(201);
        till.stripe.is_well();
    }
    assert_eq!(till.book(&order), Book { intents: 1, authorised: 0, captured: 700, refunded: 300 });
    let order = till.order().await;
    (0..times).for_each(|_| till.stripe.next("/cancel", fault));
    let cancelled = known("/cancel", async || till.about(&order, "cancel", json!({})).await).await.expect(200);
    till.stripe.is_well();
    assert_eq!(cancelled.text("/payment_status"), "voided");
    assert_eq!(till.book(&order), Book { intents: 1, ..Book::default() });
    till.shop.settled().await;
}

#[tokio::test]
async fn it_answers_500() {
    goes_wrong(Topology::Single, Fault::Fails, 1).await;
}
#[tokio::test]
async fn it_answers_500_to_all_that_one_driver_asks() {
    goes_wrong(Topology::Single, Fault::Fails, 4).await;
}
#[tokio::test]
async fn it_answers_500_and_has_done_it() {
    goes_wrong(Topology::Single, Fault::DoneThenFails, 1).await;
}
#[tokio::test]
async fn it_is_silent() {
    goes_wrong(Topology::Single, Fault::Hangs, 4).await;
}
#[tokio::test]
async fn it_answers_after_its_time() {
    goes_wrong(Topology::Split, Fault::Late(Duration::from_millis(3500)), 1).await;
}
#[tokio::test]
async fn it_has_done_it_and_nobody_hears() {
    goes_wrong(Topology::Single, Fault::DoneThenLost, 1).await;
}

/// Nobody listens where it should be, and then somebody does again.
#[tokio::test]
async fn it_is_away_and_comes_back() {
    let till = Till::opens(Topology::Single);
    let cart = till.cart().await;
    till.stripe.goes_away();
    let answer = crate::stage::in_time(pays(&cart, VISA)).await;
    assert!(crate::stage::is_open(&answer), "{}", answer.json());
    till.stripe.comes_back().unwrap();
    let order = known("it is bought", async || pays(&cart, VISA)).await.text("/id");
    for (what, amount) in [("captures", 700), ("refunds", 300)] {
        till.stripe.goes_away();
        let away = crate::stage::in_time(till.about(&order, what, euro(amount)).await).await;
        away.problem(503, "unavailable");
        till.stripe.comes_back().unwrap();
        known(what, async || till.about(&order, what, euro(amount)).await).await.expect(201);
    }
    assert_eq!(till.book(&order), Book { intents: 1, authorised: 0, captured: 700, refunded: 300 });
    let order = till.order().await;
    till.stripe.goes_away();
    crate::stage::in_time(till.about(&order, "cancel", json!({})).await).await.problem(503, "outcome_unknown");
    till.stripe.comes_back().unwrap();
    till.until_seen(&order, "it is cancelled", |seen| seen.text("/status") == "cancelled").await;
    assert_eq!(till.books().authorised, 0);
    // told, and not there to say how it stands: Stripe tells again
    let waits = pays(&till.cart().await, super::ASKS_THE_BANK).send().await.expect(202).text("/id");
    let intent = till.stripe.intent(&waits).unwrap();
    till.stripe.bank_confirms(&intent);
    till.stripe.goes_away();
    till.told(&intent, "payment_intent.amount_capturable_updated").await.problem(503, "unavailable");
    till.stripe.comes_back().unwrap();
    till.told(&intent, "payment_intent.amount_capturable_updated").await.expect(204);
    till.until_seen(&waits, "it is placed", |seen| seen.text("/status") == "placed").await;
    till.about(&waits, "cancel", json!({})).await.send().await.expect(200);
    // away in the middle of it
    let cart = till.cart().await;
    till.stripe.next("/confirm", Fault::Hangs);
    let asking = tokio::spawn(crate::stage::in_time(pays(&cart, VISA)));
    testkit::until("it is asked", async || (till.stripe.faults_left() == 0).then_some(())).await;
    till.stripe.goes_away();
    assert!(crate::stage::is_open(&asking.await.unwrap()));
    till.stripe.comes_back().unwrap();
    known("it is bought", async || pays(&cart, VISA)).await;
    till.shop.settled().await;
    assert_eq!(till.books().authorised, TOTAL);
}
