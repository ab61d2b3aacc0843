//! What others may hear from webhooks. Nobody asks it anything.
use kernel::{Id, Kind};

/// Somebody's address that events are sent to.
#[derive(Debug)]
pub enum WebhookEndpoint {}
impl Kind for WebhookEndpoint {
    const PREFIX: &'static str = "whep";
}
pub type WebhookEndpointId = Id<WebhookEndpoint>;

/// Something that staff should look at.
#[derive(Debug)]
pub enum Notice {}
impl Kind for Notice {
    const PREFIX: &'static str = "notice";
}
pub type NoticeId = Id<Notice>;

kernel::events! {
    /// Told of webhook endpoints and of notices. Where an endpoint is, and its secret, are not told.
    pub enum WebhookEvent of "webhooks" {
        /// An endpoint was added.
        "webhook_endpoint.created" 1 => Created of endpoint_id: WebhookEndpointId { events: Vec<String> },
        /// Its address, its patterns or its description are others.
        "webhook_endpoint.updated" 1 => Updated of endpoint_id: WebhookEndpointId { events: Vec<String> },
        /// It has a new secret; the old one signs beside it for a while.
        "webhook_endpoint.secret_rotated" 1 => SecretRotated of endpoint_id: WebhookEndpointId {},
        /// Nothing is sent to it until it is enabled again: staff asked for that (`asked`), it said that it is gone
        /// (`gone`), or it failed for too long (`failing`).
        "webhook_endpoint.paused" 1 => Paused of endpoint_id: WebhookEndpointId { reason: String },
        /// What was held for it goes out.
        "webhook_endpoint.enabled" 1 => Enabled of endpoint_id: WebhookEndpointId {},
        /// It is gone, and what was not delivered yet with it.
        "webhook_endpoint.deleted" 1 => Deleted of endpoint_id: WebhookEndpointId {},
        /// There is something for staff to look at.
        "notice.opened" 1 => NoticeOpened of notice_id: NoticeId {
            /// The kind of event that it is about.
            about: String,
            /// The TypeID of what it is about.
            subject: String
        },
        /// Somebody has looked at it.
        "notice.acknowledged" 1 => NoticeAcknowledged of notice_id: NoticeId {},
    }
}
