//! HTTP with Stripe: what an answer, or none, says about what was done.
use super::{
    objects::{Problem, Told},
    settings::StripeSettings,
};
use kernel::{Failure, Secret};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;
use std::time::Duration;

/// What the objects here were read from.
const VERSION: &str = "2024-06-20";
const MAX_ANSWER: usize = 1 << 20;

pub(super) type Form = Vec<(String, String)>;

pub(super) struct Client {
    http: reqwest::Client,
    base: String,
    key: Secret,
}

pub(super) enum Answer<T> {
    Is(T),
    Refused {
        status: u16,
        told: Told,
    },
    /// Stripe failed: it may have been done or not. `replayed`: the key is spent, it only brings the same answer back.
    Failed {
        replayed: bool,
    },
}

impl Client {
    pub(super) fn new(settings: &StripeSettings) -> Result<Self, String> {
        let http = outward::client()?
            .timeout(Duration::from_secs(settings.timeout_seconds.clamp(1, 60).into()))
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { http, base: settings.base_url.trim_end_matches('/').to_owned(), key: settings.secret_key.clone() })
    }
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str, query: &Form) -> Result<Answer<T>, Failure> {
        let query =
            reqwest::Url::parse_with_params(&[&self.base, path].concat(), query).map_err(|_| Failure::UNAVAILABLE)?;
        // nothing is done by asking
        self.send(self.http.request(Method::GET, query)).await.map_err(|_| Failure::UNAVAILABLE)
    }
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        form: &Form,
        key: Option<&str>,
    ) -> Result<Answer<T>, Failure> {
        let request = self.http.request(Method::POST, [&self.base, path].concat()).form(form);
        self.send(key.into_iter().fold(request, |request, key| request.header("idempotency-key", key))).await
    }
    async fn send<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<Answer<T>, Failure> {
        let request = request.bearer_auth(self.key.expose()).header("stripe-version", VERSION);
        let mut answer = request.send().await.map_err(|error| match error.is_connect() {
            true => Failure::UNAVAILABLE,
            false => Failure::Unknown,
        })?;
        let status = answer.status();
        let replayed = answer.headers().get("idempotent-replayed").is_some_and(|value| value == "true");
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|_| Failure::Unknown)? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(Failure::Unknown);
            }
            body.extend_from_slice(&chunk);
        }
        let told = || serde_json::from_slice::<Problem>(&body).map(|problem| problem.error).unwrap_or_default();
        match status {
            status if status.is_success() => {
                serde_json::from_slice(&body).map(Answer::Is).map_err(|_| Failure::Unknown)
            }
            status if status.is_server_error() => Ok(Answer::Failed { replayed }),
            StatusCode::CONFLICT => Err(Failure::Unknown),
            // another request holds the payment; said with 429, and with 400 before
            _ if told().code.as_deref() == Some("lock_timeout") => Err(Failure::Unknown),
            // the key was used for the same wish when the payment, or the settings, stood otherwise: it is spent
            _ if told().r#type == "idempotency_error" => Ok(Answer::Failed { replayed: true }),
            StatusCode::TOO_MANY_REQUESTS => Err(Failure::UNAVAILABLE),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                tracing::error!(status = status.as_u16(), "Stripe does not accept payments.stripe.secret_key");
                Err(Failure::UNAVAILABLE)
            }
            status if status.is_client_error() => Ok(Answer::Refused { status: status.as_u16(), told: told() }),
            _ => Err(Failure::Unknown),
        }
    }
}
