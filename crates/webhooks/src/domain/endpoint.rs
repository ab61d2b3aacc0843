//! Endpoints: addresses that events are sent to.
use super::{pattern::Pattern, secret::SigningSecret};
use kernel::Time;
use outward::Target;
use webhooks_api::WebhookEndpointId;

/// How many a shop has at most. Each has places of its own in the pool of tries, so the pool is as large as they need.
pub(crate) const MAX_ENDPOINTS: usize = 100;
pub(crate) const MAX_PATTERNS: usize = 50;
/// Hours that an old secret may sign beside a new one.
pub(crate) const MAX_OVERLAP: i64 = 168;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub id: WebhookEndpointId,
    pub url: String,
    pub description: Option<String>,
    /// Sorted, each once.
    pub patterns: Vec<Pattern>,
    pub paused: Option<Paused>,
    /// Until when the secret before this one signs as well.
    pub old_secret_until: Option<Time>,
    /// Tries in vain since the last that was not.
    pub failures: i64,
    pub failing_since: Option<Time>,
    pub version: i64,
    pub created_at: Time,
    pub updated_at: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Paused {
    pub at: Time,
    pub reason: Reason,
}

/// Why nothing is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Staff said so.
    Asked,
    /// It answered 410.
    Gone,
    /// It failed for too long.
    Failing,
}

impl Reason {
    pub(crate) const ALL: [Self; 3] = [Self::Asked, Self::Gone, Self::Failing];
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Gone => "gone",
            Self::Failing => "failing",
        }
    }
}

/// What somebody says of a new endpoint.
#[derive(Clone, Debug)]
pub(crate) struct NewEndpoint {
    pub url: Target,
    pub description: Option<String>,
    pub patterns: Vec<Pattern>,
}

/// What changes of one; `None` stays.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    pub url: Option<Target>,
    pub description: Option<Option<String>>,
    pub patterns: Option<Vec<Pattern>>,
    pub paused: Option<bool>,
}

/// An endpoint and its new secret, which nobody sees again.
#[derive(Clone, Debug)]
pub(crate) struct WithSecret {
    pub endpoint: Endpoint,
    pub secret: SigningSecret,
}
