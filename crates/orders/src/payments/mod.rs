//! Who takes the money. Orders knows providers by this trait; a provider knows an order by its id and its amount.
mod manual;
mod test;

use kernel::{Failure, Money, async_trait};
use orders_api::OrderId;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct PaymentSettings {
    /// Of `manual` (paid some other way, recorded by staff) and `test` (a card that is none: demonstration and tests only).
    pub providers: Vec<String>,
}

impl Default for PaymentSettings {
    fn default() -> Self {
        Self { providers: vec!["manual".into()] }
    }
}

/// What a provider said to a wish for money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Authorisation {
    /// Nothing is secured: the shop waits for the money.
    Pending {
        reference: String,
    },
    /// The money is secured and can be captured.
    Authorised {
        reference: String,
    },
    Declined {
        reference: String,
        reason: String,
    },
    /// The buyer must do something first.
    Action {
        reference: String,
        next: NextAction,
    },
}

/// What the buyer must do, such as confirming with their bank.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub(crate) struct NextAction {
    /// `redirect`.
    pub r#type: String,
    pub url: String,
}

/// The order's id is the key: asking again is the same wish.
#[async_trait]
pub(crate) trait Provider: Send + Sync + 'static {
    fn name(&self) -> &'static str;
    async fn authorise(&self, order: OrderId, amount: Money, token: Option<&str>) -> Result<Authorisation, Failure>;
    /// Nothing stays secured. Voiding again, or what never was, is no mistake.
    async fn void(&self, order: OrderId) -> Result<(), Failure>;
}

pub(crate) struct Providers(BTreeMap<&'static str, Arc<dyn Provider>>);

impl Providers {
    /// The name that is not a provider's.
    pub(crate) fn new(settings: &PaymentSettings) -> Result<Self, String> {
        let all: [Arc<dyn Provider>; 2] = [Arc::new(manual::Manual), Arc::new(test::Test)];
        let named =
            |name: &String| all.iter().find(|provider| provider.name() == name).cloned().ok_or_else(|| name.clone());
        let chosen = settings.providers.iter().map(named).collect::<Result<Vec<_>, _>>()?;
        Ok(Self(chosen.into_iter().map(|provider| (provider.name(), provider)).collect()))
    }
    pub(crate) fn get(&self, name: &str) -> Option<Arc<dyn Provider>> {
        self.0.get(name).cloned()
    }
    pub(crate) fn names(&self) -> String {
        self.0.keys().copied().collect::<Vec<_>>().join(", ")
    }
}

impl PaymentSettings {
    /// What is wrong with them, a sentence each.
    pub fn problems(&self) -> Vec<String> {
        let unknown =
            Providers::new(self).err().map(|name| format!("payments.providers: `{name}` is not one of manual, test"));
        let none = self.providers.is_empty().then(|| "payments.providers: name at least one".to_owned());
        unknown.into_iter().chain(none).collect()
    }
}
