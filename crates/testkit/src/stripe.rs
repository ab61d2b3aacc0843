//! Stands in for Stripe: the documented part of its API that a shop uses, with state, keys, faults and books. Lives in
//! the test's process, on loopback, until it is dropped.
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Result, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

type Form = BTreeMap<String, String>;

/// What goes wrong with a request, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Answered with 500, remembered under the key; nothing is done.
    Fails,
    /// Done, and answered with 500, remembered under the key.
    DoneThenFails,
    /// Never answered and not done.
    Hangs,
    /// Done, and answered only after so long.
    Late(Duration),
    /// The connection ends without an answer; nothing is done.
    Lost,
    /// Done, and the connection ends without an answer.
    DoneThenLost,
    /// Too many requests.
    Busy,
}

/// What was moved for one order, in Stripe's minor units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Book {
    /// Payment intents of this order.
    pub intents: usize,
    /// Secured and not captured.
    pub authorised: i64,
    pub captured: i64,
    pub refunded: i64,
}

#[derive(Default)]
struct State {
    intents: Vec<Value>,
    refunds: Vec<Value>,
    /// By key: what was asked, and what was answered; `None` while it is under way.
    keys: BTreeMap<String, (String, Option<(u16, Value)>)>,
    faults: Vec<(String, Fault)>,
    serial: u64,
}

pub struct Stripe {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    ended: Arc<AtomicBool>,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn number(value: &Value, name: &str) -> i64 {
    value[name].as_i64().unwrap_or_default()
}

impl Stripe {
    /// On `port`, or on any with 0.
    pub fn start(port: u16) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port))?;
        let address = listener.local_addr()?;
        let (state, ended) = (Arc::new(Mutex::new(State::default())), Arc::new(AtomicBool::new(false)));
        let (shared, over) = (state.clone(), ended.clone());
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if over.load(Ordering::Acquire) {
                    return;
                }
                let (state, over) = (shared.clone(), over.clone());
                thread::spawn(move || serve(stream, &state, &over));
            }
        });
        Ok(Self { address, state, ended })
    }
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
    /// The next request whose `METHOD path` contains `pattern` meets this; several wait in their order.
    pub fn next(&self, pattern: &str, fault: Fault) {
        lock(&self.state).faults.push((pattern.to_owned(), fault));
    }
    /// How many faults nobody met yet.
    pub fn faults_left(&self) -> usize {
        lock(&self.state).faults.len()
    }
    /// The buyer confirms with the bank.
    pub fn bank_confirms(&self, intent: &str) {
        let mut state = lock(&self.state);
        let found = state.intents.iter_mut().find(|one| one["id"] == intent && one["status"] == "requires_action");
        let found = found.unwrap_or_else(|| panic!("{intent} waits for no bank"));
        found["status"] = "requires_capture".into();
        found["next_action"] = Value::Null;
    }
    /// By the order in the metadata.
    pub fn books(&self) -> BTreeMap<String, Book> {
        let state = lock(&self.state);
        let mut books = BTreeMap::<String, Book>::new();
        for intent in &state.intents {
            let book = books.entry(intent["metadata"]["order"].as_str().unwrap_or_default().to_owned()).or_default();
            book.intents += 1;
            book.captured += number(intent, "amount_received");
            if intent["status"] == "requires_capture" {
                book.authorised += number(intent, "amount") - number(intent, "amount_received");
            }
            let of = |refund: &&Value| refund["payment_intent"] == intent["id"];
            book.refunded += state.refunds.iter().filter(of).map(|refund| number(refund, "amount")).sum::<i64>();
        }
        books
    }
    /// An event as Stripe would send it: its header `Stripe-Signature`, signed at `at` (seconds since 1970), and body.
    pub fn event(&self, intent: &str, kind: &str, secret: &str, at: i64) -> (String, Vec<u8>) {
        let object = lock(&self.state).intents.iter().find(|one| one["id"] == intent).cloned();
        let body =
            json!({"id": format!("evt_{kind}_{intent}"), "object": "event", "type": kind, "data": {"object": object}});
        let body = body.to_string().into_bytes();
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
        let tag = ring::hmac::sign(&key, &[at.to_string().as_bytes(), b".", &body].concat());
        let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        (format!("t={at},v1={hex}"), body)
    }
    /// Signs an event and posts it to `url`; the status that came back.
    pub async fn tell(
        &self,
        url: &str,
        intent: &str,
        kind: &str,
        secret: &str,
        at: i64,
    ) -> std::result::Result<u16, reqwest::Error> {
        let (signature, body) = self.event(intent, kind, secret, at);
        let post = reqwest::Client::new().post(url).header("content-type", "application/json");
        Ok(post.header("stripe-signature", signature).body(body).send().await?.status().as_u16())
    }
}

impl Drop for Stripe {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        // wakes whoever accepts
        drop(TcpStream::connect(self.address));
    }
}

fn serve(stream: TcpStream, state: &Mutex<State>, over: &AtomicBool) {
    let Ok(mut writer) = stream.try_clone() else { return };
    let mut reader = BufReader::new(stream);
    while let Some((method, target, headers, body)) = request(&mut reader) {
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let form: Form = serde_urlencoded::from_str(if method == "GET" { query } else { &body }).unwrap_or_default();
        let what = format!("{method} {path}");
        let fault = {
            let mut state = lock(state);
            let at = state.faults.iter().position(|(pattern, _)| what.contains(pattern.as_str()));
            at.map(|at| state.faults.remove(at).1)
        };
        match fault {
            Some(Fault::Lost) => return,
            Some(Fault::Hangs) => {
                while !over.load(Ordering::Acquire) {
                    thread::sleep(Duration::from_millis(20));
                }
                return;
            }
            _ => {}
        }
        let (status, answer, replayed) = match fault {
            Some(Fault::Busy) => (429, error("rate_limit_error", "rate_limit"), false),
            _ => lock(state).keyed(&what, headers.get("idempotency-key"), &form, fault),
        };
        match fault {
            Some(Fault::DoneThenLost) => return,
            Some(Fault::Late(by)) => thread::sleep(by),
            _ => {}
        }
        let (body, extra) = (answer.to_string(), if replayed { "idempotent-replayed: true\r\n" } else { "" });
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{extra}content-length: {}\r\n\r\n",
            body.len()
        );
        if writer.write_all((head + &body).as_bytes()).is_err() {
            return;
        }
    }
}

fn request(reader: &mut BufReader<TcpStream>) -> Option<(String, String, Form, String)> {
    let mut line = String::new();
    let mut next = || -> Option<String> {
        line.clear();
        (reader.read_line(&mut line).ok()? > 0).then(|| line.trim_end().to_owned())
    };
    let first = next()?;
    let mut words = first.split(' ').map(str::to_owned);
    let (method, target) = (words.next()?, words.next()?);
    let mut headers = Form::new();
    loop {
        let line = next()?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((method, target, headers, String::from_utf8(body).ok()?))
}

fn error(kind: &str, code: &str) -> Value {
    json!({"error": {"type": kind, "code": code}})
}

fn refused(code: &str) -> (u16, Value) {
    (400, error("invalid_request_error", code))
}

impl State {
    fn keyed(&mut self, what: &str, key: Option<&String>, form: &Form, fault: Option<Fault>) -> (u16, Value, bool) {
        let asked = format!("{what} {form:?}");
        if let Some((before, kept)) = key.and_then(|key| self.keys.get(key)) {
            return match kept {
                _ if *before != asked => (400, error("idempotency_error", ""), false),
                None => (409, error("idempotency_error", "idempotency_key_in_use"), false),
                Some((status, answer)) => (*status, answer.clone(), true),
            };
        }
        let failed = (500, error("api_error", ""));
        let (status, answer) = match fault {
            Some(Fault::Fails) => failed,
            Some(Fault::DoneThenFails) => {
                self.answer(what, form);
                failed
            }
            _ => self.answer(what, form),
        };
        if let Some(key) = key {
            self.keys.insert(key.clone(), (asked, Some((status, answer.clone()))));
        }
        (status, answer, false)
    }
    fn answer(&mut self, what: &str, form: &Form) -> (u16, Value) {
        let text = |name: &str| form.get(name).cloned().unwrap_or_default();
        let amount = |name: &str| form.get(name).and_then(|amount| amount.parse::<i64>().ok());
        let metadata = || {
            let inner = |name: &str| Some(name.strip_prefix("metadata[")?.strip_suffix(']')?.to_owned());
            form.iter()
                .filter_map(|(name, value)| Some((inner(name)?, Value::from(value.clone()))))
                .collect::<serde_json::Map<_, _>>()
        };
        self.serial += 1;
        let serial = self.serial;
        let parts: Vec<&str> = what.split(['/', ' ']).filter(|part| !part.is_empty()).collect();
        match parts.as_slice() {
            ["POST", "v1", "payment_intents"] => {
                let intent = json!({
                    "id": format!("pi_{serial}"), "object": "payment_intent", "amount": amount("amount"),
                    "amount_received": 0, "amount_capturable": 0, "currency": text("currency"), "metadata": metadata(),
                    "status": "requires_payment_method", "client_secret": format!("pi_{serial}_secret"),
                    "multicapture": form.contains_key("payment_method_options[card][request_multicapture]"),
                });
                self.intents.push(intent.clone());
                (200, intent)
            }
            ["GET", "v1", name @ ("payment_intents" | "refunds")] => {
                let all = if *name == "refunds" { &self.refunds } else { &self.intents };
                let of = form.get("payment_intent");
                let mut data: Vec<Value> =
                    all.iter().rev().filter(|one| of.is_none_or(|of| one["payment_intent"] == **of)).cloned().collect();
                if let Some(after) = form.get("starting_after") {
                    data = data.into_iter().skip_while(|one| one["id"] != **after).skip(1).collect();
                }
                let limit = amount("limit").and_then(|limit| usize::try_from(limit).ok()).unwrap_or(10);
                let has_more = data.len() > limit;
                data.truncate(limit);
                (200, json!({"object": "list", "data": data, "has_more": has_more}))
            }
            ["POST", "v1", "refunds"] => {
                let of = text("payment_intent");
                let back: i64 = self
                    .refunds
                    .iter()
                    .filter(|one| one["payment_intent"] == of)
                    .map(|one| number(one, "amount"))
                    .sum();
                let Some(intent) = self.intents.iter().find(|one| one["id"] == of) else {
                    return refused("resource_missing");
                };
                let wished = amount("amount").unwrap_or(0);
                if wished <= 0 || wished > number(intent, "amount_received") - back {
                    return refused("charge_already_refunded");
                }
                let refund = json!({"id": format!("re_{serial}"), "object": "refund", "amount": wished, "payment_intent": of, "status": "succeeded", "metadata": metadata()});
                self.refunds.push(refund.clone());
                (200, refund)
            }
            [_, "v1", "payment_intents", id, rest @ ..] => {
                let Some(intent) = self.intents.iter_mut().find(|one| one["id"] == *id) else {
                    return (404, error("invalid_request_error", "resource_missing"));
                };
                let status = intent["status"].as_str().unwrap_or_default().to_owned();
                let open =
                    matches!(status.as_str(), "requires_payment_method" | "requires_confirmation" | "requires_action");
                match rest {
                    [] => {}
                    ["confirm"] if open => match text("payment_method").as_str() {
                        "pm_card_visa" => intent["status"] = "requires_capture".into(),
                        "pm_card_authenticationRequired" => {
                            intent["status"] = "requires_action".into();
                            let url = format!("https://bank.example/{id}");
                            intent["next_action"] = match form.contains_key("return_url") {
                                true => json!({"type": "redirect_to_url", "redirect_to_url": {"url": url}}),
                                false => json!({"type": "use_stripe_sdk"}),
                            };
                        }
                        "pm_card_chargeDeclined" => {
                            let told = json!({"type": "card_error", "code": "card_declined", "decline_code": "generic_decline"});
                            intent["last_payment_error"] = told.clone();
                            return (402, json!({"error": told}));
                        }
                        _ => return refused("resource_missing"),
                    },
                    ["cancel"] if open || status == "requires_capture" && number(intent, "amount_received") == 0 => {
                        intent["status"] = "canceled".into();
                    }
                    ["capture"] if status == "requires_capture" => {
                        let left = number(intent, "amount") - number(intent, "amount_received");
                        let (wished, goes_on) =
                            (amount("amount_to_capture").unwrap_or(left), text("final_capture") == "false");
                        if wished > left || goes_on && intent["multicapture"] != true {
                            return refused("amount_too_large");
                        }
                        intent["amount_received"] = (number(intent, "amount_received") + wished).into();
                        if let Some(kept) = intent["metadata"].as_object_mut() {
                            kept.extend(metadata());
                        }
                        if !goes_on {
                            intent["status"] = "succeeded".into();
                        }
                    }
                    _ => return refused("payment_intent_unexpected_state"),
                }
                (200, intent.clone())
            }
            _ => (404, error("invalid_request_error", "")),
        }
    }
}
