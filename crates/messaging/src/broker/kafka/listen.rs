//! A process of a consumer group.
//!
//! Offsets are committed when the caller has kept what was given, never before. A partition that moves to another
//! process is heard there from the last commit on: some events come twice, in their order. So the inbox of a group sees
//! the first coming of every event in order, whichever process puts it there.
use super::{
    client::{Blocking, Watch, blocking},
    error,
};
use crate::{Batch, BrokerError, Envelope, Group, KafkaSettings, Subscription};
use futures_util::FutureExt as _;
use kernel::async_trait;
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{CommitMode, Consumer as _, StreamConsumer},
    error::KafkaError,
    message::BorrowedMessage,
    types::RDKafkaErrorCode,
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::time::{Instant, timeout, timeout_at};

pub(super) struct Listening {
    consumer: Arc<Blocking<StreamConsumer<Watch>>>,
    watch: Watch,
    kinds: BTreeSet<&'static str>,
    patience: Duration,
}

pub(super) fn begin(
    config: &ClientConfig,
    settings: &KafkaSettings,
    group: &Group,
    topics: &BTreeSet<String>,
) -> Result<Listening, BrokerError> {
    let watch = Watch::default();
    let consumer = config
        .clone()
        .set("group.id", format!("{}-{}", settings.prefix, group.name))
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("session.timeout.ms", settings.session_milliseconds.to_string())
        .set("heartbeat.interval.ms", (settings.session_milliseconds / 3).to_string())
        // Who takes nothing for so long has nothing: a process that is stuck holds nobody else up.
        .set("max.poll.interval.ms", settings.session_milliseconds.max(60_000).to_string())
        // What waits here unread is bounded.
        .set("queued.max.messages.kbytes", "16384")
        // Whence it is known how many wait.
        .set("statistics.interval.ms", "5000")
        .create_with_context::<_, StreamConsumer<Watch>>(watch.clone());
    let consumer = Blocking::new(consumer.map_err(|cause| watch.failed("cannot hear", &cause))?);
    let topics: Vec<_> = topics.iter().map(String::as_str).collect();
    consumer.subscribe(&topics).map_err(|cause| watch.failed("cannot hear", &cause))?;
    let kinds = group.kinds.iter().map(|heard| heard.kind).collect();
    Ok(Listening { consumer: Arc::new(consumer), watch, kinds, patience: settings.timeout() })
}

impl Listening {
    /// What has come by `until`, and what has come besides.
    async fn heard(&self, most: usize, until: Instant) -> Result<Batch, BrokerError> {
        let mut batch = Batch::default();
        while batch.events.is_empty() && Instant::now() < until {
            let Ok(first) = timeout_at(until, self.consumer.recv()).await else { break };
            // From here on nothing is waited for: whoever lets go loses nothing.
            let mut came = Some(first);
            while let Some(message) = came {
                self.take(message, &mut batch)?;
                let room = batch.events.len() < most && Instant::now() < until;
                came = if room { self.consumer.recv().now_or_never() } else { None };
            }
        }
        Ok(batch)
    }

    fn take(&self, came: Result<BorrowedMessage<'_>, KafkaError>, batch: &mut Batch) -> Result<(), BrokerError> {
        let message = match came {
            Ok(message) => message,
            Err(cause) if is_passing(&cause) => {
                tracing::debug!(%cause, "hearing goes on");
                return Ok(());
            }
            Err(cause) => return Err(self.watch.failed("cannot hear", &cause)),
        };
        let mut heard = self.watch.heard();
        heard.is_away = false;
        heard.given.insert((message.topic().to_owned(), message.partition()), message.offset() + 1);
        match serde_json::from_slice::<Envelope>(message.payload().unwrap_or_default()) {
            Ok(event) if self.kinds.contains(event.kind.as_str()) => batch.events.push(event),
            Ok(_) => (),
            // Nobody can ever read it, and whatever comes behind it would wait.
            Err(why) => {
                let (topic, partition, offset) = (message.topic(), message.partition(), message.offset());
                tracing::error!(topic, partition, offset, %why, "a message is no event of ours; passed over");
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Subscription for Listening {
    async fn next(&mut self, most: usize, wait: Duration) -> Result<Batch, BrokerError> {
        let mut batch = match self.heard(most, Instant::now() + wait).await {
            Ok(batch) => batch,
            Err(error) => {
                // The caller has not seen what came before it.
                self.watch.heard().given.clear();
                return Err(error);
            }
        };
        batch.behind = self.watch.heard().behind;
        if batch.events.is_empty() && self.watch.heard().is_away {
            let cause = KafkaError::MessageConsumption(RDKafkaErrorCode::AllBrokersDown);
            return Err(self.watch.failed("cannot hear", &cause));
        }
        Ok(batch)
    }

    async fn acknowledge(&mut self) -> Result<(), BrokerError> {
        let places = self.watch.heard().given.clone();
        if places.is_empty() {
            return Ok(());
        }
        let mut offsets = TopicPartitionList::new();
        for ((topic, partition), offset) in &places {
            let added = offsets.add_partition_offset(topic, *partition, Offset::Offset(*offset));
            added.map_err(|cause| self.watch.failed("cannot commit", &cause))?;
        }
        let (consumer, watch) = (Arc::clone(&self.consumer), self.watch.clone());
        let commit = blocking(move || match consumer.commit(&offsets, CommitMode::Sync) {
            Err(cause) if has_moved(&cause) => {
                tracing::debug!(%cause, "partitions have moved; who has them now hears these again");
                Ok(())
            }
            done => done.map_err(|cause| watch.failed("cannot commit", &cause)),
        });
        timeout(self.patience, commit).await.unwrap_or_else(|_| Err(error("cannot commit: no answer")))?;
        self.watch.heard().given.clear();
        Ok(())
    }
}

/// librdkafka goes on by itself after it.
fn is_passing(cause: &KafkaError) -> bool {
    let KafkaError::MessageConsumption(code) = cause else { return false };
    !matches!(
        code,
        RDKafkaErrorCode::AllBrokersDown
            | RDKafkaErrorCode::Authentication
            | RDKafkaErrorCode::SaslAuthenticationFailed
            | RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::GroupAuthorizationFailed
            | RDKafkaErrorCode::UnknownTopicOrPartition
    )
}

/// The group was divided anew since: what is not committed comes again. It is no reason to leave the group, which would
/// divide it once more.
fn has_moved(cause: &KafkaError) -> bool {
    matches!(
        cause.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::RebalanceInProgress
                | RDKafkaErrorCode::IllegalGeneration
                | RDKafkaErrorCode::UnknownMemberId
                | RDKafkaErrorCode::AssignmentLost
        )
    )
}
