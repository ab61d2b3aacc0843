//! Domain traits over gRPC, for any trait: knows methods and messages, no domain.
//!
//! `caller -> Outbound -> Remote ~ link ~ Served -> Inbound -> service`: what stands outside the tildes is `guard`'s and
//! the same in one process. A [`Remote`] carries out any method that has an rpc; a [`Link`] takes bytes to a domain that
//! runs elsewhere (addresses, breaker, retries); [`Services`] answers for the traits that run here. How a domain's types
//! are written as messages stands in its own `remote` crate, by [`wire!`].
//! No type of tonic or prost leaves this crate but the messages that those crates are made of.
mod convert;
mod link;
mod listen;
mod pool;
mod refusals;
mod remote;
mod retry;
mod sample;
mod serve;
mod status;
pub mod tls;

pub use convert::{Convert, Malformed, Rpc, every_method_has_an_rpc, get, put};
pub use link::{Link, Settings};
pub use listen::Services;
pub use pool::{Dial, Place};
pub use prost;
pub use prost_types;
pub use remote::{Remote, remote};
pub use sample::{Sample, Seed, agrees_with_the_trait, call_there_and_back, sample, there_and_back};
