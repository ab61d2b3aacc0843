//! The workspace as cargo sees it.
use crate::error::{Context, Result};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The package with the single binary.
pub(crate) const PRODUCT: &str = "cleave";

#[derive(Deserialize)]
pub(crate) struct Workspace {
    pub(crate) packages: Vec<Package>,
    workspace_members: BTreeSet<String>,
    #[serde(rename = "workspace_root")]
    pub(crate) root: PathBuf,
    #[serde(rename = "target_directory")]
    pub(crate) target: PathBuf,
    pub(crate) resolve: Resolve,
}

#[derive(Deserialize)]
pub(crate) struct Package {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) license: Option<String>,
    pub(crate) manifest_path: PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) targets: Vec<Target>,
    pub(crate) features: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// None, "dev" or "build".
    kind: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) kind: Vec<String>,
}

/// What cargo really picked for this machine, with every feature of the workspace on.
#[derive(Deserialize)]
pub(crate) struct Resolve {
    pub(crate) nodes: Vec<Node>,
}

#[derive(Deserialize)]
pub(crate) struct Node {
    pub(crate) id: String,
}

impl Dependency {
    pub(crate) fn is_for_tests(&self) -> bool {
        self.kind.as_deref() == Some("dev")
    }
}

impl Package {
    pub(crate) fn folder(&self) -> &Path {
        self.manifest_path.parent().expect("a manifest lies in a folder")
    }

    pub(crate) fn has_target(&self, kind: &str) -> bool {
        self.targets.iter().any(|target| target.kind.iter().any(|k| k == kind))
    }
}

impl Workspace {
    /// Asks without the network first; a fresh checkout has nothing to be offline with.
    pub(crate) fn read() -> Result<Self> {
        let host = host()?;
        let metadata = |offline: &[&str]| {
            cargo(&[&["metadata", "--format-version", "1", "--filter-platform", &host], offline].concat())
        };
        let json = metadata(&["--offline"]).or_else(|_| metadata(&[]))?;
        serde_json::from_str(&json).context("cannot read the output of `cargo metadata`")
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| self.is_member(package))
    }

    pub(crate) fn is_member(&self, package: &Package) -> bool {
        self.workspace_members.contains(&package.id)
    }

    pub(crate) fn product(&self) -> Result<&Package> {
        self.members().find(|package| package.name == PRODUCT).context(format_args!("no package `{PRODUCT}` here"))
    }

    pub(crate) fn file(&self, name: &str) -> Result<String> {
        let path = self.root.join(name);
        fs::read_to_string(&path).context(format_args!("cannot read {}", path.display()))
    }
}

/// The cargo that runs us, so that a pinned toolchain stays pinned.
pub(crate) fn cargo_path() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".into())
}

/// That cargo as somebody types it. What it told us of our own package is not passed on: build scripts that look at it
/// would run again, and all that depends on them, whenever it is the other's turn.
pub(crate) fn cargo_command() -> tokio::process::Command {
    let mut command = tokio::process::Command::new(cargo_path());
    let ours = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(ours)) {
        command.env_remove(name);
    }
    command
}

/// Runs cargo for its standard output.
pub(crate) fn cargo(arguments: &[&str]) -> Result<String> {
    let output = Command::new(cargo_path()).args(arguments).output().context("cannot start cargo")?;
    if output.status.success() {
        String::from_utf8(output.stdout).context("cargo printed something that is not UTF-8")
    } else {
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("`cargo {}` failed:\n{}", arguments.join(" "), said.trim()).into())
    }
}

/// Packages in the tree below the product, as (name, version), as cargo links them with these features.
pub(crate) fn tree(edges: &str, features: &[&str]) -> Result<BTreeSet<(String, String)>> {
    let fixed = ["tree", "--package", PRODUCT, "--edges", edges, "--prefix", "none"];
    let tree = |offline: &[&str]| cargo(&[&fixed, features, offline].concat());
    let text = tree(&["--offline"]).or_else(|_| tree(&[]))?;
    Ok(text.lines().filter_map(name_and_version).collect())
}

/// `serde v1.0.228 (*)`; headings and empty lines have no version.
fn name_and_version(line: &str) -> Option<(String, String)> {
    let mut words = line.split_whitespace();
    let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
    Some((name.into(), version.into()))
}

fn host() -> Result<String> {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let output = Command::new(rustc).arg("-vV").output().context("cannot start rustc")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.strip_prefix("host: "));
    line.map(str::to_owned).context("`rustc -vV` names no host")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_tree() {
        let line = |text| name_and_version(text).map(|(name, version)| format!("{name} {version}"));
        assert_eq!(line("serde v1.0.228 (*)").as_deref(), Some("serde 1.0.228"));
        assert_eq!(line("kernel v0.1.0 (/somewhere/crates/kernel)").as_deref(), Some("kernel 0.1.0"));
        assert_eq!(line("[build-dependencies]"), None);
        assert_eq!(line(""), None);
    }
}
