//! A domain without a shop: tables, a clock, a broker that notes what it is given, and events about lamps.
use crate::place::PATIENCE;
use database::{Conn, Database, Location, Settings, outbox};
use kernel::{BadEvent, Event, EventKind, SystemClock, Time, Trace, async_trait};
use messaging::{Broker, BrokerError, Envelope, Group, Pace, Relay, Subscription};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};
use tempfile::TempDir;
use uuid::Uuid;

static MIGRATIONS: database::Migrations = database::migrations!("../../migrations/users");

pub(crate) const DOMAIN: &str = "users";
pub(crate) const PACE: Pace = Pace { lease_seconds: 2, tries: 3, keep_told_days: 30, keep_handled_days: 30 };

/// The tables of a domain, which more than one process may open.
pub(crate) struct House {
    location: Location,
    _folder: Option<TempDir>,
}

impl House {
    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let location = Location::parse("sqlite:lamps.db", DOMAIN, folder.path(), false).unwrap();
        Self::migrated(location, Some(folder))
    }
    pub(crate) fn postgres() -> Self {
        let location = Location::parse(&testkit::database("lamps"), DOMAIN, "".as_ref(), false).unwrap();
        Self::migrated(location, None)
    }
    fn migrated(location: Location, folder: Option<TempDir>) -> Self {
        database::migrate(&location, &MIGRATIONS).unwrap();
        Self { location, _folder: folder }
    }
    /// As one more process opens it.
    pub(crate) fn open(&self) -> Database {
        Database::open(&self.location, DOMAIN, Settings { threads: 4, ..Settings::default() }).unwrap()
    }
}

#[derive(serde::Serialize)]
pub(crate) struct Lit {
    pub(crate) number: usize,
    #[serde(skip)]
    pub(crate) lamp: Uuid,
    #[serde(skip)]
    pub(crate) kind: &'static str,
}
pub(crate) const LIT: &str = "lamp.lit";
/// Which the relay's version does not know.
pub(crate) const NEWER: &str = "lamp.newer";

const KIND: EventKind = EventKind {
    name: LIT,
    version: 1,
    domain: DOMAIN,
    prefix: "lamp",
    summary: "Somebody lit it.",
    schema: kernel::EventSchema::of::<String>,
};

impl Event for Lit {
    const KINDS: &'static [EventKind] = &[KIND];
    fn kind(&self) -> &'static str {
        self.kind
    }
    fn subject(&self) -> Uuid {
        self.lamp
    }
    fn read(_: &str, data: &Value) -> Result<Self, BadEvent> {
        let number = data["number"].as_u64().and_then(|number| usize::try_from(number).ok());
        let number = number.ok_or_else(|| BadEvent { kind: LIT.into(), why: "it has no number".into() })?;
        Ok(Self { number, lamp: Uuid::nil(), kind: LIT })
    }
}

pub(crate) fn write(tx: &mut Conn, lamp: Uuid, kind: &'static str, number: usize) -> database::Result<()> {
    outbox::publish(tx, &[Lit { number, lamp, kind }], Time::from_micros(1_790_000_000_000_000), Trace(0))
}
pub(crate) async fn lit(db: &Database, lamp: Uuid, number: usize) {
    db.write(move |tx| write(tx, lamp, LIT, number)).await.unwrap();
}

pub(crate) fn relay(db: &Database, broker: &Arc<Notes>) -> Relay {
    Relay::new(DOMAIN, db.clone(), Lit::KINDS, Arc::clone(broker) as Arc<dyn Broker>, Arc::new(SystemClock), &PACE)
}

/// Notes what it is given, and refuses now and then, after the first few of a batch.
#[derive(Default)]
pub(crate) struct Notes {
    pub(crate) noted: Mutex<Vec<Envelope>>,
    /// It refuses that many more times.
    pub(crate) refuses: AtomicUsize,
    /// It never takes anything of this one.
    pub(crate) never: Mutex<Option<String>>,
}

impl Notes {
    /// Numbers by subject, each event once, as it came first.
    pub(crate) fn firsts(&self) -> BTreeMap<String, Vec<u64>> {
        let noted = self.noted.lock().unwrap();
        let mut all = BTreeMap::<String, Vec<u64>>::new();
        for event in crate::place::firsts(&noted) {
            all.entry(event.subject.clone()).or_default().push(event.data["number"].as_u64().unwrap());
        }
        all
    }
    pub(crate) fn count(&self) -> usize {
        crate::place::firsts(&self.noted.lock().unwrap()).len()
    }
}

#[async_trait]
impl Broker for Notes {
    fn name(&self) -> &'static str {
        "notes"
    }
    async fn publish(&self, events: &[Envelope]) -> Result<(), BrokerError> {
        let never = self.never.lock().unwrap().clone();
        if never.is_some_and(|never| events.iter().any(|event| event.subject == never)) {
            return Err(BrokerError { broker: "notes", why: "too large".into() });
        }
        let refused = self.refuses.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok();
        let kept = if refused { events.len() / 2 } else { events.len() };
        self.noted.lock().unwrap().extend_from_slice(&events[..kept]);
        if refused { Err(BrokerError { broker: "notes", why: "not now".into() }) } else { Ok(()) }
    }
    async fn subscribe(&self, _: &Group) -> Result<Box<dyn Subscription>, BrokerError> {
        Err(BrokerError { broker: "notes", why: "nobody reads them".into() })
    }
    fn is_exclusive(&self) -> bool {
        false
    }
    async fn ping(&self) -> Result<(), BrokerError> {
        Ok(())
    }
}

/// Turns of `work` until `done`.
pub(crate) async fn until(what: &str, mut work: impl AsyncFnMut(), done: impl Fn() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        work().await;
        tokio::time::sleep(Duration::from_millis(5)).await; // between two looks
    }
}
