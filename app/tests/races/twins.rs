//! Two processes of the same modules on one PostgreSQL database, buyers through both, and one of them killed.
use std::{
    collections::BTreeSet,
    os::unix::process::ExitStatusExt,
    process::{Child, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};
use testkit::{Backend, Cart, Options, Shop, Topology, pay, until};
use tokio::{sync::Barrier, task::JoinSet};

/// Ends with its test.
pub(crate) struct Twin(Child);
impl Twin {
    /// Serves what `module`'s process of `shop` serves, and where: it answers.
    pub(crate) async fn of(shop: &Shop, module: &str, env: &[(&str, &str)]) -> (Self, String) {
        let mut command = shop.another(module);
        let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
        command.env("CLEAVE__HTTP__LISTEN", port.to_string()).env("CLEAVE__DATA_DIR", shop.scratch("twin"));
        command.envs(env.iter().copied());
        let twin = Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts"));
        let url = format!("http://{port}");
        until("the twin answers", async || reqwest::get(&url).await.is_ok().then_some(())).await;
        (twin, url)
    }
}
impl Drop for Twin {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Where the twin ends itself: goods are held, and nobody has written that down.
const DIES_AT: &str = "orders.checkout.reserve.asked";
const SIGKILL: i32 = 9;

#[tokio::test]
async fn what_a_killed_process_left_is_ended_by_its_twin() {
    is_ended_by_its_twin(Topology::Single).await;
}

#[tokio::test]
async fn what_a_killed_orders_left_is_ended_by_another_orders() {
    is_ended_by_its_twin(Topology::Split).await;
}

async fn is_ended_by_its_twin(topology: Topology) {
    if Backend::chosen() != Backend::Postgres {
        return; // a SQLite file has one server, and a lock says so
    }
    let lease = ("CLEAVE__CHECKOUT__LEASE_SECONDS".to_owned(), "4".to_owned());
    let options = Options { env: vec![lease], topology: Some(topology), ..Options::default() };
    let shop = Shop::start(env!("CARGO_BIN_EXE_cleave"), options);
    let (mut twin, twins) = Twin::of(&shop, "orders", &[("CLEAVE_CRASH_AT", DIES_AT)]).await;
    let goods = shop.goods(500, 1000).await;
    let mut carts = Vec::new();
    for _ in 0..100 {
        carts.push(shop.guest_cart(&[(&goods.variant, 1)]).await);
    }
    let barrier = Arc::new(Barrier::new(carts.len()));
    let mut tasks = JoinSet::new();
    for (n, cart) in carts.iter().cloned().enumerate() {
        let (url, barrier) = (if n % 2 == 0 { shop.url.clone() } else { twins.clone() }, Arc::clone(&barrier));
        tasks.spawn(async move {
            barrier.wait().await;
            bought_at(&url, &cart).await
        });
    }
    let answered: BTreeSet<String> = tasks.join_all().await.into_iter().flatten().collect();
    let ended = twin.0.wait().expect("it is ours");
    assert_eq!(ended.signal(), Some(SIGKILL), "the twin ended by itself");
    assert!(answered.len() < carts.len(), "nobody missed the twin");

    let began = Instant::now();
    shop.settled().await;
    assert!(began.elapsed() < Duration::from_secs(20), "ended after {:?}", began.elapsed());
    // Taken over by the other: an epoch is counted up by nobody else.
    let taken = "SELECT count(*) AS number FROM processes WHERE kind = 'checkout' AND epoch > 1";
    assert!(shop.number("orders", taken) >= 1, "the twin left nothing open");
    // Everybody asks again: who was not answered gets the one order of their cart.
    let (mut numbers, mut orders) = (BTreeSet::new(), BTreeSet::new());
    for cart in &carts {
        let order = cart.checkout("tok_ok").send().await;
        assert!(matches!(order.status, 200 | 201), "{}", order.json());
        orders.insert(order.text("/id"));
        numbers.insert(order.text("/number"));
    }
    assert_eq!((orders.len(), numbers.len()), (100, 100));
    assert!(answered.is_subset(&orders), "an order that was answered is gone");
    assert_eq!(shop.stock(&goods.variant).await, (1000, 100, 900));
    shop.settled().await;
}

/// The order, unless the process died over it.
async fn bought_at(url: &str, cart: &Cart) -> Option<String> {
    let token = cart.made.text("/token");
    let asked = reqwest::Client::new().post(format!("{url}{}", cart.path("/checkout"))).header("x-cart-token", token);
    let answer = asked.json(&pay("tok_ok")).send().await.ok()?;
    if !answer.status().is_success() {
        return None;
    }
    let order: serde_json::Value = answer.json().await.ok()?;
    order["id"].as_str().map(str::to_owned)
}
