//! Stands in for Stripe: the documented part of its API that a shop uses, with state, keys, faults and books. Lives in
//! the test's process, on loopback, until it is dropped.
mod answers;
mod server;
mod state;

use serde_json::{Value, json};
use server::Shared;
use state::{State, number};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::Result,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

/// The account's secret key: who names another hears 401.
pub const KEY: &str = "sk_test_standing_in";
/// What its events are signed with.
pub const SECRET: &str = "whsec_standing_in";

/// What goes wrong with a request, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Answered with 500, remembered under the key; nothing is done.
    Fails,
    /// Done, and answered with 500, remembered under the key.
    DoneThenFails,
    /// Never answered and not done.
    Hangs,
    /// Done and answered only after so long; until then its key is in use.
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
    /// Without refunds that failed.
    pub refunded: i64,
}

pub struct Stripe {
    address: SocketAddr,
    shared: Arc<Shared>,
    listens: Mutex<Option<JoinHandle<()>>>,
}

impl Stripe {
    /// On any port.
    pub fn start() -> Result<Self> {
        let shared = Arc::<Shared>::default();
        let (address, listens) = server::listen(SocketAddr::from(([127, 0, 0, 1], 0)), &shared)?;
        Ok(Self { address, shared, listens: Mutex::new(Some(listens)) })
    }
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
    /// Connections end, and new ones are refused.
    pub fn goes_away(&self) {
        if let Some(listens) = self.listens.lock().unwrap_or_else(PoisonError::into_inner).take() {
            self.shared.end(self.address);
            listens.join().expect("whoever listens does not panic");
            self.shared.hang_up();
        }
    }
    /// At the same address, with all it knows.
    pub fn comes_back(&self) -> Result<()> {
        let (_, listens) = server::listen(self.address, &self.shared)?;
        *self.listens.lock().unwrap_or_else(PoisonError::into_inner) = Some(listens);
        Ok(())
    }

    /// The next request whose `METHOD path` contains `pattern` meets this; several wait in their order.
    pub fn next(&self, pattern: &str, fault: Fault) {
        self.shared.state().faults.push((pattern.to_owned(), fault));
    }
    /// How many faults nobody met yet.
    pub fn faults_left(&self) -> usize {
        self.shared.state().faults.len()
    }
    /// What waits for nobody any more.
    pub fn is_well(&self) {
        self.shared.state().faults.clear();
    }
    /// With how many different keys it was asked for this, by any request since it began.
    pub fn keys(&self, pattern: &str) -> usize {
        let state = self.shared.state();
        let asked = state.asked.iter().filter(|(what, _)| what.contains(pattern));
        asked.filter_map(|(_, key)| key.as_ref()).collect::<BTreeSet<_>>().len()
    }
    /// How often it was asked for this.
    pub fn asked(&self, pattern: &str) -> usize {
        self.shared.state().asked.iter().filter(|(what, _)| what.contains(pattern)).count()
    }

    /// The payment intent of an order, the newest.
    pub fn intent(&self, order: &str) -> Option<String> {
        let state = self.shared.state();
        let found = state.intents.iter().rev().find(|one| one["metadata"]["order"] == order);
        found.and_then(|one| one["id"].as_str()).map(str::to_owned)
    }
    /// The payment intents whose money is secured and not captured.
    pub fn secured(&self) -> Vec<String> {
        let state = self.shared.state();
        let secured = state.intents.iter().filter(|intent| intent["status"] == "requires_capture");
        secured.filter_map(|intent| intent["id"].as_str().map(str::to_owned)).collect()
    }
    /// The buyer confirms with the bank.
    pub fn bank_confirms(&self, intent: &str) {
        self.shared.state().turns(intent, "requires_action", "requires_capture");
    }
    /// The buyer does not, and the bank says no.
    pub fn bank_refuses(&self, intent: &str) {
        let mut state = self.shared.state();
        let one = state.turns(intent, "requires_action", "requires_payment_method");
        one["last_payment_error"] = json!({"type": "card_error", "code": "payment_intent_authentication_failure"});
    }
    /// What Stripe says never happens: a cancelled payment is secured after all.
    pub fn secures_after_all(&self, intent: &str) {
        self.shared.state().turns(intent, "canceled", "requires_capture");
    }
    /// Somebody takes money by hand, in Stripe's own pages.
    pub fn takes_by_hand(&self, intent: &str, amount: i64) {
        self.shared.state().turns(intent, "requires_capture", "succeeded")["amount_received"] = amount.into();
    }
    /// How refunds stand that are made from now on: `succeeded`, `pending` or `failed`.
    pub fn refunds_are(&self, status: &'static str) {
        self.shared.state().refund_status = status;
    }
    /// So many payments that are no shop's, made just now.
    pub fn is_busy_with(&self, others: usize) {
        let mut state = self.shared.state();
        for _ in 0..others {
            state.add_intent(100, "eur", serde_json::Map::new(), false);
        }
    }
    /// A payment of this order, made so many seconds ago and forgotten.
    pub fn has_made(&self, order: &str, seconds_ago: i64) -> String {
        let mut state = self.shared.state();
        let metadata = [("order".to_owned(), order.into())].into_iter().collect();
        let made = state.add_intent(100, "eur", metadata, false);
        let last = state.intents.last_mut().expect("it was added");
        last["created"] = (number(last, "created") - seconds_ago).into();
        made["id"].as_str().unwrap_or_default().to_owned()
    }

    /// By the order in the metadata.
    pub fn books(&self) -> BTreeMap<String, Book> {
        let state = self.shared.state();
        let mut books = BTreeMap::<String, Book>::new();
        for intent in &state.intents {
            let book = books.entry(intent["metadata"]["order"].as_str().unwrap_or_default().to_owned()).or_default();
            book.intents += 1;
            book.captured += number(intent, "amount_received");
            if intent["status"] == "requires_capture" {
                book.authorised += number(intent, "amount") - number(intent, "amount_received");
            }
            book.refunded += intent["id"].as_str().map(|id| state.refunded(id)).unwrap_or_default();
        }
        books
    }
    /// Of one order; of nothing when it was never asked for it.
    pub fn book(&self, order: &str) -> Book {
        self.books().get(order).copied().unwrap_or_default()
    }

    /// An event as Stripe would send it: its header `Stripe-Signature`, signed at `at` (seconds since 1970), and body.
    pub fn event(&self, intent: &str, kind: &str, secret: &str, at: i64) -> (String, Vec<u8>) {
        let object = self.shared.state().intents.iter().find(|one| one["id"] == intent).cloned();
        let body =
            json!({"id": format!("evt_{kind}_{intent}"), "object": "event", "type": kind, "data": {"object": object}});
        let body = body.to_string().into_bytes();
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
        let tag = ring::hmac::sign(&key, &[at.to_string().as_bytes(), b".", &body].concat());
        let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        (format!("t={at},v1={hex}"), body)
    }
}

impl Drop for Stripe {
    fn drop(&mut self) {
        self.goes_away();
    }
}

impl State {
    /// An intent that is known to stand so stands otherwise.
    fn turns(&mut self, intent: &str, from: &str, to: &str) -> &mut Value {
        let found = self.intents.iter_mut().find(|one| one["id"] == intent && one["status"] == from);
        let found = found.unwrap_or_else(|| panic!("{intent} is not {from}"));
        found["status"] = to.into();
        found["next_action"] = Value::Null;
        found
    }
}
