//! What staff should look at.
use kernel::Time;
use serde_json::Value;
use uuid::Uuid;
use webhooks_api::NoticeId;

/// Kinds of events that staff is told of.
pub(crate) const NOTICED: [&str; 2] = ["stock.low", "order.payment_late"];

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Notice {
    pub id: NoticeId,
    /// The kind of the event that it is about.
    pub about: String,
    /// What the event happened to.
    pub subject: String,
    /// The event's, the latest where it happened several times.
    pub data: Value,
    pub times: i64,
    pub created_at: Time,
    pub updated_at: Time,
    pub acknowledged: Option<Acknowledged>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Acknowledged {
    pub at: Time,
    pub by: Uuid,
}
