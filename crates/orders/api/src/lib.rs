//! What others may ask of orders, and hear from it.
use kernel::{Call, CallError, Id, Kind, Money, Time, contract};
use products_api::VariantId;
use serde::{Deserialize, Serialize};
use users_api::UserId;

/// What somebody bought, or tried to.
#[derive(Debug)]
pub enum Order {}
impl Kind for Order {
    const PREFIX: &'static str = "order";
}
pub type OrderId = Id<Order>;

/// What people bought, for answers that show it.
#[contract(order_history = "cleave.orders.v1.OrderHistory")]
pub trait OrderHistory {
    /// The latest placed orders of each user, newest first. At most [`MAX_USERS`] users. One sees one's own; who holds
    /// `orders:read` sees all; the rest is left out.
    #[read(User)]
    async fn latest(&self, call: &Call, request: Latest) -> Result<Vec<OrderSummary>, CallError<LatestError>>;
}

/// The most users and the most orders a user that [`OrderHistory::latest`] takes.
pub const MAX_USERS: usize = 100;
pub const MAX_LATEST: usize = 20;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Latest {
    pub users: Vec<UserId>,
    /// Orders a user, 1 to [`MAX_LATEST`].
    pub limit: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderSummary {
    pub id: OrderId,
    pub user: UserId,
    /// What people call it; there once it is placed.
    pub number: Option<i64>,
    pub status: String,
    pub payment_status: String,
    pub fulfilment_status: String,
    pub total: Money,
    pub placed_at: Option<Time>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LatestError {
    #[error("more than {MAX_USERS} users, or a limit outside 1..{MAX_LATEST}")]
    OutOfRange,
}

kernel::events! {
    /// Told of orders. Who bought and where it goes is not told: who may see it asks for the order.
    pub enum OrderEvent of "orders" {
        /// A checkout succeeded: the stock is the order's, and its money is secured where its provider secures any.
        "order.placed" 1 => Placed of order_id: OrderId {
            number: i64,
            user_id: Option<UserId>,
            total: Money,
            /// What was bought. Events of a time before this was told have none.
            #[serde(default)]
            lines: Vec<OrderedLine>,
        },
        /// All of its money has come: told once, also of an order that costs nothing. `amount` is what came.
        "order.paid" 1 => Paid of order_id: OrderId { amount: Money },
        /// An attempt that came to nothing; its reservation is released and its payment void.
        "order.failed" 1 => Failed of order_id: OrderId {},
        /// It will not be sent; its stock is free again and its money on the way back.
        "order.cancelled" 1 => Cancelled of order_id: OrderId {},
        /// It is on its way to the buyer.
        "order.shipped" 1 => Shipped of order_id: OrderId {},
        /// All of it has left the shop and all of its money has come. Money may still go back.
        "order.completed" 1 => Completed of order_id: OrderId {},
        /// Money came to the shop, be it a part of what was secured.
        "order.payment_captured" 1 => Captured of order_id: OrderId { amount: Money },
        /// Money went back, be it a part of what had come.
        "order.refunded" 1 => Refunded of order_id: OrderId { amount: Money },
        /// What was secured is not any more.
        "order.payment_voided" 1 => Voided of order_id: OrderId {},
        /// Money came for an order that had failed by then; it was given back. Somebody may want to look.
        "order.payment_late" 1 => PaymentLate of order_id: OrderId {},
        /// Its buyer's account is gone: who that was and where it went is forgotten. What was bought and paid stays.
        "order.anonymised" 1 => Anonymised of order_id: OrderId {},
    }
}

/// So many pieces of a variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct OrderedLine {
    pub variant_id: VariantId,
    pub quantity: i64,
}
