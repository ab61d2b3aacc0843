//! A process ends itself at each of its points in turn, while people buy. It is started again, everybody who got no
//! answer asks again with the same key, and then the books are right: nothing lost, doubled, oversold or left open.
//!
//! The points are those of `--list-crash-points`. One that no scene leads to fails, so a new one needs a scene.
#[expect(dead_code, reason = "their routes are not served yet")]
mod payments;
mod scenes;

use serde_json::{Value, json};
use std::{
    process::Command,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use testkit::{Answer, CrashAt, Died, Options, Request, Shop, Topology, address, chosen_topology, product, unique};
use tokio::sync::RwLock;

const BINARY: &str = env!("CARGO_BIN_EXE_cleave");
const SIGKILL: i32 = 9;
/// How long anybody asks again: a lease, and what a busy machine adds.
const PATIENCE: Duration = Duration::from_secs(40);

/// A shop that may die, and what was put on its shelves.
pub(crate) struct World {
    shop: RwLock<Shop>,
    admin: String,
    /// Each variant, and how many pieces of it came in.
    shelves: Mutex<Vec<(String, i64)>>,
    has_died: AtomicBool,
}

impl World {
    async fn new(topology: Topology, point: &str) -> Self {
        let usual = [
            ("CLEAVE__CHECKOUT__LEASE_SECONDS", "2"),
            ("CLEAVE__PRODUCTS__SWEEP_SECONDS", "1"),
            ("CLEAVE__HTTP__REQUEST_SECONDS", "5"),
        ];
        let env = usual.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let crash_at = Some(CrashAt { point: point.to_owned(), module: None });
        let shop = Shop::start(BINARY, Options { env, topology: Some(topology), crash_at, ..Options::default() });
        let admin = shop.admin().await.token().expect("signed in").to_owned();
        Self { shop: RwLock::new(shop), admin, shelves: Mutex::default(), has_died: AtomicBool::new(false) }
    }

    /// Asks the same again until there is an answer: from a shop that is whole, about something that is not under way.
    pub(crate) async fn ask(&self, what: &str, make: impl Fn(&Shop) -> Request) -> Answer {
        let began = Instant::now();
        loop {
            let request = make(&*self.shop.read().await);
            match request.try_send().await {
                Ok(answer) if !is_open(&answer) => return answer,
                last if began.elapsed() > PATIENCE => panic!("{what}: {PATIENCE:?} later still {last:?}"),
                // No answer comes from the dead.
                Ok(_) | Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }
    pub(crate) async fn ask_as_staff(&self, what: &str, make: impl Fn(testkit::Actor) -> Request) -> Answer {
        self.ask(what, |shop| make(shop.anonymous().bearer(&self.admin))).await
    }
    /// Asks until the answer is the one that is waited for.
    pub(crate) async fn until(&self, what: &str, make: impl Fn(&Shop) -> Request, is: impl Fn(&Answer) -> bool) {
        let began = Instant::now();
        loop {
            let answer = self.ask(what, &make).await;
            if is(&answer) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "waited in vain: {what}: {}", answer.json());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    /// What nobody can do over HTTP: make time pass.
    pub(crate) async fn tamper(&self, domain: &str, sql: &str) {
        self.shop.read().await.corrupt(domain, sql);
    }

    /// A variant with so many pieces.
    pub(crate) async fn goods(&self, stock: i64) -> String {
        let (body, key) = (product(&unique("Thing"), 1, 500, stock), unique("goods"));
        let made = self.ask_as_staff("goods", |staff| staff.post("/v1/products", body.clone()).key(&key)).await;
        let variant = made.expect(201).text("/variants/0/id");
        self.came_in(&variant, stock);
        variant
    }
    pub(crate) fn came_in(&self, variant: &str, pieces: i64) {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner).push((variant.to_owned(), pieces));
    }
    /// On hand, reserved.
    pub(crate) async fn stock(&self, variant: &str) -> (i64, i64) {
        let path = format!("/v1/variants/{variant}/stock");
        let stock = self.ask_as_staff("stock", |staff| staff.get(&path)).await.expect(200);
        assert_eq!(stock.number("/available"), stock.number("/on_hand") - stock.number("/reserved"));
        (stock.number("/on_hand"), stock.number("/reserved"))
    }
    /// A stranger with a cart of so many pieces, ready to buy it.
    pub(crate) async fn buyer(&self, variant: &str, pieces: i64) -> Buyer<'_> {
        let (lines, key) = (json!([{ "variant_id": variant, "quantity": pieces }]), unique("cart"));
        let body = json!({ "currency": "EUR", "lines": lines });
        let made = self.ask("a cart", |shop| shop.anonymous().post("/v1/carts", body.clone()).key(&key)).await;
        let made = made.expect(201);
        let buyer = Buyer { world: self, cart: made.text("/id"), token: made.text("/token"), key: unique("buy") };
        let who = json!({ "email": "guest@test.example", "shipping_address": address() });
        buyer.ask("who buys", |actor, path| actor.patch(path, who.clone())).await.expect(200);
        buyer
    }

    /// What came in is there, or sold; whoever bought has paid, and whoever cancelled has not.
    async fn books(&self) {
        let list =
            self.ask_as_staff("orders", |staff| staff.get("/v1/orders?limit=100")).await.expect(200).at("/items");
        let orders = list.as_array().expect("a list");
        for order in orders {
            let paid = order["payment_status"].as_str().expect("text");
            let cancelled = order["status"] == "cancelled";
            assert_eq!(matches!(paid, "voided" | "refunded"), cancelled, "{order}");
            assert_ne!(paid, "pending", "{order}");
        }
        let sold = |variant: &str| {
            let standing = orders.iter().filter(|order| order["status"] != "cancelled");
            let lines = standing.flat_map(|order| order["lines"].as_array().expect("lines"));
            lines.filter(|line| line["variant_id"] == variant).filter_map(|line| line["quantity"].as_i64()).sum::<i64>()
        };
        let mut shelves = std::collections::BTreeMap::new();
        for (variant, pieces) in self.shelves.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            *shelves.entry(variant.clone()).or_insert(0) += pieces;
        }
        for (variant, came_in) in shelves {
            let (on_hand, reserved) = self.stock(&variant).await;
            assert_eq!(on_hand - reserved, came_in - sold(&variant), "{variant}: available = came in - sold");
        }
    }

    /// Waits for a process to die, and starts it again. Who died.
    async fn watch(&self) -> Vec<Died> {
        loop {
            if self.shop.read().await.has_died() {
                let mut shop = self.shop.write().await;
                let died = shop.died().await;
                shop.resume();
                self.has_died.store(true, Relaxed);
                return died;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Who buys a cart.
pub(crate) struct Buyer<'w> {
    world: &'w World,
    cart: String,
    token: String,
    /// Of the checkout.
    key: String,
}

impl Buyer<'_> {
    /// About the cart, whose path is given.
    async fn ask(&self, what: &str, make: impl Fn(testkit::Actor, &str) -> Request) -> Answer {
        self.about(what, &format!("/v1/carts/{}", self.cart), make).await
    }
    /// About something else that is theirs.
    pub(crate) async fn about(&self, what: &str, path: &str, make: impl Fn(testkit::Actor, &str) -> Request) -> Answer {
        self.world.ask(what, |shop| make(shop.anonymous().cart_token(&self.token), path)).await
    }
    pub(crate) async fn pays(&self, card: &str) -> Answer {
        self.ask("buy", |actor, path| actor.post(&format!("{path}/checkout"), testkit::pay(card)).key(&self.key)).await
    }
    /// The order, which stands.
    pub(crate) async fn buys(&self) -> Answer {
        let bought = self.pays("tok_ok").await;
        // 200: somebody drove it to its end before it was asked again.
        assert!(matches!(bought.status, 200 | 201), "{}: {}", bought.status, bought.json());
        assert_eq!(bought.text("/status"), "placed");
        bought
    }
    /// Whether there was anything left to give up, the cart is open again.
    pub(crate) async fn gives_up(&self) {
        let given = self.ask("give up", |actor, path| actor.delete(&format!("{path}/checkout"))).await;
        if given.status != 200 {
            given.problem(409, "no_checkout");
        }
    }
}

/// Whether there is no answer yet.
fn is_open(answer: &Answer) -> bool {
    let under_way = ["idempotency_in_progress", "order_busy", "cart_locked"];
    match answer.status {
        502..=504 => true,
        409 => under_way.contains(&answer.text("/code").as_str()),
        _ => false,
    }
}

fn listed() -> Vec<String> {
    let told = Command::new(BINARY).arg("--list-crash-points").output().expect("it ends");
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let points: Vec<_> = String::from_utf8(told.stdout).expect("text").lines().map(str::to_owned).collect();
    assert!(!points.is_empty(), "the tests' binary has points");
    points
}

/// Whether any scene led there.
async fn dies_at(point: &str, topology: Topology) -> bool {
    let world = World::new(topology, point).await;
    let watching = world.watch();
    let playing = async {
        for scene in scenes::ALL {
            scene(&world).await;
            if world.has_died.load(Relaxed) {
                break; // this one was played to its end; the rest is for other points
            }
        }
    };
    tokio::pin!(watching, playing);
    let died = tokio::select! {
        biased;
        died = &mut watching => {
            playing.await;
            died
        }
        () = &mut playing => Vec::new(),
    };
    assert!(died.iter().all(|one| one.signal == Some(SIGKILL)), "{point}: {died:?}");
    world.shop.read().await.settled().await;
    world.books().await;
    println!("{point}: {}", died.iter().map(|one| one.process).collect::<Vec<_>>().join(", "));
    !died.is_empty()
}

async fn every_point(topology: Topology) {
    let mut unreached = Vec::new();
    for point in listed() {
        if !dies_at(&point, topology).await {
            unreached.push(point);
        }
    }
    assert!(unreached.is_empty(), "no scene leads to {}", unreached.join(", "));
}

#[tokio::test]
async fn a_shop_that_dies_anywhere_loses_nothing() {
    every_point(chosen_topology()).await;
}

/// Whichever side comes to the point dies, and the other goes on.
#[tokio::test]
async fn a_split_shop_whose_part_dies_anywhere_loses_nothing() {
    every_point(Topology::Split).await;
}

/// A build without points is looked through for names of this form.
#[test]
fn points_are_named_by_domain_and_moment() {
    let points = listed();
    for point in &points {
        let parts: Vec<&str> = point.split('.').collect();
        let [domain, what, moment] = parts[..] else { panic!("{point}: domain, what, moment") };
        assert!(["users", "products", "orders"].contains(&domain), "{point}");
        assert!(what.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') && !what.is_empty(), "{point}");
        assert!(["begun", "asked", "kept"].contains(&moment), "{point}");
    }
    let mut once = points.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), points.len(), "each has a name of its own");
}

/// The list of a JSON value, or none.
fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
