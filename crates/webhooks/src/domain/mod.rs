//! Pure types and rules of webhooks.
pub(crate) mod delivery;
pub(crate) mod endpoint;
pub(crate) mod notice;
pub(crate) mod pattern;
pub(crate) mod schedule;
pub(crate) mod secret;
pub(crate) mod vault;
