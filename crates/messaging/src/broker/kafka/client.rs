//! What every client of the cluster is told, and what it tells.
use super::error;
use crate::{BrokerError, KafkaSettings, settings::SaslMechanism};
use rdkafka::{
    ClientConfig, ClientContext, Statistics,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, ConsumerContext, Rebalance},
    error::KafkaError,
    types::RDKafkaErrorCode,
};
use std::{
    collections::BTreeMap,
    ops::Deref,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};
use tokio::runtime::Handle;

pub(super) fn configuration(settings: &KafkaSettings) -> ClientConfig {
    let mut config = ClientConfig::new();
    let patience = settings.timeout().as_millis().to_string();
    config
        .set("bootstrap.servers", settings.servers.join(","))
        .set("client.id", &settings.prefix)
        .set("socket.timeout.ms", &patience)
        .set("socket.connection.setup.timeout.ms", &patience)
        // Once it is there again it is found soon.
        .set("reconnect.backoff.max.ms", "2000")
        .set("log.connection.close", "false");
    let mechanism = match settings.sasl.mechanism {
        SaslMechanism::None => None,
        SaslMechanism::Plain => Some("PLAIN"),
        SaslMechanism::ScramSha256 => Some("SCRAM-SHA-256"),
        SaslMechanism::ScramSha512 => Some("SCRAM-SHA-512"),
    };
    let protocol = match (settings.tls.required, mechanism.is_some()) {
        (false, false) => "plaintext",
        (false, true) => "sasl_plaintext",
        (true, false) => "ssl",
        (true, true) => "sasl_ssl",
    };
    config.set("security.protocol", protocol);
    if let Some(mechanism) = mechanism {
        config.set("sasl.mechanism", mechanism).set("sasl.username", &settings.sasl.user);
        config.set("sasl.password", settings.sasl.password.expose());
    }
    if settings.tls.required {
        let mut file = |name: &str, path: &Path| {
            if !path.as_os_str().is_empty() {
                config.set(name, path.to_string_lossy());
            }
        };
        file("ssl.ca.location", &settings.tls.authority);
        file("ssl.certificate.location", &settings.tls.certificate);
        file("ssl.key.location", &settings.tls.key);
    }
    config
}

/// Offsets behind the last that was given, by topic and partition.
pub(super) type Places = BTreeMap<(String, i32), i64>;

/// Hears what a client says of itself.
#[derive(Clone, Default)]
pub(super) struct Watch(Arc<Mutex<Heard>>);

#[derive(Default)]
pub(super) struct Heard {
    last: Option<String>,
    pub(super) is_away: bool,
    pub(super) behind: Option<u64>,
    pub(super) given: Places,
}

impl Watch {
    pub(super) fn heard(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// With what the client complained of last: its errors tell a code, not which server and why.
    pub(super) fn failed(&self, doing: &str, cause: &KafkaError) -> BrokerError {
        match &self.heard().last {
            Some(last) => error(format!("{doing}: {cause}; {last}")),
            None => error(format!("{doing}: {cause}")),
        }
    }
}

impl ClientContext for Watch {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::error!(facility, "{message}");
            }
            RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => tracing::warn!(facility, "{message}"),
            _ => tracing::debug!(facility, "{message}"),
        }
    }
    fn error(&self, error: KafkaError, reason: &str) {
        let mut heard = self.heard();
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
            heard.is_away = true;
        } else {
            heard.last = Some(reason.to_owned());
        }
    }
    fn stats(&self, statistics: Statistics) {
        let partitions = statistics.topics.values().flat_map(|topic| topic.partitions.values());
        // Negative where it is not known: another's.
        let known: Vec<_> = partitions.filter_map(|partition| u64::try_from(partition.consumer_lag).ok()).collect();
        self.heard().behind = (!known.is_empty()).then(|| known.into_iter().sum());
    }
}

impl ConsumerContext for Watch {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(partitions) = rebalance {
            let mut heard = self.heard();
            for gone in partitions.elements() {
                heard.given.remove(&(gone.topic().to_owned(), gone.partition()));
            }
        }
    }
}

/// A client, which says goodbye to its servers when it is dropped: elsewhere, since nobody may wait for that on the
/// runtime's threads.
pub(super) struct Blocking<T: Send + 'static>(Option<T>);

impl<T: Send + 'static> Blocking<T> {
    pub(super) fn new(client: T) -> Self {
        Self(Some(client))
    }
}
impl<T: Send + 'static> Deref for Blocking<T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.0.as_ref().expect("it is there until it is dropped")
    }
}
impl<T: Send + 'static> Drop for Blocking<T> {
    fn drop(&mut self) {
        let client = self.0.take();
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || drop(client))),
            Err(_) => drop(thread::spawn(move || drop(client))),
        }
    }
}

/// Waits on a thread that may.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BrokerError> + Send + 'static,
) -> Result<T, BrokerError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|why| Err(error(format!("a thread ended: {why}"))))
}
