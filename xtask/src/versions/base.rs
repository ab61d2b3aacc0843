//! The product as it was at some commit: built once, from a worktree of that commit, and kept.
use crate::{
    error::{Context, Result},
    git::Git,
    process,
    workspace::{PRODUCT, Workspace, cargo_command},
};
use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

const LIMIT: Duration = Duration::from_secs(30 * 60);

pub(super) async fn product(workspace: &Workspace, commit: &str) -> Result<PathBuf> {
    let short: String = commit.chars().take(12).collect();
    let folder = workspace.target.join("versions");
    let kept = folder.join(format!("{PRODUCT}-{short}"));
    if kept.is_file() {
        println!("{PRODUCT} of {short} was built before");
        return Ok(kept);
    }
    println!("building {PRODUCT} of {short}");
    let started = Instant::now();
    let worktree = Worktree::add(workspace, folder.join(&short), commit)?;
    // One for all versions: what they link is mostly the same.
    let target = folder.join("target");
    let mut command = cargo_command();
    command.current_dir(&worktree.folder).args(["build", "--locked", "--package", PRODUCT, "--bins"]);
    command.env("CARGO_TARGET_DIR", &target).env("CARGO_INCREMENTAL", "0");
    if !process::run(command, LIMIT).await?.success {
        return Err(format!("package `{PRODUCT}` of {short} does not build").into());
    }
    // Under its name only when it is whole.
    let partial = folder.join(format!("{PRODUCT}-{short}.partial"));
    fs::copy(target.join("debug").join(PRODUCT), &partial).context("cannot keep what was built")?;
    fs::rename(&partial, &kept).context("cannot keep what was built")?;
    println!("built in {:.1} s", started.elapsed().as_secs_f64());
    Ok(kept)
}

/// Gone when what it was for is done, however that ended.
struct Worktree<'a> {
    root: &'a Path,
    folder: PathBuf,
}

impl<'a> Worktree<'a> {
    fn add(workspace: &'a Workspace, folder: PathBuf, commit: &str) -> Result<Self> {
        let worktree = Self { root: &workspace.root, folder };
        // A run that was killed outright left one.
        worktree.remove();
        worktree.git(&["add", "--force", "--detach"], &[commit])?;
        Ok(worktree)
    }

    fn git(&self, before: &[&str], after: &[&str]) -> Result<()> {
        let folder = self.folder.to_str().context("the checkout's path is not UTF-8")?;
        Git(self.root).ask(&[&["worktree"], before, &[folder], after].concat()).map(drop)
    }

    /// Errors mean that there is none.
    fn remove(&self) {
        let _ = self.git(&["remove", "--force"], &[]);
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Drop for Worktree<'_> {
    fn drop(&mut self) {
        self.remove();
    }
}
