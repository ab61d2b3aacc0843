//! Pure types and rules. No async, no I/O.
pub(crate) mod import;
pub(crate) mod product;
pub(crate) mod review;
pub(crate) mod shopify;
pub(crate) mod stock;
pub(crate) mod text;
