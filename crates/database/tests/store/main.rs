//! The crate over both databases: one body each, run on both.
mod clock;
mod faults;
mod harness;
mod language;
mod meter;
mod migrate;
mod once;
mod outbox;
mod shop;
mod units;
