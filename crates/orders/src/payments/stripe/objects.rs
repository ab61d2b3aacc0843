//! What is read of Stripe's answers; the rest is left alone.
use super::{NextAction, Standing};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Intent {
    pub(super) id: String,
    pub(super) amount: i64,
    #[serde(default)]
    pub(super) amount_received: i64,
    pub(super) currency: String,
    pub(super) status: String,
    #[serde(default)]
    pub(super) metadata: BTreeMap<String, String>,
    #[serde(default)]
    client_secret: Option<String>,
    #[serde(default)]
    next_action: Option<Next>,
    #[serde(default)]
    last_payment_error: Option<Told>,
    #[serde(default)]
    pub(super) latest_charge: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct Next {
    #[serde(default)]
    redirect_to_url: Option<Redirect>,
}

#[derive(Clone, Debug, Deserialize)]
struct Redirect {
    url: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Told {
    #[serde(default)]
    pub(super) r#type: String,
    #[serde(default)]
    pub(super) code: Option<String>,
    #[serde(default)]
    pub(super) decline_code: Option<String>,
    /// Of the request, what it is about.
    #[serde(default)]
    pub(super) param: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Problem {
    pub(super) error: Told,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Refund {
    pub(super) id: String,
    pub(super) amount: i64,
    #[serde(default)]
    pub(super) status: Option<String>,
    #[serde(default)]
    pub(super) metadata: BTreeMap<String, String>,
}

impl Refund {
    /// It has not come back to the shop.
    pub(super) fn counts(&self) -> bool {
        !matches!(self.status.as_deref(), Some("failed" | "canceled"))
    }
    /// Whether it was made for this wish.
    pub(super) fn is_of(&self, wish: &str) -> bool {
        self.metadata.get("refund").is_some_and(|id| id == wish)
    }
}

#[derive(Deserialize)]
pub(super) struct List<T> {
    pub(super) data: Vec<T>,
    pub(super) has_more: bool,
}

#[derive(Deserialize)]
pub(super) struct Event {
    pub(super) data: Data,
}

#[derive(Deserialize)]
pub(super) struct Data {
    pub(super) object: Subject,
}

#[derive(Deserialize)]
pub(super) struct Subject {
    #[serde(default)]
    pub(super) id: String,
    /// A charge's payment intent.
    #[serde(default)]
    pub(super) payment_intent: Option<String>,
    #[serde(default)]
    pub(super) metadata: BTreeMap<String, String>,
}

impl Told {
    /// The buyer's token is wrong, and not what the shop asks for.
    pub(super) fn is_of_the_means(&self) -> bool {
        self.r#type == "card_error" || self.param.as_deref() == Some("payment_method")
    }
    /// For the buyer: what to do next, and nothing that only the bank and the shop should know.
    pub(super) fn for_buyer(&self) -> String {
        match self.decline_code.as_deref().or(self.code.as_deref()) {
            Some("insufficient_funds") => "The card has not enough funds.",
            Some("expired_card") => "The card has expired.",
            Some("incorrect_cvc" | "invalid_cvc") => "The card's security code is wrong.",
            Some("incorrect_number" | "invalid_number") => "The card's number is wrong.",
            Some("authentication_required" | "payment_intent_authentication_failure") => {
                "The bank did not get its confirmation: try again, or pay another way."
            }
            _ => "The payment was declined: try again, or pay another way.",
        }
        .into()
    }
}

impl Intent {
    pub(super) fn standing(&self) -> Standing {
        match self.status.as_str() {
            "requires_payment_method" => match &self.last_payment_error {
                Some(told) => Standing::Declined { reason: told.for_buyer() },
                None => Standing::Open,
            },
            "requires_confirmation" => Standing::Open,
            "requires_action" => Standing::Action(self.action()),
            "requires_capture" | "succeeded" => Standing::Authorised,
            "canceled" => Standing::Voided,
            _ => Standing::Pending,
        }
    }
    /// Where to send the buyer. Without a return address Stripe leaves it to its library in the buyer's browser, which
    /// takes the client secret.
    fn action(&self) -> NextAction {
        match self.next_action.as_ref().and_then(|next| next.redirect_to_url.as_ref()) {
            Some(redirect) => NextAction { r#type: "redirect".into(), url: redirect.url.clone() },
            None => NextAction { r#type: "stripe_sdk".into(), url: self.client_secret.clone().unwrap_or_default() },
        }
    }
}
