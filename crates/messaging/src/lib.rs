//! Events from a domain's outbox to whoever listens.
//!
//! A relay takes what an outbox has not told yet to a broker; a consumer keeps what the broker brings in its domain's
//! inbox and handles it there, in a transaction that also says so. Delivery is at least once, effects are once, and
//! events of one subject keep their order. Nothing here knows a domain.
mod broker;
mod consumer;
mod envelope;
mod listener;
mod pace;
mod partitions;
mod relay;
mod settings;

pub use broker::{Batch, Broker, BrokerError, Group, Heard, Subscription, in_process::InProcess};
pub use consumer::Consumer;
pub use envelope::{Envelope, EventId, MediaType, SpecVersion};
pub use listener::{Listener, NotHandled};
pub use pace::Pace;
pub use relay::{Relay, envelope};
pub use settings::{KafkaSettings, NatsSettings, SaslMechanism, SaslSettings, TlsSettings, open_kafka, open_nats};
