//! One domain by itself, for a command that is about it: no neighbour is asked, nothing is served.
use super::Domain;
#[cfg(any(feature = "users", feature = "products"))]
use super::{domains, prepare};
#[cfg(any(feature = "users", feature = "products"))]
use crate::settings::ModuleName;
use crate::settings::Settings;
use database::Database;
#[cfg(any(feature = "users", feature = "products"))]
use kernel::SystemClock;
#[cfg(any(feature = "users", feature = "products"))]
use std::sync::Arc;

#[cfg(feature = "users")]
pub(crate) async fn users(settings: &Settings) -> Result<users::Users, String> {
    let settings = settings.about(ModuleName::Users)?;
    let users = users::Users::open(alone(&settings)?, Arc::new(SystemClock), settings.users.clone()).await;
    users.map_err(|error| error.to_string())
}

#[cfg(feature = "products")]
pub(crate) async fn products(settings: &Settings) -> Result<products::Products, String> {
    let settings = settings.about(ModuleName::Products)?;
    let (database, uploads) = (alone(&settings)?, settings.data_dir.join("uploads"));
    let products = products::Products::open(database, Arc::new(SystemClock), settings.products.clone(), uploads).await;
    products.map_err(|error| error.to_string())
}

#[cfg(any(feature = "users", feature = "products"))]
fn alone(settings: &Settings) -> Result<Database, String> {
    settings.make_data_dir()?;
    prepare(settings)?;
    let [domain] = <[Domain; 1]>::try_from(domains(settings)).map_err(|_| "a domain is opened by itself")?;
    open_database(settings, &domain)
}

/// A domain's database.
pub(crate) fn open_database(settings: &Settings, domain: &Domain) -> Result<Database, String> {
    let opened = Database::open(&domain.location, domain.name, settings.database.executor());
    opened.map_err(|error| format!("{}: {error}", domain.name))
}
