//! Kafka in its own trouble. What stands for a cluster here keeps what it has in memory, so it is its network that
//! breaks.
use crate::{
    away::{self, Server, fails, in_time, subscribed},
    place::{ORDERS, PATIENCE, Place, event, events, firsts, group, hear, kafka_at, same_order, variable},
};
use launch::Tansu;
use messaging::{Envelope, KafkaSettings, SaslMechanism, SaslSettings, TlsSettings, open_kafka};
use rdkafka::{
    ClientConfig,
    producer::{FutureProducer, FutureRecord},
};
use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use testkit::Proxy;

/// Publishes what is none of ours, where the subject's events are.
pub(crate) async fn say(settings: &KafkaSettings, domain: &str, subject: &str, text: &str) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", settings.servers.join(",")).set("partitioner", "murmur2_random");
    let producer: FutureProducer = config.create().unwrap();
    let topic = format!("{}.{domain}", settings.prefix);
    producer.send(FutureRecord::to(&topic).key(subject).payload(text), PATIENCE).await.unwrap();
}

/// A server, and the network before it.
struct Behind {
    proxy: Proxy,
    _tansu: Tansu,
    _folder: TempDir,
}

impl Behind {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut proxy = None;
        let tansu = Tansu::start_behind(Path::new(&variable("CLEAVE_TEST_KAFKA_SERVER")), folder.path(), |own| {
            proxy.insert(Proxy::start("127.0.0.1:0".parse().unwrap(), own).unwrap()).address()
        });
        Self { _tansu: tansu.unwrap(), proxy: proxy.unwrap(), _folder: folder }
    }
    fn settings(&self) -> KafkaSettings {
        kafka_at(self.proxy.address().to_string())
    }
}

impl Server for Behind {
    fn goes(&mut self) {
        self.proxy.refuse();
        self.proxy.cut();
    }
    fn comes_back(&mut self) {
        self.proxy.take();
    }
}

#[tokio::test]
async fn a_server_that_is_away_is_waited_for() {
    let mut behind = Behind::start();
    behind.goes();
    away::comes_and_goes(Place::Kafka(behind.settings()), behind).await;
}

#[tokio::test]
async fn order_outlives_answers_that_are_lost() {
    let behind = Behind::start();
    let broker = open_kafka(&behind.settings()).await.unwrap();
    let sent = events(&["order_a", "order_b", "order_c"], 10);
    broker.publish(&sent[..6]).await.unwrap();
    // It is kept there, and nobody here hears so.
    behind.proxy.swallow_answers();
    fails(broker.publish(&sent[6..])).await;
    behind.proxy.deliver_answers();
    in_time("publish", || broker.publish(&sent[6..])).await;
    let mut subscription = broker.subscribe(&group("stock", None)).await.unwrap();
    let came = hear(&mut *subscription, sent.len(), true).await;
    same_order(firsts(&came.events), &sent);
}

#[tokio::test]
async fn a_cluster_that_lost_its_topics_gets_them_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut tansu = Tansu::start(Path::new(&variable("CLEAVE_TEST_KAFKA_SERVER")), folder.path()).unwrap();
    let broker = open_kafka(&kafka_at(tansu.address().to_string())).await.unwrap();
    broker.publish(&events(&["order_a"], 3)).await.unwrap();
    tansu.kill().unwrap();
    tansu.start_again().unwrap();
    let sent = events(&["order_b"], 3);
    in_time("publish", || broker.publish(&sent)).await;
    let mut subscription = subscribed(&broker, group("stock", None)).await;
    let came = hear(&mut *subscription, 3, true).await;
    same_order(firsts(&came.events), &sent);
}

#[tokio::test]
async fn processes_of_a_group_divide_the_subjects() {
    let Place::Kafka(settings) = crate::place::kafka() else { unreachable!("it is Kafka") };
    let (one, other) = (open_kafka(&settings).await.unwrap(), open_kafka(&settings).await.unwrap());
    let here = group("stock", None);
    let (mut left, mut right) = (one.subscribe(&here).await.unwrap(), other.subscribe(&here).await.unwrap());
    let names: Vec<_> = (0..12).map(|n| format!("order_{n}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    // Until both have heard: dividing takes its time.
    let (mut sent, mut came) = (Vec::<Envelope>::new(), [Vec::new(), Vec::new()]);
    let began = Instant::now();
    let wait = Duration::from_millis(300);
    while came.iter().any(Vec::is_empty) || firsts(&came.concat()).len() < sent.len() {
        assert!(began.elapsed() < PATIENCE, "{} and {} of {}", came[0].len(), came[1].len(), sent.len());
        if came.iter().any(Vec::is_empty) {
            let number = sent.len();
            let more: Vec<_> = names.iter().map(|name| event(ORDERS, "order.placed", name, number)).collect();
            one.publish(&more).await.unwrap();
            sent.extend(more);
        }
        let (first, second) = tokio::join!(left.next(100, wait), right.next(100, wait));
        for (half, batch) in came.iter_mut().zip([first, second]) {
            half.extend(batch.unwrap().events);
        }
        left.acknowledge().await.unwrap();
        right.acknowledge().await.unwrap();
    }
    same_order(firsts(&came.concat()), &sent);
    // Who stays takes over what the other had.
    drop(left);
    let more: Vec<_> = names.iter().map(|name| event(ORDERS, "order.cancelled", name, 0)).collect();
    one.publish(&more).await.unwrap();
    let mut rest = BTreeSet::new();
    while !more.iter().all(|event| rest.contains(&event.id.to_string())) {
        assert!(began.elapsed() < 2 * PATIENCE, "{} of {}", rest.len(), more.len());
        rest.extend(right.next(100, wait).await.unwrap().events.into_iter().map(|event| event.id.to_string()));
        right.acknowledge().await.unwrap();
    }
}

#[tokio::test]
async fn settings_that_cannot_become_right_are_refused() {
    let files = tempfile::tempdir().unwrap();
    let path = files.path().join("ca.pem");
    fs::write(&path, "-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n").unwrap();
    let tls = TlsSettings { required: true, authority: path, ..Default::default() };
    let sasl = SaslSettings { mechanism: SaslMechanism::ScramSha512, user: "shop".into(), password: "horse".into() };
    let settings = KafkaSettings { tls, sasl, ..kafka_at("127.0.0.1:1".into()) };
    let why = open_kafka(&settings).await.err().expect("no certificate").to_string();
    assert!(why.contains("ca.location") && !why.contains("horse"), "{why}");
}
