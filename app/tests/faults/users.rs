//! Users away: who is signed in goes on, nobody new comes in, and nobody is told that a good token is a bad one.
use crate::stage::{Customer, Stage, counted, reaches_all_but, refused, settled};
use serde_json::json;
use testkit::{Shop, until};

const OTHERS: [&str; 3] = ["products", "orders", "storefront"];

/// Restarted, it has seen no token; but it has asked for the keys.
async fn knows_the_keys(shop: &mut Shop, module: &str) {
    shop.stop_module(module);
    shop.resume_module(module);
    let url = format!("{}/metrics", shop.internal_of(module));
    until("it has asked for the keys", async || {
        let text = reqwest::get(&url).await.expect("it answers").text().await.expect("text");
        let asked = |line: &str| {
            line.starts_with("cleave_call_seconds") && line.contains("Tokens") && line.contains("outcome=\"ok\"")
        };
        text.lines().any(asked).then_some(())
    })
    .await;
}

#[tokio::test]
async fn old_keys_are_good_while_users_is_away_and_who_knows_none_says_so() {
    let mut shop = Stage::Others.shop().await;
    let goods = shop.goods(500, 10).await;
    let (customer, admin) = (Customer::new(&shop).await, shop.admin().await);
    let page = admin.get(&format!("/v1/products/{}", goods.product)).send().await.expect(200).text("/slug");
    let page = format!("/v1/storefront/products/{page}");
    for module in OTHERS {
        knows_the_keys(&mut shop, module).await;
    }
    shop.stop_module("users");

    // Everybody who is signed in goes on, in every process.
    let stock = format!("/v1/variants/{}/stock", goods.variant);
    admin.get(&stock).send().await.expect(200);
    customer.actor.cart(&[(&goods.variant, 2)]).await.ready().await.bought().await;
    customer.actor.get("/v1/orders").send().await.expect(200);
    refused(customer.sign_in(&shop), "unavailable").await;
    refused(customer.actor.get("/v1/users/me"), "unavailable").await;
    refused(customer.actor.get("/v1/storefront/account"), "unavailable").await;
    shop.anonymous().bearer("no token").get("/v1/orders").send().await.problem(401, "invalid_token");
    for module in OTHERS {
        reaches_all_but(&shop, module, &["users"]).await;
    }

    // Who comes back meanwhile serves whoever needs no key, and does not call a token bad that it cannot check.
    for module in OTHERS {
        shop.kill_module(module);
        shop.resume_module(module);
    }
    let anyone = shop.anonymous();
    settled("products are shown", || anyone.get("/v1/products")).await.expect(200);
    settled("their pages too", || anyone.get(&page)).await.expect(200);
    let body = json!({ "currency": "EUR", "lines": [{ "variant_id": goods.variant, "quantity": 1 }] });
    settled("strangers fill carts", || anyone.post("/v1/carts", body.clone())).await.expect(201);
    refused(admin.get(&stock), "unavailable").await;
    refused(customer.actor.get("/v1/orders"), "unavailable").await;
    refused(customer.actor.get("/v1/storefront/account"), "unavailable").await;

    shop.resume_module("users");
    for path in ["/v1/orders", "/v1/storefront/account", "/v1/users/me"] {
        settled("it works again", || customer.actor.get(path)).await.expect(200);
    }
    settled("staff works again", || admin.get(&stock)).await.expect(200);
    assert_eq!(counted(&shop, &goods.variant).await, (10, 2));
    customer.signed_in(&shop).await.get("/v1/orders").send().await.expect(200);
}
