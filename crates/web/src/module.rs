//! What a domain hands the host: routes, the state their handlers ask for, and work that goes on by itself.
use crate::Route;
use actix_web::web::{Data, ServiceConfig};
use database::Database;
use futures_util::future::BoxFuture;
use std::{future::Future, sync::Arc, time::Duration};

/// A domain, or the aggregator, as a process serves it.
#[derive(Clone)]
pub struct Module {
    pub name: &'static str,
    pub routes: Vec<Route>,
    pub workers: Vec<Worker>,
    /// What must answer for the module to be ready.
    pub databases: Vec<Database>,
    state: Arc<dyn Fn(&mut ServiceConfig) + Send + Sync>,
}

impl Module {
    /// `state` is what handlers take as `Data<S>`.
    pub fn new<S: Send + Sync + 'static>(name: &'static str, routes: Vec<Route>, state: Arc<S>) -> Self {
        let state: Arc<dyn Fn(&mut ServiceConfig) + Send + Sync> = Arc::new(move |config| {
            config.app_data(Data::from(Arc::clone(&state)));
        });
        Self { name, routes, workers: Vec::new(), databases: Vec::new(), state }
    }
    /// Ready when `database` answers; closed when the process stops.
    #[must_use]
    pub fn on(mut self, database: Database) -> Self {
        self.databases.push(database);
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
    pub fn new<F: Future<Output = ()> + Send + 'static>(
        name: &'static str,
        every: Duration,
        turn: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self {
        Self { name, every, turn: Arc::new(move || Box::pin(turn())) }
    }
    pub async fn turn(&self) {
        (self.turn)().await;
    }
}
