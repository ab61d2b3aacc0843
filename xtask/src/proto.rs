//! `cargo xtask proto`: the contracts between processes read well, and none of them breaks who already runs.
//!
//! They are compared with the newest release, or with the commit before while there is none. Both sides are built the
//! same way, from the files alone: what is compared does not depend on how the older tree listed them.
use crate::{
    error::{Context, Result},
    git::Git,
    servers,
    workspace::Workspace,
};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const FILES: &str = "*.proto";
const ENDING: &str = ".proto";
/// What lies in a folder of this name is addressed from there on.
const ROOT: &str = "proto";
/// No shop serves it: both ends are always of one tree, so it may change as tests need it.
const FOR_TESTS: &str = "crates/wire-probe/";
const RULES: &str = "buf.yaml";

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let contracts = Contracts { buf: servers::buf(workspace)?, root: &workspace.root };
    contracts.lint()?;
    contracts.breaking()
}

struct Contracts<'a> {
    buf: PathBuf,
    root: &'a Path,
}

/// What the checkout is compared with.
#[derive(Debug, PartialEq, Eq)]
enum Base {
    Revision {
        name: String,
        commit: String,
    },
    /// And why there is none.
    Nothing(String),
}

/// A .proto: its path in the checkout, and its text.
type File = (String, String);

impl Contracts<'_> {
    fn lint(&self) -> Result<()> {
        self.every_file_is_listed()?;
        self.buf(self.root, &["lint"]).map_err(|found| format!("{RULES} is not met:\n{found}"))?;
        println!("lint: ok");
        Ok(())
    }

    /// A file of no module is one that nobody looks at.
    fn every_file_is_listed(&self) -> Result<()> {
        let listed = self.buf(self.root, &["ls-files"])?;
        let listed: BTreeSet<&str> = listed.lines().collect();
        let missing: Vec<_> = self.paths_here()?.into_iter().filter(|path| !listed.contains(path.as_str())).collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(format!("{RULES} lists no module that holds {}", missing.join(", ")).into())
    }

    fn breaking(&self) -> Result<()> {
        let git = Git(self.root);
        let (name, commit) = match base(&git)? {
            Base::Revision { name, commit } => (name, commit),
            Base::Nothing(why) => {
                println!("breaking: NOTHING WAS COMPARED: {why}");
                return Ok(());
            }
        };
        let before = files_of(&git, &commit)?;
        if before.is_empty() {
            println!("breaking: nothing to compare with, {name} has no contracts");
            return Ok(());
        }
        self.compare(&before, &self.files_here()?)
            .map_err(|found| format!("a process built from {name} would not understand this tree:\n{found}"))?;
        println!("breaking: ok, compared with {name}");
        Ok(())
    }

    fn compare(&self, before: &[File], now: &[File]) -> Result<()> {
        let folder = tempfile::tempdir().context("cannot make a folder for the comparison")?;
        let [before, now] =
            [(before, "before"), (now, "now")].map(|(files, name)| self.image(files, folder.path(), name));
        self.buf(self.root, &["breaking", &now?, "--against", &before?, "--config", RULES]).map(drop)
    }

    /// Everything in one file, whichever modules it comes from.
    fn image(&self, files: &[File], folder: &Path, name: &str) -> Result<String> {
        let (tree, image) = (folder.join(name), folder.join(format!("{name}.binpb")));
        let mut modules = BTreeSet::new();
        for (path, text) in files {
            let to = tree.join(path);
            let parent = to.parent().context("a .proto has no folder")?;
            fs::create_dir_all(parent).context(format_args!("cannot create {}", parent.display()))?;
            fs::write(&to, text).context(format_args!("cannot write {}", to.display()))?;
            modules.insert(root_of(path).context(format_args!("{path} lies in no folder `{ROOT}`"))?);
        }
        let modules: String = modules.iter().map(|module| format!("  - path: {module}\n")).collect();
        fs::write(tree.join(RULES), format!("version: v2\nmodules:\n{modules}")).context("cannot write the modules")?;
        let image = image.display().to_string();
        self.buf(&tree, &["build", "--output", &image])?;
        Ok(image)
    }

    fn files_here(&self) -> Result<Vec<File>> {
        let read = |path: String| {
            let text = fs::read_to_string(self.root.join(&path)).context(format_args!("cannot read {path}"))?;
            Ok((path, text))
        };
        self.paths_here()?.into_iter().filter(|path| is_served(path)).map(read).collect()
    }

    /// What is there and not ignored, committed or not.
    fn paths_here(&self) -> Result<Vec<String>> {
        let known = Git(self.root).ask(&["ls-files", "--cached", "--others", "--exclude-standard", "--", FILES])?;
        let is_there = |path: &&str| self.root.join(path).is_file();
        Ok(known.lines().filter(is_there).map(str::to_owned).collect())
    }

    /// What it printed; what it found is an error.
    fn buf(&self, folder: &Path, arguments: &[&str]) -> Result<String> {
        let output =
            Command::new(&self.buf).current_dir(folder).args(arguments).output().context("cannot start buf")?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(printed);
        }
        Err(format!("{printed}{}", String::from_utf8_lossy(&output.stderr)).trim().to_owned().into())
    }
}

fn base(git: &Git<'_>) -> Result<Base> {
    let shallow = git.is_shallow()?;
    let Some(previous) = git.previous(FILES)? else {
        let why = match shallow {
            true => "this clone is shallow and lacks the commit before; `git fetch --deepen 1` brings it",
            false => "this is the first commit",
        };
        return Ok(Base::Nothing(why.into()));
    };
    let release = git.release_before(&previous);
    if shallow && release.is_none() {
        println!("breaking: THIS CLONE IS SHALLOW and may lack a release; the commit before is taken");
    }
    let (name, commit) = match release {
        Some(tag) => {
            let commit = git.commit(&tag).context(format_args!("the tag {tag} names no commit"))?;
            (tag, commit)
        }
        None => (previous.chars().take(12).collect(), previous),
    };
    Ok(Base::Revision { name, commit })
}

fn files_of(git: &Git<'_>, commit: &str) -> Result<Vec<File>> {
    let all = git.ask(&["ls-tree", "-r", "--name-only", "--full-tree", commit])?;
    let read = |path: &str| Ok((path.to_owned(), git.ask(&["show", &format!("{commit}:{path}")])?));
    all.lines().filter(|path| path.ends_with(ENDING) && is_served(path)).map(read).collect()
}

fn is_served(path: &str) -> bool {
    !path.starts_with(FOR_TESTS)
}

/// `crates/users/remote/proto` of `crates/users/remote/proto/cleave/users/v1/users.proto`.
fn root_of(path: &str) -> Option<&str> {
    let end = path.find(&format!("/{ROOT}/"))? + 1 + ROOT.len();
    Some(&path[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::tests::{commit, repository};

    const PATH: &str = "crates/products/remote/proto/cleave/products/v1/products.proto";

    #[test]
    fn what_breaks_a_running_process_is_refused() {
        let workspace = Workspace::read().unwrap();
        let contracts = Contracts { buf: servers::buf(&workspace).unwrap(), root: &workspace.root };
        let now = contracts.files_here().unwrap();
        contracts.compare(&now, &now).unwrap();
        let changed = |from: &str, to: &str| {
            let mut files = now.clone();
            let (_, text) = files.iter_mut().find(|(path, _)| path == PATH).unwrap();
            assert!(text.contains(from), "{from}");
            *text = text.replacen(from, to, 1);
            contracts.compare(&now, &files).map_err(|found| found.to_string())
        };
        let ship = "rpc Ship(ShipRequest) returns (ShipResponse) {\n    option idempotency_level = IDEMPOTENT;\n  }";
        for (from, to, complaint) in [
            ("repeated ReserveLine lines = 3;", "repeated ReserveLine lines = 5;", "field \"3\""),
            ("repeated ReserveLine lines = 3;", "reserved 3;\n  reserved \"lines\";", "field \"3\""),
            ("int64 quantity = 2;", "string quantity = 2;", "changed type"),
            ("int64 available = 2;", "optional int64 available = 2;", "cardinality"),
            (ship, "", "RPC \"Ship\""),
            ("= IDEMPOTENT;", "= NO_SIDE_EFFECTS;", "idempotency"),
        ] {
            let found = changed(from, to).expect_err(from);
            assert!(found.contains(complaint), "{from} -> {to}: {found}");
        }
        let gone: Vec<_> = now.iter().filter(|(path, _)| path != PATH).cloned().collect();
        assert!(contracts.compare(&now, &gone).unwrap_err().to_string().contains("cleave.products.v1"));
        // What an older process does not know of, it does not miss; nor does it a module that came later.
        changed("repeated ReserveLine lines = 3;", "repeated ReserveLine lines = 3;\n  optional string note = 9;")
            .unwrap();
        changed("Invalid invalid = 4;", "Invalid invalid = 4;\n    Over later = 5;").unwrap();
        contracts.compare(&gone, &now).unwrap();
    }

    #[test]
    fn what_is_compared_with() {
        let folder = repository(&["one", "two", "three"]);
        let git = Git(folder.path());
        let named = |name: &str, revision: &str| {
            let commit = git.commit(revision).unwrap();
            let name = if name.is_empty() { commit.chars().take(12).collect() } else { name.to_owned() };
            Base::Revision { name, commit }
        };
        assert_eq!(base(&git).unwrap(), named("", "HEAD^"));
        git.ask(&["tag", "v0.1.0", "HEAD^^"]).unwrap();
        assert_eq!(base(&git).unwrap(), named("v0.1.0", "HEAD^^"));
        // A release is compared with the one before it, not with itself.
        git.ask(&["tag", "v0.2.0"]).unwrap();
        assert_eq!(base(&git).unwrap(), named("v0.1.0", "HEAD^^"));
        fs::write(folder.path().join("file"), "four").unwrap();
        commit(&git);
        assert_eq!(base(&git).unwrap(), named("v0.2.0", "HEAD^"));
        assert!(files_of(&git, "HEAD").unwrap().is_empty());
    }

    #[test]
    fn what_cannot_be_compared_is_said() {
        let folder = repository(&["one"]);
        assert_eq!(base(&Git(folder.path())).unwrap(), Base::Nothing("this is the first commit".into()));
        let (parent, whole) = (tempfile::tempdir().unwrap(), repository(&["one", "two"]));
        let from = format!("file://{}", whole.path().display());
        Git(parent.path()).ask(&["clone", "-q", "--depth", "1", &from, "shallow"]).unwrap();
        let shallow = parent.path().join("shallow");
        let Base::Nothing(why) = base(&Git(&shallow)).unwrap() else { panic!("it has no commit before") };
        assert!(why.contains("shallow"), "{why}");
    }

    #[test]
    fn files_are_addressed_from_their_root() {
        assert_eq!(root_of(PATH), Some("crates/products/remote/proto"));
        assert_eq!(root_of("users.proto"), None);
    }
}
