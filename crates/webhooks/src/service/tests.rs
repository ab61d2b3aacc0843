//! What is done about events, directly: with a database of its own, and nobody who sends.
use super::*;
use crate::{
    domain::{delivery::Outcome, endpoint::NewEndpoint, pattern::Pattern},
    service::{
        hearing::hear,
        pausing::{Dead, conclude},
    },
};
use database::once::{Kept, Once};
use kernel::{Call, Event as _, Principal};
use messaging::{Envelope, EventId, MediaType, SpecVersion};
use outward::Network;
use serde_json::json;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use webhooks_api::WebhookEvent;

/// A clock that the test moves.
#[derive(Default)]
struct Hand(AtomicI64);
impl Clock for Hand {
    fn now(&self) -> Time {
        Time::from_micros(self.0.load(SeqCst))
    }
}

struct World {
    webhooks: Webhooks,
    clock: Arc<Hand>,
    _folder: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let location = database::Location::parse("sqlite:webhooks.db", "webhooks", folder.path(), false).unwrap();
        database::migrate(&location, &crate::MIGRATIONS).unwrap();
        let db = Database::open(&location, "webhooks", database::Settings::default()).unwrap();
        let clock = Arc::new(Hand(AtomicI64::new(1_800_000_000_000_000)));
        let networks: Vec<Network> = vec!["127.0.0.0/8".parse().unwrap()];
        let settings = Settings { allow_http: true, allow_networks: networks, streams: 2, ..Settings::default() };
        let kinds = WebhookEvent::KINDS.to_vec();
        let webhooks = Webhooks::open(db, clock.clone(), kinds, settings).await.unwrap();
        Self { webhooks, clock, _folder: folder }
    }
    fn service(&self) -> Arc<Service> {
        Arc::clone(&self.webhooks.0)
    }
    fn days_pass(&self, days: i64) {
        self.clock.0.fetch_add(days * 24 * 3_600_000_000, SeqCst);
    }
    async fn endpoint(&self, pattern: &str) -> webhooks_api::WebhookEndpointId {
        let service = self.service();
        let url = service.poster.target("http://127.0.0.1:1/").unwrap();
        let patterns = vec![Pattern::parse(pattern, &service.kinds).unwrap()];
        let new = NewEndpoint { url, description: None, patterns };
        let Kept::Fresh(made) = service.add_endpoint(&call(), new, Once::unkeyed()).await.unwrap() else {
            panic!("new")
        };
        made.endpoint.id
    }
    async fn hear(&self, kind: &str, subject: &str) -> EventId {
        let (envelope, now) = (envelope(kind, subject), self.clock.now());
        let id = envelope.id;
        self.hear_again(&envelope, now).await;
        id
    }
    async fn hear_again(&self, envelope: &Envelope, now: Time) {
        let envelope = envelope.clone();
        let heard = self.service().db.write(move |tx| hear(tx, std::slice::from_ref(&envelope), now)).await;
        heard.unwrap();
    }
    async fn deliveries(&self, endpoint: webhooks_api::WebhookEndpointId) -> usize {
        self.service().deliveries(endpoint, None, None, 100).await.unwrap().items.len()
    }
    async fn holds(&self) {
        for check in self.webhooks.audit().await.unwrap() {
            assert_eq!(check.off, 0, "{check:?}");
        }
    }
}

fn call() -> Call {
    Call::begin(Principal::Anonymous, Trace(1), Duration::from_secs(5))
}

fn envelope(kind: &str, subject: &str) -> Envelope {
    Envelope {
        specversion: SpecVersion::V1,
        id: EventId::new(),
        source: "/orders".into(),
        kind: kind.into(),
        subject: subject.into(),
        time: Time::from_micros(0),
        datacontenttype: MediaType::Json,
        dataschema: String::new(),
        traceparent: format!("00-{:032x}-{:016x}-01", 7, 7),
        data: json!({ "available": 1 }),
    }
}

#[tokio::test]
async fn an_event_is_written_once_with_a_delivery_to_each_that_hears_it() {
    let world = World::new().await;
    world.hear("notice.opened", "before").await;
    let (all, notices) = (world.endpoint("*").await, world.endpoint("notice.*").await);
    world.hear("notice.opened", "one").await;
    world.hear("webhook_endpoint.created", "two").await;
    let twice = envelope("notice.opened", "three");
    for _ in 0..2 {
        world.hear_again(&twice, world.clock.now()).await;
    }
    assert_eq!((world.deliveries(all).await, world.deliveries(notices).await), (3, 2));
    let heard = world.webhooks.listener().kinds();
    assert_eq!(heard.len(), WebhookEvent::KINDS.len());
    world.holds().await;
}

#[tokio::test]
async fn staff_is_told_once_until_somebody_has_looked() {
    let world = World::new().await;
    for _ in 0..3 {
        world.hear("stock.low", "var_1").await;
    }
    world.hear("stock.low", "var_2").await;
    let open = world.service().notices(true, None, 10).await.unwrap().items;
    let seen: Vec<_> = open.iter().map(|one| (one.subject.as_str(), one.times)).collect();
    assert_eq!(seen, [("var_2", 1), ("var_1", 3)]);
    world.service().acknowledge(&call(), open[1].id, Once::unkeyed()).await.unwrap();
    world.hear("stock.low", "var_1").await;
    assert_eq!(world.service().notices(true, None, 10).await.unwrap().items.len(), 2);
    assert_eq!(world.service().notices(false, None, 10).await.unwrap().items.len(), 3);
}

#[tokio::test]
async fn an_endpoint_that_fails_for_too_long_is_paused_and_one_that_hears_again_is_not() {
    let world = World::new().await;
    let (service, id) = (world.service(), world.endpoint("*").await);
    let dead = Dead { after: Duration::from_secs(72 * 3600), failures: 3 };
    let tried = async |status| {
        let moment = Moment { now: service.now(), trace: Trace(1) };
        let outcome = Outcome::Answered { status, answer: String::new() };
        service.db.write(move |tx| conclude(tx, id, &outcome, dead, moment)).await.unwrap();
        service.endpoint(id).await.unwrap()
    };
    for _ in 0..5 {
        assert_eq!(tried(500).await.paused, None, "often, and not for long");
    }
    world.days_pass(2);
    assert_eq!(tried(204).await.failures, 0);
    tried(500).await;
    world.days_pass(4);
    assert_eq!(tried(500).await.paused, None, "for long, and not often");
    let paused = tried(500).await;
    assert_eq!(paused.paused.unwrap().reason.as_str(), "failing");
    let notices = service.notices(true, None, 10).await.unwrap().items;
    assert_eq!(notices[0].about, "webhook_endpoint.paused");
    world.hear("notice.opened", "held").await;
    assert_eq!(
        service.deliveries(id, Some(crate::domain::delivery::Status::Held), None, 10).await.unwrap().items.len(),
        1
    );
    world.holds().await;
}

#[tokio::test]
async fn what_is_too_old_goes_and_a_stream_says_so() {
    let world = World::new().await;
    let (service, id) = (world.service(), world.endpoint("notice.*").await);
    world.hear("notice.opened", "old").await;
    world.days_pass(8);
    world.hear("notice.opened", "new").await;
    service.purge().await;
    assert_eq!(world.deliveries(id).await, 2, "kept for longer than the journal");
    let mut stream = Arc::clone(&service).stream(None, None, Some(0)).await.unwrap();
    assert_eq!(stream.next().await, Some(Told::Reset(1)));
    let Some(Told::Event(event)) = stream.next().await else { panic!("the newer one") };
    assert!(event.position == 2 && event.envelope.contains("\"new\""));
    let second = Arc::clone(&service).stream(None, None, None).await.unwrap();
    assert!(matches!(Arc::clone(&service).stream(None, None, None).await, Err(Error::TooManyStreams)));
    drop(second);
    assert!(Arc::clone(&service).stream(None, None, None).await.is_ok());
    world.holds().await;
    world.days_pass(31);
    service.purge().await;
    assert_eq!(world.deliveries(id).await, 0);
    service.delete_endpoint(&call(), id, None).await.unwrap();
    service.purge().await;
    world.holds().await;
}
