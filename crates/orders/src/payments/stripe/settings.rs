//! What a shop says of its Stripe account. Its secrets are read, and never shown.
use kernel::Secret;
use serde::{Deserialize, Deserializer, Serialize};
use std::net::IpAddr;

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct StripeSettings {
    pub secret_key: Secret,
    /// Any of them may have signed an event: two while one takes the place of the other. A list, or a text with commas.
    #[serde(deserialize_with = "listed")]
    pub webhook_secrets: Vec<Secret>,
    pub base_url: String,
    /// How far an event's time may be from now, either way.
    pub tolerance_seconds: u32,
    pub timeout_seconds: u32,
    /// The account may capture a payment several times: the rest stays secured until the last.
    pub multicapture: bool,
}

impl Default for StripeSettings {
    fn default() -> Self {
        Self {
            secret_key: Secret::default(),
            webhook_secrets: Vec::new(),
            base_url: "https://api.stripe.com".into(),
            tolerance_seconds: 300,
            timeout_seconds: 8,
            multicapture: false,
        }
    }
}

/// A variable of the environment is one text.
fn listed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Secret>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Text(String),
        List(Vec<Secret>),
    }
    Ok(match Written::deserialize(deserializer)? {
        Written::Text(text) => text.split(',').map(Secret::from).filter(|secret| !secret.is_empty()).collect(),
        Written::List(list) => list,
    })
}

impl StripeSettings {
    /// What is wrong with them, a sentence each; without the secrets.
    pub(crate) fn problems(&self) -> Vec<String> {
        let empty = self.webhook_secrets.is_empty() || self.webhook_secrets.iter().any(|secret| secret.is_empty());
        let told = [
            (self.secret_key.is_empty(), "secret_key: Stripe needs the account's secret key"),
            (
                !self.secret_key.expose().bytes().all(|b| b.is_ascii_graphic()),
                "secret_key: not a key: it has other characters",
            ),
            (empty, "webhook_secrets: name the signing secret of the webhook endpoint"),
            (!safe(&self.base_url), "base_url: an https:// address without a path, or http:// of this machine"),
            (!(1..=3600).contains(&self.tolerance_seconds), "tolerance_seconds: between 1 and 3600"),
            (!(1..=60).contains(&self.timeout_seconds), "timeout_seconds: between 1 and 60"),
        ];
        told.into_iter().filter(|(wrong, _)| *wrong).map(|(_, said)| format!("payments.stripe.{said}")).collect()
    }
}

/// The key goes there with every request: only encrypted, or not off this machine.
fn safe(base: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(base) else { return false };
    let host = url.host_str().unwrap_or_default();
    let here = host == "localhost"
        || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    let plain = url.path() == "/" && url.query().is_none() && url.username().is_empty() && url.password().is_none();
    plain && (url.scheme() == "https" || url.scheme() == "http" && here)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> StripeSettings {
        StripeSettings {
            secret_key: "sk_test_hidden".into(),
            webhook_secrets: vec!["whsec_hidden".into()],
            ..Default::default()
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        assert!(!format!("{:?}", good()).contains("hidden"));
        let shown = serde_json::to_string(&good()).unwrap();
        assert!(!shown.contains("hidden") && shown.contains("***"), "{shown}");
    }

    #[test]
    fn what_is_wrong_is_told() {
        assert_eq!(good().problems(), Vec::<String>::new());
        assert_eq!(StripeSettings::default().problems().len(), 2);
        for base in
            ["http://api.stripe.com", "https://user:pass@api.stripe.com", "nothing", "http://127.0.0.1.evil.example"]
        {
            assert_eq!(StripeSettings { base_url: base.into(), ..good() }.problems().len(), 1, "{base}");
        }
        for base in ["http://127.0.0.1:4000", "http://[::1]:4000", "http://localhost:1", "https://stripe.example"] {
            assert_eq!(StripeSettings { base_url: base.into(), ..good() }.problems(), Vec::<String>::new(), "{base}");
        }
    }

    #[test]
    fn secrets_of_the_environment_stand_in_one_text() {
        let read: StripeSettings = serde_json::from_str(r#"{"webhook_secrets":"one, two"}"#).unwrap();
        assert_eq!(read.webhook_secrets, vec![Secret::from("one"), Secret::from("two")]);
    }
}
