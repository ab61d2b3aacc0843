//! The shop's public HTTP API, as an outside client meets it.
//!
//! An answer that says "later" (429, 503) is asked again after `Retry-After`, a bounded number of times; POSTs carry
//! an Idempotency-Key, so asking again cannot do a thing twice. Any other answer that was not expected is an error
//! that shows it.
use crate::error::{Context, Result};
use reqwest::{Client, Method, RequestBuilder, StatusCode, Url, header};
use serde_json::{Value, json};
use std::{
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{fs::File, time::sleep};

const REQUEST: Duration = Duration::from_secs(60);
const UPLOAD: Duration = Duration::from_secs(300);
const RETRIES: u32 = 60;
const LONGEST_PAUSE: u64 = 10;
const PAGE: &str = "100";

pub(super) struct Api {
    http: Client,
    base: String,
    email: String,
    password: String,
    /// Lives for minutes; a longer run signs in again.
    token: Mutex<String>,
    retries: AtomicU64,
}

impl Api {
    pub(super) async fn sign_in(base: &str, email: &str, password: &str) -> Result<Self> {
        let http = Client::builder().timeout(REQUEST).build().context("cannot make an HTTP client")?;
        let api = Self {
            http,
            base: base.trim_end_matches('/').into(),
            email: email.into(),
            password: password.into(),
            token: Mutex::default(),
            retries: AtomicU64::new(0),
        };
        api.renew().await?;
        Ok(api)
    }

    async fn renew(&self) -> Result<()> {
        let body = json!({ "email": self.email, "password": self.password });
        let answer = self.persist(|| Ok(self.request(Method::POST, "/v1/sessions")?.json(&body)), "sign-in").await?;
        let token = text(&answer.expect(&[201])?, "/access_token")?.to_owned();
        *self.token.lock().expect("nobody panics with the token") = token;
        Ok(())
    }

    pub(super) fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }

    /// As staff.
    pub(super) async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value> {
        let make = || self.staff(Method::GET, path, query);
        self.signed_in(&make, path).await?.expect(&[200])
    }

    /// As staff; the key makes a second attempt harmless.
    pub(super) async fn post(&self, path: &str, key: &str, body: &Value) -> Result<Value> {
        let make = || Ok(self.staff(Method::POST, path, &[])?.header("Idempotency-Key", key).json(body));
        self.signed_in(&make, path).await?.expect(&[200, 201])
    }

    /// A file as the body, as staff; it is read while it is sent. Never asked twice: an upload is not retried blindly.
    pub(super) async fn upload(&self, path: &str, query: &[(&str, &str)], file: &Path) -> Result<Value> {
        let body = File::open(file).await.context(format_args!("cannot open {}", file.display()))?;
        let request = self.staff(Method::POST, path, query)?.header(header::CONTENT_TYPE, "text/csv");
        let answer = request.timeout(UPLOAD).body(body).send().await;
        Answer::read(answer.context(format_args!("POST {path}"))?, path).await?.expect(&[202])
    }

    /// As a guest, with the token of a cart once there is one.
    pub(super) async fn guest(&self, request: Guest<'_>, accepted: &[u16]) -> Result<Value> {
        let Guest { method, path, cart, key, body } = request;
        let make = || {
            let mut request = self.request(method.clone(), path)?.json(body);
            if let Some(token) = cart {
                request = request.header("X-Cart-Token", token);
            }
            if let Some(key) = key {
                request = request.header("Idempotency-Key", key);
            }
            Ok(request)
        };
        self.persist(make, path).await?.expect(accepted)
    }

    /// Every item of a list, page after page.
    pub(super) async fn list(&self, path: &str, mut each: impl FnMut(Value) -> Result<()>) -> Result<()> {
        let mut cursor: Option<String> = None;
        loop {
            let mut query = vec![("limit", PAGE)];
            query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let mut page = self.get(path, &query).await?;
            let Some(Value::Array(items)) = page.get_mut("items").map(Value::take) else {
                return Err(format!("{path} answered no items: {page}").into());
            };
            items.into_iter().try_for_each(&mut each)?;
            let next = page.get("next").and_then(Value::as_str).map(str::to_owned);
            if next.is_some() && next == cursor {
                return Err(
                    format!("{path} answered the cursor that it was asked with; the list would never end").into()
                );
            }
            match next {
                Some(next) => cursor = Some(next),
                None => return Ok(()),
            }
        }
    }

    fn request(&self, method: Method, path: &str) -> Result<RequestBuilder> {
        self.request_with(method, path, &[])
    }

    fn request_with(&self, method: Method, path: &str, query: &[(&str, &str)]) -> Result<RequestBuilder> {
        let address = format!("{}{path}", self.base);
        let mut url = Url::parse(&address).context(format_args!("`{address}` is no address"))?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(self.http.request(method, url))
    }

    fn staff(&self, method: Method, path: &str, query: &[(&str, &str)]) -> Result<RequestBuilder> {
        let token = self.token.lock().expect("nobody panics with the token").clone();
        Ok(self.request_with(method, path, query)?.bearer_auth(token))
    }

    async fn signed_in(&self, make: &impl Fn() -> Result<RequestBuilder>, path: &str) -> Result<Answer> {
        let answer = self.persist(make, path).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        self.renew().await?;
        self.persist(make, path).await
    }

    async fn persist(&self, make: impl Fn() -> Result<RequestBuilder>, path: &str) -> Result<Answer> {
        for _ in 0..RETRIES {
            let response = make()?.send().await.context(path)?;
            if !matches!(response.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
                return Answer::read(response, path).await;
            }
            self.retries.fetch_add(1, Ordering::Relaxed);
            let asked = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
            sleep(Duration::from_secs(asked.unwrap_or(1).clamp(1, LONGEST_PAUSE))).await;
        }
        Err(format!("{path} was refused {RETRIES} times with 429 or 503").into())
    }
}

pub(super) struct Guest<'a> {
    pub(super) method: Method,
    pub(super) path: &'a str,
    pub(super) cart: Option<&'a str>,
    pub(super) key: Option<&'a str>,
    pub(super) body: &'a Value,
}

struct Answer {
    status: StatusCode,
    path: String,
    body: Vec<u8>,
}

impl Answer {
    async fn read(response: reqwest::Response, path: &str) -> Result<Self> {
        let status = response.status();
        let body = response.bytes().await.context(path)?.to_vec();
        Ok(Self { status, path: path.into(), body })
    }

    fn expect(self, accepted: &[u16]) -> Result<Value> {
        let Self { status, path, body } = self;
        if !accepted.contains(&status.as_u16()) {
            return Err(format!("{path} answered {status}: {}", String::from_utf8_lossy(&body)).into());
        }
        serde_json::from_slice(&body).context(format_args!("{path} answered something that is no JSON"))
    }
}

/// The text at a JSON pointer.
pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> Result<&'a str> {
    value.pointer(pointer).and_then(Value::as_str).context(format_args!("no text at {pointer} in {value}"))
}

/// The whole number at a JSON pointer.
pub(crate) fn number(value: &Value, pointer: &str) -> Result<i64> {
    value.pointer(pointer).and_then(Value::as_i64).context(format_args!("no whole number at {pointer} in {value}"))
}

/// The list at a JSON pointer.
pub(crate) fn list<'a>(value: &'a Value, pointer: &str) -> Result<&'a [Value]> {
    let list = value.pointer(pointer).and_then(Value::as_array);
    list.map(Vec::as_slice).context(format_args!("no list at {pointer} in {value}"))
}
