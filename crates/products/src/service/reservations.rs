//! Promises of stock: held, confirmed, shipped, released, and ended by time.
use super::Service;
use crate::{
    domain::stock::{Kind, changed, short as short_of, state, summed},
    points::Point,
    store::{self, stock::Occasion},
};
use database::{Conn, Error as DatabaseError};
use kernel::{CallError, Failure, Time, Trace};
use products_api::{
    ConfirmError, Holding, Holdings, HoldingsError, MAX_HOLDINGS, ReleaseError, ReservationId, Reserve, ReserveError,
    ShipError, StockEvent, StockLine,
};
use std::sync::Arc;

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
        let Some(lines) = summed(&request) else { return Err(Ended::Domain(ReserveError::Invalid)) };
        let (occasion, request) = (self.occasion(trace), Arc::new((request, lines)));
        let now = occasion.at;
        let attempt = async || {
            let request = Arc::clone(&request);
            Point::ReserveBegun.reach();
            let held = self.db.write(move |tx: &mut Conn| hold(tx, &request.0, &request.1, occasion)).await;
            if held.is_ok() {
                Point::ReserveKept.reach();
            }
            held
        };
        let first = attempt().await;
        let Err(Ended::Domain(ReserveError::OutOfStock { short })) = first else { return first };
        // Only now, in a transaction of its own: holds that are past their time may be what is missing.
        let variants: Vec<_> = short.iter().map(|short| short.variant).collect();
        let asked = Arc::clone(&request);
        let freed = self.db.write(move |tx: &mut Conn| {
            let due = store::reservations::due_of(tx, &variants, now)?;
            if expire(tx, &due, now, trace, Point::FreeDueBegun)? > 0 {
                return Ok(Freeing::Ours);
            }
            // whoever ended them since the first attempt was not quicker than this buyer, only elsewhere
            let (Reserve { currency, .. }, lines) = &*asked;
            let offers = store::reservations::offers(tx, variants.iter().copied(), *currency)?;
            let enough = short_of(lines, &offers).is_empty();
            Ok::<_, DatabaseError>(if enough { Freeing::Others } else { Freeing::Nothing })
        });
        match freed.await? {
            Freeing::Ours => Point::FreeDueKept.reach(),
            Freeing::Others => (),
            Freeing::Nothing => return Err(Ended::Domain(ReserveError::OutOfStock { short })),
        }
        attempt().await
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
        Point::ConfirmBegun.reach();
        self.db.write(unit).await?;
        Point::ConfirmKept.reach();
        Ok(())
    }

    pub(super) async fn let_go(&self, trace: Trace, id: ReservationId) -> Result<(), Ended<ReleaseError>> {
        let now = self.now();
        Point::ReleaseBegun.reach();
        match self.db.write(move |tx: &mut Conn| let_go(tx, id, now, trace)).await? {
            Freed::Tombstone => Point::TombstoneKept.reach(),
            Freed::Goods | Freed::Before => Point::ReleaseKept.reach(),
        }
        Ok(())
    }

    pub(super) async fn send_off(&self, trace: Trace, id: ReservationId) -> Result<(), Ended<ShipError>> {
        let now = self.now();
        let unit = move |tx: &mut Conn| {
            if store::reservations::advance(tx, id, &[state::CONFIRMED], state::SHIPPED, now)? {
                store::stock::take_out(tx, id, now)?;
                let event = StockEvent::Shipped { reservation_id: id };
                return Ok(database::outbox::publish(tx, &[event], now, trace)?);
            }
            match store::reservations::state(tx, id)?.as_deref() {
                Some(state::SHIPPED) => Ok(()),
                Some(_) | None => Err(Ended::Domain(ShipError::NotConfirmed)),
            }
        };
        Point::ShipBegun.reach();
        self.db.write(unit).await?;
        Point::ShipKept.reach();
        Ok(())
    }

    pub(super) async fn held_now(&self, request: Holdings) -> Result<Vec<Holding>, Ended<HoldingsError>> {
        let Holdings { after, limit } = request;
        if !(1..=MAX_HOLDINGS).contains(&limit) {
            return Err(Ended::Domain(HoldingsError::OutOfRange));
        }
        Ok(self.db.read(move |conn| store::reservations::holdings(conn, after, limit)).await?)
    }

    /// Ends holds that are past their time, until none is left. Several processes may: each takes other rows. A turn that
    /// fails has kept what its transactions before had; the next turn does the rest.
    pub(crate) async fn sweep(&self) {
        loop {
            let now = self.now();
            let ended = self.db.write(move |tx: &mut Conn| {
                let due = store::reservations::due(tx, now)?;
                expire(tx, &due, now, Trace(0), Point::SweepBegun)
            });
            match ended.await {
                Ok(0) => return,
                Ok(ended) => {
                    Point::SweepKept.reach();
                    tracing::info!(ended, "holds are past their time");
                }
                Err(error) => {
                    let error: &DatabaseError = &error;
                    tracing::warn!(%error, "holds stay until the next turn");
                    return;
                }
            }
        }
    }
}

fn hold(tx: &mut Conn, request: &Reserve, lines: &[StockLine], occasion: Occasion) -> Result<(), Ended<ReserveError>> {
    let (id, now) = (request.reservation, occasion.at);
    if !store::reservations::hold(tx, id, request.hold_for, now)? {
        return match store::reservations::state(tx, id)?.as_deref() {
            Some(state::HELD | state::CONFIRMED | state::SHIPPED) => same(tx, id, lines),
            Some(_) | None => Err(Ended::Domain(ReserveError::Over)),
        };
    }
    let variants = lines.iter().map(|line| line.variant_id);
    let offers = store::reservations::offers(tx, variants, request.currency)?;
    let moved = changed(request, &offers);
    if !moved.is_empty() {
        return Err(Ended::Domain(ReserveError::Changed { prices: moved }));
    }
    let missing = short_of(lines, &offers);
    if !missing.is_empty() {
        return Err(Ended::Domain(ReserveError::OutOfStock { short: missing }));
    }
    let counted = |variant| offers.get(&variant).is_some_and(|offer| offer.tracked);
    store::reservations::add_lines(tx, id, lines, counted)?;
    let tracked = lines.iter().filter(|line| counted(line.variant_id)).count();
    if store::stock::reserve(tx, id, lines, occasion)? != tracked {
        // The rows are locked, so the guard agrees with what was read; should it not, nothing is kept.
        return Err(DatabaseError::Unavailable("stock moved under its lock".into()).into());
    }
    let event = StockEvent::Reserved { reservation_id: id, lines: lines.to_vec() };
    Ok(database::outbox::publish(tx, &[event], now, occasion.trace)?)
}

/// Asked again: the same answer for the same lines. Others under its id are a mistake of the caller, who must not take
/// them for held.
fn same(tx: &mut Conn, id: ReservationId, lines: &[StockLine]) -> Result<(), Ended<ReserveError>> {
    if store::reservations::lines(tx, id)? == lines { Ok(()) } else { Err(Ended::Domain(ReserveError::Invalid)) }
}

/// Who ended the holds that stood in the way.
enum Freeing {
    Ours,
    Others,
    Nothing,
}

/// What a release came to.
enum Freed {
    Goods,
    /// There was nothing, and now there never will be.
    Tombstone,
    /// It was over already.
    Before,
}

fn let_go(tx: &mut Conn, id: ReservationId, now: Time, trace: Trace) -> Result<Freed, Ended<ReleaseError>> {
    for _ in 0..TRIES {
        if store::reservations::advance(tx, id, &[state::HELD, state::CONFIRMED], state::RELEASED, now)? {
            store::stock::free(tx, &[id], Kind::Released, now)?;
            let event = StockEvent::Released { reservation_id: id };
            database::outbox::publish(tx, &[event], now, trace)?;
            return Ok(Freed::Goods);
        }
        if store::reservations::tombstone(tx, id, now)? {
            return Ok(Freed::Tombstone);
        }
        match store::reservations::state(tx, id)?.as_deref() {
            Some(state::RELEASED | state::EXPIRED) => return Ok(Freed::Before),
            Some(state::SHIPPED) => return Err(Ended::Domain(ReleaseError::Shipped)),
            // it was reserved or confirmed while this looked for it: release that
            Some(_) | None => (),
        }
    }
    Err(DatabaseError::Busy.into())
}

/// How many holds ended; `begun` is where a test may end the process, with some of them due.
fn expire(tx: &mut Conn, due: &[ReservationId], now: Time, trace: Trace, begun: Point) -> Result<usize, DatabaseError> {
    if due.is_empty() {
        return Ok(0);
    }
    begun.reach();
    let ended = store::reservations::expire(tx, due, now)?;
    if !ended.is_empty() {
        store::stock::free(tx, &ended, Kind::Expired, now)?;
        let events: Vec<_> = ended.iter().map(|id| StockEvent::Released { reservation_id: *id }).collect();
        database::outbox::publish(tx, &events, now, trace)?;
    }
    Ok(ended.len())
}
