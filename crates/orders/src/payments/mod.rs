//! Who takes the money. Orders knows providers by this trait; a provider knows a payment by its order's id, which is
//! also the key of every wish, and from its opening on by the provider's own reference.
//!
//! A provider that keeps payments of its own is first asked to open one, which moves nothing; its reference is written
//! down, and only then is money asked for. So whatever is lost on the way can be looked up by a reference that is known.
mod stripe;
mod test;
mod unasked;

pub use stripe::StripeSettings;

use kernel::{Failure, Minor, Money, Time, async_trait};
use orders_api::OrderId;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};
use uuid::Uuid;

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct PaymentSettings {
    /// Of `manual` (paid some other way, recorded by staff), `stripe`, and `test` (a card that is none: demonstration and
    /// tests only).
    pub providers: Vec<String>,
    /// Read where `stripe` is one of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stripe: Option<StripeSettings>,
}

impl Default for PaymentSettings {
    fn default() -> Self {
        Self { providers: vec!["manual".into()], stripe: None }
    }
}

/// A payment, as orders knows it when it asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub order: OrderId,
    /// The provider's name of it; `None` until it is opened.
    pub reference: Option<String>,
    /// What the order costs.
    pub amount: Money,
    pub captured: Minor,
    pub refunded: Minor,
    /// When the order was begun, by the shop's clock: nothing of it is older at the provider.
    pub since: Time,
}

/// What the buyer hands over so that money can be asked for. Never stored.
#[derive(Clone, Debug)]
pub(crate) struct Means {
    pub token: Option<String>,
    /// Where the provider sends the buyer back to, after what must be done first.
    pub return_url: Option<String>,
}

/// What a provider says of a payment: the whole of it, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    pub reference: String,
    pub standing: Standing,
    /// Moved to the shop so far, and back of that.
    pub captured: Minor,
    pub refunded: Minor,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Opened; no means of payment was accepted yet, and nothing is secured.
    Open,
    /// The buyer must do something first.
    Action(NextAction),
    /// Nothing is secured: the shop waits for the money.
    Pending,
    /// The money is secured and can be captured, or was.
    Authorised,
    Declined {
        reason: String,
    },
    /// Nothing stays secured, and nothing can be any more: final.
    Voided,
}

/// What the buyer must do, such as confirming with their bank.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub(crate) struct NextAction {
    /// `redirect`.
    pub r#type: String,
    pub url: String,
}

/// A capture or a refund: a wish of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// Its key: asking again with it is the same wish.
    pub id: Uuid,
    pub amount: Minor,
    /// How often the provider has answered this wish with an error of its own, after which its key is spent
    /// ([`Moved::Again`]).
    pub turn: i64,
}

/// What became of a capture or a refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Moved {
    Done {
        reference: String,
        /// What was let go of with it: a provider that captures once releases the rest. Zero for a refund.
        released: Minor,
    },
    /// Nothing was moved, and asking again would not help.
    Refused { reason: String },
    /// The provider failed and, as it says when it is looked up, moved nothing; it would repeat that answer under the same
    /// key. Asked again later with [`Part::turn`] one more.
    Again,
}

/// What a provider tells by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    pub order: OrderId,
    pub reference: String,
    /// `None`: the provider is to be asked how it stands now, so that events may come twice and in any order.
    pub word: Option<Word>,
}

/// Why an event is not listened to. Says nothing of secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct BadEvent(pub String);

/// Every method may be asked again with the same order (or part) and is the same wish then. [`Failure::Unknown`] says that
/// it may have been done; [`Failure::Unavailable`] that it surely was not; [`Failure::Denied`] that the provider will not
/// do it for this shop, which the operator is told in the log: nothing was done.
#[async_trait]
pub(crate) trait Provider: Send + Sync + 'static {
    fn name(&self) -> &'static str;
    /// The reference of an order's payment, where it is known without asking: such a provider is never asked to open one.
    fn reference(&self, order: OrderId) -> Option<String>;
    /// Makes the payment known to the provider; nothing is secured. Its reference.
    async fn open(&self, asked: &Asked) -> Result<String, Failure> {
        self.reference(asked.order).ok_or(Failure::Denied)
    }
    /// Secures the money by the buyer's means.
    async fn authorise(&self, asked: &Asked, means: &Means) -> Result<Word, Failure>;
    /// How it stands now; `None` when the provider knows of none. Found by its reference, or by the order's id before
    /// there is one.
    async fn look(&self, asked: &Asked) -> Result<Option<Word>, Failure>;
    /// Nothing stays secured or taken: what is not captured is let go of, what is captured goes back. `None` when there
    /// was nothing to take back. After it no money can move any more.
    async fn void(&self, asked: &Asked) -> Result<Option<Word>, Failure>;
    async fn capture(&self, asked: &Asked, part: &Part) -> Result<Moved, Failure>;
    async fn refund(&self, asked: &Asked, part: &Part) -> Result<Moved, Failure>;
    /// Reads what the provider sent: its headers by name, in lower case, and the bytes as they came. `None`: signed, and
    /// nothing to do with a payment of this shop.
    fn event(&self, header: &dyn Fn(&str) -> Option<String>, body: &[u8], now: Time)
    -> Result<Option<Heard>, BadEvent>;
}

/// The providers of this shop, by their names.
pub(crate) struct Providers(BTreeMap<&'static str, Arc<dyn Provider>>);

impl Providers {
    /// Or why there are none, a sentence.
    pub(crate) fn new(settings: &PaymentSettings) -> Result<Self, String> {
        let stripe = || stripe::Stripe::new(&settings.stripe.clone().unwrap_or_default());
        let named = |name: &String| -> Result<Arc<dyn Provider>, String> {
            Ok(match name.as_str() {
                "manual" => Arc::new(unasked::Unasked::MANUAL),
                "stripe" => Arc::new(stripe().map_err(|why| format!("Stripe cannot be asked: {why}"))?),
                "test" => Arc::new(test::Test),
                _ => return Err(format!("there is no payment provider `{name}`")),
            })
        };
        let chosen = settings.providers.iter().map(named).collect::<Result<Vec<_>, _>>()?;
        Ok(Self(chosen.into_iter().map(|provider| (provider.name(), provider)).collect()))
    }
    pub(crate) fn get(&self, name: &str) -> Option<Arc<dyn Provider>> {
        self.0.get(name).cloned()
    }
    /// Who is asked for an order of this amount by the buyer's choice.
    pub(crate) fn asked_for(&self, name: &str, amount: Money) -> Option<Arc<dyn Provider>> {
        let chosen = self.get(name);
        if amount.amount == Minor::ZERO {
            chosen.map(|_| Arc::new(unasked::Unasked::FREE) as Arc<dyn Provider>)
        } else {
            chosen
        }
    }
    pub(crate) fn names(&self) -> String {
        self.0.keys().copied().collect::<Vec<_>>().join(", ")
    }
}

impl PaymentSettings {
    /// What is wrong with them, a sentence each.
    pub fn problems(&self) -> Vec<String> {
        let known = |name: &&String| ["manual", "stripe", "test"].contains(&name.as_str());
        let unknown = (self.providers.iter().filter(|name| !known(name)))
            .map(|name| format!("payments.providers: `{name}` is not one of manual, stripe, test"));
        let stripe = (self.providers.iter().any(|name| name == "stripe"))
            .then(|| self.stripe.clone().unwrap_or_default().problems());
        let none = self.providers.is_empty().then(|| "payments.providers: name at least one".to_owned());
        unknown.chain(stripe.into_iter().flatten()).chain(none).collect()
    }
}
