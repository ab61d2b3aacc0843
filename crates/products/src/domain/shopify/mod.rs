//! Shopify's product CSV: a row a variant, rows of one handle together, the product's own cells on the first of them.
//!
//! Identity is the handle, then the option values; nothing in the file is an id of ours. Reading, comparing and writing
//! are pure: what happens to the shop is the service's matter.
mod group;
mod merge;
mod read;
mod write;

pub(crate) use merge::{Merged, made, merge};
pub(crate) use read::{BadFile, Batch, Batches};
pub(crate) use write::{HEADER, rows};

use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// What is wrong with a line of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowError {
    /// The first line is 1; a row that runs over several lines is named by its first.
    pub line: u64,
    pub code: Cow<'static, str>,
    pub detail: String,
}

impl RowError {
    pub(crate) fn new(line: u64, code: &'static str, detail: impl Into<String>) -> Self {
        Self { line, code: code.into(), detail: detail.into() }
    }
}
