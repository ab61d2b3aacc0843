use crate::{
    goods::{cart, ordered, refused, variant},
    shop,
};
use serde_json::{Value, json};
use testkit::{Answer, unique};

async fn level(variant: &str) -> (i64, i64, i64) {
    let stock = shop().staff().await.get(&format!("/v1/variants/{variant}/stock")).send().await.expect(200);
    assert_eq!(stock.text("/variant_id"), variant);
    (stock.number("/on_hand"), stock.number("/reserved"), stock.number("/available"))
}

async fn count(variant: &str, on_hand: i64) -> Answer {
    shop().staff().await.put(&format!("/v1/variants/{variant}/stock"), json!({ "on_hand": on_hand })).send().await
}

async fn adjust(variant: &str, body: Value) -> Answer {
    shop().staff().await.post(&format!("/v1/variants/{variant}/stock-adjustments"), body).send().await
}

#[tokio::test]
async fn what_was_counted_is_on_hand() {
    let variant = variant(shop(), 10).await;
    assert_eq!(level(&variant).await, (10, 0, 10));
    assert_eq!(count(&variant, 3).await.expect(200).number("/available"), 3);
    count(&variant, 0).await.expect(200);
    assert_eq!(level(&variant).await, (0, 0, 0));
    refused(count(&variant, -1).await, &[("/on_hand", "out_of_range")]);
    refused(count(&variant, 1_000_000_001).await, &[("/on_hand", "out_of_range")]);
}

#[tokio::test]
async fn what_was_ordered_stays_on_hand() {
    let variant = variant(shop(), 10).await;
    ordered(&shop().customer().await, &variant, 4).await;
    assert_eq!(level(&variant).await, (10, 4, 6));
    count(&variant, 3).await.problem(409, "below_reserved");
    adjust(&variant, json!({ "delta": -7 })).await.problem(409, "below_reserved");
    assert_eq!(level(&variant).await, (10, 4, 6), "what was refused changed nothing");
    count(&variant, 4).await.expect(200);
    assert_eq!(level(&variant).await, (4, 4, 0));
}

#[tokio::test]
async fn a_checkout_that_waits_holds_its_goods() {
    let (variant, buyer) = (variant(shop(), 2).await, shop().customer().await);
    let checkout = format!("/v1/carts/{}/checkout", cart(&buyer, &variant, 2).await.text("/id"));
    let payment = json!({ "payment": { "provider": "test", "token": "tok_action" } });
    buyer.post(&checkout, payment).send().await.expect(202);
    count(&variant, 1).await.problem(409, "below_reserved");
    buyer.delete(&checkout).send().await.expect(200);
    assert_eq!(level(&variant).await, (2, 0, 2));
    count(&variant, 1).await.expect(200);
}

#[tokio::test]
async fn stock_is_adjusted_by_what_came_and_went() {
    let variant = variant(shop(), 5).await;
    assert_eq!(adjust(&variant, json!({ "delta": 3, "reason": "delivery" })).await.expect(200).number("/on_hand"), 8);
    assert_eq!(adjust(&variant, json!({ "delta": -8 })).await.expect(200).number("/on_hand"), 0);
    adjust(&variant, json!({ "delta": -1 })).await.problem(409, "below_reserved");
    refused(adjust(&variant, json!({ "delta": 0 })).await, &[("/delta", "out_of_range")]);
    refused(adjust(&variant, json!({ "delta": 1_000_000_001 })).await, &[("/delta", "out_of_range")]);
    adjust(&variant, json!({ "delta": 1_000_000_000 })).await.expect(200);
    refused(adjust(&variant, json!({ "delta": 1 })).await, &[("/delta", "out_of_range")]);
}

#[tokio::test]
async fn what_changed_stock_can_be_read() {
    let (variant, staff) = (variant(shop(), 5).await, shop().staff().await);
    adjust(&variant, json!({ "delta": 3, "reason": "delivery" })).await.expect(200);
    count(&variant, 7).await.expect(200);
    count(&variant, 7).await.expect(200);
    ordered(&shop().customer().await, &variant, 2).await;
    let path = format!("/v1/variants/{variant}/stock-movements");
    let all = staff.get(&format!("{path}?count=true")).send().await.expect(200);
    assert_eq!((all.number("/count"), all.json()["count_capped"].as_bool()), (4, Some(false)));
    assert_eq!(all.json()["next"], Value::Null);
    let movements = all.json()["items"].as_array().unwrap().clone();
    let brief: Vec<_> =
        movements.iter().map(|m| (m["kind"].clone(), m["on_hand"].clone(), m["reserved"].clone())).collect();
    let expected = json!([["reserved", 0, 2], ["counted", -1, 0], ["adjusted", 3, 0], ["created", 5, 0]]);
    assert_eq!(json!(brief), expected);
    assert!(movements[0]["reservation_id"].as_str().unwrap().starts_with("resv_"));
    assert_eq!((&movements[2]["reason"], &movements[2]["reservation_id"]), (&json!("delivery"), &Value::Null));

    let (mut pages, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = staff.get(&format!("{path}?limit=3{cursor}")).send().await.expect(200);
        pages.extend(page.json()["items"].as_array().unwrap().clone());
        let Some(next) = page.json()["next"].as_str().map(str::to_owned) else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(pages, movements);
    let other = self::variant(shop(), 1).await;
    let foreign = staff.get(&format!("/v1/variants/{other}/stock-movements?limit=3{cursor}")).send().await;
    foreign.problem(400, "invalid_cursor");
    staff.get(&format!("{path}?limit=0")).send().await.problem(400, "invalid_query");
}

#[tokio::test]
async fn an_adjustment_is_repeated_with_its_key_and_counts_once() {
    let (staff, variant, key) = (shop().staff().await, variant(shop(), 5).await, unique("key"));
    let path = format!("/v1/variants/{variant}/stock-adjustments");
    for _ in 0..3 {
        let answer = staff.post(&path, json!({ "delta": 1 })).key(&key).send().await.expect(200);
        assert_eq!(answer.number("/on_hand"), 6);
    }
    let other = staff.post(&path, json!({ "delta": 2 })).key(&key).send().await;
    other.problem(422, "idempotency_key_reused");
    assert_eq!(level(&variant).await, (6, 0, 6));
}

#[tokio::test]
async fn stock_of_nothing_is_not_found() {
    let nothing = "var_01h455vb4pex5vsknk084sn02q";
    let staff = shop().staff().await;
    staff.get(&format!("/v1/variants/{nothing}/stock")).send().await.problem(404, "not_found");
    staff.get(&format!("/v1/variants/{nothing}/stock-movements")).send().await.problem(404, "not_found");
    count(nothing, 1).await.problem(404, "not_found");
    adjust(nothing, json!({ "delta": 1 })).await.problem(404, "not_found");
}
