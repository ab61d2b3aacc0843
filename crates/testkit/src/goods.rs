//! What most tests need first: something to buy, and a cart that can be bought.
use crate::{Actor, Answer, Request, Shop, unique};
use serde_json::{Value, json};

/// A product of one variant.
#[derive(Clone, Debug)]
pub struct Goods {
    pub product: String,
    pub variant: String,
}

impl Shop {
    /// An active product at `price` cents, with `stock` pieces.
    pub async fn goods(&self, price: i64, stock: i64) -> Goods {
        let made = self.make(1, price, stock).await;
        Goods { product: made.text("/id"), variant: made.text("/variants/0/id") }
    }
    /// So many variants, of as few products as possible.
    pub async fn variants(&self, count: usize, price: i64, stock: i64) -> Vec<String> {
        let mut all = Vec::new();
        while all.len() < count {
            let made = self.make((count - all.len()).min(250), price, stock).await;
            let ids =
                made.at("/variants").as_array().expect("a list").iter().map(|v| v["id"].clone()).collect::<Vec<_>>();
            all.extend(ids.iter().filter_map(Value::as_str).map(str::to_owned));
        }
        all
    }
    async fn make(&self, variants: usize, price: i64, stock: i64) -> Answer {
        let body = product(&unique("Thing"), variants, price, stock);
        self.admin().await.post("/v1/products", body).send().await.expect(201)
    }
    /// On hand, reserved, available.
    pub async fn stock(&self, variant: &str) -> (i64, i64, i64) {
        let stock = self.admin().await.get(&format!("/v1/variants/{variant}/stock")).send().await.expect(200);
        (stock.number("/on_hand"), stock.number("/reserved"), stock.number("/available"))
    }
    /// From now on it costs `price`.
    pub async fn reprice(&self, variant: &str, price: i64) {
        let body = json!({ "prices": [{ "amount": price, "currency": "EUR" }] });
        self.admin().await.patch(&format!("/v1/variants/{variant}"), body).send().await.expect(200);
    }
    /// A stranger's cart with these lines, ready to be bought.
    pub async fn guest_cart(&self, lines: &[(&str, i64)]) -> Cart {
        self.anonymous().cart(lines).await.ready().await
    }
}

/// The body of an active product with so many variants.
pub fn product(title: &str, variants: usize, price: i64, stock: i64) -> Value {
    let (wide, high) = (variants.min(50), variants.div_ceil(50));
    let values = |count: usize| (0..count).map(|n| n.to_string()).collect::<Vec<_>>();
    let variant = |n: usize| {
        json!({
            "options": { "Column": (n % 50).to_string(), "Row": (n / 50).to_string() },
            "prices": [{ "amount": price, "currency": "EUR" }],
            "stock": stock,
        })
    };
    json!({
        "title": title,
        "status": "active",
        "options": [{ "name": "Column", "values": values(wide) }, { "name": "Row", "values": values(high) }],
        "variants": (0..variants).map(variant).collect::<Vec<_>>(),
    })
}

pub fn address() -> Value {
    json!({ "name": "G. Guest", "line1": "Hauptstr. 1", "city": "Berlin", "postal_code": "10115", "country": "DE" })
}

/// How the test provider is paid.
pub fn pay(token: &str) -> Value {
    json!({ "payment": { "provider": "test", "token": token } })
}

/// A cart, and who may touch it.
#[derive(Clone)]
pub struct Cart {
    pub id: String,
    pub owner: Actor,
    /// As it was made.
    pub made: Answer,
}

impl Actor {
    /// A cart in euro of their own; a stranger becomes its guest.
    pub async fn cart(&self, lines: &[(&str, i64)]) -> Cart {
        let lines: Vec<_> =
            lines.iter().map(|(variant, quantity)| json!({ "variant_id": variant, "quantity": quantity })).collect();
        let made = self.post("/v1/carts", json!({ "currency": "EUR", "lines": lines })).send().await.expect(201);
        let owner = match made.json()["token"].as_str() {
            Some(token) => self.clone().cart_token(token),
            None => self.clone(),
        };
        Cart { id: made.text("/id"), owner, made }
    }
}

impl Cart {
    /// Its path, and `rest` behind it.
    pub fn path(&self, rest: &str) -> String {
        format!("/v1/carts/{}{rest}", self.id)
    }
    /// With all that a checkout needs beside lines.
    #[must_use]
    pub async fn ready(self) -> Self {
        let who = json!({ "email": "guest@test.example", "shipping_address": address() });
        self.change(who).send().await.expect(200);
        self
    }
    pub async fn show(&self) -> Answer {
        self.owner.get(&self.path("")).send().await.expect(200)
    }
    pub fn change(&self, body: Value) -> Request {
        self.owner.patch(&self.path(""), body)
    }
    pub fn add(&self, variant: &str, quantity: i64) -> Request {
        self.owner.post(&self.path("/lines"), json!({ "variant_id": variant, "quantity": quantity }))
    }
    /// Buys it with a card of the test provider.
    pub fn checkout(&self, token: &str) -> Request {
        self.owner.post(&self.path("/checkout"), pay(token))
    }
    /// The order it becomes.
    pub async fn bought(&self) -> Answer {
        self.checkout("tok_ok").send().await.expect(201)
    }
}
