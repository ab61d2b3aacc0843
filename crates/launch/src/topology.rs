//! Which modules share a process.
use crate::Failed;
use std::{fmt, str::FromStr};

/// What owns tables, and answers others over gRPC when it is out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Domain {
    Users,
    Products,
    Orders,
    Webhooks,
}

/// What serves HTTP routes: the domains, and the aggregator, whom nobody calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Module {
    Of(Domain),
    Storefront,
}

/// How a shop is spread over processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Topology {
    /// One process.
    #[default]
    Single,
    /// One each.
    Split,
    /// One for this domain, one for the rest. Not webhooks: nobody calls it, so that it is apart in `split` says it all.
    Out(Domain),
}

impl Domain {
    pub const ALL: [Self; 4] = [Self::Users, Self::Products, Self::Orders, Self::Webhooks];

    pub fn name(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Products => "products",
            Self::Orders => "orders",
            Self::Webhooks => "webhooks",
        }
    }
}
impl Module {
    pub const ALL: [Self; 5] = [
        Self::Of(Domain::Users),
        Self::Of(Domain::Products),
        Self::Of(Domain::Orders),
        Self::Of(Domain::Webhooks),
        Self::Storefront,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Of(domain) => domain.name(),
            Self::Storefront => "storefront",
        }
    }
    pub(crate) fn domain(self) -> Option<Domain> {
        match self {
            Self::Of(domain) => Some(domain),
            Self::Storefront => None,
        }
    }
}
impl Topology {
    pub const ALL: [Self; 5] =
        [Self::Single, Self::Split, Self::Out(Domain::Users), Self::Out(Domain::Products), Self::Out(Domain::Orders)];

    /// Its processes: a name, and the modules in each. Whoever is called comes before who calls.
    pub(crate) fn processes(self) -> Vec<(&'static str, Vec<Module>)> {
        match self {
            Self::Single => vec![("shop", Module::ALL.into())],
            Self::Split => Module::ALL.map(|module| (module.name(), vec![module])).into(),
            Self::Out(domain) => {
                let out = Module::Of(domain);
                let rest = Module::ALL.into_iter().filter(|module| *module != out).collect();
                vec![(domain.name(), vec![out]), ("rest", rest)]
            }
        }
    }
}

impl fmt::Display for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Single => f.write_str("single"),
            Self::Split => f.write_str("split"),
            Self::Out(domain) => write!(f, "{}-out", domain.name()),
        }
    }
}
impl FromStr for Topology {
    type Err = Failed;
    fn from_str(text: &str) -> Result<Self, Failed> {
        let found = Self::ALL.into_iter().find(|topology| topology.to_string() == text);
        let names = || Self::ALL.map(|topology| topology.to_string()).join(", ");
        found.ok_or_else(|| Failed(format!("no topology is called `{text}`; there are {}", names())))
    }
}
impl FromStr for Module {
    type Err = Failed;
    fn from_str(text: &str) -> Result<Self, Failed> {
        let found = Self::ALL.into_iter().find(|module| module.name() == text);
        found.ok_or_else(|| Failed(format!("no module is called `{text}`")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_topology_has_a_name_of_its_own() {
        for topology in Topology::ALL {
            assert_eq!(topology.to_string().parse::<Topology>().unwrap(), topology);
        }
        let names: Vec<_> = Topology::ALL.iter().map(Topology::to_string).collect();
        assert_eq!(names, ["single", "split", "users-out", "products-out", "orders-out"]);
        let refused = "storefront-out".parse::<Topology>().unwrap_err().to_string();
        assert!(refused.contains("storefront-out") && refused.contains("orders-out"), "{refused}");
    }

    #[test]
    fn every_module_runs_once() {
        for topology in Topology::ALL {
            let all: Vec<_> = topology.processes().into_iter().flat_map(|(_, modules)| modules).collect();
            assert_eq!(all.len(), 5, "{topology}");
            assert_eq!(all.into_iter().collect::<BTreeSet<_>>(), Module::ALL.into(), "{topology}");
        }
    }
}
