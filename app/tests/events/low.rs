//! Stock that runs low is told to staff, once for each time that it falls.
use crate::shop_with;
use serde_json::{Value, json};
use testkit::{Shop, until};

async fn notices(shop: &Shop, variant: &str) -> Vec<Value> {
    let staff = shop.staff().await;
    let page = staff.get("/v1/notices?open=true&limit=100").send().await.expect(200);
    let all = page.at("/items").as_array().expect("a list").clone();
    all.into_iter().filter(|notice| notice.to_string().contains(variant)).collect()
}

#[tokio::test]
async fn low_stock_is_told_to_staff() {
    let shop = shop_with(&[("CLEAVE__PRODUCTS__LOW_STOCK", "3")]);
    let variant = shop.goods(500, 5).await.variant;
    shop.guest_cart(&[(&variant, 1)]).await.bought().await;
    shop.guest_cart(&[(&variant, 1)]).await.bought().await;
    let told = until("a notice is there", async || notices(&shop, &variant).await.pop()).await;
    assert_eq!(told["about"].as_str().or(told["kind"].as_str()), Some("stock.low"), "{told}");
    // It is low already.
    shop.guest_cart(&[(&variant, 1)]).await.bought().await;
    let staff = shop.staff().await;
    let id = told["id"].as_str().unwrap();
    staff.post(&format!("/v1/notices/{id}/acknowledge"), json!({})).send().await.expect(200);
    assert!(notices(&shop, &variant).await.is_empty());
}
