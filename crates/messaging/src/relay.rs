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
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use uuid::Uuid;

/// Events handed to the broker at once.
const BATCH: i64 = 256;
/// So many subjects refused one after another are no matter of subjects.
const IN_A_ROW: usize = 4;
const SAY_AGAIN: Duration = Duration::from_millis(500);
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
    said: Mutex<Option<Instant>>,
    /// The last event of an unknown kind that operators were told of.
    stranger: Mutex<Option<Uuid>>,
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
        let (failures, said, stranger) = Default::default();
        Self { domain, db, kinds, broker, clock, partitions, failures, said, stranger, meter }
    }

    /// Tells until nothing is left. Safe to drop at any moment: what was not written down is told again.
    pub async fn turn(&self) {
        match self.tell().await {
            Ok(()) => *lock(&self.failures) = 0,
            Err(error) => {
                self.meter.failed.increment(1);
                // Another process may have more luck.
                self.partitions.release(&self.db).await;
                let pause = self.pause();
                tracing::warn!(domain = self.domain, %error, ?pause, "events wait");
                tokio::time::sleep(pause).await; // the back-off: whoever wakes us meanwhile is heard after it
            }
        }
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
        let mut failures = lock(&self.failures);
        *failures = failures.saturating_add(1);
        Duration::from_millis(100) * 2_u32.pow(failures.min(6))
    }

    fn names(&self) -> Vec<&'static str> {
        self.kinds.keys().copied().collect()
    }

    async fn tell(&self) -> Result<(), Stopped> {
        // An idle shop writes nothing: leases end, and are taken again when there is something to tell.
        let names = self.names();
        if !self.db.read(move |conn| outbox::is_waiting(conn, &names)).await? {
            return Ok(());
        }
        let mut refused = Refused::default();
        loop {
            let held = self.partitions.held(&self.db).await?;
            let (all, names, without) =
                (held.len() == outbox::PARTITIONS as usize, self.names(), refused.subjects.clone());
            let untold = self.db.read(move |conn| outbox::untold(conn, &held, &names, &without, BATCH)).await?;
            // What is written from here on asks for a turn of its own.
            let last = untold.len() < BATCH as usize;
            if untold.is_empty() {
                return self.ended(all, refused).await;
            }
            let told = self.hand_over(untold, &mut refused).await?;
            let now = self.clock.now();
            self.meter.told.increment(told.len() as u64);
            self.db.write(move |tx| outbox::told(tx, &told, now)).await?;
            if last {
                return self.ended(all, refused).await;
            }
        }
    }

    /// Nothing is left in the partitions held here, which are perhaps not all.
    async fn ended(&self, all: bool, refused: Refused) -> Result<(), Stopped> {
        if !all {
            self.others().await?;
        }
        refused.end()
    }

    /// Their positions, as far as the broker has them. All at once; where the broker is there and refuses, subject by
    /// subject, so that what it does not take holds back its own only.
    async fn hand_over(&self, untold: Vec<Untold>, refused: &mut Refused) -> Result<Vec<i64>, Stopped> {
        let wrapped: Vec<(i64, Uuid, Envelope)> = untold.into_iter().filter_map(|event| self.wrapped(event)).collect();
        let all: Vec<Envelope> = wrapped.iter().map(|(_, _, envelope)| envelope.clone()).collect();
        let Err(error) = self.publish(&all).await else {
            return Ok(wrapped.into_iter().map(|(position, ..)| position).collect());
        };
        if self.broker.ping().await.is_err() {
            return Err(error.into());
        }
        let mut subjects = BTreeMap::<Uuid, (Vec<i64>, Vec<Envelope>)>::new();
        for (position, subject, envelope) in wrapped {
            let (positions, envelopes) = subjects.entry(subject).or_default();
            positions.push(position);
            envelopes.push(envelope);
        }
        let (mut told, mut in_a_row) = (Vec::new(), 0);
        for (subject, (positions, envelopes)) in subjects {
            match self.publish(&envelopes).await {
                Ok(()) => {
                    told.extend(positions);
                    in_a_row = 0;
                }
                Err(error) if in_a_row == IN_A_ROW => return Err(error.into()),
                Err(error) => {
                    in_a_row += 1;
                    refused.subjects.push(subject);
                    refused.why = Some(error);
                }
            }
        }
        Ok(told)
    }

    async fn publish(&self, envelopes: &[Envelope]) -> Result<(), BrokerError> {
        let late = BrokerError { broker: self.broker.name(), why: format!("no answer within {PATIENCE:?}") };
        tokio::time::timeout(PATIENCE, self.broker.publish(envelopes)).await.unwrap_or(Err(late))
    }

    /// What is in partitions that are not ours is for others, who may not know of it. Now and then: what is said is heard
    /// here as well.
    async fn others(&self) -> Result<(), Stopped> {
        let names = self.names();
        let is_due = lock(&self.said).is_none_or(|said| said.elapsed() > SAY_AGAIN);
        if is_due && self.db.read(move |conn| outbox::is_waiting(conn, &names)).await? {
            *lock(&self.said) = Some(Instant::now());
            self.db.say().await?;
        }
        Ok(())
    }

    fn wrapped(&self, event: Untold) -> Option<(i64, Uuid, Envelope)> {
        let kind = self.kinds.get(event.kind.as_str())?;
        Some((event.position, event.subject, envelope(self.domain, kind, event)))
    }

    /// How much waits, and since when: apart from telling, which may hang for as long as a broker does.
    pub async fn measure(&self) {
        let names = self.names();
        let look = move |conn: &mut database::Conn| Ok((outbox::waiting(conn)?, outbox::stranger(conn, &names)?));
        let looked: Result<_, database::Error> = self.db.read(look).await;
        match looked {
            Ok(((length, oldest), stranger)) => {
                let age = oldest.map_or(0, |oldest| self.clock.now().micros().saturating_sub(*oldest.micros()).max(0));
                self.meter.length.set(length as f64);
                self.meter.age.set(age as f64 / 1e6);
                stranger.into_iter().for_each(|(id, kind)| self.complain(id, &kind));
            }
            Err(error) => tracing::debug!(domain = self.domain, %error, "the outbox cannot be measured"),
        }
    }

    /// It is met at every look, and told of once.
    fn complain(&self, id: Uuid, kind: &str) {
        if lock(&self.stranger).replace(id) != Some(id) {
            tracing::error!(
                domain = self.domain, kind, %id,
                "this version does not know the event: it waits for one that does, and so do later ones of its subject"
            );
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Subjects that the broker did not take in this turn, and why it did not take the last of them.
#[derive(Default)]
struct Refused {
    subjects: Vec<Uuid>,
    why: Option<BrokerError>,
}

impl Refused {
    fn end(self) -> Result<(), Stopped> {
        self.why.map_or(Ok(()), |why| Err(why.into()))
    }
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
