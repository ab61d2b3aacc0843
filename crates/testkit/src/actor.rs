//! Somebody who uses the shop over HTTP.
use crate::contract::Contract;
use reqwest::{Client, Method, header::HeaderMap};
use serde_json::{Value, json};
use std::{fmt::Display, sync::Arc};

/// Anonymous, signed in, or a guest with a cart.
#[derive(Clone)]
pub struct Actor {
    client: Client,
    url: String,
    token: Option<String>,
    cart: Option<String>,
    contract: Arc<Contract>,
}

impl Actor {
    pub(crate) fn new(url: String, contract: Arc<Contract>) -> Self {
        // A client of its own: connections belong to the runtime of the test that made them.
        Self { client: Client::new(), url, token: None, cart: None, contract }
    }
    #[must_use]
    pub fn bearer(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }
    #[must_use]
    pub fn cart_token(mut self, token: &str) -> Self {
        self.cart = Some(token.to_owned());
        self
    }
    #[must_use]
    pub async fn signed_in(self, email: &str, password: &str) -> Self {
        let tokens =
            self.post("/v1/sessions", json!({ "email": email, "password": password })).send().await.expect(201);
        let token = tokens.text("/access_token");
        self.bearer(&token)
    }
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    pub fn get(&self, path: &str) -> Request {
        self.request(Method::GET, path)
    }
    pub fn delete(&self, path: &str) -> Request {
        self.request(Method::DELETE, path)
    }
    pub fn post(&self, path: &str, body: Value) -> Request {
        self.request(Method::POST, path).json(&body)
    }
    pub fn put(&self, path: &str, body: Value) -> Request {
        self.request(Method::PUT, path).json(&body)
    }
    pub fn patch(&self, path: &str, body: Value) -> Request {
        self.request(Method::PATCH, path).json(&body)
    }
    pub fn request(&self, method: Method, path: &str) -> Request {
        let mut request = self.client.request(method.clone(), format!("{}{path}", self.url));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(cart) = &self.cart {
            request = request.header("x-cart-token", cart);
        }
        Request { request, method, path: path.to_owned(), contract: Arc::clone(&self.contract) }
    }
}

/// A request that is not sent yet.
#[must_use]
pub struct Request {
    request: reqwest::RequestBuilder,
    method: Method,
    path: String,
    contract: Arc<Contract>,
}

impl Request {
    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }
    pub fn body(mut self, media: &str, body: impl Into<reqwest::Body>) -> Self {
        self.request = self.request.header("content-type", media).body(body);
        self
    }
    pub fn header(mut self, name: &str, value: impl Display) -> Self {
        self.request = self.request.header(name, value.to_string());
        self
    }
    /// With an Idempotency-Key.
    pub fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }
    /// Sends it; panics when no answer comes, or one that the OpenAPI document does not know.
    pub async fn send(self) -> Answer {
        let what = format!("{} {}", self.method, self.path);
        self.try_send().await.unwrap_or_else(|error| panic!("{what}: no answer: {error:?}"))
    }
    /// Its head, with the body to be read as it comes: for a stream of events.
    pub async fn stream(self) -> reqwest::Response {
        let answer = self.request.send().await.unwrap_or_else(|error| panic!("{}: no answer: {error:?}", self.path));
        assert_eq!(answer.status(), 200, "{}", self.path);
        answer
    }
    pub async fn try_send(self) -> Result<Answer, reqwest::Error> {
        let answer = self.request.send().await?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let bytes = body(answer).await?;
        let answer = Answer { what: format!("{} {}", self.method, self.path), status, headers, bytes };
        self.contract.check(&self.method, &self.path, &answer);
        Ok(answer)
    }
}

/// All of it; of a stream of events, which does not end, its beginning.
async fn body(mut answer: reqwest::Response) -> Result<Vec<u8>, reqwest::Error> {
    let endless = answer.headers().get("content-type").is_some_and(|media| media == "text/event-stream");
    if endless {
        return Ok(answer.chunk().await?.unwrap_or_default().to_vec());
    }
    Ok(answer.bytes().await?.to_vec())
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    pub what: String,
    pub status: u16,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
}

impl Answer {
    /// It, if it has this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}: {}", self.what, String::from_utf8_lossy(&self.bytes));
        self
    }
    /// A problem document with this status and code.
    #[track_caller]
    pub fn problem(self, status: u16, code: &str) -> Self {
        let found = self.expect(status);
        assert_eq!(found.header("content-type"), Some("application/problem+json"), "{}", found.what);
        assert_eq!(found.text("/code"), code, "{}: {}", found.what, found.json());
        found
    }
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes)
            .unwrap_or_else(|_| panic!("{}: not JSON: {}", self.what, String::from_utf8_lossy(&self.bytes)))
    }
    /// The member at a JSON pointer.
    #[track_caller]
    pub fn at(&self, pointer: &str) -> Value {
        let json = self.json();
        json.pointer(pointer).cloned().unwrap_or_else(|| panic!("{}: no {pointer} in {json}", self.what))
    }
    /// The text at a JSON pointer.
    #[track_caller]
    pub fn text(&self, pointer: &str) -> String {
        self.at(pointer).as_str().unwrap_or_else(|| panic!("{}: {pointer} is no text", self.what)).to_owned()
    }
    #[track_caller]
    pub fn number(&self, pointer: &str) -> i64 {
        self.at(pointer).as_i64().unwrap_or_else(|| panic!("{}: {pointer} is no whole number", self.what))
    }
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}
