//! The shop over HTTP, as a black box: one shop for all tests of this file, and no test assumes that it is empty.
mod bad_input;
mod carts;
mod categories;
mod events;
mod goods;
mod health;
mod imports;
mod limits;
mod openapi;
mod orders;
mod payments;
mod permissions;
mod placement;
mod products;
mod reviews;
mod sessions;
mod stock;
mod storefront;
mod users;
mod variants;
mod webhooks;
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
