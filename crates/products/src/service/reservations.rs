//! Promises of stock: held, confirmed, shipped, released, and ended by time.
use super::Service;
use crate::{
    domain::stock::{changed, short, state, valid},
    store,
};
use database::{Conn, Error as DatabaseError};
use kernel::{CallError, Failure, Time, Trace};
use products_api::{
    ConfirmError, ReleaseError, ReservationId, Reserve, ReserveError, ShipError, StockEvent, StockLine,
};

/// What a unit ends in: the domain's no, or the database's.
pub(super) enum Ended<E> {
    Domain(E),
    Database(DatabaseError),
}
impl<E> From<DatabaseError> for Ended<E> {
    fn from(error: DatabaseError) -> Self {
        Self::Database(error)
    }
}
impl<E> From<Ended<E>> for CallError<E> {
    fn from(ended: Ended<E>) -> Self {
        match ended {
            Ended::Domain(error) => Self::Domain(error),
            Ended::Database(error) => Failure::from(error).into(),
        }
    }
}

/// Tries of what must see a row that somebody else is about to commit.
const TRIES: usize = 3;

impl Service {
    pub(super) async fn hold(&self, trace: Trace, request: Reserve) -> Result<(), Ended<ReserveError>> {
        if !valid(&request) {
            return Err(Ended::Domain(ReserveError::Invalid));
        }
        let now = self.now();
        let attempt = |request: Reserve| self.db.write(move |tx: &mut Conn| hold(tx, &request, now, trace));
        let first = attempt(request.clone()).await;
        let Err(Ended::Domain(ReserveError::OutOfStock { short })) = first else { return first };
        // Only now, in a transaction of its own: holds that are past their time may be what is missing.
        let variants: Vec<_> = short.iter().map(|short| short.variant).collect();
        let freed = self.db.write(move |tx: &mut Conn| {
            let due = store::reservations::due_of(tx, &variants)?;
            expire(tx, &due, now, trace)
        });
        match freed.await? {
            0 => Err(Ended::Domain(ReserveError::OutOfStock { short })),
            _ => attempt(request).await,
        }
    }

    pub(super) async fn pivot(&self, id: ReservationId) -> Result<(), Ended<ConfirmError>> {
        let now = self.now();
        let unit = move |tx: &mut Conn| {
            if store::reservations::advance(tx, id, &[state::HELD], state::CONFIRMED, now)? {
                return Ok(());
            }
            match store::reservations::state(tx, id)?.as_deref() {
                Some(state::CONFIRMED | state::SHIPPED) => Ok(()),
                Some(_) | None => Err(Ended::Domain(ConfirmError::Over)),
            }
        };
        self.db.write(unit).await
    }

    pub(super) async fn let_go(&self, trace: Trace, id: ReservationId) -> Result<(), Ended<ReleaseError>> {
        let now = self.now();
        self.db.write(move |tx: &mut Conn| let_go(tx, id, now, trace)).await
    }

    pub(super) async fn send_off(&self, trace: Trace, id: ReservationId) -> Result<(), Ended<ShipError>> {
        let now = self.now();
        let unit = move |tx: &mut Conn| {
            if store::reservations::advance(tx, id, &[state::CONFIRMED], state::SHIPPED, now)? {
                store::reservations::take_out(tx, id)?;
                let event = StockEvent::Shipped { reservation_id: id };
                return Ok(database::outbox::publish(tx, &[event], now, trace)?);
            }
            match store::reservations::state(tx, id)?.as_deref() {
                Some(state::SHIPPED) => Ok(()),
                Some(_) | None => Err(Ended::Domain(ShipError::NotConfirmed)),
            }
        };
        self.db.write(unit).await
    }

    /// Ends holds that are past their time.
    pub(crate) async fn sweep(&self) {
        loop {
            let now = self.now();
            let ended = self.db.write(move |tx: &mut Conn| {
                let due = store::reservations::due(tx)?;
                expire(tx, &due, now, Trace(0))
            });
            match ended.await {
                Ok(0) => return,
                Ok(ended) => tracing::info!(ended, "holds are past their time"),
                Err(error) => {
                    let error: &DatabaseError = &error;
                    tracing::warn!(%error, "holds stay until the next turn");
                    return;
                }
            }
        }
    }
}

fn hold(tx: &mut Conn, request: &Reserve, now: Time, trace: Trace) -> Result<(), Ended<ReserveError>> {
    let id = request.reservation;
    if !store::reservations::hold(tx, id, request.hold_for, now)? {
        return match store::reservations::state(tx, id)?.as_deref() {
            Some(state::HELD | state::CONFIRMED | state::SHIPPED) => Ok(()),
            Some(_) | None => Err(Ended::Domain(ReserveError::Over)),
        };
    }
    let variants = request.lines.iter().map(|line| line.variant);
    let offers = store::reservations::offers(tx, variants, request.currency)?;
    let moved = changed(request, &offers);
    if !moved.is_empty() {
        return Err(Ended::Domain(ReserveError::Changed { prices: moved }));
    }
    let missing = short(request, &offers);
    if !missing.is_empty() {
        return Err(Ended::Domain(ReserveError::OutOfStock { short: missing }));
    }
    let counted = |variant| offers.get(&variant).is_some_and(|offer| offer.tracked);
    store::reservations::add_lines(tx, id, &request.lines, counted)?;
    let tracked = request.lines.iter().filter(|line| counted(line.variant)).count();
    if store::reservations::take(tx, id)? != tracked {
        // The rows are locked, so the guard agrees with what was read; should it not, nothing is kept.
        return Err(DatabaseError::Unavailable("stock moved under its lock".into()).into());
    }
    let line = |line: &products_api::ReserveLine| StockLine { variant_id: line.variant, quantity: line.quantity };
    let lines = request.lines.iter().map(line).collect();
    Ok(database::outbox::publish(tx, &[StockEvent::Reserved { reservation_id: id, lines }], now, trace)?)
}

fn let_go(tx: &mut Conn, id: ReservationId, now: Time, trace: Trace) -> Result<(), Ended<ReleaseError>> {
    for _ in 0..TRIES {
        if store::reservations::advance(tx, id, &[state::HELD, state::CONFIRMED], state::RELEASED, now)? {
            store::reservations::free(tx, &[id])?;
            let event = StockEvent::Released { reservation_id: id };
            return Ok(database::outbox::publish(tx, &[event], now, trace)?);
        }
        if store::reservations::tombstone(tx, id, now)? {
            return Ok(());
        }
        match store::reservations::state(tx, id)?.as_deref() {
            Some(state::RELEASED | state::EXPIRED) => return Ok(()),
            Some(state::SHIPPED) => return Err(Ended::Domain(ReleaseError::Shipped)),
            // it was reserved or confirmed while this looked for it: release that
            Some(_) | None => (),
        }
    }
    Err(DatabaseError::Busy.into())
}

/// How many holds ended.
fn expire(tx: &mut Conn, due: &[ReservationId], now: Time, trace: Trace) -> Result<usize, DatabaseError> {
    if due.is_empty() {
        return Ok(0);
    }
    let ended = store::reservations::expire(tx, due, now)?;
    if !ended.is_empty() {
        store::reservations::free(tx, &ended)?;
        let events: Vec<_> = ended.iter().map(|id| StockEvent::Released { reservation_id: *id }).collect();
        database::outbox::publish(tx, &events, now, trace)?;
    }
    Ok(ended.len())
}
