//! Paid some other way: on account, by transfer, at the door. Nothing is asked of anybody.
use super::{Authorisation, Provider};
use kernel::{Failure, Money, async_trait};
use orders_api::OrderId;

pub(crate) struct Manual;

#[async_trait]
impl Provider for Manual {
    fn name(&self) -> &'static str {
        "manual"
    }
    async fn authorise(&self, order: OrderId, _: Money, _: Option<&str>) -> Result<Authorisation, Failure> {
        Ok(Authorisation::Pending { reference: order.to_string() })
    }
    async fn void(&self, _: OrderId) -> Result<(), Failure> {
        Ok(())
    }
}
