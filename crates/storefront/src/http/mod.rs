//! storefront over HTTP.
mod account;
mod product;

use account::AccountBody;
use kernel::Needs;
use product::ProductPageBody;
use web::{Route, get};

/// What the aggregator serves.
pub fn routes() -> Vec<Route> {
    vec![
        get("/v1/storefront/products/{slug}", Needs::Nothing, product::show)
            .says("A product page, with what is available now")
            .gives::<ProductPageBody>(200, "The page"),
        get("/v1/storefront/account", Needs::User, account::show)
            .says("Who I am and what I bought last")
            .gives::<AccountBody>(200, "The account"),
    ]
}
