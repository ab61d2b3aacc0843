//! What the command line can do.
pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod certs;
pub(crate) mod copy;
pub(crate) mod demo;
pub(crate) mod events;
pub(crate) mod import;
pub(crate) mod serve;
pub(crate) mod topology;
pub(crate) mod users;

use crate::{
    settings::{Settings, listed},
    shop,
};
use database::Location;

/// Why a command failed, as a sentence for whoever typed it.
#[derive(Debug)]
pub(crate) struct Failed(pub String);

impl From<String> for Failed {
    fn from(why: String) -> Self {
        Self(why)
    }
}
impl From<&str> for Failed {
    fn from(why: &str) -> Self {
        Self(why.to_owned())
    }
}
impl From<host::Problems> for Failed {
    fn from(problems: host::Problems) -> Self {
        Self(problems.to_string())
    }
}
impl From<host::StartError> for Failed {
    fn from(error: host::StartError) -> Self {
        Self(error.to_string())
    }
}

pub(crate) fn migrate(settings: &Settings, check: bool) -> Result<(), Failed> {
    let mut due = 0;
    settings.make_data_dir()?;
    let domains = with_tables(settings)?;
    for shop::Domain { name, location, migrations } in domains {
        let failed = |error: database::Error| format!("{name}: {error}");
        let names =
            if check { database::pending(&location, migrations) } else { database::migrate(&location, migrations) };
        let names = names.map_err(failed)?;
        due += names.len();
        match (names.is_empty(), check) {
            (true, _) => println!("{name}: up to date"),
            (false, true) => println!("{name}: pending: {}", names.join(", ")),
            (false, false) => println!("{name}: migrated: {}", names.join(", ")),
        }
    }
    if check && due > 0 { Err(format!("{due} migrations are pending").into()) } else { Ok(()) }
}

/// The domains that are here, for a command that is about their tables.
fn with_tables(settings: &Settings) -> Result<Vec<shop::Domain>, Failed> {
    let domains = shop::domains(settings);
    if domains.is_empty() {
        let here = listed(settings.here.iter().copied());
        return Err(format!("no domain is here ({here}), so there are no tables: name one with --only").into());
    }
    Ok(domains)
}

pub(crate) fn database_init(settings: &Settings, admin_url: &str) -> Result<(), Failed> {
    let domains = with_tables(settings)?;
    let shared: Vec<_> =
        domains.iter().filter(|domain| matches!(&domain.location, Location::Postgres { role: Some(_), .. })).collect();
    let Some(first) = shared.first() else {
        return Err("database.url is not set to a postgres:// URL, so there is nothing to make".into());
    };
    let names: Vec<&str> = shared.iter().map(|domain| domain.name).collect();
    let login = first.location.login();
    let done = database::provision_for(admin_url, login.as_deref(), &names).map_err(|error| error.to_string())?;
    done.iter().for_each(|sentence| println!("{sentence}"));
    println!("next: cleave migrate");
    Ok(())
}

/// The OpenAPI document of this build.
pub(crate) fn document() -> String {
    web::document(&shop::routes(), env!("CARGO_PKG_VERSION"))
}

pub(crate) fn openapi() -> Result<(), Failed> {
    print!("{}", document());
    Ok(())
}

/// The AsyncAPI document of this build.
pub(crate) fn events_document() -> String {
    crate::asyncapi::document(&shop::catalogue(), env!("CARGO_PKG_VERSION"))
}

pub(crate) fn asyncapi() -> Result<(), Failed> {
    print!("{}", events_document());
    Ok(())
}

pub(crate) fn config(settings: &Settings) -> Result<(), Failed> {
    print!("{}", toml::to_string(settings).map_err(|error| error.to_string())?);
    Ok(())
}
