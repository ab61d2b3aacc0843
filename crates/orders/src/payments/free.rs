//! An order that costs nothing: nobody is asked for money, whoever the buyer chose. It counts as paid for.
use super::{Asked, BadEvent, Heard, Means, Moved, Part, Provider, Standing, Word};
use kernel::{Failure, Minor, Time, async_trait};
use orders_api::OrderId;

pub(super) struct Free;

fn word(asked: &Asked, standing: Standing) -> Word {
    Word { reference: asked.order.to_string(), standing, captured: Minor::ZERO, refunded: Minor::ZERO }
}

#[async_trait]
impl Provider for Free {
    fn name(&self) -> &'static str {
        "free"
    }
    fn reference(&self, order: OrderId) -> Option<String> {
        Some(order.to_string())
    }
    async fn open(&self, asked: &Asked) -> Result<String, Failure> {
        Ok(asked.order.to_string())
    }
    async fn authorise(&self, asked: &Asked, _: &Means) -> Result<Word, Failure> {
        Ok(word(asked, Standing::Authorised))
    }
    async fn look(&self, asked: &Asked) -> Result<Option<Word>, Failure> {
        Ok(Some(word(asked, Standing::Authorised)))
    }
    async fn void(&self, asked: &Asked) -> Result<Option<Word>, Failure> {
        Ok(Some(word(asked, Standing::Voided)))
    }
    async fn capture(&self, _: &Asked, _: &Part) -> Result<Moved, Failure> {
        Ok(Moved::Refused { reason: "The order costs nothing.".into() })
    }
    async fn refund(&self, _: &Asked, _: &Part) -> Result<Moved, Failure> {
        Ok(Moved::Refused { reason: "The order costs nothing.".into() })
    }
    fn event(&self, _: &dyn Fn(&str) -> Option<String>, _: &[u8], _: Time) -> Result<Option<Heard>, BadEvent> {
        Err(BadEvent("nobody tells of what costs nothing".into()))
    }
}
