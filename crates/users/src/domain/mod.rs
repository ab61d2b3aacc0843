//! Pure types and rules. No async, no I/O.
pub(crate) mod account;
pub(crate) mod keys;
pub(crate) mod roles;
pub(crate) mod secret;
