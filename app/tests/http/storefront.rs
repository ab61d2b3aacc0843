use crate::{
    goods::{lamp, made, ordered},
    shop,
};
use serde_json::{Value, json};
use testkit::unique;

#[tokio::test]
async fn a_product_page_shows_what_can_be_bought_now() {
    let made = made(shop(), lamp()).await;
    let path = format!("/v1/storefront/products/{}", made.text("/slug"));
    let page = shop().anonymous().get(&path).send().await.expect(200);
    assert_eq!((page.text("/id"), page.text("/title")), (made.text("/id"), made.text("/title")));
    assert_eq!((page.number("/variants/0/available"), page.at("/available")), (10, json!(true)));
    ordered(&shop().customer().await, &made.text("/variants/0/id"), 10).await;
    let page = shop().anonymous().get(&path).send().await.expect(200);
    assert_eq!((page.number("/variants/0/available"), page.at("/available")), (0, json!(false)));
}

#[tokio::test]
async fn what_is_not_tracked_can_always_be_bought() {
    let mut product = lamp();
    product["variants"][0]["track_stock"] = json!(false);
    let path = format!("/v1/storefront/products/{}", made(shop(), product).await.text("/slug"));
    let page = shop().anonymous().get(&path).send().await.expect(200);
    assert_eq!((page.at("/variants/0/available"), page.at("/available")), (Value::Null, json!(true)));
}

#[tokio::test]
async fn what_is_not_sold_has_no_page() {
    let mut product = lamp();
    product["status"] = json!("draft");
    let made = made(shop(), product).await;
    for name in [made.text("/slug"), made.text("/id"), unique("none"), "%27".into()] {
        // not even for staff: it is the shop window
        let answer = shop().staff().await.get(&format!("/v1/storefront/products/{name}")).send().await;
        answer.problem(404, "not_found");
    }
    let zero = shop().anonymous().get("/v1/storefront/products/%00").send().await;
    zero.problem(400, "malformed_request");
}

#[tokio::test]
async fn an_account_shows_the_latest_orders() {
    let (buyer, variant) = (shop().customer().await, crate::goods::variant(shop(), 10).await);
    let account = buyer.get("/v1/storefront/account").send().await.expect(200);
    assert_eq!(account.at("/orders"), json!([]));
    assert_eq!(account.text("/id"), buyer.get("/v1/users/me").send().await.text("/id"));
    let mut placed = Vec::new();
    for _ in 0..6 {
        placed.push(ordered(&buyer, &variant, 1).await.text("/id"));
    }
    let orders = buyer.get("/v1/storefront/account").send().await.expect(200).at("/orders");
    let shown: Vec<_> = orders.as_array().unwrap().iter().map(|order| order["id"].as_str().unwrap()).collect();
    placed.reverse();
    assert_eq!(shown, placed[..5]);
    assert_eq!(
        (&orders[0]["status"], &orders[0]["total"]),
        (&json!("placed"), &json!({ "amount": 1999, "currency": "EUR" }))
    );
}

#[tokio::test]
async fn an_account_shows_nobody_elses_orders() {
    let variant = crate::goods::variant(shop(), 10).await;
    ordered(&shop().customer().await, &variant, 1).await;
    let (staff, other) = (shop().staff().await, shop().customer().await);
    for actor in [&staff, &other] {
        assert_eq!(actor.get("/v1/storefront/account").send().await.expect(200).at("/orders"), json!([]));
    }
}
