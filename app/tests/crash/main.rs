//! SIGKILL at the worst moment: what was answered stays, what was not answered is answered by asking again.
//! The demonstration, as its greeting tells how to use it; and a shop that goes on where its data was moved to.
mod audit;
mod demo;
mod extract;
mod full;
mod moved;
mod points;

use serde_json::{Value, json};
use std::{collections::HashSet, io::Write, net::TcpStream, sync::Arc};
use testkit::{Actor, Answer, Cart, Options, Shop, pay, product, unique, until};
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
};

fn start() -> Shop {
    Shop::start(env!("CARGO_BIN_EXE_cleave"), Options::default())
}

/// Sends a POST and reads nothing: the answer never gets home. The connection stays open as long as what is returned.
fn post_unheard(shop: &Shop, path: &str, headers: &[(&str, &str)], body: &Value) -> TcpStream {
    let address = shop.url.strip_prefix("http://").expect("an address");
    let (mut stream, body) = (TcpStream::connect(address).expect("it listens"), body.to_string());
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{headers}\r\n"
    );
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).expect("it reads");
    stream
}

fn replayed(answer: &Answer) -> bool {
    answer.header("idempotent-replayed") == Some("true")
}

#[tokio::test]
async fn a_product_whose_answer_was_lost_is_there_once() {
    let mut shop = start();
    for _ in 0..3 {
        let (admin, key, title) = (shop.admin().await, unique("create"), unique("Thing"));
        let body = product(&title, 1, 5, 5);
        let bearer = format!("Bearer {}", admin.token().expect("signed in"));
        let headers = [("authorization", bearer.as_str()), ("idempotency-key", key.as_str())];
        let unheard = post_unheard(&shop, "/v1/products", &headers, &body);
        let path = format!("/v1/products/{}", title.to_lowercase());
        until("the product is there", async || (admin.get(&path).send().await.status == 200).then_some(())).await;
        shop.kill();
        drop(unheard);
        shop.resume();
        let admin = shop.anonymous().bearer(admin.token().expect("signed in"));
        let made = admin.post("/v1/products", body).key(&key).send().await.expect(201);
        assert!(replayed(&made));
        assert_eq!(made.text("/id"), admin.get(&path).send().await.expect(200).text("/id"));
        let count = format!("SELECT count(*) AS number FROM products WHERE title = '{title}'");
        assert_eq!(shop.number("products", &count), 1);
    }
}

#[tokio::test]
async fn an_order_whose_answer_was_lost_is_placed_once() {
    let mut shop = start();
    let goods = shop.goods(5, 100).await;
    for round in 1..=3 {
        let (cart, key, admin) = (
            shop.guest_cart(&[(&goods.variant, 2)]).await,
            unique("buy"),
            shop.anonymous().bearer(shop.admin().await.token().expect("signed in")),
        );
        let token = cart.made.text("/token");
        let headers = [("x-cart-token", token.as_str()), ("idempotency-key", key.as_str())];
        let unheard = post_unheard(&shop, &cart.path("/checkout"), &headers, &pay("tok_ok"));
        let placed = until("the order is listed", async || order_of(&admin, &cart).await).await;
        shop.kill();
        drop(unheard);
        shop.resume();
        let owner = shop.anonymous().cart_token(&token);
        let bought = owner.post(&cart.path("/checkout"), pay("tok_ok")).key(&key).send().await.expect(201);
        assert!(replayed(&bought));
        assert_eq!(bought.at("/id"), placed["id"]);
        assert_eq!(bought.json(), owner.get(&format!("/v1/orders/{}", bought.text("/id"))).send().await.json());
        assert_eq!(shop.number("orders", "SELECT count(*) AS number FROM orders"), round);
        assert_eq!(shop.stock(&goods.variant).await, (100, 2 * round, 100 - 2 * round));
    }
}

#[tokio::test]
async fn a_buyer_who_hangs_up_cancels_nothing() {
    let shop = start();
    let goods = shop.goods(5, 100).await;
    for _ in 0..20 {
        let cart = shop.guest_cart(&[(&goods.variant, 1)]).await;
        let token = cart.made.text("/token");
        let headers = [("x-cart-token", token.as_str())];
        drop(post_unheard(&shop, &cart.path("/checkout"), &headers, &pay("tok_ok")));
    }
    until("all of them are bought", async || {
        let placed = "SELECT count(*) AS number FROM orders WHERE status = 'placed'";
        (shop.number("orders", placed) == 20).then_some(())
    })
    .await;
    assert_eq!(consistent(&shop, &goods.variant, 100, 1).await, (20, 0));
}

async fn order_of(staff: &Actor, cart: &Cart) -> Option<Value> {
    let list = staff.get("/v1/orders?limit=100").send().await.expect(200).at("/items");
    list.as_array().expect("a list").iter().find(|order| order["cart_id"] == cart.id.as_str()).cloned()
}

/// A cart, the token that opens it, and the key of its checkout.
struct Buyer {
    cart: Cart,
    token: String,
    key: String,
}

/// Sixteen at a time buy, until `enough` were answered 201 and the server is killed. The orders that were answered.
async fn bought_until_killed(shop: &mut Shop, buyers: &[Buyer], enough: usize) -> HashSet<String> {
    let (hands, (sender, mut answers)) = (Arc::new(Semaphore::new(16)), mpsc::unbounded_channel());
    let mut tasks = JoinSet::new();
    for buyer in buyers {
        let (hands, sender, request) =
            (Arc::clone(&hands), sender.clone(), buyer.cart.checkout("tok_ok").key(&buyer.key));
        tasks.spawn(async move {
            let _hand = hands.acquire().await.expect("never closed");
            // No answer comes from the dead.
            if let Ok(answer) = request.try_send().await {
                sender.send(answer.expect(201).text("/id")).expect("somebody listens");
            }
        });
    }
    drop(sender);
    let mut answered = HashSet::new();
    while answered.len() < enough {
        answered.insert(answers.recv().await.expect("enough are answered"));
    }
    shop.kill();
    while let Some(order) = answers.recv().await {
        answered.insert(order);
    }
    while let Some(ended) = tasks.join_next().await {
        ended.expect("a buyer was answered something else than 201");
    }
    answered
}

#[tokio::test]
async fn nothing_that_was_answered_is_lost_and_nothing_is_sold_twice() {
    let lease = ("CLEAVE__CHECKOUT__LEASE_SECONDS".to_owned(), "5".to_owned());
    let mut shop = Shop::start(env!("CARGO_BIN_EXE_cleave"), Options { env: vec![lease], ..Options::default() });
    let goods = shop.goods(5, 10_000).await;
    let anyone = shop.anonymous();
    let mut buyers = Vec::new();
    for _ in 0..200 {
        let cart = anyone.cart(&[(&goods.variant, 3)]).await.ready().await;
        buyers.push(Buyer { token: cart.made.text("/token"), key: unique("stream"), cart });
    }
    let admin = shop.admin().await.token().expect("signed in").to_owned();
    let answered = bought_until_killed(&mut shop, &buyers, 60).await;
    assert!(answered.len() < 200, "it died in the middle");
    shop.resume();
    let staff = shop.anonymous().bearer(&admin);
    for order in &answered {
        assert_eq!(staff.get(&format!("/v1/orders/{order}")).send().await.expect(200).text("/status"), "placed");
    }
    consistent(&shop, &goods.variant, 10_000, 3).await;
    // Whoever got no answer asks again: replayed, bought now, or the attempt that died holds the key.
    let mut stuck = Vec::new();
    for Buyer { cart, token, key } in &buyers {
        let owner = shop.anonymous().cart_token(token);
        let again = owner.post(&cart.path("/checkout"), pay("tok_ok")).key(key).send().await;
        match again.status {
            201 => assert!(replayed(&again) || !answered.contains(&again.text("/id"))),
            // Left behind, and driven on by this request: its lease was over already.
            200 => (),
            409 => {
                again.problem(409, "idempotency_in_progress");
                // Its cart stays as it was bought.
                owner.patch(&cart.path(""), json!({ "email": null })).send().await.problem(409, "cart_locked");
                stuck.push((owner, cart, key));
            }
            other => panic!("{other}: {}", again.json()),
        }
    }
    assert!(stuck.len() <= 16, "only what was under way is stuck: {}", stuck.len());
    let (placed, pending) = consistent(&shop, &goods.variant, 10_000, 3).await;
    // What was left behind is driven on meanwhile, forward or back.
    let left = stuck.len() as i64;
    assert!(pending <= left && (200 - left..=200).contains(&placed), "{placed} placed, {pending} pending of {left}");
    // Once the lease is over, asking again drives on what the dead process left: forward or back, and then bought.
    for (owner, cart, key) in stuck {
        until("the attempt that was left behind is bought", async || {
            let again = owner.post(&cart.path("/checkout"), pay("tok_ok")).key(key).send().await;
            matches!(again.status, 200 | 201).then_some(())
        })
        .await;
    }
    assert_eq!(consistent(&shop, &goods.variant, 10_000, 3).await, (200, 0));
    assert_eq!(shop.stock(&goods.variant).await, (10_000, 600, 9_400));
}

#[tokio::test]
async fn a_cancellation_that_was_left_behind_is_finished_by_asking_again() {
    let lease = ("CLEAVE__CHECKOUT__LEASE_SECONDS".to_owned(), "2".to_owned());
    let mut shop = Shop::start(env!("CARGO_BIN_EXE_cleave"), Options { env: vec![lease], ..Options::default() });
    let goods = shop.goods(5, 1000).await;
    let (anyone, mut orders) = (shop.anonymous(), Vec::new());
    for _ in 0..60 {
        let cart = anyone.cart(&[(&goods.variant, 2)]).await.ready().await;
        orders.push(cart.checkout("tok_ok").send().await.expect(201).text("/id"));
    }
    let token = shop.admin().await.token().expect("signed in").to_owned();
    let (sender, mut answers) = mpsc::unbounded_channel();
    let mut tasks = JoinSet::new();
    for order in &orders {
        let request = shop.anonymous().bearer(&token).post(&format!("/v1/orders/{order}/cancel"), json!({}));
        let sender = sender.clone();
        tasks.spawn(async move {
            // No answer comes from the dead.
            if let Ok(answer) = request.try_send().await {
                sender.send(answer.expect(200).text("/id")).expect("somebody listens");
            }
        });
    }
    drop(sender);
    for _ in 0..15 {
        answers.recv().await.expect("enough are answered");
    }
    shop.kill();
    while let Some(ended) = tasks.join_next().await {
        ended.expect("an order was answered something else than 200");
    }
    shop.resume();
    let staff = shop.anonymous().bearer(&token);
    for order in &orders {
        let cancelled = until("the order is cancelled", async || {
            let again = staff.post(&format!("/v1/orders/{order}/cancel"), json!({})).send().await;
            assert!(matches!(again.status, 200 | 409), "{}", again.json());
            (again.status == 200).then_some(again)
        });
        let cancelled = cancelled.await;
        assert_eq!(
            (cancelled.text("/status"), cancelled.text("/payment_status")),
            ("cancelled".into(), "voided".into())
        );
    }
    assert_eq!(shop.stock(&goods.variant).await, (1000, 0, 1000));
    assert_eq!(shop.number("orders", "SELECT count(*) AS number FROM processes WHERE done_at IS NULL"), 0);
}

/// Holds the stock against orders and reservations. How many orders are placed and pending.
async fn consistent(shop: &Shop, variant: &str, stock: i64, quantity: i64) -> (i64, i64) {
    let count =
        |status| shop.number("orders", &format!("SELECT count(*) AS number FROM orders WHERE status = '{status}'"));
    let (placed, pending) = (count("placed"), count("pending"));
    let promised = |states: &str| {
        shop.number(
            "products",
            &format!(
                "SELECT CAST(coalesce(sum(l.quantity), 0) AS bigint) AS number FROM reservation_lines l \
                 JOIN reservations r ON r.id = l.reservation_id WHERE r.state IN ({states})"
            ),
        )
    };
    let (on_hand, reserved, _) = shop.stock(variant).await;
    assert_eq!(on_hand, stock);
    assert_eq!(reserved, promised("'held', 'confirmed'"));
    assert!(promised("'confirmed'") >= placed * quantity, "what is placed is confirmed");
    assert!(
        (placed * quantity..=(placed + pending) * quantity).contains(&reserved),
        "{reserved} for {placed} and {pending}"
    );
    (placed, pending)
}

#[tokio::test]
async fn a_server_that_is_told_to_stop_answers_what_it_began() {
    let mut shop = start();
    let goods = shop.goods(5, 100).await;
    let cart = shop.guest_cart(&[(&goods.variant, 1)]).await;
    let order = cart.bought().await.text("/id");
    shop.stop();
    shop.resume();
    let owner = shop.anonymous().cart_token(&cart.made.text("/token"));
    assert_eq!(owner.get(&format!("/v1/orders/{order}")).send().await.expect(200).text("/status"), "placed");
    assert_eq!(shop.number("orders", "SELECT count(*) AS number FROM processes WHERE done_at IS NULL"), 0);
}
