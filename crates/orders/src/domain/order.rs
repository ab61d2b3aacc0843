//! Orders: what was bought, as it was that day, and what became of it.
use crate::domain::{
    cart::{CartId, FullCart, LineId},
    payment::Payment,
    shipping::ShippingOption,
    totals::Totals,
};
use kernel::{Address, BadMoney, CartKey, Currency, Id, Kind, Minor, Money, Time};
use orders_api::OrderId;
use products_api::VariantId;
use serde::{Deserialize, Serialize};
use users_api::UserId;

words! {
    /// Where an order stands.
    Status { Pending = "pending", Placed = "placed", Completed = "completed", Cancelled = "cancelled", Failed = "failed" }
}
words! {
    /// Where its money stands.
    PaymentStatus {
        Pending = "pending", Authorised = "authorised", Paid = "paid", PartiallyRefunded = "partially_refunded",
        Refunded = "refunded", Voided = "voided", Failed = "failed",
    }
}
words! {
    /// Where its goods stand.
    FulfilmentStatus { Unfulfilled = "unfulfilled", Partial = "partial", Fulfilled = "fulfilled" }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Order {
    pub id: OrderId,
    /// There once it is placed.
    pub number: Option<i64>,
    pub cart: CartId,
    pub token: Option<CartKey>,
    pub user: Option<UserId>,
    pub status: Status,
    pub payment_status: PaymentStatus,
    pub fulfilment_status: FulfilmentStatus,
    pub currency: Currency,
    pub locale: String,
    pub prices_include_tax: bool,
    pub email: String,
    pub shipping_address: Address,
    pub billing_address: Option<Address>,
    pub shipping_option: Sent,
    pub totals: Totals,
    pub cancel_reason: Option<String>,
    pub version: i64,
    pub created_at: Time,
    pub placed_at: Option<Time>,
    /// When all of its money had come.
    pub paid_at: Option<Time>,
    /// What has left the house.
    pub shipments: Vec<Shipment>,
    /// Its money; none for an order of a time before payments were written first.
    pub payment: Option<Payment>,
}

/// One parcel.
#[derive(Debug)]
pub(crate) enum ShipmentKind {}
impl Kind for ShipmentKind {
    const PREFIX: &'static str = "ship";
}

/// A parcel, and how it can be followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shipment {
    pub id: Id<ShipmentKind>,
    pub carrier: Option<String>,
    pub tracking_number: Option<String>,
    pub created_at: Time,
}

/// The way of sending, as it was called that day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sent {
    pub id: String,
    pub name: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OrderLine {
    pub id: LineId,
    pub variant: VariantId,
    pub title: String,
    pub sku: Option<String>,
    pub quantity: i64,
    pub unit_price: Minor,
    pub discount: Minor,
    pub tax: Minor,
    pub total: Minor,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FullOrder {
    pub order: Order,
    pub lines: Vec<OrderLine>,
}

/// The cart is not complete, or worth more than can be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unfit;

impl From<BadMoney> for Unfit {
    fn from(_: BadMoney) -> Self {
        Self
    }
}

impl FullOrder {
    /// The pending attempt of a complete cart: a snapshot of what the buyer was shown.
    pub(crate) fn of(
        id: OrderId,
        full: &FullCart,
        user: Option<UserId>,
        option: &ShippingOption,
        now: Time,
    ) -> Result<Self, Unfit> {
        let FullCart { cart, lines } = full;
        let priced = lines.iter().map(|line| line.priced());
        let shipping = option.price(cart.currency).ok_or(Unfit)?;
        let totals = Totals::of(priced, shipping, cart.prices_include_tax)?;
        let lines = lines.iter().map(|line| {
            Ok(OrderLine {
                id: line.id,
                variant: line.variant,
                title: line.title.clone(),
                sku: line.sku.clone(),
                quantity: line.quantity,
                unit_price: line.unit_price,
                discount: Minor::ZERO,
                tax: Minor::ZERO,
                total: line.priced().total()?,
            })
        });
        let lines = lines.collect::<Result<_, BadMoney>>()?;
        let order = Order {
            id,
            number: None,
            cart: cart.id,
            token: cart.token,
            user: user.or(cart.user),
            status: Status::Pending,
            payment_status: PaymentStatus::Pending,
            fulfilment_status: FulfilmentStatus::Unfulfilled,
            currency: cart.currency,
            locale: cart.locale.clone(),
            prices_include_tax: cart.prices_include_tax,
            email: cart.email.clone().ok_or(Unfit)?,
            shipping_address: cart.shipping_address.clone().ok_or(Unfit)?,
            billing_address: cart.billing_address.clone(),
            shipping_option: Sent { id: option.id.clone(), name: option.name.clone() },
            totals,
            cancel_reason: None,
            version: 1,
            created_at: now,
            placed_at: None,
            paid_at: None,
            shipments: Vec::new(),
            payment: None,
        };
        Ok(Self { order, lines })
    }
}

impl Order {
    pub(crate) fn total(&self) -> Money {
        Money::new(self.totals.total, self.currency)
    }
    /// Placed, and nothing of it has left the house.
    pub(crate) fn cancellable(&self) -> bool {
        self.status == Status::Placed && self.fulfilment_status == FulfilmentStatus::Unfulfilled
    }
    /// Whether all of its money has come, where it is an order in this status.
    pub(crate) fn is_paid(&self, status: Status, payment: Option<&Payment>) -> bool {
        let all_came = payment.map_or(self.payment_status == PaymentStatus::Paid, Payment::all_came);
        all_came && matches!(status, Status::Placed | Status::Completed)
    }
    pub(crate) fn shippable(&self) -> bool {
        self.cancellable()
    }
}

/// A placed order is completed once all of it has left the house and all of its money came to the shop, whatever of that
/// was given back since.
pub(crate) fn completed(all_came: bool, goods: FulfilmentStatus) -> Status {
    match (all_came, goods) {
        (true, FulfilmentStatus::Fulfilled) => Status::Completed,
        _ => Status::Placed,
    }
}
