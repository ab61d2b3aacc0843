//! Kafka, or what speaks its protocol: a topic for each domain that tells.
//!
//! An event's key is its subject, so the events of a subject share a partition and its order. The producer is
//! idempotent: what it sends again by itself is kept once, in its place. What is published again after an error may be
//! kept twice. Each group is a consumer group whose processes divide the partitions, see [`listen`].
//!
//! librdkafka does the work on threads of its own. Its calls that wait are made where waiting is allowed.
mod client;
mod listen;

use self::client::{Blocking, Watch, blocking, configuration};
use super::rounds::rounds;
use crate::{Broker, BrokerError, Envelope, Group, KafkaSettings, Subscription};
use futures_util::future::join_all;
use kernel::async_trait;
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    error::KafkaError,
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord, Producer as _},
    types::RDKafkaErrorCode,
};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

pub(crate) const NAME: &str = "kafka";
const FORM: &str = "application/cloudevents+json";

pub(crate) struct Kafka {
    settings: KafkaSettings,
    config: ClientConfig,
    producer: Mutex<Arc<Sender>>,
    /// Topics that were seen to be there.
    topics: Mutex<BTreeSet<String>>,
}

struct Sender {
    producer: Blocking<FutureProducer<Watch>>,
    watch: Watch,
}

impl Kafka {
    pub(crate) fn open(settings: &KafkaSettings) -> Result<Self, BrokerError> {
        let config = configuration(settings);
        let producer = Mutex::new(Arc::new(Sender::open(&config, settings)?));
        Ok(Self { settings: settings.clone(), config, producer, topics: Mutex::default() })
    }

    fn sender(&self) -> Arc<Sender> {
        Arc::clone(&self.producer.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// One that failed is replaced: the cluster may know its number no more, or not that far, and a topic that is gone
    /// shows as an answer that does not come. All that it was given has ended, in success or not, so nothing of it comes
    /// behind what its successor sends first.
    fn replace(&self, ended: &Arc<Sender>) -> Result<(), BrokerError> {
        let mut held = self.producer.lock().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&held, ended) {
            *held = Arc::new(Sender::open(&self.config, &self.settings)?);
        }
        Ok(())
    }

    fn topic(&self, domain: &str) -> String {
        format!("{}.{domain}", self.settings.prefix)
    }

    /// Creates those of them that are not there. One that is there is left as its operator made it.
    async fn ensure(&self, topics: BTreeSet<String>) -> Result<(), BrokerError> {
        let seen = |topic: &String| self.topics.lock().unwrap_or_else(PoisonError::into_inner).contains(topic);
        let missing: Vec<_> = topics.into_iter().filter(|topic| !seen(topic)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let watch = Watch::default();
        let admin = self.config.create_with_context::<_, AdminClient<Watch>>(watch.clone());
        let admin = Blocking::new(admin.map_err(|cause| watch.failed("cannot look at the topics", &cause))?);
        let (partitions, patience) = (i32::from(self.settings.partitions), self.settings.timeout());
        let replication = match self.settings.replication {
            0 => -1,
            replication => i32::from(replication),
        };
        let keep = (u64::from(self.settings.keep_hours) * 3_600_000).to_string();
        let wanted = missing.iter().map(|topic| {
            NewTopic::new(topic, partitions, TopicReplication::Fixed(replication)).set("retention.ms", &keep)
        });
        let wanted: Vec<_> = wanted.collect();
        let options = AdminOptions::new().request_timeout(Some(patience)).operation_timeout(Some(patience));
        let made = admin.create_topics(&wanted, &options).await;
        for made in made.map_err(|cause| watch.failed("cannot look at the topics", &cause))? {
            let topic = match made {
                Ok(topic) => {
                    tracing::info!(topic, "created the topic");
                    topic
                }
                Err((topic, RDKafkaErrorCode::TopicAlreadyExists)) => topic,
                // Whoever may not create topics is given them, and hears soon enough when he is not.
                Err((
                    topic,
                    code @ (RDKafkaErrorCode::TopicAuthorizationFailed
                    | RDKafkaErrorCode::ClusterAuthorizationFailed
                    | RDKafkaErrorCode::PolicyViolation),
                )) => {
                    tracing::warn!(topic, %code, "may not create the topic; somebody else has to");
                    topic
                }
                Err((topic, code)) => return Err(error(format!("topic {topic} cannot be created: {code}"))),
            };
            self.topics.lock().unwrap_or_else(PoisonError::into_inner).insert(topic);
        }
        Ok(())
    }

    /// They are looked for again.
    fn forget(&self) {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    async fn answers(&self) -> Result<(), BrokerError> {
        let (sender, patience) = (self.sender(), self.settings.timeout());
        // Asked for a topic that is not there, some would make it.
        let known = self.topics.lock().unwrap_or_else(PoisonError::into_inner).first().cloned();
        let told = blocking(move || {
            let told = sender.producer.client().fetch_metadata(known.as_deref(), patience);
            told.map(drop).map_err(|cause| sender.watch.failed("it does not answer", &cause))
        });
        told.await
    }
}

impl Sender {
    fn open(config: &ClientConfig, settings: &KafkaSettings) -> Result<Self, BrokerError> {
        let watch = Watch::default();
        let patience = settings.timeout().as_millis().to_string();
        let producer = config
            .clone()
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("compression.type", "lz4")
            // Nothing more comes while a round is waited for.
            .set("linger.ms", "1")
            .set("message.timeout.ms", &patience)
            .set("request.timeout.ms", &patience)
            // As Java's: whoever else writes puts a subject into the same partition.
            .set("partitioner", "murmur2_random")
            .create_with_context(watch.clone());
        let producer = producer.map_err(|cause| watch.failed("cannot begin", &cause))?;
        Ok(Self { producer: Blocking::new(producer), watch })
    }

    async fn send(&self, topic: &str, event: &Envelope, patience: Duration) -> Result<(), KafkaError> {
        let body = serde_json::to_vec(event).expect("an envelope is JSON");
        let headers = OwnedHeaders::new().insert(Header { key: "content-type", value: Some(FORM) });
        let record = FutureRecord::to(topic).key(&event.subject).payload(&body).headers(headers);
        self.producer.send(record, patience).await.map(drop).map_err(|(cause, _)| cause)
    }
}

#[async_trait]
impl Broker for Kafka {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn publish(&self, events: &[Envelope]) -> Result<(), BrokerError> {
        self.ensure(events.iter().map(|event| self.topic(event.domain())).collect()).await?;
        let (sender, patience) = (self.sender(), self.settings.timeout());
        for round in rounds(events) {
            let sent = round.into_iter().map(|event| {
                let (topic, sender) = (self.topic(event.domain()), &sender);
                async move { sender.send(&topic, event, patience).await }
            });
            // All of them end before the next try begins, in success or not.
            let failed = join_all(sent).await.into_iter().find_map(Result::err);
            if let Some(cause) = failed {
                tracing::debug!(%cause, "topics are looked for again, and another producer takes this one's place");
                self.forget();
                self.replace(&sender)?;
                return Err(sender.watch.failed("cannot publish", &cause));
            }
        }
        Ok(())
    }

    async fn subscribe(&self, group: &Group) -> Result<Box<dyn Subscription>, BrokerError> {
        let topics: BTreeSet<_> = group.kinds.iter().map(|heard| self.topic(heard.domain)).collect();
        self.answers().await?;
        // A subscription that ended may have, because one is gone.
        self.forget();
        self.ensure(topics.clone()).await?;
        Ok(Box::new(listen::begin(&self.config, &self.settings, group, &topics)?))
    }

    /// A partition is one process's at a time; who takes it over hears again what was not committed, in order.
    fn is_exclusive(&self) -> bool {
        false
    }

    async fn ping(&self) -> Result<(), BrokerError> {
        self.answers().await
    }
}

fn error(why: impl Into<String>) -> BrokerError {
    BrokerError { broker: NAME, why: why.into() }
}
