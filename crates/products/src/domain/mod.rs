//! Pure types and rules. No async, no I/O.
pub(crate) mod product;
pub(crate) mod stock;
pub(crate) mod text;
