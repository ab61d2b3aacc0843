//! Stripe: a payment intent an order, secured first and captured later.
//!
//! What may have been done is looked up, and never asked for blindly again: before every wish it is looked whether it was
//! fulfilled already, because Stripe forgets keys after a day and repeats its own failures under one until then.
mod amounts;
mod client;
mod objects;
mod settings;
mod signature;
#[cfg(test)]
mod tests;

pub use settings::StripeSettings;

use super::{Asked, BadEvent, Heard, Means, Moved, NextAction, Part, Provider, Standing, Word};
use client::{Answer, Client, Form};
use kernel::{Failure, Minor, Money, Time, async_trait};
use objects::{Event, Intent, List, Refund};
use orders_api::OrderId;
use sha2::{Digest as _, Sha256};

/// How many keys one wish may spend on Stripe's own failures within a day.
const KEYS: u32 = 8;
/// How many pages of a hundred are read when a payment is sought without its reference.
const PAGES: usize = 50;

pub(crate) struct Stripe {
    client: Client,
    settings: StripeSettings,
}

fn form(pairs: &[(&str, String)]) -> Form {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

fn captured_as(part: &Part) -> String {
    format!("capture_{}", part.id.simple())
}

impl Stripe {
    /// `settings` have no problems.
    pub(super) fn new(settings: &StripeSettings) -> Result<Self, String> {
        Ok(Self { client: Client::new(settings)?, settings: settings.clone() })
    }

    async fn pages<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
        id: fn(&T) -> &str,
        seek: impl Fn(&T) -> bool,
    ) -> Result<Vec<T>, Failure> {
        let (mut found, mut after) = (Vec::new(), None::<String>);
        for _ in 0..PAGES {
            let mut asked = form(query);
            asked.push(("limit".into(), "100".into()));
            asked.extend(after.take().map(|id| ("starting_after".into(), id)));
            let Answer::Is(List { data, has_more }) = self.client.get::<List<T>>(path, &asked).await? else {
                return Err(Failure::UNAVAILABLE);
            };
            after = data.last().map(|last| id(last).to_owned());
            found.extend(data.into_iter().filter(&seek));
            if !has_more {
                return Ok(found);
            }
        }
        Err(Failure::Unknown)
    }
    async fn intent(&self, asked: &Asked) -> Result<Option<Intent>, Failure> {
        let Some(reference) = &asked.reference else {
            let order = asked.order.to_string();
            // the shop's clock and Stripe's need not agree
            let since = (asked.since.seconds() - 600).to_string();
            let seek = |intent: &Intent| intent.metadata.get("order") == Some(&order);
            let path = "/v1/payment_intents";
            return Ok(self.pages(path, &[("created[gte]", since)], |i: &Intent| &i.id, seek).await?.pop());
        };
        match self.client.get(&format!("/v1/payment_intents/{reference}"), &Form::new()).await? {
            Answer::Is(intent) => Ok(Some(intent)),
            Answer::Refused { status: 404, .. } => Ok(None),
            _ => Err(Failure::UNAVAILABLE),
        }
    }
    async fn refunds(&self, intent: &Intent) -> Result<Vec<Refund>, Failure> {
        self.pages("/v1/refunds", &[("payment_intent", intent.id.clone())], |r: &Refund| &r.id, |_| true).await
    }
    fn minor(asked: &Asked, amount: i64) -> Result<Minor, Failure> {
        amounts::from_stripe(amount, asked.amount.currency).ok_or(Failure::Unknown)
    }
    async fn word(&self, asked: &Asked, intent: &Intent) -> Result<Word, Failure> {
        if !intent.currency.eq_ignore_ascii_case(asked.amount.currency.code()) {
            tracing::error!(order = %asked.order, "the payment at Stripe is of another currency than its order");
            return Err(Failure::Unknown);
        }
        let back = match intent.amount_received {
            0 => 0,
            _ => self.refunds(intent).await?.iter().filter(|one| one.counts()).map(|one| one.amount).sum(),
        };
        Ok(Word {
            reference: intent.id.clone(),
            standing: intent.standing(),
            captured: Self::minor(asked, intent.amount_received)?,
            refunded: Self::minor(asked, back)?,
        })
    }
    /// What a wish of ours left behind at Stripe, if it did.
    async fn captured(&self, asked: &Asked, part: &Part) -> Result<Option<Moved>, Failure> {
        let Some(intent) = self.intent(asked).await? else { return Ok(None) };
        let received = Self::minor(asked, intent.amount_received)?;
        let ours = intent.metadata.contains_key(&captured_as(part));
        // the same amount, taken by hand at Stripe, is what was wished for
        let by_hand = asked.captured.plus(part.amount).is_ok_and(|whole| whole == received);
        Ok((ours || by_hand).then(|| Self::taken(asked, &intent)).transpose()?)
    }
    fn taken(asked: &Asked, intent: &Intent) -> Result<Moved, Failure> {
        let left = if intent.status == "succeeded" { intent.amount - intent.amount_received } else { 0 };
        let reference = intent.latest_charge.clone().unwrap_or_else(|| intent.id.clone());
        Ok(Moved::Done { reference, released: Self::minor(asked, left)? })
    }
    fn returned(refund: &Refund) -> Moved {
        match refund.counts() {
            true => Moved::Done { reference: refund.id.clone(), released: Minor::ZERO },
            false => Moved::Refused { reason: "The bank did not take the refund.".into() },
        }
    }
    async fn refunded(&self, intent: &Intent, wish: &str) -> Result<Option<Moved>, Failure> {
        let all = self.refunds(intent).await?;
        Ok(all.iter().find(|one| one.metadata.get("refund").is_some_and(|id| id == wish)).map(Self::returned))
    }
    /// Everything that was taken goes back.
    async fn give_back(&self, asked: &Asked, intent: &Intent) -> Result<(), Failure> {
        for turn in 0..KEYS {
            let all = self.refunds(intent).await?;
            let back: i64 = all.iter().filter(|one| one.counts()).map(|one| one.amount).sum();
            let left = intent.amount_received - back;
            if left <= 0 {
                return Ok(());
            }
            let wish = form(&[
                ("payment_intent", intent.id.clone()),
                ("amount", left.to_string()),
                ("metadata[refund]", "void".into()),
            ]);
            // a refund that failed at the bank is another wish when asked again
            let key = format!("{}-void-{back}-{}-{turn}", asked.order, all.len());
            match self.client.post::<Refund>("/v1/refunds", &wish, Some(&key)).await? {
                Answer::Is(_) => {}
                Answer::Failed { replayed: true } => {}
                _ => return Err(Failure::Unknown),
            }
        }
        Err(Failure::Unknown)
    }
}

/// A look after a wish that may have been fulfilled: when it fails, nothing is known.
fn after<T>(looked: Result<T, Failure>) -> Result<T, Failure> {
    looked.map_err(|_| Failure::Unknown)
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
        let amount = amounts::at_stripe(asked.amount).map_err(|reason| {
            tracing::warn!(order = %asked.order, reason, "Stripe is not asked for this payment");
            Failure::Denied
        })?;
        if let Some(found) = self.intent(asked).await? {
            return Ok(found.id);
        }
        let mut wish = form(&[
            ("amount", amount.to_string()),
            ("currency", asked.amount.currency.code().to_ascii_lowercase()),
            ("capture_method", "manual".into()),
            ("payment_method_types[]", "card".into()),
            ("metadata[order]", asked.order.to_string()),
        ]);
        if self.settings.multicapture {
            wish.extend(form(&[("payment_method_options[card][request_multicapture]", "if_available".into())]));
        }
        for turn in 0..KEYS {
            let key = format!("{}-open-{turn}", asked.order);
            match self.client.post::<Intent>("/v1/payment_intents", &wish, Some(&key)).await? {
                Answer::Is(intent) => return Ok(intent.id),
                Answer::Refused { status, told } => {
                    tracing::error!(order = %asked.order, status, code = told.code, "Stripe opens no payment");
                    return Err(Failure::Denied);
                }
                Answer::Failed { replayed } => match after(self.intent(asked).await)? {
                    Some(found) => return Ok(found.id),
                    None if replayed => {}
                    None => return Err(Failure::UNAVAILABLE),
                },
            }
        }
        Err(Failure::UNAVAILABLE)
    }
    async fn authorise(&self, asked: &Asked, means: &Means) -> Result<Word, Failure> {
        let intent = self.intent(asked).await?.ok_or(Failure::UNAVAILABLE)?;
        if matches!(intent.status.as_str(), "requires_capture" | "succeeded" | "canceled" | "processing") {
            return self.word(asked, &intent).await;
        }
        let declined = |reason: String| Word {
            reference: intent.id.clone(),
            standing: Standing::Declined { reason },
            captured: Minor::ZERO,
            refunded: Minor::ZERO,
        };
        let Some(token) = &means.token else { return Ok(declined("A means of payment is needed.".into())) };
        let mut wish = form(&[("payment_method", token.clone())]);
        wish.extend(means.return_url.iter().map(|url| ("return_url".to_owned(), url.clone())));
        // another token is another wish; the token itself is written nowhere
        let digest = Sha256::digest(format!("{wish:?}"));
        let digest: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let path = format!("/v1/payment_intents/{}/confirm", intent.id);
        for turn in 0..KEYS {
            let key = format!("{}-confirm-{digest}-{turn}", asked.order);
            match self.client.post::<Intent>(&path, &wish, Some(&key)).await? {
                // an answer that was kept may be older than what has happened since
                Answer::Is(_) => {
                    let now = after(self.intent(asked).await)?.ok_or(Failure::Unknown)?;
                    return after(self.word(asked, &now).await);
                }
                Answer::Refused { status: 402, told } => return Ok(declined(told.for_buyer())),
                Answer::Refused { told, .. } => {
                    let now = after(self.intent(asked).await)?.ok_or(Failure::Unknown)?;
                    return match now.standing() {
                        Standing::Open if told.r#type == "idempotency_error" => Err(Failure::Unknown),
                        Standing::Open => Ok(declined(told.for_buyer())),
                        _ => after(self.word(asked, &now).await),
                    };
                }
                Answer::Failed { replayed } => {
                    let now = after(self.intent(asked).await)?.ok_or(Failure::Unknown)?;
                    match now.standing() {
                        Standing::Open | Standing::Declined { .. } | Standing::Action(_) if replayed => {}
                        Standing::Open | Standing::Declined { .. } => return Err(Failure::Unknown),
                        _ => return after(self.word(asked, &now).await),
                    }
                }
            }
        }
        Err(Failure::Unknown)
    }
    async fn look(&self, asked: &Asked) -> Result<Option<Word>, Failure> {
        match self.intent(asked).await? {
            Some(intent) => self.word(asked, &intent).await.map(Some),
            None => Ok(None),
        }
    }
    async fn void(&self, asked: &Asked) -> Result<Option<Word>, Failure> {
        let Some(mut intent) = self.intent(asked).await? else { return Ok(None) };
        let path = format!("/v1/payment_intents/{}", intent.id);
        let known = Asked { reference: Some(intent.id.clone()), ..asked.clone() };
        if intent.status == "processing" {
            return Err(Failure::Unknown);
        }
        // no keys: neither can be done twice, and a kept refusal would outlive its reason
        if intent.status == "requires_capture" && intent.amount_received > 0 {
            let wish = form(&[("amount_to_capture", "0".into()), ("final_capture", "true".into())]);
            self.client.post::<Intent>(&[&path, "/capture"].concat(), &wish, None).await?;
            intent = after(self.intent(&known).await)?.ok_or(Failure::Unknown)?;
        } else if !matches!(intent.status.as_str(), "canceled" | "succeeded") {
            self.client.post::<Intent>(&[&path, "/cancel"].concat(), &Form::new(), None).await?;
            intent = after(self.intent(&known).await)?.ok_or(Failure::Unknown)?;
        }
        match intent.status.as_str() {
            "succeeded" => after(self.give_back(asked, &intent).await)?,
            "canceled" => {}
            _ => return Err(Failure::Unknown),
        }
        let word = after(self.word(asked, &intent).await)?;
        Ok(Some(Word { standing: Standing::Voided, ..word }))
    }
    async fn capture(&self, asked: &Asked, part: &Part) -> Result<Moved, Failure> {
        let refused = |reason: &str| Ok(Moved::Refused { reason: reason.to_owned() });
        let Ok(amount) = amounts::at_stripe(Money::new(part.amount, asked.amount.currency)) else {
            return refused("Stripe cannot say this amount.");
        };
        let Some(intent) = self.intent(asked).await? else { return refused("Stripe knows of no such payment.") };
        let known = Asked { reference: Some(intent.id.clone()), ..asked.clone() };
        if let Some(done) = self.captured(&known, part).await? {
            return Ok(done);
        }
        let mut wish = form(&[("amount_to_capture", amount.to_string())]);
        wish.push((format!("metadata[{}]", captured_as(part)), amount.to_string()));
        if self.settings.multicapture && intent.amount_received + amount < intent.amount {
            wish.extend(form(&[("final_capture", "false".into())]));
        }
        let path = format!("/v1/payment_intents/{}/capture", intent.id);
        let key = format!("{}-capture-{}", part.id, part.turn);
        match self.client.post::<Intent>(&path, &wish, Some(&key)).await? {
            Answer::Is(intent) => Self::taken(asked, &intent),
            Answer::Refused { .. } => match after(self.captured(&known, part).await)? {
                Some(done) => Ok(done),
                None => refused("Stripe does not take this amount: it is no longer secured, or more than is left."),
            },
            Answer::Failed { .. } => Ok(after(self.captured(&known, part).await)?.unwrap_or(Moved::Again)),
        }
    }
    async fn refund(&self, asked: &Asked, part: &Part) -> Result<Moved, Failure> {
        let refused = |reason: &str| Ok(Moved::Refused { reason: reason.to_owned() });
        let Ok(amount) = amounts::at_stripe(Money::new(part.amount, asked.amount.currency)) else {
            return refused("Stripe cannot say this amount.");
        };
        let Some(intent) = self.intent(asked).await? else { return refused("Stripe knows of no such payment.") };
        let id = part.id.to_string();
        if let Some(done) = self.refunded(&intent, &id).await? {
            return Ok(done);
        }
        let wish = form(&[
            ("payment_intent", intent.id.clone()),
            ("amount", amount.to_string()),
            ("metadata[refund]", id.clone()),
        ]);
        match self.client.post::<Refund>("/v1/refunds", &wish, Some(&format!("{id}-refund-{}", part.turn))).await? {
            Answer::Is(refund) => Ok(Self::returned(&refund)),
            Answer::Refused { .. } => match after(self.refunded(&intent, &id).await)? {
                Some(done) => Ok(done),
                None => refused("Stripe does not refund this amount: it is more than is left."),
            },
            Answer::Failed { .. } => Ok(after(self.refunded(&intent, &id).await)?.unwrap_or(Moved::Again)),
        }
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
