//! How it can be sent, and for how much: from the settings.
use crate::domain::cart::Cart;
use kernel::{Currency, Minor};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The ways of sending that the shop offers.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ShippingSettings {
    pub options: Vec<ShippingOption>,
}

/// One way of sending.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ShippingOption {
    /// What carts refer to.
    pub id: String,
    pub name: String,
    /// Minor units a currency, such as `{ EUR = 490 }`. Empty: free in every currency.
    #[serde(default)]
    pub prices: BTreeMap<String, i64>,
    /// ISO 3166 codes it is offered for; empty: everywhere.
    #[serde(default)]
    pub countries: Vec<String>,
}

impl Default for ShippingSettings {
    fn default() -> Self {
        let free = ShippingOption {
            id: "standard".into(),
            name: "Standard".into(),
            prices: BTreeMap::new(),
            countries: Vec::new(),
        };
        Self { options: vec![free] }
    }
}

impl ShippingSettings {
    /// What is wrong with them, a sentence each.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut ids = std::collections::BTreeSet::new();
        for option in &self.options {
            let id = &option.id;
            if id.is_empty() || id.len() > 100 || !ids.insert(id) {
                problems.push(format!("shipping.options: `{id}` is empty, too long, or there twice"));
            }
            for (currency, amount) in &option.prices {
                if currency.parse::<Currency>().is_err() || *amount < 0 || Minor::new(*amount).is_err() {
                    problems.push(format!("shipping.options: `{id}` has no price like {currency} = {amount}"));
                }
            }
        }
        problems
    }
    /// What a cart can choose from.
    pub(crate) fn offered<'a>(&'a self, cart: &'a Cart) -> impl Iterator<Item = &'a ShippingOption> {
        self.options.iter().filter(|option| {
            let country = cart.shipping_address.as_ref().map(|address| &address.country);
            let reaches =
                option.countries.is_empty() || country.is_none_or(|country| option.countries.contains(country));
            reaches && option.price(cart.currency).is_some()
        })
    }
    /// What the cart chose, where it is still offered; what is offered, where that is only one.
    pub(crate) fn chosen<'a>(&'a self, cart: &'a Cart) -> Option<&'a ShippingOption> {
        let mut offered = self.offered(cart);
        match &cart.shipping_option {
            Some(id) => offered.find(|option| option.id == *id),
            None => offered.next().filter(|_| offered.next().is_none()),
        }
    }
}

impl ShippingOption {
    /// `None`: not offered in this currency.
    pub(crate) fn price(&self, currency: Currency) -> Option<Minor> {
        if self.prices.is_empty() {
            return Some(Minor::ZERO);
        }
        self.prices.get(currency.code()).and_then(|amount| Minor::new(*amount).ok())
    }
}
