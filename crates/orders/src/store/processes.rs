//! What is under way for an order. At most one at a time (`processes_open`); who holds the lease drives it, and each
//! step is an update that names the step and the epoch it leaves.
//!
//! Locks are taken in one order everywhere: a process, its payment, its order, its cart.
use super::schema::processes;
use crate::domain::process::{Step, Task, leads};
use database::{Conn, Error, Now, Result, Violates};
use diesel::prelude::*;
use kernel::{Id, Kind, Time};
use orders_api::OrderId;
use serde_json::Value;
use std::time::{Duration, Instant};

#[derive(Debug)]
pub(crate) enum ProcessKind {}
impl Kind for ProcessKind {
    const PREFIX: &'static str = "proc";
}

/// A process as its driver holds it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub order: OrderId,
    pub task: Task,
    pub step: Step,
    pub epoch: i64,
    /// How often its provider has answered the wish with an error of its own.
    pub turn: i64,
    /// How often it was taken over.
    pub tries: i64,
    /// When its driver must have asked: well before the lease is over.
    pub until: Instant,
}

impl Held {
    /// Nobody drove it before: nothing was asked for in its name yet.
    pub(crate) const fn is_first(&self) -> bool {
        self.epoch == 1
    }
}

/// How long a driver is left alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lease(pub Duration);

impl Lease {
    /// The last fifth is for writing down what was heard.
    pub(crate) fn asking(self) -> Duration {
        self.0 * 4 / 5
    }
    fn until(self) -> Instant {
        Instant::now() + self.asking()
    }
}

/// What is begun for an order.
#[derive(Clone)]
pub(crate) struct New<'a> {
    pub order: OrderId,
    pub task: Task,
    /// Who is asked for money: known before anything is asked, so that it can be taken back whatever happens.
    pub provider: Option<&'a str>,
    /// What is asked for, for whoever drives it on.
    pub input: Option<Value>,
    /// The record of the Idempotency-Key that asked for it.
    pub claim: Option<Vec<u8>>,
}

/// Begins one; `busy` when another is under way for the order. The caller holds the first lease.
pub(crate) fn begin<E: From<Error>>(tx: &mut Conn, new: New<'_>, lease: Lease, at: Time, busy: E) -> Result<Held, E> {
    let New { order, task, provider, input, claim } = new;
    let (step, until) = (task.first(), lease.until());
    diesel::insert_into(processes::table)
        .values((
            processes::id.eq(Id::<ProcessKind>::new()),
            processes::order_id.eq(order),
            processes::kind.eq(task.as_str()),
            processes::step.eq(step.as_str()),
            processes::provider.eq(provider),
            processes::input.eq(input),
            processes::claim.eq(claim),
            processes::epoch.eq(1_i64),
            processes::lease_until.eq(Now.plus(lease.0)),
            processes::created_at.eq(at),
        ))
        .execute(tx)
        .violates("processes_open", busy)?;
    Ok(Held { order, task, step, epoch: 1, turn: 0, tries: 0, until })
}

macro_rules! own {
    ($held:expr) => {
        diesel::update(processes::table)
            .filter(processes::order_id.eq($held.order))
            .filter(processes::done_at.is_null())
            .filter(processes::step.eq($held.step.as_str()))
            .filter(processes::epoch.eq($held.epoch))
    };
}

/// Goes on to `step`. `None`: somebody else drives it now, and this driver must touch nothing more.
pub(crate) fn advance(tx: &mut Conn, held: Held, step: Step, lease: Lease) -> Result<Option<Held>> {
    on_the_table(held, step)?;
    let until = lease.until();
    let moved = own!(held)
        .set((
            processes::step.eq(step.as_str()),
            processes::lease_until.eq(Now.plus(lease.0)),
            processes::wake_at.eq(None::<Time>),
        ))
        .execute(tx)?;
    Ok((moved == 1).then_some(Held { step, until, ..held }))
}

/// Waits for the buyer until `wake_at`, with nobody driving. `None` as in [`advance`].
pub(crate) fn wait(tx: &mut Conn, held: Held, wake_at: Time) -> Result<Option<Held>> {
    on_the_table(held, Step::Action)?;
    let waits = (
        processes::step.eq(Step::Action.as_str()),
        processes::lease_until.eq(Now),
        processes::wake_at.eq(Some(wake_at)),
    );
    let moved = own!(held).set(waits).execute(tx)?;
    Ok((moved == 1).then_some(Held { step: Step::Action, ..held }))
}

/// It is done. `false` as in [`advance`].
pub(crate) fn finish(tx: &mut Conn, held: Held, at: Time) -> Result<bool> {
    on_the_table(held, Step::Done)?;
    let done = (processes::step.eq(Step::Done.as_str()), processes::done_at.eq(at));
    Ok(own!(held).set(done).execute(tx)? == 1)
}

/// Nothing was done, and the key that asked for it may ask again. `false` as in [`advance`].
pub(crate) fn leave(tx: &mut Conn, held: Held, at: Time) -> Result<bool> {
    let done = (processes::step.eq(Step::Done.as_str()), processes::done_at.eq(at));
    Ok(own!(held).set((done, processes::claim.eq(None::<Vec<u8>>))).execute(tx)? == 1)
}

/// Its outcome is not known yet: the lease is given back, and the worker asks again after `pause`. `turn` as in [`Held`].
pub(crate) fn put_down(tx: &mut Conn, held: Held, turn: i64, pause: Duration) -> Result<()> {
    own!(held).set((processes::turn.eq(turn), processes::lease_until.eq(Now.plus(pause)))).execute(tx)?;
    Ok(())
}

fn on_the_table(held: Held, step: Step) -> Result<()> {
    match leads(held.task, held.step, step) {
        true => Ok(()),
        false => {
            let why = format!("a {:?} does not go from {:?} to {step:?}", held.task, held.step);
            Err(super::wrong(why).into())
        }
    }
}

type Columns = (String, String, i64, i64, i64);
const fn columns() -> (processes::kind, processes::step, processes::epoch, processes::turn, processes::tries) {
    (processes::kind, processes::step, processes::epoch, processes::turn, processes::tries)
}
fn held(order: OrderId, (task, step, epoch, turn, tries): Columns, until: Instant) -> Result<Held> {
    let (task, step) = (task.parse().map_err(super::wrong)?, step.parse().map_err(super::wrong)?);
    Ok(Held { order, task, step, epoch, turn, tries, until })
}

/// What nobody drives, taken over, and what it was begun with.
pub(crate) struct Taken {
    pub held: Held,
    pub provider: Option<String>,
    pub input: Option<Value>,
}

/// Takes over what is due: its lease is over, and whoever it waited for has let the time pass.
pub(crate) fn take_over(tx: &mut Conn, order: OrderId, lease: Lease, now: Time) -> Result<Option<Taken>> {
    let due = diesel::update(processes::table)
        .filter(processes::order_id.eq(order))
        .filter(processes::done_at.is_null())
        .filter(processes::lease_until.lt(Now))
        .filter(processes::wake_at.is_null().or(processes::wake_at.le(now)));
    let until = lease.until();
    let taken = due.set((
        processes::epoch.eq(processes::epoch + 1),
        processes::tries.eq(processes::tries + 1),
        processes::lease_until.eq(Now.plus(lease.0)),
    ));
    type Found = (Columns, Option<String>, Option<Value>);
    let taken: Option<Found> =
        taken.returning((columns(), processes::provider, processes::input)).get_result(tx).optional()?;
    let read = |(row, provider, input)| Ok(Taken { held: held(order, row, until)?, provider, input });
    taken.map(read).transpose()
}

/// Takes a process from whoever drives it or waits, when something was heard that decides how it goes on.
pub(crate) fn seize(tx: &mut Conn, from: Held, lease: Lease) -> Result<Option<Held>> {
    let until = lease.until();
    let seized = own!(from)
        .set((
            processes::epoch.eq(processes::epoch + 1),
            processes::lease_until.eq(Now.plus(lease.0)),
            processes::wake_at.eq(None::<Time>),
        ))
        .execute(tx)?;
    Ok((seized == 1).then_some(Held { epoch: from.epoch + 1, until, ..from }))
}

/// The orders whose processes are due, the longest waiting first.
pub(crate) fn due(conn: &mut Conn, now: Time, limit: i64) -> Result<Vec<OrderId>> {
    let due = processes::table
        .filter(processes::done_at.is_null())
        .filter(processes::lease_until.lt(Now))
        .filter(processes::wake_at.is_null().or(processes::wake_at.le(now)))
        .order(processes::lease_until)
        .limit(limit);
    Ok(due.select(processes::order_id).load(conn)?)
}

/// What is under way for an order, its row locked.
pub(crate) fn open_of(tx: &mut Conn, order: OrderId) -> Result<Option<Held>> {
    let open = processes::table.filter(processes::order_id.eq(order)).filter(processes::done_at.is_null());
    let found: Option<Columns> = open.select(columns()).for_update().first(tx).optional()?;
    found.map(|row| held(order, row, Instant::now())).transpose()
}

/// The step of what is under way for an order.
pub(crate) fn step_of(conn: &mut Conn, order: OrderId) -> Result<Option<Step>> {
    let open = processes::table.filter(processes::order_id.eq(order)).filter(processes::done_at.is_null());
    let found: Option<String> = open.select(processes::step).first(conn).optional()?;
    found.map(|step| step.parse().map_err(|error: &str| super::wrong(error).into())).transpose()
}

/// Whether the process that this key began is done; `None` when it began none since `since`. An older one is another
/// request's: keys are kept for so long, and its claim is over.
pub(crate) fn of_claim(tx: &mut Conn, claim: &[u8], since: Time) -> Result<Option<bool>> {
    let older = processes::table.filter(processes::claim.eq(claim)).filter(processes::created_at.lt(since));
    diesel::update(older).set(processes::claim.eq(None::<Vec<u8>>)).execute(tx)?;
    let claimed = processes::table.filter(processes::claim.eq(claim));
    Ok(claimed.select(processes::done_at.is_not_null()).first(tx).optional()?)
}
