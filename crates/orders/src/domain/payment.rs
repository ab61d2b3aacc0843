//! The money of one order: what its provider said of it, and what was moved.
use crate::{
    domain::order::{PaymentStatus, Status},
    payments::{Asked, NextAction, Standing, Word},
};
use kernel::{Id, Kind, Minor, Money, Time};
use orders_api::OrderId;

words! {
    /// How the provider says it stands.
    State {
        Open = "open", Action = "action", Pending = "pending", Authorised = "authorised", Declined = "declined",
        /// Final: nothing can move any more.
        Voided = "voided",
    }
}
words! {
    /// Which way money moves: to the shop, or back.
    Way { Capture = "capture", Refund = "refund" }
}
words! {
    /// What became of a move.
    MoveState { Asked = "asked", Done = "done", Refused = "refused" }
}

impl From<&Standing> for State {
    fn from(standing: &Standing) -> Self {
        match standing {
            Standing::Open => Self::Open,
            Standing::Action(_) => Self::Action,
            Standing::Pending => Self::Pending,
            Standing::Authorised => Self::Authorised,
            Standing::Declined { .. } => Self::Declined,
            Standing::Voided => Self::Voided,
        }
    }
}

/// One capture or refund.
#[derive(Debug)]
pub(crate) enum MoveKind {}
impl Kind for MoveKind {
    const PREFIX: &'static str = "move";
}
pub(crate) type MoveId = Id<MoveKind>;

/// A capture or a refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Move {
    pub id: MoveId,
    pub way: Way,
    pub amount: Minor,
    pub reason: Option<String>,
    pub state: MoveState,
    pub created_at: Time,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Payment {
    pub provider: String,
    /// The provider's name of it; `None` until it is known.
    pub reference: Option<String>,
    pub state: State,
    pub amount: Money,
    /// Moved to the shop, and promised to be: never more than `amount - released`.
    pub captured: Minor,
    pub capture_asked: Minor,
    /// Moved back, and promised to be: never more than `captured`.
    pub refunded: Minor,
    pub refund_asked: Minor,
    /// What the provider let go of uncaptured.
    pub released: Minor,
    /// What the buyer must do for it.
    pub next: Option<NextAction>,
    /// Why it was declined, for the buyer.
    pub reason: Option<String>,
    /// When money came for an order that had failed by then, and was given back.
    pub late_at: Option<Time>,
    /// Captures and refunds, oldest first; only where an order is read whole.
    pub moves: Vec<Move>,
}

impl Payment {
    /// Written before anybody is asked for money.
    pub(crate) fn begun(provider: &str, reference: Option<String>, amount: Money) -> Self {
        Self {
            provider: provider.to_owned(),
            reference,
            state: State::Open,
            amount,
            captured: Minor::ZERO,
            capture_asked: Minor::ZERO,
            refunded: Minor::ZERO,
            refund_asked: Minor::ZERO,
            released: Minor::ZERO,
            next: None,
            reason: None,
            late_at: None,
            moves: Vec::new(),
        }
    }
    /// Whether all that will ever come has come to the shop.
    pub(crate) fn all_came(&self) -> bool {
        let came = self.amount.amount.minus(self.released) == Ok(self.captured);
        came && (*self.captured.get() > 0 || self.state == State::Authorised)
    }
    /// The order's payment status.
    pub(crate) fn status(&self, order: Status) -> PaymentStatus {
        let moved = *self.captured.get() > 0;
        match self.state {
            _ if moved && self.refunded == self.captured => PaymentStatus::Refunded,
            _ if moved && *self.refunded.get() > 0 => PaymentStatus::PartiallyRefunded,
            _ if moved && self.amount.amount.minus(self.released) == Ok(self.captured) => PaymentStatus::Paid,
            _ if order == Status::Failed => PaymentStatus::Failed,
            State::Open | State::Action | State::Pending => PaymentStatus::Pending,
            // it costs nothing, and all of that is there
            State::Authorised if self.amount.amount == Minor::ZERO => PaymentStatus::Paid,
            State::Authorised => PaymentStatus::Authorised,
            State::Declined => PaymentStatus::Failed,
            State::Voided => PaymentStatus::Voided,
        }
    }
    /// Whether there is money to be captured: secured, or to be recorded by staff.
    pub(crate) fn can_capture(&self) -> bool {
        matches!(self.state, State::Pending | State::Authorised)
    }
    /// What can still be captured.
    pub(crate) fn left(&self) -> Result<Minor, kernel::BadMoney> {
        self.amount.amount.minus(self.released)?.minus(self.capture_asked)
    }
    /// What can still be refunded.
    pub(crate) fn refundable(&self) -> Result<Minor, kernel::BadMoney> {
        self.captured.minus(self.refund_asked)
    }
    /// What its provider is asked about.
    pub(crate) fn asked(&self, order: OrderId, since: Time) -> Asked {
        let Self { reference, amount, captured, refunded, .. } = self.clone();
        Asked { order, reference, amount, captured, refunded, since }
    }
    /// Whether money is with the shop, or kept for it.
    pub(crate) fn holds_money(&self) -> bool {
        self.state == State::Authorised || self.captured != self.refunded
    }
    /// This payment after its provider's word, which is of the whole of it. It goes up from step to step, and what was
    /// moved only grows: a word that is older than what is known changes nothing.
    #[must_use]
    pub(crate) fn heard(&self, word: &Word) -> Self {
        let state = match (self.state, State::from(&word.standing)) {
            // nothing was secured by it
            (State::Declined, State::Voided) => State::Declined,
            // money that came after all
            (State::Voided, State::Authorised) => State::Authorised,
            (known, older) if rank(known) > rank(older) => known,
            (_, newer) => newer,
        };
        let captured = self.captured.max(word.captured);
        let refunded = self.refunded.max(word.refunded).min(captured);
        // What was moved there was not promised here: it comes on top of what is.
        let grown = |asked: Minor, by: Result<Minor, kernel::BadMoney>| by.and_then(|by| asked.plus(by));
        let all = self.amount.amount.minus(self.released).unwrap_or(captured);
        let capture_asked = grown(self.capture_asked, captured.minus(self.captured)).unwrap_or(captured).min(all);
        let refund_asked = grown(self.refund_asked, refunded.minus(self.refunded)).unwrap_or(refunded).min(captured);
        let counts = state == State::from(&word.standing);
        let (next, reason) = match &word.standing {
            Standing::Action(next) if counts => (Some(next.clone()), None),
            Standing::Declined { reason } if counts => (None, Some(reason.clone())),
            _ if counts => (None, None),
            _ => (self.next.clone(), None),
        };
        Self {
            reference: Some(word.reference.clone()),
            state,
            captured,
            capture_asked: capture_asked.max(captured),
            refunded,
            refund_asked: refund_asked.max(refunded),
            next,
            reason: reason.or_else(|| self.reason.clone()),
            ..self.clone()
        }
    }
}

/// A payment goes up these and never down. A declined one may be tried again at its provider.
const fn rank(state: State) -> u8 {
    match state {
        State::Open => 0,
        State::Declined | State::Action => 1,
        State::Pending => 2,
        State::Authorised => 3,
        State::Voided => 4,
    }
}
