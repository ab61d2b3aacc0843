//! The crate over both databases: one body each, run on both.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]
mod backup;
mod clock;
mod copy;
mod faults;
mod harness;
mod language;
mod meter;
mod migrate;
mod once;
mod outbox;
mod shop;
mod units;
