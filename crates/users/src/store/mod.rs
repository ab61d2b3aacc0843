//! diesel: domain types in and out, rows never leave.
mod schema;

pub(crate) mod addresses;
pub(crate) mod audit;
pub(crate) mod keys;
pub(crate) mod sessions;
pub(crate) mod users;
