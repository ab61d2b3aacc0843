//! One order, many hands; and one refresh token.
use crate::{at_once, shop, with};
use serde_json::json;
use testkit::{Request, until};

type Make = Box<dyn Fn() -> Request + Send>;

#[tokio::test]
async fn an_order_is_cancelled_or_sent_and_never_both() {
    let staff = shop().staff().await;
    for _ in 0..15 {
        let goods = shop().goods(5, 10).await;
        let cart = shop().guest_cart(&[(&goods.variant, 4)]).await;
        let path = format!("/v1/orders/{}", cart.bought().await.text("/id"));
        let (cancel, ship) = (format!("{path}/cancel"), format!("{path}/shipments"));
        let (buyer, clerk) = (cart.owner.clone(), staff.clone());
        let all: Vec<Make> =
            vec![Box::new(move || buyer.post(&cancel, json!({}))), Box::new(move || clerk.post(&ship, json!({})))];
        let answers = at_once(all).await;
        let order = staff.get(&path).send().await.expect(200);
        let states = (order.text("/status"), order.text("/fulfilment_status"));
        let stock = shop().stock(&goods.variant).await;
        match (answers[0].status, answers[1].status) {
            (200, 409) => {
                assert_eq!(states, ("cancelled".into(), "unfulfilled".into()));
                assert_eq!(stock, (10, 0, 10));
            }
            (409, 201) => {
                assert_eq!(states, ("placed".into(), "fulfilled".into()));
                assert_eq!(stock, (6, 0, 6));
            }
            both => panic!("cancel and ship were answered {both:?}"),
        }
    }
}

#[tokio::test]
async fn an_order_is_sent_once() {
    let staff = shop().staff().await;
    for _ in 0..5 {
        let goods = shop().goods(5, 10).await;
        let order = shop().guest_cart(&[(&goods.variant, 4)]).await.bought().await;
        let path = format!("/v1/orders/{}", order.text("/id"));
        let answers = at_once((0..12).map(|_| {
            let (staff, ship) = (staff.clone(), format!("{path}/shipments"));
            move || staff.post(&ship, json!({}))
        }))
        .await;
        assert_eq!((with(&answers, 201).len(), with(&answers, 409).len()), (1, 11));
        let sent = staff.get(&path).send().await.expect(200);
        assert_eq!(sent.number("/version"), order.number("/version") + 1);
        assert_eq!(shop().stock(&goods.variant).await, (6, 0, 6));
    }
}

#[tokio::test]
async fn an_order_is_cancelled_once_and_says_so_to_everybody() {
    for _ in 0..5 {
        let goods = shop().goods(5, 10).await;
        let cart = shop().guest_cart(&[(&goods.variant, 4)]).await;
        let order = cart.bought().await;
        let path = format!("/v1/orders/{}", order.text("/id"));
        let answers = at_once((0..12).map(|_| {
            let (owner, cancel) = (cart.owner.clone(), format!("{path}/cancel"));
            move || owner.post(&cancel, json!({}))
        }))
        .await;
        let done = with(&answers, 200);
        assert!(!done.is_empty());
        assert!(done.iter().all(|answer| answer.json() == done[0].json()));
        assert!(with(&answers, 409).iter().all(|answer| answer.text("/code") == "order_busy"));
        assert_eq!(done.len() + with(&answers, 409).len(), 12);
        let shown = cart.owner.get(&path).send().await.expect(200);
        assert_eq!(shown.number("/version"), order.number("/version") + 1);
        assert_eq!(shop().stock(&goods.variant).await, (10, 0, 10));
    }
    until("nothing of a cancellation is left under way", async || {
        let open = "SELECT count(*) AS number FROM processes WHERE kind = 'cancel' AND done_at IS NULL";
        (shop().number("orders", open) == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_refresh_token_is_good_once() {
    for n in 0..5 {
        let (anyone, email) = (shop().anonymous(), format!("{}@test.example", testkit::unique("refresh")));
        let who = json!({ "email": email, "password": "a customer's password", "name": "R" });
        anyone.post("/v1/users", who).send().await.expect(201);
        let session = json!({ "email": email, "password": "a customer's password" });
        let token = anyone.post("/v1/sessions", session).send().await.expect(201).text("/refresh_token");
        let answers = at_once((0..8).map(|_| {
            let (anyone, token) = (anyone.clone(), token.clone());
            move || anyone.post("/v1/sessions/refresh", json!({ "refresh_token": token }))
        }))
        .await;
        assert!(with(&answers, 200).len() <= 1, "round {n}");
        assert_eq!(with(&answers, 200).len() + with(&answers, 401).len(), 8);
    }
}
