//! Where events are handed on. The relay and the consumers are the same whatever stands behind this trait.
pub(crate) mod in_process;
pub(crate) mod kafka;
pub(crate) mod nats;
mod rounds;

use crate::Envelope;
use kernel::async_trait;
use std::time::Duration;

/// Keeps events until every group of consumers has them, at least once, in order for each subject.
#[async_trait]
pub trait Broker: Send + Sync + 'static {
    /// As `events.broker` calls it.
    fn name(&self) -> &'static str;

    /// Done when all of them are kept, in this order. After an error the first few of them may be kept: the caller tries
    /// all of them again, in the same order, before any later one of their subjects. What was kept already may be kept
    /// again.
    async fn publish(&self, events: &[Envelope]) -> Result<(), BrokerError>;

    /// Begins to hear. A group that is new to the broker hears everything that the broker still has.
    async fn subscribe(&self, group: &Group) -> Result<Box<dyn Subscription>, BrokerError>;

    /// Whether order needs that no two processes hold a subscription of the same group at once: the caller sees to it.
    fn is_exclusive(&self) -> bool;

    /// Whether it answers.
    async fn ping(&self) -> Result<(), BrokerError>;
}

/// Who hears: a domain, however many processes it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The module.
    pub name: &'static str,
    /// What it hears, whole: `order.placed`; each is told by one domain.
    pub kinds: Vec<Heard>,
    /// [`Batch::position`] of the last that this group kept.
    pub after: Option<u64>,
}

impl Group {
    pub fn hears(&self, event: &Envelope) -> bool {
        self.kinds.iter().any(|heard| heard.kind == event.kind && heard.domain == event.domain())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Heard {
    /// The domain that tells it.
    pub domain: &'static str,
    pub kind: &'static str,
}

#[async_trait]
pub trait Subscription: Send {
    /// What comes next, at most `most`, of the group's kinds only, in the order of each subject; empty when nothing came
    /// for `wait`. Safe to drop while it waits. After an error the subscription is of no more use: subscribe again.
    async fn next(&mut self, most: usize, wait: Duration) -> Result<Batch, BrokerError>;

    /// Everything that `next` gave is kept by the caller and need not come again.
    async fn acknowledge(&mut self) -> Result<(), BrokerError>;
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    pub events: Vec<Envelope>,
    /// Where the last of them stands, for brokers whose groups are asked for it.
    pub position: Option<u64>,
    /// How many are known to wait behind these.
    pub behind: Option<u64>,
}

/// What a broker refused or could not do. It is tried again, for ever: nothing is lost, it waits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{broker}: {why}")]
pub struct BrokerError {
    pub broker: &'static str,
    /// The whole chain, for operators.
    pub why: String,
}
