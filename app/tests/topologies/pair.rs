//! Two shops that are asked the same: one process, and several behind nginx.
use crate::{names::Names, start};
use reqwest::header::HeaderMap;
use serde_json::Value;
use std::collections::BTreeSet;
use testkit::{Answer, Shop, Topology, document, exchange, until};

/// Headers that differ by nature, and why that is no difference to a client.
const DIFFER: &[(&str, &str)] = &[
    ("date", "the moment"),
    ("server", "nginx says that it is there"),
    ("x-request-id", "made up; compared with the body's instead"),
    ("traceparent", "made up"),
    ("connection", "of one connection only; nginx has its own to each process"),
    ("keep-alive", "of one connection only"),
    ("transfer-encoding", "of one connection only; the whole body is compared"),
];

struct Side {
    shop: Shop,
    names: Names,
}

pub(crate) struct Pair {
    sides: [Side; 2],
    /// What was asked, by operation and status.
    pub seen: BTreeSet<(String, u16)>,
    pub compared: usize,
    differences: Vec<String>,
}

/// A request, in names.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
    chunked: bool,
}

/// Who asks: the headers by which the shop knows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Who(pub Vec<(String, String)>);

impl Who {
    pub(crate) fn bearer(token: &str) -> Self {
        Self(vec![("authorization".into(), format!("Bearer {token}"))])
    }
    pub(crate) fn guest(token: &str) -> Self {
        Self(vec![("x-cart-token".into(), token.into())])
    }

    pub(crate) fn ask(&self, method: &str, path: &str) -> Ask {
        Ask { method: method.into(), path: path.into(), headers: self.0.clone(), body: None, chunked: false }
    }
    pub(crate) fn get(&self, path: &str) -> Ask {
        self.ask("GET", path)
    }
    pub(crate) fn delete(&self, path: &str) -> Ask {
        self.ask("DELETE", path)
    }
    pub(crate) fn post(&self, path: &str, body: Value) -> Ask {
        self.ask("POST", path).json(&body)
    }
    pub(crate) fn put(&self, path: &str, body: Value) -> Ask {
        self.ask("PUT", path).json(&body)
    }
    pub(crate) fn patch(&self, path: &str, body: Value) -> Ask {
        self.ask("PATCH", path).json(&body)
    }
}

impl Ask {
    pub(crate) fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }
    pub(crate) fn body(mut self, media: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self.header("content-type", media)
    }
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
    /// Its body comes in pieces, of no length that was announced.
    pub(crate) fn chunked(mut self) -> Self {
        self.chunked = true;
        self
    }

    fn bytes(&self, names: &Names) -> Vec<u8> {
        let mut head =
            format!("{} {} HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n", self.method, names.sent(&self.path));
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {}\r\n", names.sent(value)));
        }
        let body = self.body.as_ref().map(|body| match std::str::from_utf8(body) {
            Ok(text) => names.sent(text).into_bytes(),
            Err(_) => body.clone(),
        });
        match body {
            Some(body) if self.chunked => {
                let mut bytes = (head + "transfer-encoding: chunked\r\n\r\n").into_bytes();
                for piece in body.chunks(10_000) {
                    bytes.extend(format!("{:x}\r\n", piece.len()).into_bytes());
                    bytes.extend([piece, b"\r\n"].concat());
                }
                bytes.extend(b"0\r\n\r\n");
                bytes
            }
            Some(body) => [format!("{head}content-length: {}\r\n\r\n", body.len()).into_bytes(), body].concat(),
            None => (head + "\r\n").into_bytes(),
        }
    }
}

/// What both answered, in names.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: Value,
}

impl Seen {
    /// What the other one does not say.
    fn without(&self, other: &Self) -> String {
        let headers: Vec<_> = self.headers.iter().filter(|header| !other.headers.contains(header)).collect();
        let body = if self.body == other.body { String::new() } else { self.body.to_string() };
        format!("{} {headers:?} {}", self.status, body.chars().take(700).collect::<String>())
    }
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }
    #[track_caller]
    pub(crate) fn problem(self, status: u16, code: &str) -> Self {
        assert_eq!((self.status, self.body["code"].as_str()), (status, Some(code)), "{}", self.body);
        self
    }
    #[track_caller]
    pub(crate) fn text(&self, pointer: &str) -> String {
        let text = self.body.pointer(pointer).and_then(Value::as_str);
        text.unwrap_or_else(|| panic!("no text at {pointer} of {}", self.body)).to_owned()
    }
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
    #[track_caller]
    pub(crate) fn tag(&self) -> String {
        self.header("etag").expect("an ETag").to_owned()
    }
}

impl Pair {
    pub(crate) fn start(env: &[(&str, &str)]) -> Self {
        let side = |topology| Side { shop: start(topology, env), names: Names::default() };
        let sides = [side(Topology::Single), side(Topology::Split)];
        Self { sides, seen: BTreeSet::new(), compared: 0, differences: Vec::new() }
    }

    /// Asks both, and compares what they say. The answer is the one process's.
    pub(crate) async fn send(&mut self, ask: Ask) -> Seen {
        let bytes = self.sides.each_ref().map(|side| ask.bytes(&side.names));
        let seen = self.both(bytes).await;
        let path = ask.path.split(['?', '#']).next().unwrap_or_default();
        if let Some(template) = document::template(path) {
            self.seen.insert((format!("{} {template}", ask.method), seen.status));
        }
        seen
    }

    /// Asks both with these bytes, as they stand.
    pub(crate) async fn raw(&mut self, text: &[u8]) -> Seen {
        self.both([text.to_vec(), text.to_vec()]).await
    }

    /// Bytes that nginx is known to take in its own way; the statuses of one process and of several.
    pub(crate) async fn known(&mut self, text: &[u8], statuses: [u16; 2]) {
        let [one, several] = &self.sides;
        let (one, several) = tokio::join!(asked(one, text), asked(several, text));
        assert_eq!([one.status, several.status], statuses, "{}", one.what);
        self.compared += 1;
    }

    /// Asks both twice with the same key: each says the same again, byte for byte.
    pub(crate) async fn twice(&mut self, ask: Ask, key: &str) -> Seen {
        let ask = ask.header("idempotency-key", key);
        let first = self.send(ask.clone()).await;
        for side in &self.sides {
            let bytes = ask.bytes(&side.names);
            let (again, once_more) = (asked(side, &bytes).await, asked(side, &bytes).await);
            assert_eq!(again.bytes, once_more.bytes, "{}", again.what);
        }
        let again = self.send(ask).await;
        assert_eq!((again.status, &again.body), (first.status, &first.body));
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
        first
    }

    /// Asks each until `ready`, without comparing what it says before.
    pub(crate) async fn until(&mut self, ask: Ask, ready: impl Fn(&Value) -> bool) -> Seen {
        for side in &self.sides {
            let bytes = ask.bytes(&side.names);
            let once = async || ready(&asked(side, &bytes).await.json()).then_some(());
            until(&ask.path, once).await;
        }
        self.send(ask).await
    }

    async fn both(&mut self, bytes: [Vec<u8>; 2]) -> Seen {
        let (single, split) = tokio::join!(asked(&self.sides[0], &bytes[0]), asked(&self.sides[1], &bytes[1]));
        let what = single.what.clone();
        let [one, other] = &mut self.sides;
        let (single, split) = (seen(&mut one.names, single), seen(&mut other.names, split));
        self.compared += 1;
        // What is no HTTP gets no document from a process's server, which never hears of it; nginx has one.
        let unheard = single.status == 400 && single.header("content-type").is_none();
        if single != split && !(unheard && split.status == 400) {
            let (one, several) = (single.without(&split), split.without(&single));
            self.differences.push(format!("{what}\n  one process: {one}\n  several:     {several}"));
        }
        single
    }

    #[track_caller]
    pub(crate) fn nothing_differed(&self) {
        let (count, shown) = (self.differences.len(), self.differences.iter().take(400).cloned().collect::<Vec<_>>());
        assert!(count == 0, "{count} of {} answers differ:\n{}", self.compared, shown.join("\n"));
    }
}

/// Silence is an answer too: both have to be silent.
async fn asked(side: &Side, bytes: &[u8]) -> Answer {
    exchange(&side.shop.url, bytes).await.unwrap_or_else(|why| {
        let what = String::from_utf8_lossy(bytes).chars().take(120).collect();
        Answer { what, status: 0, headers: HeaderMap::new(), bytes: why.to_string().into_bytes() }
    })
}

/// An answer in names, without what differs by nature.
fn seen(names: &mut Names, answer: Answer) -> Seen {
    let id = answer.header("x-request-id").unwrap_or("none").to_owned();
    let mut headers = Vec::new();
    for (name, value) in &answer.headers {
        if DIFFER.iter().all(|(differs, _)| name != differs) {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            headers.push((name.to_string(), header(names, name.as_str(), &value, &answer)));
        }
    }
    headers.sort();
    let is_json = answer.header("content-type").is_some_and(|media| media.ends_with("json"));
    let body = match serde_json::from_slice(&answer.bytes) {
        Ok(mut json) if is_json => {
            if let Some(told) = Value::pointer_mut(&mut json, "/request_id") {
                *told = if *told == id.as_str() { "as in the header".into() } else { "another one".into() };
            }
            names.document(json)
        }
        _ => names.named(&String::from_utf8_lossy(&answer.bytes)).into(),
    };
    Seen { status: answer.status, headers, body }
}

fn header(names: &mut Names, name: &str, value: &str, answer: &Answer) -> String {
    match name {
        // Times leave out zeros at their ends.
        "content-length" if answer.bytes.is_empty() => if value == "0" { "nothing" } else { "something" }.to_owned(),
        "content-length" => "as long as the body".to_owned(),
        // Its hash is of a body with ids in it.
        "etag" => match value.trim_matches('"').split_once('-') {
            Some((version, hash)) => format!("\"{version}-{}\"", names.name("tag", hash)),
            // Of what has no version of its own.
            None if value.len() == 18 => names.name("tag", value),
            None => value.to_owned(),
        },
        // The rest of a minute.
        "retry-after" if answer.status == 429 => "seconds".to_owned(),
        "ratelimit" => value.split(";t=").next().unwrap_or_default().to_owned(),
        _ => names.named(value),
    }
}
