//! What any process needs to serve modules: settings, logs, metrics, who may be believed, and the listeners.
//!
//! It knows modules as tables of routes, never a domain; `app` decides which of them there are.
mod docs;
mod grpc;
mod keys;
mod server;
mod settings;
mod telemetry;

pub use grpc::{Grpc, GrpcSettings, Neighbour, keep_reading};
pub use keys::KeyRing;
pub use server::{HttpSettings, Server, StartError};
pub use settings::{Masked, Problems, Source, Tree};
pub use telemetry::{LogFormat, LogSettings, Metrics, start_logs, start_metrics};
