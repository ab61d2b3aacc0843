//! `db.read(|conn| ..).await`, `db.write(|tx| ..).await`: threads of their own, one unit of work a job.
//!
//! A unit is one transaction and does nothing but talk to the database: it may run again (a deadlock, a batch that
//! failed), hence `Fn`. A caller who goes away changes nothing: the unit runs to its end or not at all. The queue is
//! bounded: a full one answers [`Error::Busy`] at once. Nothing here blocks a thread of the async runtime.
mod crew;
mod hearing;
mod postgres;
mod sqlite;
mod unit;

pub(crate) use postgres::session;
pub(crate) use sqlite::session as sqlite_session;
pub(crate) use unit::{commit, roll_back};

use crate::{
    conn::Conn,
    error::{Error, Result},
    location::Location,
    meter::Meter,
    touched::{News, Touched},
};
use crew::{Asked, Crew};
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use std::{
    io,
    sync::{
        Arc, Mutex, OnceLock, RwLock, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread::JoinHandle,
    time::Instant,
};
use tokio::sync::{Notify, oneshot};
use unit::{Unit, Work};

/// How much of the machine a domain's database may use.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Units that may wait; more are refused.
    pub queue: usize,
    /// SQLite: threads that read. One writes.
    pub readers: usize,
    /// SQLite: MiB that the file may grow to, 0 for as many as the disk has. A file that is larger already stays so.
    pub max_mib: usize,
    /// PostgreSQL: connections at the most, a thread each; the first is there from the start, others come when units wait.
    pub threads: usize,
}
impl Default for Settings {
    fn default() -> Self {
        Self { queue: 1024, readers: 3, max_mib: 0, threads: 8 }
    }
}

/// A domain's database. Cheap to clone.
#[derive(Clone)]
pub struct Database {
    inner: Arc<Inner>,
    /// What is done through it is measured as what requests cost.
    counts: bool,
}

struct Inner {
    name: &'static str,
    lanes: RwLock<Option<Lanes>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// On PostgreSQL.
    crew: Option<Crew>,
    /// Units that were handed in, and are not answered.
    asked: Arc<AtomicUsize>,
    /// The thread that hears other processes, and whether it is to end.
    ear: Mutex<Option<JoinHandle<()>>>,
    closed: AtomicBool,
    meter: Meter,
    shared: bool,
    /// Somebody wrote events.
    told: Arc<Notify>,
    keeper: Arc<Keeper>,
    /// Where another connection hears what other processes wrote: on PostgreSQL.
    hear: Mutex<Option<Box<dyn FnOnce(Weak<Inner>) -> JoinHandle<()> + Send>>>,
}
#[derive(Clone)]
struct Lanes {
    reads: Sender<Box<dyn Work>>,
    writes: Sender<Box<dyn Work>>,
}

impl Database {
    /// Opens the database of the domain `name`, after its migrations: the names of its constraints are read here.
    /// Fails when the first connection does; later ones are made again as needed.
    pub fn open(location: &Location, name: &'static str, settings: Settings) -> Result<Self> {
        let (writes, write_queue) = bounded(settings.queue.max(1));
        let (meter, told, keeper) = (Meter::new(name), Arc::new(Notify::new()), Arc::<Keeper>::default());
        let queue = |units: &Receiver<Box<dyn Work>>| Queue {
            units: units.clone(),
            meter: meter.clone(),
            told: Arc::clone(&told),
            keeper: Arc::clone(&keeper),
        };
        let (mut threads, mut hear, mut crew) = (Vec::new(), None, None);
        let reads = match location.clone() {
            Location::Sqlite { file } => {
                let (reads, read_queue) = bounded(settings.queue.max(1));
                let mut writer = sqlite::connect(&file, false, &meter)?;
                sqlite::bound(&mut writer, settings.max_mib)?;
                crate::copy::refuse_half(&mut writer)?;
                for _ in 0..settings.readers.max(1) {
                    let (reader, queue) = (sqlite::connect(&file, true, &meter)?, queue(&read_queue));
                    threads.push(spawn(name, "read", move || sqlite::read_each(reader, &queue)));
                }
                let queue = queue(&write_queue);
                threads.push(spawn(name, "write", move || sqlite::write_groups(writer, &file, &queue)));
                reads
            }
            Location::Postgres { url, schema, role } => {
                hear = Some(hearing::on(name, url.clone(), schema.clone(), role.clone()));
                let counted = meter.clone();
                let connect = Arc::new(move || postgres::connect(&url, &schema, role.as_deref(), &counted));
                let mut first = connect()?;
                crate::copy::refuse_half(&mut first)?;
                let queue = queue(&write_queue);
                let begin = move |held, place| {
                    let (connect, queue) = (Arc::clone(&connect), queue.clone());
                    begun(name, "any", move || postgres::serve(held, &*connect, &queue, place))
                };
                let more = begin.clone();
                let (others, place) = Crew::new(settings.threads, Box::new(move |place| more(None, place)));
                threads.push(begin(Some(first), place).expect("a thread can be started"));
                crew = Some(others);
                writes.clone()
            }
        };
        let (lanes, shared) =
            (RwLock::new(Some(Lanes { reads, writes })), matches!(location, Location::Postgres { .. }));
        Ok(Self {
            inner: Arc::new(Inner {
                name,
                lanes,
                threads: Mutex::new(threads),
                crew,
                asked: Arc::default(),
                ear: Mutex::default(),
                closed: AtomicBool::new(false),
                meter,
                shared,
                told,
                keeper,
                hear: Mutex::new(hear),
            }),
            counts: true,
        })
    }

    /// Runs `unit` against committed data. It may not write.
    ///
    /// On SQLite the whole unit sees one snapshot; on PostgreSQL each statement sees the newest.
    pub async fn read<T, E, F>(&self, unit: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: FnOnce(&mut Conn) -> Result<T, E> + Send + 'static,
    {
        let mut unit = Some(unit);
        let once = move |conn: &mut Conn| (unit.take().expect("reads run once"))(conn);
        self.submit(false, once).await
    }

    /// Runs `unit` in a transaction: `Ok` commits, `Err` and panics roll back. It may run more than once, so it does
    /// nothing but talk to the database. A caller who goes away changes nothing.
    pub async fn write<T, E, F>(&self, unit: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: Fn(&mut Conn) -> Result<T, E> + Send + 'static,
    {
        self.submit(true, unit).await
    }

    async fn submit<T, E, F>(&self, writes: bool, unit: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: FnMut(&mut Conn) -> Result<T, E> + Send + 'static,
    {
        let lanes = self.inner.lanes.read().expect("never poisoned").clone();
        let lanes = lanes.ok_or_else(|| Error::Unavailable("shut down".into()))?;
        let (lane, meter) = (if writes { &lanes.writes } else { &lanes.reads }, &self.inner.meter);
        let (reply, answer) = oneshot::channel();
        let (begun, asked) = (Instant::now(), Asked::new(&self.inner.asked));
        meter.queue.increment(1.0);
        let unit = Unit { unit, writes, counts: self.counts, kept: None, reply, asked };
        let sent = lane.try_send(Box::new(unit));
        self.inner.grow();
        sent.map_err(|refused| {
            meter.queue.decrement(1.0);
            match refused {
                TrySendError::Full(_) => Error::Busy,
                TrySendError::Disconnected(_) => Error::Unavailable("shut down".into()),
            }
        })?;
        drop(lanes); // or closing would wait for this caller
        let answer = answer.await.unwrap_or_else(|_| Err(Error::Unknown("the database thread ended".into()).into()));
        meter.seconds(writes).record(begun.elapsed());
        answer
    }

    /// The same for work that goes on by itself: its statements and transactions are not counted among those of requests.
    #[must_use]
    pub fn background(&self) -> Self {
        Self { counts: false, ..self.clone() }
    }

    /// Woken when a unit of this process wrote events, and, once [`hears`](Self::hear), when another process said so.
    pub fn told(&self) -> Arc<Notify> {
        Arc::clone(&self.inner.told)
    }

    /// Tells `keeper` what units change, each before it is answered; on PostgreSQL, once it [`hears`](Self::hear), of
    /// other processes too. It is called on threads of the database and may not block. Only the first one is told.
    pub fn keep(&self, keeper: impl Fn(News<'_>) + Send + Sync + 'static) {
        let _ = self.inner.keeper.told.set(Box::new(keeper));
    }

    /// From now on hears of events that other processes wrote; on SQLite there are none.
    pub fn hear(&self) {
        let hear = self.inner.hear.lock().expect("never poisoned").take();
        if let Some(hear) = hear {
            let thread = hear(Arc::downgrade(&self.inner));
            *self.inner.ear.lock().expect("never poisoned") = Some(thread);
        }
    }

    /// Tells other processes that there are events. Not in the transaction that wrote them: PostgreSQL lets transactions
    /// that notify commit one after another only. Who misses it finds them at the next look.
    pub async fn say(&self) -> Result<()> {
        self.read(hearing::say).await
    }

    /// Whether another server may be at work on it.
    pub fn is_shared(&self) -> bool {
        self.inner.shared
    }

    /// The domain it was opened for.
    pub fn name(&self) -> &'static str {
        self.inner.name
    }

    /// Whether it answers.
    pub async fn ping(&self) -> Result<()> {
        self.read(|conn| Ok(diesel::connection::SimpleConnection::batch_execute(conn, "SELECT 1")?)).await
    }

    /// Takes nothing new, finishes what is queued, and has told other processes of it.
    pub async fn close(&self) {
        self.inner.lanes.write().expect("never poisoned").take();
        let inner = Arc::clone(&self.inner);
        let joined = tokio::task::spawn_blocking(move || {
            // One that began as this did is found when the others have ended: nobody can ask for another any more.
            loop {
                let threads = std::mem::take(&mut *inner.threads.lock().expect("never poisoned"));
                if threads.is_empty() {
                    break;
                }
                threads.into_iter().for_each(|thread| drop(thread.join()));
            }
            inner.closed.store(true, SeqCst);
            let ear = inner.ear.lock().expect("never poisoned").take();
            ear.map(JoinHandle::join)
        });
        drop(joined.await.expect("joining does not panic"));
    }
}

impl Inner {
    fn grow(&self) {
        let Some(crew) = self.crew.as_ref().filter(|crew| crew.is_short(&self.asked)) else { return };
        // Held until the new one is among them: whoever closes waits for all.
        let mut threads = self.threads.lock().expect("never poisoned");
        if crew.is_short(&self.asked) {
            threads.retain(|thread| !thread.is_finished());
            threads.extend(crew.grown());
        }
    }
}

/// Whoever keeps ready answers, and what other processes are still to be told.
#[derive(Default)]
struct Keeper {
    told: OnceLock<Box<dyn Fn(News<'_>) + Send + Sync>>,
    /// Of no use where nobody else is: there it is not emptied, and does not grow.
    unsaid: Mutex<Touched>,
}
impl Keeper {
    fn tell(&self, news: News<'_>) {
        if let Some(told) = self.told.get() {
            told(news);
        }
    }
    fn touched(&self, touched: &Touched) {
        self.tell(News::Touched(touched));
        self.unsaid.lock().expect("never poisoned").join(touched);
    }
    fn unsaid(&self) -> Touched {
        std::mem::take(&mut *self.unsaid.lock().expect("never poisoned"))
    }
}

/// The end of a lane where units are taken.
#[derive(Clone)]
struct Queue {
    units: Receiver<Box<dyn Work>>,
    meter: Meter,
    told: Arc<Notify>,
    keeper: Arc<Keeper>,
}
impl Queue {
    /// After a unit, and before its answer: says what changed, and wakes whoever tells events. Once too often does no
    /// harm. Of a change that may or may not have been kept nobody knows what it was.
    fn tell(&self, conn: Option<&mut Conn>, unsure: bool) {
        if unsure {
            self.keeper.touched(&Touched::everything());
        }
        let Some(conn) = conn else { return };
        if !conn.touched.is_empty() {
            self.keeper.touched(&std::mem::take(&mut conn.touched));
        }
        if std::mem::take(&mut conn.told) {
            self.told.notify_one();
        }
    }
    /// Waits for a unit; `None` when the database was closed and nothing is left.
    fn next(&self) -> Option<Box<dyn Work>> {
        let unit = self.units.recv().ok()?;
        self.meter.queue.decrement(1.0);
        Some(unit)
    }
    /// One that waits already.
    fn waiting(&self) -> Option<Box<dyn Work>> {
        let unit = self.units.try_recv().ok()?;
        self.meter.queue.decrement(1.0);
        Some(unit)
    }
    /// Answers a unit; a write counts once, however often it ran.
    fn answer(&self, unit: Box<dyn Work>, fate: Result<()>) {
        if unit.writes() && unit.counts() {
            self.meter.transactions.increment(1);
        }
        unit.answer(fate);
    }
}

fn begun(database: &str, job: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(format!("{database}-{job}")).spawn(run)
}
/// While a process begins.
fn spawn(database: &str, job: &str, run: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    begun(database, job, run).expect("a thread can be started")
}
