//! NATS JetStream: one stream for a shop.
//!
//! An event is a message on `cleave.<type>.<subject>`, whose `Nats-Msg-Id` is the event's id: sent again soon, it is
//! kept once. Each group has a durable consumer, see [`listen`]. The client looks for the servers for ever in the
//! background; while none is there, what is asked of it waits a little for one, and then fails instead of piling up.
mod link;
mod listen;

use self::link::Link;
use super::rounds::rounds;
use crate::{Broker, BrokerError, Envelope, Group, NatsSettings, Subscription};
use async_nats::jetstream::{
    Context, ErrorCode,
    context::{GetStreamErrorKind, PublishError, PublishErrorKind},
    message::PublishMessage,
    stream,
};
use futures_util::future::try_join_all;
use kernel::async_trait;
use std::{
    error::Error,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

pub(crate) const NAME: &str = "nats";
const FORM: &str = "application/cloudevents+json";

pub(crate) struct Nats {
    link: Link,
    context: Context,
    settings: NatsSettings,
    /// Whether the stream was seen; it is looked for again when a publication finds none.
    has_stream: AtomicBool,
}

impl Nats {
    pub(crate) async fn open(settings: &NatsSettings) -> Result<Self, BrokerError> {
        let (link, client) = link::open(settings).await?;
        let mut context = async_nats::jetstream::new(client);
        context.set_timeout(settings.timeout());
        Ok(Self { link, context, settings: settings.clone(), has_stream: AtomicBool::new(false) })
    }

    /// As it is; created when there is none. One that is there is left as its operator made it.
    async fn stream(&self) -> Result<stream::Stream, BrokerError> {
        match self.context.get_stream(&self.settings.stream).await {
            Ok(stream) => return Ok(stream),
            Err(error) if is_missing(&error.kind()) => (),
            Err(error) => return Err(failed("the stream cannot be looked at", &error)),
        }
        let NatsSettings { keep_hours, replicas, duplicate_seconds, .. } = self.settings;
        let config = stream::Config {
            name: self.settings.stream.clone(),
            subjects: vec![format!("{}.>", self.settings.prefix)],
            max_age: Duration::from_secs(u64::from(keep_hours) * 3600),
            num_replicas: replicas.into(),
            duplicate_window: Duration::from_secs(duplicate_seconds.into()),
            ..Default::default()
        };
        let created = self.context.create_stream(config).await;
        // Two processes may both have found none: the same stream twice is no error.
        let created = created.map_err(|error| failed("the stream cannot be created", &error))?;
        tracing::info!(stream = self.settings.stream, "created the stream");
        Ok(created)
    }

    async fn send(&self, round: Vec<&Envelope>) -> Result<(), PublishError> {
        let mut kept = Vec::with_capacity(round.len());
        for event in round {
            let body = serde_json::to_vec(event).expect("an envelope is JSON");
            let message = PublishMessage::build().header("Content-Type", FORM).message_id(event.id.to_string());
            let subject = format!("{}.{}.{}", self.settings.prefix, event.kind, event.subject);
            kept.push(self.context.send_publish(subject, message.payload(body.into())).await?.into_future());
        }
        try_join_all(kept).await.map(drop)
    }
}

#[async_trait]
impl Broker for Nats {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn publish(&self, events: &[Envelope]) -> Result<(), BrokerError> {
        self.link.there().await?;
        if !self.has_stream.load(Ordering::Relaxed) {
            self.stream().await?;
            self.has_stream.store(true, Ordering::Relaxed);
        }
        for round in rounds(events) {
            self.send(round).await.map_err(|error| {
                if error.kind() == PublishErrorKind::StreamNotFound {
                    self.has_stream.store(false, Ordering::Relaxed);
                }
                failed("cannot publish", &error)
            })?;
        }
        Ok(())
    }

    async fn subscribe(&self, group: &Group) -> Result<Box<dyn Subscription>, BrokerError> {
        self.link.there().await?;
        let stream = self.stream().await?;
        Ok(Box::new(listen::begin(self.link.clone(), &stream, &self.settings.prefix, group).await?))
    }

    /// Whoever takes from a consumer takes it away from everybody else, and what is under way to two has no order.
    fn is_exclusive(&self) -> bool {
        true
    }

    async fn ping(&self) -> Result<(), BrokerError> {
        self.link.there().await?;
        match self.context.get_stream(&self.settings.stream).await {
            Err(error) if !is_missing(&error.kind()) => Err(failed("it does not answer", &error)),
            _ => Ok(()),
        }
    }
}

fn is_missing(kind: &GetStreamErrorKind) -> bool {
    matches!(kind, GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND)
}

fn error(why: impl Into<String>) -> BrokerError {
    BrokerError { broker: NAME, why: why.into() }
}

/// With every cause: some tell theirs themselves, and it is not said twice.
fn failed(doing: &str, cause: &(dyn Error + 'static)) -> BrokerError {
    let mut why = doing.to_owned();
    let mut next = Some(cause);
    while let Some(cause) = next {
        let said = cause.to_string();
        if !why.contains(&said) {
            why = format!("{why}: {said}");
        }
        next = cause.source();
    }
    error(why)
}
