//! webhooks: what happened, told to those outside, to staff's streams, and as notices.
//!
//! Hears every event of every domain, and writes each into a journal whose positions are in the order of commits. From
//! there it goes to endpoints over HTTP (signed, tried again for a day, each at its own pace) and to staff as server-sent
//! events. Invariants: an event that an endpoint hears has one delivery, written with its place in the journal; whatever
//! is sent goes to addresses that were checked when they were connected to; secrets are shown once. It asks no other
//! domain anything, and knows of their events only what they are called.
mod domain;
mod http;
mod service;
mod store;

pub use http::routes;
pub use service::{Settings, Webhooks};

/// This domain's tables.
pub static MIGRATIONS: database::Migrations = database::migrations!("../../migrations/webhooks");
