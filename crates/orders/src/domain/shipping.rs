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
        let offered: Vec<_> = self.offered(cart).collect();
        let wanted = offered.iter().find(|option| Some(&option.id) == cart.shipping_option.as_ref());
        let only = offered.first().filter(|_| offered.len() == 1);
        wanted.or(only).copied()
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

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::{Address, Id, Time};

    fn cart(country: &str, chosen: Option<&str>) -> Cart {
        let address = Address {
            name: "A".into(),
            line1: "1".into(),
            line2: None,
            city: "C".into(),
            region: None,
            postal_code: None,
            country: country.into(),
            phone: None,
        };
        Cart {
            id: Id::new(),
            token: None,
            user: Some(Id::new()),
            currency: Currency::EUR,
            locale: "en".into(),
            prices_include_tax: true,
            email: None,
            shipping_address: Some(address),
            billing_address: None,
            shipping_option: chosen.map(str::to_owned),
            order: None,
            version: 1,
            created_at: Time::from_micros(0),
        }
    }

    #[test]
    fn where_only_one_applies_it_is_chosen() {
        let option = |id: &str, countries: &[&str]| ShippingOption {
            id: id.into(),
            name: id.into(),
            prices: BTreeMap::new(),
            countries: countries.iter().map(|country| (*country).to_owned()).collect(),
        };
        let shop = ShippingSettings { options: vec![option("standard", &[]), option("express", &["DE"])] };
        let chosen = |country, wish| shop.chosen(&cart(country, wish)).map(|option| option.id.clone());
        assert_eq!(chosen("DE", None), None, "the buyer has a choice");
        assert_eq!(chosen("DE", Some("express")).as_deref(), Some("express"));
        assert_eq!(chosen("FR", None).as_deref(), Some("standard"));
        assert_eq!(chosen("FR", Some("express")).as_deref(), Some("standard"), "the wish is not offered there");
    }
}
