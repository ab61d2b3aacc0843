//! products: the catalogue, prices, stock, and reviews.
//!
//! Owns what the shop sells, what it costs and how much of it is there. Invariants: a variant is one combination of its
//! product's options and there is one of each; never is more reserved than is on hand (a CHECK, and a guard in every
//! statement that reserves); every change of stock writes its movement, so that a ledger adds up to what is there; a
//! reservation is confirmed or expires, decided by one guarded UPDATE and not by a clock; a product's rating is the sum of its published reviews,
//! and what was sold of it the sum of the orders it heard of; a list is sorted by keys kept beside its rows, so both databases answer alike.
//! It never calls another domain, never deletes a product that was sold, and stores no HTML that it did not clean.
mod domain;
#[cfg(feature = "hot")]
pub mod hot;
mod http;
mod points;
mod seed;
mod service;
mod store;
#[cfg(test)]
mod tests;

pub use domain::{
    import::{Format, Progress as Report},
    shopify::RowError,
};
pub use http::routes;
pub use service::{Products, Reviews, Settings};

/// This domain's tables.
pub static MIGRATIONS: database::Migrations = database::migrations!("../../migrations/products");
