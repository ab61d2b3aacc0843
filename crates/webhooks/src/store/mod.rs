//! diesel: domain types in and out, rows never leave.
mod schema;

pub(crate) mod audit;
pub(crate) mod deliveries;
pub(crate) mod endpoints;
pub(crate) mod journal;
pub(crate) mod notices;

use database::Error;
use diesel::result::Error as Diesel;

/// What lies there is none of what this version writes.
fn wrong(what: &str) -> Error {
    Error::Query(Diesel::DeserializationError(format!("{what} is unknown here").into()))
}

/// One row more than a page has.
fn one_more(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1)
}
