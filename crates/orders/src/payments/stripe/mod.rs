//! Stripe: a payment intent an order, secured first and captured later.
//!
//! What may have been done is looked up, and never asked for blindly again: before every wish it is looked whether it was
//! fulfilled already, because Stripe forgets keys after a day and repeats its own failures under one until then. A key is
//! given up for another only when Stripe has answered under it, says that it repeats that answer, and nothing is found.
//! After a timeout, a lost connection, or a look that failed, the same key is asked with again.
mod amounts;
mod client;
mod looks;
mod moves;
mod objects;
mod secures;
mod settings;
mod signature;
#[cfg(test)]
mod tests;

pub use settings::StripeSettings;

use super::{Asked, BadEvent, Heard, Means, Moved, NextAction, Part, Provider, Standing, Word};
use client::{Client, Form};
use kernel::{Failure, Time, async_trait};
use objects::Event;
use orders_api::OrderId;

/// How many keys one wish may spend on Stripe's own failures within a day.
const KEYS: u32 = 8;

pub(crate) struct Stripe {
    client: Client,
    settings: StripeSettings,
}

fn form(pairs: &[(&str, String)]) -> Form {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

/// A look after a wish that may have been fulfilled: when it fails, nothing is known.
fn after<T>(looked: Result<T, Failure>) -> Result<T, Failure> {
    looked.map_err(|_| Failure::Unknown)
}

impl Stripe {
    /// `settings` have no problems.
    pub(super) fn new(settings: &StripeSettings) -> Result<Self, String> {
        Ok(Self { client: Client::new(settings)?, settings: settings.clone() })
    }
}

#[async_trait]
impl Provider for Stripe {
    fn name(&self) -> &'static str {
        "stripe"
    }
    fn reference(&self, _: OrderId) -> Option<String> {
        None
    }
    async fn open(&self, asked: &Asked) -> Result<String, Failure> {
        self.open_intent(asked).await
    }
    async fn authorise(&self, asked: &Asked, means: &Means) -> Result<Word, Failure> {
        self.confirm(asked, means).await
    }
    async fn look(&self, asked: &Asked) -> Result<Option<Word>, Failure> {
        match self.intent(asked).await? {
            Some(intent) => self.word(asked, &intent).await.map(Some),
            None => Ok(None),
        }
    }
    async fn void(&self, asked: &Asked) -> Result<Option<Word>, Failure> {
        self.take_back(asked).await
    }
    async fn capture(&self, asked: &Asked, part: &Part) -> Result<Moved, Failure> {
        self.take(asked, part).await
    }
    async fn refund(&self, asked: &Asked, part: &Part) -> Result<Moved, Failure> {
        self.give(asked, part).await
    }
    fn event(
        &self,
        header: &dyn Fn(&str) -> Option<String>,
        body: &[u8],
        now: Time,
    ) -> Result<Option<Heard>, BadEvent> {
        let signed = header("stripe-signature").ok_or_else(|| BadEvent("the event is not signed".into()))?;
        let StripeSettings { webhook_secrets, tolerance_seconds, .. } = &self.settings;
        signature::check(&signed, body, webhook_secrets, *tolerance_seconds, now)?;
        let kind: Kind = serde_json::from_slice(body).map_err(|_| BadEvent("not an event of Stripe".into()))?;
        let of_intent = kind.r#type.starts_with("payment_intent.");
        if !of_intent && !kind.r#type.starts_with("charge.") {
            return Ok(None);
        }
        let event: Event = serde_json::from_slice(body).map_err(|_| BadEvent("not an event of Stripe".into()))?;
        let subject = event.data.object;
        let reference = if of_intent { Some(subject.id) } else { subject.payment_intent };
        let order = subject.metadata.get("order").and_then(|order| order.parse().ok());
        Ok(order.zip(reference).map(|(order, reference)| Heard { order, reference, word: None }))
    }
}

/// Read first: other kinds of events have other objects.
#[derive(serde::Deserialize)]
struct Kind {
    r#type: String,
}
