//! Products away, and products too slow.
use crate::stage::{Customer, Stage, counted, in_time, is_open, orders_of, reaches_all_but, refused, settled};
use testkit::{Goods, Shop, unique};

/// What a customer does who buys nothing just now.
async fn goes_on(shop: &Shop, customer: &Customer, order: &str) {
    let customer = customer.signed_in(shop).await;
    for path in ["/v1/orders", &format!("/v1/orders/{order}"), "/v1/storefront/account", "/v1/users/me"] {
        in_time(customer.get(path)).await.expect(200);
    }
}

/// Somebody who has bought, and the address of what is sold.
async fn regular(shop: &Shop, goods: &Goods) -> (Customer, String, String) {
    let customer = Customer::new(shop).await;
    let order = customer.actor.cart(&[(&goods.variant, 1)]).await.ready().await.bought().await.text("/id");
    let product = shop.anonymous().get(&format!("/v1/products/{}", goods.product)).send().await.expect(200);
    (customer, order, format!("/v1/storefront/products/{}", product.text("/slug")))
}

#[tokio::test]
async fn without_products_only_what_needs_it_is_refused_and_the_same_checkout_works_when_it_is_back() {
    let mut shop = Stage::Products.shop().await;
    for kill in [false, true] {
        let goods = shop.goods(500, 10).await;
        let (customer, order, page) = regular(&shop, &goods).await;
        let (cart, key) = (shop.guest_cart(&[(&goods.variant, 2)]).await, unique("away"));
        let (hasty, hasty_key) = (shop.guest_cart(&[(&goods.variant, 1)]).await, unique("hasty"));
        match kill {
            true => shop.kill_module("products"),
            false => shop.stop_module("products"),
        }
        // Whoever asks before the broken connection is noticed cannot know how far it got.
        let at_once = || hasty.checkout("tok_ok").key(&hasty_key);
        assert!(is_open(&in_time(at_once()).await));
        goes_on(&shop, &customer, &order).await;
        refused(shop.anonymous().get(&page), "unavailable").await;
        refused(shop.anonymous().get("/v1/products"), "unavailable").await;
        refused(cart.add(&goods.variant, 1), "unavailable").await;
        reaches_all_but(&shop, "orders", &["products"]).await;
        let checkout = || cart.checkout("tok_ok").key(&key);
        refused(checkout(), "unavailable").await;
        cart.show().await;

        shop.resume_module("products");
        let bought = settled("the same checkout", checkout).await.expect(201);
        settled("the hasty one", at_once).await.expect(201);
        let again = checkout().send().await.expect(201);
        assert_eq!((again.json(), again.header("idempotent-replayed")), (bought.json(), Some("true")));
        assert_eq!((orders_of(&shop, &cart).await.len(), orders_of(&shop, &hasty).await.len()), (1, 1));
        assert_eq!(counted(&shop, &goods.variant).await, (10, 4));
        reaches_all_but(&shop, "orders", &[]).await;
    }
}

#[tokio::test]
async fn who_asks_a_frozen_neighbour_gives_up_in_time() {
    let shop = Stage::Products.shop().await;
    let goods = shop.goods(500, 10).await;
    let (customer, order, page) = regular(&shop, &goods).await;
    let (cart, key) = (shop.guest_cart(&[(&goods.variant, 2)]).await, unique("frozen"));
    shop.freeze("products");
    let checkout = || cart.checkout("tok_ok").key(&key);
    refused(checkout(), "outcome_unknown").await;
    refused(shop.anonymous().get(&page), "unavailable").await;
    goes_on(&shop, &customer, &order).await;
    shop.thaw("products");
    let bought = settled("the same checkout", checkout).await;
    assert!(matches!(bought.status, 200 | 201), "{}", bought.json());
    assert_eq!(bought.text("/status"), "placed");
    assert_eq!(orders_of(&shop, &cart).await.len(), 1);
    assert_eq!(counted(&shop, &goods.variant).await, (10, 3));
}
