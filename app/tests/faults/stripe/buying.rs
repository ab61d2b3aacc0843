//! What buyers, staff, banks and Stripe do when nothing is wrong between them.
use super::{ASKS_THE_BANK, TOTAL, Till, VISA, euro, now, pays};
use serde_json::{Value, json};
use testkit::{
    Topology,
    stripe::{Book, SECRET},
    unique,
};

#[tokio::test]
async fn it_is_secured_taken_once_and_given_back() {
    let till = Till::opens(Topology::Single);
    let cart = till.cart().await;
    pays(&cart, "pm_card_chargeDeclined").send().await.problem(402, "payment_declined");
    pays(&cart, "pm_nobody_has").send().await.problem(402, "payment_declined");
    let bought = pays(&cart, VISA).send().await.expect(201);
    let (order, whole) = (bought.text("/id"), bought.number("/totals/total/amount"));
    assert_eq!((whole, bought.text("/payment_status").as_str()), (TOTAL, "authorised"));
    assert_eq!(till.book(&order), Book { intents: 1, authorised: TOTAL, ..Book::default() });
    assert_eq!(till.books().authorised, TOTAL, "nothing of what was declined");
    let taken = till.about(&order, "captures", euro(600)).await.send().await.expect(201);
    assert_eq!(taken.text("/payment_status"), "paid", "the rest is let go of");
    assert_eq!(till.book(&order), Book { intents: 1, captured: 600, ..Book::default() });
    till.about(&order, "captures", euro(1)).await.send().await.problem(409, "order_not_capturable");
    let back = till.about(&order, "refunds", euro(200)).await.send().await.expect(201);
    assert_eq!(back.text("/payment_status"), "partially_refunded");
    let back = till.about(&order, "refunds", json!({})).await.send().await.expect(201);
    assert_eq!(back.text("/payment_status"), "refunded");
    till.about(&order, "refunds", euro(1)).await.send().await.problem(409, "order_not_refundable");
    assert_eq!(till.book(&order), Book { intents: 1, authorised: 0, captured: 600, refunded: 600 });
    let cancelled = till.about(&till.order().await, "cancel", json!({})).await.send().await.expect(200);
    assert_eq!(cancelled.text("/payment_status"), "voided");
    assert_eq!(till.books().authorised, 0);
}

#[tokio::test]
async fn what_stripe_refuses_is_told_and_moves_nothing() {
    let till = Till::opens(Topology::Single);
    let cart = till.cart().await;
    pays(&cart, "pm_card_notForThisAccount").send().await.problem(409, "payment_refused");
    pays(&till.cart_of(10).await, VISA).send().await.problem(409, "payment_refused");
    assert_eq!(till.books().authorised, 0);
    let order = pays(&cart, VISA).send().await.expect(201).text("/id");
    // somebody has taken a part by hand meanwhile
    let intent = till.stripe.intent(&order).unwrap();
    till.stripe.takes_by_hand(&intent, 400);
    till.about(&order, "captures", euro(400)).await.send().await.problem(409, "payment_refused");
    till.told(&intent, "payment_intent.succeeded").await.expect(204);
    let seen = till.until_seen(&order, "it is heard of", |seen| seen.number("/payment/captured/amount") == 400).await;
    let states: Vec<Value> = seen.at("/captures").as_array().unwrap().iter().map(|one| one["status"].clone()).collect();
    assert_eq!(states, ["refused", "done"]);
    till.stripe.refunds_are("failed");
    till.about(&order, "refunds", euro(100)).await.send().await.problem(409, "payment_refused");
    assert_eq!(till.book(&order), Book { intents: 1, authorised: 0, captured: 400, refunded: 0 });
}

#[tokio::test]
async fn what_costs_nothing_is_asked_of_nobody() {
    let till = Till::opens(Topology::Single);
    let bought = pays(&till.cart_of(0).await, "pm_card_chargeDeclined").send().await.expect(201);
    assert_eq!((bought.text("/payment_status"), bought.text("/payment/status")), ("paid".into(), "authorised".into()));
    let order = bought.text("/id");
    till.about(&order, "captures", json!({})).await.send().await.problem(409, "order_not_capturable");
    till.about(&order, "refunds", json!({})).await.send().await.problem(409, "order_not_refundable");
    let sent = till.about(&order, "shipments", json!({})).await.send().await.expect(201);
    assert_eq!(sent.text("/status"), "completed");
    let other = pays(&till.cart_of(0).await, VISA).send().await.expect(201).text("/id");
    let cancelled = till.about(&other, "cancel", json!({})).await.send().await.expect(200);
    assert_eq!(cancelled.text("/payment_status"), "voided");
    assert!(till.stripe.books().is_empty());
}

#[tokio::test]
async fn the_bank_and_the_buyer_lead_to_one_order_whoever_comes_first() {
    let till = Till::opens(Topology::Single);
    // Stripe tells first, and twice; then the buyer is back
    let cart = till.cart().await;
    let waits = pays(&cart, ASKS_THE_BANK).send().await.expect(202);
    let (order, intent) = (waits.text("/id"), till.stripe.intent(&waits.text("/id")).unwrap());
    assert_eq!(waits.text("/next_action/type"), "redirect");
    assert_eq!(waits.text("/next_action/url"), format!("https://bank.example/{intent}"));
    till.told(&intent, "payment_intent.requires_action").await.expect(204);
    assert_eq!(till.seen(&order).await.text("/status"), "pending", "nothing follows from it");
    till.stripe.bank_confirms(&intent);
    till.told(&intent, "payment_intent.amount_capturable_updated").await.expect(204);
    till.told(&intent, "payment_intent.amount_capturable_updated").await.expect(204);
    till.until_seen(&order, "it is placed", |seen| seen.text("/status") == "placed").await;
    assert_eq!(pays(&cart, VISA).send().await.expect(200).text("/id"), order);
    // the buyer is back first; Stripe tells late
    let cart = till.cart().await;
    let order = pays(&cart, ASKS_THE_BANK).send().await.expect(202).text("/id");
    let intent = till.stripe.intent(&order).unwrap();
    assert_eq!(pays(&cart, ASKS_THE_BANK).send().await.expect(202).text("/id"), order, "not confirmed yet");
    till.stripe.bank_confirms(&intent);
    assert_eq!(pays(&cart, ASKS_THE_BANK).send().await.expect(200).text("/status"), "placed");
    till.told(&intent, "payment_intent.amount_capturable_updated").await.expect(204);
    assert_eq!(till.announced("order.placed", &order), 1);
    // the bank says no
    let cart = till.cart().await;
    let order = pays(&cart, ASKS_THE_BANK).send().await.expect(202).text("/id");
    let intent = till.stripe.intent(&order).unwrap();
    till.stripe.bank_refuses(&intent);
    till.told(&intent, "payment_intent.payment_failed").await.expect(204);
    till.until_seen(&order, "it fails", |seen| seen.text("/status") == "failed").await;
    let placed = pays(&cart, VISA).key(&unique("another-card")).send().await.expect(201).text("/id");
    assert_ne!(placed, order);
    assert_eq!(till.books(), Book { intents: 4, authorised: 3 * TOTAL, ..Book::default() });
}

#[tokio::test]
async fn only_what_stripe_signed_just_now_is_heard() {
    let till = Till::opens(Topology::Single);
    let order = pays(&till.cart().await, ASKS_THE_BANK).send().await.expect(202).text("/id");
    let intent = till.stripe.intent(&order).unwrap();
    till.stripe.bank_confirms(&intent);
    let kind = "payment_intent.amount_capturable_updated";
    till.told_by(&intent, kind, "whsec_forged", now()).await.problem(400, "invalid_event");
    till.told_by(&intent, kind, SECRET, now() - 400).await.problem(400, "invalid_event");
    till.told_by(&intent, kind, SECRET, now() + 400).await.problem(400, "invalid_event");
    let (signature, body) = till.stripe.event(&intent, kind, SECRET, now());
    till.event(body.clone()).send().await.problem(400, "invalid_event");
    let altered = [&body[..], b" "].concat();
    till.event(altered).header("stripe-signature", &signature).send().await.problem(400, "invalid_event");
    assert_eq!(till.seen(&order).await.text("/status"), "pending");
    till.told(&intent, "customer.created").await.expect(204);
    let nobodys = till.stripe.has_made("order_0000000000000000000000", 0);
    till.told(&nobodys, kind).await.expect(204);
    assert_eq!(till.seen(&order).await.text("/status"), "pending");
    till.told_by(&intent, kind, "whsec_before", now()).await.expect(204);
    till.until_seen(&order, "it is placed", |seen| seen.text("/status") == "placed").await;
}

/// The hold is over when the bank says yes: what was secured goes back, and staff see it.
#[tokio::test]
async fn what_comes_too_late_goes_back() {
    let till = Till::opens(Topology::Single);
    let order = pays(&till.cart().await, ASKS_THE_BANK).send().await.expect(202).text("/id");
    let intent = till.stripe.intent(&order).unwrap();
    let over =
        "UPDATE reservations SET expires_at = created_at WHERE state = 'held' RETURNING CAST(1 AS bigint) AS number";
    assert_eq!(till.shop.number("products", over), 1);
    let held = "SELECT count(*) AS number FROM reservations WHERE state = 'held'";
    testkit::until("its hold is over", async || (till.shop.number("products", held) == 0).then_some(())).await;
    till.stripe.bank_confirms(&intent);
    till.told(&intent, "payment_intent.amount_capturable_updated").await.expect(204);
    let failed = till.until_seen(&order, "it fails", |seen| seen.text("/status") == "failed").await;
    assert!(failed.at("/payment/late_at").is_string(), "{}", failed.json());
    assert_eq!(till.announced("order.payment_late", &order), 1);
    assert_eq!(till.book(&order), Book { intents: 1, ..Book::default() });
    // Stripe says that this never happens: the shop would give it back all the same
    till.stripe.secures_after_all(&intent);
    till.told(&intent, "payment_intent.amount_capturable_updated").await.expect(204);
    testkit::until("it is told again", async || (till.announced("order.payment_late", &order) == 2).then_some(()))
        .await;
    assert_eq!(till.book(&order), Book { intents: 1, ..Book::default() });
}
