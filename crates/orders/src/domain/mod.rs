//! Pure types and rules: what a cart is worth, what an order may become. No async, no I/O.
pub(crate) mod cart;
pub(crate) mod order;
pub(crate) mod shipping;
pub(crate) mod totals;
