//! PostgreSQL is torn down under load, twice: everybody hears a documented answer or 503, and each of them was true.
use crate::stage::comes_again;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
};
use testkit::{Actor, Answer, Backend, Cart, Cluster, Options, Request, Shop, Topology, address, pay, unique, until};
use tokio::task::JoinSet;

const BUYERS: usize = 6;
const READERS: usize = 3;
const STOCK: i64 = 1_000_000;

/// What somebody who changes something was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Done,
    /// Nothing came of it, and nothing will.
    Nothing,
    /// Whatever came of it.
    Unknown,
}

fn told(answer: &Answer, done: u16) -> Told {
    if answer.status == done {
        return Told::Done;
    }
    assert_eq!(answer.status, 503, "{}: {}", answer.what, answer.json());
    comes_again(answer);
    match answer.text("/code").as_str() {
        "unavailable" => Told::Nothing,
        "outcome_unknown" => Told::Unknown,
        other => panic!("{}: {other}", answer.what),
    }
}

/// A wish that was told once, and what was said to it.
struct Wish {
    key: String,
    told: Told,
}

struct Bought {
    cart: Cart,
    checkout: Wish,
    /// When the checkout was answered with it.
    order: Option<String>,
    cancel: Option<Wish>,
}

/// What buyers and readers share with who takes the database away.
#[derive(Default)]
struct Day {
    over: AtomicBool,
    placed: AtomicUsize,
    /// Answers that were none.
    away: AtomicUsize,
}

impl Day {
    fn note(&self, answer: &Answer) {
        if answer.status == 503 {
            self.away.fetch_add(1, SeqCst);
        }
    }
    /// Asks the same until it is done.
    async fn insist(&self, done: u16, make: impl Fn() -> Request) -> Answer {
        until("the shop is back", async || {
            let answer = make().send().await;
            self.note(&answer);
            (told(&answer, done) == Told::Done).then_some(answer)
        })
        .await
    }
    async fn once(&self, done: u16, key: String, request: Request) -> (Answer, Wish) {
        let answer = request.key(&key).send().await;
        self.note(&answer);
        let told = told(&answer, done);
        (answer, Wish { key, told })
    }
}

async fn buys(day: Arc<Day>, anyone: Actor, variant: String) -> Vec<Bought> {
    let mut all = Vec::new();
    while !day.over.load(SeqCst) {
        let (key, lines) = (unique("cart"), json!([{ "variant_id": variant, "quantity": 1 }]));
        let body = json!({ "currency": "EUR", "lines": lines });
        let made = day.insist(201, || anyone.post("/v1/carts", body.clone()).key(&key)).await;
        let cart = Cart { id: made.text("/id"), owner: anyone.clone().cart_token(&made.text("/token")), made };
        let who = json!({ "email": "guest@test.example", "shipping_address": address() });
        day.insist(200, || cart.change(who.clone())).await;
        let (answer, checkout) = day.once(201, unique("buy"), cart.checkout("tok_ok")).await;
        let order = (checkout.told == Told::Done).then(|| answer.text("/id"));
        let mut cancel = None;
        if let Some(order) = &order {
            day.placed.fetch_add(1, SeqCst);
            if all.len() % 3 == 0 {
                let request = cart.owner.post(&format!("/v1/orders/{order}/cancel"), json!({}));
                cancel = Some(day.once(200, unique("cancel"), request).await.1);
            }
        }
        all.push(Bought { cart, checkout, order, cancel });
    }
    all
}

async fn reads(day: Arc<Day>, staff: Actor, path: String) -> Vec<Bought> {
    while !day.over.load(SeqCst) {
        let answer = staff.get(&path).send().await;
        day.note(&answer);
        assert_ne!(told(&answer, 200), Told::Unknown, "who looks changes nothing");
    }
    Vec::new()
}

/// Every order of the shop, by its cart, and the carts in their order.
async fn orders(staff: &Actor) -> BTreeMap<String, Vec<Value>> {
    let (mut all, mut path) = (BTreeMap::<_, Vec<_>>::new(), "/v1/orders?limit=100".to_owned());
    loop {
        let page = staff.get(&path).send().await.expect(200).json();
        for order in page["items"].as_array().expect("a list") {
            all.entry(order["cart_id"].as_str().expect("text").to_owned()).or_default().push(order.clone());
        }
        let Some(next) = page["next"].as_str() else { return all };
        path = format!("/v1/orders?limit=100&cursor={next}");
    }
}

/// The one order of a cart that was placed, whatever became of it then; no cart has two.
fn standing<'o>(orders: &'o BTreeMap<String, Vec<Value>>, cart: &Cart) -> Option<&'o Value> {
    let of = orders.get(&cart.id).map_or(&[][..], Vec::as_slice);
    let standing: Vec<_> = of.iter().filter(|order| order["status"] != "failed").collect();
    assert!(standing.len() <= 1, "{standing:?}");
    standing.first().copied()
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_said_while_the_database_is_torn_down_is_true() {
    if Backend::chosen() != Backend::Postgres {
        return; // a file is nobody's server
    }
    let mut cluster = Cluster::start().await;
    let options = Options { topology: Some(Topology::Single), cluster: Some(cluster.url()), ..Options::default() };
    let shop = Shop::start(env!("CARGO_BIN_EXE_cleave"), options);
    let (staff, goods, day) = (shop.staff().await, shop.goods(500, STOCK).await, Arc::new(Day::default()));
    let mut tasks = JoinSet::new();
    for _ in 0..BUYERS {
        tasks.spawn(buys(Arc::clone(&day), shop.anonymous(), goods.variant.clone()));
    }
    let stock = format!("/v1/variants/{}/stock", goods.variant);
    for path in ["/v1/products", "/v1/orders", &stock].into_iter().cycle().take(READERS) {
        tasks.spawn(reads(Arc::clone(&day), staff.clone(), path.to_owned()));
    }
    let more = async |of: &AtomicUsize, what: &str, many: usize| {
        let before = of.load(SeqCst);
        until(what, async || (of.load(SeqCst) >= before + many).then_some(())).await;
    };
    for _ in 0..2 {
        more(&day.placed, "people buy", 15).await;
        cluster.tear_down();
        more(&day.away, "people are sent away", 15).await;
        cluster.resume().await;
    }
    more(&day.placed, "people buy again", 15).await;
    day.over.store(true, SeqCst);
    let all: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
    shop.settled().await;

    let before = orders(&staff).await;
    for Bought { cart, checkout, order, cancel } in &all {
        let standing = standing(&before, cart);
        match checkout.told {
            Told::Done => assert_eq!(standing.map(|order| &order["id"]), order.clone().map(Value::from).as_ref()),
            Told::Nothing => assert_eq!(standing, None, "what had no effect has one"),
            Told::Unknown => (),
        }
        let status = |is: &str| assert_eq!(standing.map(|order| &order["status"]), Some(&Value::from(is)));
        match cancel.as_ref().map(|cancel| cancel.told) {
            Some(Told::Done) => status("cancelled"),
            Some(Told::Nothing) => status("placed"),
            None if order.is_some() => status("placed"),
            Some(Told::Unknown) | None => (),
        }
    }
    // Everybody who was not answered asks again by the same key, and nothing is done twice.
    for Bought { cart, checkout, order, cancel } in &all {
        let order = match order {
            Some(order) => order.clone(),
            None => {
                let again = cart.owner.post(&cart.path("/checkout"), pay("tok_ok")).key(&checkout.key).send().await;
                assert!(matches!(again.status, 200 | 201), "{:?}: {}", checkout.told, again.json());
                again.text("/id")
            }
        };
        if let Some(cancel) = cancel {
            let again = cart.owner.post(&format!("/v1/orders/{order}/cancel"), json!({})).key(&cancel.key);
            assert_eq!(again.send().await.expect(200).text("/status"), "cancelled");
        }
    }
    shop.settled().await;
    let after = orders(&staff).await;
    let each: Vec<_> = all.iter().map(|one| standing(&after, &one.cart).expect("it is bought")).collect();
    let numbers: BTreeSet<_> = each.iter().map(|order| order["number"].as_str()).collect();
    assert_eq!((numbers.len(), after.len()), (all.len(), all.len()));
    let sold = each.iter().filter(|order| order["status"] == "placed").count();
    let cancelled = all.iter().filter(|one| one.cancel.is_some()).count();
    assert_eq!(sold + cancelled, all.len());
    let sold = i64::try_from(sold).expect("few");
    assert_eq!(shop.stock(&goods.variant).await, (STOCK, sold, STOCK - sold));
    // Its audit needs the database.
    drop(shop);
    drop(cluster);
}
