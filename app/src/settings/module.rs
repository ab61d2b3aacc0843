//! The modules there are, by name.
use serde::Serialize;
use std::{collections::BTreeSet, fmt, str::FromStr};

/// What a process can be about: a domain, or the aggregator over them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ModuleName {
    Users,
    Products,
    Orders,
    Webhooks,
    Storefront,
}

impl ModuleName {
    pub(crate) const ALL: [Self; 5] = [Self::Users, Self::Products, Self::Orders, Self::Webhooks, Self::Storefront];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Products => "products",
            Self::Orders => "orders",
            Self::Webhooks => "webhooks",
            Self::Storefront => "storefront",
        }
    }
    /// Whether this build has it.
    pub(crate) const fn is_built(self) -> bool {
        match self {
            Self::Users => cfg!(feature = "users"),
            Self::Products => cfg!(feature = "products"),
            Self::Orders => cfg!(feature = "orders"),
            Self::Webhooks => cfg!(feature = "webhooks"),
            Self::Storefront => cfg!(feature = "storefront"),
        }
    }
}

impl fmt::Display for ModuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
impl FromStr for ModuleName {
    type Err = String;
    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|module| module.as_str() == name);
        found.ok_or_else(|| format!("there is no module `{name}`; there are {}", listed(Self::ALL)))
    }
}

/// Names with commas.
pub(crate) fn listed(modules: impl IntoIterator<Item = ModuleName>) -> String {
    modules.into_iter().map(ModuleName::as_str).collect::<Vec<_>>().join(", ")
}

/// What `--only` names, and all that is wrong with it.
pub(crate) fn only(names: &[String]) -> Result<BTreeSet<ModuleName>, Vec<String>> {
    let (mut modules, mut problems) = (BTreeSet::new(), Vec::new());
    for name in names {
        match name.trim().parse::<ModuleName>() {
            Ok(module) if module.is_built() => drop(modules.insert(module)),
            Ok(module) => {
                let built = listed(ModuleName::ALL.into_iter().filter(|module| module.is_built()));
                problems.push(format!("--only: this build has no {module}; it has {built}"));
            }
            Err(unknown) => problems.push(format!("--only: {unknown}")),
        }
    }
    if problems.is_empty() { Ok(modules) } else { Err(problems) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_named_with_commas() {
        let names = |all: &[&str]| all.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        for module in ModuleName::ALL.into_iter().filter(|module| module.is_built()) {
            assert_eq!(only(&names(&[module.as_str(), module.as_str()])), Ok(BTreeSet::from([module])));
        }
        let told = only(&names(&["user", ""])).unwrap_err();
        assert_eq!(
            told[0],
            "--only: there is no module `user`; there are users, products, orders, webhooks, storefront"
        );
        assert_eq!(told.len(), 2);
        for module in ModuleName::ALL.into_iter().filter(|module| !module.is_built()) {
            assert!(only(&names(&[module.as_str()])).unwrap_err()[0].contains("this build has no"));
        }
    }
}
