//! What a shop says of the broker that stands outside of it. Secrets are read, and never shown.
use crate::{
    Broker, BrokerError,
    broker::{kafka::Kafka, nats::Nats},
};
use kernel::Secret;
use serde::{Deserialize, Deserializer, Serialize};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// `events.nats`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct NatsSettings {
    /// `nats://host:4222`, or `tls://` to speak in no other way; any of a cluster. A list, or a text with commas.
    #[serde(deserialize_with = "listed")]
    pub servers: Vec<String>,
    pub stream: String,
    /// What every subject begins with, and the names of consumers.
    pub prefix: String,
    pub user: String,
    pub password: Secret,
    pub token: Secret,
    /// A file with a user's JWT and seed.
    pub credentials: PathBuf,
    pub tls: TlsSettings,
    /// Of a stream that is not there yet: how long it keeps an event, on how many servers, and for how long it knows
    /// that it has one already.
    pub keep_hours: u32,
    pub replicas: u8,
    pub duplicate_seconds: u32,
    /// How long an answer may take.
    pub timeout_seconds: u32,
}

/// `events.kafka`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct KafkaSettings {
    /// `host:9092`; any of a cluster. A list, or a text with commas.
    #[serde(deserialize_with = "listed")]
    pub servers: Vec<String>,
    /// What every topic begins with, and the names of groups.
    pub prefix: String,
    pub sasl: SaslSettings,
    pub tls: TlsSettings,
    /// Of topics that are not there yet. No replication: as many as the cluster is set to.
    pub partitions: u16,
    pub replication: u8,
    pub keep_hours: u32,
    /// How long a process may be silent before its partitions are another's.
    pub session_milliseconds: u32,
    /// How long an answer may take.
    pub timeout_seconds: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct SaslSettings {
    pub mechanism: SaslMechanism,
    pub user: String,
    pub password: Secret,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub enum SaslMechanism {
    #[default]
    #[serde(rename = "")]
    None,
    #[serde(rename = "PLAIN")]
    Plain,
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
}

/// PEM files; what is empty is not used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsSettings {
    /// Nothing is said in clear.
    pub required: bool,
    /// Who may have signed the server's certificate; those whom the machine trusts when empty.
    pub authority: PathBuf,
    /// Our own, for servers that ask for one.
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Default for NatsSettings {
    fn default() -> Self {
        Self {
            servers: vec!["nats://127.0.0.1:4222".into()],
            stream: "CLEAVE".into(),
            prefix: "cleave".into(),
            user: String::new(),
            password: Secret::default(),
            token: Secret::default(),
            credentials: PathBuf::new(),
            tls: TlsSettings::default(),
            keep_hours: 168,
            replicas: 1,
            duplicate_seconds: 120,
            timeout_seconds: 5,
        }
    }
}

impl Default for KafkaSettings {
    fn default() -> Self {
        Self {
            servers: vec!["127.0.0.1:9092".into()],
            prefix: "cleave".into(),
            sasl: SaslSettings::default(),
            tls: TlsSettings::default(),
            partitions: 12,
            replication: 0,
            keep_hours: 168,
            session_milliseconds: 6000,
            timeout_seconds: 10,
        }
    }
}

impl NatsSettings {
    /// What is wrong with them, a sentence each; without the secrets.
    pub fn problems(&self) -> Vec<String> {
        let ways = [!self.user.is_empty(), !self.token.is_empty(), !self.credentials.as_os_str().is_empty()];
        let told = [
            (
                self.servers.is_empty() || !self.servers.iter().all(|server| is_nats(server)),
                "servers: addresses such as nats://host:4222 or tls://host:4222; who we are is said apart from them",
            ),
            (!is_word(&self.stream), "stream: letters, digits, - and _"),
            (!is_word(&self.prefix), "prefix: letters, digits, - and _"),
            (ways.into_iter().filter(|way| *way).count() > 1, "user, token, credentials: one of them"),
            (self.user.is_empty() != self.password.is_empty(), "user, password: both or neither"),
            (!(1..=87_600).contains(&self.keep_hours), "keep_hours: between 1 and 87600"),
            (!(1..=5).contains(&self.replicas), "replicas: between 1 and 5"),
            (!(1..=3600).contains(&self.duplicate_seconds), "duplicate_seconds: between 1 and 3600"),
            (!(1..=60).contains(&self.timeout_seconds), "timeout_seconds: between 1 and 60"),
        ];
        let told = told.into_iter().filter(|(wrong, _)| *wrong).map(|(_, said)| said.to_owned());
        told.chain(self.tls.problems()).map(|said| format!("events.nats.{said}")).collect()
    }
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds.into())
    }
}

impl KafkaSettings {
    /// What is wrong with them, a sentence each; without the secrets.
    pub fn problems(&self) -> Vec<String> {
        let sasl = self.sasl.mechanism != SaslMechanism::None;
        let named = !self.sasl.user.is_empty() && !self.sasl.password.is_empty();
        let told = [
            (
                self.servers.is_empty() || !self.servers.iter().all(|server| is_host_and_port(server)),
                "servers: addresses such as host:9092",
            ),
            (!is_word(&self.prefix), "prefix: letters, digits, - and _"),
            (sasl && !named, "sasl: a user and a password"),
            (
                !sasl && (!self.sasl.user.is_empty() || !self.sasl.password.is_empty()),
                "sasl.mechanism: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512",
            ),
            (
                !self.tls.required && (self.tls.is_named()),
                "tls.required: files are named, and nothing would be encrypted",
            ),
            (
                self.sasl.mechanism == SaslMechanism::Plain && !self.tls.required && !self.stays_here(),
                "sasl.mechanism: PLAIN sends the password as it is: set tls.required",
            ),
            (!(1..=1000).contains(&self.partitions), "partitions: between 1 and 1000"),
            (self.replication > 9, "replication: at most 9, or 0 for what the cluster is set to"),
            (!(1..=87_600).contains(&self.keep_hours), "keep_hours: between 1 and 87600"),
            (
                !(1000..=1_800_000).contains(&self.session_milliseconds),
                "session_milliseconds: between 1000 and 1800000",
            ),
            (!(2..=60).contains(&self.timeout_seconds), "timeout_seconds: between 2 and 60"),
        ];
        let told = told.into_iter().filter(|(wrong, _)| *wrong).map(|(_, said)| said.to_owned());
        told.chain(self.tls.problems()).map(|said| format!("events.kafka.{said}")).collect()
    }
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds.into())
    }
    fn stays_here(&self) -> bool {
        self.servers.iter().all(|server| ["127.0.0.1:", "localhost:", "[::1]:"].iter().any(|h| server.starts_with(h)))
    }
}

impl TlsSettings {
    fn is_named(&self) -> bool {
        [&self.authority, &self.certificate, &self.key].iter().any(|path| !path.as_os_str().is_empty())
    }
    fn problems(&self) -> Vec<String> {
        let alone = self.certificate.as_os_str().is_empty() != self.key.as_os_str().is_empty();
        let alone = alone.then(|| "tls.certificate, tls.key: both or neither".to_owned());
        let files = [("authority", &self.authority), ("certificate", &self.certificate), ("key", &self.key)];
        let files = files.into_iter().filter_map(|(name, path)| Some(format!("tls.{name}: {}", unreadable(path)?)));
        alone.into_iter().chain(files).collect()
    }
}

/// What is wrong with a PEM file; nothing where none is named.
fn unreadable(path: &Path) -> Option<String> {
    if path.as_os_str().is_empty() {
        return None;
    }
    match fs::read_to_string(path) {
        Ok(text) if text.contains("-----BEGIN ") => None,
        Ok(_) => Some(format!("{} is not a PEM file", path.display())),
        Err(error) => Some(format!("cannot read {}: {error}", path.display())),
    }
}

/// A variable of the environment is one text.
fn listed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Text(String),
        List(Vec<String>),
    }
    Ok(match Written::deserialize(deserializer)? {
        Written::Text(text) => text.split(',').map(|one| one.trim().to_owned()).filter(|one| !one.is_empty()).collect(),
        Written::List(list) => list,
    })
}

fn is_word(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=64).contains(&text.len()) && text.bytes().all(plain)
}

/// Without a user or a password: addresses are shown and logged.
fn is_nats(server: &str) -> bool {
    let host = server.strip_prefix("nats://").or_else(|| server.strip_prefix("tls://"));
    host.is_some_and(|host| is_host_and_port(host) || is_host(host))
}

fn is_host_and_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| is_host(host) && port.parse::<u16>().is_ok_and(|port| port > 0))
}

fn is_host(text: &str) -> bool {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    match bare {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_')),
    }
}

/// It need not be there: it is looked for until it answers, and meanwhile everything says that it is away. An error is
/// of settings that cannot become right by waiting.
pub async fn open_nats(settings: &NatsSettings) -> Result<Arc<dyn Broker>, BrokerError> {
    refuse(crate::broker::nats::NAME, settings.problems())?;
    Ok(Arc::new(Nats::open(settings).await?))
}

/// As [`open_nats`].
pub async fn open_kafka(settings: &KafkaSettings) -> Result<Arc<dyn Broker>, BrokerError> {
    refuse(crate::broker::kafka::NAME, settings.problems())?;
    Ok(Arc::new(Kafka::open(settings)?))
}

fn refuse(broker: &'static str, problems: Vec<String>) -> Result<(), BrokerError> {
    if problems.is_empty() { Ok(()) } else { Err(BrokerError { broker, why: problems.join("; ") }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_good_and_nothing_else_is_known() {
        assert_eq!(NatsSettings::default().problems(), Vec::<String>::new());
        assert_eq!(KafkaSettings::default().problems(), Vec::<String>::new());
        assert!(serde_json::from_str::<NatsSettings>(r#"{"server":"nats://x:1"}"#).is_err());
        assert!(serde_json::from_str::<KafkaSettings>(r#"{"sasl":{"mechanism":"GSSAPI"}}"#).is_err());
    }

    #[test]
    fn secrets_are_not_shown() {
        let nats = NatsSettings { password: "hidden".into(), token: "hidden".into(), ..Default::default() };
        let sasl = SaslSettings { password: "hidden".into(), ..Default::default() };
        let kafka = KafkaSettings { sasl, ..Default::default() };
        for shown in [format!("{nats:?}{kafka:?}"), serde_json::to_string(&(&nats, &kafka)).unwrap()] {
            assert!(!shown.contains("hidden") && shown.contains("***"), "{shown}");
        }
    }

    #[test]
    fn addresses_carry_no_secret() {
        let wrong = ["nats://user:hidden@host:4222", "http://host:4222", "host:4222", "nats://", "nats://host:0", ""];
        for server in wrong {
            let settings = NatsSettings { servers: vec![server.into()], ..Default::default() };
            let problems = settings.problems();
            assert!(problems.len() == 1 && !problems[0].contains("hidden"), "{server}: {problems:?}");
        }
        for server in ["nats://host", "tls://nats.example:4222", "nats://[::1]:4222", "nats://127.0.0.1:4222"] {
            let settings = NatsSettings { servers: vec![server.into()], ..Default::default() };
            assert_eq!(settings.problems(), Vec::<String>::new(), "{server}");
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        let nats = NatsSettings {
            user: "shop".into(),
            token: "x".into(),
            tls: TlsSettings { authority: "/nowhere/ca.pem".into(), key: "/nowhere/key".into(), ..Default::default() },
            ..Default::default()
        };
        // Two ways to say who we are; no password; a key without a certificate; two files.
        assert_eq!(nats.problems().len(), 5, "{:?}", nats.problems());
        let plain = SaslSettings { mechanism: SaslMechanism::Plain, user: "u".into(), password: "p".into() };
        let kafka = KafkaSettings { sasl: plain, servers: vec!["kafka.example:9092".into()], ..Default::default() };
        assert_eq!(kafka.problems().len(), 1, "{:?}", kafka.problems());
        let kafka = KafkaSettings { servers: vec!["localhost:9092".into()], ..kafka };
        assert_eq!(kafka.problems(), Vec::<String>::new());
    }

    #[test]
    fn servers_of_the_environment_stand_in_one_text() {
        let read: KafkaSettings = serde_json::from_str(r#"{"servers":"one:9092, two:9092"}"#).unwrap();
        assert_eq!(read.servers, ["one:9092", "two:9092"]);
    }
}
