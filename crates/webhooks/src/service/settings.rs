//! `[webhooks]`, as the shop's file says it.
use crate::domain::{schedule::Schedule, vault::Vault};
use kernel::Secret;
use outward::{Limits, Network, Networks};
use serde::{Deserialize, Deserializer, Serialize, de};
use std::{fmt::Display, str::FromStr, time::Duration};

/// How webhooks behaves.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Endpoints may be `http://`.
    pub allow_http: bool,
    /// Networks that are not public and may be connected to all the same.
    #[serde(deserialize_with = "listed")]
    pub allow_networks: Vec<Network>,
    /// 32 bytes in base64 each: the first seals the secrets of endpoints, any of them opens.
    #[serde(deserialize_with = "secrets")]
    pub secret_keys: Vec<Secret>,
    /// What a try may take, and its connection of that.
    pub timeout_seconds: u64,
    pub connect_seconds: u64,
    /// Tries at one endpoint at once, of each process.
    pub per_endpoint: usize,
    /// Waits between tries.
    #[serde(deserialize_with = "listed")]
    pub retry_seconds: Vec<u64>,
    /// An endpoint that fails for so long and so often in a row is paused.
    pub pause_hours: u64,
    pub pause_failures: i64,
    pub journal_days: u64,
    pub delivery_days: u64,
    /// Streams of events at once, of each process.
    pub streams: usize,
    /// Between two signs of life on a stream that has nothing to tell.
    pub heartbeat_seconds: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            allow_http: false,
            allow_networks: Vec::new(),
            secret_keys: Vec::new(),
            timeout_seconds: 10,
            connect_seconds: 5,
            per_endpoint: 4,
            retry_seconds: vec![5, 300, 1800, 7200, 18_000, 36_000, 36_000],
            pause_hours: 72,
            pause_failures: 10,
            journal_days: 7,
            delivery_days: 30,
            streams: 64,
            heartbeat_seconds: 15,
        }
    }
}

const DAY: Duration = Duration::from_secs(24 * 3600);

impl Settings {
    /// What is wrong with them, a sentence each.
    pub fn problems(&self) -> Vec<String> {
        let within = |name: &str, value: u64, least: u64, most: u64| {
            (!(least..=most).contains(&value)).then(|| format!("webhooks.{name}: {least} to {most}"))
        };
        let mut all: Vec<String> = [
            within("timeout_seconds", self.timeout_seconds, 1, 60),
            within("connect_seconds", self.connect_seconds, 1, self.timeout_seconds.max(1)),
            within("per_endpoint", self.per_endpoint as u64, 1, 32),
            within("pause_hours", self.pause_hours, 0, 720),
            within("pause_failures", u64::try_from(self.pause_failures).unwrap_or(0), 1, 1000),
            within("journal_days", self.journal_days, 1, 365),
            within("streams", self.streams as u64, 1, 10_000),
            within("heartbeat_seconds", self.heartbeat_seconds, 1, 50),
        ]
        .into_iter()
        .flatten()
        .collect();
        if self.delivery_days < self.journal_days || self.delivery_days > 365 {
            all.push(format!(
                "webhooks.delivery_days: webhooks.journal_days ({}) to 365: what the journal has is still delivered",
                self.journal_days
            ));
        }
        let month = 30 * DAY.as_secs();
        if self.retry_seconds.len() > 32 || self.retry_seconds.iter().any(|wait| *wait == 0 || *wait > month) {
            all.push(format!("webhooks.retry_seconds: 32 waits at most, of 1 to {month} seconds"));
        }
        if Vault::new(&self.secret_keys).is_none() {
            all.push(
                "webhooks.secret_keys: a key is 32 bytes in base64, such as `openssl rand -base64 32` gives".into(),
            );
        }
        all
    }

    pub(super) fn limits(&self) -> Limits {
        Limits {
            time: self.timeout(),
            connect: Duration::from_secs(self.connect_seconds),
            idle: self.per_endpoint,
            plaintext: self.allow_http,
            networks: Networks(self.allow_networks.clone()),
        }
    }
    pub(super) fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds)
    }
    pub(super) fn schedule(&self) -> Schedule {
        Schedule(self.retry_seconds.iter().map(|seconds| Duration::from_secs(*seconds)).collect())
    }
    pub(super) fn pause_after(&self) -> Duration {
        Duration::from_secs(self.pause_hours * 3600)
    }
    pub(super) fn keep_journal(&self) -> Duration {
        DAY * u32::try_from(self.journal_days).unwrap_or(365)
    }
    pub(super) fn keep_deliveries(&self) -> Duration {
        DAY * u32::try_from(self.delivery_days).unwrap_or(365)
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Written<T> {
    /// A variable of the environment is one text.
    Text(String),
    List(Vec<T>),
}

fn listed<'de, D: Deserializer<'de>, T: Deserialize<'de> + FromStr<Err: Display>>(d: D) -> Result<Vec<T>, D::Error> {
    match Written::deserialize(d)? {
        Written::Text(text) => parts(&text).map(|part| part.parse().map_err(de::Error::custom)).collect(),
        Written::List(list) => Ok(list),
    }
}
fn secrets<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<Secret>, D::Error> {
    Ok(match Written::deserialize(d)? {
        Written::Text(text) => parts(&text).map(Secret::from).collect(),
        Written::List(list) => list,
    })
}
fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_is_told_by_its_name() {
        assert_eq!(Settings::default().problems(), [""; 0]);
        let wrong = Settings {
            timeout_seconds: 0,
            connect_seconds: 20,
            per_endpoint: 0,
            retry_seconds: vec![0],
            pause_hours: 9999,
            pause_failures: 0,
            journal_days: 0,
            delivery_days: 400,
            streams: 0,
            heartbeat_seconds: 100,
            secret_keys: vec!["short".into()],
            ..Settings::default()
        };
        let told = wrong.problems();
        assert_eq!(told.len(), 11, "{told:#?}");
        assert!(!told.concat().contains("short"));
        let fewer = Settings { delivery_days: 6, ..Settings::default() };
        assert!(fewer.problems()[0].starts_with("webhooks.delivery_days"));
    }

    #[test]
    fn lists_may_be_texts_with_commas() {
        let json =
            serde_json::json!({ "allow_networks": "127.0.0.0/8, ::1", "retry_seconds": "1,2", "secret_keys": "a,b" });
        let settings: Settings = serde_json::from_value(json).unwrap();
        assert_eq!(
            (settings.allow_networks.len(), settings.retry_seconds, settings.secret_keys.len()),
            (2, vec![1, 2], 2)
        );
        assert!(serde_json::from_value::<Settings>(serde_json::json!({ "allow_networks": ["x"] })).is_err());
    }
}
