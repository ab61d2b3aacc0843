//! What this build has: domains, their databases and routes; [`local`] wires them.
use crate::settings::{Placed, Settings};
use database::{Location, Migrations};
use web::Route;

#[cfg(all(feature = "users", feature = "products", feature = "orders", feature = "storefront"))]
mod local;
#[cfg(all(feature = "users", feature = "products", feature = "orders", feature = "storefront"))]
pub(crate) use local::{Shop, open};

/// A domain as its database sees it.
pub(crate) struct Domain {
    pub name: &'static str,
    pub location: Location,
    pub migrations: &'static Migrations,
}

/// The domains of this build, in the order in which they are migrated.
pub(crate) fn domains(settings: &Settings) -> Vec<Domain> {
    let domain = |name, placed: &Placed, migrations| {
        let location = settings.location(name, placed).expect("checked when the settings were read");
        Domain { name, location, migrations }
    };
    let modules = &settings.modules;
    let _ = (&modules.users, &modules.products, &modules.orders, &domain); // some builds have fewer
    vec![
        #[cfg(feature = "users")]
        domain("users", &modules.users, &users::MIGRATIONS),
        #[cfg(feature = "products")]
        domain("products", &modules.products, &products::MIGRATIONS),
        #[cfg(feature = "orders")]
        domain("orders", &modules.orders, &orders::MIGRATIONS),
    ]
}

/// The routes of this build, without anything running: for the documentation.
pub(crate) fn routes() -> Vec<Route> {
    let all: Vec<Vec<Route>> = vec![
        #[cfg(feature = "users")]
        users::routes(),
        #[cfg(feature = "products")]
        products::routes(),
        #[cfg(feature = "orders")]
        orders::routes(),
        #[cfg(feature = "storefront")]
        storefront::routes(),
    ];
    all.into_iter().flatten().collect()
}

/// Migrates what lies in files; a server database must be up to date, since several processes may use it.
pub(crate) fn prepare(settings: &Settings) -> Result<(), String> {
    for Domain { name, location, migrations } in domains(settings) {
        match &location {
            Location::Sqlite { .. } => {
                let run = database::migrate(&location, migrations).map_err(|error| format!("{name}: {error}"))?;
                if !run.is_empty() {
                    tracing::info!(domain = name, migrations = run.len(), "migrated");
                }
            }
            Location::Postgres { .. } => {
                let pending = database::pending(&location, migrations).map_err(|error| format!("{name}: {error}"))?;
                if !pending.is_empty() {
                    return Err(format!(
                        "{name}: migrations are pending ({}); run `cleave migrate` first",
                        pending.join(", ")
                    ));
                }
            }
        }
    }
    Ok(())
}

/// Who else may write to the data directory meanwhile.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The server: alone.
    Serve,
    /// A command: beside a server.
    Beside,
}

/// A build with fewer domains has neighbours out of reach: there is nobody to ask while `place` knows only "local".
#[cfg(not(all(feature = "users", feature = "products", feature = "orders", feature = "storefront")))]
mod missing {
    use super::{Mode, Settings};
    use std::sync::Arc;

    pub(crate) struct Shop {
        pub modules: Vec<web::Module>,
        pub verify: Arc<dyn guard::Verify>,
        #[cfg(feature = "users")]
        pub users: users::Users,
        #[cfg(feature = "products")]
        pub products: products::Products,
    }
    pub(crate) async fn open(settings: &Settings, _: Mode) -> Result<Shop, String> {
        super::prepare(settings)?;
        Err("this build has not all domains, and `place` knows only \"local\": there is nobody to ask for the others"
            .into())
    }
}
#[cfg(not(all(feature = "users", feature = "products", feature = "orders", feature = "storefront")))]
pub(crate) use missing::open;
