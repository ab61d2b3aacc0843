//! storefront: answers that need several domains.
//!
//! Owns no table. A request makes at most one call a domain, each of them batched; what a domain refuses is refused.
mod http;

pub use http::routes;

use orders_api::OrderHistory;
use products_api::Catalogue;
use std::sync::Arc;
use users_api::Accounts;
use web::Module;

/// The aggregator, with the handles it asks.
pub struct Storefront {
    accounts: Arc<dyn Accounts>,
    catalogue: Arc<dyn Catalogue>,
    history: Arc<dyn OrderHistory>,
}

impl Storefront {
    pub fn new(
        accounts: Arc<dyn Accounts>,
        catalogue: Arc<dyn Catalogue>,
        history: Arc<dyn OrderHistory>,
    ) -> Arc<Self> {
        Arc::new(Self { accounts, catalogue, history })
    }
    pub fn module(self: &Arc<Self>) -> Module {
        Module::new("storefront", routes(), Arc::clone(self))
    }
}
