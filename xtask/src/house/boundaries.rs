//! The graph of who knows whom, against what `boundaries.toml` allows: both ways, so that the list stays true.
use super::sources::{Place, names_word, traits};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// Stands for every process in `calls`, and for every crate in `layers`.
const EVERY: &str = "*";
/// What every process has in common.
const PROCESS: [&str; 2] = ["host", "cleave"];

type Lists = BTreeMap<String, BTreeSet<String>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Boundaries {
    calls: BTreeMap<String, Lists>,
    listens: BTreeMap<String, Lists>,
    layers: Lists,
    crates: Lists,
    pub(super) sources: BTreeMap<String, Place>,
}

/// A crate of the workspace: what it depends on outside tests, and its sources without comments.
pub(super) struct Member {
    pub(super) name: String,
    pub(super) depends: BTreeSet<String>,
    pub(super) code: String,
}

/// A domain is a crate that others know by its `-api`.
pub(super) fn domains<'a>(names: impl Iterator<Item = &'a str> + Clone) -> BTreeSet<&'a str> {
    let named: BTreeSet<_> = names.clone().collect();
    names.filter_map(|name| name.strip_suffix("-api")).filter(|domain| named.contains(domain)).collect()
}

fn api(domain: &str) -> String {
    format!("{domain}-api")
}

impl Boundaries {
    pub(super) fn callers(&self) -> impl Iterator<Item = &str> {
        self.calls.keys().map(String::as_str).filter(|&caller| caller != EVERY)
    }

    pub(super) fn check(&self, members: &[Member]) -> Vec<String> {
        let members: BTreeMap<_, _> = members.iter().map(|member| (member.name.as_str(), member)).collect();
        let mut problems = self.unknown(&members);
        problems.extend(self.check_layers(&members));
        problems.extend(self.check_calls(&members));
        problems.extend(self.check_crates(&members));
        problems.extend(self.cycles());
        problems
    }

    /// What `calls` and `listens` let a crate depend on. Whoever hears all of a domain knows none of its events.
    fn neighbours(&self, name: &str) -> BTreeSet<String> {
        let own = [&self.calls, &self.listens].into_iter().filter_map(|section| section.get(name));
        let process = self.calls.get(EVERY).filter(|_| PROCESS.contains(&name));
        let named = own.chain(process).flatten().filter(|(_, what)| !what.contains(EVERY));
        named.map(|(domain, _)| api(domain)).collect()
    }

    fn unknown(&self, members: &BTreeMap<&str, &Member>) -> Vec<String> {
        let layers = self.layers.iter().flat_map(|(name, on)| on.iter().chain([name]));
        let sections = [&self.calls, &self.listens].into_iter().flatten();
        let named = sections.flat_map(|(from, of)| of.keys().chain([from]));
        let strangers =
            layers.chain(named).map(String::as_str).filter(|name| *name != EVERY && !members.contains_key(name));
        let strangers: BTreeSet<_> = strangers.collect();
        let listed =
            strangers.iter().map(|n| format!("boundaries.toml names `{n}`, which is no crate of the workspace"));
        let missing = members.keys().filter(|name| !self.layers.contains_key(**name));
        listed.chain(missing.map(|name| format!("`{name}` has no entry in [layers]"))).collect()
    }

    fn check_layers(&self, members: &BTreeMap<&str, &Member>) -> Vec<String> {
        let mut problems = Vec::new();
        for (name, allowed) in &self.layers {
            let Some(member) = members.get(name.as_str()) else { continue };
            if allowed.contains(EVERY) {
                continue;
            }
            let neighbours = self.neighbours(name);
            let inside = member.depends.iter().filter(|on| members.contains_key(on.as_str()));
            let forbidden = inside.filter(|on| !allowed.contains(*on) && !neighbours.contains(*on));
            problems.extend(
                forbidden.map(|on| format!("`{name}` depends on `{on}`, which boundaries.toml does not allow")),
            );
            let unused = allowed.iter().filter(|on| !member.depends.contains(*on));
            problems.extend(unused.map(|on| {
                format!("[layers] lets `{name}` depend on `{on}`, but its Cargo.toml does not; take it out")
            }));
            let twice = allowed.intersection(&neighbours);
            problems.extend(
                twice.map(|on| format!("[layers] repeats for `{name}` what [calls] or [listens] says: `{on}`")),
            );
        }
        problems
    }

    /// Every entry is used, and every trait of another domain that is named in a caller's sources has one.
    fn check_calls(&self, members: &BTreeMap<&str, &Member>) -> Vec<String> {
        let mut problems = Vec::new();
        for (section, entries) in [("calls", &self.calls), ("listens", &self.listens)] {
            let each = entries.iter().flat_map(|(from, of)| of.iter().map(move |(domain, what)| (from, domain, what)));
            for (from, domain, _) in each.filter(|(.., what)| !what.contains(EVERY)) {
                let depends = |name: &str| members.get(name).is_some_and(|m| m.depends.contains(&api(domain)));
                let used = if from == EVERY { PROCESS.into_iter().any(depends) } else { depends(from) };
                if !used {
                    let who = if from == EVERY { PROCESS.join("` or `") } else { from.clone() };
                    problems.push(format!(
                        "[{section}] names {from} -> {domain}, but no Cargo.toml of `{who}` depends on `{}`",
                        api(domain)
                    ));
                }
            }
        }
        for (from, domain, listed) in self.calls.iter().flat_map(|(from, of)| of.iter().map(move |(d, l)| (from, d, l)))
        {
            let Some(declaring) = members.get(api(domain).as_str()) else { continue };
            let declared = traits(&declaring.code);
            let missing = listed.iter().filter(|name| !declared.contains(name.as_str()));
            problems.extend(missing.map(|name| {
                format!("[calls] names {from} -> {domain}, `{name}`, which `{}` does not declare", api(domain))
            }));
            let Some(caller) = members.get(from.as_str()) else { continue };
            for name in declared {
                match (names_word(&caller.code, name), listed.contains(name)) {
                    (true, false) => {
                        problems.push(format!("`{from}` names `{name}` of {domain}, which [calls] does not list"))
                    }
                    (false, true) => problems.push(format!(
                        "[calls] lists {from} -> {domain}, `{name}`, but `{from}` never names it; take it out"
                    )),
                    _ => {}
                }
            }
        }
        problems
    }

    fn check_crates(&self, members: &BTreeMap<&str, &Member>) -> Vec<String> {
        let mut problems = Vec::new();
        for (outside, allowed) in &self.crates {
            for (name, member) in members {
                match (member.depends.contains(outside), allowed.contains(*name)) {
                    (true, false) => {
                        problems.push(format!("`{name}` depends on `{outside}`, which [crates] does not allow"))
                    }
                    (false, true) => problems.push(format!(
                        "[crates] lets `{name}` depend on `{outside}`, but its Cargo.toml does not; take it out"
                    )),
                    _ => {}
                }
            }
        }
        problems
    }

    /// Two domains that wait for each other can wait forever.
    fn cycles(&self) -> Vec<String> {
        let reaches = |start: &str| {
            let (mut seen, mut next) = (BTreeSet::new(), vec![start]);
            while let Some(name) = next.pop() {
                let called = self.calls.get(name).into_iter().flat_map(|of| of.keys());
                next.extend(called.map(String::as_str).filter(|&called| seen.insert(called)));
            }
            seen.contains(start)
        };
        let circular = self.callers().filter(|caller| reaches(caller));
        circular.map(|caller| format!("[calls] lets `{caller}` wait for itself, through those it calls")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = r#"
        [calls]
        orders = { products = ["Stock"] }
        "*" = { users = ["Tokens"] }
        [listens]
        [layers]
        kernel = []
        users-api = ["kernel"]
        products-api = ["kernel"]
        users = ["users-api"]
        products = ["products-api"]
        orders = ["kernel"]
        host = []
        cleave = ["*"]
        [crates]
        diesel = ["orders"]
        tonic = []
        [sources]
    "#;

    fn member(name: &str, depends: &[&str], code: &str) -> Member {
        Member { name: name.into(), depends: depends.iter().map(|&d| d.to_owned()).collect(), code: code.into() }
    }

    fn house() -> Vec<Member> {
        vec![
            member("kernel", &["serde"], ""),
            member("users-api", &["kernel"], "pub trait Tokens {} pub trait Accounts {}"),
            member("products-api", &["kernel"], "pub trait Stock {}\npub trait Catalogue {}"),
            member("users", &["users-api"], ""),
            member("products", &["products-api"], ""),
            member("orders", &["kernel", "products-api", "diesel"], "stock: Arc<dyn Stock>"),
            member("host", &["users-api"], ""),
            member("cleave", &["kernel", "users", "products", "orders", "host"], ""),
        ]
    }

    fn check(change: impl FnOnce(&mut Boundaries, &mut Vec<Member>)) -> Vec<String> {
        let (mut rules, mut members) = (toml::from_str(RULES).unwrap(), house());
        change(&mut rules, &mut members);
        rules.check(&members)
    }

    fn depend(members: &mut [Member], name: &str, on: &str) {
        members.iter_mut().find(|m| m.name == name).unwrap().depends.insert(on.into());
    }

    #[test]
    fn a_house_in_order() {
        assert_eq!(check(|_, _| ()), [""; 0]);
    }

    #[test]
    fn a_domain_may_not_depend_on_another() {
        let problems = check(|_, members| depend(members, "orders", "products"));
        assert_eq!(problems, ["`orders` depends on `products`, which boundaries.toml does not allow"]);
        let problems = check(|_, members| depend(members, "orders", "users-api"));
        assert_eq!(problems, ["`orders` depends on `users-api`, which boundaries.toml does not allow"]);
    }

    #[test]
    fn an_allowance_that_nobody_uses_fails() {
        let problems = check(|rules, _| {
            rules.layers.get_mut("products").unwrap().insert("kernel".into());
        });
        assert!(problems[0].contains("lets `products` depend on `kernel`"), "{problems:?}");
        let problems = check(|_, members| {
            members.iter_mut().find(|m| m.name == "host").unwrap().depends.clear();
        });
        assert_eq!(
            problems,
            ["[calls] names * -> users, but no Cargo.toml of `host` or `cleave` depends on `users-api`"]
        );
    }

    #[test]
    fn traits_are_listed_one_by_one() {
        let problems = check(|_, members| {
            members.iter_mut().find(|m| m.name == "orders").unwrap().code = "dyn Catalogue".into();
        });
        assert_eq!(
            problems,
            [
                "`orders` names `Catalogue` of products, which [calls] does not list",
                "[calls] lists orders -> products, `Stock`, but `orders` never names it; take it out",
            ]
        );
        let problems = check(|rules, _| {
            rules.calls.get_mut("*").unwrap().get_mut("users").unwrap().insert("Passwords".into());
        });
        assert_eq!(problems, ["[calls] names * -> users, `Passwords`, which `users-api` does not declare"]);
    }

    #[test]
    fn crates_from_outside_stay_where_they_belong() {
        let problems = check(|_, members| depend(members, "products", "diesel"));
        assert_eq!(problems, ["`products` depends on `diesel`, which [crates] does not allow"]);
        let problems = check(|_, members| depend(members, "host", "tonic"));
        assert_eq!(problems, ["`host` depends on `tonic`, which [crates] does not allow"]);
    }

    #[test]
    fn nobody_is_forgotten_or_made_up() {
        let problems = check(|rules, members| {
            members.push(member("webhooks", &[], ""));
            rules.layers.insert("messaging".into(), BTreeSet::new());
        });
        assert_eq!(
            problems,
            [
                "boundaries.toml names `messaging`, which is no crate of the workspace",
                "`webhooks` has no entry in [layers]"
            ]
        );
    }

    #[test]
    fn calls_have_no_cycle() {
        let problems = check(|rules, members| {
            rules.calls.insert("products".into(), [("orders".to_owned(), BTreeSet::new())].into());
            members.push(member("orders-api", &[], ""));
            rules.layers.insert("orders-api".into(), BTreeSet::new());
            depend(members, "products", "orders-api");
        });
        assert!(problems.iter().any(|p| p.contains("lets `orders` wait for itself")), "{problems:?}");
    }
}
