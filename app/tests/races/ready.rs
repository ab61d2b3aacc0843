//! Ready answers: whoever asks after a change was answered sees it, whoever else asks meanwhile.
use crate::{shop, twins::Twin};
use serde_json::json;
use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};
use testkit::{Backend, Options, Shop, Topology, unique, until};
use tokio::task::JoinSet;

const CHANGES: i64 = 150;
const READERS: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_asks_after_a_change_sees_it() {
    let title = unique("Ready").replace('-', "");
    let product = json!({ "title": title, "status": "active", "variants": [{ "stock": 0 }] });
    let made = shop().staff().await.post("/v1/products", product).send().await.expect(201);
    let (list, one) = (format!("/v1/products?q={title}"), format!("/v1/products/{}", made.text("/id")));
    // What was answered last.
    let answered = Arc::new(AtomicI64::new(0));
    let mut readers = JoinSet::new();
    for n in 0..READERS {
        let (answered, anonymous) = (Arc::clone(&answered), shop().anonymous());
        let (path, pointer) = match n % 2 {
            0 => (list.clone(), "/items/0/variants/0/available"),
            _ => (one.clone(), "/variants/0/available"),
        };
        readers.spawn(async move {
            let mut count = 0_u32;
            while answered.load(SeqCst) < CHANGES {
                let known = answered.load(SeqCst);
                let seen = anonymous.get(&path).send().await.expect(200).number(pointer);
                assert!(seen >= known, "{path} shows {seen}, after {known} was answered");
                count += 1;
            }
            count
        });
    }
    let (staff, stock) = (shop().staff().await, format!("/v1/variants/{}/stock", made.text("/variants/0/id")));
    for count in 1..=CHANGES {
        staff.put(&stock, json!({ "on_hand": count })).send().await.expect(200);
        answered.store(count, SeqCst);
    }
    let looks: u32 = readers.join_all().await.into_iter().sum();
    assert!(looks >= u32::try_from(READERS).expect("few"), "everybody looked: {looks}");
}

/// Long before it would be asked for anew: the other process says what it changed.
#[tokio::test]
async fn what_another_process_changes_is_seen_soon() {
    if Backend::chosen() != Backend::Postgres {
        return; // a SQLite file has one server, and a lock says so
    }
    let stale = ("CLEAVE__PRODUCTS__READY__STALE_SECONDS".to_owned(), "60".to_owned());
    let options = Options { env: vec![stale], topology: Some(Topology::Single), ..Options::default() };
    let shop = Shop::start(env!("CARGO_BIN_EXE_cleave"), options);
    let (_twin, twins) = Twin::of(&shop, "products", &[]).await;
    let product = json!({ "title": "Lamp", "status": "active", "variants": [{ "stock": 1 }] });
    let made = shop.staff().await.post("/v1/products", product).send().await.expect(201);
    let (staff, path) = (shop.staff().await, format!("/v1/products/{}", made.text("/id")));
    let stock = format!("/v1/variants/{}/stock", made.text("/variants/0/id"));
    let seen = async || {
        let answer = reqwest::get(format!("{twins}{path}")).await.expect("the twin answers");
        answer.json::<serde_json::Value>().await.expect("JSON")["variants"][0]["available"].as_i64()
    };
    for count in 2..10 {
        staff.put(&stock, json!({ "on_hand": count })).send().await.expect(200);
        until("the twin shows it", async || (seen().await == Some(count)).then_some(())).await;
    }
}

/// The bound on staleness, where nobody says what changed.
#[tokio::test]
async fn what_nobody_tells_of_is_seen_within_the_bound() {
    const STALE: Duration = Duration::from_secs(2);
    let env = ("CLEAVE__PRODUCTS__READY__STALE_SECONDS".to_owned(), STALE.as_secs().to_string());
    let options = Options { env: vec![env], topology: Some(Topology::Single), ..Options::default() };
    let shop = Shop::start(env!("CARGO_BIN_EXE_cleave"), options);
    let title = unique("Silent").replace('-', "");
    let product = json!({ "title": title, "status": "active", "variants": [{ "stock": 1 }] });
    shop.staff().await.post("/v1/products", product).send().await.expect(201);
    let (anonymous, path) = (shop.anonymous(), format!("/v1/products?q={title}"));
    let seen = async || anonymous.get(&path).send().await.expect(200).text("/items/0/title");
    for change in 0..3 {
        let before = seen().await;
        let now = format!("{title} {change}");
        shop.corrupt("products", &format!("UPDATE products SET title = '{now}' WHERE title = '{before}'"));
        let changed = Instant::now();
        until("it is seen", async || {
            let asked = changed.elapsed();
            let seen = seen().await;
            // What was asked for later than that was read after the change.
            assert!(seen == now || (seen == before && asked <= STALE), "{seen} is shown after {asked:?}");
            (asked > STALE && seen == now).then_some(())
        })
        .await;
    }
}
