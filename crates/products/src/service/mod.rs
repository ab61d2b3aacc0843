//! The use cases of products, one a function.
mod apply;
mod audit;
mod categories;
mod heard;
mod imports;
mod products;
mod reservations;
mod reviews;
mod stock;
mod traits;
mod variants;

use crate::domain::product::{Inconsistent, Product};
use database::{Database, once};
use kernel::{Clock, Currency, Time};
use products_api::{Catalogue, Stock};
use serde::Deserialize;
use std::{path::PathBuf, sync::Arc};
use web::{Module, Ready, ReadySettings, Tasks, Worker};

pub(crate) use categories::NewCategory;
pub(crate) use products::Viewer;
#[cfg(test)]
pub(crate) use reviews::Asker;
pub(crate) use reviews::{MODERATE, Verdict};
pub(crate) use variants::{Changes as VariantChanges, Sold};

/// How products behaves.
#[derive(Clone, Debug, Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The currency of a file of prices that does not say.
    pub currency: Currency,
    /// Seconds between two looks for reservations that are past their time.
    pub sweep_seconds: u64,
    /// So many pieces of a variant, or fewer, are told as low stock; 0 tells nothing.
    pub low_stock: i64,
    /// What becomes of a review that somebody writes.
    pub reviews: Reviews,
    /// What everybody is shown alike.
    pub ready: ReadySettings,
}

/// What becomes of a review that somebody writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reviews {
    /// Staff looks at it before others see it.
    #[default]
    Moderated,
    /// It is published at once.
    Open,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            currency: Currency::EUR,
            sweep_seconds: 5,
            low_stock: 5,
            reviews: Reviews::default(),
            ready: ReadySettings::default(),
        }
    }
}

/// The domain. Cheap to clone.
#[derive(Clone)]
pub struct Products(pub(crate) Arc<Service>);

#[derive(Clone)]
pub(crate) struct Service {
    db: Database,
    clock: Arc<dyn Clock>,
    pub(crate) settings: Settings,
    /// Where uploads lie until they are read.
    spool: PathBuf,
    /// Imports run here.
    tasks: Tasks,
    /// What everybody is shown alike.
    pub(crate) ready: Arc<Ready>,
}

impl Products {
    /// `db` is migrated; `spool` is a folder for uploads, made with the first of them. Imports of a process that died
    /// have failed.
    pub async fn open(
        db: Database,
        clock: Arc<dyn Clock>,
        settings: Settings,
        spool: PathBuf,
    ) -> Result<Self, database::Error> {
        let service = Service::new(db, clock, settings, spool);
        service.give_up_imports().await?;
        Ok(Self(Arc::new(service)))
    }
    pub fn catalogue(&self) -> Arc<dyn Catalogue> {
        self.0.clone()
    }
    pub fn stock(&self) -> Arc<dyn Stock> {
        self.0.clone()
    }
    /// Where a test may end the process; none without the feature that only tests turn on.
    pub fn crash_points() -> &'static [&'static str] {
        crate::points::Point::ALL
    }
    pub fn module(&self) -> Module {
        let sweep = |service: Arc<Service>| async move {
            service.sweep().await;
            if let Err(error) = service.give_up_imports().await {
                tracing::warn!(%error, "interrupted imports stay open until the next turn");
            }
        };
        let sweeper = Worker::new("products-sweep", self.0.sweep_every(), &self.0, sweep);
        let purge = |service: Arc<Service>| async move { service.purge().await };
        let purge = Worker::hourly("products-purge", &self.0, purge);
        Module::new("products", crate::http::routes(), Arc::clone(&self.0))
            .on(self.0.db.clone())
            .tasks(self.0.tasks.clone())
            .keeping(Arc::clone(&self.0.ready))
            .worker(sweeper)
            .worker(purge)
    }
    /// As it is, for whoever only looks: nothing is written. `db` is migrated.
    pub fn look(db: Database, clock: Arc<dyn Clock>, settings: Settings, spool: PathBuf) -> Self {
        Self(Arc::new(Service::new(db, clock, settings, spool)))
    }
}

/// Why a use case of products came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("not found")]
    NotFound,
    #[error("changed since it was read")]
    Stale,
    #[error("another one has this slug")]
    SlugTaken,
    #[error("its author has reviewed the product before")]
    AlreadyReviewed,
    /// Its access token outlives it for some minutes.
    #[error("the account is gone")]
    AccountGone,
    #[error("another variant has these options")]
    OptionsTaken,
    #[error("the variants have values that the options do not list")]
    Inconsistent,
    /// The places in the list of categories.
    #[error("no such category")]
    UnknownCategories(Vec<usize>),
    #[error("no such parent category")]
    UnknownParent,
    #[error("a product has {} variants at most", crate::domain::product::MAX_VARIANTS)]
    TooManyVariants,
    /// Where in the options of a variant.
    #[error("the values do not fit the product's options")]
    Unfitting,
    #[error("more is reserved than would be on hand")]
    BelowReserved,
    #[error("more than a shop can have")]
    TooMuch,
    #[error(transparent)]
    Once(#[from] once::Refused),
    #[error(transparent)]
    Database(#[from] database::Error),
}

impl From<Inconsistent> for Error {
    fn from(_: Inconsistent) -> Self {
        Self::Inconsistent
    }
}

impl Service {
    fn new(db: Database, clock: Arc<dyn Clock>, settings: Settings, spool: PathBuf) -> Self {
        let ready = Ready::of(&db, settings.ready);
        Self { db, clock, settings, spool, tasks: Tasks::here(), ready }
    }
    fn now(&self) -> Time {
        self.clock.now()
    }
    async fn purge(&self) {
        if let Err(error) = once::purge(&self.db).await {
            tracing::warn!(%error, "old idempotency records stay until the next turn");
        }
    }
}

/// The product, if it is still in the version that the caller read; `None` stands for any.
fn in_version(product: Option<Product>, expected: Option<i64>) -> Result<Product, Error> {
    let product = product.ok_or(Error::NotFound)?;
    match expected {
        Some(version) if version != product.version => Err(Error::Stale),
        _ => Ok(product),
    }
}
