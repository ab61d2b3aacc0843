//! From an outbox to the broker.
//!
//! Order holds for each subject without anybody waiting for anybody: a process tells what is unpublished in the
//! partitions that it leases, oldest first, and writes down what the broker kept. One that lost a lease without noticing
//! may tell something again, never something earlier than what was not told: what it read as unpublished, the next one
//! read as well.
use crate::{Broker, BrokerError, Envelope, MediaType, Pace, SpecVersion, partitions::Partitions};
use database::{
    Database,
    outbox::{self, Untold},
};
use kernel::{Clock, EventKind};
use metrics::{Counter, Gauge, counter, gauge};
use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use uuid::Uuid;

/// Events handed to the broker at once.
const BATCH: i64 = 256;
/// Unknown events that are told of one by one.
const REMEMBERED: usize = 1000;
/// A broker that keeps us waiting longer is taken for away.
const PATIENCE: Duration = Duration::from_secs(30);

/// Tells what one domain writes.
pub struct Relay {
    domain: &'static str,
    db: Database,
    kinds: BTreeMap<&'static str, EventKind>,
    broker: Arc<dyn Broker>,
    clock: Arc<dyn Clock>,
    partitions: Partitions,
    failures: Mutex<u32>,
    /// Events of unknown kinds that operators were told of.
    unknown: Mutex<HashSet<Uuid>>,
    meter: Meter,
}

struct Meter {
    length: Gauge,
    age: Gauge,
    told: Counter,
    failed: Counter,
}

#[derive(Debug, thiserror::Error)]
enum Stopped {
    #[error(transparent)]
    Database(#[from] database::Error),
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

impl Relay {
    /// `kinds` are what the domain tells; an event of another kind waits for a process that knows it.
    pub fn new(
        domain: &'static str,
        db: Database,
        kinds: &[EventKind],
        broker: Arc<dyn Broker>,
        clock: Arc<dyn Clock>,
        pace: &Pace,
    ) -> Self {
        db.hear();
        let meter = Meter {
            length: gauge!("cleave_outbox_events", "domain" => domain),
            age: gauge!("cleave_outbox_oldest_seconds", "domain" => domain),
            told: counter!("cleave_outbox_told_total", "domain" => domain, "broker" => broker.name()),
            failed: counter!("cleave_outbox_failures_total", "domain" => domain, "broker" => broker.name()),
        };
        let kinds = kinds.iter().filter(|kind| kind.domain == domain).map(|kind| (kind.name, *kind)).collect();
        let partitions = Partitions::new(pace.lease());
        Self { domain, db, kinds, broker, clock, partitions, failures: Mutex::new(0), unknown: Mutex::default(), meter }
    }

    /// Tells until nothing is left. Safe to drop at any moment: what was not written down is told again.
    pub async fn turn(&self) {
        match self.tell().await {
            Ok(()) => *self.failures.lock().unwrap_or_else(PoisonError::into_inner) = 0,
            Err(error) => {
                self.meter.failed.increment(1);
                let pause = self.pause();
                tracing::warn!(domain = self.domain, %error, ?pause, "events wait");
                self.measure().await;
                tokio::time::sleep(pause).await; // the back-off: whoever wakes us meanwhile is heard after it
            }
        }
        self.measure().await;
    }

    /// The partitions that were this process's at its last look.
    pub fn partitions(&self) -> Vec<i64> {
        self.partitions.known()
    }

    /// Lets others go on at once.
    pub async fn end(&self) {
        self.partitions.release(&self.db).await;
    }

    /// Doubles with each failure in a row.
    fn pause(&self) -> Duration {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        *failures = failures.saturating_add(1);
        Duration::from_millis(100) * 2_u32.pow(failures.min(6))
    }

    async fn tell(&self) -> Result<(), Stopped> {
        // An idle shop writes nothing: leases end, and are taken again when there is something to tell.
        if !self.db.read(outbox::is_waiting).await? {
            return Ok(());
        }
        let mut passed = Passed::default();
        loop {
            let held = self.partitions.held(&self.db).await?;
            if held.is_empty() {
                return self.others().await;
            }
            let (mine, after) = (held.clone(), passed.until);
            let untold = self.db.read(move |conn| outbox::untold(conn, &mine, after, BATCH)).await?;
            let Some(last) = untold.last().map(|last| last.position) else {
                return if held.len() < outbox::PARTITIONS as usize { self.others().await } else { Ok(()) };
            };
            let (positions, envelopes): (Vec<_>, Vec<_>) =
                untold.into_iter().filter_map(|event| self.wrapped(event, &mut passed)).unzip();
            if positions.is_empty() {
                passed.until = last;
                continue;
            }
            let kept = tokio::time::timeout(PATIENCE, self.broker.publish(&envelopes)).await;
            let late = BrokerError { broker: self.broker.name(), why: format!("no answer within {PATIENCE:?}") };
            kept.unwrap_or(Err(late))?;
            self.meter.told.increment(envelopes.len() as u64);
            let now = self.clock.now();
            self.db.write(move |tx| outbox::told(tx, &positions, now)).await?;
        }
    }

    /// What is in partitions that are not ours is for others, who may not know of it.
    async fn others(&self) -> Result<(), Stopped> {
        if self.db.read(outbox::is_waiting).await? {
            self.db.say().await?;
        }
        Ok(())
    }

    fn wrapped(&self, event: Untold, passed: &mut Passed) -> Option<(i64, Envelope)> {
        let known = self.kinds.get(event.kind.as_str());
        let (Some(kind), false) = (known, passed.subjects.contains(&event.subject)) else {
            if passed.subjects.insert(event.subject) && self.first_seen(event.id) {
                let (kind, id) = (event.kind, event.id);
                tracing::error!(
                    domain = self.domain, kind, %id,
                    "this version does not know the event: it waits for one that does, and so do later ones of its subject"
                );
            }
            return None;
        };
        Some((event.position, envelope(self.domain, kind, event)))
    }

    /// What waits is met at every turn, and told of once.
    fn first_seen(&self, event: Uuid) -> bool {
        let mut seen = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
        seen.len() < REMEMBERED && seen.insert(event)
    }

    async fn measure(&self) {
        match self.db.read(outbox::waiting).await {
            Ok((length, oldest)) => {
                let age = oldest.map_or(0, |oldest| self.clock.now().micros().saturating_sub(*oldest.micros()).max(0));
                self.meter.length.set(length as f64);
                self.meter.age.set(age as f64 / 1e6);
            }
            Err(error) => tracing::debug!(domain = self.domain, %error, "the outbox cannot be measured"),
        }
    }
}

/// What a turn leaves: events of kinds that this version does not know, and what came later to their subjects.
#[derive(Default)]
struct Passed {
    subjects: HashSet<Uuid>,
    /// Everything unpublished up to here was left.
    until: i64,
}

/// Whatever was written to an outbox, in the form in which it travels.
pub fn envelope(domain: &str, kind: &EventKind, event: Untold) -> Envelope {
    let id: crate::EventId = event.id.into();
    let span = event.id.as_u64_pair().1;
    // All zeros are no trace: the event is the begin of one.
    let trace = match event.trace.bytes().any(|digit| digit != b'0') {
        true => event.trace,
        false => event.id.simple().to_string(),
    };
    Envelope {
        specversion: SpecVersion::V1,
        id,
        source: format!("/{domain}"),
        kind: event.kind,
        subject: kernel::type_id(kind.prefix, event.subject).to_string(),
        time: event.occurred_at,
        datacontenttype: MediaType::Json,
        dataschema: kind.schema_place(),
        traceparent: format!("00-{trace}-{span:016x}-01"),
        data: event.payload,
    }
}
