//! What is under way for an order. At most one at a time (`processes_open`); who holds the lease drives it, and each
//! step is an update that names the step and the epoch it leaves.
use super::schema::processes;
use database::{Conn, Error, Now, Result, Violates};
use diesel::prelude::*;
use kernel::{Id, Kind, Time};
use orders_api::OrderId;
use std::time::Duration;

#[derive(Debug)]
pub(crate) enum ProcessKind {}
impl Kind for ProcessKind {
    const PREFIX: &'static str = "proc";
}

/// What is done, in steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    Checkout,
    Cancel,
    Ship,
}

/// Where a process stands: what it does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Reserve and authorise: both are repeatable by the order's id, and nothing of them is kept until they are done.
    Secure,
    /// The buyer must act; the lease is free.
    Action,
    /// Confirm the reservation: the pivot.
    Confirm,
    /// Void, release, fail.
    Undo,
    /// Ask products, then keep the outcome: cancel and ship.
    Settle,
    Done,
}

impl Task {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Checkout => "checkout",
            Self::Cancel => "cancel",
            Self::Ship => "ship",
        }
    }
}
impl Step {
    const ALL: [Self; 6] = [Self::Secure, Self::Action, Self::Confirm, Self::Undo, Self::Settle, Self::Done];
    const fn as_str(self) -> &'static str {
        match self {
            Self::Secure => "secure",
            Self::Action => "action",
            Self::Confirm => "confirm",
            Self::Undo => "undo",
            Self::Settle => "settle",
            Self::Done => "done",
        }
    }
    fn read(word: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|step| step.as_str() == word).ok_or_else(|| super::wrong("not a step").into())
    }
}

/// A process as its driver holds it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub order: OrderId,
    pub step: Step,
    pub epoch: i64,
}

impl Held {
    /// Nobody drove it before: nothing was asked for in its name yet.
    pub(crate) const fn is_first(self) -> bool {
        self.epoch == 1
    }
}

/// What is begun for an order.
#[derive(Clone, Copy)]
pub(crate) struct New<'a> {
    pub order: OrderId,
    pub task: Task,
    pub step: Step,
    /// Who is asked for money: known before anything is asked, so that it can be taken back whatever happens.
    pub provider: Option<&'a str>,
}

/// Begins one; `busy` when another is under way for the order. The caller holds the first lease.
pub(crate) fn begin<E: From<Error>>(
    tx: &mut Conn,
    new: New<'_>,
    lease: Duration,
    at: Time,
    busy: E,
) -> Result<Held, E> {
    let New { order, task, step, provider } = new;
    diesel::insert_into(processes::table)
        .values((
            processes::id.eq(Id::<ProcessKind>::new()),
            processes::order_id.eq(order),
            processes::kind.eq(task.as_str()),
            processes::step.eq(step.as_str()),
            processes::provider.eq(provider),
            processes::epoch.eq(1_i64),
            processes::lease_until.eq(Now.plus(lease)),
            processes::created_at.eq(at),
        ))
        .execute(tx)
        .violates("processes_open", busy)?;
    Ok(Held { order, step, epoch: 1 })
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
pub(crate) fn advance(tx: &mut Conn, held: Held, step: Step, lease: Duration) -> Result<Option<Held>> {
    let moved =
        own!(held).set((processes::step.eq(step.as_str()), processes::lease_until.eq(Now.plus(lease)))).execute(tx)?;
    Ok((moved == 1).then_some(Held { step, ..held }))
}

/// It is done. `false` as in [`advance`].
pub(crate) fn finish(tx: &mut Conn, held: Held, at: Time) -> Result<bool> {
    Ok(own!(held).set((processes::step.eq(Step::Done.as_str()), processes::done_at.eq(at))).execute(tx)? == 1)
}

/// What nobody drives, taken over.
pub(crate) struct Taken {
    pub held: Held,
    pub provider: Option<String>,
}

/// Takes over a process of this task whose lease is over.
pub(crate) fn take_over(tx: &mut Conn, order: OrderId, task: Task, lease: Duration) -> Result<Option<Taken>> {
    let free = diesel::update(processes::table)
        .filter(processes::order_id.eq(order))
        .filter(processes::done_at.is_null())
        .filter(processes::kind.eq(task.as_str()))
        .filter(processes::lease_until.lt(Now));
    let taken = free.set((processes::epoch.eq(processes::epoch + 1), processes::lease_until.eq(Now.plus(lease))));
    let taken = taken.returning((processes::step, processes::epoch, processes::provider)).get_result(tx).optional()?;
    let read = |(step, epoch, provider): (String, i64, Option<String>)| {
        Ok(Taken { held: Held { order, step: Step::read(&step)?, epoch }, provider })
    };
    taken.map(read).transpose()
}

/// The step of what is under way for an order, and whether nobody drives it.
pub(crate) fn step_of(conn: &mut Conn, order: OrderId) -> Result<Option<(Step, bool)>> {
    let open = processes::table.filter(processes::order_id.eq(order)).filter(processes::done_at.is_null());
    let found: Option<(String, bool)> =
        open.select((processes::step, processes::lease_until.lt(Now))).first(conn).optional()?;
    found.map(|(step, free)| Ok((Step::read(&step)?, free))).transpose()
}
