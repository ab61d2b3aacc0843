//! What of this domain is pure and done for many requests, for `cargo xtask instructions` to count.
use crate::{
    domain::{
        product::{Choice, Image, Product, Status, Variant},
        review::Rating,
    },
    http::shown::ProductBody,
};
use kernel::{Currency, Minor, Money, Page, Time};
use std::hint::black_box;
use uuid::Uuid;
use web::{Reply, page};

/// Twenty products of three variants, from domain types to the bytes that are sent and their tag.
pub fn a_list_as_json() -> impl Fn() {
    let products: Vec<Product> = (0..20).map(product).collect();
    move || {
        let items = black_box(&products).iter().collect();
        let page = page(Page { items, next: None, count: None }, ProductBody::from);
        drop(black_box(Reply::json(200, &page).hashed()));
    }
}

fn product(n: u128) -> Product {
    let id = |n: u128| Uuid::from_u128((0x0190_5c6f_8f4e_7b3a << 64) + n);
    let (sizes, now) = (["S", "M", "L"], Time::from_micros(1_767_225_600_123_456));
    let variant = |(at, size): (u128, &&str)| Variant {
        id: id(1_000 + 3 * n + at).into(),
        sku: Some(format!("SHIRT-{n:04}-{size}")),
        values: vec![(*size).to_owned(), "Blue".to_owned()],
        prices: [Currency::EUR, Currency::USD]
            .map(|currency| Money { amount: Minor::new(1_999).expect("in range"), currency })
            .into(),
        track_stock: true,
        on_hand: 12,
        reserved: 2,
    };
    let choice = |name: &str, values: &[&str]| Choice {
        name: name.to_owned(),
        values: values.iter().map(|&value| value.to_owned()).collect(),
    };
    Product {
        id: id(n).into(),
        slug: format!("organic-cotton-shirt-{n}"),
        title: format!("Organic cotton shirt \u{2013} no. {n}"),
        description: "<p>Soft, heavy and made to last. Wash it <em>cold</em>.</p>".repeat(8),
        status: Status::Active,
        options: vec![choice("Size", &sizes), choice("Color", &["Blue"])],
        categories: vec!["men".to_owned(), "shirts".to_owned()],
        tags: vec!["cotton".to_owned(), "organic".to_owned()],
        images: vec![Image { src: format!("https://images.test/{n}.jpg"), alt: "A blue shirt".to_owned() }],
        variants: (0..).zip(&sizes).map(variant).collect(),
        rating: Rating { count: 12, sum: 53 },
        sold: 40,
        version: 7,
        created_at: now,
        updated_at: now,
    }
}
