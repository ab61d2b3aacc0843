//! What can be asked for, as it lies in a process until it is done.
use crate::{
    domain::{
        order::{Order, ShipmentKind, Status},
        payment::{Move, MoveId, MoveState, Way},
        process::Task,
    },
    points::Point,
    service::Error,
};
use kernel::{Id, Minor, Money, Time};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Who carries it, and how it can be followed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Parcel {
    pub carrier: Option<String>,
    pub tracking_number: Option<String>,
}

/// How much is captured or refunded, and why.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Part {
    /// `None`: all that is left.
    pub amount: Option<Money>,
    pub reason: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub(crate) enum Wish {
    Cancel { reason: Option<String> },
    Ship { shipment: Id<ShipmentKind>, parcel: Parcel },
    Capture { id: MoveId, part: Part },
    Refund { id: MoveId, part: Part },
    Revert,
}

impl Wish {
    pub(crate) fn ship(parcel: Parcel) -> Self {
        Self::Ship { shipment: Id::new(), parcel }
    }
    pub(crate) fn capture(part: Part) -> Self {
        Self::Capture { id: Id::new(), part }
    }
    pub(crate) fn refund(part: Part) -> Self {
        Self::Refund { id: Id::new(), part }
    }

    pub(super) const fn task(&self) -> Task {
        match self {
            Self::Cancel { .. } => Task::Cancel,
            Self::Ship { .. } => Task::Ship,
            Self::Capture { .. } => Task::Capture,
            Self::Refund { .. } => Task::Refund,
            Self::Revert => Task::Revert,
        }
    }

    pub(super) fn written(&self) -> Value {
        serde_json::to_value(self).expect("a wish is plain data")
    }
    /// What a process was begun with. One of a version that did not write it down asked for the plainest of its kind.
    pub(crate) fn read(task: Task, input: Option<Value>) -> Result<Self, Error> {
        match (input, task) {
            (Some(input), _) => serde_json::from_value(input).map_err(|_| Error::Unreadable),
            (None, Task::Cancel) => Ok(Self::Cancel { reason: None }),
            (None, Task::Ship) => Ok(Self::ship(Parcel::default())),
            (None, Task::Revert) => Ok(Self::Revert),
            (None, Task::Checkout | Task::Capture | Task::Refund) => Err(Error::Unreadable),
        }
    }

    /// Whether it is so already, whoever did it.
    pub(super) fn is_so(&self, order: &Order) -> bool {
        matches!(self, Self::Cancel { .. }) && order.status == Status::Cancelled
    }

    /// The wish for this order, its amount counted; or why it cannot be.
    pub(super) fn of(self, order: &Order) -> Result<Self, Error> {
        match self {
            Self::Cancel { .. } if !order.cancellable() => Err(Error::NotCancellable),
            Self::Ship { .. } if !order.shippable() => Err(Error::NotShippable),
            Self::Capture { id, part } => {
                let open = order.status == Status::Placed;
                let left = order.payment.as_ref().filter(|payment| open && payment.can_capture());
                let left = left.and_then(|payment| payment.left().ok()).ok_or(Error::NotCapturable)?;
                let part = part.within(Money::new(left, order.currency), Error::NotCapturable)?;
                Ok(Self::Capture { id, part })
            }
            Self::Refund { id, part } => {
                let bought = !matches!(order.status, Status::Pending | Status::Failed);
                let left = order.payment.as_ref().filter(|_| bought).and_then(|payment| payment.refundable().ok());
                let left = left.ok_or(Error::NotRefundable)?;
                let part = part.within(Money::new(left, order.currency), Error::NotRefundable)?;
                Ok(Self::Refund { id, part })
            }
            Self::Cancel { .. } | Self::Ship { .. } | Self::Revert => Ok(self),
        }
    }

    /// The move that it promises, before anybody is asked.
    pub(super) fn promises(&self, at: Time) -> Option<Move> {
        let (id, way, part) = match self {
            Self::Capture { id, part } => (*id, Way::Capture, part),
            Self::Refund { id, part } => (*id, Way::Refund, part),
            Self::Cancel { .. } | Self::Ship { .. } | Self::Revert => return None,
        };
        let (amount, reason) = (part.amount?.amount, part.reason.clone());
        Some(Move { id, way, amount, reason, state: MoveState::Asked, created_at: at })
    }

    /// More than there is to be moved.
    pub(super) const fn beyond(&self) -> Error {
        match self {
            Self::Refund { .. } => Error::NotRefundable,
            _ => Error::NotCapturable,
        }
    }

    pub(super) fn begin_kept(&self) {
        match self {
            Self::Cancel { .. } => Point::CancelKept.reach(),
            Self::Ship { .. } => Point::ShipKept.reach(),
            Self::Capture { .. } => Point::CaptureKept.reach(),
            Self::Refund { .. } => Point::RefundKept.reach(),
            Self::Revert => (),
        }
    }
    pub(super) fn settle_kept(&self) {
        match self {
            Self::Cancel { .. } => Point::CancelSettled.reach(),
            Self::Ship { .. } => Point::ShipSettled.reach(),
            Self::Capture { .. } => Point::CaptureSettled.reach(),
            Self::Refund { .. } => Point::RefundSettled.reach(),
            Self::Revert => Point::RevertSettled.reach(),
        }
    }
}

impl Part {
    /// With its amount counted; `beyond` when it is nothing, or more than what is left.
    fn within(self, left: Money, beyond: Error) -> Result<Self, Error> {
        let amount = self.amount.unwrap_or(left);
        if amount.currency != left.currency {
            return Err(Error::WrongCurrency(left.currency));
        }
        if amount.amount <= Minor::ZERO || amount.amount > left.amount {
            return Err(beyond);
        }
        Ok(Self { amount: Some(amount), ..self })
    }
}
