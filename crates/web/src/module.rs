//! What a domain hands the host: routes, the state their handlers ask for, and work that goes on by itself.
use crate::{Ready, Route};
use actix_web::web::{Data, ServiceConfig};
use database::Database;
use futures_util::future::BoxFuture;
use std::{future::Future, ops::RangeInclusive, sync::Arc, time::Duration};
use tokio::{
    runtime::Handle,
    sync::{Notify, watch},
    task::JoinHandle,
};
use tokio_util::task::TaskTracker;

/// Work that outlives the request it began with: it runs on the process's own threads, not on a listener's, and the stop
/// of the process waits for it.
#[derive(Clone)]
pub struct Tasks {
    runtime: Handle,
    running: TaskTracker,
}

impl Tasks {
    /// On the runtime that this is called on.
    pub fn here() -> Self {
        Self { runtime: Handle::current(), running: TaskTracker::new() }
    }
    /// Logs as part of the request that begins it.
    pub fn spawn<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.running.spawn_on(tracing::Instrument::in_current_span(work), &self.runtime)
    }
    /// Waits for what runs.
    pub async fn end(&self) {
        self.running.close();
        self.running.wait().await;
    }
}

/// Done when the process is told to stop: for answers that would otherwise not end. Handlers find it beside their state.
#[derive(Clone)]
pub struct Stopping(pub watch::Receiver<bool>);

impl Stopping {
    pub async fn told(mut self) {
        // Whoever would say so is gone: that is the stop, too.
        let _ = self.0.wait_for(|stopping| *stopping).await;
    }
}

/// A domain, or the aggregator, as a process serves it.
#[derive(Clone)]
pub struct Module {
    pub name: &'static str,
    pub routes: Vec<Route>,
    pub workers: Vec<Worker>,
    /// What must answer for the module to be ready.
    pub databases: Vec<Database>,
    /// What a stop waits for.
    pub tasks: Vec<Tasks>,
    /// What it keeps ready.
    pub shelf: Option<Arc<Ready>>,
    state: Arc<dyn Fn(&mut ServiceConfig) + Send + Sync>,
}

impl Module {
    /// `state` is what handlers take as `Data<S>`.
    pub fn new<S: Send + Sync + 'static>(name: &'static str, routes: Vec<Route>, state: Arc<S>) -> Self {
        let state: Arc<dyn Fn(&mut ServiceConfig) + Send + Sync> = Arc::new(move |config| {
            config.app_data(Data::from(Arc::clone(&state)));
        });
        Self { name, routes, workers: Vec::new(), databases: Vec::new(), tasks: Vec::new(), shelf: None, state }
    }
    /// Ready when `database` answers; closed when the process stops.
    #[must_use]
    pub fn on(mut self, database: Database) -> Self {
        self.databases.push(database);
        self
    }
    #[must_use]
    pub fn tasks(mut self, tasks: Tasks) -> Self {
        self.tasks.push(tasks);
        self
    }
    #[must_use]
    pub fn keeping(mut self, ready: Arc<Ready>) -> Self {
        self.shelf = Some(ready);
        self
    }
    #[must_use]
    pub fn worker(mut self, worker: Worker) -> Self {
        self.workers.push(worker);
        self
    }
    pub fn configure(&self, config: &mut ServiceConfig) {
        (self.state)(config);
        crate::register(&self.routes, config);
    }
}

/// Something done again and again; one turn ends before the next begins, and the stop of the process waits for it.
#[derive(Clone)]
pub struct Worker {
    pub name: &'static str,
    /// From the end of a turn to the begin of the next.
    pub every: Duration,
    /// Before the first turn.
    pause: Duration,
    wake: Option<Arc<Notify>>,
    drops: bool,
    turn: Turn,
    end: Option<Turn>,
}

/// From the end of a turn to one that somebody asked for, at least and at most. Who asks comes in crowds in a busy shop, and
/// a turn costs as much for one as for many.
const GATHER: RangeInclusive<Duration> = Duration::from_millis(20)..=Duration::from_millis(200);
/// In between as many times as long as the turn took: so turns that are asked for take a fifth of the time at most, and the
/// busier the machine is, the more each of them does.
const REST: u32 = 4;

const HOUR: Duration = Duration::from_secs(3600);
/// What may wait for an hour is not done while a process begins: there is enough to do then.
const AT_THE_START: Duration = Duration::from_secs(60);

type Turn = Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

fn turn<S: Send + Sync + 'static, F: Future<Output = ()> + Send + 'static>(
    state: &Arc<S>,
    turn: impl Fn(Arc<S>) -> F + Send + Sync + 'static,
) -> Turn {
    let state = Arc::clone(state);
    Arc::new(move || Box::pin(turn(Arc::clone(&state))))
}

impl Worker {
    /// `work` gets the state that the module's handlers have.
    pub fn new<S: Send + Sync + 'static, F: Future<Output = ()> + Send + 'static>(
        name: &'static str,
        every: Duration,
        state: &Arc<S>,
        work: impl Fn(Arc<S>) -> F + Send + Sync + 'static,
    ) -> Self {
        Self { name, every, pause: Duration::ZERO, wake: None, drops: false, turn: turn(state, work), end: None }
    }
    /// For what tidies up: once an hour, for the first time a minute after the start.
    pub fn hourly<S: Send + Sync + 'static, F: Future<Output = ()> + Send + 'static>(
        name: &'static str,
        state: &Arc<S>,
        work: impl Fn(Arc<S>) -> F + Send + Sync + 'static,
    ) -> Self {
        Self { pause: AT_THE_START, ..Self::new(name, HOUR, state, work) }
    }
    /// The next turn begins at once when this is notified, unless one has only just ended: then soon after it.
    #[must_use]
    pub fn woken_by(mut self, wake: Arc<Notify>) -> Self {
        self.wake = Some(wake);
        self
    }
    /// A turn may last for ever and be dropped at any moment: the stop of the process does not wait for its end.
    #[must_use]
    pub fn dropped_at_stop(mut self) -> Self {
        self.drops = true;
        self
    }
    /// What is done after the last turn.
    #[must_use]
    pub fn ending<S: Send + Sync + 'static, F: Future<Output = ()> + Send + 'static>(
        mut self,
        state: &Arc<S>,
        work: impl Fn(Arc<S>) -> F + Send + Sync + 'static,
    ) -> Self {
        self.end = Some(turn(state, work));
        self
    }
    /// One turn.
    pub async fn turn(&self) {
        (self.turn)().await;
    }
    /// Turn after turn, until `stop` is done.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        // A pause, not a wait for something: nothing depends on when it ends, and a stop ends it at once.
        if !self.pause.is_zero() {
            tokio::select! {
                () = tokio::time::sleep(self.pause) => (),
                () = &mut stop => return,
            }
        }
        loop {
            tokio::select! {
                biased;
                () = counted::until_work_is_wanted() => (),
                () = &mut stop => break,
            }
            let begun = tokio::time::Instant::now();
            let turn = tokio::spawn((self.turn)());
            let abort = turn.abort_handle();
            tokio::pin!(turn);
            let ended = tokio::select! {
                ended = &mut turn => Some(ended),
                () = &mut stop, if self.drops => None,
            };
            match ended {
                Some(Err(error)) if error.is_panic() => {
                    tracing::error!(worker = self.name, "a turn panicked; the next one comes all the same");
                }
                Some(_) => (),
                None => {
                    abort.abort();
                    let _ = turn.await; // where it stopped is where the end begins
                    break;
                }
            }
            let gathered = begun.elapsed().saturating_mul(REST).clamp(*GATHER.start(), *GATHER.end());
            let gathered = tokio::time::Instant::now() + gathered;
            tokio::select! {
                () = tokio::time::sleep(self.every) => continue, // longer ago than any gathering
                () = notified(self.wake.as_deref()) => (),
                () = &mut stop => break,
            }
            tokio::select! {
                () = tokio::time::sleep_until(gathered) => (),
                () = &mut stop => break,
            }
        }
        if let Some(end) = self.end {
            end().await;
        }
    }
}

async fn notified(wake: Option<&Notify>) {
    match wake {
        Some(wake) => wake.notified().await,
        None => std::future::pending().await,
    }
}
