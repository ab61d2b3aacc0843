//! Orders away, and the storefront's process: who routes says so, and the rest goes on.
use crate::stage::{Customer, Stage, reaches_all_but, refused, settled};
use serde_json::json;

#[tokio::test]
async fn without_orders_there_is_everything_else() {
    let mut shop = Stage::Others.shop().await;
    let (goods, customer) = (shop.goods(500, 10).await, Customer::new(&shop).await);
    let cart = shop.guest_cart(&[(&goods.variant, 1)]).await;
    shop.kill_module("orders");
    refused(customer.actor.get("/v1/orders"), "unavailable").await;
    refused(cart.checkout("tok_ok"), "unavailable").await;
    refused(shop.anonymous().post("/v1/carts", json!({ "currency": "EUR" })), "unavailable").await;
    refused(customer.actor.get("/v1/storefront/account"), "unavailable").await;
    reaches_all_but(&shop, "storefront", &["orders"]).await;
    shop.anonymous().get("/v1/products").send().await.expect(200);
    customer.signed_in(&shop).await.get("/v1/users/me").send().await.expect(200);
    shop.resume_module("orders");
    settled("it is bought", || cart.checkout("tok_ok")).await.expect(201);
    settled("the account is shown", || customer.actor.get("/v1/storefront/account")).await.expect(200);
}

#[tokio::test]
async fn without_the_storefront_there_is_everything_else() {
    let mut shop = Stage::Others.shop().await;
    let (goods, customer) = (shop.goods(500, 10).await, Customer::new(&shop).await);
    shop.stop_module("storefront");
    for path in ["/v1/storefront/account", "/openapi.json", "/docs", "/readyz", "/nobody/serves/this"] {
        refused(customer.actor.get(path), "unavailable").await;
    }
    shop.guest_cart(&[(&goods.variant, 1)]).await.bought().await;
    customer.signed_in(&shop).await.get("/v1/orders").send().await.expect(200);
    shop.resume_module("storefront");
    settled("the account is shown", || customer.actor.get("/v1/storefront/account")).await.expect(200);
    shop.anonymous().get("/nobody/serves/this").send().await.problem(404, "not_served_here");
}
