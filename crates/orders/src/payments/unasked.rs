//! Nobody is asked for money: it is paid some other way (on account, by transfer, at the door), or there is nothing to pay.
//! Captures and refunds are what staff records.
use super::{Asked, BadEvent, Heard, Means, Moved, Part, Provider, Standing, Word};
use kernel::{Failure, Minor, Time, async_trait};
use orders_api::OrderId;

pub(super) struct Unasked {
    name: &'static str,
    /// How such a payment stands from the begin.
    stands: Standing,
}

impl Unasked {
    /// The shop waits for the money.
    pub(super) const MANUAL: Self = Self { name: "manual", stands: Standing::Pending };
    /// An order that costs nothing, whoever the buyer chose: it counts as paid for.
    pub(super) const FREE: Self = Self { name: "free", stands: Standing::Authorised };

    fn word(asked: &Asked, standing: Standing) -> Word {
        Word { reference: asked.order.to_string(), standing, captured: asked.captured, refunded: asked.refunded }
    }
}

#[async_trait]
impl Provider for Unasked {
    fn name(&self) -> &'static str {
        self.name
    }
    fn reference(&self, order: OrderId) -> Option<String> {
        Some(order.to_string())
    }
    async fn authorise(&self, asked: &Asked, _: &Means) -> Result<Word, Failure> {
        Ok(Self::word(asked, self.stands.clone()))
    }
    async fn look(&self, asked: &Asked) -> Result<Option<Word>, Failure> {
        Ok(Some(Self::word(asked, self.stands.clone())))
    }
    async fn void(&self, asked: &Asked) -> Result<Option<Word>, Failure> {
        Ok(Some(Word { refunded: asked.captured, ..Self::word(asked, Standing::Voided) }))
    }
    async fn capture(&self, _: &Asked, part: &Part) -> Result<Moved, Failure> {
        Ok(Moved::Done { reference: part.id.to_string(), released: Minor::ZERO })
    }
    async fn refund(&self, _: &Asked, part: &Part) -> Result<Moved, Failure> {
        Ok(Moved::Done { reference: part.id.to_string(), released: Minor::ZERO })
    }
    fn event(&self, _: &dyn Fn(&str) -> Option<String>, _: &[u8], _: Time) -> Result<Option<Heard>, BadEvent> {
        Err(BadEvent("nobody tells of a payment that nobody is asked for".into()))
    }
}
