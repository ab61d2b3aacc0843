//! Deliveries: an event on its way to an endpoint.
use kernel::{Id, Kind, Time};
use messaging::EventId;
use std::str::FromStr;
use webhooks_api::WebhookEndpointId;

/// An event on its way to an endpoint.
#[derive(Debug)]
pub(crate) enum Sent {}
impl Kind for Sent {
    const PREFIX: &'static str = "whdl";
}
pub(crate) type DeliveryId = Id<Sent>;

/// What staff sends to see whether an endpoint hears. No domain tells it.
pub(crate) const TEST: &str = "webhook.test";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub id: DeliveryId,
    pub endpoint: WebhookEndpointId,
    pub event: EventId,
    pub kind: String,
    pub status: Status,
    pub attempts: i64,
    /// How often staff asked for it again.
    pub redelivered: i64,
    /// When it is tried next.
    pub next_attempt_at: Option<Time>,
    pub created_at: Time,
    pub finished_at: Option<Time>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// It is tried until it is delivered or has failed.
    Pending,
    /// Its endpoint is paused; it goes out when that is enabled again.
    Held,
    Delivered,
    /// Not tried any more.
    Failed,
}

impl Status {
    const ALL: [Self; 4] = [Self::Pending, Self::Held, Self::Delivered, Self::Failed];
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Held => "held",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }
}
impl FromStr for Status {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|one| one.as_str() == text).ok_or("pending, held, delivered or failed")
    }
}

/// One try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub number: i64,
    pub at: Time,
    pub latency_ms: i64,
    pub outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// With the status, and the first of what came with it.
    Answered { status: i64, answer: String },
    /// Why there was no answer.
    Unanswered(String),
}

impl Outcome {
    pub(crate) fn is_success(&self) -> bool {
        matches!(self, Self::Answered { status: 200..=299, .. })
    }
    /// The endpoint says that it wants nothing any more.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self, Self::Answered { status: 410, .. })
    }
}

/// A delivery with all of its tries, the latest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Logged {
    pub delivery: Delivery,
    pub body: String,
    pub attempts: Vec<Attempt>,
}
