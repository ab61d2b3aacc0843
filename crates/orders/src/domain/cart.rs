//! Carts: a working document of one buyer until it becomes an order.
use crate::domain::{
    shipping::ShippingSettings,
    totals::{Priced, Totals},
};
use kernel::{Address, BadMoney, CartKey, Currency, Id, Kind, Minor, Time};
use orders_api::OrderId;
use products_api::VariantId;
use users_api::UserId;

/// The most lines a cart holds, and the most pieces a line.
pub(crate) const MAX_LINES: usize = products_api::MAX_LINES;
pub(crate) const MAX_QUANTITY: i64 = 1_000_000;

#[derive(Debug)]
pub(crate) enum CartKind {}
impl Kind for CartKind {
    const PREFIX: &'static str = "cart";
}
pub(crate) type CartId = Id<CartKind>;

#[derive(Debug)]
pub(crate) enum LineKind {}
impl Kind for LineKind {
    const PREFIX: &'static str = "line";
}
pub(crate) type LineId = Id<LineKind>;

/// Who may touch a cart or an order: the holder of its token, its user, or staff.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pub user: Option<UserId>,
    pub token: Option<CartKey>,
    /// Staff with the permission that the use case asks for.
    pub staff: bool,
}

impl Holder {
    /// For what the shop looks at itself.
    pub(crate) const ANYONE: Self = Self { user: None, token: None, staff: true };

    /// Whether what belongs to `user` and is opened by `token` is this holder's.
    pub(crate) fn holds(&self, user: Option<UserId>, token: Option<CartKey>) -> bool {
        self.staff || (self.user.is_some() && self.user == user) || (self.token.is_some() && self.token == token)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cart {
    pub id: CartId,
    /// A customer's cart has none.
    pub token: Option<CartKey>,
    pub user: Option<UserId>,
    pub currency: Currency,
    pub locale: String,
    pub prices_include_tax: bool,
    pub email: Option<String>,
    pub shipping_address: Option<Address>,
    pub billing_address: Option<Address>,
    /// As chosen; [`ShippingSettings::chosen`] says what applies.
    pub shipping_option: Option<String>,
    /// The attempt that holds it: locked while that is pending, completed once it is placed.
    pub order: Option<OrderId>,
    pub version: i64,
    pub created_at: Time,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CartLine {
    pub id: LineId,
    pub variant: VariantId,
    pub title: String,
    pub sku: Option<String>,
    pub quantity: i64,
    pub unit_price: Minor,
}

impl CartLine {
    pub(crate) fn priced(&self) -> Priced {
        Priced { quantity: self.quantity, unit_price: self.unit_price, discount: Minor::ZERO, tax: Minor::ZERO }
    }
}

/// A cart with its lines, in the order they were added.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FullCart {
    pub cart: Cart,
    pub lines: Vec<CartLine>,
}

impl FullCart {
    /// Without a shipping option that applies, shipping counts as nothing yet.
    pub(crate) fn totals(&self, shipping: &ShippingSettings) -> Result<Totals, BadMoney> {
        let chosen = shipping.chosen(&self.cart);
        let price = chosen.and_then(|option| option.price(self.cart.currency)).unwrap_or(Minor::ZERO);
        Totals::of(self.lines.iter().map(CartLine::priced), price, self.cart.prices_include_tax)
    }
    /// JSON pointers of what a checkout still needs.
    pub(crate) fn missing(&self, shipping: &ShippingSettings) -> Vec<&'static str> {
        let needs = [
            ("/lines", self.lines.is_empty()),
            ("/email", self.cart.email.is_none()),
            ("/shipping_address", self.cart.shipping_address.is_none()),
            ("/shipping_option_id", shipping.chosen(&self.cart).is_none()),
        ];
        needs.into_iter().filter_map(|(pointer, missing)| missing.then_some(pointer)).collect()
    }
}
