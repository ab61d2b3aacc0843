//! The shop over HTTP, as a black box: one shop for all tests of this file, and no test assumes that it is empty.
mod carts;
mod orders;

use std::sync::OnceLock;
use testkit::{Options, Shop};

/// The shop of this run.
fn shop() -> &'static Shop {
    static SHOP: OnceLock<Shop> = OnceLock::new();
    SHOP.get_or_init(|| Shop::start(env!("CARGO_BIN_EXE_cleave"), Options::default()))
}

#[tokio::test]
async fn a_stranger_sees_products() {
    shop().anonymous().get("/v1/products").send().await.expect(200);
}
