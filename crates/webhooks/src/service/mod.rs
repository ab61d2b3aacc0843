//! The use cases of webhooks, one a function.
mod audit;
mod deliveries;
mod endpoints;
mod hearing;
mod notices;
mod pausing;
mod places;
mod sending;
mod settings;
mod stream;
mod tail;
#[cfg(test)]
mod tests;

use crate::{
    domain::{schedule::Schedule, vault::Vault},
    http, store,
};
use database::{Conn, Database, once};
use kernel::{Clock, EventKind, Time, Trace};
use messaging::Listener;
use outward::Poster;
use places::Places;
use std::{sync::Arc, time::Duration};
use tail::Tail;
use tokio::sync::{Notify, Semaphore};
use web::{Module, Tasks, Worker};

pub use settings::Settings;
pub(crate) use stream::{Stream, Told};

/// The domain. Cheap to clone.
#[derive(Clone)]
pub struct Webhooks(Arc<Service>);

pub(crate) struct Service {
    db: Database,
    clock: Arc<dyn Clock>,
    /// All that any domain tells.
    pub(crate) kinds: Vec<EventKind>,
    settings: Settings,
    schedule: Schedule,
    vault: Vault,
    pub(crate) poster: Poster,
    places: Arc<Places>,
    tail: Tail,
    /// Something may be due.
    due: Arc<Notify>,
    /// One for each stream that may still begin.
    streams: Arc<Semaphore>,
    /// Tries run here.
    tasks: Tasks,
}

impl Webhooks {
    /// `db` is migrated; `kinds` are all that any domain tells; `settings` have no problems.
    pub async fn open(
        db: Database,
        clock: Arc<dyn Clock>,
        kinds: Vec<EventKind>,
        settings: Settings,
    ) -> Result<Self, String> {
        let vault = Vault::new(&settings.secret_keys).ok_or("webhooks.secret_keys: a key is 32 bytes in base64")?;
        let kept = db.read(store::endpoints::secrets).await.map_err(|error: database::Error| error.to_string())?;
        for (endpoint, secret) in kept {
            vault.open(endpoint, &secret).map_err(|shut| shut.to_string())?;
        }
        Ok(Self(Arc::new(Service {
            db,
            clock,
            kinds,
            schedule: settings.schedule(),
            vault,
            poster: Poster::new(settings.limits()),
            places: Places::new(settings.per_endpoint),
            tail: Tail::default(),
            due: Arc::default(),
            streams: Arc::new(Semaphore::new(settings.streams)),
            settings,
            tasks: Tasks::here(),
        })))
    }
    pub fn module(&self) -> Module {
        let look = |service: Arc<Service>| async move { service.look().await };
        let tail = Worker::new("webhooks-journal", Duration::from_secs(1), &self.0, look).woken_by(self.0.tail.grown());
        let send = |service: Arc<Service>| async move { service.send_due().await };
        let send =
            Worker::new("webhooks-deliveries", Duration::from_secs(1), &self.0, send).woken_by(Arc::clone(&self.0.due));
        let purge = |service: Arc<Service>| async move { service.purge().await };
        let purge = Worker::hourly("webhooks-purge", &self.0, purge);
        Module::new("webhooks", http::routes(), Arc::clone(&self.0))
            .on(self.0.db.clone())
            .tasks(self.0.tasks.clone())
            .worker(tail)
            .worker(send)
            .worker(purge)
    }
    /// What it hears: everything.
    pub fn listener(&self) -> Listener {
        Service::listener(&self.0)
    }
}

/// Why a use case of webhooks came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("not found")]
    NotFound,
    #[error("changed since it was read")]
    Stale,
    #[error("a shop has {} endpoints at most", crate::domain::endpoint::MAX_ENDPOINTS)]
    TooManyEndpoints,
    #[error("the endpoint is paused")]
    Paused,
    #[error("the delivery is being tried just now")]
    UnderWay,
    #[error("as many streams are read as may be")]
    TooManyStreams,
    #[error(transparent)]
    Shut(#[from] crate::domain::vault::Shut),
    #[error(transparent)]
    Cursor(#[from] kernel::BadCursor),
    #[error(transparent)]
    Once(#[from] once::Refused),
    #[error(transparent)]
    Database(#[from] database::Error),
}

/// What somebody did, and in the course of what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub now: Time,
    pub trace: Trace,
}

impl Service {
    pub(crate) fn now(&self) -> Time {
        self.clock.now()
    }
    fn moment(&self, call: &kernel::Call) -> Moment {
        Moment { now: self.now(), trace: call.trace }
    }

    /// What is older than it is kept. The journal first: what it has, deliveries have.
    async fn purge(&self) {
        let now = self.now();
        let (journal, rest) = (now.minus(self.settings.keep_journal()), now.minus(self.settings.keep_deliveries()));
        let done = async {
            self.purge_all(move |tx| store::journal::purge(tx, journal)).await?;
            self.purge_all(move |tx| store::deliveries::purge(tx, rest)).await?;
            self.purge_all(move |tx| store::notices::purge(tx, rest)).await?;
            self.db.background().write(store::endpoints::purge).await?;
            once::purge(&self.db).await
        };
        if let Err(error) = done.await {
            tracing::warn!(%error, "what is too old stays until the next turn");
        }
    }

    /// Some at a time: nobody waits for long.
    async fn purge_all(
        &self,
        some: impl Fn(&mut Conn) -> database::Result<bool> + Clone + Send + 'static,
    ) -> database::Result<()> {
        while self.db.background().write(some.clone()).await? {}
        Ok(())
    }
}
