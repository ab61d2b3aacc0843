//! What this build has: domains, their databases and routes; [`open`] wires those that are here, [`alone`] opens one by
//! itself.
use crate::settings::{ModuleName, Settings};
use database::{Database, Location, Migrations};
use std::collections::HashMap;
use web::Route;

pub(crate) mod alone;
mod events;
mod open;
mod told;
mod wiring;

pub(crate) use events::catalogue;
#[cfg(all(feature = "users", feature = "products", feature = "orders", feature = "storefront"))]
pub(crate) use open::Shop;
pub(crate) use open::{audit, open};

/// A domain as its database sees it.
pub(crate) struct Domain {
    pub name: &'static str,
    pub location: Location,
    pub migrations: &'static Migrations,
}

/// The domains that are here, in the order in which they are migrated.
pub(crate) fn domains(settings: &Settings) -> Vec<Domain> {
    let here = ModuleName::ALL.into_iter().filter(|module| settings.is_here(*module));
    here.filter_map(|module| domain(settings, module)).collect()
}

/// One of them, wherever it runs; `None` for what owns no tables, and for what this build does not have.
pub(crate) fn domain(settings: &Settings, module: ModuleName) -> Option<Domain> {
    let (name, placed) = (module.as_str(), settings.modules.domain(module)?);
    let location = settings.location(name, placed).expect("checked when the settings were read");
    Some(Domain { name, location, migrations: migrations(module)? })
}

/// What makes a domain's tables; `None` for what owns none, and for what this build does not have.
fn migrations(module: ModuleName) -> Option<&'static Migrations> {
    match module {
        #[cfg(feature = "users")]
        ModuleName::Users => Some(&users::MIGRATIONS),
        #[cfg(feature = "products")]
        ModuleName::Products => Some(&products::MIGRATIONS),
        #[cfg(feature = "orders")]
        ModuleName::Orders => Some(&orders::MIGRATIONS),
        #[cfg(feature = "webhooks")]
        ModuleName::Webhooks => Some(&webhooks::MIGRATIONS),
        _ => None,
    }
}

/// The routes of this build by module, without anything running.
pub(crate) fn tables() -> Vec<(ModuleName, Vec<Route>)> {
    vec![
        #[cfg(feature = "users")]
        (ModuleName::Users, users::routes()),
        #[cfg(feature = "products")]
        (ModuleName::Products, products::routes()),
        #[cfg(feature = "orders")]
        (ModuleName::Orders, orders::routes()),
        #[cfg(feature = "webhooks")]
        (ModuleName::Webhooks, webhooks::routes()),
        #[cfg(feature = "storefront")]
        (ModuleName::Storefront, storefront::routes()),
    ]
}

/// The same in one table: for the documentation.
pub(crate) fn routes() -> Vec<Route> {
    tables().into_iter().flat_map(|(_, routes)| routes).collect()
}

/// Migrates what lies in files; a server database must be up to date, since several processes may use it.
pub(crate) fn prepare(settings: &Settings) -> Result<(), String> {
    of_each(domains(settings), |Domain { name, location, migrations }| match location {
        Location::Sqlite { .. } => {
            let run = database::migrate(location, migrations).map_err(|error| format!("{name}: {error}"))?;
            if !run.is_empty() {
                tracing::info!(domain = name, migrations = run.len(), "migrated");
            }
            Ok(())
        }
        Location::Postgres { .. } => refuse_pending(name, location, migrations),
    })
    .map(drop)
}

/// At once: most of it is waiting for a server or a disk. The first domain's complaint is told.
fn of_each<T: Send>(
    domains: Vec<Domain>,
    look: impl Fn(&Domain) -> Result<T, String> + Sync,
) -> Result<Vec<T>, String> {
    std::thread::scope(|scope| {
        let looking: Vec<_> = domains.iter().map(|domain| scope.spawn(|| look(domain))).collect();
        let looked = looking.into_iter().map(|one| one.join().unwrap_or_else(|_| Err("a thread panicked".into())));
        looked.collect::<Vec<_>>().into_iter().collect()
    })
}

/// The same for whoever writes nothing, not even tables into a file.
pub(crate) fn up_to_date(settings: &Settings) -> Result<(), String> {
    of_each(domains(settings), |Domain { name, location, migrations }| refuse_pending(name, location, migrations))
        .map(drop)
}

/// The databases of the domains that are here, by their names.
pub(crate) fn open_databases(settings: &Settings) -> Result<HashMap<&'static str, Database>, String> {
    let opened = of_each(domains(settings), |domain| Ok((domain.name, alone::open_database(settings, domain)?)));
    Ok(opened?.into_iter().collect())
}

fn refuse_pending(name: &str, location: &Location, migrations: &Migrations) -> Result<(), String> {
    let pending = database::pending(location, migrations).map_err(|error| format!("{name}: {error}"))?;
    if pending.is_empty() {
        return Ok(());
    }
    Err(format!("{name}: migrations are pending ({}); run `cleave migrate` first", pending.join(", ")))
}

/// Where a test may end a process of this build; none outside tests.
pub(crate) fn crash_points() -> Vec<&'static str> {
    let all: Vec<&[&str]> = vec![
        #[cfg(feature = "products")]
        products::Products::crash_points(),
        #[cfg(feature = "orders")]
        orders::Orders::crash_points(),
    ];
    all.concat()
}
