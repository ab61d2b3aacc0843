//! Starts real shops for tests: own process, own data, either database. Plays who uses them.
//!
//! `CLEAVE_TEST_DATABASE` (`sqlite` or `postgres`) chooses the database, `CLEAVE_TEST_POSTGRES` names a superuser of a
//! cluster made for tests; `cargo xtask test` sets both. Every answer is compared with the OpenAPI document, every
//! event with the AsyncAPI document; both are written down in the folder `CLEAVE_TEST_COVERAGE`, so that the run can tell
//! which documented answers and events no test produced, and which request caused which events.
//! `CLEAVE_TEST_TOPOLOGY` chooses which processes the shop is made of, `CLEAVE_TEST_NGINX` names the nginx before them.
//! `CLEAVE_TEST_BROKER` chooses what stands between its domains, `CLEAVE_TEST_NATS` and `CLEAVE_TEST_KAFKA` name the run's.
//! It waits by asking again until a deadline, never by sleeping for luck.
mod actor;
mod audit;
mod cluster;
mod contract;
mod costs;
pub mod document;
mod exchange;
mod goods;
mod hooks;
mod metrics;
mod people;
mod proxy;
mod receiver;
mod shop;
mod sql;
pub mod stripe;
mod tls;
pub mod told;
mod wait;

pub use actor::{Actor, Answer, Request};
pub use cluster::Cluster;
pub use costs::{Least, Meter, held_against};
pub use exchange::exchange;
pub use goods::{Cart, Goods, address, pay, product};
pub use launch::{Broker, Died, Domain, Topology};
pub use metrics::Counters;
pub use proxy::{Proxy, Way};
pub use receiver::{Posted, Receiver, Reply};
pub use shop::{ADMIN, Backend, BrokerUsed, CrashAt, Options, Shop, WorkersWait, chosen_topology, database};
pub use tls::clients_can_be_made;
pub use wait::{until, until_within};

/// A word that no other test uses.
pub fn unique(word: &str) -> String {
    let id = uuid::Uuid::now_v7().simple().to_string();
    format!("{word}-{}", &id[12..])
}
