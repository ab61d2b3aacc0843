//! What happened, told: whatever the broker, nothing is lost, nothing has its effect twice, and order holds for each
//! subject. Over every broker in one process, and over those between processes in several; what shows it over HTTP is
//! the same as in `http`.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]
mod away;
mod dead;
#[path = "../http/goods.rs"]
#[expect(dead_code, reason = "all of `http` uses it")]
mod goods;
mod low;
#[path = "../http/reviews.rs"]
mod reviews;
mod stage;
mod storm;
#[path = "../http/webhooks.rs"]
mod webhooks;
#[path = "../http/zz_books.rs"]
mod zz_books;

use std::sync::OnceLock;
use testkit::{Options, Shop};

const BINARY: &str = env!("CARGO_BIN_EXE_cleave");

/// The shop of this run.
fn shop() -> &'static Shop {
    static SHOP: OnceLock<Shop> = OnceLock::new();
    SHOP.get_or_init(|| Shop::start(BINARY, Options::default()))
}

/// A shop of a test's own, with settings such as `("CLEAVE__HTTP__WORKERS", "1")`.
fn shop_with(env: &[(&str, &str)]) -> Shop {
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Shop::start(BINARY, Options { env, ..Options::default() })
}
