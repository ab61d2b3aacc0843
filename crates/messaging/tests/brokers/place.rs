//! Where a test's events are: names of its own on the shared servers.
use kernel::Time;
use messaging::{
    Broker, Envelope, EventId, Group, Heard, KafkaSettings, MediaType, NatsSettings, SpecVersion, Subscription,
    open_kafka, open_nats,
};
use serde_json::json;
use std::{
    env,
    sync::Arc,
    time::{Duration, Instant},
};

/// For as long as anything may take: a group's first coming together takes seconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
pub(crate) const ORDERS: &str = "orders";
pub(crate) const PRODUCTS: &str = "products";

#[derive(Clone)]
pub(crate) enum Place {
    Nats(NatsSettings),
    Kafka(KafkaSettings),
}

pub(crate) fn variable(name: &str) -> String {
    env::var(name)
        .unwrap_or_else(|_| panic!("{name} says where a broker is; `cargo xtask test` starts one and sets it"))
}

pub(crate) fn nats() -> Place {
    Place::Nats(nats_at(variable("CLEAVE_TEST_NATS")))
}
pub(crate) fn kafka() -> Place {
    Place::Kafka(kafka_at(variable("CLEAVE_TEST_KAFKA")))
}

pub(crate) fn nats_at(server: String) -> NatsSettings {
    let name = testkit::unique("shop");
    NatsSettings { servers: vec![server], stream: name.clone(), prefix: name, timeout_seconds: 1, ..Default::default() }
}
pub(crate) fn kafka_at(server: String) -> KafkaSettings {
    KafkaSettings {
        servers: vec![server],
        prefix: testkit::unique("shop"),
        partitions: 3,
        replication: 1,
        session_milliseconds: 3000,
        timeout_seconds: 2,
        ..Default::default()
    }
}

impl Place {
    /// As one more process of the shop opens it.
    pub(crate) async fn open(&self) -> Arc<dyn Broker> {
        match self {
            Self::Nats(settings) => open_nats(settings).await,
            Self::Kafka(settings) => open_kafka(settings).await,
        }
        .expect("the settings are good")
    }
    /// Whether an event that is published again is known by its id.
    pub(crate) fn knows_ids(&self) -> bool {
        matches!(self, Self::Nats(_))
    }
}

pub(crate) fn group(name: &'static str, after: Option<u64>) -> Group {
    let kinds = vec![Heard { domain: ORDERS, kind: "order.placed" }, Heard { domain: ORDERS, kind: "order.cancelled" }];
    Group { name, kinds, after }
}

pub(crate) fn event(domain: &str, kind: &str, subject: &str, number: usize) -> Envelope {
    Envelope {
        specversion: SpecVersion::V1,
        id: EventId::new(),
        source: format!("/{domain}"),
        kind: kind.to_owned(),
        subject: subject.to_owned(),
        time: Time::from_micros(1_790_000_000_123_456),
        datacontenttype: MediaType::Json,
        dataschema: "https://shop.example/asyncapi.json#/order.placed".into(),
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
        data: json!({"number": number}),
    }
}
/// So many of each of these subjects, taking turns.
pub(crate) fn events(subjects: &[&str], each: usize) -> Vec<Envelope> {
    let numbers = 0..each;
    numbers.flat_map(|n| subjects.iter().map(move |subject| event(ORDERS, "order.placed", subject, n))).collect()
}

/// What came, and where the last of it stands.
#[derive(Default)]
pub(crate) struct Came {
    pub(crate) events: Vec<Envelope>,
    pub(crate) position: Option<u64>,
}

/// Hears until this many different events came; acknowledges what it hears, when told to.
pub(crate) async fn hear(subscription: &mut dyn Subscription, count: usize, acknowledges: bool) -> Came {
    let mut came = Came::default();
    hear_on(subscription, &mut came, count, acknowledges).await;
    came
}

/// Until this many different events came, with those that came before.
pub(crate) async fn hear_on(subscription: &mut dyn Subscription, came: &mut Came, count: usize, acknowledges: bool) {
    let began = Instant::now();
    while firsts(&came.events).len() < count {
        assert!(began.elapsed() < PATIENCE, "{} of {count} came", came.events.len());
        let most = count - firsts(&came.events).len();
        let batch = subscription.next(most, Duration::from_secs(1)).await.expect("the broker is there");
        assert!(batch.events.len() <= most, "more than asked for");
        if !batch.events.is_empty() {
            came.position = batch.position;
        }
        came.events.extend(batch.events);
        if acknowledges {
            subscription.acknowledge().await.expect("the broker is there");
        }
    }
}

/// As an inbox keeps them: by their ids, each once.
pub(crate) fn firsts(events: &[Envelope]) -> Vec<&Envelope> {
    let mut seen = std::collections::HashSet::new();
    events.iter().filter(|event| seen.insert(event.id)).collect()
}

/// Each subject's events are the same ones in the same order.
pub(crate) fn same_order<'a>(
    came: impl IntoIterator<Item = &'a Envelope>,
    sent: impl IntoIterator<Item = &'a Envelope>,
) {
    let by_subject = |events: &mut dyn Iterator<Item = &'a Envelope>| {
        let mut subjects = std::collections::BTreeMap::<&str, Vec<&Envelope>>::new();
        events.for_each(|event| subjects.entry(&event.subject).or_default().push(event));
        subjects
    };
    assert_eq!(by_subject(&mut came.into_iter()), by_subject(&mut sent.into_iter()));
}
