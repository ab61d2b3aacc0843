//! What every shop holds before it is measured, put there through its public API.
use super::shops::{ADMIN, Addresses};
use crate::error::{Context, Result};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use tokio::task::JoinSet;

const REQUEST: Duration = Duration::from_secs(30);
const AT_ONCE: usize = 8;
/// More than anybody buys meanwhile.
const STOCK: u32 = 1_000_000;
const BUYER: (&str, &str) = ("buyer@shop.example", "buyer of the measured shop");
/// What the account's page shows.
pub(super) const ORDERS: usize = 5;

pub(super) struct Goods {
    products: Vec<Product>,
    pub(super) email: String,
    pub(super) token: String,
    turns: AtomicUsize,
}

pub(super) struct Product {
    pub(super) slug: String,
    pub(super) variant: String,
}

impl Goods {
    /// A catalogue, and a customer with orders.
    pub(super) async fn fill(at: &Addresses, products: usize) -> Result<Self> {
        let http = client()?;
        let staff = sign_in(&http, at, ADMIN).await?;
        let products = catalogue(&http, at, &staff, products).await?;
        let (email, password) = BUYER;
        let body = json!({ "email": email, "password": password, "name": "Buyer" });
        asked(http.post(format!("{}/v1/users", at.users)).json(&body), 201).await?;
        let token = sign_in(&http, at, BUYER).await?;
        let goods = Self { products, email: email.into(), token, turns: AtomicUsize::new(0) };
        for _ in 0..ORDERS {
            goods.order(&http, at).await?;
        }
        Ok(goods)
    }

    #[cfg(test)]
    pub(super) fn of(slug: &str) -> Self {
        let products = vec![Product { slug: slug.into(), variant: String::new() }];
        Self { products, email: String::new(), token: String::new(), turns: AtomicUsize::new(0) }
    }

    /// The next of all products in turn, and a number that nobody else gets.
    pub(super) fn next(&self) -> (usize, &Product) {
        let turn = self.turns.fetch_add(1, Ordering::Relaxed);
        (turn, &self.products[turn % self.products.len()])
    }

    async fn order(&self, http: &Client, at: &Addresses) -> Result<()> {
        let (_, product) = self.next();
        let body = json!({ "currency": "EUR", "lines": [{ "variant_id": product.variant, "quantity": 1 }] });
        let carts = format!("{}/v1/carts", at.orders);
        let cart = json(&asked(http.post(&carts).bearer_auth(&self.token).json(&body), 201).await?)?;
        let cart = format!("{carts}/{}", text(&cart, "/id")?);
        asked(http.patch(&cart).bearer_auth(&self.token).json(&address(&self.email)), 200).await?;
        let checkout = http.post(format!("{cart}/checkout")).bearer_auth(&self.token);
        asked(checkout.json(&payment()), 201).await.map(drop)
    }
}

async fn catalogue(http: &Client, at: &Addresses, staff: &str, count: usize) -> Result<Vec<Product>> {
    let (mut due, mut products, mut making) = (0..count, Vec::with_capacity(count), JoinSet::new());
    loop {
        while making.len() < AT_ONCE
            && let Some(number) = due.next()
        {
            let request = http.post(format!("{}/v1/products", at.products)).bearer_auth(staff).json(&product(number));
            making.spawn(async move {
                let made = json(&asked(request, 201).await?)?;
                let (slug, variant) = (text(&made, "/slug")?.into(), text(&made, "/variants/0/id")?.into());
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>((number, Product { slug, variant }))
            });
        }
        let Some(made) = making.join_next().await else { break };
        products.push(made.context("a request died")??);
    }
    // In the same order in every shop.
    products.sort_unstable_by_key(|(number, _)| *number);
    Ok(products.into_iter().map(|(_, product)| product).collect())
}

fn product(number: usize) -> Value {
    let sizes = ["S", "M", "L"];
    let variant = |size: &str| {
        json!({
            "sku": format!("BENCH-{number}-{size}"),
            "options": { "Size": size },
            "prices": [{ "amount": 999 + number, "currency": "EUR" }],
            "stock": STOCK,
            "track_stock": true,
        })
    };
    json!({
        "title": format!("Shirt {number}"),
        "slug": format!("bench-{number}"),
        "description": format!("<p>A shirt of cotton, number <b>{number}</b>. Washable at forty degrees.</p>"),
        "status": "active",
        "options": [{ "name": "Size", "values": sizes }],
        "variants": sizes.map(variant),
    })
}

pub(super) async fn sign_in(http: &Client, at: &Addresses, (email, password): (&str, &str)) -> Result<String> {
    let body = json!({ "email": email, "password": password });
    let answer = json(&asked(http.post(format!("{}/v1/sessions", at.users)).json(&body), 201).await?)?;
    Ok(text(&answer, "/access_token")?.into())
}

pub(super) fn address(email: &str) -> Value {
    let address = json!({ "name": "A Buyer", "line1": "Main Street 1", "city": "Berlin", "postal_code": "10115", "country": "DE" });
    json!({ "email": email, "shipping_address": address })
}

pub(super) fn payment() -> Value {
    json!({ "payment": { "provider": "test", "token": "tok_ok" } })
}

/// One that keeps one connection to each process.
pub(super) fn client() -> Result<Client> {
    Client::builder().timeout(REQUEST).pool_max_idle_per_host(1).build().context("cannot make an HTTP client")
}

/// The answer's text; any other status is an error that shows it.
pub(super) async fn asked(request: RequestBuilder, status: u16) -> Result<String> {
    let answer = request.send().await.map_err(|error| format!("no answer: {error:?}"))?;
    let (url, got) = (answer.url().clone(), answer.status());
    let text = answer.text().await.context(format_args!("{url} broke off"))?;
    if got == status { Ok(text) } else { Err(format!("{url} answered {got} instead of {status}: {text}").into()) }
}

pub(super) fn json(text: &str) -> Result<Value> {
    serde_json::from_str(text).context(format_args!("no JSON: {text}"))
}

/// The text at a JSON pointer.
pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> Result<&'a str> {
    value.pointer(pointer).and_then(Value::as_str).context(format_args!("no text at {pointer} in {value}"))
}
