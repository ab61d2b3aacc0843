//! A unit of work: what the caller wants done, and where its answer goes.
use super::crew::Asked;
use crate::{
    conn::Conn,
    error::{Error, Result},
    meter::uncounted,
};
use diesel::{QueryResult, connection::TransactionManager};
use std::panic::{AssertUnwindSafe, catch_unwind};
use tokio::sync::oneshot;

/// How a run of a unit ended.
pub(super) enum Ran {
    /// With an answer; what it did may be kept.
    Well,
    /// With an error of its own; what it did is undone.
    Refused,
    Panicked,
}

pub(super) trait Work: Send {
    fn writes(&self) -> bool;
    /// Among what requests cost.
    fn counts(&self) -> bool;
    /// Nobody waits for the answer any more.
    fn gone(&self) -> bool;
    fn run(&mut self, conn: &mut Conn) -> Ran;
    /// `Ok` hands over what `run` kept.
    fn answer(self: Box<Self>, fate: Result<()>);
}

pub(super) struct Unit<F, T, E> {
    pub(super) unit: F,
    pub(super) writes: bool,
    pub(super) counts: bool,
    pub(super) kept: Option<Result<T, E>>,
    pub(super) reply: oneshot::Sender<Result<T, E>>,
    pub(super) asked: Asked,
}
impl<F, T, E> Work for Unit<F, T, E>
where
    F: FnMut(&mut Conn) -> Result<T, E> + Send,
    T: Send,
    E: From<Error> + Send,
{
    fn writes(&self) -> bool {
        self.writes
    }
    fn counts(&self) -> bool {
        self.counts
    }
    fn gone(&self) -> bool {
        self.reply.is_closed()
    }
    fn run(&mut self, conn: &mut Conn) -> Ran {
        // whatever the panic left half done in the database is rolled back, and the unit itself is not asked again
        let unit = &mut self.unit;
        let run = || if self.counts { unit(conn) } else { uncounted(|| unit(conn)) };
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(result) => match self.kept.insert(result) {
                Ok(_) => Ran::Well,
                Err(_) => Ran::Refused,
            },
            Err(_) => Ran::Panicked,
        }
    }
    fn answer(self: Box<Self>, fate: Result<()>) {
        let Self { kept, reply, asked, .. } = *self;
        let answer = match fate {
            Ok(()) => kept.unwrap_or_else(|| Err(Error::Panicked.into())),
            Err(error) => Err(error.into()),
        };
        drop(asked); // before: who hears may ask again at once
        let _ = reply.send(answer); // whoever asked may be gone
    }
}

pub(super) fn begin_inner(conn: &mut Conn) -> QueryResult<()> {
    <Conn as TransactionManager<Conn>>::begin_transaction(conn)
}
pub(crate) fn commit(conn: &mut Conn) -> QueryResult<()> {
    <Conn as TransactionManager<Conn>>::commit_transaction(conn)
}
pub(crate) fn roll_back(conn: &mut Conn) -> QueryResult<()> {
    <Conn as TransactionManager<Conn>>::rollback_transaction(conn)
}

pub(super) fn swallowed() -> Error {
    Error::Unavailable("a statement failed and its error was swallowed: nothing was kept".into())
}
