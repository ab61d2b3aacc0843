//! Orders: shown, listed, cancelled, sent.
use crate::shop;
use serde_json::{Value, json};
use testkit::{Actor, Answer};

fn ids(page: &Answer) -> Vec<String> {
    page.at("/items").as_array().expect("a list").iter().map(|o| o["id"].as_str().expect("an id").to_owned()).collect()
}

/// A customer who bought `count` times, oldest first.
async fn customer_with_orders(count: usize) -> (Actor, Vec<String>) {
    let (customer, goods) = (shop().customer().await, shop().goods(100, 100).await);
    let mut orders = Vec::new();
    for _ in 0..count {
        orders.push(customer.cart(&[(&goods.variant, 1)]).await.ready().await.bought().await.text("/id"));
    }
    (customer, orders)
}

#[tokio::test]
async fn a_checkout_answers_the_order() {
    let goods = shop().goods(1999, 5).await;
    let cart = shop().guest_cart(&[(&goods.variant, 2)]).await;
    let order = cart.bought().await;
    assert_eq!(order.header("location"), Some(format!("/v1/orders/{}", order.text("/id")).as_str()));
    assert_eq!(order.text("/cart_id"), cart.id);
    let states = ["/status", "/payment_status", "/fulfilment_status"].map(|pointer| order.text(pointer));
    assert_eq!(states, ["placed", "authorised", "unfulfilled"]);
    assert_eq!(order.number("/totals/total/amount"), 3998);
    assert!(order.text("/number").parse::<u64>().is_ok_and(|number| number > 1000));
    assert_eq!(shop().stock(&goods.variant).await, (5, 2, 3));
    let shown = cart.owner.get(&format!("/v1/orders/{}", order.text("/id"))).send().await.expect(200);
    assert_eq!(shown.json(), order.json());
    assert_eq!(shown.header("etag"), order.header("etag"));
    let tag = shown.header("etag").expect("a tag");
    let path = format!("/v1/orders/{}", order.text("/id"));
    cart.owner.get(&path).header("if-none-match", tag).send().await.expect(304);
    // The cart is done: whoever buys it again gets the same order.
    let again = cart.checkout("tok_ok").send().await.expect(200);
    assert_eq!(again.json(), order.json());
    cart.add(&goods.variant, 1).send().await.problem(409, "cart_completed");
}

#[tokio::test]
async fn an_order_is_its_buyers_and_staffs_alone() {
    let goods = shop().goods(5, 5).await;
    let cart = shop().guest_cart(&[(&goods.variant, 1)]).await;
    let path = format!("/v1/orders/{}", cart.bought().await.text("/id"));
    cart.owner.get(&path).send().await.expect(200);
    shop().staff().await.get(&path).send().await.expect(200);
    let other = shop().guest_cart(&[]).await.owner;
    for stranger in [shop().anonymous(), other, shop().customer().await] {
        stranger.get(&path).send().await.problem(404, "not_found");
        stranger.post(&format!("{path}/cancel"), json!({})).send().await.problem(404, "not_found");
    }
}

#[tokio::test]
async fn a_customer_lists_their_own_orders_newest_first() {
    let (customer, mut orders) = customer_with_orders(3).await;
    orders.reverse();
    let page = customer.get("/v1/orders?count=true").send().await.expect(200);
    assert_eq!(ids(&page), orders);
    assert_eq!((page.number("/count"), page.at("/count_capped")), (3, json!(false)));
    assert_eq!(page.at("/next"), Value::Null);
    shop().anonymous().get("/v1/orders").send().await.problem(401, "unauthenticated");
}

#[tokio::test]
async fn a_list_goes_on_where_its_page_ended() {
    let (customer, mut orders) = customer_with_orders(5).await;
    orders.reverse();
    let first = customer.get("/v1/orders?limit=2").send().await.expect(200);
    let second = customer.get(&format!("/v1/orders?limit=2&cursor={}", first.text("/next"))).send().await.expect(200);
    let third = customer.get(&format!("/v1/orders?limit=2&cursor={}", second.text("/next"))).send().await.expect(200);
    assert_eq!([ids(&first), ids(&second), ids(&third)].concat(), orders);
    assert_eq!(third.at("/next"), Value::Null);
    // A cursor belongs to its filters.
    let path = format!("/v1/orders?status=placed&cursor={}", first.text("/next"));
    customer.get(&path).send().await.problem(400, "invalid_cursor");
    customer.get("/v1/orders?limit=101").send().await.problem(400, "invalid_query");
    customer.get("/v1/orders?status=lost").send().await.problem(400, "invalid_query");
}

#[tokio::test]
async fn staff_sees_everybodys_orders_and_those_of_one_user() {
    let (one, first) = customer_with_orders(1).await;
    let (_, second) = customer_with_orders(1).await;
    let staff = shop().staff().await;
    let user = one.get("/v1/users/me").send().await.expect(200).text("/id");
    let mine = staff.get(&format!("/v1/orders?user={user}")).send().await.expect(200);
    assert_eq!(ids(&mine), first);
    let mut found = 0;
    let mut path = "/v1/orders?limit=100".to_owned();
    loop {
        let page = staff.get(&path).send().await.expect(200);
        found += ids(&page).iter().filter(|id| first.contains(id) || second.contains(id)).count();
        match page.at("/next") {
            Value::String(next) => path = format!("/v1/orders?limit=100&cursor={next}"),
            _ => break,
        }
    }
    assert_eq!(found, 2);
    // Who is no staff may not ask for somebody's.
    let (other, _) = customer_with_orders(0).await;
    other.get(&format!("/v1/orders?user={user}")).send().await.problem(400, "invalid_query");
}

#[tokio::test]
async fn attempts_that_came_to_nothing_are_listed_only_when_asked_for() {
    let (customer, goods) = (shop().customer().await, shop().goods(5, 5).await);
    let declined = customer.cart(&[(&goods.variant, 1)]).await.ready().await;
    declined.checkout("tok_declined").send().await.expect(402);
    let waits = customer.cart(&[(&goods.variant, 1)]).await.ready().await;
    let pending = waits.checkout("tok_action").send().await.expect(202).text("/id");
    assert_eq!(ids(&customer.get("/v1/orders").send().await.expect(200)), Vec::<String>::new());
    assert_eq!(ids(&customer.get("/v1/orders?status=pending").send().await.expect(200)), [pending]);
    let failed = customer.get("/v1/orders?status=failed").send().await.expect(200);
    assert_eq!(failed.text("/items/0/payment_status"), "failed");
    assert_eq!(failed.text("/items/0/cart_id"), declined.id);
}

#[tokio::test]
async fn a_cancelled_order_frees_its_stock_and_voids_its_payment() {
    let goods = shop().goods(5, 5).await;
    let cart = shop().guest_cart(&[(&goods.variant, 2)]).await;
    let path = format!("/v1/orders/{}", cart.bought().await.text("/id"));
    let cancel = || cart.owner.post(&format!("{path}/cancel"), json!({ "reason": "too late" }));
    let cancelled = cancel().send().await.expect(200);
    assert_eq!((cancelled.text("/status"), cancelled.text("/payment_status")), ("cancelled".into(), "voided".into()));
    assert_eq!(cancelled.text("/cancel_reason"), "too late");
    assert_eq!(shop().stock(&goods.variant).await, (5, 0, 5));
    let again = cancel().send().await.expect(200);
    assert_eq!(again.json(), cancelled.json());
    assert_eq!(shop().stock(&goods.variant).await, (5, 0, 5));
    let staff = shop().staff().await;
    staff.post(&format!("{path}/shipments"), json!({})).send().await.problem(409, "order_not_shippable");
    let listed = staff.get("/v1/orders?status=cancelled").send().await.expect(200);
    assert!(listed.at("/items").as_array().expect("a list").iter().all(|order| order["status"] == "cancelled"));
}

#[tokio::test]
async fn staff_sends_an_order_and_it_can_no_longer_be_cancelled() {
    let goods = shop().goods(5, 5).await;
    let cart = shop().guest_cart(&[(&goods.variant, 2)]).await;
    let path = format!("/v1/orders/{}", cart.bought().await.text("/id"));
    let parcel = || json!({ "carrier": "Post", "tracking_number": "1Z" });
    let shipments = format!("{path}/shipments");
    cart.owner.post(&shipments, parcel()).send().await.problem(401, "unauthenticated");
    shop().customer().await.post(&shipments, parcel()).send().await.problem(403, "forbidden");
    let staff = shop().staff().await;
    let sent = staff.post(&shipments, parcel()).send().await.expect(201);
    assert_eq!(sent.text("/fulfilment_status"), "fulfilled");
    assert_eq!(
        (sent.text("/shipments/0/carrier"), sent.text("/shipments/0/tracking_number")),
        ("Post".into(), "1Z".into())
    );
    assert_eq!(cart.owner.get(&path).send().await.expect(200).json(), sent.json(), "it is read as it was answered");
    assert_eq!(shop().stock(&goods.variant).await, (3, 0, 3));
    staff.post(&shipments, parcel()).send().await.problem(409, "order_not_shippable");
    cart.owner.post(&format!("{path}/cancel"), json!({})).send().await.problem(409, "order_not_cancellable");
    staff.post(&format!("{path}/cancel"), json!({})).send().await.problem(409, "order_not_cancellable");
    assert_eq!(shop().stock(&goods.variant).await, (3, 0, 3));
}

#[tokio::test]
async fn an_order_stays_what_was_bought() {
    let goods = shop().goods(500, 5).await;
    let cart = shop().guest_cart(&[(&goods.variant, 1)]).await;
    let order = cart.bought().await;
    shop().reprice(&goods.variant, 900).await;
    let admin = shop().admin().await;
    let product = format!("/v1/products/{}", goods.product);
    admin.patch(&product, json!({ "title": "Something else", "status": "archived" })).send().await.expect(200);
    let shown = cart.owner.get(&format!("/v1/orders/{}", order.text("/id"))).send().await.expect(200);
    assert_eq!(shown.json(), order.json());
}

#[tokio::test]
async fn only_a_placed_order_is_cancelled_or_sent() {
    let goods = shop().goods(5, 5).await;
    let cart = shop().guest_cart(&[(&goods.variant, 1)]).await;
    let path = format!("/v1/orders/{}", cart.checkout("tok_action").send().await.expect(202).text("/id"));
    let staff = shop().staff().await;
    staff.post(&format!("{path}/cancel"), json!({})).send().await.problem(409, "order_not_cancellable");
    staff.post(&format!("{path}/shipments"), json!({})).send().await.problem(409, "order_not_shippable");
    assert_eq!(shop().stock(&goods.variant).await, (5, 1, 4));
}
