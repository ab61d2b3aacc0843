//! What stands between the domains of a shop.

/// Several shops may share one: each keeps to its own name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Broker {
    /// Only where all domains are in one process.
    #[default]
    InProcess,
    /// A URL, and the name of the stream.
    Nats { server: String, name: String },
    /// A host and a port, and what topics and groups begin with.
    Kafka { server: String, name: String },
}

impl Broker {
    /// Settings, without `EVENTS__`.
    pub(crate) fn settings(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::InProcess => vec![("BROKER", "in-process".into())],
            Self::Nats { server, name } => vec![
                ("BROKER", "nats".into()),
                ("NATS__SERVERS", server.clone()),
                ("NATS__STREAM", name.clone()),
                ("NATS__PREFIX", name.clone()),
            ],
            Self::Kafka { server, name } => vec![
                ("BROKER", "kafka".into()),
                ("KAFKA__SERVERS", server.clone()),
                ("KAFKA__PREFIX", name.clone()),
                ("KAFKA__PARTITIONS", "4".into()),
                // A group's first member waits for half of it.
                ("KAFKA__SESSION_MILLISECONDS", "3000".into()),
            ],
        }
    }
}
