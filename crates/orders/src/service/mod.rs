//! The use cases of orders, one a function.
mod asking;
mod audit;
pub(crate) mod carts;
mod changes;
mod checkout;
mod events;
mod forget;
mod history;
mod orders;
mod worker;

use crate::{
    domain::{cart::Holder, shipping::ShippingSettings},
    http,
    payments::{PaymentSettings, Providers},
    store::{self, processes::Lease},
};
use database::{Database, once};
use kernel::{Call, CartKey, Clock, Failure, Principal, Time};
use orders_api::OrderHistory;
use products_api::{Catalogue, Stock, VariantId};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};
use tokio::sync::Notify;
use web::{Module, Tasks, Worker};

pub(crate) use carts::{LineToAdd, NewCart};
pub(crate) use changes::{Parcel, Part, Wish};
pub(crate) use checkout::{Attempt, CheckoutError, DECLINED, Payment};
#[cfg(test)]
pub(crate) use forget::hear;
pub(crate) use orders::List;

/// How a checkout behaves.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct CheckoutSettings {
    /// Minutes that stock is held while a buyer pays.
    pub reservation_minutes: u64,
    /// Seconds that whoever does a step for an order has for it; after them it is taken for left behind, and driven on by
    /// another. So much a crash may delay an order.
    pub lease_seconds: u64,
}

impl Default for CheckoutSettings {
    fn default() -> Self {
        Self { reservation_minutes: 15, lease_seconds: 10 }
    }
}

impl CheckoutSettings {
    /// What is wrong with them, a sentence each.
    pub fn problems(&self) -> Vec<String> {
        let within = |name: &str, value: u64, most: u64| {
            (!(1..=most).contains(&value)).then(|| format!("checkout.{name}: 1 to {most}"))
        };
        let all = [
            within("reservation_minutes", self.reservation_minutes, 1440),
            within("lease_seconds", self.lease_seconds, 3600),
        ];
        all.into_iter().flatten().collect()
    }
}

/// How orders behaves.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    pub payments: PaymentSettings,
    pub shipping: ShippingSettings,
    pub checkout: CheckoutSettings,
}

/// Whom orders asks.
pub struct Neighbours {
    pub catalogue: Arc<dyn Catalogue>,
    pub stock: Arc<dyn Stock>,
}

/// The domain. Cheap to clone.
#[derive(Clone)]
pub struct Orders(Arc<Service>);

pub(crate) struct Service {
    db: Database,
    clock: Arc<dyn Clock>,
    neighbours: Neighbours,
    providers: Providers,
    pub(crate) shipping: ShippingSettings,
    hold_for: Duration,
    /// Whoever finds it over finds a dead driver.
    lease: Lease,
    /// Work of several steps runs here.
    tasks: Tasks,
    /// An attempt of this process came to an end: whoever waits for it looks again.
    settled: Notify,
}

impl Orders {
    /// `db` is migrated; `settings` have no problems.
    pub async fn open(
        db: Database,
        clock: Arc<dyn Clock>,
        neighbours: Neighbours,
        settings: Settings,
    ) -> Result<Self, String> {
        let providers = Providers::new(&settings.payments)?;
        Ok(Self(Arc::new(Service {
            db,
            clock,
            neighbours,
            providers,
            shipping: settings.shipping,
            hold_for: Duration::from_secs(settings.checkout.reservation_minutes * 60),
            lease: Lease(Duration::from_secs(settings.checkout.lease_seconds)),
            tasks: Tasks::here(),
            settled: Notify::new(),
        })))
    }
    pub fn history(&self) -> Arc<dyn OrderHistory> {
        self.0.clone()
    }
    pub fn module(&self) -> Module {
        let purge = |service: Arc<Service>| async move { service.purge().await };
        let purge = Worker::hourly("orders-purge", &self.0, purge);
        let drive = |service: Arc<Service>| async move { service.drive_due().await };
        let drive = Worker::new("orders-processes", Duration::from_secs(1), &self.0, drive);
        let forget = |service: Arc<Service>| async move { service.forget_due().await };
        let forget = Worker::new("orders-forget", Duration::from_secs(5), &self.0, forget);
        Module::new("orders", http::routes(), Arc::clone(&self.0))
            .on(self.0.db.clone())
            .tasks(self.0.tasks.clone())
            .worker(purge)
            .worker(drive)
            .worker(forget)
    }
    /// Where a test can end the process; none in a build without that.
    pub fn crash_points() -> &'static [&'static str] {
        crate::points::Point::ALL
    }
}

/// Why a use case of orders came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("not found")]
    NotFound,
    #[error("changed since it was read")]
    Stale,
    #[error("the cart is being checked out")]
    CartLocked,
    #[error("the cart has become an order")]
    CartCompleted,
    #[error("the cart has no checkout")]
    NoCheckout,
    #[error("a cart holds more lines, or a line more pieces, than it can")]
    TooMany(&'static str),
    /// Which of the lines that were sent, and why.
    #[error("{} lines cannot be added", .0.len())]
    NotSold(Vec<(usize, NotSold)>),
    #[error("the amounts cannot be counted")]
    TooExpensive,
    #[error("there is no such shipping option for this cart")]
    ShippingOption,
    #[error("another change of the order is under way")]
    OrderBusy,
    #[error("the order can no longer be cancelled")]
    NotCancellable,
    #[error("the order cannot be shipped")]
    NotShippable,
    #[error("that much cannot be captured")]
    NotCapturable,
    #[error("that much cannot be refunded")]
    NotRefundable,
    #[error("the order is in {0}")]
    WrongCurrency(kernel::Currency),
    /// Its words, for staff.
    #[error("the payment provider refused: {0}")]
    PaymentRefused(String),
    #[error("the event is not its provider's")]
    BadEvent,
    #[error("an order was paid by `{0}`, which is not among payments.providers any more")]
    ProviderGone(String),
    #[error("a process of an order holds what this version cannot read")]
    Unreadable,
    #[error("the amounts cannot be counted")]
    BadMoney(#[from] kernel::BadMoney),
    /// products did not answer.
    #[error(transparent)]
    Neighbour(#[from] Failure),
    #[error(transparent)]
    Once(#[from] once::Refused),
    #[error(transparent)]
    Database(#[from] database::Error),
}

impl Error {
    /// Of what comes after something was done: the database's "nothing was done" is of the last step only.
    pub(crate) fn afterwards(self) -> Self {
        match self {
            Self::Database(error) => {
                tracing::error!(%error, "done, and how it ended cannot be read or written");
                Self::Neighbour(Failure::Unknown)
            }
            other => other,
        }
    }
}

/// Why a variant cannot be put into a cart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotSold {
    Unknown,
    Draft,
    NoPrice,
}

/// A cart that nobody touched for so long goes, unless it was bought.
const CART_LIVES: Duration = Duration::from_secs(90 * 24 * 3600);

/// Staff's right to touch orders that are not theirs.
pub(crate) const READ: &str = "orders:read";
pub(crate) const WRITE: &str = "orders:write";

impl Service {
    fn now(&self) -> Time {
        self.clock.now()
    }
    /// Who asks, for carts and orders; `right` is what staff needs to see another's order.
    pub(crate) fn holder(&self, call: &Call, cart: Option<CartKey>, right: &'static str) -> Holder {
        let staff = matches!(&call.principal, Principal::User(user) if user.may(right, self.now()));
        Holder { user: call.principal.user(), token: cart, staff }
    }
    /// Work of several steps runs in a task of its own, which the process's stop waits for; whoever asked hears what it
    /// came to, or that this is not known yet.
    async fn within<T: Send + 'static, E: From<Failure> + Send + 'static>(
        &self,
        call: &Call,
        work: impl Future<Output = Result<T, E>> + Send + 'static,
    ) -> Result<T, E> {
        let task = self.tasks.spawn(work);
        match tokio::time::timeout(call.time_left().unwrap_or_default(), task).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) | Err(_) => Err(Failure::Unknown.into()),
        }
    }
    async fn purge(&self) {
        let before = self.now().minus(CART_LIVES);
        let carts = self.db.write(move |tx| store::carts::purge(tx, before)).await;
        if let Err(error) = carts.and(once::purge(&self.db).await) {
            tracing::warn!(%error, "old carts and idempotency records stay until the next turn");
        }
    }
    async fn quotes(&self, call: &Call, variants: Vec<VariantId>) -> Result<Vec<products_api::Quote>, Error> {
        self.neighbours.catalogue.quote(call, variants).await.map_err(|error| match error.split() {
            Ok(products_api::QuoteError::TooMany) => Error::TooMany("/lines"),
            Err(failure) => Error::Neighbour(failure),
        })
    }
}
