//! Pure types and rules.
#[macro_use]
mod words;

pub(crate) mod cart;
pub(crate) mod order;
pub(crate) mod payment;
pub(crate) mod process;
pub(crate) mod shipping;
pub(crate) mod totals;
