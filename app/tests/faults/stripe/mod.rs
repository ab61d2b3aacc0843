//! A shop that takes money with Stripe, and a server that stands in for it: whatever goes wrong between them, its books
//! show each payment once.
mod buying;
mod secrets;
mod silence;

use crate::stage::{in_time, is_open};
use kernel::Clock as _;
use serde_json::{Value, json};
use testkit::{
    Answer, Cart, Options, Request, Shop, Topology,
    stripe::{Book, KEY, SECRET, Stripe},
    unique, until,
};

/// The goods of every cart here cost so much.
const TOTAL: i64 = 1000;
const VISA: &str = "pm_card_visa";
const ASKS_THE_BANK: &str = "pm_card_authenticationRequired";

/// A shop, and whom it asks for money.
struct Till {
    stripe: Stripe,
    shop: Shop,
}

impl Till {
    fn opens(topology: Topology) -> Self {
        let stripe = Stripe::start().unwrap();
        let usual = [
            ("CLEAVE__PAYMENTS__PROVIDERS", "stripe".to_owned()),
            ("CLEAVE__PAYMENTS__STRIPE__BASE_URL", stripe.url()),
            ("CLEAVE__PAYMENTS__STRIPE__SECRET_KEY", KEY.to_owned()),
            ("CLEAVE__PAYMENTS__STRIPE__WEBHOOK_SECRETS", format!("whsec_before,{SECRET}")),
            ("CLEAVE__PAYMENTS__STRIPE__TIMEOUT_SECONDS", "1".to_owned()),
            ("CLEAVE__HTTP__REQUEST_SECONDS", "3".to_owned()),
            ("CLEAVE__CHECKOUT__LEASE_SECONDS", "4".to_owned()),
            ("CLEAVE__PRODUCTS__SWEEP_SECONDS", "1".to_owned()),
        ];
        let env = usual.map(|(name, value)| (name.to_owned(), value)).into();
        let options = Options { env, topology: Some(topology), ..Options::default() };
        Self { stripe, shop: Shop::start(env!("CARGO_BIN_EXE_cleave"), options) }
    }

    /// A stranger's cart.
    async fn cart(&self) -> Cart {
        self.cart_of(TOTAL / 2).await
    }
    /// Two pieces at this price.
    async fn cart_of(&self, price: i64) -> Cart {
        let goods = self.shop.goods(price, 10).await;
        self.shop.guest_cart(&[(&goods.variant, 2)]).await
    }
    /// Bought and secured.
    async fn order(&self) -> String {
        pays(&self.cart().await, VISA).send().await.expect(201).text("/id")
    }
    async fn seen(&self, order: &str) -> Answer {
        self.shop.admin().await.get(&format!("/v1/orders/{order}")).send().await.expect(200)
    }
    async fn until_seen(&self, order: &str, what: &str, there: impl Fn(&Answer) -> bool) -> Answer {
        until(what, async || Some(self.seen(order).await).filter(&there)).await
    }
    async fn about(&self, order: &str, what: &str, body: Value) -> Request {
        self.shop.admin().await.post(&format!("/v1/orders/{order}/{what}"), body)
    }
    fn book(&self, order: &str) -> Book {
        self.stripe.book(order)
    }
    /// Of all orders together.
    fn books(&self) -> Book {
        self.stripe.books().values().fold(Book::default(), |all, one| Book {
            intents: all.intents + one.intents,
            authorised: all.authorised + one.authorised,
            captured: all.captured + one.captured,
            refunded: all.refunded + one.refunded,
        })
    }
    /// Stripe tells of a payment.
    async fn told(&self, intent: &str, kind: &str) -> Answer {
        self.told_by(intent, kind, SECRET, now()).await
    }
    async fn told_by(&self, intent: &str, kind: &str, secret: &str, at: i64) -> Answer {
        let (signature, body) = self.stripe.event(intent, kind, secret, at);
        self.event(body).header("stripe-signature", signature).send().await
    }
    fn event(&self, body: Vec<u8>) -> Request {
        let request = self.shop.anonymous().request(reqwest::Method::POST, "/v1/payment-events/stripe");
        request.body("application/json", body)
    }
    /// How often this was told of an order in the outbox.
    fn announced(&self, kind: &str, order: &str) -> i64 {
        let rows = format!(
            "SELECT count(*) AS number FROM outbox WHERE kind = '{kind}' AND CAST(payload AS text) LIKE '%{order}%'"
        );
        self.shop.number("orders", &rows)
    }
}

fn now() -> i64 {
    kernel::SystemClock.now().seconds()
}

fn pays(cart: &Cart, token: &str) -> Request {
    let payment = json!({ "provider": "stripe", "token": token, "return_url": "https://shop.example/back" });
    cart.owner.post(&cart.path("/checkout"), json!({ "payment": payment }))
}

fn euro(amount: i64) -> Value {
    json!({ "amount": { "amount": amount, "currency": "EUR" }, "reason": "a part of it" })
}

/// Asks with one key until it is known; each answer comes in time, and is documented.
async fn known(what: &str, ask: impl AsyncFn() -> Request) -> Answer {
    let key = unique("stripe");
    until(what, async || Some(in_time(ask().await.key(&key)).await).filter(|answer| !is_open(answer))).await
}
