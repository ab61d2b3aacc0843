//! What happened, told to whoever listens.
use serde::Serialize;
use uuid::Uuid;

/// A typed event of a domain: an enum in its `*-api`, written to the outbox in the transaction of the change.
pub trait Event: Serialize {
    /// Such as `order.placed`; the word before the dot names the aggregate.
    fn kind(&self) -> &'static str;
    /// The aggregate it happened to; events of one aggregate are told in order.
    fn subject(&self) -> Uuid;
}
