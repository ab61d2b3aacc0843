//! PostgreSQL: as many threads as units keep busy, a connection each. A connection costs both sides milliseconds and
//! memory: a process that just begins, or sells little, has few.
//!
//! Units that nobody has answered are counted, and where there are more of them than threads, another thread begins. A
//! thread without a connection takes no units while others have one: they serve them meanwhile, and where the server has
//! no more to give it ends. While nobody has one, no thread begins and none ends: somebody has to answer.
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
    connected: AtomicUsize,
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
    is_connected: bool,
}

impl Place {
    fn new(count: &Arc<Count>) -> Self {
        Self { count: Arc::clone(count), is_connected: false }
    }
    /// Says whether this thread has a connection now.
    pub(super) fn set_connected(&mut self, now: bool) {
        match (self.is_connected, now) {
            (false, true) => self.count.connected.fetch_add(1, SeqCst),
            (true, false) => self.count.connected.fetch_sub(1, SeqCst),
            _ => return,
        };
        self.is_connected = now;
    }
    pub(super) fn nobody_is_connected(&self) -> bool {
        self.count.connected.load(SeqCst) == 0
    }
    /// No connection could be had: whether others have one, who answer without this thread.
    pub(super) fn may_leave(&self) -> bool {
        self.count.has_failed();
        !self.nobody_is_connected()
    }
}
impl Drop for Place {
    fn drop(&mut self) {
        self.set_connected(false);
        self.count.at_work.fetch_sub(1, SeqCst);
    }
}

type Begin = Box<dyn Fn(Place) -> io::Result<JoinHandle<()>> + Send + Sync>;

pub(super) struct Crew {
    most: usize,
    count: Arc<Count>,
    begin: Begin,
}

impl Crew {
    /// At most `most` threads, each of which `begin` begins; the first has a connection, and the place that comes with it.
    pub(super) fn new(most: usize, begin: Begin) -> (Self, Place) {
        let count = Count { at_work: AtomicUsize::new(1), connected: AtomicUsize::new(0), failed: Mutex::default() };
        let count = Arc::new(count);
        let mut first = Place::new(&count);
        first.set_connected(true);
        (Self { most: most.max(1), count, begin }, first)
    }

    /// Whether one more thread is wanted for `asked` units.
    pub(super) fn is_short(&self, asked: &AtomicUsize) -> bool {
        let Count { at_work, connected, .. } = &*self.count;
        match at_work.load(SeqCst) {
            0 => true, // they panicked
            at_work if at_work >= self.most || at_work >= asked.load(SeqCst) => false,
            _ => connected.load(SeqCst) > 0 && !self.count.rests(),
        }
    }

    /// One more thread. Whoever calls it does so alone.
    pub(super) fn grown(&self) -> Option<JoinHandle<()>> {
        self.count.at_work.fetch_add(1, SeqCst);
        let failed = |error: &io::Error| {
            self.count.has_failed();
            tracing::warn!(%error, "no further thread for PostgreSQL can be started");
        };
        (self.begin)(Place::new(&self.count)).inspect_err(failed).ok()
    }
}
