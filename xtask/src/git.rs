//! What git knows of this checkout.
use crate::error::{Context, Result};
use std::{path::Path, process::Command};

/// Releases are tagged `v1.2.3`.
const RELEASES: &str = "v[0-9]*";

pub(crate) struct Git<'a>(pub(crate) &'a Path);

impl Git<'_> {
    /// Runs it for its standard output.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Result<String> {
        let output = Command::new("git").current_dir(self.0).args(arguments).output().context("cannot start git")?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("`git {}` failed: {}", arguments.join(" "), said.trim()).into());
        }
        String::from_utf8(output.stdout).context("git printed something that is not UTF-8")
    }

    /// The commit that a revision names, if this clone has it.
    pub(crate) fn commit(&self, revision: &str) -> Option<String> {
        let found = self.ask(&["rev-parse", "--verify", "--quiet", &format!("{revision}^{{commit}}")]);
        found.ok().map(|commit| commit.trim().to_owned())
    }

    /// The newest release among what led to `revision`.
    pub(crate) fn release_before(&self, revision: &str) -> Option<String> {
        let found = self.ask(&["describe", "--tags", "--abbrev=0", "--match", RELEASES, revision]);
        found.ok().map(|tag| tag.trim().to_owned())
    }

    pub(crate) fn is_shallow(&self) -> Result<bool> {
        Ok(self.ask(&["rev-parse", "--is-shallow-repository"])?.trim() == "true")
    }

    /// What files of this kind are compared with: the last commit when they differ from it, else the one before it.
    /// `None`: it follows nothing that this clone has.
    pub(crate) fn previous(&self, kind: &str) -> Result<Option<String>> {
        let dirty = !self.ask(&["status", "--porcelain", "--untracked-files=all", "--", kind])?.trim().is_empty();
        Ok(self.commit(if dirty { "HEAD" } else { "HEAD^" }))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::fs;
    use tempfile::TempDir;

    /// A repository with a commit for each of these texts of its only file.
    pub(crate) fn repository(texts: &[&str]) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        let git = Git(folder.path());
        git.ask(&["init", "-q"]).unwrap();
        for text in texts {
            fs::write(folder.path().join("file"), text).unwrap();
            git.ask(&["add", "."]).unwrap();
            commit(&git);
        }
        folder
    }
    pub(crate) fn commit(git: &Git<'_>) {
        let who = ["-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"];
        git.ask(&[&who[..], &["commit", "-q", "--all", "-m", "a change"]].concat()).unwrap();
    }

    #[test]
    fn what_differs_follows_the_last_commit() {
        let folder = repository(&["one", "two"]);
        let git = Git(folder.path());
        let (first, second) = (git.commit("HEAD^").unwrap(), git.commit("HEAD").unwrap());
        assert_eq!(git.previous("file").unwrap().as_ref(), Some(&first));
        fs::write(folder.path().join("other"), "").unwrap();
        assert_eq!(git.previous("file").unwrap().as_ref(), Some(&first));
        fs::write(folder.path().join("file"), "three").unwrap();
        assert_eq!(git.previous("file").unwrap(), Some(second));
    }

    #[test]
    fn a_first_commit_follows_nothing() {
        let folder = repository(&["one"]);
        let git = Git(folder.path());
        assert_eq!(git.previous("file").unwrap(), None);
        assert!(!git.is_shallow().unwrap());
    }

    #[test]
    fn releases_are_tags_of_versions() {
        let folder = repository(&["one", "two", "three"]);
        let git = Git(folder.path());
        git.ask(&["tag", "v0.1.0", "HEAD^^"]).unwrap();
        git.ask(&["tag", "vision", "HEAD^"]).unwrap();
        assert_eq!(git.release_before("HEAD").as_deref(), Some("v0.1.0"));
        git.ask(&["tag", "-d", "v0.1.0"]).unwrap();
        assert_eq!(git.release_before("HEAD"), None);
    }
}
