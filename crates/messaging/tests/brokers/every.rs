//! What a broker keeps to, whichever it is.
use crate::place::{ORDERS, PRODUCTS, Place, event, events, firsts, group, hear, hear_on, same_order};
use messaging::{Group, Heard};
use serde_json::{Value, json};
use std::time::Duration;

pub(crate) async fn heard_in_the_order_of_each_subject(place: Place) {
    let broker = place.open().await;
    broker.ping().await.unwrap();
    let sent = events(&["order_a", "order_b", "order_c", "order_d", "order_e"], 40);
    // One subject's events stand in one batch and in several.
    for batch in sent.chunks(63) {
        broker.publish(batch).await.unwrap();
    }
    broker.publish(&[]).await.unwrap();
    let mut subscription = broker.subscribe(&group("stock", None)).await.unwrap();
    let came = hear(&mut *subscription, sent.len(), true).await;
    assert_eq!(came.events.len(), sent.len(), "each comes once when nothing goes wrong");
    same_order(&came.events, &sent);
}

pub(crate) async fn published_twice_keeps_the_order(place: Place) {
    let broker = place.open().await;
    let sent = events(&["order_a", "order_b"], 10);
    broker.publish(&sent[..14]).await.unwrap();
    // A relay that died before it could mark them begins with them again; another may be what does.
    place.open().await.publish(&sent).await.unwrap();
    let last = [event(ORDERS, "order.cancelled", "order_a", 10), event(ORDERS, "order.cancelled", "order_b", 10)];
    broker.publish(&last).await.unwrap();
    let mut subscription = broker.subscribe(&group("stock", None)).await.unwrap();
    let came = hear(&mut *subscription, sent.len() + last.len(), true).await;
    same_order(firsts(&came.events), sent.iter().chain(&last));
    if place.knows_ids() {
        assert_eq!(came.events.len(), sent.len() + last.len());
    }
}

pub(crate) async fn unacknowledged_comes_again(place: Place) {
    let broker = place.open().await;
    let sent = events(&["order_a"], 10);
    broker.publish(&sent).await.unwrap();
    let mut subscription = broker.subscribe(&group("stock", None)).await.unwrap();
    let kept = hear(&mut *subscription, 4, true).await;
    assert_eq!(kept.events, sent[..4]);
    assert_eq!(hear(&mut *subscription, 6, false).await.events, sent[4..]);
    drop(subscription);
    // What was acknowledged does not come, whether the group tells where it stands or not.
    for after in [None, kept.position] {
        let mut again = broker.subscribe(&group("stock", after)).await.unwrap();
        assert_eq!(hear(&mut *again, 6, false).await.events, sent[4..]);
    }
}

pub(crate) async fn taken_over_without_a_gap(place: Place) {
    let broker = place.open().await;
    let sent = events(&["order_a", "order_b", "order_c"], 10);
    broker.publish(&sent).await.unwrap();
    let mut one = broker.subscribe(&group("stock", None)).await.unwrap();
    // It keeps some, and dies before it can say so.
    let kept = hear(&mut *one, 7, false).await;
    let exclusive = broker.is_exclusive();
    let one = Some(one).filter(|_| exclusive);
    let other = place.open().await;
    let mut two = other.subscribe(&group("stock", kept.position)).await.unwrap();
    // What was not acknowledged may come again.
    let mut came = kept;
    hear_on(&mut *two, &mut came, sent.len(), true).await;
    same_order(firsts(&came.events), &sent);
    if let Some(mut one) = one {
        // It was not dead after all: it hears nothing, or that it was left out; never what is another's.
        let late = one.next(100, Duration::from_millis(200)).await;
        let known = late.map(|batch| batch.events).unwrap_or_default();
        same_order(firsts(&[sent.clone(), known].concat()), &sent);
        let after = event(ORDERS, "order.cancelled", "order_a", 99);
        broker.publish(std::slice::from_ref(&after)).await.unwrap();
        let mut last = other.subscribe(&group("stock", came.position)).await.unwrap();
        assert_eq!(hear(&mut *last, 1, true).await.events, [after]);
    }
}

pub(crate) async fn groups_are_independent(place: Place) {
    let broker = place.open().await;
    let mut early = broker.subscribe(&group("stock", None)).await.unwrap();
    let sent = events(&["order_a"], 5);
    broker.publish(&sent).await.unwrap();
    assert_eq!(hear(&mut *early, 5, true).await.events, sent);
    // New to the broker: it hears what was before it.
    let mut late = broker.subscribe(&group("mail", None)).await.unwrap();
    assert_eq!(hear(&mut *late, 5, true).await.events, sent);
    let more = events(&["order_b"], 3);
    broker.publish(&more).await.unwrap();
    assert_eq!(hear(&mut *early, 3, true).await.events, more);
    assert_eq!(hear(&mut *late, 3, true).await.events, more);
}

pub(crate) async fn kinds_are_filtered(place: Place) {
    let broker = place.open().await;
    let sent = [
        event(ORDERS, "order.placed", "order_a", 0),
        event(PRODUCTS, "product.changed", "prod_a", 1),
        event(ORDERS, "order.shipped", "order_a", 2),
        event(PRODUCTS, "stock.changed", "prod_a", 3),
        event(ORDERS, "order.cancelled", "order_a", 4),
        event(PRODUCTS, "stock.changed", "prod_a", 5),
    ];
    broker.publish(&sent).await.unwrap();
    let kinds = [(ORDERS, "order.cancelled"), (PRODUCTS, "stock.changed")];
    let kinds = kinds.map(|(domain, kind)| Heard { domain, kind }).to_vec();
    let mut some = broker.subscribe(&Group { name: "some", kinds, after: None }).await.unwrap();
    let came = hear(&mut *some, 3, true).await;
    same_order(&came.events, [&sent[3], &sent[4], &sent[5]]);
    // One kind is a case of its own somewhere.
    let one = vec![Heard { domain: ORDERS, kind: "order.shipped" }];
    let mut one = broker.subscribe(&Group { name: "one", kinds: one, after: None }).await.unwrap();
    assert_eq!(hear(&mut *one, 1, true).await.events, sent[2..3]);
}

pub(crate) async fn what_arrives_is_what_was_sent(place: Place) {
    let broker = place.open().await;
    let mut sent = event(ORDERS, "order.placed", "order_a", 0);
    sent.data = json!({
        "text": "Gr\u{fc}n \u{1f6d2} \"quoted\" \\ \u{0}\n", "whole": 9_007_199_254_740_991_u64, "least": i64::MIN, "part": 0.1,
        "nothing": null, "deep": [[{"a": []}], {}], "long": "x".repeat(200_000),
    });
    broker.publish(std::slice::from_ref(&sent)).await.unwrap();
    let mut subscription = broker.subscribe(&group("stock", None)).await.unwrap();
    let came = hear(&mut *subscription, 1, true).await;
    let value = |envelope| serde_json::to_value(envelope).unwrap();
    assert_eq!(value(&came.events[0]), value(&sent));
    assert!(matches!(value(&sent), Value::Object(members) if members.len() == 10));
}

pub(crate) async fn nobody_who_lets_go_loses_anything(place: Place) {
    let broker = place.open().await;
    let mut subscription = broker.subscribe(&group("stock", None)).await.unwrap();
    let sent = events(&["order_a"], 50);
    let (mut came, mut published) = (Vec::new(), 0);
    let began = std::time::Instant::now();
    while came.len() < sent.len() {
        assert!(began.elapsed() < crate::place::PATIENCE, "{} of {} came", came.len(), sent.len());
        if published < sent.len() {
            broker.publish(&sent[published..=published]).await.unwrap();
            published += 1;
        }
        // Let go at any moment of its waiting.
        let waiting = subscription.next(10, Duration::from_secs(5));
        if let Ok(batch) = tokio::time::timeout(Duration::from_millis(1), waiting).await {
            came.extend(batch.unwrap().events);
        }
    }
    assert_eq!(came, sent);
}

pub(crate) async fn what_is_no_event_is_passed_over(place: Place) {
    let broker = place.open().await;
    let first = event(ORDERS, "order.placed", "order_a", 0);
    let last = event(ORDERS, "order.placed", "order_a", 1);
    broker.publish(std::slice::from_ref(&first)).await.unwrap();
    match &place {
        Place::Nats(settings) => crate::nats::say(settings, "order.placed.order_a", "{\"specversion\": \"9\"}").await,
        Place::Kafka(settings) => crate::kafka::say(settings, "orders", "order_a", "not JSON").await,
    }
    broker.publish(std::slice::from_ref(&last)).await.unwrap();
    let mut subscription = broker.subscribe(&group("stock", None)).await.unwrap();
    assert_eq!(hear(&mut *subscription, 2, true).await.events, [first, last]);
}
