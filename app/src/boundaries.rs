//! `boundaries.toml`, as the process obeys it: who may call which trait.
use kernel::Peer;
use serde::Deserialize;
use std::collections::BTreeMap;

const GRAPH: &str = include_str!("../../boundaries.toml");

#[derive(Deserialize)]
struct Graph {
    /// Caller, callee, traits.
    calls: BTreeMap<String, BTreeMap<String, Vec<String>>>,
}

/// Every module that can hold a handle; `host` is the process itself, which believes tokens.
const MODULES: &[&str] = &["host", "users", "products", "orders", "storefront"];

/// The modules that may call trait `name` of `domain`.
pub(crate) fn peers(domain: &str, name: &str) -> Vec<Peer> {
    let graph: Graph = toml::from_str(GRAPH).expect("the graph is checked by `cargo xtask house`");
    let listed = |caller: &str| {
        let traits = graph.calls.get(caller).and_then(|calls| calls.get(domain));
        traits.is_some_and(|traits| traits.iter().any(|listed| listed == name))
    };
    MODULES.iter().filter(|module| listed(module) || listed("*")).map(|module| Peer::from(*module)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_is_listed_may_call() {
        assert_eq!(peers("products", "Stock"), [Peer::from("orders")]);
        assert_eq!(peers("users", "Accounts"), [Peer::from("storefront")]);
        assert_eq!(peers("users", "Tokens").len(), MODULES.len());
        assert!(peers("products", "Stocks").is_empty());
    }
}
