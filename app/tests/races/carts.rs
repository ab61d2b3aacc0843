//! One cart, many hands.
use crate::{at_once, shop, with};
use serde_json::{Value, json};
use testkit::Request;

#[tokio::test]
async fn two_hundred_checkouts_of_one_cart_are_one_order() {
    let goods = shop().goods(5, 1000).await;
    let cart = shop().guest_cart(&[(&goods.variant, 3)]).await;
    let answers = at_once((0..200).map(|_| {
        let cart = cart.clone();
        move || cart.checkout("tok_ok")
    }))
    .await;
    let [placed] = with(&answers, 201)[..] else { panic!("one places it: {:?}", statuses(&answers)) };
    let same = with(&answers, 200);
    assert_eq!(same.len(), 199, "{:?}", statuses(&answers));
    assert!(same.iter().all(|answer| answer.json() == placed.json()));
    assert_eq!(shop().stock(&goods.variant).await, (1000, 3, 997));
}

fn statuses(answers: &[testkit::Answer]) -> Vec<u16> {
    let mut all: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    all.dedup();
    all
}

#[tokio::test]
async fn of_simultaneous_checkouts_with_a_bad_card_and_a_good_one_the_good_one_buys() {
    for _ in 0..5 {
        let goods = shop().goods(5, 100).await;
        let cart = shop().guest_cart(&[(&goods.variant, 1)]).await;
        let answers = at_once((0..6).map(|n| {
            let cart = cart.clone();
            move || cart.checkout(if n % 2 == 0 { "tok_declined" } else { "tok_ok" })
        }))
        .await;
        assert_eq!(with(&answers, 201).len(), 1);
        assert!(answers.iter().all(|answer| [200, 201, 402].contains(&answer.status)));
        assert_eq!(shop().stock(&goods.variant).await, (100, 1, 99));
    }
}

#[tokio::test]
async fn what_is_bought_while_the_cart_is_edited_is_what_is_paid() {
    let (one, other) = (shop().goods(3, 10_000).await, shop().goods(500, 10_000).await);
    let (mut pieces, mut others) = (0, 0);
    for _ in 0..15 {
        let cart = shop().guest_cart(&[(&one.variant, 1)]).await;
        let line = cart.path(&format!("/lines/{}", cart.made.text("/lines/0/id")));
        let (buyer, adder, variant) = (cart.clone(), cart.clone(), other.variant.clone());
        let (changer, remover, gone) = (cart.clone(), cart.clone(), line.clone());
        let all: Vec<Box<dyn Fn() -> Request + Send>> = vec![
            Box::new(move || adder.add(&variant, 2)),
            Box::new(move || changer.owner.patch(&line, json!({ "quantity": 7 }))),
            Box::new(move || buyer.checkout("tok_ok")),
            Box::new(move || remover.owner.delete(&gone)),
        ];
        let answers = at_once(all).await;
        let order = &answers[2];
        if order.status == 422 {
            assert_eq!(order.text("/code"), "cart_incomplete", "it was emptied just then");
            continue;
        }
        assert_eq!(order.status, 201, "{}", order.json());
        for edit in [&answers[0], &answers[1], &answers[3]] {
            assert!([200, 404, 409].contains(&edit.status), "{}: {}", edit.what, edit.json());
        }
        let lines = order.at("/lines");
        let lines = lines.as_array().expect("a list");
        let number = |line: &Value, pointer: &str| line.pointer(pointer).and_then(Value::as_i64).expect("a number");
        let sum: i64 = lines.iter().map(|line| number(line, "/unit_price/amount") * number(line, "/quantity")).sum();
        assert_eq!(order.number("/totals/total/amount"), sum);
        let of = |variant: &str| {
            lines.iter().filter(|l| l["variant_id"] == variant).map(|l| number(l, "/quantity")).sum::<i64>()
        };
        pieces += of(&one.variant);
        others += of(&other.variant);
    }
    assert_eq!(shop().stock(&one.variant).await.1, pieces);
    assert_eq!(shop().stock(&other.variant).await.1, others);
}

#[tokio::test]
async fn lines_that_are_added_at_once_are_all_there() {
    let goods = shop().goods(5, 5).await;
    let cart = shop().guest_cart(&[]).await;
    let answers = at_once((0..30).map(|_| {
        let (cart, variant) = (cart.clone(), goods.variant.clone());
        move || cart.add(&variant, 1)
    }))
    .await;
    assert_eq!(with(&answers, 200).len(), 30);
    let shown = cart.show().await;
    assert_eq!(shown.number("/lines/0/quantity"), 30);
    assert_eq!(shown.number("/version"), 32);
}

#[tokio::test]
async fn giving_a_checkout_up_twice_at_once_frees_its_stock_once() {
    let goods = shop().goods(5, 10).await;
    let cart = shop().guest_cart(&[(&goods.variant, 4)]).await;
    cart.checkout("tok_action").send().await.expect(202);
    let answers = at_once((0..6).map(|_| {
        let cart = cart.clone();
        move || cart.owner.delete(&cart.path("/checkout"))
    }))
    .await;
    assert_eq!(with(&answers, 200).len(), 1);
    assert_eq!(with(&answers, 409).len(), 5);
    assert_eq!(shop().stock(&goods.variant).await, (10, 0, 10));
    cart.bought().await;
    assert_eq!(shop().stock(&goods.variant).await, (10, 4, 6));
}
