//! What a domain hands the host: routes, the state their handlers ask for, and work that goes on by itself.
use crate::Route;
use actix_web::web::{Data, ServiceConfig};
use database::Database;
use futures_util::future::BoxFuture;
use std::{future::Future, sync::Arc, time::Duration};
use tokio::{runtime::Handle, task::JoinHandle};
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
    state: Arc<dyn Fn(&mut ServiceConfig) + Send + Sync>,
}

impl Module {
    /// `state` is what handlers take as `Data<S>`.
    pub fn new<S: Send + Sync + 'static>(name: &'static str, routes: Vec<Route>, state: Arc<S>) -> Self {
        let state: Arc<dyn Fn(&mut ServiceConfig) + Send + Sync> = Arc::new(move |config| {
            config.app_data(Data::from(Arc::clone(&state)));
        });
        Self { name, routes, workers: Vec::new(), databases: Vec::new(), tasks: Vec::new(), state }
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
    turn: Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>,
}

impl Worker {
    /// `turn` gets the state that the module's handlers have.
    pub fn new<S: Send + Sync + 'static, F: Future<Output = ()> + Send + 'static>(
        name: &'static str,
        every: Duration,
        state: &Arc<S>,
        turn: impl Fn(Arc<S>) -> F + Send + Sync + 'static,
    ) -> Self {
        let state = Arc::clone(state);
        Self { name, every, turn: Arc::new(move || Box::pin(turn(Arc::clone(&state)))) }
    }
    pub async fn turn(&self) {
        (self.turn)().await;
    }
}
