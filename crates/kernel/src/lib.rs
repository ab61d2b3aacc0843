//! Words that every domain shares: ids, money, time, who calls and what may go wrong.
//!
//! No I/O and no runtime: the traits in every `*-api` crate are made of these words, so they must stay light.
//! How the words lie in columns is `database`'s matter, how they look in HTTP is `web`'s.
mod address;
mod audit;
mod call;
mod clock;
mod code;
mod cursor;
mod event;
mod ids;
mod method;
mod money;
mod secret;
pub mod token;

pub use address::Address;
pub use async_trait::async_trait;
pub use audit::{Check, Finding};
pub use call::{Call, CallError, CartKey, Failure, Peer, Principal, Trace};
pub use clock::{Clock, SystemClock, Time};
pub use code::Code;
pub use contract::contract;
pub use cursor::{BadCursor, Cursor, Page};
#[cfg(feature = "openapi")]
pub use event::EventSchema;
pub use event::{BadEvent, Event, EventKind};
pub use ids::{BadId, Id, Key, Kind, type_id};
pub use method::{Contract, Each, Effect, Handle, Invoke, Keyed, Method, Needs, Outcome, Spec, To, Via, Visit};
pub use money::{BadCurrency, BadMoney, Currency, Minor, Money};
pub use secret::Secret;
