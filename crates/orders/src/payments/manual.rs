//! Paid some other way: on account, by transfer, at the door. Nothing is asked of anybody; captures and refunds are what
//! staff records.
use super::{Asked, BadEvent, Heard, Means, Moved, Part, Provider, Standing, Word};
use kernel::{Failure, Minor, Time, async_trait};
use orders_api::OrderId;

pub(crate) struct Manual;

fn word(asked: &Asked, standing: Standing) -> Word {
    Word { reference: asked.order.to_string(), standing, captured: asked.captured, refunded: asked.refunded }
}

#[async_trait]
impl Provider for Manual {
    fn name(&self) -> &'static str {
        "manual"
    }
    fn reference(&self, order: OrderId) -> Option<String> {
        Some(order.to_string())
    }
    async fn open(&self, asked: &Asked) -> Result<String, Failure> {
        Ok(asked.order.to_string())
    }
    async fn authorise(&self, asked: &Asked, _: &Means) -> Result<Word, Failure> {
        Ok(word(asked, Standing::Pending))
    }
    async fn look(&self, asked: &Asked) -> Result<Option<Word>, Failure> {
        Ok(Some(word(asked, Standing::Pending)))
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
    fn event(&self, _: &dyn Fn(&str) -> Option<String>, _: &[u8], _: Time) -> Result<Option<Heard>, BadEvent> {
        Err(BadEvent("manual payments have no events".into()))
    }
}
