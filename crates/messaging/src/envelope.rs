//! An event as it travels: CloudEvents 1.0 in its JSON format.
use kernel::{Id, Kind, Time, Trace};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Something that happened.
#[derive(Debug)]
pub enum Happening {}
impl Kind for Happening {
    const PREFIX: &'static str = "evt";
}
pub type EventId = Id<Happening>;

/// Every member is always there, and every one beyond these is left alone: who writes a newer version may add some.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    pub specversion: SpecVersion,
    /// The same each time it is delivered.
    pub id: EventId,
    /// Whose event it is: a slash and the domain, such as `/orders`.
    pub source: String,
    /// Such as `order.placed`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The TypeID of the aggregate that it happened to; events of one subject are delivered in their order.
    pub subject: String,
    pub time: Time,
    pub datacontenttype: MediaType,
    /// Where the form of `data` is described, its version included: a place in the AsyncAPI document.
    pub dataschema: String,
    /// W3C trace context: the request or the work that it happened in.
    pub traceparent: String,
    pub data: Value,
}

impl Envelope {
    /// The domain that told it.
    pub fn domain(&self) -> &str {
        self.source.trim_start_matches('/')
    }
    /// What it was caused by, for what it causes; a trace of nobody where that cannot be read.
    pub fn trace(&self) -> Trace {
        let trace = self.traceparent.split('-').nth(1).and_then(|hex| u128::from_str_radix(hex, 16).ok());
        Trace(trace.unwrap_or_default())
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SpecVersion {
    #[default]
    #[serde(rename = "1.0")]
    V1,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum MediaType {
    #[default]
    #[serde(rename = "application/json")]
    Json,
}
