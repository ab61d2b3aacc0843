//! Forgetting whose account is gone. An order that is under way keeps its address until it is completed, cancelled or has
//! failed; whatever ends later is forgotten then, and so is what an access token that outlives its account may have made.
use super::{Orders, Service};
use crate::store::forget;
use database::{Conn, Result};
use kernel::{Time, Trace};
use messaging::Listener;
use orders_api::OrderEvent;
use std::{sync::Arc, time::Duration};
use users_api::{UserEvent, UserId};

/// No access token outlives its account for so long.
const TOKENS_LIVE: Duration = Duration::from_secs(24 * 3600);

impl Orders {
    /// Somebody whose account is gone is forgotten.
    pub fn listener(&self) -> Listener {
        let service = Arc::clone(&self.0);
        Listener::default().on::<UserEvent>(&["user.deleted"], move |tx, event, envelope| {
            Ok(hear(tx, event, service.now(), envelope.trace())?)
        })
    }
}

impl Service {
    /// Whatever can be forgotten by now. Several processes may: each finds what the other has left.
    pub(super) async fn forget_due(&self) {
        let now = self.now();
        let before = now.minus(TOKENS_LIVE);
        let next = move |conn: &mut Conn| forget::due(conn, before);
        loop {
            let user = match self.db.background().read(next).await {
                Ok(Some(user)) => user,
                Ok(None) => return,
                Err(error) => return late(&error),
            };
            if let Err(error) = self.db.background().write(move |tx| forgotten(tx, user, now, Trace(0))).await {
                return late(&error);
            }
        }
    }
}

fn late(error: &database::Error) {
    tracing::warn!(%error, "whose account is gone is forgotten with the next turn");
}

pub(crate) fn hear(tx: &mut Conn, event: UserEvent, now: Time, trace: Trace) -> Result<()> {
    match event {
        UserEvent::Deleted { user_id } => {
            forget::note(tx, user_id, now)?;
            forgotten(tx, user_id, now, trace)
        }
        UserEvent::Registered { .. } | UserEvent::Updated { .. } => Ok(()),
    }
}

/// Some orders and the open carts of a user; the rest is still due afterwards.
fn forgotten(tx: &mut Conn, user: UserId, now: Time, trace: Trace) -> Result<()> {
    let orders = forget::anonymise(tx, user, now)?;
    let events: Vec<_> = orders.into_iter().map(|order_id| OrderEvent::Anonymised { order_id }).collect();
    database::outbox::publish(tx, &events, now, trace)?;
    forget::empty(tx, user)?;
    forget::done(tx, user, now.minus(TOKENS_LIVE))
}
