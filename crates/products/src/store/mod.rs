//! diesel: domain types in and out, rows never leave.
mod schema;
mod sql;

pub(crate) mod audit;
pub(crate) mod categories;
pub(crate) mod customers;
pub(crate) mod imports;
pub(crate) mod list;
mod picks;
pub(crate) mod products;
pub(crate) mod purchases;
pub(crate) mod reservations;
pub(crate) mod reviews;
#[cfg(test)]
pub(crate) mod spoil;
pub(crate) mod stock;
pub(crate) mod write;

use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

/// What a list shows beside its items: which products there are, what they are found by, and in what order they stand.
pub(crate) const CATALOGUE: Uuid = Uuid::from_u128(1);
/// In what order products stand by how often they were bought.
pub(crate) const SOLD: Uuid = Uuid::from_u128(2);

fn to_json(value: &impl Serialize) -> Value {
    serde_json::to_value(value).expect("domain types are plain data")
}
