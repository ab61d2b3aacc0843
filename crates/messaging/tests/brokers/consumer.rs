//! Into an inbox and out of it: an event has its effect once, and one that fails holds back its subject only.
use crate::{
    house::{DOMAIN, House, LIT, Lit, PACE, until},
    place::event,
};
use database::{Conn, Database, inbox, leases};
use kernel::SystemClock;
use messaging::{Broker, Consumer, Envelope, Group, InProcess, Listener, NotHandled};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};
use uuid::Uuid;

macro_rules! on_both {
    ($($body:ident),* $(,)?) => {
        mod sqlite { $(#[tokio::test(flavor = "multi_thread")] async fn $body() { super::$body(crate::house::House::sqlite()).await })* }
        mod postgres { $(#[tokio::test(flavor = "multi_thread")] async fn $body() { super::$body(crate::house::House::postgres()).await })* }
    };
}
on_both!(
    twice_is_once_and_subjects_keep_their_order,
    one_that_fails_holds_back_its_subject_only,
    a_dead_one_is_tried_again_or_left,
);

/// A domain that writes down what it handled, in the transaction that marks it.
struct Listens {
    db: Database,
    broker: Arc<InProcess>,
    consumer: Arc<Consumer>,
    /// Subjects that cannot be handled now.
    stuck: Arc<AtomicBool>,
}

const STUCK: &str = "lamp_stuck";

/// A lease nobody else takes is a row like any other: what was handled, by order.
fn note(tx: &mut Conn, event: &Envelope, number: usize) -> database::Result<()> {
    let name = format!("note.{}.{:06}.{}", event.subject, number, Uuid::now_v7());
    leases::take(tx, &name, Uuid::nil(), Duration::from_secs(3600)).map(drop)
}

impl Listens {
    fn to(house: &House) -> Self {
        let (db, stuck) = (house.open(), Arc::new(AtomicBool::new(false)));
        let is_stuck = Arc::clone(&stuck);
        let listener = Listener::default().on::<Lit>(&[LIT], move |tx, lit, event| {
            note(tx, event, lit.number)?;
            if event.subject == STUCK && is_stuck.load(SeqCst) {
                return Err(NotHandled::Refused("it is stuck".into()));
            }
            Ok(())
        });
        let group = Group { name: DOMAIN, kinds: listener.kinds(), after: None };
        let broker = Arc::new(InProcess::new([group]));
        let as_any = Arc::clone(&broker) as Arc<dyn Broker>;
        let consumer = Consumer::new(DOMAIN, db.clone(), listener, as_any, Arc::new(SystemClock), &PACE);
        Self { db, broker, consumer: Arc::new(consumer), stuck }
    }
    /// Told, and kept by the inbox.
    async fn hears(&self, events: &[Envelope]) {
        let consumer = Arc::clone(&self.consumer);
        let receives = tokio::spawn(async move { consumer.receive().await });
        self.broker.publish(events).await.unwrap();
        receives.abort();
        let _ = receives.await;
    }
    /// What was handled: subject and number.
    async fn handled(&self) -> Vec<(String, usize)> {
        let notes = self.db.read(|conn| leases::owners(conn, "note.")).await.unwrap();
        let read = |(name, _): (String, Uuid)| {
            let mut words = name.split('.').skip(1).map(str::to_owned);
            (words.next().unwrap(), words.next().unwrap().parse().unwrap())
        };
        notes.into_iter().map(read).collect()
    }
    async fn waiting(&self) -> (i64, i64) {
        let (waits, _, dead) = self.db.read(inbox::waiting).await.unwrap();
        (waits, dead)
    }
}

fn lit(subject: &str, number: usize) -> Envelope {
    event(DOMAIN, LIT, subject, number)
}

async fn twice_is_once_and_subjects_keep_their_order(house: House) {
    let domain = Listens::to(&house);
    let events: Vec<Envelope> =
        (0..100).flat_map(|number| ["lamp_a", "lamp_b", "lamp_c"].map(|lamp| lit(lamp, number))).collect();
    domain.hears(&events).await;
    domain.hears(&events[100..]).await;
    domain.consumer.handle().await;
    domain.hears(&events).await;
    domain.consumer.handle().await;
    assert_eq!(domain.waiting().await, (0, 0));
    let wanted = ["lamp_a", "lamp_b", "lamp_c"].map(|lamp| (0..100).map(move |n| (lamp.to_owned(), n)));
    assert_eq!(domain.handled().await, wanted.into_iter().flatten().collect::<Vec<_>>(), "each once");
}

async fn one_that_fails_holds_back_its_subject_only(house: House) {
    let domain = Listens::to(&house);
    domain.stuck.store(true, SeqCst);
    domain.hears(&[lit(STUCK, 0), lit("lamp_a", 0), lit(STUCK, 1), lit("lamp_a", 1)]).await;
    domain.consumer.handle().await;
    let others = vec![("lamp_a".to_owned(), 0), ("lamp_a".to_owned(), 1)];
    assert_eq!(domain.handled().await, others, "what failed left nothing");
    assert_eq!(domain.waiting().await, (2, 0));
    domain.stuck.store(false, SeqCst);
    let left = Arc::new(Mutex::new(2));
    let work = async || {
        domain.consumer.handle().await;
        *left.lock().unwrap() = domain.waiting().await.0;
    };
    until("it is tried again by itself", work, || *left.lock().unwrap() == 0).await;
    let handled = domain.handled().await;
    assert_eq!(handled[2..], [(STUCK.to_owned(), 0), (STUCK.to_owned(), 1)]);
}

async fn a_dead_one_is_tried_again_or_left(house: House) {
    let domain = Listens::to(&house);
    domain.stuck.store(true, SeqCst);
    let events = [lit(STUCK, 0), lit(STUCK, 1)];
    domain.hears(&events).await;
    let dead = Arc::new(Mutex::new(0));
    let work = async || {
        domain.consumer.handle().await;
        *dead.lock().unwrap() = domain.waiting().await.1;
    };
    until("it is given up", work, || *dead.lock().unwrap() == 1).await;
    let found = domain.db.read(|conn| inbox::dead(conn, 10)).await.unwrap();
    assert_eq!((found[0].id, found[0].tries), (*events[0].id.uuid(), PACE.tries));
    assert_eq!(found[0].error.as_deref(), Some("it is stuck"));
    assert_eq!(domain.db.read(inbox::held_back).await.unwrap(), 1, "its successor waits");
    // Given up again, then left for good: what waits behind goes on.
    assert_eq!(domain.db.write(|tx| inbox::redrive(tx, None)).await.unwrap(), 1);
    *dead.lock().unwrap() = 0;
    until("it is given up again", work, || *dead.lock().unwrap() == 1).await;
    let id = *events[0].id.uuid();
    domain.stuck.store(false, SeqCst);
    assert!(domain.db.write(move |tx| inbox::discard(tx, id)).await.unwrap());
    assert!(!domain.db.write(move |tx| inbox::discard(tx, id)).await.unwrap(), "it is not among them any more");
    domain.consumer.handle().await;
    assert_eq!(domain.handled().await, [(STUCK.to_owned(), 1)]);
    assert_eq!(domain.waiting().await, (0, 0));
    assert_eq!(inbox::purge(&domain.db, Duration::ZERO).await.unwrap(), 2);
}
