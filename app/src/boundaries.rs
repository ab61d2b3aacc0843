//! `boundaries.toml`, as the process obeys it: who may call which trait.
use kernel::Peer;
use serde::Deserialize;
use std::collections::BTreeMap;

const GRAPH: &str = include_str!("../../boundaries.toml");

#[derive(Deserialize)]
struct Graph {
    /// Caller, callee, traits.
    calls: BTreeMap<String, BTreeMap<String, Vec<String>>>,
    /// Listener, teller, events.
    listens: BTreeMap<String, BTreeMap<String, Vec<String>>>,
}

/// Every module that can hold a handle. A process fetches the keys of tokens as the first of its modules.
const MODULES: &[&str] = &["users", "products", "orders", "webhooks", "storefront"];

/// Who may call a trait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MayCall {
    pub caller: &'static str,
    pub callee: String,
    /// The trait.
    pub name: String,
}

fn graph() -> Graph {
    toml::from_str(GRAPH).expect("the graph is checked by `cargo xtask house`")
}

/// Every caller with every trait that it may call, by caller.
pub(crate) fn calls() -> impl Iterator<Item = MayCall> {
    let graph = graph();
    MODULES.iter().flat_map(move |caller| {
        let listed = [*caller, "*"].into_iter().filter_map(|key| graph.calls.get(key)).flatten();
        let each = listed.flat_map(|(callee, traits)| traits.iter().map(|name| (callee.clone(), name.clone())));
        each.map(|(callee, name)| MayCall { caller, callee, name }).collect::<Vec<_>>()
    })
}

/// Every listener with whom it hears, and what.
pub(crate) fn listens() -> impl Iterator<Item = (String, String, Vec<String>)> {
    let each = |(listener, tellers): (String, BTreeMap<String, Vec<String>>)| {
        tellers.into_iter().map(move |(teller, events)| (listener.clone(), teller, events))
    };
    graph().listens.into_iter().flat_map(each)
}

/// The modules that may call trait `name` of `domain`.
pub(crate) fn peers(domain: &str, name: &str) -> Vec<Peer> {
    calls().filter(|call| call.callee == domain && call.name == name).map(|call| Peer::from(call.caller)).collect()
}

/// Whether `caller` asks `callee` for anything.
pub(crate) fn asks(caller: &str, callee: &str) -> bool {
    calls().any(|call| call.caller == caller && call.callee == callee)
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
