//! The shops of this run, and what tests ask of them again and again.
use serde_json::Value;
use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};
use testkit::{Actor, Answer, Cart, Domain, Options, Request, Shop, Topology, unique, until};
use tokio::sync::{Mutex, MutexGuard};

/// What a request of these shops takes at most, and what a busy machine adds to it.
const REQUEST: &str = "3";
const IN_TIME: Duration = Duration::from_secs(3 + 3);
/// Longer than a request.
const LEASE: &str = "4";
const PASSWORD: &str = "a customer's password";

/// Which shop: whoever takes away the same parts shares one.
#[derive(Clone, Copy)]
pub(crate) enum Stage {
    Products,
    Others,
    Attacks,
}

impl Stage {
    fn more(self) -> &'static [(&'static str, &'static str)] {
        match self {
            // Tokens that expire while a test waits for it.
            Self::Attacks => &[("CLEAVE__USERS__ACCESS_TOKEN_SECONDS", "6")],
            Self::Products | Self::Others => &[],
        }
    }

    /// The whole shop, whatever the test before has left of it.
    pub(crate) async fn shop(self) -> MutexGuard<'static, Shop> {
        let mut shop = SHOPS[self as usize].get_or_init(|| Mutex::new(self.start())).lock().await;
        shop.resume();
        shop.thaw("products");
        let network = shop.proxy(Domain::Products);
        network.deliver_answers();
        network.release_answers();
        for module in ["users", "products", "orders", "webhooks", "storefront"] {
            reaches_all_but(&shop, module, &[]).await;
        }
        shop
    }

    /// Whether any test has been on it in this run.
    pub(crate) fn was_used(self) -> bool {
        SHOPS[self as usize].get().is_some()
    }

    fn start(self) -> Shop {
        let usual = [
            ("CLEAVE__HTTP__REQUEST_SECONDS", REQUEST),
            ("CLEAVE__CHECKOUT__LEASE_SECONDS", LEASE),
            ("CLEAVE__PRODUCTS__SWEEP_SECONDS", "1"),
        ];
        let env = usual.iter().chain(self.more()).map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let options =
            Options { env, topology: Some(Topology::Split), proxied: vec![Domain::Products], ..Options::default() };
        Shop::start(env!("CARGO_BIN_EXE_cleave"), options)
    }
}

static SHOPS: [OnceLock<Mutex<Shop>>; 3] = [const { OnceLock::new() }; 3];

/// Waits until the process of `module` is ready and says that exactly these neighbours are out of reach.
pub(crate) async fn reaches_all_but(shop: &Shop, module: &str, away: &[&str]) {
    let url = format!("{}/readyz", shop.internal_of(module));
    let what = format!("{module} says that {away:?} are out of reach");
    until(&what, async || {
        let answer = reqwest::get(&url).await.expect("it answers");
        let (status, text) = (answer.status(), answer.text().await.expect("text"));
        let ready: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!((status.as_u16(), &ready["status"]), (200, &Value::from("ready")), "a neighbour takes nobody along");
        let unreachable = ready["unreachable"].as_array().cloned().unwrap_or_default();
        (unreachable == away.iter().map(|&name| Value::from(name)).collect::<Vec<_>>()).then_some(())
    })
    .await;
}

/// Sends it; panics when it is not answered within the time that a request has.
pub(crate) async fn in_time(request: Request) -> Answer {
    let began = Instant::now();
    let answer = request.send().await;
    assert!(began.elapsed() < IN_TIME, "{}: {:?}", answer.what, began.elapsed());
    answer
}

/// 503 with this code, in time, and with the time to come again.
pub(crate) async fn refused(request: Request, code: &str) {
    comes_again(&in_time(request).await.problem(503, code));
}

pub(crate) fn comes_again(answer: &Answer) {
    let after = answer.header("retry-after").and_then(|seconds| seconds.parse::<u64>().ok());
    assert!(after.is_some_and(|seconds| seconds >= 1), "{}: {:?}", answer.what, answer.headers);
}

/// Whether there is no answer yet: the shop is not whole, or another attempt is under way.
pub(crate) fn is_open(answer: &Answer) -> bool {
    match answer.status {
        503 => {
            comes_again(answer);
            let code = answer.text("/code");
            assert!(matches!(code.as_str(), "unavailable" | "outcome_unknown"), "{}: {code}", answer.what);
            true
        }
        409 => matches!(answer.text("/code").as_str(), "idempotency_in_progress" | "order_busy" | "cart_locked"),
        _ => false,
    }
}

/// Asks the same again until there is an answer.
pub(crate) async fn settled(what: &str, ask: impl Fn() -> Request) -> Answer {
    until(what, async || Some(ask().send().await).filter(|answer| !is_open(answer))).await
}

/// Orders that stand, of this cart.
pub(crate) async fn orders_of(shop: &Shop, cart: &Cart) -> Vec<Value> {
    let list = shop.admin().await.get("/v1/orders?limit=100").send().await.expect(200).at("/items");
    list.as_array().expect("a list").iter().filter(|order| order["cart_id"] == cart.id.as_str()).cloned().collect()
}

/// What is on hand of a variant, and reserved.
pub(crate) async fn counted(shop: &Shop, variant: &str) -> (i64, i64) {
    let (on_hand, reserved, available) = shop.stock(variant).await;
    assert_eq!(available, on_hand - reserved);
    (on_hand, reserved)
}

pub(crate) async fn until_counted(shop: &Shop, variant: &str, wanted: (i64, i64)) {
    let what = format!("on hand and reserved are {wanted:?}");
    until(&what, async || (counted(shop, variant).await == wanted).then_some(())).await;
}

/// A customer who can sign in again.
pub(crate) struct Customer {
    pub actor: Actor,
    email: String,
}

impl Customer {
    pub(crate) async fn new(shop: &Shop) -> Self {
        let email = format!("{}@test.example", unique("customer"));
        let body = serde_json::json!({ "email": email, "password": PASSWORD, "name": "Customer" });
        shop.anonymous().post("/v1/users", body).send().await.expect(201);
        let mut customer = Self { actor: shop.anonymous(), email };
        customer.actor = customer.signed_in(shop).await;
        customer
    }
    pub(crate) async fn signed_in(&self, shop: &Shop) -> Actor {
        shop.anonymous().signed_in(&self.email, PASSWORD).await
    }
    pub(crate) fn sign_in(&self, shop: &Shop) -> Request {
        let body = serde_json::json!({ "email": self.email, "password": PASSWORD });
        shop.anonymous().post("/v1/sessions", body)
    }
}
