//! A shop that may die, what was put on its shelves, and who takes its money.
use super::{PATIENCE, SIGKILL};
use reqwest::Method;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};
use tempfile::TempDir;
use testkit::{
    Actor, Answer, Options, Request, Shop, Topology, address, product,
    stripe::{Fault, KEY, SECRET, Stripe},
    unique,
};
use tokio::sync::RwLock;

/// Cards of the two providers.
/// Between two looks at a condition; each has a deadline of its own ([`PATIENCE`]).
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

pub(crate) const GOOD: Card = ("stripe", "pm_card_visa");
pub(crate) const BAD: Card = ("stripe", "pm_card_chargeDeclined");
/// Its bank wants to see the buyer first.
pub(crate) const WARY: Card = ("stripe", "pm_card_authenticationRequired");
pub(crate) const TEST_WARY: Card = ("test", "tok_action");
pub(crate) type Card = (&'static str, &'static str);

pub(crate) struct World {
    pub shop: RwLock<Shop>,
    /// Outlives every process of the shop, and counts the money.
    pub stripe: Stripe,
    topology: Topology,
    admin: String,
    /// Each variant of the play, and how many pieces of it came in.
    shelves: Mutex<Vec<(String, i64)>>,
    /// Orders whose money was counted at the end of their play.
    counted: Mutex<BTreeSet<String>>,
    /// Where servers read at which points they die.
    list: PathBuf,
    /// Who died, of the play.
    died: Mutex<Vec<&'static str>>,
    _dir: TempDir,
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    pub(crate) async fn new(topology: Topology) -> Self {
        let dir = TempDir::new().expect("a folder");
        let list = dir.path().join("points");
        let stripe = Stripe::start().expect("a port");
        let env = [
            ("CLEAVE_CRASH_LIST", list.display().to_string()),
            ("CLEAVE__CHECKOUT__LEASE_SECONDS", "2".into()),
            ("CLEAVE__PRODUCTS__SWEEP_SECONDS", "1".into()),
            ("CLEAVE__HTTP__REQUEST_SECONDS", "5".into()),
            ("CLEAVE__PAYMENTS__PROVIDERS", "manual,test,stripe".into()),
            ("CLEAVE__PAYMENTS__STRIPE__SECRET_KEY", KEY.into()),
            ("CLEAVE__PAYMENTS__STRIPE__WEBHOOK_SECRETS", SECRET.into()),
            ("CLEAVE__PAYMENTS__STRIPE__BASE_URL", stripe.url()),
            ("CLEAVE__PAYMENTS__STRIPE__MULTICAPTURE", "true".into()),
        ];
        let env = env.map(|(name, value)| (name.to_owned(), value)).into();
        let shop = Shop::start(super::BINARY, Options { env, topology: Some(topology), ..Options::default() });
        let admin = shop.admin().await.token().expect("signed in").to_owned();
        let (shelves, died, counted) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self { shop: RwLock::new(shop), stripe, topology, admin, shelves, counted, list, died, _dir: dir }
    }

    /// From now on whoever comes to the first of them dies there, then whoever comes to the next.
    pub(crate) fn arm(&self, points: &[&str]) {
        locked(&self.shelves).clear();
        locked(&self.died).clear();
        let lines: String = points.iter().map(|point| format!("{point}\n")).collect();
        fs::write(&self.list, lines).expect("a file");
    }
    /// Where nobody has died yet.
    pub(crate) fn left(&self) -> Vec<String> {
        fs::read_to_string(&self.list).expect("a file").lines().map(str::to_owned).collect()
    }
    pub(crate) fn died(&self) -> Vec<&'static str> {
        locked(&self.died).clone()
    }
    /// Starts again whoever has died, for as long as it is asked.
    pub(crate) async fn watch(&self) {
        loop {
            if self.shop.read().await.has_died() {
                let mut shop = self.shop.write().await;
                loop {
                    let before = self.left().len();
                    let died = if shop.has_died() { shop.died().await } else { Vec::new() };
                    for one in died {
                        assert_eq!(one.signal, Some(SIGKILL), "{} ended by itself", one.process);
                        locked(&self.died).push(one.process);
                    }
                    let Err(why) = shop.try_resume() else { break };
                    // The next point may be where it comes on its way up.
                    assert!(shop.has_died() || self.left().len() < before, "{why}");
                }
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
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
                Ok(_) | Err(_) => tokio::time::sleep(BETWEEN_LOOKS).await,
            }
        }
    }
    pub(crate) async fn ask_as_staff(&self, what: &str, make: impl Fn(Actor) -> Request) -> Answer {
        self.ask(what, |shop| make(shop.anonymous().bearer(&self.admin))).await
    }
    /// Asks as staff until the answer is the one that is waited for.
    pub(crate) async fn until(&self, what: &str, path: &str, is: impl Fn(&Answer) -> bool) {
        let began = Instant::now();
        loop {
            let answer = self.ask_as_staff(what, |staff| staff.get(path)).await;
            if is(&answer) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "waited in vain: {what}: {}", answer.json());
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }
    pub(crate) async fn until_free(&self, variant: &str) {
        let path = format!("/v1/variants/{variant}/stock");
        self.until("nothing stays held", &path, |stock| stock.number("/reserved") == 0).await;
    }
    pub(crate) async fn until_order(&self, order: &str, status: &str) {
        let path = format!("/v1/orders/{order}");
        self.until(status, &path, |answer| answer.status == 200 && answer.text("/status") == status).await;
    }

    /// The time of every hold is over.
    pub(crate) async fn holds_end(&self) {
        let sql = "UPDATE reservations SET expires_at = created_at WHERE state = 'held'";
        self.shop.read().await.corrupt("products", sql);
    }
    /// The time of every buyer who is waited for is over.
    pub(crate) async fn buyers_stay_away(&self) {
        let sql = "UPDATE processes SET wake_at = created_at WHERE done_at IS NULL AND wake_at IS NOT NULL";
        self.shop.read().await.corrupt("orders", sql);
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
        locked(&self.shelves).push((variant.to_owned(), pieces));
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

    /// Stripe tells of a payment; it does so again until it is heard.
    pub(crate) async fn stripe_tells(&self, intent: &str) {
        let heard = self
            .ask("event", |shop| {
                let now = SystemTime::UNIX_EPOCH.elapsed().expect("after 1970").as_secs();
                let kind = "payment_intent.amount_capturable_updated";
                let (signature, body) =
                    self.stripe.event(intent, kind, SECRET, i64::try_from(now).expect("this century"));
                let post = shop.anonymous().request(Method::POST, "/v1/payment-events/stripe");
                post.header("stripe-signature", signature).body("application/json", body)
            })
            .await;
        heard.expect(204);
    }
    /// An event of the test provider.
    pub(crate) async fn test_bank_says(&self, order: &str, says: &str) {
        let body = json!({ "order": order, "says": says });
        self.ask("event", |shop| shop.anonymous().post("/v1/payment-events/test", body.clone())).await.expect(204);
    }
    pub(crate) fn stripe_fails(&self, at: &str) {
        self.stripe.next(at, Fault::Busy);
    }

    /// Returns when nothing is under way any more and the shop's own audit finds nothing.
    pub(crate) async fn settled(&self) {
        let (began, open) = (Instant::now(), "SELECT count(*) AS number FROM processes WHERE done_at IS NULL");
        let held = "SELECT count(*) AS number FROM reservations WHERE state = 'held'";
        loop {
            let shop = self.shop.read().await;
            if shop.number("orders", open) == 0 && shop.number("products", held) == 0 {
                return shop.settled().await; // the whole of it, which takes a process of its own
            }
            drop(shop);
            assert!(began.elapsed() < PATIENCE, "something stays under way");
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    /// What came in is there, or sold; whoever bought has paid, and whoever cancelled has not.
    pub(crate) async fn books(&self) {
        let list =
            self.ask_as_staff("orders", |staff| staff.get("/v1/orders?limit=100")).await.expect(200).at("/items");
        let (orders, moneys) = (list.as_array().expect("a list"), self.stripe.books());
        for order in orders {
            assert_ne!(order["status"], "pending", "{order}");
            if order["status"] == "failed" {
                continue;
            }
            let paid = order["payment_status"].as_str().expect("text");
            assert_eq!(matches!(paid, "voided" | "refunded"), order["status"] == "cancelled", "{order}");
            assert_ne!(paid, "pending", "{order}");
            let (id, by_stripe) = (order["id"].as_str().expect("text"), order["payment"]["provider"] == "stripe");
            assert!(!by_stripe || moneys.contains_key(id), "nobody has paid for {order}");
        }
        let sold = |variant: &str| {
            let standing =
                orders.iter().filter(|order| matches!(order["status"].as_str(), Some("placed" | "completed")));
            let lines = standing.flat_map(|order| order["lines"].as_array().expect("lines"));
            lines.filter(|line| line["variant_id"] == variant).filter_map(|line| line["quantity"].as_i64()).sum::<i64>()
        };
        let mut shelves = BTreeMap::new();
        for (variant, pieces) in locked(&self.shelves).iter() {
            *shelves.entry(variant.clone()).or_insert(0) += pieces;
        }
        for (variant, came_in) in shelves {
            let (on_hand, reserved) = self.stock(&variant).await;
            assert_eq!(on_hand - reserved, came_in - sold(&variant), "{variant}: available = came in - sold");
        }
        let new = moneys.keys().filter(|id| locked(&self.counted).insert((*id).clone()));
        self.money(new).await;
    }

    /// Every play's money, when the last is over: what one left right no other may have touched.
    pub(crate) async fn all_books(&self) {
        self.money(self.stripe.books().keys()).await;
    }

    /// What Stripe holds, took and gave back is what the shop says of it, order by order; and no cart has paid twice.
    async fn money(&self, of: impl Iterator<Item = &String>) {
        let mut paid: HashMap<String, String> = HashMap::new();
        for id in of {
            let book = self.stripe.book(id);
            let order = self.ask_as_staff("order", |staff| staff.get(&format!("/v1/orders/{id}"))).await.expect(200);
            let payment = |what: &str| order.number(&format!("/payment/{what}/amount"));
            assert_eq!(book.intents, 1, "{id} has one payment");
            assert_eq!((book.captured, book.refunded), (payment("captured"), payment("refunded")), "{}", order.json());
            let with_shop = book.authorised + book.captured;
            let (status, total) = (order.text("/status"), order.number("/totals/total/amount"));
            match status.as_str() {
                "placed" | "completed" => assert_eq!(with_shop, total, "{}", order.json()),
                "failed" | "cancelled" => {
                    assert_eq!((book.authorised, book.captured), (0, book.refunded), "{}", order.json());
                }
                other => panic!("{id} is {other}"),
            }
            if matches!(status.as_str(), "placed" | "completed") {
                let other = paid.insert(order.text("/cart_id"), id.clone());
                assert_eq!(other, None, "the cart of {id} was paid twice");
            }
        }
    }

    /// Whether each who died was one in whose hands the point lies.
    pub(crate) fn belongs(&self, point: &str, process: &str) -> bool {
        self.topology != Topology::Split || point.split('.').next() == Some(process)
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
    async fn ask(&self, what: &str, make: impl Fn(Actor, &str) -> Request) -> Answer {
        self.about(what, &format!("/v1/carts/{}", self.cart), make).await
    }
    /// About something else that is theirs.
    pub(crate) async fn about(&self, what: &str, path: &str, make: impl Fn(Actor, &str) -> Request) -> Answer {
        self.world.ask(what, |shop| make(shop.anonymous().cart_token(&self.token), path)).await
    }
    pub(crate) async fn pays(&self, card: Card) -> Answer {
        self.pays_by_key(card, &self.key).await
    }
    async fn pays_by_key(&self, (provider, token): Card, key: &str) -> Answer {
        let mut body = json!({ "payment": { "provider": provider, "token": token } });
        if provider == "stripe" {
            body["payment"]["return_url"] = "https://shop.example/back".into();
        }
        self.ask("buy", |actor, path| actor.post(&format!("{path}/checkout"), body.clone()).key(key)).await
    }
    /// The order, which stands.
    pub(crate) async fn buys(&self) -> Answer {
        placed(self.pays(GOOD).await)
    }
    /// The order that waits for the bank, and its payment there.
    pub(crate) async fn is_sent_to_the_bank(&self) -> (String, String) {
        let waits = self.pays(WARY).await.expect(202);
        assert_eq!(waits.text("/status"), "pending");
        (waits.text("/id"), waits.text("/payment/reference"))
    }
    /// From the bank, with a wish of its own: the first was answered by sending them there.
    pub(crate) async fn comes_back(&self) -> Answer {
        placed(self.pays_by_key(WARY, &unique("back")).await)
    }
    /// Whether there was anything left to give up, the cart is open again.
    pub(crate) async fn gives_up(&self) {
        let given = self.ask("give up", |actor, path| actor.delete(&format!("{path}/checkout"))).await;
        if given.status != 200 {
            given.problem(409, "no_checkout");
        }
    }
}

/// 200: somebody drove it to its end before it was asked again.
fn placed(bought: Answer) -> Answer {
    assert!(matches!(bought.status, 200 | 201), "{}: {}", bought.status, bought.json());
    assert_eq!(bought.text("/status"), "placed");
    bought
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

/// The list of a JSON value, or none.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
