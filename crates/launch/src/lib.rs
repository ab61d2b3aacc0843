//! Starts a shop in any topology on one machine, for tests and for trying out.
//!
//! [`Plan`] says which processes a topology has and what each is told: its modules, its data, where it listens, where
//! the others are. [`Fleet`] starts them, with nginx before all but `single`, and stops them. Each is a real process of
//! the given binary on a leash: it ends when whoever holds the fleet ends, however that ends. Nothing but the standard
//! library, so that tests and tasks alike may hold one.
mod broker;
mod brokers;
mod error;
mod fleet;
mod gateway;
mod http;
mod leash;
mod plan;
mod ports;
mod topology;

pub use broker::Broker;
pub use brokers::{Nats, NatsOptions, NatsTls, Tansu};
pub use error::{Failed, Result};
pub use fleet::{Died, Fleet};
pub use gateway::find as find_nginx;
pub use leash::{Errors, Signal};
pub use plan::{Databases, Plan, Process, Wanted};
pub use topology::{Domain, Module, Topology};
