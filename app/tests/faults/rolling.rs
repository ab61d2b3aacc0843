//! Every process is restarted, one after another, while people look and buy.
use crate::stage::{Stage, counted, is_open, settled};
use serde_json::json;
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
};
use testkit::{Actor, Goods, address, pay, unique, until};
use tokio::task::JoinSet;

/// What everybody knows of everybody.
#[derive(Default)]
struct Run {
    over: AtomicBool,
    bought: AtomicUsize,
    seen: AtomicUsize,
}

/// Looks at what each process answers, until it is over.
async fn looks(run: Arc<Run>, customer: Actor, paths: [String; 5]) {
    while !run.over.load(SeqCst) {
        for path in &paths {
            let answer = customer.get(path).send().await;
            assert!(answer.status == 200 || is_open(&answer), "{}: {}", answer.what, answer.json());
            run.seen.fetch_add(usize::from(answer.status == 200), SeqCst);
        }
    }
}

/// Buys one piece after another, and asks again whatever was not answered. The orders.
async fn buys(run: Arc<Run>, anyone: Actor, goods: Goods) -> Vec<String> {
    let mut orders = Vec::new();
    while !run.over.load(SeqCst) {
        let lines = json!([{ "variant_id": goods.variant, "quantity": 1 }]);
        let body = json!({ "currency": "EUR", "lines": lines });
        let made = settled("a cart", || anyone.post("/v1/carts", body.clone())).await.expect(201);
        let (path, guest) =
            (format!("/v1/carts/{}", made.text("/id")), anyone.clone().cart_token(&made.text("/token")));
        let who = json!({ "email": "guest@test.example", "shipping_address": address() });
        settled("who buys", || guest.patch(&path, who.clone())).await.expect(200);
        let key = unique("rolling");
        let checkout = || guest.post(&format!("{path}/checkout"), pay("tok_ok")).key(&key);
        let order = settled("it is bought", checkout).await;
        assert!(matches!(order.status, 200 | 201), "{}", order.json());
        assert_eq!((order.text("/status"), order.number("/totals/total/amount")), ("placed".into(), 500));
        orders.push(order.text("/id"));
        run.bought.fetch_add(1, SeqCst);
    }
    orders
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_loses_and_doubles_nothing() {
    let mut shop = Stage::Others.shop().await;
    let (goods, customer) = (shop.goods(500, 10_000).await, shop.customer().await);
    let product = customer.get(&format!("/v1/products/{}", goods.product)).send().await.expect(200);
    let page = format!("/v1/storefront/products/{}", product.text("/slug"));
    let paths = ["/v1/users/me", "/v1/orders", "/v1/products", "/v1/storefront/account", &page].map(str::to_owned);
    let (run, mut readers, mut buyers) = (Arc::new(Run::default()), JoinSet::new(), JoinSet::new());
    readers.spawn(looks(Arc::clone(&run), customer, paths));
    for _ in 0..2 {
        buyers.spawn(buys(Arc::clone(&run), shop.anonymous(), goods.clone()));
    }
    for module in ["users", "products", "orders", "webhooks", "storefront"] {
        let more = run.bought.load(SeqCst) + 2;
        until("people buy", async || (run.bought.load(SeqCst) >= more || buyers.is_empty()).then_some(())).await;
        tokio::task::block_in_place(|| {
            shop.stop_module(module);
            shop.resume_module(module);
        });
    }
    let (bought, seen) = (run.bought.load(SeqCst) + 2, run.seen.load(SeqCst) + 5);
    until("people buy and look again", async || {
        (run.bought.load(SeqCst) >= bought && run.seen.load(SeqCst) >= seen).then_some(())
    })
    .await;
    run.over.store(true, SeqCst);
    readers.join_all().await;
    let orders: Vec<String> = buyers.join_all().await.into_iter().flatten().collect();

    let placed = i64::try_from(orders.len()).unwrap();
    assert_eq!(orders.iter().collect::<BTreeSet<_>>().len(), orders.len(), "each is an order of its own");
    assert_eq!(counted(&shop, &goods.variant).await, (10_000, placed));
    let staff = shop.admin().await;
    for order in &orders {
        let order = staff.get(&format!("/v1/orders/{order}")).send().await.expect(200);
        assert_eq!((order.text("/status"), order.text("/payment_status")), ("placed".into(), "authorised".into()));
    }
    let sold = format!(
        "SELECT count(*) AS number FROM orders WHERE status = 'placed' AND id IN \
         (SELECT order_id FROM order_lines WHERE title LIKE '{}%')",
        product.text("/title")
    );
    assert_eq!(shop.number("orders", &sold), placed, "nobody has an order that was not answered");
    let open = "SELECT count(*) AS number FROM processes WHERE done_at IS NULL";
    until("the worker has ended what was left", async || (shop.number("orders", open) == 0).then_some(())).await;
}
