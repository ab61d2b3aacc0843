//! What others may ask of orders, and hear from it.
use kernel::{Call, CallError, Event, Id, Kind, Money, Time, contract};
use serde::Serialize;
use users_api::UserId;
use uuid::Uuid;

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

/// Told of orders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum OrderEvent {
    Placed {
        order_id: OrderId,
        number: i64,
        user_id: Option<UserId>,
        total: Money,
    },
    /// An attempt that came to nothing; its reservation is released and its payment void.
    Failed {
        order_id: OrderId,
    },
    Cancelled {
        order_id: OrderId,
        reason: Option<String>,
    },
    Shipped {
        order_id: OrderId,
    },
    /// Money came to the shop.
    Captured {
        order_id: OrderId,
        amount: Money,
    },
    /// Money went back.
    Refunded {
        order_id: OrderId,
        amount: Money,
    },
    /// What was secured is not any more.
    Voided {
        order_id: OrderId,
    },
    /// Money came for an order that had failed by then; it was given back. Somebody may want to look.
    PaymentLate {
        order_id: OrderId,
    },
}

impl Event for OrderEvent {
    fn kind(&self) -> &'static str {
        match self {
            Self::Placed { .. } => "order.placed",
            Self::Failed { .. } => "order.failed",
            Self::Cancelled { .. } => "order.cancelled",
            Self::Shipped { .. } => "order.shipped",
            Self::Captured { .. } => "order.payment_captured",
            Self::Refunded { .. } => "order.payment_refunded",
            Self::Voided { .. } => "order.payment_voided",
            Self::PaymentLate { .. } => "order.payment_late",
        }
    }
    fn subject(&self) -> Uuid {
        match self {
            Self::Placed { order_id, .. }
            | Self::Failed { order_id }
            | Self::Cancelled { order_id, .. }
            | Self::Captured { order_id, .. }
            | Self::Refunded { order_id, .. }
            | Self::Voided { order_id }
            | Self::PaymentLate { order_id }
            | Self::Shipped { order_id } => *order_id.uuid(),
        }
    }
}
