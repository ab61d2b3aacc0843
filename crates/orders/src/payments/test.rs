//! A card that is none, for the demonstration and tests: its token says how it ends, and an event what its bank says.
use super::{Asked, BadEvent, Heard, Means, Moved, NextAction, Part, Provider, Standing, Word};
use kernel::{Failure, Minor, Time, async_trait};
use orders_api::OrderId;
use serde::Deserialize;

pub(crate) struct Test;

fn reference(order: OrderId) -> String {
    format!("test_{order}")
}

fn word(asked: &Asked, standing: Standing) -> Word {
    Word { reference: reference(asked.order), standing, captured: asked.captured, refunded: asked.refunded }
}

/// What anybody may send: the provider is for demonstration and tests only.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    order: OrderId,
    says: Says,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Says {
    Authorised,
    Declined,
}

#[async_trait]
impl Provider for Test {
    fn name(&self) -> &'static str {
        "test"
    }
    fn reference(&self, order: OrderId) -> Option<String> {
        Some(reference(order))
    }
    /// `tok_ok` is authorised, `tok_action` asks for the buyer, everything else is declined.
    async fn authorise(&self, asked: &Asked, means: &Means) -> Result<Word, Failure> {
        let standing = match means.token.as_deref() {
            Some("tok_ok") => Standing::Authorised,
            Some("tok_action") => {
                let url = format!("https://bank.example/confirm/{}", asked.order);
                Standing::Action(NextAction { r#type: "redirect".into(), url })
            }
            _ => Standing::Declined { reason: "The test card was declined.".into() },
        };
        Ok(word(asked, standing))
    }
    /// It remembers nothing: what is known of it is what orders has written down.
    async fn look(&self, _: &Asked) -> Result<Option<Word>, Failure> {
        Ok(None)
    }
    async fn void(&self, asked: &Asked) -> Result<Option<Word>, Failure> {
        Ok(Some(Word { refunded: asked.captured, ..word(asked, Standing::Voided) }))
    }
    async fn capture(&self, _: &Asked, part: &Part) -> Result<Moved, Failure> {
        Ok(Moved::Done { reference: part.id.to_string(), released: Minor::ZERO })
    }
    async fn refund(&self, _: &Asked, part: &Part) -> Result<Moved, Failure> {
        Ok(Moved::Done { reference: part.id.to_string(), released: Minor::ZERO })
    }
    /// `{"order":"order_..","says":"authorised"}` or `"declined"`.
    fn event(&self, _: &dyn Fn(&str) -> Option<String>, body: &[u8], _: Time) -> Result<Option<Heard>, BadEvent> {
        let Said { order, says } = serde_json::from_slice(body).map_err(|error| BadEvent(error.to_string()))?;
        let standing = match says {
            Says::Authorised => Standing::Authorised,
            Says::Declined => Standing::Declined { reason: "The test bank said no.".into() },
        };
        let reference = reference(order);
        let word = Word { reference: reference.clone(), standing, captured: Minor::ZERO, refunded: Minor::ZERO };
        Ok(Some(Heard { order, reference, word: Some(word) }))
    }
}
