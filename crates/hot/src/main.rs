//! Pure functions on the way of a request, each by its name: `hot product-list 100` runs one a hundred times.
//!
//! Without arguments it prints the names. `cargo xtask instructions` runs it under callgrind with two numbers of times;
//! what differs is the function's own, without a process's start and without what the work is made of.
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use kernel::{
    Currency, Cursor, Id, Minor, Time,
    token::{ISSUER, Keys},
};
use products_api::{ProductId, VariantId};
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::json;
use std::{env, hint::black_box, process::ExitCode};
use web::{Query, Reply};

/// What is done again and again.
type Work = Box<dyn Fn()>;

const ALL: [(&str, fn() -> Work); 13] = [
    ("cart-totals", || Box::new(orders::hot::totals_of_a_cart())),
    ("cursor-read", cursor_read),
    ("cursor-write", cursor_write),
    ("id-read", id_read),
    ("id-write", id_write),
    ("money-allocate", money_allocate),
    ("money-parse", money_parse),
    ("product-list", || Box::new(products::hot::a_list_as_json())),
    ("query-read", query_read),
    ("reply-kept", reply_kept),
    ("reply-tag", reply_tag),
    ("time-write", time_write),
    ("token-verify", token_verify),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if arguments.is_empty() {
        ALL.iter().for_each(|(name, _)| println!("{name}"));
        return ExitCode::SUCCESS;
    }
    let [name, times] = &*arguments else { return usage() };
    let Some((_, make)) = ALL.iter().find(|(known, _)| known == name) else { return usage() };
    let Ok(times) = times.parse::<u32>() else { return usage() };
    let work = make();
    (0..times).for_each(|_| work());
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("usage: hot [NAME TIMES]");
    ExitCode::FAILURE
}

/// `f` of what the compiler cannot know, to somebody who may want its answer.
fn work<A: 'static, R>(argument: A, f: impl Fn(&A) -> R + 'static) -> Work {
    Box::new(move || drop(black_box(f(black_box(&argument)))))
}

/// A list sorted by price, filtered by category: what it is bound to, and where it stopped.
const BINDING: (&str, &str, &str) = ("price", "EUR", "lamps");

fn key() -> (i64, String) {
    (1_999, ProductId::from(ID).to_string())
}
fn cursor_write() -> Work {
    work(key(), |key| Cursor::new(&BINDING, key))
}
fn cursor_read() -> Work {
    let text = Cursor::new(&BINDING, &key()).as_str().to_owned();
    work(text, |text| Cursor::read::<(i64, String)>(text, &BINDING))
}

/// The same in every run: some texts are longer than others.
const ID: uuid::Uuid = uuid::Uuid::from_u128(0x0190_5c6f_8f4e_7b3a_9d21_4c7e_55aa_0b1c);

fn id_write() -> Work {
    work(VariantId::from(ID), Id::to_string)
}
fn id_read() -> Work {
    work(VariantId::from(ID).to_string(), |text| text.parse::<VariantId>())
}

fn money_parse() -> Work {
    work("1299.95".to_owned(), |text| Currency::EUR.parse_decimal(text))
}
fn money_allocate() -> Work {
    let weights: Vec<u32> = (1..=10).collect();
    work((Minor::MAX, weights), |(amount, weights)| amount.allocate(weights))
}

fn time_write() -> Work {
    work(NOW, serde_json::to_string)
}

fn query_read() -> Work {
    let query = "category=lamps&sort=price&currency=EUR&q=brass%20desk%20lamp&limit=50&count=true";
    work(query.to_owned(), |query| {
        let mut query = Query::read(query).ok()?;
        let texts = ["category", "sort", "q"].map(|name| query.text(name).ok());
        let rest = (query.parse::<Currency>("currency").ok()?, query.limit().ok()?, query.flag("count").ok()?);
        query.end().ok().map(|()| (texts, rest))
    })
}

fn body() -> serde_json::Value {
    let line =
        json!({ "id": ID, "title": "Brass desk lamp", "quantity": 2, "price": { "amount": 4_900, "currency": "EUR" } });
    json!({ "id": ID, "lines": vec![line; 10] })
}
fn reply_tag() -> Work {
    work(Reply::json(200, &body()), |reply| reply.clone().etag(7))
}
/// An answer kept with its Idempotency-Key, and read again.
fn reply_kept() -> Work {
    work(Reply::json(201, &body()), |reply| Reply::from_bytes(&reply.to_bytes()))
}

const NOW: Time = Time::from_micros(1_767_225_600_123_456);

fn token_verify() -> Work {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a seed is 32 bytes");
    let public: &[u8; 32] = pair.public_key().as_ref().try_into().expect("an Ed25519 key is 32 bytes");
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({
        "iss": ISSUER, "sub": ID, "sid": ID, "iat": NOW.seconds(), "exp": NOW.seconds() + 900,
        "permissions": ["orders:read", "orders:write", "products:write", "stock:read"],
    });
    let signed = format!("{}.{}", part(json!({ "alg": "EdDSA", "typ": "JWT", "kid": "k1" })), part(claims));
    let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(pair.sign(signed.as_bytes())));
    let keys = Keys::new([("k1", public)]);
    assert!(keys.verify(&token, NOW).is_ok(), "what is counted is a token that is believed");
    work((keys, token), |(keys, token)| keys.verify(token, NOW))
}
