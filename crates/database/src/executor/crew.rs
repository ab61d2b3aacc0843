//! PostgreSQL: as many threads as units keep busy, a connection each. A connection costs both sides milliseconds and
//! memory: a process that just begins, or sells little, has few.
//!
//! Units that nobody has answered are counted, and where there are more of them than threads, another thread begins. It
//! takes units once it has a connection: while it waits for one, or where the server has no more to give, the others
//! serve them. The last thread stays, connected or not: somebody has to answer.
use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// After a thread that could not begin, or got no connection, no other one is tried for as long.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// A unit that was handed in, until it is answered or dropped.
pub(super) struct Asked(Arc<AtomicUsize>);

impl Asked {
    pub(super) fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, SeqCst);
        Self(Arc::clone(count))
    }
}
impl Drop for Asked {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

struct Count {
    at_work: AtomicUsize,
    failed: Mutex<Option<Instant>>,
}

impl Count {
    fn has_failed(&self) {
        *self.failed.lock().expect("never poisoned") = Some(Instant::now());
    }
    fn rests(&self) -> bool {
        self.failed.lock().expect("never poisoned").is_some_and(|failed| failed.elapsed() < TRY_AGAIN)
    }
}

/// A thread among the others. However the thread ends, its place is free.
pub(super) struct Place {
    count: Arc<Count>,
    is_left: bool,
}

impl Place {
    pub(super) fn is_last(&self) -> bool {
        self.count.at_work.load(SeqCst) == 1
    }
    /// Whether this thread may end for want of a connection: its place is free then. The last one may not.
    pub(super) fn leave(&mut self) -> bool {
        self.count.has_failed();
        let but_the_last = |at_work: usize| at_work.checked_sub(1).filter(|left| *left > 0);
        self.is_left = self.count.at_work.fetch_update(SeqCst, SeqCst, but_the_last).is_ok();
        self.is_left
    }
}
impl Drop for Place {
    fn drop(&mut self) {
        if !self.is_left {
            self.count.at_work.fetch_sub(1, SeqCst);
        }
    }
}

type Begin = Box<dyn Fn(Place) -> io::Result<JoinHandle<()>> + Send + Sync>;

pub(super) struct Crew {
    most: usize,
    count: Arc<Count>,
    begin: Begin,
}

impl Crew {
    /// At most `most` threads, each of which `begin` begins; the first has the place that comes with it.
    pub(super) fn new(most: usize, begin: Begin) -> (Self, Place) {
        let count = Arc::new(Count { at_work: AtomicUsize::new(1), failed: Mutex::default() });
        (Self { most: most.max(1), count: Arc::clone(&count), begin }, Place { count, is_left: false })
    }

    /// One more thread, where `asked` units are more than there are and may be.
    pub(super) fn grown(&self, asked: &AtomicUsize) -> Option<JoinHandle<()>> {
        let has_room = |at_work: usize| at_work < self.most && at_work < asked.load(SeqCst);
        let at_work = self.count.at_work.load(SeqCst);
        if !has_room(at_work) || (at_work > 0 && self.count.rests()) {
            return None;
        }
        let taken = |at_work: usize| has_room(at_work).then_some(at_work + 1);
        self.count.at_work.fetch_update(SeqCst, SeqCst, taken).ok()?;
        let begun = (self.begin)(Place { count: Arc::clone(&self.count), is_left: false });
        let failed = |error: &io::Error| {
            self.count.has_failed();
            tracing::warn!(%error, "no further thread for PostgreSQL can be started");
        };
        begun.inspect_err(failed).ok()
    }
}
