//! users: accounts, sessions, permissions.
//!
//! Owns who people are, how they prove it, and what they may do. Invariants: an email address belongs to one account
//! (unique over its folded form); a refresh token works once, and using it twice ends its session; the shop always has
//! an administrator once it had one; a signing key is published before it signs and until its last token has expired. Passwords are only kept as argon2id hashes, tokens only as SHA-256.
//! It never calls another domain and never stores an access token.
mod domain;
mod http;
mod service;
mod store;

pub use domain::roles::Role;
pub use http::routes;
pub use service::{Rotation, Settings, Users};

/// This domain's tables.
pub static MIGRATIONS: database::Migrations = database::migrations!("../../migrations/users");
