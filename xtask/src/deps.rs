//! `cargo xtask deps`: licences and duplicate versions, against `deps.toml`, without the network.
//!
//! Licences are asked of everything that builds here, tests and tools included. Duplicates count only where they are
//! linked into the product: there they cost size, build time and types that look alike.
use crate::{
    error::{Context, Result},
    workspace::{Workspace, tree},
};
use serde::Deserialize;
use spdx::{Expression, ParseMode};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    licences: Licences,
    #[serde(default)]
    duplicates: Vec<Duplicate>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Licences {
    allowed: BTreeSet<String>,
    /// What a crate without a licence in its manifest is under, by its name.
    #[serde(default)]
    clarified: BTreeMap<String, Clarified>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Clarified {
    licence: String,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Duplicate {
    name: String,
    /// As far as cargo tells versions apart: `"0.14"`, `"2"`.
    versions: BTreeSet<String>,
    reason: String,
}

struct Crate {
    name: String,
    version: String,
    licence: Option<String>,
}

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let rules = read(&workspace.file("deps.toml")?)?;
    let built: BTreeSet<_> = workspace.resolve.nodes.iter().map(|node| node.id.as_str()).collect();
    let outside = workspace.packages.iter().filter(|p| !workspace.is_member(p) && built.contains(p.id.as_str()));
    let crates: Vec<_> = outside
        .map(|p| Crate { name: p.name.clone(), version: p.version.clone(), licence: p.license.clone() })
        .collect();
    let linked = tree("normal,no-proc-macro", &[])?;
    let mut problems = licences(&rules.licences, &crates);
    problems.extend(duplicates(&rules.duplicates, &linked));
    if problems.is_empty() {
        println!("{} crates, {} linked; licences and duplicates are as deps.toml says", crates.len(), linked.len());
        return Ok(());
    }
    Err(format!("deps.toml and what is built differ:\n  {}", problems.join("\n  ")).into())
}

fn read(text: &str) -> Result<Rules> {
    let rules: Rules = toml::from_str(text).context("cannot read deps.toml")?;
    let empty = rules.duplicates.iter().filter(|d| d.reason.trim().is_empty()).map(|d| d.name.as_str());
    let clarified = rules.licences.clarified.iter().filter(|(_, c)| c.reason.trim().is_empty());
    match empty.chain(clarified.map(|(name, _)| name.as_str())).next() {
        Some(name) => Err(format!("deps.toml gives no reason for `{name}`").into()),
        None => Ok(rules),
    }
}

fn licences(rules: &Licences, crates: &[Crate]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut named = BTreeSet::new();
    for Crate { name, version, licence } in crates {
        let clarified = rules.clarified.get(name).map(|c| c.licence.as_str());
        let Some(text) = licence.as_deref().or(clarified) else {
            problems
                .push(format!("{name} {version} names no licence; see its files, then add it to licences.clarified"));
            continue;
        };
        let expression = match Expression::parse_mode(text, ParseMode::LAX) {
            Ok(expression) => expression,
            Err(error) => {
                problems.push(format!("{name} {version}: `{text}` is no SPDX expression: {}", error.reason));
                continue;
            }
        };
        named.extend(expression.requirements().map(|r| r.req.to_string()));
        if !expression.evaluate(|wanted| rules.allowed.contains(&wanted.to_string())) {
            problems.push(format!("{name} {version} is under `{text}`, which licences.allowed does not cover"));
        }
    }
    let unused = rules.allowed.iter().filter(|allowed| !named.contains(*allowed));
    problems.extend(unused.map(|l| format!("licences.allowed lists `{l}`, which no crate names; take it out")));
    let needless = |name: &String| !crates.iter().any(|c| &c.name == name && c.licence.is_none());
    let needless = rules.clarified.keys().filter(|name| needless(name));
    problems.extend(needless.map(|n| format!("licences.clarified lists `{n}`, which needs it no longer; take it out")));
    problems
}

fn duplicates(accepted: &[Duplicate], linked: &BTreeSet<(String, String)>) -> Vec<String> {
    let mut found: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (name, version) in linked {
        found.entry(name).or_default().insert(compatible(version));
    }
    found.retain(|_, versions| versions.len() > 1);
    let list = |versions: &BTreeSet<String>| versions.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let mut problems = Vec::new();
    for Duplicate { name, versions, .. } in accepted {
        match found.remove(name.as_str()) {
            Some(linked) if &linked == versions => {}
            Some(linked) => problems.push(format!(
                "`{name}` is linked in {}, deps.toml accepts {}; correct the entry",
                list(&linked),
                list(versions)
            )),
            None => {
                problems.push(format!("duplicates lists `{name}`, which is linked once or not at all; take it out"))
            }
        }
    }
    let unlisted = found.iter().map(|(name, versions)| {
        format!("`{name}` is linked in {}; bring them together, or add it to duplicates with a reason", list(versions))
    });
    problems.extend(unlisted);
    problems
}

/// Cargo links two versions only where they are incompatible: the first number that is not zero tells them apart.
fn compatible(version: &str) -> String {
    let mut parts = version.split('.');
    let (major, minor) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    match (major, minor) {
        ("0", "0") => format!("0.0.{}", parts.next().unwrap_or_default()),
        ("0", minor) => format!("0.{minor}"),
        (major, _) => major.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(allowed: &[&str], licence: Option<&str>) -> Vec<String> {
        let allowed = allowed.iter().map(|&l| l.to_owned()).collect();
        let rules = Licences { allowed, clarified: BTreeMap::new() };
        licences(&rules, &[Crate { name: "a".into(), version: "1.0.0".into(), licence: licence.map(str::to_owned) }])
    }

    #[test]
    fn expressions_are_understood() {
        assert!(problems(&["MIT"], Some("MIT OR Apache-2.0")).is_empty(), "one of two is enough");
        assert!(problems(&["MIT"], Some("MIT/Apache-2.0")).is_empty(), "the old way of writing OR");
        assert_eq!(problems(&["MIT"], Some("MIT AND ISC")).len(), 1, "both are needed");
        assert!(problems(&["ISC", "MIT"], Some("(MIT OR GPL-3.0) AND ISC")).is_empty());
        assert_eq!(problems(&["Apache-2.0"], Some("Apache-2.0 WITH LLVM-exception")).len(), 2);
        assert!(problems(&["Apache-2.0 WITH LLVM-exception"], Some("Apache-2.0 WITH LLVM-exception")).is_empty());
    }

    #[test]
    fn what_cannot_be_judged_fails() {
        assert!(problems(&[], None)[0].contains("names no licence"));
        assert!(problems(&[], Some("my own words"))[0].contains("no SPDX expression"));
        assert!(problems(&["ISC", "MIT"], Some("MIT"))[0].contains("`ISC`, which no crate names"));
    }

    fn linked(crates: &[(&str, &str)]) -> BTreeSet<(String, String)> {
        crates.iter().map(|&(name, version)| (name.into(), version.into())).collect()
    }

    fn accepted(name: &str, versions: &[&str]) -> Duplicate {
        let versions = versions.iter().map(|&v| v.to_owned()).collect();
        Duplicate { name: name.into(), versions, reason: "two crates disagree".into() }
    }

    #[test]
    fn duplicates_are_listed_exactly() {
        let linked = linked(&[("a", "0.14.5"), ("a", "0.15.0"), ("b", "1.2.0"), ("c", "1.0.0"), ("c", "2.1.0")]);
        let both = [accepted("a", &["0.14", "0.15"]), accepted("c", &["1", "2"])];
        assert!(duplicates(&both, &linked).is_empty());
        assert!(duplicates(&both[..1], &linked)[0].starts_with("`c` is linked in 1, 2;"));
        let old = [accepted("a", &["0.13", "0.14"]), accepted("b", &["1", "2"]), accepted("c", &["1", "2"])];
        let problems = duplicates(&old, &linked);
        assert!(problems[0].contains("correct the entry") && problems[1].contains("`b`"), "{problems:?}");
    }

    #[test]
    fn versions_that_cargo_tells_apart() {
        assert_eq!(["1.2.3", "0.14.5", "0.0.7"].map(compatible), ["1", "0.14", "0.0.7"]);
    }
}
