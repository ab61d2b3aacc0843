//! The last pieces.
use crate::{at_once, shop, with};
use testkit::{Actor, Cart};
use tokio::task::JoinSet;

/// So many strangers' carts of one connection pool, ready to be bought.
async fn carts(count: usize, lines: &[(&str, i64)]) -> Vec<Cart> {
    let (anyone, mut tasks) = (shop().anonymous(), JoinSet::new());
    for _ in 0..count {
        let lines: Vec<(String, i64)> = lines.iter().map(|(variant, n)| ((*variant).to_owned(), *n)).collect();
        tasks.spawn(ready(anyone.clone(), lines));
    }
    tasks.join_all().await
}
async fn ready(actor: Actor, lines: Vec<(String, i64)>) -> Cart {
    let lines: Vec<_> = lines.iter().map(|(variant, n)| (variant.as_str(), *n)).collect();
    actor.cart(&lines).await.ready().await
}

fn buy(cart: Cart) -> impl Fn() -> testkit::Request + Send + 'static {
    move || cart.checkout("tok_ok")
}

#[tokio::test]
async fn five_hundred_buyers_get_the_fifty_pieces_there_are() {
    let goods = shop().goods(1999, 50).await;
    let answers = at_once(carts(500, &[(&goods.variant, 1)]).await.into_iter().map(buy)).await;
    assert_eq!(with(&answers, 201).len(), 50);
    let refused = with(&answers, 409);
    assert_eq!(refused.len(), 450);
    for answer in refused {
        assert_eq!((answer.text("/code"), answer.number("/available")), ("out_of_stock".into(), 0));
    }
    assert_eq!(shop().stock(&goods.variant).await, (50, 50, 0));
    let mut numbers: Vec<_> = with(&answers, 201).iter().map(|order| order.text("/number")).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 50, "every order has a number of its own");
}

#[tokio::test]
async fn of_two_buyers_of_the_last_piece_one_gets_it() {
    for _ in 0..10 {
        let goods = shop().goods(5, 1).await;
        let answers = at_once(carts(2, &[(&goods.variant, 1)]).await.into_iter().map(buy)).await;
        assert_eq!(with(&answers, 201).len(), 1);
        let late = with(&answers, 409)[0].clone().problem(409, "out_of_stock");
        assert_eq!((late.text("/variant"), late.number("/available")), (goods.variant.clone(), 0));
        assert_eq!(shop().stock(&goods.variant).await, (1, 1, 0));
    }
}

#[tokio::test]
async fn carts_of_the_same_goods_in_another_order_do_not_wait_for_each_other() {
    let variants = shop().variants(10, 5, 100).await;
    let forth: Vec<_> = variants.iter().map(|variant| (variant.as_str(), 1)).collect();
    let back: Vec<_> = forth.iter().rev().copied().collect();
    let all: Vec<_> =
        carts(20, &forth).await.into_iter().zip(carts(20, &back).await).flat_map(|(a, b)| [a, b]).collect();
    let answers = at_once(all.into_iter().map(buy)).await;
    assert_eq!(with(&answers, 201).len(), 40);
    for variant in &variants {
        assert_eq!(shop().stock(variant).await, (100, 40, 60));
    }
}

#[tokio::test]
async fn whoever_counts_stock_while_it_is_sold_never_counts_less_than_is_promised() {
    let goods = shop().goods(5, 20).await;
    let admin = shop().admin().await;
    let (path, body) = (format!("/v1/variants/{}/stock", goods.variant), serde_json::json!({ "on_hand": 10 }));
    type Make = Box<dyn Fn() -> testkit::Request + Send>;
    let mut all: Vec<Make> =
        carts(20, &[(&goods.variant, 1)]).await.into_iter().map(|cart| Box::new(buy(cart)) as Make).collect();
    all.insert(10, Box::new(move || admin.put(&path, body.clone())));
    let answers = at_once(all).await;
    let counted = answers[10].status;
    let sold = with(&answers, 201).len() as i64;
    let (on_hand, reserved, available) = shop().stock(&goods.variant).await;
    assert_eq!((reserved, available), (sold, on_hand - sold));
    match counted {
        200 => assert_eq!((on_hand, sold), (10, 10)),
        409 => assert_eq!((on_hand, sold), (20, 20)),
        other => panic!("counting stock was answered {other}"),
    }
}
