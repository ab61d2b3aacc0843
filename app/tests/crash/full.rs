//! A SQLite file that may grow no further: refused, nothing half done, and all goes on when there is room again.
use testkit::{Backend, Options, Shop, until};

const BOUND: &str = "CLEAVE__DATABASE__MAX_MIB";

#[tokio::test]
async fn a_full_database_refuses_and_keeps_what_it_answered() {
    if Backend::chosen() != Backend::Sqlite {
        return; // PostgreSQL has its own ways to be full
    }
    let bound = vec![(BOUND.to_owned(), "1".to_owned())];
    let mut shop = Shop::start(env!("CARGO_BIN_EXE_cleave"), Options { env: bound, ..Options::default() });
    let goods = shop.goods(500, 100_000).await;
    let anyone = shop.anonymous();
    let (mut sold, mut refused, mut last) = (0, 0, None);
    // Far more than a mebibyte holds; a cart is often all that still finds room.
    for _ in 0..5000 {
        let lines = serde_json::json!([{ "variant_id": goods.variant, "quantity": 1 }]);
        let body = serde_json::json!({ "currency": "EUR", "lines": lines });
        let made = anyone.post("/v1/carts", body).send().await;
        if made.status == 503 {
            refused += 1;
            if refused == 5 {
                break;
            }
            continue;
        }
        let made = made.expect(201);
        let owner = anyone.clone().cart_token(&made.text("/token"));
        let path = format!("/v1/carts/{}", made.text("/id"));
        let who = serde_json::json!({ "email": "guest@test.example", "shipping_address": testkit::address() });
        let known = owner.patch(&path, who).send().await;
        if known.status == 503 {
            refused += 1;
            if refused == 5 {
                break;
            }
            continue;
        }
        known.expect(200);
        let path = format!("{path}/checkout");
        let answer = owner.post(&path, testkit::pay("tok_ok")).send().await;
        match answer.status {
            201 => {
                sold += 1;
                last = Some((owner, answer.text("/id")));
            }
            // It may have been placed all the same, or be undone: the worker knows when there is room.
            503 => refused += 1,
            other => panic!("a full shop answered {other}: {}", answer.json()),
        }
        if refused == 5 {
            break;
        }
    }
    assert!(sold > 0 && refused == 5, "{sold} sold, {refused} refused");
    let (owner, order) = last.expect("one was sold");
    let path = format!("/v1/orders/{order}");
    assert_eq!(owner.get(&path).send().await.expect(200).text("/status"), "placed", "reads go on");
    until("operators are told", async || {
        let told = |line: &String| line.contains("the database is full") && line.contains(".db");
        shop.internals().iter().any(|(process, _)| shop.said(process).iter().any(told)).then_some(())
    })
    .await;
    shop.stop();
    shop.set(BOUND, "0");
    shop.resume();
    shop.settled().await;
    let placed = shop.number("orders", "SELECT count(*) AS number FROM orders WHERE status = 'placed'");
    assert!((sold..=sold + 5).contains(&placed), "{placed} orders of {sold} answered");
    assert_eq!(shop.stock(&goods.variant).await, (100_000, placed, 100_000 - placed));
    shop.guest_cart(&[(&goods.variant, 1)]).await.bought().await;
}
