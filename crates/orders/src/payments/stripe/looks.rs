//! What Stripe knows of an order's payment.
use super::{
    Asked, Stripe, Word, amounts,
    client::{Answer, Form},
    form,
    objects::{Intent, List, Refund},
};
use kernel::{Failure, Minor};

/// How many pages of a hundred are read when a payment is sought without its reference.
const PAGES: usize = 50;
/// The shop's clock and Stripe's need not agree.
const CLOCKS_APART: i64 = 600;

impl Stripe {
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
    pub(super) async fn intent(&self, asked: &Asked) -> Result<Option<Intent>, Failure> {
        let Some(reference) = &asked.reference else {
            let order = asked.order.to_string();
            let since = (asked.since.seconds() - CLOCKS_APART).to_string();
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
    pub(super) async fn refunds(&self, intent: &Intent) -> Result<Vec<Refund>, Failure> {
        self.pages("/v1/refunds", &[("payment_intent", intent.id.clone())], |r: &Refund| &r.id, |_| true).await
    }
    pub(super) fn minor(asked: &Asked, amount: i64) -> Result<Minor, Failure> {
        amounts::from_stripe(amount, asked.amount.currency).ok_or(Failure::Unknown)
    }
    pub(super) async fn word(&self, asked: &Asked, intent: &Intent) -> Result<Word, Failure> {
        if !intent.currency.eq_ignore_ascii_case(asked.amount.currency.code()) {
            tracing::error!(order = %asked.order, "the payment at Stripe is of another currency than its order");
            return Err(Failure::Unknown);
        }
        // Its end is not known there either: asked again.
        if intent.status == "processing" {
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
}
