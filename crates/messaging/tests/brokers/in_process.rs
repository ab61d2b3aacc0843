//! The broker that holds nothing: what it is given is with its groups, or still with who gave it.
use crate::place::{ORDERS, PATIENCE, PRODUCTS, event, events, group};
use messaging::{Broker, Group, Heard, InProcess};
use std::{sync::Arc, time::Duration};

fn stock() -> Group {
    let kinds = vec![Heard { domain: PRODUCTS, kind: "stock.low" }];
    Group { name: "stock", kinds, after: None }
}

#[tokio::test]
async fn an_event_is_handed_over_when_each_group_that_hears_it_has_kept_it() {
    let broker = Arc::new(InProcess::new([group("mail", None), group("books", None), stock()]));
    let sent = events(&["order_a", "order_b"], 20);
    let (telling, told) = (Arc::clone(&broker), sent.clone());
    let tells = tokio::spawn(async move { telling.publish(&told).await });
    let mut mail = broker.subscribe(&group("mail", None)).await.unwrap();
    assert!(broker.subscribe(&group("mail", None)).await.is_err(), "one process listens once");
    let batch = mail.next(10, PATIENCE).await.unwrap();
    assert_eq!(batch.events, sent, "whole, as it was given");
    mail.acknowledge().await.unwrap();
    assert!(!tells.is_finished(), "books has not heard it");
    let mut books = broker.subscribe(&group("books", None)).await.unwrap();
    assert_eq!(books.next(10, PATIENCE).await.unwrap().events, sent);
    books.acknowledge().await.unwrap();
    // Who hears none of it is not waited for.
    tells.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_a_group_let_go_of_is_still_with_who_gave_it() {
    let broker = Arc::new(InProcess::new([group("mail", None)]));
    let sent = [event(ORDERS, "order.placed", "order_a", 0), event(ORDERS, "order.failed", "order_a", 1)];
    for kept in [false, true] {
        let (telling, told) = (Arc::clone(&broker), sent.clone());
        let tells = tokio::spawn(async move { telling.publish(&told).await });
        let mut mail = broker.subscribe(&group("mail", None)).await.unwrap();
        assert_eq!(mail.next(10, PATIENCE).await.unwrap().events, sent[..1], "and not what the group does not hear");
        if kept {
            mail.acknowledge().await.unwrap();
        }
        drop(mail);
        assert_eq!(tells.await.unwrap().is_ok(), kept);
    }
    let mut mail = broker.subscribe(&group("mail", None)).await.unwrap();
    assert!(mail.next(10, Duration::from_millis(50)).await.unwrap().events.is_empty());
}
