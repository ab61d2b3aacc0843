//! What every broker keeps to, and what each does in its own trouble.
//!
//! The bodies in `every` know a broker by its trait only; the one in the process holds nothing, so it has its own. Servers
//! are real; `cargo xtask test` starts them.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod away;
mod consumer;
mod every;
mod house;
mod in_process;
mod kafka;
mod nats;
mod place;
mod relay;

/// Each body on each broker.
macro_rules! on_every_broker {
    ($($body:ident),* $(,)?) => {
        mod on_nats {
            $(#[tokio::test] async fn $body() { crate::every::$body(crate::place::nats()).await; })*
        }
        mod on_kafka {
            $(#[tokio::test] async fn $body() { crate::every::$body(crate::place::kafka()).await; })*
        }
    };
}

on_every_broker!(
    heard_in_the_order_of_each_subject,
    published_twice_keeps_the_order,
    unacknowledged_comes_again,
    taken_over_without_a_gap,
    groups_are_independent,
    kinds_are_filtered,
    what_arrives_is_what_was_sent,
    nobody_who_lets_go_loses_anything,
    what_is_no_event_is_passed_over,
);
