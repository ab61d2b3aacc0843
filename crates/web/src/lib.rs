//! How a domain speaks HTTP: a table of routes, who may call them, bodies in, answers and problems out.
//!
//! A domain writes its routes as a table ([`Route`]); the permission stands in the table and is checked before a
//! handler's extractors run, so a bad body never wins over a missing right. The same table is the OpenAPI document.
//! This crate starts no server and knows no domain: `host` serves what it describes.
mod address;
mod admission;
mod answer;
mod body;
mod edge;
mod encoding;
mod fields;
mod limit;
mod module;
mod openapi;
mod post;
mod problem;
mod query;
mod ready;
mod route;

pub use address::AddressBody;
pub use admission::{Caller, Patience};
pub use answer::{Paged, Reply, Versioned, page};
pub use body::{Body, JSON_LIMIT, PathId, Raw};
pub use edge::{Edge, current_request_id, edge};
pub use fields::{FieldError, Fields, Pointer, reason};
pub use limit::Tries;
pub use module::{Module, Stopping, Tasks, Worker};
pub use openapi::document;
pub use post::{Keyed, Post};
pub use problem::Problem;
pub use query::Query;
pub use ready::{Fresh, Ready, Settings as ReadySettings, Shelves};
pub use route::{Route, Takes, delete, get, patch, plain, post, put, register};
