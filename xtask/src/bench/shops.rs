//! The shops that are measured: the same binary, settings and goods; only who runs where differs.
use super::goods::{self, Goods, asked};
use crate::{
    error::{Context, Result},
    servers::{OwnNats, Postgres},
};
use launch::{Databases, Domain, Errors, Fleet, Module, Plan, Topology, Wanted};
use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};
use tokio::task::spawn_blocking;

pub(super) const ADMIN: (&str, &str) = ("admin@shop.example", "admin of the measured shop");
/// What a run that fails shows of what the shop said.
const LAST_WORDS: usize = 20;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    CoLocated,
    Plain,
    Mutual,
}

impl Way {
    pub(super) const ALL: [Self; 3] = [Self::CoLocated, Self::Plain, Self::Mutual];

    fn database(self, domain: Domain) -> String {
        let way = match self {
            Self::CoLocated => "single",
            Self::Plain => "plain",
            Self::Mutual => "mutual",
        };
        format!("{way}_{}", domain.name())
    }
    fn topology(self) -> Topology {
        if self == Self::CoLocated { Topology::Single } else { Topology::Split }
    }
}

/// The databases of all shops: one a domain everywhere, so that they differ in nothing else.
pub(super) fn databases() -> Vec<String> {
    Way::ALL.iter().flat_map(|way| Domain::ALL.map(|domain| way.database(domain))).collect()
}

/// Where the processes of a shop answer over HTTP.
#[derive(Clone)]
pub(super) struct Addresses {
    pub(super) users: String,
    pub(super) products: String,
    pub(super) orders: String,
    pub(super) storefront: String,
}

/// A shop, and the way in.
pub(super) struct Door {
    pub(super) name: &'static str,
    pub(super) is_gateway: bool,
    pub(super) at: Addresses,
    pub(super) goods: Arc<Goods>,
    /// Processes whose time is the shop's: with the gateway where it is the way in.
    pub(super) shop: Vec<u32>,
    pub(super) database: Vec<u32>,
    internals: Vec<String>,
}

pub(super) struct Shop {
    pub(super) doors: Vec<Arc<Door>>,
    words: Arc<Mutex<VecDeque<String>>>,
    _fleet: Fleet,
}

/// What all shops share.
pub(super) struct Common<'a> {
    pub(super) binary: PathBuf,
    pub(super) nginx: PathBuf,
    pub(super) folder: &'a Path,
    pub(super) postgres: Option<&'a Postgres>,
    pub(super) nats: &'a OwnNats,
    pub(super) products: usize,
}

impl Shop {
    pub(super) async fn open(common: &Common<'_>, way: Way) -> Result<Self> {
        let words = Arc::<Mutex<VecDeque<String>>>::default();
        let wanted = common.wanted(way, Arc::clone(&words));
        // Apart, so that Ctrl-C is heard meanwhile; what was started by then is stopped as soon as it is.
        let fleet = spawn_blocking(|| started(wanted)).await.context("a shop could not be started")?;
        let fleet = fleet.map_err(|error| format!("{error}{}", last(&words)))?;
        let of = |module| fleet.url_of(module).map(str::to_owned).context("a process has no address");
        let at = Addresses {
            users: of(Module::Of(Domain::Users))?,
            products: of(Module::Of(Domain::Products))?,
            orders: of(Module::Of(Domain::Orders))?,
            storefront: of(Module::Storefront)?,
        };
        let goods = Goods::fill(&at, common.products).await.map_err(|error| format!("{error}{}", last(&words)))?;
        let name = match way {
            Way::CoLocated => "co-located",
            Way::Plain => "split, plain text",
            Way::Mutual => "split, mutual TLS",
        };
        let direct = Door {
            name,
            is_gateway: false,
            at,
            goods: Arc::new(goods),
            shop: fleet.ids(),
            database: common.postgres.map(Postgres::id).into_iter().collect(),
            internals: fleet.internals().into_iter().map(|(_, url)| url).collect(),
        };
        let behind = (way == Way::Mutual).then(|| direct.behind(&fleet));
        let doors = std::iter::once(direct).chain(behind).map(Arc::new).collect();
        Ok(Self { doors, words, _fleet: fleet })
    }

    /// What its processes said last.
    pub(super) fn last_words(&self) -> String {
        last(&self.words)
    }
}

impl Common<'_> {
    fn wanted(&self, way: Way, words: Arc<Mutex<VecDeque<String>>>) -> Wanted {
        let databases = match self.postgres {
            None => Databases::Files,
            Some(postgres) => {
                Databases::Own(Domain::ALL.map(|domain| (domain, postgres.url(&way.database(domain)))).into())
            }
        };
        let env = [
            ("CLEAVE__PAYMENTS__PROVIDERS", "test"),
            // A line a request would be measured too, and the reading of it.
            ("CLEAVE__LOG__FILTER", "warn"),
            // Nobody signs in anew while others are measured.
            ("CLEAVE__USERS__ACCESS_TOKEN_SECONDS", "86400"),
        ];
        let tell = move |name: &str, line: &str| {
            let mut words = words.lock().expect("nobody panics with the words");
            words.push_back(format!("{name}: {line}"));
            if words.len() > LAST_WORDS {
                words.pop_front();
            }
        };
        Wanted {
            topology: way.topology(),
            binary: self.binary.clone(),
            folder: self.folder.join(way.database(Domain::Orders)),
            databases,
            // In each of them, so that what is compared is where the domains are.
            broker: self.nats.broker(&way.database(Domain::Orders)),
            env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            nginx: Some(self.nginx.clone()),
            plaintext: way == Way::Plain,
            errors: Errors::Told(Arc::new(tell)),
            ..Wanted::default()
        }
    }
}

impl Door {
    /// To a shop of one process that counts nothing: this one.
    #[cfg(test)]
    pub(super) fn of(at: Addresses, goods: Goods) -> Self {
        let (name, is_gateway) = ("shop", false);
        let goods = Arc::new(goods);
        Self { name, is_gateway, at, goods, shop: vec![std::process::id()], database: vec![], internals: vec![] }
    }

    /// The same shop through its gateway.
    fn behind(&self, fleet: &Fleet) -> Self {
        let url = fleet.url();
        let at = Addresses { users: url.clone(), products: url.clone(), orders: url.clone(), storefront: url };
        let shop = self.shop.iter().copied().chain(fleet.gateway_id()).collect();
        let (goods, database, internals) = (Arc::clone(&self.goods), self.database.clone(), self.internals.clone());
        Self { name: "split, mutual TLS, behind nginx", is_gateway: true, at, goods, shop, database, internals }
    }

    /// How many calls went from process to process, as the processes count them.
    pub(super) async fn calls(&self) -> Result<u64> {
        let (http, mut calls) = (goods::client()?, 0);
        for internal in &self.internals {
            let metrics = asked(http.get(format!("{internal}/metrics")), 200).await?;
            calls += counted(&metrics).context("a count of calls is no number")?;
        }
        Ok(calls)
    }
}

fn counted(metrics: &str) -> Option<u64> {
    let lines = metrics.lines().filter(|line| line.starts_with("cleave_remote_calls_total{"));
    lines.map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum()
}

fn started(wanted: Wanted) -> Result<Fleet> {
    std::fs::create_dir_all(&wanted.folder).context("cannot make a folder for the shop")?;
    let mut fleet = Fleet::prepare(Plan::new(wanted)?)?;
    let (email, password) = ADMIN;
    fleet.run(&["users", "create-admin", "--email", email, "--password-stdin"], password)?;
    fleet.start()?;
    Ok(fleet)
}

fn last(words: &Mutex<VecDeque<String>>) -> String {
    let words = words.lock().expect("nobody panics with the words");
    words.iter().map(|line| format!("\n  {line}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_over_all_methods() {
        let metrics = "# TYPE cleave_remote_calls_total counter\n\
                       cleave_remote_calls_total{service=\"a\",method=\"page\"} 12\n\
                       cleave_remote_calls_total{service=\"a\",method=\"quote\"} 30\n\
                       cleave_remote_retries_total{service=\"a\",method=\"quote\"} 7\n";
        assert_eq!(counted(metrics), Some(42));
        assert_eq!(counted("cleave_http_seconds_count{} 3\n"), Some(0));
        assert_eq!(counted("cleave_remote_calls_total{} many"), None);
    }

    #[test]
    fn no_two_shops_share_a_database() {
        let names = databases();
        assert_eq!(names.iter().collect::<std::collections::BTreeSet<_>>().len(), 12);
    }
}
