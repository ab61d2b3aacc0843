//! SQLite and PostgreSQL behind one diesel connection.
//!
//! A store function is plain diesel over [`Conn`], written and compiled once; [`Database`] runs it on threads of its
//! own, a unit of work in a transaction. [`migrate`] makes the tables, [`provision`] the roles that keep domains apart.
//! Every domain's database also has the tables behind [`once`] (idempotent requests), [`outbox`] and [`inbox`] (events told
//! and heard), and [`leases`]. [`copy`]
//! moves all of a domain's tables to another database, and backs them up.
//!
//! It knows no domain, no HTTP and no configuration file. Uniqueness is a `CREATE UNIQUE INDEX name` and every CHECK
//! has a CONSTRAINT name, in the migrations of both databases: errors are told apart by these names.
pub mod audit;
mod backend;
mod chunks;
mod conn;
pub mod copy;
mod error;
mod executor;
pub mod inbox;
pub mod leases;
mod location;
mod lock;
mod meter;
mod migrate;
mod now;
pub mod once;
pub mod outbox;
mod provision;
mod rows;
pub mod schema;
mod touched;
mod types;

pub use backend::{Db, not_kept, push_list};
pub use chunks::chunks;
pub use conn::Conn;
pub use database_embed::migrations;
pub use error::{Error, Result, Violates, violated};
pub use executor::{Database, Settings};
pub use location::{BadLocation, Location};
pub use lock::{DataDirLock, lock_data_dir};
pub use migrate::{Migrations, migrate, pending};
pub use now::{Moved, Now};
pub use provision::{provision, provision_for};
pub use touched::{News, Touched};
pub use types::Json;

#[doc(hidden)] // what `migrations!` expands to
pub use diesel_migrations;

// They choose what diesel links: SQLite and libpq built in, the latter with TLS.
use {libsqlite3_sys as _, openssl_sys as _, pq_sys as _};
