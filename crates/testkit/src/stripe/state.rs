//! What it remembers: payments, refunds, and what it has answered under which key.
use super::Fault;
use serde_json::{Map, Value, json};
use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

pub(super) type Form = BTreeMap<String, String>;
pub(super) type Said = (u16, Value);

/// A request.
pub(super) struct Asked {
    /// `METHOD path`.
    pub what: String,
    pub key: Option<String>,
    pub form: Form,
}

#[derive(Default)]
pub(super) struct State {
    pub intents: Vec<Value>,
    pub refunds: Vec<Value>,
    /// By key: what was asked, and what was answered; `None` while it is under way.
    keys: BTreeMap<String, (String, Option<Said>)>,
    pub faults: Vec<(String, Fault)>,
    /// Every request, with its key.
    pub asked: Vec<(String, Option<String>)>,
    /// `succeeded` where nothing is said.
    pub refund_status: &'static str,
    serial: u64,
}

#[expect(clippy::disallowed_methods, reason = "nobody gives Stripe a clock")]
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map(|since| since.as_secs()).unwrap_or_default()
}

pub(super) fn number(value: &Value, name: &str) -> i64 {
    value[name].as_i64().unwrap_or_default()
}

pub(super) fn error(kind: &str, code: &str) -> Value {
    json!({"error": {"type": kind, "code": code}})
}

pub(super) fn refused(code: &str) -> Said {
    (400, error("invalid_request_error", code))
}

impl Asked {
    fn whole(&self) -> String {
        format!("{} {:?}", self.what, self.form)
    }
}

impl State {
    /// Notes a request, and what goes wrong with it.
    pub(super) fn meets(&mut self, what: &str, key: Option<&String>) -> Option<Fault> {
        self.asked.push((what.to_owned(), key.cloned()));
        let at = self.faults.iter().position(|(pattern, _)| what.contains(pattern.as_str()));
        at.map(|at| self.faults.remove(at).1)
    }
    /// What the key stands for already; nothing when it is free, and from now on in use.
    pub(super) fn claim(&mut self, asked: &Asked) -> Option<(u16, Value, bool)> {
        let key = asked.key.as_ref()?;
        let Some((before, kept)) = self.keys.get(key) else {
            self.keys.insert(key.clone(), (asked.whole(), None));
            return None;
        };
        Some(match kept {
            _ if *before != asked.whole() => (400, error("idempotency_error", ""), false),
            None => (409, error("idempotency_error", "idempotency_key_in_use"), false),
            Some((status, answer)) => (*status, answer.clone(), true),
        })
    }
    /// Does it, or not, and keeps the answer.
    pub(super) fn finish(&mut self, asked: &Asked, fault: Option<Fault>) -> Said {
        let failed = (500, error("api_error", ""));
        let said = match fault {
            Some(Fault::Fails) => failed,
            Some(Fault::DoneThenFails) => {
                self.answer(&asked.what, &asked.form);
                failed
            }
            _ => self.answer(&asked.what, &asked.form),
        };
        if let Some(key) = &asked.key {
            self.keys.insert(key.clone(), (asked.whole(), Some(said.clone())));
        }
        said
    }

    /// What has gone back of a payment, or is on its way.
    pub(super) fn refunded(&self, intent: &str) -> i64 {
        let counts = |one: &&Value| one["payment_intent"] == intent && one["status"] != "failed";
        self.refunds.iter().filter(counts).map(|one| number(one, "amount")).sum()
    }
    pub(super) fn serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }
    pub(super) fn add_intent(
        &mut self,
        amount: i64,
        currency: &str,
        metadata: Map<String, Value>,
        multicapture: bool,
    ) -> Value {
        let serial = self.serial();
        let created = now();
        let intent = json!({
            "id": format!("pi_{serial}"), "object": "payment_intent", "created": created, "amount": amount,
            "amount_received": 0, "currency": currency, "metadata": metadata, "status": "requires_payment_method",
            "client_secret": format!("pi_{serial}_secret"), "multicapture": multicapture,
        });
        self.intents.push(intent.clone());
        intent
    }
}
