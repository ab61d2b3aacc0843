//! Who runs where, who may call whom, and whose path is whose: the settings, `boundaries.toml` and the tables of routes
//! in one view. It opens no database and serves nothing.
mod ask;
pub(crate) mod gateway;
mod mermaid;
pub(crate) mod nginx;
mod owners;
mod text;

use crate::{
    boundaries,
    settings::{HttpAddress, ModuleName, Settings},
    shop,
};
use database::Location;
use owners::Owners;
use serde::Serialize;
use std::collections::BTreeMap;

/// What `cleave topology --format json` prints. Members are only ever added.
#[derive(Debug, Serialize)]
pub(crate) struct Topology {
    pub modules: Vec<Module>,
    pub calls: Vec<Calls>,
    pub listens: Vec<Listens>,
    /// What the longest request takes: a gateway is more patient.
    #[serde(skip)]
    pub request_seconds: u64,
}

#[derive(Debug, Serialize)]
pub(crate) struct Module {
    pub module: ModuleName,
    /// Whether this process is about it.
    pub here: bool,
    /// As `modules.*.place` says; `null` for a module that nobody calls.
    pub place: Option<String>,
    /// Where its HTTP routes are found; `null` when nobody said.
    pub http: Option<HttpAddress>,
    /// "sqlite" or "postgres"; `null` for a module without tables.
    pub database: Option<&'static str>,
    /// The prefixes of its paths; none for a module that this build does not have.
    pub prefixes: Vec<String>,
    pub health: Health,
}

/// What a process says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Health {
    Ready,
    /// It answers that it is not.
    NotReady,
    /// It does not answer.
    OutOfReach,
    /// There is nowhere to ask.
    Unknown,
}

/// Whom a module may call.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Calls {
    pub caller: ModuleName,
    pub callee: ModuleName,
    pub traits: Vec<String>,
}

/// Whose events a module hears.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Listens {
    pub listener: ModuleName,
    pub teller: ModuleName,
    pub events: Vec<String>,
}

impl Topology {
    /// As the settings say; [`ask`](Self::ask) fills in how everybody is.
    pub(crate) fn of(settings: &Settings) -> Result<Self, String> {
        let owners = Owners::of(&shop::tables())?;
        let module = |module: ModuleName| {
            let placed = settings.modules.domain(module);
            let location = placed.map(|placed| settings.location(module.as_str(), placed));
            let database = location.map(|location| match location.expect("checked when the settings were read") {
                Location::Sqlite { .. } => "sqlite",
                Location::Postgres { .. } => "postgres",
            });
            Module {
                module,
                here: settings.is_here(module),
                place: placed.map(|placed| placed.place.to_string()),
                http: settings.http_address(module),
                database,
                prefixes: owners.prefixes(module).map(str::to_owned).collect(),
                health: Health::Unknown,
            }
        };
        let modules = ModuleName::ALL.into_iter().map(module).collect();
        let request_seconds = settings.http.request_seconds;
        Ok(Self { modules, calls: calls(), listens: listens(), request_seconds })
    }

    /// Asks every process that has an address, each once, all at the same time.
    pub(crate) async fn ask(&mut self) {
        let known = self.modules.iter().filter_map(|module| module.http.clone());
        let asked: BTreeMap<HttpAddress, _> =
            known.map(|address| (address.clone(), tokio::spawn(async move { ask::health(&address).await }))).collect();
        let mut told = BTreeMap::new();
        for (address, asking) in asked {
            told.insert(address, asking.await.unwrap_or(Health::Unknown));
        }
        for module in &mut self.modules {
            module.health =
                module.http.as_ref().and_then(|address| told.get(address)).copied().unwrap_or(Health::Unknown);
        }
    }

    /// Where each process answers HTTP, with whom it serves, storefront's last; and who has no address.
    fn processes(&self) -> Result<Vec<(HttpAddress, Vec<&Module>)>, String> {
        let mut processes: BTreeMap<HttpAddress, Vec<&Module>> = BTreeMap::new();
        for module in &self.modules {
            let name = module.module;
            if !name.is_built() {
                return Err(format!("this build has no {name}, so it does not know {name}'s paths"));
            }
            let address = module.http.clone();
            let address = address.ok_or_else(|| {
                let place = module.place.as_deref().unwrap_or("another process");
                format!("modules.{name}.http: {name} is at {place}; say where its HTTP routes are found, such as http://{name}:8080")
            })?;
            processes.entry(address).or_default().push(module);
        }
        Ok(processes.into_iter().collect())
    }
}

impl Settings {
    /// Where a module's HTTP routes are found: where it was said, or where this process answers.
    fn http_address(&self, module: ModuleName) -> Option<HttpAddress> {
        let said = self.modules.http(module).cloned();
        said.or_else(|| self.elsewhere(module).is_none().then(|| HttpAddress::of_listener(&self.http.listen)).flatten())
    }
}

/// A module that calls itself needs no leave, and the process itself is no module.
fn calls() -> Vec<Calls> {
    let mut all: BTreeMap<(ModuleName, ModuleName), Vec<String>> = BTreeMap::new();
    for call in boundaries::calls() {
        if let (Ok(caller), Ok(callee)) = (call.caller.parse::<ModuleName>(), call.callee.parse())
            && caller != callee
        {
            all.entry((caller, callee)).or_default().push(call.name);
        }
    }
    all.into_iter().map(|((caller, callee), traits)| Calls { caller, callee, traits }).collect()
}

fn listens() -> Vec<Listens> {
    let each = boundaries::listens().filter_map(|(listener, teller, events)| {
        Some(Listens { listener: listener.parse().ok()?, teller: teller.parse().ok()?, events })
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::testing;
    use ModuleName::{Orders, Products, Storefront, Users};

    pub(super) const SPLIT: &str = "http.listen = \"127.0.0.1:8080\"\n[modules]\nusers.place = \"https://users:1\"\n\
        users.http = \"http://users:8081\"\nproducts.place = \"dns:a:1\"\nproducts.http = \"http://products.shop.svc:8082\"\n\
        orders.place = \"https://orders:1\"\norders.http = \"https://orders\"\nwebhooks.place = \"https://webhooks:1\"\nwebhooks.http = \"http://webhooks:8083\"\nstorefront.http = \"http://front:8084\"\n";

    #[test]
    fn it_says_who_runs_where() {
        let file = "database.url = \"postgres://cleave:s3cret@db/shop\"\nmodules.orders.database = \"sqlite:orders.db\"\n\
            modules.users.place = \"dns:users:7400\"\n";
        let topology = Topology::of(&testing::settings(file, &[])).unwrap();
        let [users, products, orders, _, storefront] = &topology.modules[..] else { panic!("five modules") };
        assert_eq!((users.here, users.place.as_deref(), &users.http), (false, Some("dns:users:7400"), &None));
        assert_eq!((users.database, orders.database), (Some("postgres"), Some("sqlite")));
        assert_eq!((storefront.place.as_deref(), storefront.database), (None, None));
        assert_eq!(products.here, Products.is_built());
        let json = serde_json::to_string(&topology).unwrap();
        assert!(
            !json.contains("s3cret") && !topology.text().contains("s3cret") && !topology.mermaid().contains("s3cret")
        );
    }

    #[test]
    fn it_says_who_may_call_whom() {
        let all = calls();
        let may = |caller, callee| all.iter().find(|calls| calls.caller == caller && calls.callee == callee);
        assert_eq!(may(Orders, Products).unwrap().traits, ["Catalogue", "Stock"]);
        assert_eq!(may(Storefront, Users).unwrap().traits, ["Accounts", "Tokens"]);
        assert_eq!(may(Products, Orders), None);
        assert!(all.iter().all(|calls| calls.caller != calls.callee));
    }

    #[tokio::test]
    async fn a_process_that_nobody_runs_is_out_of_reach() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let silent = taken.local_addr().unwrap();
        drop(taken);
        let file = format!("http.listen = \"{silent}\"\n[modules]\nusers.http = \"https://users:1\"\n");
        let mut topology = Topology::of(&testing::settings(&file, &[])).unwrap();
        topology.ask().await;
        assert_eq!(topology.modules[0].health, Health::Unknown, "there is no asking over TLS");
        assert_eq!(topology.modules[1].health, Health::OutOfReach);
    }
}
