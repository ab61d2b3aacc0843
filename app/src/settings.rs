//! The settings of the whole shop: a section a concern, read by the crate that owns it. One file serves every process
//! of a shop: `--only` says which modules a process is about.
mod calls;
mod events;
mod here;
mod module;
mod modules;
mod place;

use calls::CallSettings;
use database::Location;
pub(crate) use events::{BrokerName, EventSettings};
use host::{GrpcSettings, HttpSettings, LogSettings, Masked, Problems, Source, Tree};
pub(crate) use module::{ModuleName, listed};
pub(crate) use modules::{Modules, Placed};
pub(crate) use place::{HttpAddress, Place, Reach, Remote};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

const DEFAULTS: &str = include_str!("default.toml");

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Settings {
    pub data_dir: PathBuf,
    pub http: HttpSettings,
    pub log: LogSettings,
    pub database: DatabaseSettings,
    pub modules: Modules,
    /// The modules that this process is about.
    #[serde(skip)]
    pub here: BTreeSet<ModuleName>,
    pub grpc: GrpcSettings,
    pub calls: CallSettings,
    pub events: EventSettings,
    #[cfg(feature = "users")]
    pub users: users::Settings,
    #[cfg(feature = "products")]
    pub products: products::Settings,
    #[cfg(feature = "orders")]
    pub payments: orders::PaymentSettings,
    #[cfg(feature = "orders")]
    pub checkout: orders::CheckoutSettings,
    #[cfg(feature = "orders")]
    pub shipping: orders::ShippingSettings,
    #[cfg(feature = "webhooks")]
    pub webhooks: webhooks::Settings,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DatabaseSettings {
    pub url: Masked,
    pub queue: usize,
    pub readers: usize,
    pub max_mib: usize,
    pub threads: usize,
}

/// A section whose values can be wrong together: told beside what is wrong with others.
fn checked<T: serde::de::DeserializeOwned>(tree: &mut Tree, name: &str, problems: fn(&T) -> Vec<String>) -> Option<T> {
    let section: T = tree.take(name)?;
    problems(&section).into_iter().for_each(|problem| tree.complain(problem));
    Some(section)
}

impl DatabaseSettings {
    fn problems(&self) -> Vec<String> {
        let at_least_one = [("queue", self.queue), ("readers", self.readers), ("threads", self.threads)];
        none_at_zero(&at_least_one.map(|(name, n)| (["database.", name].concat(), n)))
    }
    pub(crate) fn executor(&self) -> database::Settings {
        database::Settings { queue: self.queue, readers: self.readers, max_mib: self.max_mib, threads: self.threads }
    }
}

fn named(dir: &Path) -> Vec<String> {
    if dir.as_os_str().is_empty() { vec!["data_dir: name a folder".into()] } else { Vec::new() }
}

fn none_at_zero(all: &[(impl std::fmt::Display, usize)]) -> Vec<String> {
    all.iter().filter(|(_, n)| *n == 0).map(|(name, _)| format!("{name}: at least 1")).collect()
}

/// What was said on the command line.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flags {
    pub config: Option<PathBuf>,
    pub listen: Option<String>,
    pub data_dir: Option<PathBuf>,
    /// Names of modules.
    pub only: Vec<String>,
}

impl Settings {
    pub(crate) fn read(flags: &Flags) -> Result<Self, Problems> {
        let listen = flags.listen.clone().map(|address| ("http.listen", address));
        let data_dir = flags.data_dir.as_ref().map(|dir| ("data_dir", dir.display().to_string()));
        let mut tree = Tree::read(Source {
            defaults: DEFAULTS,
            file: flags.config.clone(),
            lists: &["payments.providers", "http.trusted_proxies"],
            flags: listen.into_iter().chain(data_dir).collect(),
        })?;
        let sections = Self::take(&mut tree);
        if let Some(settings) = &sections {
            settings.problems().into_iter().for_each(|problem| tree.complain(problem));
        }
        let named = module::only(&flags.only).map_err(|bad| bad.into_iter().for_each(|one| tree.complain(one)));
        let (settings, named) = tree.finish(sections.zip(named.ok()))?;
        Ok(settings.being_about(named))
    }

    /// Every section is looked at, so that all problems are told at once.
    fn take(tree: &mut Tree) -> Option<Self> {
        let data_dir = checked(tree, "data_dir", |dir: &PathBuf| named(dir));
        let http = checked(tree, "http", HttpSettings::problems);
        let log = tree.take("log");
        let database = checked(tree, "database", DatabaseSettings::problems);
        let grpc = checked(tree, "grpc", GrpcSettings::problems);
        let plaintext = grpc.as_ref().is_some_and(|grpc| grpc.plaintext);
        let modules = tree
            .take::<modules::Written>("modules")
            .and_then(|written| written.parse(plaintext, &mut |problem| tree.complain(problem)));
        let calls = checked(tree, "calls", CallSettings::problems);
        let events = checked(tree, "events", EventSettings::problems);
        #[cfg(feature = "users")]
        let users = tree.take("users");
        #[cfg(feature = "products")]
        let products = tree.take("products");
        #[cfg(feature = "orders")]
        let (payments, checkout, shipping) = (
            checked(tree, "payments", orders::PaymentSettings::problems),
            checked(tree, "checkout", orders::CheckoutSettings::problems),
            checked(tree, "shipping", orders::ShippingSettings::problems),
        );
        #[cfg(feature = "webhooks")]
        let webhooks = checked(tree, "webhooks", webhooks::Settings::problems);
        // A shop's one file also serves a build with fewer domains.
        for (built_in, sections) in [
            (cfg!(feature = "users"), &["users"][..]),
            (cfg!(feature = "products"), &["products"]),
            (cfg!(feature = "orders"), &["payments", "checkout", "shipping"]),
            (cfg!(feature = "webhooks"), &["webhooks"]),
        ] {
            if !built_in {
                sections.iter().for_each(|name| drop(tree.take::<serde_json::Value>(name)));
            }
        }
        Some(Self {
            data_dir: data_dir?,
            http: http?,
            log: log?,
            database: database?,
            modules: modules?,
            here: BTreeSet::new(),
            grpc: grpc?,
            calls: calls?,
            events: events?,
            #[cfg(feature = "users")]
            users: users?,
            #[cfg(feature = "products")]
            products: products?,
            #[cfg(feature = "orders")]
            payments: payments?,
            #[cfg(feature = "orders")]
            checkout: checkout?,
            #[cfg(feature = "orders")]
            shipping: shipping?,
            #[cfg(feature = "webhooks")]
            webhooks: webhooks?,
        })
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let alone = self.grpc.listen.is_empty()
            && self.modules.domains().iter().all(|(_, placed)| placed.place == Place::Local);
        if !alone && self.grpc.max_seconds < self.http.request_seconds {
            problems.push(format!(
                "grpc.max_seconds: at least http.request_seconds ({}), or calls between processes end before the requests \
                 that wait for them",
                self.http.request_seconds
            ));
        }
        #[cfg(feature = "products")]
        problems.extend(self.products.ready.problems("products.ready"));
        for (module, placed) in self.modules.domains() {
            if let Err(bad) = self.location(module.as_str(), placed) {
                problems.push(format!("modules.{module}.database: {bad}"));
            }
        }
        problems
    }

    /// Makes the folder for files. Only its owner reads it: it holds the key that tokens are signed with.
    pub(crate) fn make_data_dir(&self) -> Result<(), String> {
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.data_dir);
        made.map_err(|error| format!("{}: {error}", self.data_dir.display()))
    }

    /// Where a domain's tables lie: its own database, the shop's, or a file.
    pub(crate) fn location(&self, domain: &str, placed: &Placed) -> Result<Location, database::BadLocation> {
        let (own, shop) = (placed.database.expose(), self.database.url.expose());
        let dir: &Path = &self.data_dir;
        match (own.is_empty(), shop.is_empty()) {
            (false, _) => Location::parse(own, domain, dir, false),
            (true, false) => Location::parse(shop, domain, dir, true),
            (true, true) => Location::parse(&format!("sqlite:{domain}.db"), domain, dir, false),
        }
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::{Flags, Problems, Settings};

    /// As a file and `--only` say.
    pub(crate) fn read(file: &str, only: &[&str]) -> Result<Settings, Problems> {
        let held = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(held.path(), file).unwrap();
        let only = only.iter().map(|name| (*name).to_owned()).collect();
        Settings::read(&Flags { config: Some(held.path().to_owned()), only, ..Flags::default() })
    }
    pub(crate) fn settings(file: &str, only: &[&str]) -> Settings {
        read(file, only).unwrap_or_else(|problems| panic!("{problems}"))
    }
}
