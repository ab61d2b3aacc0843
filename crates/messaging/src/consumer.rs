//! From the broker to a domain: its inbox first, then what the domain does about it.
//!
//! What comes is kept before it is acknowledged, so the broker's memory need not outlast a crash; what is kept is handled
//! in a transaction that also says so, so it has its effect once.
use crate::{Batch, Broker, BrokerError, Envelope, Group, Listener, NotHandled, Pace, Subscription};
use database::{
    Conn, Database,
    inbox::{self, Arrived, Due},
    leases,
};
use kernel::Clock;
use metrics::{Counter, Gauge, counter, gauge};
use std::{
    collections::HashSet,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::{Mutex, Notify};
use uuid::Uuid;

/// Events kept at once, and handled in one transaction.
const KEPT: usize = 256;
const HANDLED: i64 = 64;
/// How long a subscription is waited for before leases are renewed.
const WAIT: Duration = Duration::from_secs(2);
/// From a few that were received to the next.
const GATHER: Duration = Duration::from_millis(20);

const RECEIVES: &str = "consumer.receive";
const HANDLES: &str = "consumer.handle";

/// A domain that listens.
pub struct Consumer {
    group: Group,
    db: Database,
    listener: Listener,
    broker: Arc<dyn Broker>,
    clock: Arc<dyn Clock>,
    owner: Uuid,
    lease: Duration,
    tries: i64,
    /// Something was kept.
    kept: Arc<Notify>,
    subscription: Mutex<Option<Box<dyn Subscription>>>,
    /// When the lease to hear was renewed last.
    renewed: std::sync::Mutex<Option<Instant>>,
    meter: Meter,
}

struct Meter {
    received: Counter,
    repeated: Counter,
    handled: Counter,
    failed: Counter,
    waiting: Gauge,
    age: Gauge,
    dead: Gauge,
    behind: Gauge,
}

#[derive(Debug, thiserror::Error)]
enum Stopped {
    #[error(transparent)]
    Database(#[from] database::Error),
    #[error(transparent)]
    Broker(#[from] BrokerError),
    #[error("another process receives now")]
    Lost,
}

impl Consumer {
    pub fn new(
        domain: &'static str,
        db: Database,
        listener: Listener,
        broker: Arc<dyn Broker>,
        clock: Arc<dyn Clock>,
        pace: &Pace,
    ) -> Self {
        let group = Group { name: domain, kinds: listener.kinds(), after: None };
        let meter = Meter {
            received: counter!("cleave_inbox_received_total", "domain" => domain),
            repeated: counter!("cleave_inbox_repeated_total", "domain" => domain),
            handled: counter!("cleave_inbox_handled_total", "domain" => domain),
            failed: counter!("cleave_inbox_failures_total", "domain" => domain),
            waiting: gauge!("cleave_inbox_events", "domain" => domain),
            age: gauge!("cleave_inbox_oldest_seconds", "domain" => domain),
            dead: gauge!("cleave_inbox_dead_events", "domain" => domain),
            behind: gauge!("cleave_inbox_behind_events", "domain" => domain),
        };
        let (owner, kept) = (Uuid::now_v7(), Arc::new(Notify::new()));
        let (lease, tries) = (pace.lease(), pace.tries);
        let subscription = Mutex::new(None);
        Self {
            group,
            db,
            listener,
            broker,
            clock,
            owner,
            lease,
            tries,
            kept,
            subscription,
            renewed: std::sync::Mutex::default(),
            meter,
        }
    }

    /// Woken when something was kept.
    pub fn kept(&self) -> Arc<Notify> {
        Arc::clone(&self.kept)
    }

    /// Receives for as long as it goes well, and is this process's to do. Safe to drop at any moment.
    pub async fn receive(&self) {
        let mut held = self.subscription.lock().await;
        loop {
            if let Err(error) = self.receive_some(&mut held).await {
                *held = None;
                match error {
                    Stopped::Lost => (),
                    error => {
                        tracing::warn!(domain = self.group.name, %error, "events are not received");
                        // Another process may have more luck.
                        self.let_go(RECEIVES).await;
                    }
                }
                return;
            }
        }
    }

    async fn receive_some(&self, held: &mut Option<Box<dyn Subscription>>) -> Result<(), Stopped> {
        let exclusive = self.broker.is_exclusive();
        if exclusive {
            self.be_alone(held.is_some()).await?;
        }
        // Out of its place meanwhile: whoever drops this between keeping and acknowledging begins anew.
        let mut subscription = match held.take() {
            Some(subscription) => subscription,
            None => self.subscribe().await?,
        };
        let batch = subscription.next(KEPT, WAIT).await?;
        if let Some(behind) = batch.behind {
            self.meter.behind.set(behind as f64);
        }
        let some = (1..KEPT).contains(&batch.events.len());
        if !batch.events.is_empty() {
            self.keep(batch, exclusive).await?;
            subscription.acknowledge().await?;
        }
        *held = Some(subscription);
        if some {
            // More come soon in a busy shop: they are kept together.
            tokio::time::sleep(GATHER).await;
        }
        Ok(())
    }

    /// Where only one process may hear: takes the lease, or renews it when a third of its time has passed.
    async fn be_alone(&self, hears: bool) -> Result<(), Stopped> {
        let renewed = *self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        if hears && renewed.is_some_and(|renewed| renewed.elapsed() < self.lease / 3) {
            return Ok(());
        }
        let (owner, lease, now) = (self.owner, self.lease, Instant::now());
        if !self.db.write(move |tx| leases::take(tx, RECEIVES, owner, lease)).await? {
            return Err(Stopped::Lost);
        }
        *self.renewed.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        Ok(())
    }

    async fn subscribe(&self) -> Result<Box<dyn Subscription>, Stopped> {
        let stream = self.broker.name();
        let after = self.db.read(move |conn| inbox::heard_until(conn, stream)).await?;
        let after = after.and_then(|position| u64::try_from(position).ok());
        Ok(self.broker.subscribe(&Group { after, ..self.group.clone() }).await?)
    }

    async fn keep(&self, batch: Batch, exclusive: bool) -> Result<(), Stopped> {
        let now = self.clock.now();
        let arrived: Vec<Arrived> = batch.events.iter().map(|event| arrived(event, now)).collect();
        let (owner, lease, stream) = (self.owner, self.lease, self.broker.name());
        let position = batch.position.and_then(|position| i64::try_from(position).ok());
        let (came, unit) = (arrived.len(), move |tx: &mut Conn| {
            if exclusive && !leases::hold(tx, RECEIVES, owner, lease)? {
                return Ok(None);
            }
            if let Some(position) = position {
                inbox::heard(tx, stream, position)?;
            }
            inbox::keep(tx, &arrived).map(Some)
        });
        let new = self.db.write(unit).await?.ok_or(Stopped::Lost)?;
        self.meter.received.increment(new as u64);
        self.meter.repeated.increment((came - new) as u64);
        self.kept.notify_one();
        Ok(())
    }

    /// Handles what is due, where no other process does. Safe to drop at any moment.
    pub async fn handle(&self) {
        if let Err(error) = self.handle_due().await {
            tracing::warn!(domain = self.group.name, %error, "events wait in the inbox");
        }
    }

    async fn handle_due(&self) -> Result<(), database::Error> {
        let (owner, lease) = (self.owner, self.lease);
        if self.due(1).await?.is_empty() {
            return Ok(());
        }
        if !self.db.write(move |tx| leases::take(tx, HANDLES, owner, lease)).await? {
            return Ok(());
        }
        loop {
            let due = self.due(HANDLED).await?;
            if due.is_empty() {
                return Ok(());
            }
            // What is kept from here on asks for a turn of its own.
            let last = due.len() < HANDLED as usize;
            match self.handle_all(due.clone()).await {
                Ok(true) if last => return Ok(()),
                Ok(true) => (),
                Ok(false) => return Ok(()),
                Err(error) if is_outage(&error) => return Err(outage(error)),
                Err(_) => {
                    if !self.handle_each(due).await? {
                        return Ok(());
                    }
                }
            }
        }
    }

    async fn due(&self, limit: i64) -> Result<Vec<Due>, database::Error> {
        let kinds: Vec<&'static str> = self.group.kinds.iter().map(|heard| heard.kind).collect();
        self.db.read(move |conn| inbox::due(conn, &kinds, limit)).await
    }

    /// All of them or none. `false`: another process handles now.
    async fn handle_all(&self, due: Vec<Due>) -> Result<bool, NotHandled> {
        let (owner, lease, listener, many) = (self.owner, self.lease, self.listener.clone(), due.len());
        let unit = move |tx: &mut Conn| {
            if !leases::hold(tx, HANDLES, owner, lease)? {
                return Ok(false);
            }
            handle_together(tx, &listener, &due)?;
            Ok::<_, NotHandled>(true)
        };
        let done = self.db.write(unit).await?;
        self.meter.handled.increment(if done { many as u64 } else { 0 });
        Ok(done)
    }

    /// One after the other; one that fails holds back the rest of its subject only.
    async fn handle_each(&self, due: Vec<Due>) -> Result<bool, database::Error> {
        let mut held_back = HashSet::new();
        for event in due {
            if held_back.contains(&event.subject) {
                continue;
            }
            match self.handle_all(vec![event.clone()]).await {
                Ok(true) => (),
                Ok(false) => return Ok(false),
                Err(error) if is_outage(&error) => return Err(outage(error)),
                Err(error) => {
                    self.fail(&event, &error).await?;
                    held_back.insert(event.subject);
                }
            }
        }
        Ok(true)
    }

    async fn fail(&self, event: &Due, error: &NotHandled) -> Result<(), database::Error> {
        self.meter.failed.increment(1);
        let (tried, subject, kind) = (event.tries + 1, &event.subject, &event.kind);
        let again = (tried < self.tries).then(|| back_off(tried));
        let domain = self.group.name;
        match again {
            Some(again) => {
                tracing::warn!(domain, kind, subject, tried, ?again, %error, "an event could not be handled")
            }
            None => tracing::error!(
                domain, kind, subject, tried, %error,
                "an event is given up, and later ones of its subject wait behind it: see `cleave events list`"
            ),
        }
        let (position, why) = (event.position, bounded(&error.to_string()));
        self.db.write(move |tx| inbox::failed(tx, position, &why, again)).await
    }

    /// Lets another process go on at once.
    pub async fn end(&self) {
        let owner = self.owner;
        if let Err(error) = self.db.write(move |tx| leases::release(tx, owner)).await {
            tracing::debug!(%error, "leases end by themselves");
        }
    }

    async fn let_go(&self, lease: &'static str) {
        *self.renewed.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let owner = self.owner;
        if let Err(error) = self.db.write(move |tx| leases::release_one(tx, lease, owner)).await {
            tracing::debug!(%error, "a lease ends by itself");
        }
    }

    /// How much waits, and since when: apart from handling, which counted all that waits with each event that came.
    pub async fn measure(&self) {
        if let Ok((length, oldest, dead)) = self.db.read(inbox::waiting).await {
            let age = oldest.map_or(0, |oldest| self.clock.now().micros().saturating_sub(*oldest.micros()).max(0));
            self.meter.waiting.set(length as f64);
            self.meter.age.set(age as f64 / 1e6);
            self.meter.dead.set(dead as f64);
        }
    }
}

fn arrived(event: &Envelope, now: kernel::Time) -> Arrived {
    Arrived {
        id: *event.id.uuid(),
        kind: event.kind.clone(),
        subject: event.subject.clone(),
        event: serde_json::to_value(event).expect("an envelope is plain data"),
        received_at: now,
        tries: 0,
    }
}

fn handle_together(tx: &mut Conn, listener: &Listener, due: &[Due]) -> Result<(), NotHandled> {
    let positions: Vec<i64> = due.iter().map(|event| event.position).collect();
    // First, so that whoever else handles them waits here for the end of this transaction.
    let ours = inbox::handled(tx, &positions)?;
    let read = |event: &Due| {
        let read: Result<Envelope, _> = serde::Deserialize::deserialize(&event.event);
        read.map_err(|error| NotHandled::Refused(format!("it is no envelope: {error}")))
    };
    let envelopes =
        due.iter().filter(|event| ours.contains(&event.position)).map(read).collect::<Result<Vec<_>, _>>()?;
    listener.handle(tx, &envelopes)
}

/// The database's trouble, not the event's.
fn is_outage(error: &NotHandled) -> bool {
    use database::Error::{Busy, Unavailable, Unknown};
    matches!(error, NotHandled::Database(Busy | Unavailable(_) | Unknown(_)))
}
fn outage(error: NotHandled) -> database::Error {
    match error {
        NotHandled::Database(error) => error,
        other => database::Error::Unavailable(other.to_string()),
    }
}

/// One second, doubling up to five minutes.
fn back_off(tried: i64) -> Duration {
    let doublings = u32::try_from(tried - 1).unwrap_or(0).min(9);
    Duration::from_secs(2_u64.pow(doublings)).min(Duration::from_secs(300))
}

/// What is kept of an error's words.
fn bounded(text: &str) -> String {
    text.chars().take(2000).collect()
}
