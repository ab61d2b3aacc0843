//! `cargo xtask house`: the workspace keeps its own rules. No server is needed.
//!
//! `boundaries` compares who depends on whom with `boundaries.toml`, `sources` looks where crates are named, and here
//! the product is asked to leave domains out: what is left must be that domain's service and no other.
mod boundaries;
mod sources;

use crate::{
    error::{Context, Result},
    workspace::{Workspace, tree},
};
use boundaries::{Boundaries, Member};
use std::collections::BTreeSet;

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let rules: Boundaries =
        toml::from_str(&workspace.file("boundaries.toml")?).context("cannot read boundaries.toml")?;
    let members = members(workspace)?;
    let mut problems = rules.check(&members);
    problems.extend(sources::check(&workspace.root, &rules.sources)?);
    let alone = alone(workspace, &rules)?;
    problems.extend(alone.problems);
    if problems.is_empty() {
        println!(
            "{} crates keep to boundaries.toml; built alone: {}",
            members.len(),
            alone.features.into_iter().collect::<Vec<_>>().join(", ")
        );
        return Ok(());
    }
    Err(format!("the workspace breaks its own rules:\n  {}", problems.join("\n  ")).into())
}

fn members(workspace: &Workspace) -> Result<Vec<Member>> {
    let mut members = Vec::new();
    for package in workspace.members() {
        let depends = package.dependencies.iter().filter(|d| !d.is_for_tests()).map(|d| d.name.clone()).collect();
        let code = sources::code(&package.folder().join("src"))?;
        members.push(Member { name: package.name.clone(), depends, code });
    }
    Ok(members)
}

struct Alone {
    features: BTreeSet<String>,
    problems: Vec<String>,
}

/// The product with one feature must contain no domain but that one; the aggregator's has none.
fn alone(workspace: &Workspace, rules: &Boundaries) -> Result<Alone> {
    let names: BTreeSet<_> = workspace.members().map(|package| package.name.as_str()).collect();
    let domains = boundaries::domains(names.iter().copied());
    let declared = &workspace.product()?.features;
    let mut features: BTreeSet<String> = domains.iter().map(|&domain| domain.to_owned()).collect();
    features.extend(rules.callers().filter(|caller| declared.contains_key(*caller)).map(str::to_owned));
    let mut problems = Vec::new();
    for feature in &features {
        if !declared.contains_key(feature) {
            problems.push(format!("package `cleave` has no feature `{feature}`, so that domain cannot be built alone"));
            continue;
        }
        let linked = tree("normal", &["--no-default-features", "--features", feature])?;
        let linked: BTreeSet<_> = linked.iter().map(|(name, _)| name.as_str()).collect();
        if names.contains(feature.as_str()) && !linked.contains(feature.as_str()) {
            problems.push(format!("feature `{feature}` alone does not link package `{feature}`"));
        }
        let strangers = domains.iter().filter(|&&domain| domain != feature && linked.contains(domain));
        problems.extend(strangers.map(|domain| {
            format!("feature `{feature}` alone links package `{domain}`; `cargo tree -p cleave --no-default-features -F {feature} -i {domain}` says why")
        }));
    }
    Ok(Alone { features, problems })
}
