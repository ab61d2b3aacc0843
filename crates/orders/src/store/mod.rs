//! diesel: domain types in and out, rows never leave.
mod schema;

pub(crate) mod audit;
pub(crate) mod carts;
pub(crate) mod forget;
pub(crate) mod orders;
pub(crate) mod payments;
pub(crate) mod processes;

use database::Result;
use kernel::CartKey;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

fn json(value: &impl Serialize) -> Value {
    serde_json::to_value(value).expect("what is kept as JSON is plain data")
}
fn read<T: DeserializeOwned>(value: Value) -> Result<T> {
    serde_json::from_value(value).map_err(|error| wrong(error).into())
}
/// A column holds what this version does not know.
fn wrong(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> diesel::result::Error {
    diesel::result::Error::DeserializationError(why.into())
}
fn token(hash: Option<Vec<u8>>) -> Option<CartKey> {
    hash.and_then(|hash| hash.try_into().ok()).map(CartKey)
}
