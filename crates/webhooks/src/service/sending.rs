//! Deliveries on their way: what is due is taken, sent, and ended, by as many processes as like to.
use super::{Moment, Service, pausing::conclude, places::Place};
use crate::{
    domain::{
        delivery::{Attempt, Outcome},
        schedule::retry_after,
        secret::{self, SigningSecret},
    },
    store::{
        self,
        deliveries::{After, Claimed},
        endpoints::Sendable,
    },
};
use database::Conn;
use kernel::{Time, Trace};
use outward::{Answer, Target};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use webhooks_api::WebhookEndpointId;

/// Beyond a try's own time: what it takes to write down how it ended.
const GRACE: Duration = Duration::from_secs(20);
/// Bytes of an answer that are kept.
const KEPT: usize = 1024;

/// Where a delivery goes.
struct Way {
    target: Target,
    secrets: Vec<SigningSecret>,
}

impl Service {
    /// Begins a try of whatever is due, as far as its endpoint has places. It is woken again when one is free.
    pub(super) async fn send_due(self: Arc<Self>) {
        let now = self.now();
        let due = match self.db.background().read(move |conn| store::deliveries::due(conn, now)).await {
            Ok(due) => due,
            Err(error) => {
                tracing::warn!(%error, "deliveries wait for the next turn");
                return;
            }
        };
        for endpoint in due {
            let free = self.places.free(endpoint);
            if free == 0 {
                continue;
            }
            if let Err(error) = self.send_some(endpoint, free).await {
                tracing::warn!(%endpoint, %error, "deliveries wait for the next turn");
            }
        }
    }

    async fn send_some(self: &Arc<Self>, endpoint: WebhookEndpointId, free: usize) -> Result<(), super::Error> {
        let (now, lease, limit) = (self.now(), self.settings.timeout() + GRACE, i64::try_from(free).unwrap_or(1));
        let unit = move |tx: &mut Conn| {
            let Some(to) = store::endpoints::sendable(tx, endpoint, now)? else { return Ok(None) };
            let claimed = store::deliveries::claim(tx, endpoint, now, lease, limit)?;
            Ok::<_, database::Error>(Some((to, claimed)))
        };
        let Some((to, claimed)) = self.db.background().write(unit).await? else { return Ok(()) };
        let way = Arc::new(self.way(&to)?);
        for one in claimed {
            let place = self.places.take(endpoint);
            drop(self.tasks.spawn(Arc::clone(self).try_once(one, Arc::clone(&way), place)));
        }
        Ok(())
    }

    /// `Err` is why there is none: the address is not one that may be posted to (any more).
    fn way(&self, to: &Sendable) -> Result<Result<Way, String>, super::Error> {
        let (current, old) = to.secrets.split_first().expect("an endpoint has a secret");
        // One that takes its leave signs for as long as its key is there.
        let old = old.iter().filter_map(|kept| self.vault.open(to.id, kept).ok());
        let secrets = std::iter::once(self.vault.open(to.id, current)?).chain(old).collect();
        let target = self.poster.target(&to.url);
        Ok(target.map(|target| Way { target, secrets }).map_err(|why| why.to_string()))
    }

    async fn try_once(self: Arc<Self>, claimed: Claimed, way: Arc<Result<Way, String>>, place: Place) {
        let (at, begun) = (self.now(), Instant::now());
        let (outcome, wish) = match &*way {
            Ok(way) => self.post(way, &claimed, at).await,
            Err(why) => (Outcome::Unanswered(why.clone()), None),
        };
        let latency_ms = i64::try_from(begun.elapsed().as_millis()).unwrap_or(i64::MAX);
        let attempt = Attempt { number: claimed.attempts + 1, at, latency_ms, outcome };
        let id = claimed.id;
        if let Err(error) = self.keep(claimed, attempt, wish).await {
            tracing::warn!(delivery = %id, %error, "how a try ended is not kept; it is tried again");
        }
        drop(place);
        self.due.notify_one();
    }

    async fn post(&self, way: &Way, claimed: &Claimed, at: Time) -> (Outcome, Option<Duration>) {
        let headers = secret::headers(&way.secrets, &claimed.event_id.to_string(), at, &claimed.body);
        let media = [("content-type", "application/json".to_owned())];
        match self.poster.post(&way.target, headers.into_iter().chain(media), claimed.body.clone()).await {
            Ok(answer) => {
                let wish = answer.retry_after.as_deref().and_then(|text| retry_after(text, at));
                (answered(&answer), wish)
            }
            Err(unsent) => (Outcome::Unanswered(unsent.to_string()), None),
        }
    }

    async fn keep(&self, claimed: Claimed, attempt: Attempt, wish: Option<Duration>) -> database::Result<()> {
        let moment = Moment { now: self.now(), trace: Trace(claimed.event_id.uuid().as_u128()) };
        let wait = self.schedule.wait(claimed.tries + 1, wish);
        let after = match (attempt.outcome.is_success(), wait) {
            (true, _) => After::Delivered,
            (false, Some(wait)) => After::Again(moment.now + wait),
            (false, None) => After::Failed,
        };
        let dead = self.dead();
        let unit = move |tx: &mut Conn| {
            if store::deliveries::settle(tx, &claimed, &attempt, after, moment.now)? {
                conclude(tx, claimed.endpoint_id, &attempt.outcome, dead, moment)?;
            }
            Ok::<_, database::Error>(())
        };
        self.db.background().write(unit).await
    }
}

/// A status, and of what came with it as much as is kept, as text that both databases take.
fn answered(answer: &Answer) -> Outcome {
    let kept = &answer.body[..answer.body.len().min(KEPT)];
    let text = String::from_utf8_lossy(kept).replace('\0', "\u{fffd}");
    Outcome::Answered { status: i64::from(answer.status), answer: text }
}
