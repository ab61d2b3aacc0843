//! orders: carts, checkout, payments, orders.
//!
//! Owns what people want to buy, what they bought, and what was taken for it. Invariants: a cart has at most one living
//! attempt (unique index); totals are computed here and nowhere else; an order is a snapshot that no later price changes;
//! a placed order has a number, a confirmed reservation and a payment that is not declined. It asks products for prices
//! and stock through traits, never inside a transaction, and never stores a payment token.
mod domain;
#[cfg(feature = "hot")]
pub mod hot;
mod http;
mod payments;
mod points;
mod service;
mod store;
#[cfg(test)]
mod tests;

pub use domain::shipping::{ShippingOption, ShippingSettings};
pub use http::routes;
pub use payments::{PaymentSettings, StripeSettings};
pub use service::{CheckoutSettings, Neighbours, Orders, Settings};

/// This domain's tables.
pub static MIGRATIONS: database::Migrations = database::migrations!("../../migrations/orders");
