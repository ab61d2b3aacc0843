//! Whose path is whose: the fewest prefixes that tell modules apart, from their tables of routes.
use crate::settings::ModuleName;
use std::collections::BTreeMap;
use web::Route;

/// Prefixes are whole segments: `/v1/users` covers itself and `/v1/users/me`, not `/v1/userships`.
pub(super) struct Owners(BTreeMap<ModuleName, Vec<String>>);

impl Owners {
    /// Fails when a module's prefix covers a path of another.
    pub(super) fn of(tables: &[(ModuleName, Vec<Route>)]) -> Result<Self, String> {
        let paths = tables.iter().map(|(module, routes)| (*module, routes.iter().map(|route| route.path).collect()));
        Self::of_paths(paths.collect())
    }

    fn of_paths(tables: Vec<(ModuleName, Vec<&str>)>) -> Result<Self, String> {
        let fewest = |paths: &[&str]| {
            let mut all: Vec<&str> = paths.iter().map(|path| literal(path)).collect();
            all.sort_unstable();
            all.dedup();
            let redundant = |prefix: &&str| all.iter().any(|other| other != prefix && covers(other, prefix));
            all.iter().filter(|prefix| !redundant(prefix)).map(|prefix| (*prefix).to_owned()).collect::<Vec<_>>()
        };
        let owners: BTreeMap<ModuleName, Vec<String>> =
            tables.iter().map(|(module, paths)| (*module, fewest(paths))).collect();
        for (module, paths) in &tables {
            for (other, prefixes) in owners.iter().filter(|(other, _)| *other != module) {
                let clash = |path: &&str| prefixes.iter().find(|prefix| covers(prefix, literal(path)));
                if let Some((path, prefix)) = paths.iter().find_map(|path| Some((path, clash(path)?))) {
                    return Err(format!(
                        "{path} is {module}'s, but {prefix} is {other}'s: no prefix tells them apart; rename one"
                    ));
                }
            }
        }
        Ok(Self(owners))
    }

    pub(super) fn prefixes(&self, module: ModuleName) -> impl Iterator<Item = &str> {
        self.0.get(&module).into_iter().flatten().map(String::as_str)
    }

    /// Who serves a path; nobody in particular when none.
    #[cfg(test)]
    pub(super) fn owner(&self, path: &str) -> Option<ModuleName> {
        self.0.iter().find_map(|(module, all)| all.iter().any(|prefix| covers(prefix, path)).then_some(*module))
    }
}

/// The part before the first parameter.
fn literal(path: &str) -> &str {
    let end = path.find('{').unwrap_or(path.len());
    path[..end].trim_end_matches('/')
}

fn covers(prefix: &str, path: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shop;
    use ModuleName::{Orders, Products, Users};

    #[test]
    fn prefixes_are_few_and_whole_segments() {
        let owners = Owners::of_paths(vec![
            (Users, vec!["/v1/users/{id}", "/v1/users", "/v1/users/me/addresses/{id}", "/v1/user"]),
            (Orders, vec!["/v1/userships/{id}/x"]),
        ]);
        let owners = owners.map_err(|clash| panic!("{clash}")).unwrap();
        assert_eq!(owners.prefixes(Users).collect::<Vec<_>>(), ["/v1/user", "/v1/users"]);
        assert_eq!(owners.prefixes(Orders).collect::<Vec<_>>(), ["/v1/userships"]);
        for (path, owner) in [
            ("/v1/users/u/x", Some(Users)),
            ("/v1/userships/u", Some(Orders)),
            ("/v1/user", Some(Users)),
            ("/v1/usership", None),
            ("/", None),
        ] {
            assert_eq!(owners.owner(path), owner, "{path}");
        }
    }

    #[test]
    fn what_no_prefix_tells_apart_is_an_error() {
        for (first, second) in
            [("/v1/a", "/v1/a"), ("/v1/a/{id}", "/v1/a/b/{id}"), ("/v1/a/{id}/x", "/v1/a/{id}/y"), ("/{any}", "/v1/b")]
        {
            for tables in
                [[(Users, vec![first]), (Products, vec![second])], [(Users, vec![second]), (Products, vec![first])]]
            {
                let told = Owners::of_paths(tables.to_vec()).err().expect(first);
                assert!(told.contains(first) || told.contains(second), "{told}");
            }
        }
    }

    #[test]
    fn every_documented_path_has_the_owner_that_its_table_says() {
        let tables = shop::tables();
        let owners = Owners::of(&tables).unwrap_or_else(|clash| panic!("{clash}"));
        let documented: serde_json::Value =
            serde_json::from_str(include_str!("../../../docs/openapi.json")).expect("the document is JSON");
        let documented = documented["paths"].as_object().expect("paths");
        let mut seen = 0;
        for path in documented.keys() {
            let theirs: Vec<_> =
                tables.iter().filter(|(_, routes)| routes.iter().any(|route| route.path == path)).collect();
            let [(module, _)] = theirs[..] else {
                assert!(theirs.is_empty() && ModuleName::ALL.iter().any(|module| !module.is_built()), "{path}");
                continue;
            };
            let asked = path.replace(['{', '}'], "x");
            let covering =
                ModuleName::ALL.into_iter().flat_map(|module| owners.prefixes(module).map(move |at| (module, at)));
            let covering: Vec<_> = covering.filter(|(_, prefix)| covers(prefix, &asked)).collect();
            assert!(covering.len() == 1 && covering[0].0 == *module, "{path}: {covering:?}");
            seen += 1;
        }
        let all: usize = tables
            .iter()
            .map(|(_, routes)| routes.iter().map(|r| r.path).collect::<std::collections::BTreeSet<_>>().len())
            .sum();
        assert_eq!(seen, all, "the document has them all");
    }
}
