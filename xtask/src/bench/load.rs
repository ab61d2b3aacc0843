//! Loads: so many buyers, each with connections of its own, each asking again as soon as it is answered.
use super::{
    cpu,
    figures::Turn,
    goods::{self, ORDERS, asked, json, text},
    shops::Door,
};
use crate::error::{Context, Result};
use reqwest::Client;
use serde_json::{Value, json};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Load {
    ProductPage,
    AccountPage,
    AddToCart,
    Checkout,
}

impl Load {
    pub(super) const ALL: [Self; 4] = [Self::ProductPage, Self::AccountPage, Self::AddToCart, Self::Checkout];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::ProductPage => "product page",
            Self::AccountPage => "account page",
            Self::AddToCart => "add to cart",
            Self::Checkout => "buy: cart, address, checkout",
        }
    }
}

/// Everybody's first request comes before the measured ones: connections stand, caches are filled.
pub(super) async fn turn(door: &Arc<Door>, load: Load, buyers: usize, length: Duration) -> Result<Turn> {
    let mut ready = Vec::with_capacity(buyers);
    for _ in 0..buyers {
        let mut buyer = Buyer { http: goods::client()?, door: Arc::clone(door), cart: None };
        buyer.act(load).await?;
        ready.push(buyer);
    }
    let (calls, shop, database) = (door.calls().await?, cpu::used(&door.shop)?, cpu::used(&door.database)?);
    let started = Instant::now();
    let mut acting = JoinSet::new();
    for buyer in ready {
        acting.spawn(buyer.act_until(load, started + length));
    }
    let mut took = Vec::new();
    while let Some(acted) = acting.join_next().await {
        took.append(&mut acted.context("a buyer died")??);
    }
    let lasted = started.elapsed();
    let (shop, database) = (cpu::used(&door.shop)? - shop, cpu::used(&door.database)? - database);
    took.sort_unstable();
    Ok(Turn { took, lasted, shop, database, calls: door.calls().await? - calls })
}

struct Buyer {
    http: Client,
    door: Arc<Door>,
    /// Into which goods are put, one after another.
    cart: Option<Cart>,
}

struct Cart {
    url: String,
    token: String,
    variant: String,
    quantity: i64,
}

impl Buyer {
    async fn act_until(mut self, load: Load, end: Instant) -> Result<Vec<Duration>> {
        let mut took = Vec::new();
        while Instant::now() < end {
            let started = Instant::now();
            self.act(load).await?;
            took.push(started.elapsed());
        }
        Ok(took)
    }

    /// Once, and looks at what came back.
    async fn act(&mut self, load: Load) -> Result<()> {
        match load {
            Load::ProductPage => self.look_at_a_product().await,
            Load::AccountPage => self.look_at_the_account().await,
            Load::AddToCart => self.add().await,
            Load::Checkout => self.buy().await,
        }
    }

    async fn look_at_a_product(&self) -> Result<()> {
        let (_, product) = self.door.goods.next();
        let url = format!("{}/v1/storefront/products/{}", self.door.at.storefront, product.slug);
        let page = asked(self.http.get(&url), 200).await?;
        expect(page.contains(&format!("\"slug\":\"{}\"", product.slug)), &url, &page)
    }

    async fn look_at_the_account(&self) -> Result<()> {
        let goods = &self.door.goods;
        let url = format!("{}/v1/storefront/account", self.door.at.storefront);
        let page = asked(self.http.get(&url).bearer_auth(&goods.token), 200).await?;
        expect(page.contains(&goods.email) && page.matches("\"number\":\"").count() == ORDERS, &url, &page)
    }

    async fn add(&mut self) -> Result<()> {
        let mut cart = match self.cart.take() {
            Some(cart) => cart,
            None => self.begin(false).await?.1,
        };
        let body = json!({ "variant_id": cart.variant, "quantity": 1 });
        let url = format!("{}/lines", cart.url);
        let added = asked(self.http.post(&url).header("X-Cart-Token", &cart.token).json(&body), 200).await?;
        cart.quantity += 1;
        let quantity = json(&added)?.pointer("/lines/0/quantity").and_then(Value::as_i64);
        expect(quantity == Some(cart.quantity), &url, &added)?;
        self.cart = Some(cart);
        Ok(())
    }

    async fn buy(&mut self) -> Result<()> {
        let (turn, cart) = self.begin(true).await?;
        let change = self.http.patch(&cart.url).header("X-Cart-Token", &cart.token);
        asked(change.json(&goods::address(&format!("guest-{turn}@shop.example"))), 200).await?;
        let url = format!("{}/checkout", cart.url);
        let checkout = self.http.post(&url).header("X-Cart-Token", &cart.token);
        let checkout = checkout.header("Idempotency-Key", format!("bench-checkout-{turn:08}"));
        let order = asked(checkout.json(&goods::payment()), 201).await?;
        let read = json(&order)?;
        let done = (text(&read, "/status")?, text(&read, "/payment_status")?) == ("placed", "authorised");
        expect(done, &url, &order)
    }

    /// A guest's cart, with a piece in it or with none.
    async fn begin(&self, with_one: bool) -> Result<(usize, Cart)> {
        let (turn, product) = self.door.goods.next();
        let variant = product.variant.clone();
        let quantity = i64::from(with_one);
        let lines = if with_one { vec![json!({ "variant_id": variant, "quantity": quantity })] } else { Vec::new() };
        let carts = format!("{}/v1/carts", self.door.at.orders);
        let made = asked(self.http.post(&carts).json(&json!({ "currency": "EUR", "lines": lines })), 201).await?;
        let made = json(&made)?;
        let url = format!("{carts}/{}", text(&made, "/id")?);
        Ok((turn, Cart { url, token: text(&made, "/token")?.into(), variant, quantity }))
    }
}

fn expect(holds: bool, url: &str, answer: &str) -> Result<()> {
    if holds { Ok(()) } else { Err(format!("{url} answered something else than was asked for: {answer}").into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{goods::Goods, shops::Addresses};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    /// A shop that answers everything alike.
    async fn door(status: &'static str, body: &'static str) -> Arc<Door> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                    let mut request = [0; 4096];
                    while stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                        stream.write_all(answer.as_bytes()).await.unwrap();
                    }
                });
            }
        });
        let at = Addresses { users: url.clone(), products: url.clone(), orders: url.clone(), storefront: url };
        Arc::new(Door::of(at, Goods::of("shirt")))
    }
    async fn shown(status: &'static str, body: &'static str) -> Result<Turn> {
        turn(&door(status, body).await, Load::ProductPage, 2, Duration::from_millis(50)).await
    }

    #[tokio::test]
    async fn what_was_asked_for_counts() {
        let turn = shown("200 OK", "{\"slug\":\"shirt\"}").await.unwrap();
        assert!(!turn.took.is_empty() && turn.took.is_sorted() && turn.lasted >= Duration::from_millis(50));
    }

    #[tokio::test]
    async fn nothing_else_counts() {
        let broken = shown("503 Service Unavailable", "{\"slug\":\"shirt\"}").await.err().unwrap().to_string();
        assert!(broken.contains("503"), "{broken}");
        let strange = shown("200 OK", "{\"slug\":\"sock\"}").await.err().unwrap().to_string();
        assert!(strange.contains("sock"), "{strange}");
    }
}
