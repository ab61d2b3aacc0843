//! A card that is none, for the demonstration and tests: its token says how it ends.
use super::{Authorisation, NextAction, Provider};
use kernel::{Failure, Money, async_trait};
use orders_api::OrderId;

pub(crate) struct Test;

#[async_trait]
impl Provider for Test {
    fn name(&self) -> &'static str {
        "test"
    }
    /// `tok_ok` is authorised, `tok_action` asks for the buyer, everything else is declined.
    async fn authorise(&self, order: OrderId, _: Money, token: Option<&str>) -> Result<Authorisation, Failure> {
        let reference = format!("test_{order}");
        Ok(match token {
            Some("tok_ok") => Authorisation::Authorised { reference },
            Some("tok_action") => {
                let next =
                    NextAction { r#type: "redirect".into(), url: format!("https://bank.example/confirm/{order}") };
                Authorisation::Action { reference, next }
            }
            _ => Authorisation::Declined { reference, reason: "The test card was declined.".into() },
        })
    }
    async fn void(&self, _: OrderId) -> Result<(), Failure> {
        Ok(())
    }
}
