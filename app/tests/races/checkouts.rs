//! A checkout, and what else happens to its cart, its prices, its hold and its money in the same moment.
use crate::{at_once, shop, with};
use serde_json::{Value, json};
use std::sync::Arc;
use testkit::{Answer, Cart, Goods, Options, Request, Shop, until};
use tokio::sync::Barrier;

type Make = Box<dyn Fn() -> Request + Send>;

fn checks_out(cart: &Cart, token: &'static str) -> Make {
    let cart = cart.clone();
    Box::new(move || cart.checkout(token))
}
/// The bank's yes.
fn authorised(shop: &Shop, order: &str) -> Make {
    let (anyone, body) = (shop.anonymous(), json!({ "order": order, "says": "authorised" }));
    Box::new(move || anyone.post("/v1/payment-events/test", body.clone()))
}
/// Three of ten pieces, whose buyer is at the bank.
async fn at_the_bank(shop: &Shop) -> (Goods, Cart, String) {
    let goods = shop.goods(500, 10).await;
    let cart = shop.guest_cart(&[(&goods.variant, 3)]).await;
    let order = cart.checkout("tok_action").send().await.expect(202).text("/id");
    (goods, cart, order)
}
/// The order when it is placed, its goods confirmed and its money secured; or failed, with nothing held and nothing
/// secured.
async fn ended(shop: &Shop, goods: &Goods, cart: &Cart, order: &str) -> Answer {
    let path = format!("/v1/orders/{order}");
    let ended = until("the order has ended, and so has its money", async || {
        let order = cart.owner.get(&path).send().await.expect(200);
        let ended = match order.text("/status").as_str() {
            "pending" => false,
            "placed" => order.text("/payment/status") == "authorised",
            "failed" => order.text("/payment/status") == "voided",
            other => panic!("{other}: {}", order.json()),
        };
        ended.then_some(order)
    })
    .await;
    assert_eq!(ended.number("/payment/captured/amount"), ended.number("/payment/refunded/amount"));
    let stock = if ended.text("/status") == "placed" { (10, 3, 7) } else { (10, 0, 10) };
    // What a hold past its time kept comes back with the next sweep, which may be later than the order's end.
    let back = async || (shop.stock(&goods.variant).await == stock).then_some(());
    until(&format!("{stock:?} of {}", ended.json()), back).await;
    ended
}

#[tokio::test]
async fn an_edit_is_in_the_order_or_refused() {
    let (one, other) = (shop().goods(300, 10_000).await.variant, shop().goods(500, 10_000).await.variant);
    for round in 0..20 {
        let cart = shop().guest_cart(&[(&one, 1)]).await;
        let (editor, added, adds) = (cart.clone(), other.clone(), round % 2 == 0);
        let line_path = cart.path(&format!("/lines/{}", cart.made.text("/lines/0/id")));
        let edit: Make = Box::new(move || match adds {
            true => editor.add(&added, 2),
            false => editor.owner.patch(&line_path, json!({ "quantity": 4 })),
        });
        let answers = at_once([edit, checks_out(&cart, "tok_ok")]).await;
        let order = answers[1].clone().expect(201);
        let edited = answers[0].status == 200;
        if !edited {
            let code = answers[0].clone().expect(409).text("/code");
            assert!(matches!(code.as_str(), "cart_locked" | "cart_completed"), "{code}");
        }
        let lines = order.at("/lines");
        let mut lines: Vec<_> = lines.as_array().expect("a list").iter().map(line).collect();
        lines.sort_unstable();
        let mut wanted = vec![(one.clone(), if edited && !adds { 4 } else { 1 }, 300)];
        if edited && adds {
            wanted.push((other.clone(), 2, 500));
        }
        wanted.sort_unstable();
        assert_eq!(lines, wanted);
        let sum: i64 = lines.iter().map(|(_, quantity, price)| quantity * price).sum();
        assert_eq!((order.number("/totals/total/amount"), order.number("/payment/amount/amount")), (sum, sum));
    }
}

/// Variant, quantity, price.
fn line(line: &Value) -> (String, i64, i64) {
    let number = |pointer| line.pointer(pointer).and_then(Value::as_i64).expect("a number");
    (line["variant_id"].as_str().expect("text").to_owned(), number("/quantity"), number("/unit_price/amount"))
}

#[tokio::test]
async fn nobody_pays_a_price_that_was_not_shown() {
    for _ in 0..5 {
        let goods = shop().goods(500, 1000).await;
        let mut carts = Vec::new();
        for _ in 0..20 {
            carts.push(shop().guest_cart(&[(&goods.variant, 2)]).await);
        }
        let admin = shop().admin().await;
        let path = format!("/v1/variants/{}", goods.variant);
        let body = json!({ "prices": [{ "amount": 700, "currency": "EUR" }] });
        let mut all: Vec<Make> = carts.iter().map(|cart| checks_out(cart, "tok_ok")).collect();
        all.insert(all.len() / 2, Box::new(move || admin.patch(&path, body.clone())));
        let mut answers = at_once(all).await;
        answers.remove(10).expect(200);
        for (cart, answer) in carts.iter().zip(&answers) {
            if answer.status == 201 {
                assert_eq!(answer.number("/totals/total/amount"), 1000, "what was shown");
                continue;
            }
            answer.clone().problem(409, "cart_changed");
            assert_eq!(cart.show().await.number("/lines/0/unit_price/amount"), 700);
            assert_eq!(cart.bought().await.number("/totals/total/amount"), 1400);
        }
        assert_eq!(shop().stock(&goods.variant).await, (1000, 40, 960));
    }
}

#[tokio::test]
async fn who_gives_up_while_the_bank_says_yes_has_the_goods_or_the_money() {
    for _ in 0..20 {
        let (goods, cart, order) = at_the_bank(shop()).await;
        let giver = cart.clone();
        let give_up: Make = Box::new(move || giver.owner.delete(&giver.path("/checkout")));
        let answers = at_once([give_up, authorised(shop(), &order)]).await;
        answers[1].clone().expect(204);
        let ended = ended(shop(), &goods, &cart, &order).await;
        if answers[0].status == 200 {
            assert_eq!(ended.text("/status"), "failed");
            assert_ne!(cart.bought().await.text("/id"), order);
            assert_eq!(shop().stock(&goods.variant).await, (10, 3, 7));
        } else {
            answers[0].clone().expect(409);
            assert_eq!(ended.text("/status"), "placed");
        }
    }
}

#[tokio::test]
async fn a_hold_that_ends_while_the_bank_says_yes_is_bought_or_paid_back() {
    let sweeps = ("CLEAVE__PRODUCTS__SWEEP_SECONDS".to_owned(), "1".to_owned());
    let shop = Arc::new(Shop::start(env!("CARGO_BIN_EXE_cleave"), Options { env: vec![sweeps], ..Options::default() }));
    for round in 0..20 {
        let (goods, cart, order) = at_the_bank(&shop).await;
        let (barrier, clock) = (Arc::new(Barrier::new(2)), Arc::clone(&shop));
        let over = async {
            barrier.wait().await;
            let ends = "UPDATE reservations SET expires_at = created_at WHERE state = 'held'";
            tokio::task::spawn_blocking(move || clock.corrupt("products", ends)).await.expect("it is changed");
        };
        let (event, back) = (authorised(&shop, &order), checks_out(&cart, "tok_action"));
        let said = async {
            barrier.wait().await;
            // In half of the rounds the buyer is back as well.
            if round % 2 == 0 { at_once([event]).await } else { at_once([event, back]).await }
        };
        let ((), answers) = tokio::join!(over, said);
        assert_eq!(with(&answers, 204).len(), 1);
        // Who came when the cart was open again holds the goods for another attempt, until it is given up.
        if answers.iter().any(|answer| answer.status == 202 && answer.text("/id") != order) {
            cart.owner.delete(&cart.path("/checkout")).send().await.expect(200);
        }
        let ended = ended(&shop, &goods, &cart, &order).await;
        if ended.text("/status") == "failed" {
            assert_ne!(cart.bought().await.text("/id"), order);
        }
    }
    shop.settled().await;
}
