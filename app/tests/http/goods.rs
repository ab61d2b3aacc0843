//! What tests sell and buy.
use serde_json::{Value, json};
use testkit::{Actor, Answer, Shop, unique};

/// An active product of one variant: 19.99 euro, 10 pieces.
pub(crate) fn lamp() -> Value {
    json!({
        "title": unique("Lamp"),
        "status": "active",
        "variants": [{ "sku": unique("sku"), "prices": [{ "amount": 1999, "currency": "EUR" }], "stock": 10 }],
    })
}

/// A product that staff made.
pub(crate) async fn made(shop: &Shop, product: Value) -> Answer {
    shop.staff().await.post("/v1/products", product).send().await.expect(201)
}

/// A variant of which there are `stock` pieces.
pub(crate) async fn variant(shop: &Shop, stock: i64) -> String {
    let mut product = lamp();
    product["variants"][0]["stock"] = json!(stock);
    made(shop, product).await.text("/variants/0/id")
}

pub(crate) fn address() -> Value {
    json!({ "name": "Ann Buyer", "line1": "1 High Street", "city": "Berlin", "postal_code": "10115", "country": "DE" })
}

/// A cart of `buyer` that can be checked out.
pub(crate) async fn cart(buyer: &Actor, variant: &str, quantity: i64) -> Answer {
    let cart = json!({ "currency": "EUR", "email": "buyer@test.example", "lines": [{ "variant_id": variant, "quantity": quantity }] });
    let cart = buyer.post("/v1/carts", cart).send().await.expect(201);
    let id = cart.text("/id");
    let buyer = match cart.json()["token"].as_str() {
        Some(token) => buyer.clone().cart_token(token),
        None => buyer.clone(),
    };
    buyer.patch(&format!("/v1/carts/{id}"), json!({ "shipping_address": address() })).send().await.expect(200);
    cart
}

/// An order that a signed-in `buyer` placed.
pub(crate) async fn ordered(buyer: &Actor, variant: &str, quantity: i64) -> Answer {
    let cart = cart(buyer, variant, quantity).await.text("/id");
    let payment = json!({ "payment": { "provider": "test", "token": "tok_ok" } });
    buyer.post(&format!("/v1/carts/{cart}/checkout"), payment).send().await.expect(201)
}

/// The pointers of a problem's errors, with their codes.
#[track_caller]
pub(crate) fn complaints(answer: &Answer) -> Vec<(String, String)> {
    let errors = answer.at("/errors");
    let text = |error: &Value, name: &str| error[name].as_str().unwrap_or_default().to_owned();
    errors.as_array().into_iter().flatten().map(|error| (text(error, "pointer"), text(error, "code"))).collect()
}

/// A 422 with exactly these complaints.
#[track_caller]
pub(crate) fn refused(answer: Answer, expected: &[(&str, &str)]) {
    let found = complaints(&answer.problem(422, "invalid"));
    let found: Vec<_> = found.iter().map(|(pointer, code)| (pointer.as_str(), code.as_str())).collect();
    assert_eq!(found, expected);
}

/// All pages of a list: the texts at `pointer` of their items.
pub(crate) async fn pages(actor: &Actor, path: &str, limit: usize, pointer: &str) -> Vec<String> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    let joint = if path.contains('?') { '&' } else { '?' };
    loop {
        let page = actor.get(&format!("{path}{joint}limit={limit}{cursor}")).send().await.expect(200);
        let items = page.at("/items");
        let items = items.as_array().expect("a list");
        assert!(items.len() <= limit, "{}", page.what);
        all.extend(items.iter().map(|item| item.pointer(pointer).and_then(Value::as_str).unwrap_or("-").to_owned()));
        match page.at("/next") {
            Value::String(next) => {
                assert_eq!(items.len(), limit, "a page before the last is full: {}", page.what);
                cursor = format!("&cursor={next}");
            }
            _ => return all,
        }
    }
}
