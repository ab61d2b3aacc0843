use crate::{
    goods::{lamp, made, refused},
    shop,
};
use serde_json::{Value, json};
use testkit::{Answer, unique};

/// A shirt in S, with M on the list.
async fn shirt() -> Answer {
    let product = json!({
        "title": unique("Shirt"), "status": "active",
        "options": [{ "name": "Size", "values": ["S", "M"] }],
        "variants": [{ "options": { "Size": "S" }, "prices": [{ "amount": 900, "currency": "EUR" }] }],
    });
    made(shop(), product).await
}

#[tokio::test]
async fn a_variant_is_added() {
    let (staff, shirt) = (shop().staff().await, shirt().await);
    let path = format!("/v1/products/{}/variants", shirt.text("/id"));
    let medium = json!({ "sku": unique("m"), "options": { "Size": "M" }, "prices": [{ "amount": 1000, "currency": "EUR" }], "stock": 4 });
    let key = unique("key");
    let added = staff.post(&path, medium.clone()).key(&key).send().await.expect(201);
    assert_eq!((added.number("/available"), added.number("/version")), (4, 2));
    assert_eq!((added.text("/product_id"), added.at("/options")), (shirt.text("/id"), json!({ "Size": "M" })));
    let again = staff.post(&path, medium.clone()).key(&key).send().await.expect(201);
    assert_eq!((again.bytes, again.headers.contains_key("idempotent-replayed")), (added.bytes, true));
    staff.post(&path, medium).send().await.problem(409, "options_taken");
    let shown = shop().anonymous().get(&format!("/v1/products/{}", shirt.text("/slug"))).send().await;
    assert_eq!(shown.at("/variants").as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_variant_must_fit_the_options() {
    let path = format!("/v1/products/{}/variants", shirt().await.text("/id"));
    let staff = shop().staff().await;
    for options in
        [json!({}), json!({ "Size": "XL" }), json!({ "Size": "M", "Color": "Red" }), json!({ "Color": "Red" })]
    {
        refused(staff.post(&path, json!({ "options": options })).send().await, &[("/options", "unknown")]);
    }
    let bad = json!({ "sku": " ", "options": { "Size": "M" }, "stock": 1_000_000_001, "prices": [
        { "amount": 1, "currency": "EUR" }, { "amount": 2, "currency": "EUR" } ] });
    let expected = [("/sku", "invalid_format"), ("/prices/1", "duplicate"), ("/stock", "out_of_range")];
    refused(staff.post(&path, bad).send().await, &expected);
    let nowhere = format!("/v1/products/{}/variants", unique("none"));
    staff.post(&nowhere, json!({})).send().await.problem(404, "not_found");
}

#[tokio::test]
async fn a_variant_changes() {
    let (staff, made) = (shop().staff().await, made(shop(), lamp()).await);
    let path = format!("/v1/variants/{}", made.text("/variants/0/id"));
    let change = |body: Value| staff.patch(&path, body).send();
    let prices = json!([{ "amount": 5, "currency": "EUR" }, { "amount": 6, "currency": "USD" }]);
    let changed = change(json!({ "prices": prices, "track_stock": false })).await.expect(200);
    assert_eq!((changed.at("/prices"), changed.at("/available"), changed.number("/version")), (prices, Value::Null, 2));
    assert_eq!(changed.at("/sku"), made.at("/variants/0/sku"), "what was not given stays");
    assert_eq!(change(json!({ "sku": null })).await.expect(200).at("/sku"), Value::Null);
    let tracked = change(json!({ "track_stock": true })).await.expect(200);
    assert_eq!(tracked.number("/available"), 10, "what was on hand was not forgotten");
}

#[tokio::test]
async fn a_variant_changes_in_the_version_of_its_product() {
    let (staff, made) = (shop().staff().await, made(shop(), lamp()).await);
    let path = format!("/v1/variants/{}", made.text("/variants/0/id"));
    let change = |sku: &str| staff.patch(&path, json!({ "sku": sku })).header("if-match", "\"1\"").send();
    change("first").await.expect(200);
    change("second").await.problem(412, "version_mismatch");
}

#[tokio::test]
async fn a_price_must_be_one_of_a_currency() {
    let staff = shop().staff().await;
    let path = format!("/v1/variants/{}", made(shop(), lamp()).await.text("/variants/0/id"));
    let change = |amount: Value, currency: &str| {
        staff.patch(&path, json!({ "prices": [{ "amount": amount, "currency": currency }] })).send()
    };
    refused(change(json!(-1), "EUR").await, &[("/prices/0/amount", "out_of_range")]);
    refused(change(json!(1_i64 << 53), "EUR").await, &[("/prices/0/amount", "out_of_range")]);
    refused(change(json!(19.99), "EUR").await, &[("/prices/0/amount", "wrong_type")]);
    refused(change(json!("1999"), "EUR").await, &[("/prices/0/amount", "wrong_type")]);
    for currency in ["XXX", "eur", "", "EURO"] {
        refused(change(json!(1), currency).await, &[("/prices/0/currency", "invalid_format")]);
    }
    change(json!((1_i64 << 53) - 1), "EUR").await.expect(200);
}

#[tokio::test]
async fn a_variant_that_is_not_there_is_not_found() {
    let staff = shop().staff().await;
    let product = made(shop(), lamp()).await.text("/id");
    for id in ["var_01h455vb4pex5vsknk084sn02q", "x", product.as_str()] {
        staff.patch(&format!("/v1/variants/{id}"), json!({ "sku": "x" })).send().await.problem(404, "not_found");
    }
}
