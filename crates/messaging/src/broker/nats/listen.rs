//! A group's durable consumer, heard in order.
//!
//! A consumer sends again what was not acknowledged, but when it likes, behind what it has sent meanwhile. That would
//! break a subject's order. So a consumer is only gone on with when nothing of it is open and it stands where the group
//! does; else it is made anew, right behind the last event that the group kept. While it is heard, each message must be
//! the next by the consumer's own count: whatever was lost on the way, sent again or taken by somebody else shows as a
//! gap, and the subscription ends.
use super::{error, failed, link::Link};
use crate::{Batch, BrokerError, Envelope, Group, Subscription};
use async_nats::jetstream::{
    Message,
    consumer::{
        AckPolicy, Consumer, DeliverPolicy, Info,
        pull::{Config, Stream as Messages},
    },
    context::ConsumerInfoErrorKind,
    message::Acker,
    stream::Stream,
};
use futures_util::{FutureExt as _, StreamExt as _};
use kernel::async_trait;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How many are under way at once, in messages and bytes.
const AHEAD: usize = 500;
const AHEAD_BYTES: usize = 16 << 20;
/// Sent again after it: only the subscription that it was sent to would hear of it, and end.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(300);
const HEARTBEAT: Duration = Duration::from_secs(5);
const REQUEST: Duration = Duration::from_secs(30);

pub(super) struct Listening {
    link: Link,
    messages: Messages,
    /// Of the message that comes next, as its consumer counts.
    due: u64,
    /// Where the last one stands in the stream.
    position: u64,
    /// Of the last that was given.
    open: Option<Acker>,
}

/// Where a group goes on.
struct Start {
    consumer: Consumer<Config>,
    due: u64,
    position: u64,
}

pub(super) async fn begin(link: Link, stream: &Stream, prefix: &str, group: &Group) -> Result<Listening, BrokerError> {
    let Start { consumer, due, position } = start(stream, prefix, group).await?;
    let messages = consumer.stream().max_messages_per_batch(AHEAD).max_bytes_per_batch(AHEAD_BYTES);
    let messages = messages.heartbeat(HEARTBEAT).expires(REQUEST).messages().await;
    let messages = messages.map_err(|cause| failed("cannot hear", &cause))?;
    Ok(Listening { link, messages, due, position, open: None })
}

async fn start(stream: &Stream, prefix: &str, group: &Group) -> Result<Start, BrokerError> {
    let name = format!("{prefix}-{}", group.name);
    let wanted = config(&name, prefix, group);
    let there = match stream.consumer_info(&name).await {
        Ok(info) => Some(info),
        Err(error) if matches!(error.kind(), ConsumerInfoErrorKind::NotFound) => None,
        Err(cause) => return Err(failed("the consumer cannot be looked at", &cause)),
    };
    if let Some(info) = &there {
        if goes_on(info, &wanted, group.after) {
            let consumer = stream.get_consumer(&name).await.map_err(|cause| failed("the consumer is gone", &*cause))?;
            let (due, position) = (info.delivered.consumer_sequence + 1, info.delivered.stream_sequence);
            return Ok(Start { consumer, due, position });
        }
        stream.delete_consumer(&name).await.map_err(|cause| failed("the consumer cannot be made anew", &cause))?;
    }
    let position = position(stream, there.as_ref(), group).await?;
    let deliver_policy = match position {
        0 => DeliverPolicy::All,
        _ => DeliverPolicy::ByStartSequence { start_sequence: position + 1 },
    };
    let consumer = stream.create_consumer(Config { deliver_policy, ..wanted }).await;
    let consumer = consumer.map_err(|cause| failed("the consumer cannot be created", &cause))?;
    Ok(Start { consumer, due: 1, position })
}

fn config(name: &str, prefix: &str, group: &Group) -> Config {
    let mut filter_subjects: Vec<_> = group.kinds.iter().map(|heard| format!("{prefix}.{}.*", heard.kind)).collect();
    filter_subjects.sort_unstable();
    filter_subjects.dedup();
    Config {
        durable_name: Some(name.to_owned()),
        filter_subjects,
        ack_policy: AckPolicy::All,
        ack_wait: ACKNOWLEDGED_WITHIN,
        max_ack_pending: 4 * AHEAD as i64,
        ..Default::default()
    }
}

fn goes_on(info: &Info, wanted: &Config, after: Option<u64>) -> bool {
    let mut heard = info.config.filter_subjects.clone();
    heard.extend((!info.config.filter_subject.is_empty()).then(|| info.config.filter_subject.clone()));
    heard.sort_unstable();
    let settled = info.num_ack_pending == 0 && info.ack_floor.stream_sequence == info.delivered.stream_sequence;
    let same = heard == wanted.filter_subjects && info.config.ack_policy == wanted.ack_policy;
    settled && same && after.is_none_or(|after| after == info.ack_floor.stream_sequence)
}

/// The place in the stream behind which the group goes on; its beginning when the stream is not the one that the group
/// has heard, for nothing of it may be passed over, and what is heard twice is known by its id.
async fn position(stream: &Stream, there: Option<&Info>, group: &Group) -> Result<u64, BrokerError> {
    let Some(after) = group.after else { return Ok(there.map_or(0, |info| info.ack_floor.stream_sequence)) };
    let state = stream.get_info().await.map_err(|cause| failed("the stream cannot be looked at", &cause))?.state;
    // With a stream its consumers are lost. One that was made again may be as long as the old one by now.
    let is_known = there.is_some() && after <= state.last_sequence;
    if !is_known {
        tracing::warn!(
            group = group.name,
            after,
            last = state.last_sequence,
            "the stream or its consumer was lost: the stream is heard from its beginning"
        );
    }
    // What was acknowledged to this consumer is kept. Where it stands behind `after`, that is of a stream before this one.
    let floor = there.map_or(0, |info| info.ack_floor.stream_sequence);
    Ok(if is_known { after.min(floor) } else { 0 })
}

impl Listening {
    /// What has come by `until`, and what has come besides.
    async fn heard(&mut self, most: usize, until: Instant) -> Result<Batch, BrokerError> {
        let mut batch = Batch::default();
        while batch.events.is_empty() && Instant::now() < until {
            let Ok(first) = timeout_at(until, self.messages.next()).await else { break };
            // From here on nothing is waited for: whoever lets go loses nothing.
            let mut came = Some(first);
            while let Some(message) = came {
                let message = message.ok_or_else(|| error("the consumer ended"))?;
                self.take(message.map_err(|cause| failed("cannot hear", &cause))?, &mut batch)?;
                let room = batch.events.len() < most && Instant::now() < until;
                came = if room { self.messages.next().now_or_never() } else { None };
            }
        }
        Ok(batch)
    }

    fn take(&mut self, message: Message, batch: &mut Batch) -> Result<(), BrokerError> {
        let info = message.info().map_err(|cause| failed("a message tells no place", &*cause))?;
        let (count, place, behind) = (info.consumer_sequence, info.stream_sequence, info.pending);
        if count != self.due || place <= self.position {
            let Self { due, position, .. } = self;
            return Err(error(format!(
                "message {count} at {place} where message {due} behind {position} was due: it was lost on the way, or \
                 somebody else hears"
            )));
        }
        (self.due, self.position) = (count + 1, place);
        let (message, acker) = message.split();
        match serde_json::from_slice::<Envelope>(&message.payload) {
            Ok(event) => batch.events.push(event),
            // Nobody can ever read it, and whatever comes behind it would wait.
            Err(why) => {
                tracing::error!(place, subject = %message.subject, %why, "a message is no event of ours; passed over")
            }
        }
        (batch.position, batch.behind) = (Some(place), Some(behind));
        self.open = Some(acker);
        Ok(())
    }
}

#[async_trait]
impl Subscription for Listening {
    async fn next(&mut self, most: usize, wait: Duration) -> Result<Batch, BrokerError> {
        let heard = self.heard(most, Instant::now() + wait).await;
        if heard.is_err() {
            // The caller has not seen what came before it.
            self.open = None;
        }
        let batch = heard?;
        if batch.events.is_empty() && !self.link.is_there() {
            return Err(self.link.away());
        }
        Ok(batch)
    }

    async fn acknowledge(&mut self) -> Result<(), BrokerError> {
        let Some(acker) = &self.open else { return Ok(()) };
        acker.double_ack().await.map_err(|cause| failed("cannot acknowledge", &*cause))?;
        self.open = None;
        Ok(())
    }
}
